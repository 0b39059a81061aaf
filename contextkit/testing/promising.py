"""How the contracts say what is not kept: not by `assert`, which `python -O` leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from contextkit.errors import ContextKitError


def promise(kept: bool, *, what: str) -> None:
    """Raises AssertionError with what is not kept."""
    if not kept:  # not an assert, which `python -O` leaves out
        raise AssertionError(what)


def refuses(what: Callable[[], Any], error: type[ContextKitError], why: str) -> str:
    """The text of the error, or AssertionError where none is raised, or another one."""
    try:
        what()
    except error as caught:
        return str(caught)
    except ContextKitError:
        raise
    except Exception as other:
        given = type(other).__name__
        raise AssertionError(f"refused with {error.__name__}, not {given}, is: {why}") from other
    raise AssertionError(f"refused is: {why}")


@contextmanager
def told_by_name(what: Callable[[], str]) -> Iterator[None]:
    """What is raised inside becomes AssertionError, which says what is promised instead."""
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        raise AssertionError(f"{what()}, not {type(error).__name__}: {error}") from error


def said(value: Any) -> str:
    """A value as text that tells apart what == takes for equal."""
    return repr(value)  # unlike ==, tells 1, 1.0 and True apart, and the order of keys
