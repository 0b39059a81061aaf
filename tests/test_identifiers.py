"""Identifiers and numbers: found whole and in parts; a fragment says nothing of another one."""

from __future__ import annotations

import pytest

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.relevance import is_relevant

LOG = [f"req-{number} took {number % 7} ms on node-{number % 3}" for number in range(1_000, 1_060)]


def corpus_of(*texts: str) -> Corpus:
    corpus = Corpus()
    for text in texts:
        corpus.append(Passage(text))
    return corpus


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Leave is asked for on form T-17.", "What is 17 * 23?"),
        ("We deployed v2 of the shop.", "What is 2 + 2?"),
        ("The room is B12.", "How much is 12 times 12?"),
    ],
)
def test_a_bare_number_is_no_part_of_an_identifier(said: str, asked: str) -> None:
    corpus = corpus_of(said, "Lunch is at noon.", "The cat sleeps.")
    assert not is_relevant(corpus, asked)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("Leave is asked for on form T-17.", "What is T-17 for?"),
        ("My order is ORD-1234.", "What was 1234?"),
        ("My order is 1234.", "What of ORD-1234?"),
        ("The bug is in src/app/main.py.", "What about main.py?"),
        ("The bug is in src/app2/main3.py.", "What is in app2?"),
        ("Write to ann.smith@example.org.", "Who is smith?"),
        ("I ran 10km today.", "Who ran 10 km?"),
        ("She is 17 and he is 23.", "Who is 17?"),
        ("We use GPT4 for that.", "Do we use gpt-4?"),
        ("I had covid in May.", "When did I have covid-19?"),
        ("会议在5月12日举行。", "12日有什么?"),
    ],
)
def test_what_was_said_is_found(said: str, asked: str) -> None:
    corpus = corpus_of("Lunch is at noon.", said, "The cat sleeps.")
    assert is_relevant(corpus, asked)
    assert rank(corpus, asked).argmax() == 1


def test_of_an_identifier_that_was_never_said_nothing_is_found() -> None:
    corpus = corpus_of(*LOG)
    assert not is_relevant(corpus, "what about req-9999?")
    assert not rank(corpus, "what about req-9999?").any()
    assert is_relevant(corpus, "what about req-1007?")
    assert rank(corpus, "what about req-1007?").argmax() == 7
    assert rank(corpus_of(*LOG[:3], "A req is a request."), "what is a req-9999?").any()
