"""Recorded: requests as an application logged them, with the usage that was reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading import Piece, read_files
from contextkit.analysis.records import (
    conversation_of,
    duration_of,
    reply_of,
    sent_at,
    usage_of,
)
from contextkit.analysis.requests import as_request, find_request
from contextkit.errors import InputError
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request of a log.

    Attributes:
        source: where it stands: `log.jsonl:12`.
        request: parameters of `chat.completions.create`: `model`, `messages`, `tools`, … .
        usage: what the provider reported; None where nothing was logged.
        at: when it was sent, in seconds since the epoch; None where that was not logged.
        took: seconds until its response had come; None where that was not logged.
        conversation: the id that the log gives it; None where there is none.
        reply: the assistant message that came back; None where that was not logged.
    """

    source: str
    request: Mapping[str, Any]
    usage: Usage | None = None
    at: float | None = None
    took: float | None = None
    conversation: str | None = None
    reply: Mapping[str, Any] | None = None


def read_recorded(paths: Iterable[str | Path]) -> Iterator[Recorded | Problem]:
    """The requests of logs, one at a time, and what could not be read or carried over."""
    for pieces in read_files(paths):
        for piece in pieces:
            if isinstance(piece, Problem):
                yield piece
            elif isinstance(piece.value, list):
                for item in piece.items():
                    yield from _recorded(item)
            else:
                yield from _recorded(piece)


def _recorded(piece: Piece) -> Iterator[Recorded | Problem]:
    try:
        yield _read(piece.name, piece.value)
    except InputError as error:
        yield piece.problem(str(error))


def _read(source: str, record: Any) -> Recorded:
    given = find_request(record)
    if given is None:
        raise InputError("holds no request in a form that is known")
    request = as_request(given)
    return Recorded(
        source,
        request.parameters,
        usage_of(record),
        sent_at(record),
        duration_of(record),
        conversation_of(record),
        reply_of(record),
    )


def as_recorded(given: Recorded | Mapping[str, Any], number: int = 0) -> Recorded:
    """A record of a log as it was given in Python.

    Raises:
        InputError: it holds no request; the place says which and where.
    """
    if isinstance(given, Recorded):
        return given
    try:
        return _read(f"record {number}", given)
    except InputError as error:
        raise InputError(str(error), place=f"record {number}") from error
