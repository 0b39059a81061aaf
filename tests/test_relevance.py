"""Relevance: whether anything answers at all, and what looks for nothing: small talk."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence import Ours
from benchmarks.labelled import dialogues
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.questions import (
    is_small_talk,
    participant_asked,
)
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.relevance import is_relevant
from tests.ranked import best, corpus_of, unit


@pytest.mark.parametrize(
    "text", ["thanks!", "ok", "Good morning!", "👍", "谢谢", "好的,继续", "no"]
)
def test_courtesies_ask_for_nothing(text: str) -> None:
    corpus = corpus_of("Thanks, good morning!", "ok no", "谢谢你,好的", session=1)

    assert not is_relevant(corpus, text)


def test_what_greets_goes_on_or_asks_for_another_form_looks_for_nothing() -> None:
    for text in (
        "Happy new year!",
        "Bye for now",
        "See you tomorrow!",
        "Good night, talk tomorrow",
        "OK, let’s move on.",  # noqa: RUF001 - as phones write
        "What do you mean?",
        "Alles klar, vielen Dank",
        "Merci beaucoup !",
        "1",
        "2.",
        "Make it a table",
        "Can you make it a bit shorter, please?",
        "shorter please",
        "as a list",
        "Translate that into German",
        "Could you go on?",
        "Does that make sense?",
    ):
        assert is_small_talk(text), text
    for text in (
        "What happened in the new year?",
        "Can you make it to the party tomorrow?",
        "What did she mean by that table?",
        "Move on to the budget",
        "Put it in the fridge",
        "2026",
        "table 5",
        "Show me the list",
        "How did Ann make it shorter?",
        "When is my course?",
        "What was the problem with the sound?",
        "What was my idea?",
        "Who did I see?",
        "How was my nice weekend?",
        "What did I take care of?",
        "Who helps me?",
        "What was my problem?",
        "What do I enjoy?",
        "What was that great idea I had?",
        "What do you know about me?",
    ):
        assert not is_small_talk(text), text


def test_words_of_greetings_are_content_elsewhere() -> None:
    corpus = corpus_of(
        "I enjoy the evening course.",
        "The problem with the sound is a loose plug.",
        "Good evening! No problem, sounds good.",
        session=1,
    )
    for question, answer in (
        ("Which evening course did I tell you of?", 0),
        ("What was the problem with the sound?", 1),
    ):
        assert is_relevant(corpus, question)
        assert best(corpus, question) == answer


def test_a_handle_takes_no_word_out_of_a_question() -> None:
    corpus = Corpus()
    corpus.append(Passage("The billing address is Elm Road 5.", tokens=9))
    corpus.append(Passage("I note that.", tokens=4, speaker="billing_agent", role="assistant"))

    assert is_relevant(corpus, "What is my billing data?")
    assert participant_asked("What is my billing data?", ["billing_agent"]) is None
    assert participant_asked("What did the billing agent say?", ["billing_agent"]) is not None
    assert participant_asked("What did ann say?", ["ann"]) == "ann"


@pytest.mark.parametrize("laugh", ["哈", "嗯", "你好", "ha", "!", " ok", "好的"])
def test_a_laugh_may_be_as_long_as_it_likes(laugh: str) -> None:
    """Where the work grew with its square, let alone more, this would not end."""
    for text in (laugh * 90, laugh * 90 + "水", laugh * 20_000 + "水"):
        is_small_talk(text)
        Corpus().append(Passage(text))
    assert laugh.strip() in ("ha", "!") or is_small_talk(laugh * 60)


@pytest.mark.parametrize(
    "text",
    [
        "Noted.",
        "OK.",
        "Yes, that is so.",
        "Ok, noted!",
        "Got it",
        "Thanks!",
        "好的",
        "That's right.",
    ],
)
def test_an_acknowledgement_is_never_shown_again(text: str) -> None:
    corpus = corpus_of("My dog is called Rufus.", text, "The door is blue.", session=1)

    assert corpus.telling.values.tolist() == [True, False, True]
    assert not is_relevant(corpus, "Rufus?", among=np.array([False, True, False]))


@pytest.mark.parametrize(
    "text", ["No.", "No, thanks", "Done with the roof.", "Rufus", "Noted by Ann."]
)
def test_what_tells_something_in_few_words_is_shown(text: str) -> None:
    corpus = corpus_of("Is my dog called Rufus?", text, "The door is blue.", session=1)

    assert corpus.telling.values.all()
    assert rank(corpus, "What is my dog called?")[1] > 0


def test_what_was_never_spoken_of_finds_nothing() -> None:
    [bakery, _] = dialogues(None)
    corpus = Ours(bakery, None).corpus

    assert is_relevant(corpus, "What sold best at the opening of the bakery?")
    assert not is_relevant(corpus, "Which sorting algorithm has a quadratic worst case?")


def test_a_word_that_everybody_says_is_no_evidence() -> None:
    corpus = corpus_of(*(f"The dog again, number {number}." for number in range(40)))
    corpus.append(Passage("The greyhound, at last."))

    assert not is_relevant(corpus, "dog?")
    assert is_relevant(corpus, "greyhound?")


def test_a_word_does_not_become_common_by_being_asked_for() -> None:
    asked = ["Boiler number?", "Tell me the boiler number!", "What is the number of the boiler?"]
    corpus = corpus_of("The boiler number is BX-99213.", *(20 * [*asked, "I cannot say."]))

    assert is_relevant(corpus, "Do you know the boiler number?")


def test_of_a_pasted_page_little_is_asked() -> None:
    said = [
        f"{word}{ending}" for word in ("zeb", "qua", "oka", "gnu") for ending in "bcdfgklmnprst"
    ]
    corpus = corpus_of(*said, "A llama, an alpaca and a vicuna.")

    assert is_relevant(corpus, " ".join([*said, "llama alpaca vicuna"]))
    assert not is_relevant(corpus, " ".join(f"{word}x" for word in said))


def test_a_near_vector_is_relevant_without_a_word_in_common() -> None:
    corpus = corpus_of("I adopted a greyhound.", "It rained.", session=1)
    corpus.hold(dict(zip(corpus.wanted(), [unit(1), unit(0, 1)], strict=True)))

    assert is_relevant(corpus, "any pets?", unit(1, 0.5))
    assert not is_relevant(corpus, "any pets?", unit(0.3, 0.3, 1))
    assert not is_relevant(corpus, "any pets?", unit(1, 0.5), min_cosine=0.95)
    assert not is_relevant(corpus, "thanks", unit(1))


def test_the_same_question_finds_what_was_said_since_and_not_what_was_taken_away() -> None:
    corpus = corpus_of("We had a walk along the river with them.")
    assert not is_relevant(corpus, "Show me the Rechnungen")

    corpus.append(Passage("Die Lieferungen kamen gestern mit den Rechnungen vom Händler."))
    assert is_relevant(corpus, "Show me the Rechnungen")
    assert "rechnung" in corpus.term_weights("Show me the Rechnungen")
    corpus.truncate(1)
    assert "rechnung" not in corpus.term_weights("Show me the Rechnungen")
