"""Entry, Group, Span: the atoms that the view is made of and that strategies may touch.

A *group* is what only goes or stays whole: a single message, or a *step*, one assistant message
with the results of all its tool calls. A *span* is what one cut may take: a finished turn, or one
step of the running turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from contextkit.edits import Edit
from contextkit.messages import Message, call_ids

GroupKind = Literal["system", "user", "step", "summary"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of the built array.

    Attributes:
        numbers: the messages that it stands for; none for the stub of a missing result.
        data: the message as it is sent. Shared: read, never write.
        tokens: what it adds to a request, template overhead included.
        edit: the edit that shows it; None for a message that is shown as it is.
        inserts: the edits whose text was added to it.
    """

    numbers: tuple[int, ...]
    data: dict[str, Any] = field(repr=False)
    tokens: int
    edit: Edit | None = None
    inserts: tuple[Edit, ...] = ()

    @property
    def number(self) -> int:
        """The first message that it stands for; -1 for a stub."""
        return self.numbers[0] if self.numbers else -1

    @property
    def role(self) -> str:
        """The role of the message that is sent."""
        return str(self.data["role"])


@dataclass(frozen=True, slots=True)
class Group:
    """Messages that only go or stay together.

    Attributes:
        kind: `system` (inside the history), `user`, `step` or `summary`.
        start: the number of its first message.
        turn: which turn it belongs to, counted from 0.
        entries: its messages as they are sent.
        tokens: their sum.
        pinned: protected from every strategy.
        open: ids of the tool calls that have no result yet.
    """

    kind: GroupKind
    start: int
    turn: int
    entries: tuple[Entry, ...]
    tokens: int
    pinned: bool = False
    open: tuple[str, ...] = ()

    @classmethod
    def of(cls, number: int, message: Message, tokens: int, turn: int, *, pinned: bool) -> Group:
        """The group that a message other than a tool result begins."""
        role = message.role
        kind: GroupKind
        if role == "user":
            kind = "user"
        elif role == "assistant":
            kind = "step"
        else:
            kind = "system"
        return cls(
            kind=kind,
            start=number,
            turn=turn,
            entries=(Entry((number,), message.data, tokens),),
            tokens=tokens,
            pinned=pinned,
            open=call_ids(message.data) if kind == "step" else (),
        )

    @property
    def numbers(self) -> tuple[int, ...]:
        """The messages that it stands for."""
        if len(self.entries) == 1:
            return self.entries[0].numbers
        return tuple(number for entry in self.entries for number in entry.numbers)

    def with_result(self, entry: Entry, *, pinned: bool = False) -> Group:
        """The step with one more result behind the others."""
        identifier = entry.data.get("tool_call_id")
        return replace(
            self,
            entries=(*self.entries, entry),
            tokens=self.tokens + entry.tokens,
            pinned=self.pinned or pinned,
            open=tuple(call for call in self.open if call != identifier),
        )

    def with_entry(self, position: int, entry: Entry) -> Group:
        """The group with the entry at a position replaced."""
        entries = (*self.entries[:position], entry, *self.entries[position + 1 :])
        return replace(
            self,
            entries=entries,
            tokens=self.tokens - self.entries[position].tokens + entry.tokens,
        )


@dataclass(frozen=True, slots=True)
class Span:
    """What one cut may take: a finished turn, a step of the running turn, or a summary.

    Attributes:
        kind: `turn`, `step` or `summary`.
        groups: the groups that go, in order; pinned ones are not among them.
        tokens: what goes with them.
    """

    kind: Literal["turn", "step", "summary"]
    groups: tuple[Group, ...]
    tokens: int

    @classmethod
    def of(cls, kind: Literal["turn", "step", "summary"], groups: Iterable[Group]) -> Span:
        """A span of some groups."""
        held = tuple(groups)
        return cls(kind, held, sum(group.tokens for group in held))

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its messages as they are sent."""
        return tuple(entry for group in self.groups for entry in group.entries)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The numbers of the messages that it stands for, ascending."""
        return tuple(sorted(number for group in self.groups for number in group.numbers))
