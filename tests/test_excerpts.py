"""Excerpts: long texts in passages, nothing lost; the best of them within a share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.retrieval import corpus as corpora
from contextkit.retrieval import excerpts
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.excerpts import GAP, PASSAGE, excerpt, passages_of
from contextkit.retrieval.passages import Passage

FILLER = "The weather was grey and nobody went out. "


def words(text: str) -> int:
    return len(text.split())


def test_a_short_text_is_its_only_passage() -> None:
    assert passages_of("We met in Ghent.") == ["We met in Ghent."]


def test_a_long_text_is_cut_at_sentences() -> None:
    passages = passages_of(FILLER * 40)

    assert len(passages) > 5
    assert all(passage.endswith("out.") for passage in passages)
    assert all(words(passage) <= PASSAGE for passage in passages)


def test_chinese_is_cut_at_its_full_stops() -> None:
    passages = passages_of("我们昨天去了北京的公园。天气很好,大家都很高兴。" * 12)

    assert len(passages) > 3
    assert all(passage.endswith("。") for passage in passages)


@given(st.text(alphabet="ab .!?\n我。é1", max_size=600), st.integers(4, 30))
def test_nothing_but_space_is_lost_and_order_stays(text: str, size: int) -> None:
    assert "".join("".join(passages_of(text, size)).split()) == "".join(text.split())


@given(st.text(max_size=400))
def test_any_text_can_be_cut(text: str) -> None:
    assert "".join("".join(passages_of(text, 5)).split()) == "".join(text.split())


def test_of_a_text_larger_than_the_share_the_passages_that_answer_stay() -> None:
    text = FILLER * 40 + "The code of the safe is 4711, behind the clock. " + FILLER * 40

    found = excerpt(text, {"safe": 5.0, "code": 4.0}, 130, words)

    assert "4711" in found
    assert words(found) <= 130


def test_excerpts_stand_in_their_order_with_a_gap_between() -> None:
    text = "The safe is behind the clock. " + FILLER * 40 + "Its code for the safe is 4711."

    found = excerpt(text, {"safe": 5.0, "code": 4.0}, 140, words)

    assert found.index("clock") < found.index(GAP.strip()) < found.index("4711")


def test_a_text_that_fits_is_shown_as_it_is() -> None:
    assert excerpt("a  b\n", {}, 10, words) == "a  b\n"


def test_where_not_even_a_passage_fits_there_is_none() -> None:
    assert excerpt(FILLER * 40, {"weather": 1.0}, 5, words) == ""


def test_another_question_costs_what_is_shown_however_long_the_text(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    corpus = Corpus()
    corpus.append(Passage(FILLER * 2_000 + "The code of the safe is 4711. " + FILLER * 2_000))
    corpus.pieces(0)
    read: list[str] = []

    def count(text: str) -> int:
        read.append(text)
        return words(text)

    monkeypatch.setattr(excerpts, "terms", lambda *given: pytest.fail("the text is read again"))
    found = excerpt(corpus.pieces(0), {"safe": 5.0, "weather": 0.1}, 130, count)

    assert "4711" in found
    assert sum(map(len, read)) < len(corpus.passages[0].text) // 10


def test_pieces_are_of_the_passage_that_stands_there_now_and_few_are_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(corpora, "_PIECES", 5_000)
    corpus = Corpus()
    for name in ("safe", "attic", "cellar"):
        corpus.append(Passage(FILLER * 40 + f"It is in the {name}. " + FILLER * 40))
        corpus.pieces(len(corpus) - 1)
    assert len(corpus._pieces) < 3

    corpus.truncate(2)
    corpus.append(Passage(FILLER * 80 + "It is in the garden."))

    assert "garden" in corpus.pieces(2).passages[-1]
