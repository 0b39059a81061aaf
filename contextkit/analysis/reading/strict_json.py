"""Strict JSON: values that can be read in one way only, and the lines where they begin."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"the key {twice!r:.60} stands twice in one object")
    return found


def _constant(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"the number {text:.20} is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_float)


def parse(text: str) -> Any:
    """A JSON value, strictly: each key once in an object, finite numbers, no end of nesting.

    Raises:
        ValueError: saying what is wrong.
    """
    return _deep(_DECODER.decode, text)


def _deep(decode: Callable[..., Any], *given: Any) -> Any:
    try:
        return decode(*given)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def parse_with_lines(text: str) -> tuple[Any, list[int]]:
    """A JSON value, and of a list the line of each item.

    Raises:
        ValueError: saying what is wrong; a JSONDecodeError where it says in which line.
    """
    at = _past_space(text, 0)
    if text[at : at + 1] != "[":
        return parse(text), []
    items: list[Any] = []
    lines: list[int] = []
    counted, line = 0, 1
    at = _past_space(text, at + 1)
    ended = text[at : at + 1] == "]"
    while not ended:
        line += text.count("\n", counted, at)
        counted = at
        lines.append(line)
        value, at = _deep(_DECODER.raw_decode, text, at)
        items.append(value)
        at = _past_space(text, at)
        ended = text[at : at + 1] == "]"
        if not ended:
            if text[at : at + 1] != ",":
                raise json.JSONDecodeError("Expecting ',' delimiter", text, at)
            at = _past_space(text, at + 1)
    at = _past_space(text, at + 1)
    if at < len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return items, lines


def _past_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
