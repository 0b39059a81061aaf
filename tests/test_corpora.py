"""Corpora are bounded, and each is what its conversation is now, whatever was asked before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.retrieval.corpora import Corpora, Kept
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change
from tests.support import builder


def grow(kept: Kept, texts: list[str]) -> None:
    kept.advance(
        lambda number: "/".join(texts[: number + 1]), [None] * len(texts), lambda n: said(texts, n)
    )


def said(texts: list[str], number: int) -> Passage | None:
    return Passage(texts[number], number=number) if texts[number] else None


def test_conversations_without_passages_count() -> None:
    corpora = Corpora(most=100)
    for number in range(500):
        corpora.of(number)
    assert len(corpora._kept) == 50


def test_messages_without_text_count() -> None:
    corpora = Corpora(most=100)
    for number in range(10):
        grow(corpora.of(number), [""] * 400)
    assert len(corpora._kept) == 2


def test_what_grows_drives_out_what_was_asked_longest_ago() -> None:
    corpora = Corpora(most=100)
    for key in "abc":
        grow(corpora.of(key), ["text"] * 25)
    corpora.of("a")
    first = corpora.of("c")
    grow(first, ["text"] * 50)
    assert list(corpora._kept) == ["a", "c"], "b was asked longest ago"
    first.change(Change(0, [Passage("part", number=at) for at in range(300)], ("mark",)), _as_it_is)
    assert corpora.of("c") is first, "what is asked stays, however large"
    assert len(corpora.of("a").corpus) == 0
    assert list(corpora._kept) == ["a"]
    assert corpora._kept.size == 2


def _as_it_is(passage: Passage) -> Passage:
    return passage


# -- what a conversation has now -------------------------------------------------------------


@given(st.lists(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=6), max_size=8))
def test_a_corpus_is_of_the_messages_and_times_that_are_there(
    asked: list[list[tuple[int, int]]],
) -> None:
    kept = Kept(Corpus())
    for messages in asked:
        texts, times = [f"text {text}" for text, _ in messages], [float(at) for _, at in messages]
        kept.advance(
            lambda number: "/".join(texts[: number + 1]),  # noqa: B023 - called at once
            times,
            lambda n: Passage(texts[n], number=n, date=str(times[n])),  # noqa: B023 - the same
        )
        held = [(passage.text, passage.date) for passage in kept.corpus.passages]
        assert held == [(text, str(time)) for text, time in zip(texts, times, strict=True)]


def test_the_dates_that_are_shown_are_those_of_the_conversation_that_asks() -> None:
    """The same messages with times and without: whatever this process was asked before."""
    said = ["The code of the vault is 4711.", *(f"Rain, day {n}. " * 9 for n in range(9))]
    built = builder(400, tail=[ck.Retrieve(share=100)], compaction=[ck.KeepLast(1)])

    def asked(by: ck.ContextBuilder, time: float | None) -> str:
        history = ck.History(scope=ck.Scope("acme", "u1", "42"))
        history.id = "the same"
        history.extend(said, time=time)
        history.append("What is the code of the vault?", time=time)
        return str(by.build(history).request()["messages"])

    for time in (None, 1e9, None, 2e9, 1e9):
        sent = asked(built, time)
        anew = builder(400, tail=[ck.Retrieve(share=100)], compaction=[ck.KeepLast(1)])
        assert sent == asked(anew, time)
        assert "4711" in sent
        assert ("2001-09-09" in sent) == (time == 1e9)
