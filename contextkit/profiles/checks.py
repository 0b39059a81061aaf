"""Checks of the figures in profiles: what cannot be is an error where it is written down."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from math import isfinite
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from contextkit.errors import ProfileError

MOST = 10.0
"""The highest ratio to the price of an uncached input token that is no slip of the pen."""


def check_types(entry: Any) -> None:
    """That every field of a dataclass has a value of the type that it is annotated with.

    Raises:
        ProfileError: with the field and its value.
    """
    kind: Any = type(entry)
    hints = _hints(kind)
    for field in fields(entry):
        value = getattr(entry, field.name)
        if not _fits(value, hints[field.name]):
            raise ProfileError(
                f"{_place(entry, field.name)} cannot be {value!r:.60}: {_words(hints[field.name])}"
            )


def check_number(
    entry: Any, name: str, *, least: float = 0, most: float | None = None, above: bool = False
) -> None:
    """That a figure is finite, at least `least` (or above it) and at most `most`; None is unknown.

    Raises:
        ProfileError: with the field and its value.
    """
    value = getattr(entry, name)
    if value is None:
        return
    low = value <= least if above else value < least
    if not isfinite(value) or low or (most is not None and value > most):
        bounds = f"{'above' if above else 'at least'} {least:g}"
        if most is not None:
            bounds += f" and at most {most:g}"
        raise ProfileError(f"{_place(entry, name)} cannot be {value!r}: it is finite, {bounds}")


def check_names(entry: Any) -> None:
    """That `unverified` names fields that there are.

    Raises:
        ProfileError: with the name that is none.
    """
    known = {field.name for field in fields(entry)}
    for name in entry.unverified:
        if name not in known:
            raise ProfileError(f"{_place(entry, 'unverified')} names {name!r}, which is no field")


def _place(entry: Any, name: str) -> str:
    of = getattr(entry, "name", "")
    return f"{type(entry).__name__}.{name}" + (f" of {of!r}" if of else "")


@cache
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls)


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a value is of a type; a whole number is a number, True is none."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if wanted is Any:
        return True
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(one, inner[0]) for one in value)
    if origin is not None:
        return isinstance(value, Mapping) and all(
            _fits(key, inner[0]) and _fits(one, inner[1]) for key, one in value.items()
        )
    if wanted in (int, float):
        numbers = int if wanted is int else int | float
        return isinstance(value, numbers) and not isinstance(value, bool)
    return isinstance(value, wanted)


def _words(wanted: Any) -> str:
    """A type in words, for a message."""
    origin, inner = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return "one of " + ", ".join(inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(one) for one in inner)
    if origin is tuple:
        return f"a tuple of {_words(inner[0])}"
    if origin is not None:
        return "a dict"
    if is_dataclass(wanted):
        return getattr(wanted, "__name__", "")
    plain = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    return plain.get(wanted, getattr(wanted, "__name__", str(wanted)).replace("NoneType", "None"))
