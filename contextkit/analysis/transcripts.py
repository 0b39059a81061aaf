"""Transcripts: conversations that were held, as an OpenAI-form list of messages each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from math import isfinite
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.files import Piece, limited, read_files
from contextkit.analysis.reading.importers import said
from contextkit.analysis.reading.questions import Question, questions_of
from contextkit.analysis.reading.records import reply_of
from contextkit.analysis.reading.requests import (
    Request,
    are_tools,
    check_tools,
    find_request,
    is_line_of_messages,
    spread,
)
from contextkit.analysis.reading.times import seconds_of
from contextkit.errors import InputError, StoreCorrupt
from contextkit.history import History
from contextkit.messages import SCHEMA

Tools = list[dict[str, Any]]

_TIMES = ("timestamp", "created_at", "createdAt", "sent_at", "time", "ts", "at", "date")


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation.

    Attributes:
        source: where it comes from: `file.jsonl:12`, or a name that was given.
        messages: in OpenAI chat form, the system message first where there is one. Shared: read
            only.
        tools: that it was held with, in OpenAI form.
        times: when each message was sent, in seconds of any clock; empty where that is not known.
        questions: about it, with their answers, for an exam.
    """

    source: str
    messages: list[dict[str, Any]]
    tools: Tools = field(default_factory=list)
    times: tuple[float, ...] = ()
    questions: tuple[Question, ...] = ()


TranscriptLike = Transcript | Mapping[str, Any] | list[dict[str, Any]]
"""What is taken for one in Python: messages, or a dict with `messages` and perhaps `tools` and
`questions`."""


def read_transcripts(
    paths: Iterable[str | Path], *, tools: Tools | None = None
) -> Iterator[Transcript | Problem]:
    """The conversations of files and folders, and what could not be read or carried over.

    A file holds a conversation, a list of them, one on each line, or a message on each line; or it
    is a log of `History.dump`. What is one JSON value is read whole, lines one at a time. A
    conversation with a message that no `History` takes is left out, and named; so is one on lines
    of which one cannot be read, unless it is the last. Where a record has the reply to its request,
    it ends the conversation.

    Args:
        paths: of files and folders; `-` is standard input.
        tools: of the conversations that name none of their own.

    Raises:
        InputError: the tools are no list of tools.
    """
    check_tools(tools)
    for pieces in read_files(paths):
        yield from limited(_of_file(pieces, tools))


def as_transcript(given: TranscriptLike, number: int = 0) -> Transcript:
    """What was given in Python, as a transcript.

    Raises:
        InputError: it is none; the place says which and where.
    """
    if isinstance(given, Transcript):
        return given
    source = f"transcript {number}"
    try:
        return _transcript(source, given, find_request(given), None)
    except InputError as error:
        raise InputError(str(error), place=source) from error


def _of_file(
    pieces: Iterator[Piece | Problem], tools: Tools | None
) -> Iterator[Transcript | Problem]:
    loose: list[Piece] = []  # messages that stand on lines of their own
    broken: int | None = None  # the first line that could not be read
    for piece in pieces:
        if isinstance(piece, Problem):
            broken = broken or piece.line
            yield piece
        elif not piece.whole and is_line_of_messages(piece.value):
            loose.append(piece)
        elif isinstance(piece.value, Mapping) and piece.value.get("contextkit") == SCHEMA:
            yield from _of_log(piece, pieces, tools)
        elif isinstance(piece.value, list) and _is_conversation(piece.value):
            yield from _of_piece(piece, tools)
        else:
            for item in spread(piece):
                yield from _of_piece(item, tools)
    if not loose:
        return
    if broken and broken < (loose[-1].line or 0):
        reason = f"a conversation on lines of which line {broken} could not be read: left out"
        yield loose[0].problem(reason)
    else:
        values = [piece.value for piece in loose]
        lines = tuple(piece.line or 0 for piece in loose)
        yield from _of_piece(Piece(loose[0].source, values, lines=lines, whole=True), tools)


def _is_conversation(value: list[Any]) -> bool:
    """Whether a list is one conversation, not a list of them; or nothing that has several."""
    return not value or are_tools(value) or any(map(is_line_of_messages, value))


def _of_piece(piece: Piece, tools: Tools | None) -> Iterator[Transcript | Problem]:
    try:
        request = find_request(piece.value)
        yield _transcript(piece.name, piece.value, request, tools)
    except InputError as error:
        yield _located(piece, error)
        return
    if request.lost:
        yield piece.problem(f"no counterpart for {said(request.lost)}", "not carried over")


def _located(piece: Piece, error: InputError) -> Problem:
    """The problem of a conversation, with the line of its message where each has one."""
    found = piece.problem(str(error))
    number = error.place.removeprefix("messages[").partition("]")[0]
    if piece.lines and number.isdecimal() and int(number) < len(piece.lines):
        return Problem(found.source, found.reason, piece.lines[int(number)], found.kind)
    return found


def _transcript(source: str, record: Any, request: Request, tools: Tools | None) -> Transcript:
    messages = request.messages
    times = _times(messages)
    reply = reply_of(record) if isinstance(record, Mapping) else None
    if reply is not None and messages[-1]["role"] != "assistant":
        messages, times = [*messages, reply], ()
    questions = questions_of(record, len(messages))
    return Transcript(source, messages, request.tools or tools or [], times, questions)


def _times(messages: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """When each message was sent: none unless all say it, in order."""
    said = [_time(message) for message in messages]
    found = tuple(time for time in said if time is not None)
    ordered = all(earlier <= later for earlier, later in pairwise(found))
    return found if ordered and len(found) == len(messages) else ()


def _time(message: Mapping[str, Any]) -> float | None:
    for key in _TIMES:
        value = message.get(key)
        if (moment := seconds_of(value)) is not None:
            return moment
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
            return float(value) if isfinite(value) else None  # of a clock of its own
    return None


# -- logs of contextkit --------------------------------------------------------------------


def _of_log(
    first: Piece, rest: Iterable[Piece | Problem], tools: Tools | None
) -> Iterator[Transcript | Problem]:
    """The conversation of a log; nothing of one that is not as it was written."""
    lines = []
    for piece in chain([first], rest):
        if isinstance(piece, Problem):
            yield piece
            return
        lines.append(json.dumps(piece.value, ensure_ascii=False))
    try:
        history = History.loads("\n".join(lines))
    except StoreCorrupt as error:
        line = (first.line or 1) + error.position
        yield Problem(first.source, f"is no whole log of contextkit: {error}", line)
        return
    if not history.messages:
        yield Problem(first.source, "is a log of contextkit without messages")
        return
    settings = history.current_settings()
    data = settings.data if settings else {}
    held = [dict(tool) for tool in data.get("tools") or ()]
    yield Transcript(first.source, history.data, held or tools or [], _log_times(history))
    if documents := data.get("documents"):
        reason = f"no counterpart for {said({'document beside the messages': len(documents)})}"
        yield Problem(first.source, reason, kind="not carried over")


def _log_times(history: History) -> tuple[float, ...]:
    """When each message was sent first: with the request that the next reply answered."""
    if not history.times:
        return ()
    times: list[float] = []
    for number, time in sorted(history.times.items()):
        times += [time] * (number - len(times))
    times += [max(history.times.values())] * (len(history) - len(times))
    return tuple(times) if all(a <= b for a, b in pairwise(times)) else ()
