"""Facts: what a summary must carry, as it stands in the messages: identifiers, numbers, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

FactKind = Literal["constraint", "identifier", "path", "date", "number", "name"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a text states, word for word.

    Attributes:
        kind: what sort of fact.
        text: as it stands where it was first said.
        key: what two mentions of it have in common.
        mentions: how often it is said.
        by_user: whether a user message says it.
    """

    kind: FactKind
    text: str
    key: str
    mentions: int = 1
    by_user: bool = False

    @property
    def needed(self) -> bool:
        """Whether a summary must carry it: said twice, or said by the user."""
        return self.mentions > 1 or self.by_user


def facts_of(messages: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """The facts of some messages, in the order in which they are first said."""
    return []


def lost(facts: Iterable[Fact], text: str) -> list[Fact]:
    """Those facts that a text does not state."""
    return []
