"""Corpora are bounded, and each is what its conversation is now, whatever was asked before."""

from __future__ import annotations

from contextkit.retrieval.corpora import Corpora, Kept
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change


def grow(kept: Kept, texts: list[str]) -> None:
    kept.advance(lambda number: "/".join(texts[: number + 1]), len(texts), lambda n: said(texts, n))


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
