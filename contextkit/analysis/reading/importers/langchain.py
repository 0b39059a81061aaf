"""LangChain's messages: `messages_to_dict`, `dumpd` and `dumps`, and dumps of the models.

    messages_to_dict   {"type": "human", "data": {"content": …}}
    dumpd, dumps       {"lc": 1, "type": "constructor", "id": [… "HumanMessage"], "kwargs": {…}}
    model_dump         {"type": "human", "content": …}

(langchain-core, messages/utils.py, load/dump.py and messages/base.py.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.importers.parts import (
    Json,
    call,
    content_of,
    data_url,
    image,
    mappings,
    marked,
    text_part,
)

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "system": "system",
    "tool": "tool",
    "function": "function",
    "chat": "",  # says its role itself
}
_THINKING = ("thinking", "redacted_thinking", "reasoning", "reasoning_content")
_CALLS = ("tool_use", "tool_call", "function_call", "invalid_tool_call")  # also in `tool_calls`


def is_item(value: Mapping[str, Any]) -> bool:
    """Whether an object is a message of LangChain."""
    return _kind(value) is not None


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a request has messages of LangChain."""
    return any(map(is_item, mappings(given.get("messages"))))


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:
    """The request in OpenAI form."""
    messages = []
    for item in given["messages"]:
        kind = _kind(item) if isinstance(item, Mapping) else None
        messages.append(item if kind is None else _message(kind, _fields(item), lost))
    return {**given, "messages": messages}


def _kind(value: Mapping[str, Any]) -> str | None:
    """The kind of a message: `human`, `ai`, …; None for what is none of LangChain's."""
    name = value.get("type")
    if name == "constructor" and value.get("lc") and isinstance(value.get("kwargs"), Mapping):
        path = value.get("id")
        name = path[-1] if isinstance(path, list) and path else None
    elif "role" in value or not (isinstance(value.get("data"), Mapping) or "content" in value):
        return None
    if not isinstance(name, str):
        return None
    name = name.removesuffix("Chunk").removesuffix("Message").lower()
    return name if name in _ROLES else None


def _fields(item: Mapping[str, Any]) -> Mapping[str, Any]:
    for key in ("data", "kwargs"):
        if isinstance(item.get(key), Mapping):
            fields: Mapping[str, Any] = item[key]
            return fields
    return item


def _message(kind: str, fields: Mapping[str, Any], lost: Counter[str]) -> Json:
    more = fields.get("additional_kwargs")
    more = more if isinstance(more, Mapping) else {}
    role = more.get("__openai_role__") or _ROLES[kind] or fields.get("role")
    calls = _calls(fields, more, lost) if kind == "ai" else []
    message: Json = {
        "role": role,
        "content": _content(fields.get("content"), lost, empty=None if calls else ""),
    }
    if kind == "tool":
        message = {"role": role, "tool_call_id": fields.get("tool_call_id"), **message}
        lost.update(["error flag of a tool result"] if fields.get("status") == "error" else [])
    elif isinstance(fields.get("name"), str):
        message["name"] = fields["name"]
    if kind == "ai":
        if isinstance(more.get("reasoning_content"), str):
            message["reasoning_content"] = more["reasoning_content"]
        if isinstance(more.get("refusal"), str):
            message["refusal"] = more["refusal"]
        if calls:
            message["tool_calls"] = calls
        elif isinstance(more.get("function_call"), Mapping):
            message["function_call"] = more["function_call"]
    return message


def _calls(fields: Mapping[str, Any], more: Mapping[str, Any], lost: Counter[str]) -> list[Json]:
    """The calls of a message: as the provider wrote them, where that was kept."""
    made = mappings(fields.get("tool_calls"))
    broken = mappings(fields.get("invalid_tool_calls"))
    raw = mappings(more.get("tool_calls"))
    ids = [one.get("id") for one in raw]
    if raw and all(one.get("id") in ids for one in made):
        return [dict(one) for one in raw]
    calls = [call(one.get("id"), one.get("name"), one.get("args")) for one in made]
    for one in broken:
        if one.get("id") and isinstance(one.get("name"), str):
            calls.append(call(one["id"], one["name"], one.get("args") or ""))
        else:
            lost["broken tool call"] += 1
    return calls


def _content(content: Any, lost: Counter[str], *, empty: str | None) -> Any:
    if isinstance(content, str):
        return content or empty
    if not isinstance(content, list):
        return empty if content is None else content
    parts = []
    for block in content:
        if isinstance(block, str):
            parts.append(text_part(block))
        elif isinstance(block, Mapping):
            parts += _part(block, lost)
        else:
            lost["part of an unknown kind"] += 1
    return content_of(parts, empty=empty)


def _part(block: Mapping[str, Any], lost: Counter[str]) -> list[Json]:
    kind = block.get("type")
    marker = block.get("cache_control")
    if kind in ("text", "text-plain", "input_text", "output_text") and isinstance(
        block.get("text"), str
    ):
        if block.get("annotations") or block.get("citations"):
            lost["text with citations"] += 1
        return [text_part(block["text"], marker)]
    if kind in ("image_url", "input_audio", "file") and isinstance(block.get(kind), Mapping | str):
        held = block[kind]
        return [marked(image(held), marker) if isinstance(held, str) else dict(block)]
    if kind == "image":
        source = block.get("source")
        inner = source if isinstance(source, Mapping) else block
        data = inner.get("base64") or inner.get("data")
        if isinstance(data, str):
            url = data_url(inner.get("mime_type") or inner.get("media_type"), data)
            return [marked(image(url), marker)]
        if isinstance(inner.get("url"), str):
            return [marked(image(inner["url"]), marker)]
    if kind in _THINKING:
        lost["thinking block"] += 1
    elif kind not in _CALLS:
        lost[f"{kind:.40} part" if isinstance(kind, str) else "part of an unknown kind"] += 1
    return []
