"""Questions: what is asked about a conversation afterwards, with the answer and its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contextkit.analysis.reading.importers.parts import mappings
from contextkit.errors import InputError


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a conversation.

    Attributes:
        answer: as a text.
        evidence: numbers of the messages that hold it, counted from 0; empty where nobody says.
        question: what is asked.
    """

    answer: str
    evidence: tuple[int, ...] = ()
    question: str = ""


def questions_of(record: Any, count: int) -> tuple[Question, ...]:
    """The questions of a record that has `questions` beside its messages or turns.

    Each is an object with `answer`, a text or a number, and perhaps `question` and `evidence`:
    numbers of messages, counted from 0, or the `id`s of messages or turns. One without an answer
    is passed over: it asks for what was never said.

    Args:
        record: with the messages.
        count: how many messages there are.

    Raises:
        InputError: for what is no question, and for evidence that is not there.
    """
    if not isinstance(record, Mapping) or record.get("questions") is None:
        return ()
    given = record["questions"]
    if not isinstance(given, list) or not all(isinstance(one, Mapping) for one in given):
        raise InputError("are a list of objects with `answer`", place="questions")
    held = record.get("turns", record.get("messages"))
    names = {
        one["id"]: number
        for number, one in enumerate(mappings(held) if isinstance(held, list) else ())
        if isinstance(one.get("id"), str)
    }
    found = []
    for number, one in enumerate(given):
        place = f"questions[{number}]"
        answer = one.get("answer")
        if answer is None:
            continue
        if isinstance(answer, bool) or not isinstance(answer, str | int | float):
            raise InputError("has an answer that is no text and no number", place=place)
        evidence = one.get("evidence")
        numbers = _numbers(evidence, names, count, place)
        asked = one.get("question")
        if str(answer).strip():
            found.append(Question(str(answer), numbers, asked if isinstance(asked, str) else ""))
    return tuple(found)


def _numbers(evidence: Any, names: Mapping[str, int], count: int, place: str) -> tuple[int, ...]:
    if evidence is None:
        return ()
    if not isinstance(evidence, list):
        raise InputError("has evidence that is no list of messages", place=place)
    numbers = []
    for one in evidence:
        number = names.get(one) if isinstance(one, str) else one
        if isinstance(one, str) and number is None:
            continue  # labels made by hand name what is not there
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < count:
            raise InputError(f"has evidence that is none of the {count:,} messages", place=place)
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))
