"""Tools in the one form and order that keeps the prefix of a conversation where it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from contextkit.errors import InputError
from contextkit.messages import LARGEST_INT, canonical_json

Form = Literal["data", "schema", "names"]
"""What a value is: plain data, a JSON Schema, or a mapping from names to schemas."""

_TOOL_KEYS = ("type", "function", "custom", "name", "description", "strict", "parameters")
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_DATA = frozenset({"default", "const", "enum", "example", "examples"})
_DEEPEST = 100


def canonical_tools(
    tools: Iterable[Mapping[str, Any]], first_seen: Sequence[dict[str, Any]] = ()
) -> tuple[dict[str, Any], ...]:
    """Tools in canonical form and order.

    At the start of a conversation they are sorted by name, with a fixed order of the keys outside
    the schema and `required` sorted (a set in JSON Schema). The order of `properties`, `enum`,
    `oneOf` and `anyOf` stays: it changes what models write. Afterwards `first_seen`, the result of
    the call before, wins: a tool that means the same keeps its bytes and its place, a changed
    definition takes the old one's place, late tools are appended in order of name, and removed
    ones leave. The tools of `first_seen` are shared, not copied.

    Raises:
        InputError: a tool without a name, a name that stands twice, a value that is not JSON.
    """
    given: dict[str, dict[str, Any]] = {}
    for position, tool in enumerate(tools):
        place = f"tools[{position}]"
        canonical = _canonical_tool(tool, place)
        name = _tool_name(canonical, place)
        if name in given:
            raise InputError(f"a tool named {name!r} stands there already", place=place)
        given[name] = canonical
    result = []
    for position, earlier in enumerate(first_seen):
        place = f"first_seen[{position}]"
        later = given.pop(_tool_name(earlier, place), None)
        if later is not None:
            same = canonical_json(_canonical_tool(earlier, place)) == canonical_json(later)
            result.append(earlier if same else later)
    return (*result, *(given[name] for name in sorted(given)))


def chat_tools(tools: Iterable[Mapping[str, Any]] | None) -> tuple[dict[str, Any], ...]:
    """Canonical tools of the form that chat completions take, with their `type` outside.

    Raises:
        InputError: as `canonical_tools`, and for a tool in the form of the Responses API.
    """
    if tools is None:
        return ()
    if isinstance(tools, str | bytes | Mapping) or not isinstance(tools, Iterable):
        raise InputError(f"is a list of tools, not {type(tools).__name__}", place="tools")
    found = canonical_tools(tools)
    for tool in found:
        kind = tool.get("type")
        if not isinstance(kind, str) or not isinstance(tool.get(kind), Mapping):
            raise InputError(
                'chat completions take {"type": "function", "function": {"name": …}}',
                place=f"tool {_tool_name(tool, 'tools')!r}",
            )
        parameters = tool[kind].get("parameters")
        if parameters is not None and not isinstance(parameters, Mapping):
            raise InputError(
                f"are a JSON Schema, a dict, not {type(parameters).__name__}",
                place=f"tool {_tool_name(tool, 'tools')!r}.{kind}.parameters",
            )
    return found


def _canonical_tool(tool: Any, place: str) -> dict[str, Any]:
    if not isinstance(tool, Mapping):
        raise InputError(f"a tool is a dict, not {type(tool).__name__}", place=place)
    return ordered_keys(json_copy(tool, place, "schema"))


def _tool_name(tool: Mapping[str, Any], place: str) -> str:
    """The name of a tool: of a function, of a custom tool, or on the tool itself."""
    for inner in (tool.get("function"), tool.get("custom"), tool):
        if isinstance(inner, Mapping) and isinstance(inner.get("name"), str) and inner["name"]:
            return str(inner["name"])
    raise InputError("a tool needs a name", place=f"{place}.function.name")


def ordered_keys(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A tool with its own keys, and those of its function, in the fixed order; the schema as is."""
    known = [key for key in _TOOL_KEYS if key in tool]
    ordered = {key: tool[key] for key in (*known, *sorted(tool.keys() - set(known)))}
    for key in ("function", "custom"):
        if isinstance(ordered.get(key), Mapping):
            ordered[key] = ordered_keys(ordered[key])
    return ordered


def json_copy(value: Any, place: str, form: Form = "data", depth: int = 0) -> Any:
    """A deep copy of JSON; in a schema, the lists under `required` come out sorted.

    Raises:
        InputError: the first value that is not JSON, with its place.
    """
    if isinstance(value, int) and value.bit_length() > LARGEST_INT:
        raise InputError("is an integer of thousands of digits", place=place)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _checked_text(value, place)
    if isinstance(value, float) and math.isfinite(value):
        return value
    if depth > _DEEPEST:
        raise InputError(
            f"is nested more than {_DEEPEST} levels deep, or holds itself", place=f"{place:.60}…"
        )
    if isinstance(value, list | tuple):
        return [
            json_copy(item, f"{place}[{position}]", form, depth + 1)
            for position, item in enumerate(value)
        ]
    if isinstance(value, Mapping):
        copied = {}
        for key, item in value.items():
            inside = f"{place}.{_checked_text(key, place)}"
            copied[key] = json_copy(item, inside, _form_below(form, key), depth + 1)
        if form == "schema" and _is_names(copied.get("required")):
            copied["required"] = sorted(copied["required"])
        return copied
    raise InputError(f"{value!r} is not JSON"[:200], place=place)


def _checked_text(text: Any, place: str) -> str:
    if not isinstance(text, str):
        raise InputError(f"keys are strings, not {text!r}"[:200], place=place)
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError("holds a lone surrogate, which cannot be sent as UTF-8", place=place)
    return str.__str__(text)  # of an enum member: its text


def _form_below(form: Form, key: str) -> Form:
    if form == "names":  # the keys are the user's own, and "required" is one like any other
        return "schema"
    if form == "schema" and key in _BY_NAME:
        return "names"
    return "data" if key in _DATA else form


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)
