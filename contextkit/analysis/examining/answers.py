"""Answers: whether what was asked about a conversation can still be read in a context."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.analysis.reading.questions import Question
from contextkit.summarizing.kept import said, said_by
from contextkit.summarizing.sentences import sentences, words

_LEAST = 4  # letters of a word that is asked for; shorter ones stand everywhere


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that the conversation answers.

    Attributes:
        words: of the answer.
        evidence: the sentences that hold it, with single spaces.
    """

    words: frozenset[str]
    evidence: tuple[str, ...]


def answerable(questions: Iterable[Question], messages: Sequence[Mapping[str, Any]]) -> list[Asked]:
    """The questions whose answer stands in so many words in some messages.

    It must stand in the evidence where that is known, else in one message. What has to be inferred
    ("the day before"), and what nobody has said yet, is no question of what a context keeps.
    """
    texts = [said_by(message) for message in messages]
    held = [Text(text) for text in texts]
    found = []
    for one in questions:
        asked = content_words(one.answer)
        if not asked or any(number >= len(messages) for number in one.evidence):
            continue
        if one.evidence:
            if not Text("\n".join(texts[number] for number in one.evidence)).holds(asked):
                continue
        elif not any(text.holds(asked) for text in held):
            continue
        evidence = [
            _spaced(sentence)
            for number in one.evidence
            for sentence in sentences(texts[number])
            if not asked.isdisjoint(words(sentence))
        ]
        found.append(Asked(asked, tuple(evidence)))
    return found


class Text:
    """A text in which words and sentences are looked for."""

    def __init__(self, text: str) -> None:
        self.words = frozenset(words(text))
        self.spaced = _spaced(text)

    @classmethod
    def of(cls, messages: Iterable[Mapping[str, Any]]) -> Text:
        """What some messages say."""
        return cls(said(messages))

    def holds(self, asked: frozenset[str]) -> bool:
        """Whether all words stand in it."""
        return asked <= self.words

    def keeps(self, asked: Asked) -> tuple[bool, int]:
        """Whether an answer stands in it, and how many sentences of its evidence do."""
        return self.holds(asked.words), sum(one in self.spaced for one in asked.evidence)


def content_words(text: str) -> frozenset[str]:
    """The words of an answer that tell it from others, whatever its language.

    Those of four letters or more, those with a digit, and those of scripts without capitals; all
    words, where none is left.
    """
    found = words(text)
    telling = [
        word
        for word in found
        if len(word) >= _LEAST or any(map(str.isdigit, word)) or word.upper() == word.lower()
    ]
    return frozenset(telling or found)


def _spaced(text: str) -> str:
    return " ".join(text.split())
