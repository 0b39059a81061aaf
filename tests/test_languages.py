"""Languages: what a question is told by, and whose sentences an embedder was made for."""

# ruff: noqa: RUF001 - questions as they are asked in other scripts

from __future__ import annotations

from typing import Any

import pytest

from contextkit import Retrieve
from contextkit.errors import InputError
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.embedders import OpenAIEmbedder
from contextkit.retrieval.languages import language_spoken
from contextkit.retrieval.minilm import LocalEmbedder
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.stop_words import STOP_WORDS
from contextkit.retrieval.terms import _CODES


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("Where do I live?", "english"),
        ("Wie heißt mein Hund?", "german"),
        ("¿Dónde vivo?", "spanish"),
        ("犬の名前は何ですか", "japanese"),
        ("ﾄｳｷｮｳ ﾀﾜｰ", "japanese"),
        ("我的狗叫什么", "chinese"),
        ("我的 Python API key 在哪里", "chinese"),
        ("내 개 이름이 뭐야?", "korean"),
        ("Как зовут мою собаку?", "russian"),
        ("ما اسم كلبي؟", "arabic"),
        ("איך קוראים לכלב שלי?", "hebrew"),
        ("สุนัขของฉันชื่ออะไร", "thai"),
        ("मेरा कुत्ता कहाँ है", "hindi"),
        ("What does 你好 mean?", "english"),
        ("What is μ for σ?", "english"),
        ("ORD-1234?", None),
        ("", None),
        ("😀", None),
    ],
)
def test_a_question_says_its_language(question: str, language: str | None) -> None:
    assert language_spoken(question) == language


def corpus_of(*texts: str, language: str | None = None) -> Corpus:
    corpus = Corpus(language)
    for text in texts:
        corpus.append(Passage(text))
    return corpus


def test_what_the_question_does_not_say_the_corpus_says() -> None:
    german = corpus_of("Ich habe einen Hund und der ist sehr alt.")
    assert language_spoken("Was kostet Yoga?") == "english"  # "was" is a word of both
    assert language_spoken("Was kostet Yoga?", german) == "german"
    assert language_spoken("ORD-1234?", german) == "german"
    assert language_spoken("What is it called?", german) == "english"
    assert language_spoken("犬の名前は何ですか", german) == "japanese"
    assert language_spoken("ORD-1234?", corpus_of("ORD-1234")) is None


def test_a_language_that_is_set_counts_for_all_that_is_written_in_its_letters() -> None:
    set_to = corpus_of("Hund", language="german")
    assert language_spoken("Where is the dog?", set_to) == "german"
    assert language_spoken("Где собака?", set_to) == "russian"


def test_an_embedder_says_for_which_language_it_was_made() -> None:
    assert LocalEmbedder.language == "english"
    assert getattr(OpenAIEmbedder, "language", None) is None


@pytest.mark.parametrize("language", ["german", "German", "DE", "de", "de-AT", "de_CH"])
def test_a_language_goes_by_its_name_or_code(language: str) -> None:
    assert Corpus(language).language == "german"
    assert Retrieve(language=language).corpora.of("one").corpus.language == "german"


def test_every_language_that_is_known_has_a_code() -> None:
    assert set(_CODES.values()) == set(STOP_WORDS)


@pytest.mark.parametrize("language", ["chinese", "ja", "", "klingon", 7])
def test_for_a_language_without_words_none_is_advised(language: Any) -> None:
    with pytest.raises(InputError, match="None for others: of Chinese, Japanese"):
        Retrieve(language=language)
