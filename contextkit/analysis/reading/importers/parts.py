"""Parts: what the importers share: content parts, calls and tools in OpenAI form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from contextkit.errors import InputError

Json = dict[str, Any]


def text_part(text: str, marker: Any = None) -> Json:
    """A text part, with the marker of a cache point where there is one."""
    return marked({"type": "text", "text": text}, marker)


def marked(part: Json, marker: Any) -> Json:
    """A part with the marker of a cache point, where there is one."""
    return part if marker is None else {**part, "cache_control": marker}


def image(url: str, detail: Any = None) -> Json:
    """An image part."""
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def data_url(media_type: Any, data: str) -> str:
    """Base64 data as an address."""
    kind = media_type if isinstance(media_type, str) else "application/octet-stream"
    return f"data:{kind};base64,{data}"


def content_of(parts: list[Json], *, empty: str | None = "") -> Any:
    """Content of these parts: a single plain text as the text itself.

    Args:
        parts: in OpenAI form.
        empty: what stands for none.
    """
    if not parts:
        return empty
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def call(identifier: Any, name: Any, arguments: Any) -> Json:
    """A call of a function; arguments that are data become their JSON text."""
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": json_text(arguments)},
    }


def json_text(value: Any) -> str:
    """Text as it is; any other value as JSON.

    Raises:
        InputError: it is nested too deep.
    """
    try:
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError as error:
        raise InputError("is nested too deep", place="arguments") from error


def function_tool(
    tool: Mapping[str, Any], schema: Any, *, keep: Iterable[str] = ("strict",)
) -> Json:
    """A tool whose name and description stand at its top, in OpenAI form."""
    function = {"name": tool.get("name")}
    if tool.get("description") is not None:
        function["description"] = tool["description"]
    if schema is not None:
        function["parameters"] = schema
    function |= {key: tool[key] for key in keep if tool.get(key) is not None}
    return marked({"type": "function", "function": function}, tool.get("cache_control"))


def mappings(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list; none where it is none."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
