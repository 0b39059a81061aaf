"""Facts: what a summary must carry, as it stands in the messages: identifiers, numbers, rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from contextkit.summarizing.gathering import Gathered
from contextkit.summarizing.mention import Fact, FactKind
from contextkit.summarizing.reading import Reading, read
from contextkit.summarizing.stated import Stated

__all__ = ["Fact", "FactKind", "facts_in", "facts_of", "lost"]


def facts_of(messages: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """The facts of some messages, in the order in which they are first said.

    They come from the text of the messages, and from the arguments and results of tool calls: of
    JSON from its values. Identifiers (also e-mail addresses, URLs, versions, codes in capitals),
    file paths, dates and times, numbers with their unit, names (words with capitals inside a
    sentence, what is quoted in scripts without them), and sentences that instruct. No facts are
    single digits without a unit and the numbers of lists and lines.

    Pure, and linear in the length of the messages.
    """
    return facts_in(read(messages))


def facts_in(readings: Iterable[Reading]) -> list[Fact]:
    """The facts of texts that were read: see `facts_of`."""
    gathered = Gathered()
    for reading in readings:
        gathered.add(reading)
    return gathered.facts()


def lost(facts: Iterable[Fact], text: str) -> list[Fact]:
    """Those facts that a text does not state.

    A fact is stated by any common way to write it: other case (names excepted), white space or
    punctuation around it, separators of thousands, forms of a date; and by something fuller: a
    date with its year, a file with its folder. 12 is not stated by 1234, nor ORD-1 by ORD-12.
    """
    stated = Stated(text)
    return [fact for fact in facts if not stated.has(fact)]
