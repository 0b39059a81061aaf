"""The promises with summaries, failures, preparation and clearing interleaved."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import contextkit as ck
from contextkit.grammar import violations
from contextkit.summarizing.request import SummaryRequest
from tests.support import SCOPE, Own, answer, builder, call, chat, kinds, result, user, wire


def counting() -> Any:
    """A summarizer that never writes the same twice, and remembers what it was asked."""

    def summarizer(request: SummaryRequest) -> str:
        summarizer.asked.append(request)  # type: ignore[attr-defined]
        return f"summary number {len(summarizer.asked)}"  # type: ignore[attr-defined]

    summarizer.asked = []  # type: ignore[attr-defined]
    return summarizer


def standing(context: ck.Context) -> list[str]:
    """What the summaries of a request say, in order."""
    return [m["content"] for m in context.messages if '<data name="summary"' in str(m["content"])]


# -- what was found wrong once -------------------------------------------------------------------


def test_a_summary_of_other_messages_is_another_one_though_they_begin_and_end_alike() -> None:
    summarizer, drops = counting(), [True]

    def drop(view: ck.View, goal: int) -> Iterator[ck.Edit]:
        if drops[0] and len(view.free) > 2 and view.free[1].kind == "turn":
            drops[0] = False
            yield view.drop(view.free[1], reason="small talk")

    built = builder(500, compaction=[Own(drop), ck.SummarizeOldest(summarizer, share=80)])
    history = ck.History(chat(20), scope=SCOPE)
    fork = history.fork()
    first, second = built.build(history), built.build(fork)
    covers = [next(e.covers for e in c.edits if e.kind == "summary") for c in (first, second)]

    assert (covers[0][0], covers[0][-1]) == (covers[1][0], covers[1][-1])
    assert covers[0] != covers[1]
    assert "summary number 2" in standing(second)[0]


def test_a_preparation_reads_what_a_build_would_send() -> None:
    """Calls without a result, and results to be clamped, are no news to it."""
    summarizer = counting()
    built = builder(
        800,
        arrival=[ck.ClampToolResults(60)],
        compaction=[ck.SummarizeOldest(summarizer, share=120)],
    )
    history = ck.History(scope=SCOPE)
    for n in range(4):
        history.extend([user(f"q{n} " * 40), call(f"a{n}", f"b{n}"), result(f"a{n}", "row " * 300)])
    history.extend([user("and? " * 30), answer("soon " * 30)])
    made = built.prepare(history, within=50)
    request = summarizer.asked[0]

    assert made.summaries
    assert violations(request["messages"]) == []
    history.append(user("well?"))
    sent = builder(9_000, arrival=[ck.ClampToolResults(60)]).build(history.fork()).messages
    assert request["messages"][:-1] == sent[: len(request["messages"]) - 1]


def test_a_new_summary_stands_behind_the_earlier_ones() -> None:
    """The user message of a long turn is protected while its steps are summarized."""
    summarizer = counting()
    built = builder(1_400, compaction=[ck.SummarizeOldest(summarizer, share=80)])
    history = ck.History([user("do all of it")], scope=SCOPE)
    covers: list[tuple[int, ...]] = []
    for n in range(95):  # before they are merged
        context = built.build(history)
        covers += [edit.covers for edit in context.edits if edit.kind == "summary"]
        if n % 30 == 29:
            history.extend([answer(f"done {n} " * 20), user(f"do more {n} " * 20)])
        else:
            history.extend([call(f"c{n}"), result(f"c{n}", f"row {n} " * 20)])

    assert len(covers) >= 4
    assert all(one[-1] < other[0] for one, other in zip(covers, covers[1:], strict=False))
    assert len({number for one in covers for number in one}) == sum(map(len, covers))
