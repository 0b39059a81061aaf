"""Utterances: who said what in some messages, in sentences; calls of tools and their results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.messages import called, text_of
from contextkit.summarizing.frame import summary_in
from contextkit.summarizing.sentences import Place, sentence_places

SHORT = 120
"""Characters up to which the arguments of a call stand before its result, to say what it is of."""

# At the end of a line; the Greek question mark is a semicolon.
_QUESTION = re.compile(
    r"(?:[?？؟՞]|(?<=[\u0370-\u03ff\u1f00-\u1fff]);)(?=[^\w\n]{0,10}$)",  # noqa: RUF001
    re.MULTILINE,
)

# The time of what follows: `[13:56, 8 May 2023]`, or a line that says little else.
_STAMP = re.compile(r"\s*([\[(][^\])\n]{3,60}[\])]|[^\n]{4,60}(?=\n|$))\s*")
_MOMENT = re.compile(r"(?:19|20)\d\d|\d[:.h時时]\d\d|\d{1,2}[./-]\d{1,2}[./-]\d\d")
_LETTERS = re.compile(r"[^\W\d_]+")

_LABEL = re.compile(r"([^\n:]{1,60}|[^\n:]{1,60} [\[{][^\n]{1,120}[\]}] result): (?=\S)")


@dataclass(frozen=True, slots=True)
class Utterance:
    """What a message says, or a call of a tool, or its result.

    Attributes:
        label: who says it: the role, or a name; of a call or result, the tool.
        text: of it.
        places: where its sentences stand in the text.
        stamp: the last time that was written above a message, as it stands there.
        answers: whether what was said last before it ends with a question.
    """

    label: str
    text: str
    places: Sequence[Place]
    stamp: str = ""
    answers: bool = False

    @classmethod
    def of(cls, label: str, text: str, stamp: str, *, answers: bool = False) -> Utterance:
        """A text with its sentences."""
        return cls(label, text, tuple(sentence_places(text)), stamp, answers)

    @property
    def sentences(self) -> list[str]:
        """As they stand in the text."""
        return [self.text[start:end] for start, end in self.places]


def utterances(span: Sequence[Mapping[str, Any]]) -> Iterator[Utterance]:
    """What is said in some messages, in order."""
    calls: dict[str, tuple[str, str]] = {}
    stamp = ""
    asked = False
    for message in span:
        if message.get("role") == "tool":
            yield Utterance.of(_result(message, calls), text_of(message), stamp)
            continue
        for label, text in _said(message):
            found = _stamp(text)
            stamp = found[1] if found else stamp
            said = text[found.end() :] if found else text
            yield Utterance.of(label, said, stamp, answers=asked)
            if said.strip():
                asked = _QUESTION.search(said) is not None
        for call in message.get("tool_calls") or ():
            name, arguments = called(call)
            name = _short(name) or "tool"
            calls[str(call.get("id"))] = name, arguments
            yield Utterance.of(f"{name} call", arguments, stamp)


def _said(message: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Labels and texts: one of a message; of a summary that is to be merged one of each line."""
    text = text_of(message)
    if (summary := summary_in(text)) is not None:
        for line in summary.splitlines():
            found = _LABEL.match(line)
            yield (found[1], line[found.end() :]) if found else ("", line)
    else:
        yield _name(message), text


def _result(message: Mapping[str, Any], calls: Mapping[str, tuple[str, str]]) -> str:
    """What the result of a call is called: the tool, and its arguments where they are short."""
    name, arguments = calls.get(str(message.get("tool_call_id"))) or (_name(message), "")
    shown = 2 < len(arguments) <= SHORT and "\n" not in arguments
    return f"{name} {arguments} result" if shown else f"{name} result"


def _name(data: Mapping[str, Any]) -> str:
    return _short(str(data.get("name") or data.get("role")))


def _short(name: str) -> str:
    return " ".join(name.split())[:60]


def _stamp(text: str) -> re.Match[str] | None:
    found = _STAMP.match(text)
    if not found or not _MOMENT.search(found[1]):
        return None
    return found if len(_LETTERS.findall(found[1])) <= (6 if found[1][0] in "[(" else 3) else None
