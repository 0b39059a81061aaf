"""Terms: what of a text is found again, in which languages, and at what price."""

# ruff: noqa: RUF001 - full-width digits, as they are typed

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.retrieval import corpus as corpora
from contextkit.retrieval import excerpts
from contextkit.retrieval import terms as terms_module
from contextkit.retrieval.chunks import chunks_of
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.excerpts import passages_of
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.stop_words import STOP_WORDS
from contextkit.retrieval.terms import date_terms, language_of, terms, words_of
from tests.support import calls_of


def keys(text: str, language: str | None = None) -> list[str]:
    return [term.key for term in terms(text, language)]


def test_words_are_lower_case_stems_without_stop_words_and_possessives() -> None:
    assert keys("Caroline's friends were painting the paintings") == [
        "carolin",
        "friend",
        "paint",
        "paint",
    ]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("please look at ORD-1234 today", "ORD-1234"),
        ("please look at ORD-1234 today", "ord-1234"),
        ("please look at ORD-1234 today", "1234"),
        ("it is in src/app/main.py", "src/app/main.py"),
        ("it is in src/app/main.py", "main"),
        ("it is in C:\\temp\\notes.txt", "notes"),
        ("write to ann.smith@example.org", "ann.smith@example.org"),
        ("write to ann.smith@example.org", "smith"),
        ("call getUserName() there", "getusername"),
        ("call getUserName() there", "user name"),
        ("call get_user_name there", "user"),
        ("version v2.13.1 is out", "2.13.1"),
        ("C++ and C# are languages", "c++"),
        ("the code is 00420", "00420"),
        ("a well-known cafe", "known"),
        ("ﬁnally at １２３ Main Street", "123"),
    ],
)
def test_identifiers_and_numbers_are_found_whole_and_in_parts(said: str, asked: str) -> None:
    assert set(keys(asked, "english")) & set(keys(said, "english"))


def test_another_number_shares_no_whole_term() -> None:
    assert "ord-1234" not in keys("ORD-1235")


@pytest.mark.parametrize(
    ("said", "asked", "language"),
    [
        ("Ich habe die alten Bücher verkauft", "Wo ist das Buch?", "german"),
        ("Elle a acheté des maisons dans le sud", "Où est la maison qui est grande ?", "french"),
        ("Mis hijas están en los colegios", "¿Dónde está el colegio de la hija?", "spanish"),
        ("Мои книги лежали на столе", "где моя книга", "russian"),
    ],
)
def test_the_words_of_a_text_say_which_stemmer_is_meant(
    said: str, asked: str, language: str
) -> None:
    assert language_of(words_of(said)) == language
    assert set(keys(said)) & set(keys(asked))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("我上周在北京吃了烤鸭", "北京烤鸭好吃吗"),
        ("我家有一只猫", "猫"),
        ("昨日は東京タワーへ行きました", "東京"),
        ("어제 한국어를 공부했습니다", "한국어"),
        ("ฉันชอบกินข้าวผัด", "ข้าวผัด"),
    ],
)
def test_what_is_written_without_spaces_is_found_by_its_characters(said: str, asked: str) -> None:
    assert set(keys(said)) & set(keys(asked))


def test_words_joined_to_characters_are_found_as_well() -> None:
    assert {"iphon", "拍照"} <= set(keys("我用iphone拍照"))


def test_a_date_is_found_by_the_name_of_its_month_and_not_by_its_time() -> None:
    assert {term.key for term in date_terms("2026-05-08 13:56")} >= {"2026-05-08", "8", "may"}
    assert {term.key for term in date_terms("1:56 pm on 8 May, 2023")} == {"8", "may", "2023"}


def test_a_word_without_a_vector_of_its_own_says_so() -> None:
    found = {term.key: term.word for term in terms("12 friends at ORD-77 北京")}

    assert found["friend"] == "friends"
    assert found["12"] == found["ord-77"] == found["北京"] == ""


def test_stop_words_are_lower_case_words_of_one_piece() -> None:
    for language, words in STOP_WORDS.items():
        assert words
        for word in words:
            assert word == word.lower()
            assert words_of(word) == [word], (language, word)
    assert "may" not in STOP_WORDS["english"]


@given(st.text())
def test_any_text_has_terms_that_are_the_same_every_time(text: str) -> None:
    first = terms(text)

    assert terms(text) == first
    assert all(term.key and len(term.key) <= 64 for term in first)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "a.",
        " ",
        "我",
        "aB",
        "1a",
        "ﷺ",
        "a\u0301",
        "'",
        "-",
        "\ud800",
        "ab ",
        "İ",
        "\x00",
        "é",
        "ñ-",
    ],
)
def test_the_work_for_hostile_text_grows_with_its_length_alone(unit: str) -> None:
    """Calls counted, not seconds: twice as long a text takes at most twice as many, and some."""
    small, large = (
        calls_of(lambda size=size: terms(unit * size, "english")) for size in (2_000, 4_000)
    )

    assert large <= 2.1 * small + 100


@pytest.mark.parametrize("unit", ["1", "1.", "!", "!)", ".", "\n", "# ", "#", " ", "`", "a b.\n"])
def test_long_runs_of_the_same_are_cut_in_time(unit: str) -> None:
    """Where the work grew with the square of the length, this would not end."""
    text = f"# x{unit * 60_000}y"

    assert all(passages_of(text))
    assert all(term.key for term in terms(text))
    assert all(chunk.text for chunk in chunks_of(text, 5_000))


def test_a_question_of_many_unknown_identifiers_is_looked_up_in_some_of_the_others() -> None:
    def looked_up(count: int) -> int:
        corpus = Corpus()
        for day in range(5):
            corpus.append(Passage(" ".join(f"req-{day}{n:05}" for n in range(count))))
        question = " ".join(f"req-9{n:05}" for n in range(20))
        return calls_of(lambda: corpus.question_terms(question))

    assert looked_up(4_000) <= 1.1 * looked_up(1_500)


ASCII = st.text(st.characters(max_codepoint=127), max_size=200)


@given(ASCII)
def test_ascii_is_cut_as_other_text_is(text: str) -> None:
    assert words_of(text) == terms_module._word().findall(text)
    units = [found.span() for found in excerpts._UNIT.finditer(text)]
    assert [found.span() for found in excerpts._ASCII_UNIT.finditer(text)] == units


def test_a_passage_is_cut_into_words_once_and_a_day_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Corpus().append(Passage("Thanks!"))  # what is known for all is made once
    read: list[str] = []

    def words(text: str) -> list[str]:
        read.append(text)
        return words_of(text)

    monkeypatch.setattr(terms_module, "words_of", words)
    monkeypatch.setattr(corpora, "words_of", words)
    corpus = Corpus()
    for minute in range(60):
        corpus.append(Passage(f"It is {minute} past.", date=f"1987-05-08 10:{minute:02} UTC"))

    assert len(read) == 61
