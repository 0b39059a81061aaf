"""Transcripts: conversations that were held, as an OpenAI-form list of messages each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading import Piece, read_files
from contextkit.analysis.requests import Request, as_request, find_request, is_message
from contextkit.errors import InputError

Tools = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation.

    Attributes:
        source: where it comes from: `file.jsonl:12`, or a name that was given.
        messages: in OpenAI chat form, the system message first where there is one. Shared: read
            only.
        tools: that it was held with, in OpenAI form.
        times: when each message was sent, in seconds of any clock; empty where that is not known.
    """

    source: str
    messages: list[dict[str, Any]]
    tools: Tools = field(default_factory=list)
    times: tuple[float, ...] = ()


TranscriptLike = Transcript | Mapping[str, Any] | list[dict[str, Any]]
"""What is taken for one in Python: messages, or a dict with `messages` and perhaps `tools`."""


def read_transcripts(
    paths: Iterable[str | Path], *, tools: Tools | None = None
) -> Iterator[Transcript | Problem]:
    """The conversations of files and folders, and what could not be read or carried over.

    A file holds a conversation, or a list of them, or one on each line, or a message on each line.
    What is one value is read whole; lines are read one at a time.

    Args:
        paths: of files and folders; `-` is standard input.
        tools: of the conversations that name none of their own.
    """
    for pieces in read_files(paths):
        loose: list[Piece] = []
        hole: Problem | None = None
        for piece in pieces:
            if isinstance(piece, Problem):
                hole = piece
                yield piece
            elif not piece.whole and is_message(piece.value):
                if hole and loose:
                    break
                loose.append(piece)
            else:
                yield from _conversations(piece, tools)
        if loose and hole and hole.line and loose[0].line and hole.line < (loose[-1].line or 0):
            yield loose[0].problem("messages on lines, of which one could not be read: left out")
        elif loose:
            first = Piece(loose[0].source, [piece.value for piece in loose], 1, whole=True)
            yield from _conversation(first, first.value, tools)


def _conversations(piece: Piece, tools: Tools | None) -> Iterator[Transcript | Problem]:
    """Those of one value: a conversation, or a list of them."""
    value = piece.value
    if isinstance(value, list) and value and not all(map(is_message, value)):
        for item in piece.items():
            yield from _conversation(item, item.value, tools)
    else:
        yield from _conversation(piece, value, tools)


def _conversation(piece: Piece, value: Any, tools: Tools | None) -> Iterator[Transcript | Problem]:
    given = find_request(value)
    if given is None:
        yield piece.problem("holds no messages in a form that is known")
        return
    try:
        request = as_request(given)
    except InputError as error:
        yield piece.problem(str(error))
        return
    yield from _transcript(piece.name, request, tools)


def _transcript(source: str, request: Request, tools: Tools | None) -> Iterator[Transcript]:
    yield Transcript(source, request.messages, request.tools or tools or [])


def as_transcript(given: TranscriptLike, number: int = 0) -> Transcript:
    """What was given in Python, as a transcript.

    Raises:
        InputError: it is none; the place says which and where.
    """
    if isinstance(given, Transcript):
        return given
    source = f"transcript {number}"
    try:
        found = find_request(given)
        if found is None:
            raise InputError("holds no messages in a form that is known")
        request = as_request(found)
    except InputError as error:
        raise InputError(str(error), place=source) from error
    return next(_transcript(source, request, None))
