"""Keeping: the mechanical block, in which a summary says word for word what its text lost.

    Kept word for word:
    - Never book anything before I said yes.
    Identifiers: RES-8841, mia_li_3668
    Dates and times: 2024-05-20, 11 AM EST

A sentence has a line of its own behind a hyphen; the rest stands by kind, so that a fact costs few
tokens beside its own. Every item is a piece of the messages and holds no line break, so no text of
theirs can begin a line of the block.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log2

from contextkit.summarizing.frame import HEADING
from contextkit.summarizing.mention import Fact, FactKind
from contextkit.summarizing.request import CountText
from contextkit.summarizing.stated import Stated

LABELS: dict[FactKind, str] = {
    "identifier": "Identifiers",
    "path": "Files",
    "date": "Dates and times",
    "number": "Numbers",
    "name": "Names",
}
_RULES = 0.6
"""Share of the block's room that sentences may take before anything else has its turn."""
# What one fact is worth beside another: without an identifier a tool cannot be called again.
_WORTH: dict[FactKind, float] = {
    "constraint": 6.0,
    "identifier": 3.0,
    "path": 3.0,
    "date": 2.0,
    "name": 2.0,
    "number": 1.5,
}


def kept_block(lost: Sequence[Fact], text: str, room: int, count: CountText) -> list[Fact]:
    """Those facts that a block of so many tokens can add to a text, worth most per token first.

    Tokens of each fact are counted once; what is in a sentence that is added is not added again.
    """
    room -= count(f"\n\n{HEADING}")
    rules = [fact for fact in lost if fact.kind == "constraint"]
    kept = _fill(rules, int(room * _RULES), count)
    said = Stated("\n".join([text, *(fact.text for fact in kept)]))
    others = [fact for fact in lost if fact.kind != "constraint" and not said.has(fact)]
    spent = sum(count(f"\n- {fact.text}") for fact in kept)
    more = _fill(others, room - spent, count)
    spent += sum(_cost(fact, count) for fact in more) + _labels(more, count)
    done = set(kept)
    left = [fact for fact in rules if fact not in done]
    return kept + more + _fill(left, room - spent, count)


def rendered(facts: Iterable[Fact]) -> str:
    """The block; empty where there is nothing to say."""
    facts = list(facts)
    if not facts:
        return ""
    lines = [HEADING]
    lines += [f"- {fact.text}" for fact in facts if fact.kind == "constraint"]
    for kind, label in LABELS.items():
        items = [fact.text for fact in facts if fact.kind == kind]
        if items:
            lines.append(f"{label}: {', '.join(items)}")
    return "\n".join(lines)


def _fill(facts: Sequence[Fact], room: int, count: CountText) -> list[Fact]:
    costs = {fact: _cost(fact, count) for fact in facts}
    kept: list[Fact] = []
    labels: set[FactKind] = {"constraint"}
    for fact in sorted(facts, key=lambda fact: -_worth(fact) / costs[fact]):
        cost = costs[fact]
        if fact.kind not in labels:
            cost += count(f"\n{LABELS[fact.kind]}:")
        if cost <= room:
            room -= cost
            labels.add(fact.kind)
            kept.append(fact)
    return kept


def _labels(facts: Iterable[Fact], count: CountText) -> int:
    kinds = {fact.kind for fact in facts} - {"constraint"}
    return sum(count(f"\n{LABELS[kind]}:") for kind in sorted(kinds))


def _cost(fact: Fact, count: CountText) -> int:
    return max(1, count(f"\n- {fact.text}" if fact.kind == "constraint" else f" {fact.text},"))


def _worth(fact: Fact) -> float:
    """What is said often, in many messages, and by the user is worth more."""
    often = 1 + log2(fact.messages) / 2 + log2(fact.mentions) / 8
    return _WORTH[fact.kind] * often * (1.5 if fact.by_user else 1.0)
