"""ShareGPT's conversations: `{"conversations": [{"from": "human", "value": …}]}`.

With the tools of LLaMA-Factory: a turn from `function_call` holds name and arguments as JSON, its
result comes from `observation`; `system` and `tools` (a JSON text) may stand beside the turns. The
format has no ids of calls: they are numbered, and results answer the calls before them in order.
(https://github.com/hiyouga/LLaMA-Factory, data/README.md.)
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.importers.parts import Json, call, mappings

_ROLES = {
    **dict.fromkeys(("human", "user"), "user"),
    **dict.fromkeys(("gpt", "assistant", "model", "chatgpt", "bing", "bard", "bot"), "assistant"),
    **dict.fromkeys(("function_call", "tool_call"), "call"),
    **dict.fromkeys(("observation", "tool", "function", "function_response"), "tool"),
    **dict.fromkeys(("system", "developer"), "system"),
}
_LISTS = ("conversations", "conversation", "messages")


def is_item(value: Mapping[str, Any]) -> bool:
    """Whether an object is a turn of that format."""
    return isinstance(value.get("from"), str) and "value" in value


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a conversation is of that format, or stands where that format has it."""
    if any(isinstance(given.get(key), list) for key in _LISTS[:2]) and "messages" not in given:
        return True
    return any(map(is_item, mappings(given.get("messages"))))


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:
    """The conversation in OpenAI form."""
    key = next(key for key in _LISTS if isinstance(given.get(key), list))
    request = {name: value for name, value in given.items() if name not in (key, "tools", "system")}
    messages: list[Any] = []
    if isinstance(given.get("system"), str) and given["system"]:
        messages.append({"role": "system", "content": given["system"]})
    waiting: deque[str] = deque()
    number = 0
    for turn in given[key]:
        if not isinstance(turn, Mapping):
            messages.append(turn)
            continue
        name = turn.get("from", turn.get("role"))
        role = _ROLES.get(name.lower() if isinstance(name, str) else "", name)
        text = turn.get("value", turn.get("content"))
        if role == "call":
            made = _calls(text, number)
            number += len(made)
            waiting.extend(one["id"] for one in made)
            if made:
                messages.append({"role": "assistant", "content": None, "tool_calls": made})
            else:  # what cannot be read as a call is what the model said
                lost["function call that is not JSON"] += 1
                messages.append({"role": "assistant", "content": text})
        elif role == "tool" and "tool_call_id" not in turn:
            if waiting:
                identifier = waiting.popleft()
                messages.append({"role": "tool", "tool_call_id": identifier, "content": text})
            else:
                lost["role of a tool result without a call"] += 1
                messages.append({"role": "user", "content": text})
        elif turn.get("role") == role and "content" in turn:
            messages.append(turn)  # an OpenAI message under this format's key
        else:
            messages.append({"role": role, "content": text})
    tools = _tools(given.get("tools"), lost)
    return {**request, "messages": messages, **({"tools": tools} if tools else {})}


def _calls(text: Any, number: int) -> list[Json]:
    """The calls that a turn makes: one, or a list of them."""
    try:
        held = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return []
    found = held if isinstance(held, list) else [held]
    if not all(isinstance(one, Mapping) and isinstance(one.get("name"), str) for one in found):
        return []
    return [
        call(f"call_{at}", one["name"], one.get("arguments", one.get("parameters", {})))
        for at, one in enumerate(found, number + 1)
    ]


def _tools(given: Any, lost: Counter[str]) -> list[Json]:
    if isinstance(given, str):
        try:
            given = json.loads(given) if given.strip() else []
        except (ValueError, RecursionError):
            lost["list of tools that is not JSON"] += 1
            return []
    return [
        dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)}
        for tool in mappings(given)
    ]
