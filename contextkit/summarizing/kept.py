"""Kept: what of the facts of hidden messages still stands in what is shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.messages import called, canonical_json, text_of
from contextkit.summarizing.facts import Fact, facts_of, lost
from contextkit.summarizing.reading import read, source_of

Messages = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Kept:
    """Facts, and which of them are lost.

    Attributes:
        facts: what the hidden messages state.
        lost: those that stand nowhere in what is shown.
        others_lost: the same of other facts that were asked about.
    """

    facts: tuple[Fact, ...]
    lost: tuple[Fact, ...]
    others_lost: tuple[Fact, ...] = ()

    def counts(self, kinds: Collection[str] = (), *, needed: bool = False) -> tuple[int, int]:
        """How many facts are kept, and how many there are.

        Args:
            kinds: only these; empty for all.
            needed: only those that a summary must carry: said twice, or by the user.
        """
        of, gone = (
            sum((not kinds or fact.kind in kinds) and (fact.needed or not needed) for fact in facts)
            for facts in (self.facts, self.lost)
        )
        return of - gone, of


def kept_of(hidden: Messages, shown: Messages, others: Sequence[Fact] = ()) -> Kept:
    """What of the facts of some messages stands in others, and perhaps what of other facts."""
    facts = tuple(facts_of(hidden))
    gone = set(lost([*facts, *others], source_of(read(shown))))
    return Kept(
        facts,
        tuple(fact for fact in facts if fact in gone),
        tuple(fact for fact in others if fact in gone),
    )


def hidden_numbers(messages: Messages, shown: Messages) -> list[int]:
    """The numbers of messages that are not shown as they were.

    Compared is what a message says, whatever its cache markers; of messages that say the same, the
    newest are taken for those that are shown.
    """
    left = Counter(map(_saying, shown))
    numbers = []
    for number in range(len(messages) - 1, -1, -1):
        key = _saying(messages[number])
        if left[key]:
            left[key] -= 1
        else:
            numbers.append(number)
    return numbers[::-1]


def said(messages: Iterable[Mapping[str, Any]]) -> str:
    """All that some messages say: texts, and the names and arguments of calls."""
    return "\n\n".join(filter(None, map(said_by, messages)))


def said_by(message: Mapping[str, Any]) -> str:
    """What one message says: its text, and the names and arguments of its calls."""
    calls = [" ".join(called(call)).strip() for call in message.get("tool_calls") or ()]
    return "\n".join(filter(None, [text_of(message), *calls]))


def _saying(message: Mapping[str, Any]) -> tuple[str, str, str]:
    calls = message.get("tool_calls") or message.get("tool_call_id") or ""
    media = (
        [
            {key: value for key, value in part.items() if key != "cache_control"}
            for part in message["content"]
            if isinstance(part, Mapping) and part.get("type") != "text"
        ]
        if isinstance(message.get("content"), list)
        else []
    )
    return str(message.get("role")), text_of(message), canonical_json([calls, media])
