"""How the contracts say what is not kept: not by `assert`, which `python -O` leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from contextkit.errors import ContextKitError


def promise(kept: bool, *, what: str) -> None:
    """Raises AssertionError with what is not kept."""
    if not kept:  # not an assert, which `python -O` leaves out
        raise AssertionError(what)


def refuses(what: Callable[[], Any], error: type[ContextKitError], why: str) -> str:
    """The text of the error, or AssertionError where none is raised."""
    try:
        what()
    except error as caught:
        return str(caught)
    raise AssertionError(f"refused is: {why}")


def said(value: Any) -> str:
    """A value as text that tells apart what == takes for equal."""
    return repr(value)  # unlike ==, tells 1, 1.0 and True apart, and the order of keys
