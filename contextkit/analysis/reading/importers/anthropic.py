"""Anthropic's messages: `system` beside the messages, blocks for calls, results and thinking.

(https://platform.claude.com/docs/en/api/messages, 2026-09.) Markers of cache points stay where they
stand; that of a tool result goes to the end of its text.
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
    function_tool,
    image,
    mappings,
    marked,
    text_part,
)

_BLOCKS = (
    "tool_use",
    "tool_result",
    "thinking",
    "redacted_thinking",
    "server_tool_use",
    "document",
)
_OF_TOOLS = ("strict",)


def reads(given: Mapping[str, Any]) -> bool:
    """Whether a request has a system prompt, blocks or tools of that form."""
    return (
        isinstance(given.get("system"), str | list)
        or any("input_schema" in tool for tool in mappings(given.get("tools")))
        or any(
            block.get("type") in _BLOCKS or "source" in block
            for message in mappings(given.get("messages"))
            for block in mappings(message.get("content"))
        )
    )


def convert(given: Mapping[str, Any], lost: Counter[str]) -> Json:
    """The request in OpenAI form."""
    request = {key: value for key, value in given.items() if key not in ("system", "messages")}
    messages: list[Any] = []
    system = given.get("system")
    if system:
        content = system if isinstance(system, str) else content_of(_parts(system, lost))
        messages.append({"role": "system", "content": content})
    for message in given.get("messages") or ():
        blocks = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(blocks, list):
            messages.append(message)
        elif message.get("role") == "assistant":
            messages.append(_assistant(message, blocks, lost))
        else:
            messages += _user(message, blocks, lost)
    if "tools" in request:
        request["tools"] = _tools(request["tools"], lost)
    return {**request, "messages": messages}


def _user(message: Mapping[str, Any], blocks: list[Any], lost: Counter[str]) -> list[Json]:
    """A message, and one before it for each tool result in it."""
    made: list[Json] = []
    rest = []
    for block in blocks:
        if isinstance(block, Mapping) and block.get("type") == "tool_result":
            made.append(_result(block, lost))
        else:
            rest.append(block)
    if rest or not made:
        made.append({**message, "content": content_of(_parts(rest, lost))})
    return made


def _result(block: Mapping[str, Any], lost: Counter[str]) -> Json:
    held = block.get("content")
    parts = [text_part(held)] if isinstance(held, str) else _parts(held or [], lost)
    marker = block.get("cache_control")
    if marker is not None:
        if parts and (parts[-1].get("text") or parts[-1]["type"] != "text"):
            parts[-1] = marked(parts[-1], marker)
        else:
            lost["cache point on an empty tool result"] += 1
    if block.get("is_error"):
        lost["error flag of a tool result"] += 1
    return {
        "role": "tool",
        "tool_call_id": block.get("tool_use_id"),
        "content": content_of(parts),
    }


def _assistant(message: Mapping[str, Any], blocks: list[Any], lost: Counter[str]) -> Json:
    calls = []
    said = []
    for block in blocks:
        if isinstance(block, Mapping) and block.get("type") == "tool_use":
            calls.append(call(block.get("id"), block.get("name"), block.get("input", {})))
            if block.get("cache_control") is not None:
                lost["cache point on a tool call"] += 1
        else:
            said.append(block)
    found = {**message, "content": content_of(_parts(said, lost), empty=None)}
    return {**found, "tool_calls": calls} if calls else found


def _parts(blocks: Any, lost: Counter[str]) -> list[Json]:
    parts: list[Json] = []
    for block in blocks if isinstance(blocks, list) else [blocks]:
        if isinstance(block, str):
            parts.append(text_part(block))
        elif isinstance(block, Mapping):
            parts += _part(block, lost)
        else:
            lost["block of an unknown kind"] += 1
    return parts


def _part(block: Mapping[str, Any], lost: Counter[str]) -> list[Json]:
    """A block as a content part; none where it has no counterpart."""
    kind, marker = block.get("type"), block.get("cache_control")
    if kind == "text" and isinstance(block.get("text"), str):
        if block.get("citations"):
            lost["text with citations"] += 1
        return [text_part(block["text"], marker)]
    held = block.get("source")
    source: Mapping[str, Any] = held if isinstance(held, Mapping) else {}
    data = source.get("data")
    if kind == "image":
        if isinstance(data, str):
            return [marked(image(data_url(source.get("media_type"), data)), marker)]
        if isinstance(source.get("url"), str):
            return [marked(image(source["url"]), marker)]
    if kind == "document" and isinstance(data, str):
        if source.get("type") == "text":
            if block.get("title") or block.get("context"):
                lost["title of a document"] += 1
            return [text_part(data, marker)]
        file = {"file_data": data_url(source.get("media_type"), data)}
        if isinstance(block.get("title"), str):
            file["filename"] = block["title"]
        return [marked({"type": "file", "file": file}, marker)]
    if kind in ("image_url", "input_audio", "file"):  # OpenAI's, among Anthropic's
        return [dict(block)]
    if kind in ("thinking", "redacted_thinking"):
        lost["thinking block"] += 1
    else:
        lost[f"{kind:.40} block" if isinstance(kind, str) else "block of an unknown kind"] += 1
    if marker is not None:
        lost["cache point on what was left out"] += 1
    return []


def _tools(given: Any, lost: Counter[str]) -> list[Json]:
    tools = []
    for tool in mappings(given):
        if "function" in tool:
            tools.append(dict(tool))
        elif "input_schema" in tool:
            tools.append(function_tool(tool, tool["input_schema"], keep=_OF_TOOLS))
        else:
            lost["tool of the provider"] += 1
    return tools
