"""Items of the Responses API, as the OpenAI Agents SDK keeps them too.

(https://platform.openai.com/docs/api-reference/responses/create, 2026-09.) An item is a message, a
call or its result. Calls belong to the assistant message before them; calls without one make a
message without text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from contextkit.analysis.reading.importers.parts import (
    Json,
    call,
    content_of,
    function_tool,
    image,
    mappings,
    marked,
    text_part,
)

_CALLS = ("function_call", "custom_tool_call")
_OUTPUTS = ("function_call_output", "custom_tool_call_output")
_OTHERS = (  # items without a counterpart
    *("reasoning", "item_reference", "compaction", "web_search_call", "file_search_call"),
    *("code_interpreter_call", "image_generation_call", "tool_search_call", "tool_search_output"),
    *("computer_call", "computer_call_output", "local_shell_call", "local_shell_call_output"),
    *("shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output"),
    *("mcp_call", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"),
)
_TEXTS = ("input_text", "output_text", "text")
_PARTS = ("input_text", "output_text", "input_image", "input_file")
_ELSEWHERE = ("previous_response_id", "conversation")


def is_item(value: Mapping[str, Any]) -> bool:
    """Whether an object without a role is an item."""
    return value.get("type") in (*_CALLS, *_OUTPUTS, *_OTHERS)


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a request has items."""
    if "messages" not in given:
        return isinstance(given.get("input"), str | list)
    return any(
        ("role" not in item and is_item(item))
        or any(part.get("type") in _PARTS for part in mappings(item.get("content")))
        for item in mappings(given["messages"])
    )


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:
    """The request in OpenAI form."""
    read = ("messages", "input", "instructions", *_ELSEWHERE)
    request = {key: value for key, value in given.items() if key not in read}
    items = given["messages"] if "messages" in given else given["input"]
    messages: list[Any] = []
    if isinstance(given.get("instructions"), str) and given["instructions"]:
        messages.append({"role": "system", "content": given["instructions"]})
    elif isinstance(given.get("instructions"), list):
        messages += _messages(given["instructions"], lost)
    if isinstance(items, str):
        messages.append({"role": "user", "content": items})
    else:
        messages += _messages(items, lost)
    for key in _ELSEWHERE:
        if given.get(key):
            lost["part of the conversation that the provider keeps"] += 1
    if "tools" in request:
        request["tools"] = _tools(request["tools"], lost)
    return {**request, "messages": messages}


def _messages(items: list[Any], lost: Counter[str]) -> list[Any]:
    messages: list[Any] = []
    step: Json | None = None  # the assistant message that calls are added to
    for at, item in enumerate(items):
        if not isinstance(item, Mapping):
            messages.append(item)
            continue
        kind = item.get("type")
        if "role" in item:
            message = _message(item, lost)
            if message["role"] != "assistant":
                step = None
                messages.append(message)
            elif (
                step is not None
                and step["content"] is None
                and _waits(step, islice(items, at + 1, None))
            ):
                step["content"] = message["content"]  # said behind its calls, in the same reply
            else:
                step = message
                messages.append(step)
        elif kind in _CALLS:
            if step is None or item.get("call_id") in _ids(step):
                step = {"role": "assistant", "content": None}
                messages.append(step)
            step["tool_calls"] = [*(step.get("tool_calls") or []), _call(item)]
        elif kind in _OUTPUTS:
            step = None
            output = item.get("output")
            content = content_of(_parts(output, lost)) if isinstance(output, list) else output
            messages.append(
                {"role": "tool", "tool_call_id": item.get("call_id"), "content": content}
            )
        else:
            name = kind[:40] if isinstance(kind, str) else "unknown"
            lost["reasoning item" if name == "reasoning" else f"{name} item"] += 1
    return messages


def _waits(step: Json, following: Iterable[Any]) -> bool:
    """Whether what follows next is the result of a call of an assistant message."""
    for item in following:
        kind = item.get("type") if isinstance(item, Mapping) else None
        if kind not in _OTHERS:
            return kind in _OUTPUTS and item.get("call_id") in _ids(step)
    return False


def _ids(step: Json) -> list[Any]:
    return [made["id"] for made in step.get("tool_calls") or ()]


def _message(item: Mapping[str, Any], lost: Counter[str]) -> Json:
    kept = {key: item[key] for key in item if key not in ("type", "id", "status", "phase")}
    content = item.get("content")
    if isinstance(content, list):
        empty = None if item["role"] == "assistant" else ""
        kept["content"] = content_of(_parts(content, lost), empty=empty)
    return kept


def _call(item: Mapping[str, Any]) -> Json:
    if item.get("type") == "custom_tool_call":
        custom = {"name": item.get("name"), "input": item.get("input")}
        return {"id": item.get("call_id"), "type": "custom", "custom": custom}
    return call(item.get("call_id"), item.get("name"), item.get("arguments") or "")


def _parts(parts: list[Any], lost: Counter[str]) -> list[Json]:
    found: list[Json] = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind in _TEXTS and isinstance(part.get("text"), str):
            lost.update(["text with citations"] if part.get("annotations") else [])
            found.append(text_part(part["text"], part.get("cache_control")))
        elif kind == "input_image" and isinstance(part.get("image_url"), str):
            detail = part.get("detail")
            found.append(image(part["image_url"], None if detail == "auto" else detail))
        elif kind == "input_file" and (part.get("file_data") or part.get("file_id")):
            keys = ("file_data", "file_id", "filename")
            found.append({"type": "file", "file": {k: part[k] for k in keys if part.get(k)}})
        elif kind in ("input_audio", "refusal", "image_url", "file"):
            found.append(dict(part))
        else:
            lost[f"{kind:.40} part" if isinstance(kind, str) else "part of an unknown kind"] += 1
    return found


def _tools(given: Any, lost: Counter[str]) -> list[Json]:
    tools = []
    for tool in mappings(given):
        if "function" in tool or "custom" in tool:
            tools.append(dict(tool))
        elif tool.get("type") == "function":
            tools.append(function_tool(tool, tool.get("parameters")))
        elif tool.get("type") == "custom":
            custom = {key: tool[key] for key in ("name", "description", "format") if key in tool}
            tools.append(marked({"type": "custom", "custom": custom}, tool.get("cache_control")))
        else:
            lost["tool of the provider"] += 1
    return tools
