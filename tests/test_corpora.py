"""Corpora are bounded, and each is what its conversation is now, whatever was asked before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.retrieval.corpora import Corpora, Kept
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change
from tests.support import builder


def grow(kept: Kept, texts: list[str]) -> None:
    kept.advance(lambda number: "/".join(texts[: number + 1]), len(texts), lambda n: said(texts, n))


def said(texts: list[str], number: int) -> Passage | None:
    return Passage(texts[number], number=number) if texts[number] else None


def test_conversations_without_passages_count() -> None:
    corpora = Corpora(max_bytes=50 * Kept(Corpus()).size)
    for number in range(500):
        corpora.of(number)
    assert len(corpora._kept) == 50


def test_messages_without_text_count() -> None:
    corpora = Corpora(max_bytes=40 * Kept(Corpus()).size)
    for number in range(10):
        grow(corpora.of(number), [""] * 400)
    assert len(corpora._kept) == 2


def test_corpora_of_huge_messages_go_as_their_words_do() -> None:
    huge = " ".join(f"{at}word" for at in range(2_000))
    grow(kept := Kept(Corpus()), [huge])
    assert kept.size > 2_000 * 900, "one passage"
    bounded = Corpora(max_bytes=5 * kept.size)
    for number in range(20):
        grow(bounded.of(number), [huge])
    assert list(bounded._kept) == [15, 16, 17, 18, 19]
    assert bounded._kept.size <= 5 * kept.size


def test_what_was_taken_away_weighs_nothing() -> None:
    kept = Kept(Corpus())
    empty = kept.size
    grow(kept, ["one and another", "the third of 2026-05-08"])
    whole = kept.size
    kept.corpus.hold({address: np.ones(8) / 8**0.5 for address in kept.corpus.wanted()})
    assert kept.size == whole + 2 * 8 * 4
    grow(kept, [])
    assert kept.size == empty


def test_what_grows_drives_out_what_was_asked_longest_ago() -> None:
    grow(one := Kept(Corpus()), ["text"] * 25)
    corpora = Corpora(max_bytes=3 * one.size)
    for key in "abc":
        grow(corpora.of(key), ["text"] * 25)
    corpora.of("a")
    first = corpora.of("c")
    grow(first, ["text"] * 50)
    assert list(corpora._kept) == ["a", "c"], "b was asked longest ago"
    first.change(
        None, Change(0, [Passage("part", number=at) for at in range(300)], ("mark",)), _as_it_is
    )
    assert corpora.of("c") is first, "what is asked stays, however large"
    assert len(corpora.of("a").corpus) == 0
    assert list(corpora._kept) == ["a"]
    assert corpora._kept.size == Kept(Corpus()).size


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
            lambda number: (*texts[: number + 1], *times[: number + 1]),  # noqa: B023 - called at once
            len(texts),
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


def test_nobody_who_asks_waits_for_what_is_counted() -> None:
    kept = Kept(Corpus())
    free: list[bool] = []

    def count(passage: Passage) -> Passage:
        free.append(pool.submit(_can_ask, kept).result())
        return passage

    parts = [Passage(f"part {at}", number=at) for at in range(3)]
    with ThreadPoolExecutor(1) as pool:
        kept.change(None, Change(0, parts, ("one",)), count)
    assert free == [True] * 3
    kept.change(None, Change(0, parts, ("another",)), _as_it_is)
    assert (len(kept.corpus), kept.mark) == (3, ("one",)), "another build was first"


def _can_ask(kept: Kept) -> bool:
    taken = kept.lock.acquire(timeout=0.2)
    if taken:
        kept.lock.release()
    return bool(taken)


# -- branches --------------------------------------------------------------------------------


def asked_in_turn(branches: list[list[str]], times: int) -> tuple[Corpora, list[int]]:
    """How many passages were made for each question."""
    corpora, made = Corpora(), []
    for number in range(times):
        texts = branches[number % len(branches)]
        hashes = ["/".join(texts[: at + 1]) for at in range(len(texts))]
        numbers: list[int] = []
        kept = corpora.of_branch("key", hashes.__getitem__, len(texts))
        kept.advance(
            hashes.__getitem__,
            len(texts),
            lambda n: numbers.append(n) or said(texts, n),  # type: ignore[func-returns-value]  # noqa: B023
        )
        assert [passage.text for passage in kept.corpus.passages] == texts
        made.append(len(numbers))
    return corpora, made


def test_branches_that_are_asked_in_turn_are_made_once() -> None:
    trunk = [f"trunk {at}" for at in range(100)]
    branches = [[*trunk, *(f"{name} {at}" for at in range(100))] for name in "abcd"]
    corpora, made = asked_in_turn(branches, 12)
    assert made == [200] * 4 + [0] * 8
    assert len(corpora._kept) == 4
    corpora, made = asked_in_turn([*branches, [*trunk, "e 0"]], 10)
    assert len(corpora._kept) == 4
    assert max(made[4:]) < 200, "what they have in common is not made again"


def test_an_answer_that_is_regenerated_begins_no_other_corpus() -> None:
    trunk = [f"trunk {at}" for at in range(100)]
    corpora, made = asked_in_turn([[*trunk, f"answer {at}"] for at in range(9)], 9)
    assert made == [101] + [1] * 8
    assert len(corpora._kept) == 1
