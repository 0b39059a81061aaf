"""Measured: what stands in a context of what a conversation said, as counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self, get_args

from contextkit.analysis.examining.answers import Asked, Text, answerable
from contextkit.analysis.replaying.charged import Sums
from contextkit.analysis.transcripts import Transcript
from contextkit.messages import SYSTEM_ROLES, text_of
from contextkit.strategies.blocks import text_in
from contextkit.summarizing.facts import Fact, facts_of
from contextkit.summarizing.frame import UNSUPPORTED
from contextkit.summarizing.kept import kept_of, said
from contextkit.summarizing.mention import FactKind
from contextkit.summarizing.reading import read, source_of
from contextkit.summarizing.stated import not_in

KINDS: tuple[str, ...] = get_args(FactKind)
"""Of facts, in the order of the table."""

Messages = Sequence[Mapping[str, Any]]

_HEADING = re.compile(r"Summary of messages \d+ to \d+ [^\n]*:\n")


@dataclass(slots=True)
class Share:
    """How many are kept, and of how many."""

    kept: int = 0
    of: int = 0

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.kept / self.of if self.of else None

    def __iadd__(self, other: Self) -> Self:
        self.kept += other.kept
        self.of += other.of
        return self


@dataclass(slots=True)
class Measured:
    """What was measured of one conversation, or of several added up.

    Attributes:
        facts: by kind, of what is hidden, those that still stand.
        needed: the same of the needed ones, of all kinds.
        whole: needed facts of the whole conversation that stand.
        stated: facts that the summaries state, kept those that the conversation has.
        answers: questions whose answer stands.
        evidence: sentences of their evidence that stand word for word.
        span: tokens of what is hidden, kept those shown in its place.
        hidden: messages that are hidden.
        texts: summaries that stand.
        failures: why strategies were passed over and summaries refused, and how often.
        sums: what the requests were charged.
        each: by question, whether its answer stands.
    """

    facts: dict[str, Share] = field(default_factory=lambda: {kind: Share() for kind in KINDS})
    needed: Share = field(default_factory=Share)
    whole: Share = field(default_factory=Share)
    stated: Share = field(default_factory=Share)
    answers: Share = field(default_factory=Share)
    evidence: Share = field(default_factory=Share)
    span: Share = field(default_factory=Share)
    hidden: int = 0
    texts: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    sums: Sums = field(default_factory=Sums)
    each: tuple[bool, ...] = ()

    @property
    def stood(self) -> Share:
        """Of what is hidden, the facts of all kinds that still stand, needed or not."""
        total = Share()
        for share in self.facts.values():
            total += share
        return total

    def __iadd__(self, other: Self) -> Self:
        for kind, share in other.facts.items():
            self.facts[kind] += share
        for name in (one.name for one in fields(self) if one.name != "facts"):
            mine = getattr(self, name)
            mine += getattr(other, name)
            setattr(self, name, mine)
        return self


class Paper:
    """What a conversation is examined in: its facts, and its questions.

    Args:
        transcript: the conversation.
        end: how many of its messages have been said.
    """

    def __init__(self, transcript: Transcript, end: int) -> None:
        self.messages = transcript.messages[:end]
        talk = [one for one in self.messages if one.get("role") not in SYSTEM_ROLES]
        self.needed = [fact for fact in facts_of(talk) if fact.needed]
        self.asked: list[Asked] = answerable(transcript.questions, self.messages)
        self._source: tuple[dict[tuple[FactKind, str], Fact], str] | None = None

    def measured(self, hidden: Messages, shown: Messages) -> Measured:
        """What of some hidden messages, and of the whole, stands in what is shown."""
        found = Measured(hidden=len(hidden))
        kept = kept_of(hidden, shown, self.needed)
        for kind in KINDS:
            found.facts[kind] = Share(*kept.counts((kind,)))
        found.needed = Share(*kept.counts(needed=True))
        found.whole = Share(len(self.needed) - len(kept.others_lost), len(self.needed))
        if self.asked:
            text = Text.of(shown)
            marks = [text.keeps(one) for one in self.asked]
            found.each = tuple(stands for stands, _ in marks)
            found.answers = Share(sum(found.each), len(marks))
            found.evidence = Share(
                sum(sentences for _, sentences in marks),
                sum(len(one.evidence) for one in self.asked),
            )
        return found

    def stated(self, text: str) -> Share:
        """The facts that a summary states, kept those that the conversation has.

        What it says itself not to have found in the messages is not held against it again.
        """
        lines = [line for line in text.split("\n") if not line.startswith(UNSUPPORTED)]
        stated = facts_of([{"role": "assistant", "content": "\n".join(lines)}])
        if self._source is None:
            facts = {(fact.kind, fact.key): fact for fact in facts_of(self.messages)}
            # As it stands, too: a summary may cite the arguments of a call as they are written.
            self._source = facts, f"{source_of(read(self.messages))}\n{said(self.messages)}"
        facts, source = self._source
        doubtful = [fact for fact in stated if (fact.kind, fact.key) not in facts]
        made_up = not_in(doubtful, list(facts.values()), source) if doubtful else []
        return Share(len(stated) - len(made_up), len(stated))


def summary_text(message: Mapping[str, Any]) -> str:
    """What a summary says, without the frame in which it stands in a conversation."""
    text = text_of(message)
    return _HEADING.sub("", text_in(text), count=1) if text.startswith("<data ") else text
