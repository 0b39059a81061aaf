"""Reading: the texts of messages: what was said, and the values of arguments and results.

Keys of messages (ids, roles, names of fields) are no text of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from contextkit.messages import called, text_of
from contextkit.summarizing.frame import without_frame


class Reading(NamedTuple):
    """One text of a message.

    Attributes:
        number: of the message, counted from 0.
        role: of the message.
        text: what it says; of JSON the values, a line each.
        values: of JSON the values; none of other texts.
        beside: what else the model saw there: keys of JSON, the name of the tool.
    """

    number: int
    role: str
    text: str
    values: frozenset[str] | None = None
    beside: str = ""


def read(messages: Sequence[Mapping[str, Any]]) -> list[Reading]:
    """The texts of some messages, in their order."""
    return [
        reading for number, message in enumerate(messages) for reading in _texts(number, message)
    ]


def source_of(readings: Iterable[Reading]) -> str:
    """All that the texts say, and what stands beside them."""
    return "\n".join(
        piece for reading in readings for piece in (reading.text, reading.beside) if piece
    )


def _texts(number: int, message: Mapping[str, Any]) -> Iterator[Reading]:
    role = str(message.get("role"))
    content = text_of(message)
    if content:
        yield _read(number, role, without_frame(content))
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list | tuple) else ():
        if isinstance(call, Mapping):
            name, arguments = called(call)
            if arguments:
                yield _read(number, role, arguments, name)


def _read(number: int, role: str, text: str, name: str = "") -> Reading:
    if text.lstrip()[:1] not in ("{", "["):
        return Reading(number, role, text, None, name)
    try:
        # Numbers stay as they are written, however long.
        data = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return Reading(number, role, text, None, name)
    values: list[str] = []
    keys: dict[str, None] = {name: None} if name else {}
    rest = [data]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            values.append(value)
        elif isinstance(value, dict):
            keys.update(dict.fromkeys(value))
            rest += reversed(value.values())
        elif isinstance(value, list):
            rest += reversed(value)
    return Reading(number, role, "\n".join(values), frozenset(values), "\n".join(keys))
