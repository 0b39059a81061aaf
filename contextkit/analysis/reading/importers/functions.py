"""OpenAI's functions: the form before tools: `function_call`, role `function`, `functions`.

Deprecated since 2023-11 (https://platform.openai.com/docs/api-reference/chat/create), and still in
many logs and training files. It has no ids, one call a message, and the result behind its call, so
that ids can be numbered without doubt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.importers.parts import Json, call, mappings


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a request has messages or tools of that form."""
    return bool(given.get("functions")) or any(
        message.get("role") == "function" or _calls(message)
        for message in mappings(given.get("messages"))
    )


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:  # noqa: ARG001 - as all others
    """The request with tools, calls and results as they are written now."""
    request = {key: value for key, value in given.items() if key not in ("functions", "messages")}
    if not request.get("tools") and given.get("functions"):
        request["tools"] = [
            {"type": "function", "function": dict(function)}
            for function in mappings(given["functions"])
        ]
    messages = []
    number = 0
    waiting = ""
    for message in given.get("messages") or ():
        if not isinstance(message, Mapping):
            messages.append(message)
        elif _calls(message):
            number += 1
            waiting = f"call_{number}"
            made = message["function_call"]
            kept = {key: value for key, value in message.items() if key != "function_call"}
            made = call(waiting, made.get("name"), made.get("arguments") or "")
            messages.append({**kept, "tool_calls": [made]})
        elif message.get("role") == "function":
            # Without a call before it, it is set aside later, as any result that answers nothing.
            kept = {key: value for key, value in message.items() if key not in ("role", "name")}
            identifier = waiting or f"call_{number}_missing"
            messages.append({"role": "tool", "tool_call_id": identifier, **kept})
            waiting = ""
        else:
            messages.append(message)
    return {**request, "messages": messages}


def _calls(message: Mapping[str, Any]) -> bool:
    return (
        message.get("role") == "assistant"
        and isinstance(message.get("function_call"), Mapping)
        and not message.get("tool_calls")
    )
