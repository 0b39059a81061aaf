"""Volatile: a value that changes, such as the time, rendered once per user message at the tail."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import InputError
from contextkit.strategies.blocks import block, check_name
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Volatile:
    """Put a changing value behind the newest user message, where it is kept as it was.

    In the system prompt it would move the prefix with every change.

    Attributes:
        name: what the value is called, as the model reads it.
        value: gives the value, None for none; called at the first build of each user message.
        share: tokens reserved for it.
    """

    phase: ClassVar[str] = "tail"
    name: str
    value: Callable[[], object]
    share: int = 64

    def __post_init__(self) -> None:
        if not callable(self.value):
            raise InputError(
                f"is a callable that gives the value, not {self.value!r:.60}",
                place="Volatile.value",
            )
        if inspect.iscoroutinefunction(self.value):
            raise InputError("is async: give a plain function", place="Volatile.value")
        check_name(self.name, "Volatile.name")
        whole_number("Volatile.share", self.share, least=1)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """Insert the value; nothing where there is none."""
        value = self.value()
        if value is None:
            return
        if isinstance(value, bytes | bytearray) or inspect.isawaitable(value):
            if inspect.iscoroutine(value):
                value.close()
            raise InputError(f"gave {type(value).__name__}, no text", place="Volatile.value")
        yield view.insert(
            block(view.history, self.name, str(value)),
            reason=f"value of {self.name!r} when the message was first sent",
            by=type(self).__name__,
        )
