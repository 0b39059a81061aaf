"""Recorded: requests as an application logged them, with the usage that was reported.

Where the fields of a record are found, the outermost first; all may also be JSON as text:

    request       messages, input (items), conversations: at the top, or in request, body, kwargs,
                  payload, params, json, data, input(s), prompt … of it; model and tools also beside
    usage         usage, usage_details, usage_metadata, token_usage …: at the top, or in response,
                  completion, output, result, body … of it; else token counts at the top
    at            sent_at, request_time, started_at, start_time, timestamp, time, ts, at …: at the
                  top, in metadata, in the request; else the end less the duration; else the
                  `created` of the response; ISO 8601, or a number of any unit; UTC without a zone
    took          end less start; else duration, latency, elapsed, took …, with _ms or _s behind it;
                  a bare number over 600 is milliseconds
    conversation  conversation_id, thread_id, chat_id, session_id: at the top, in metadata, in trace
    reply         choices[0].message, output items, a message: where the usage may stand

Ids of traces are of one call in many logs, and `prompt_cache_key` is a routing hint that others may
share: neither is taken for the id of a conversation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.files import Piece, limited, read_files
from contextkit.analysis.reading.importers import said
from contextkit.analysis.reading.records import conversation_of, merged, reply_of, times_of
from contextkit.analysis.reading.reported import usage_of
from contextkit.analysis.reading.requests import find_request, is_line_of_messages, spread
from contextkit.errors import InputError
from contextkit.messages import SCHEMA
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
    """The requests of logs, one at a time, and what could not be read or carried over.

    A file of lines is never held; a file that is one JSON value is. Of OpenAI's batches, requests
    and replies are joined by their `custom_id`, whichever of the two files comes first: those whose
    other half has not come yet are held.

    Args:
        paths: of files and folders; `-` is standard input.
    """
    batch = _Batch()
    for pieces in read_files(paths):
        yield from limited(_of_file(pieces, batch))
    yield from batch.rest()


def as_recorded(given: Recorded | Mapping[str, Any], number: int = 0) -> Recorded:
    """A record of a log as it was given in Python.

    Raises:
        InputError: it holds no request; the place says which and where.
    """
    if isinstance(given, Recorded):
        return given
    try:
        return _recorded(f"record {number}", given)[0]
    except InputError as error:
        raise InputError(str(error), place=f"record {number}") from error


def _of_file(pieces: Iterable[Piece | Problem], batch: _Batch) -> Iterator[Recorded | Problem]:
    lost: Counter[str] = Counter()
    first: Piece | None = None
    for piece in _records(pieces):
        if isinstance(piece, Problem):
            yield piece
            continue
        try:
            found = _read(piece, batch)
        except InputError as error:
            yield piece.problem(str(error))
            continue
        if found is not None:
            record, missing = found
            first = first or (piece if missing else None)
            lost.update(missing)
            yield record
    if first is not None:
        reason = f"from here on, no counterpart for {said(lost)}"
        yield first.problem(reason, "not carried over")


def _records(pieces: Iterable[Piece | Problem]) -> Iterator[Piece | Problem]:
    """The records of a file: its lines, its lists' items, or itself."""
    for piece in pieces:
        if isinstance(piece, Problem):
            yield piece
        elif isinstance(piece.value, Mapping) and piece.value.get("contextkit") == SCHEMA:
            reason = "is a log of contextkit, which `contextkit.explain` reads: no log of requests"
            yield piece.problem(reason)
            return
        elif isinstance(piece.value, list) and (
            not piece.value or any(map(is_line_of_messages, piece.value))
        ):
            yield piece  # one request, without anything beside it
        elif piece.whole or isinstance(piece.value, list):
            yield from spread(piece)
        else:
            yield piece


def _recorded(source: str, record: Any) -> tuple[Recorded, Mapping[str, int]]:
    record = merged(record)
    request = find_request(record)
    parameters = request.parameters
    reply = reply_of(record)
    if "model" not in parameters and (model := _model(record)):
        parameters["model"] = model
    at, took = times_of(record)
    usage, conversation = usage_of(record), conversation_of(record)
    return Recorded(source, parameters, usage, at, took, conversation, reply), request.lost


def _model(record: Any) -> str | None:
    """The model as the response names it."""
    response = record.get("response") if isinstance(record, Mapping) else None
    model = response.get("model") if isinstance(response, Mapping) else None
    return model if isinstance(model, str) else None


def _read(piece: Piece, batch: _Batch) -> tuple[Recorded, Mapping[str, int]] | None:
    """A record; None where it waits for the other half of a batch."""
    source, record = piece.name, piece.value
    name = record.get("custom_id") if isinstance(record, Mapping) else None
    if not isinstance(name, str):
        return _recorded(source, record)
    if "body" in record and "response" not in record:
        found = _recorded(source, record)
        answer = batch.replies.pop(name, None)
        if answer is None:
            batch.requests[name] = found
            return None
        return _joined(found, answer.value)
    if "response" in record and not any(key in record for key in ("body", "request", "messages")):
        asked = batch.requests.pop(name, None)
        if asked is None:
            batch.replies[name] = piece
            return None
        return _joined(asked, record)
    return _recorded(source, record)


def _joined(
    asked: tuple[Recorded, Mapping[str, int]], record: Mapping[str, Any]
) -> tuple[Recorded, Mapping[str, int]]:
    at, took = times_of(record)
    whole = replace(asked[0], usage=usage_of(record), at=at, took=took, reply=reply_of(record))
    return whole, asked[1]


class _Batch:
    """Halves of batches whose other half has not come yet, by custom id."""

    def __init__(self) -> None:
        self.requests: dict[str, tuple[Recorded, Mapping[str, int]]] = {}
        self.replies: dict[str, Piece] = {}

    def rest(self) -> Iterator[Recorded | Problem]:
        """What stayed alone: requests without usage, and replies, which say nothing alone."""
        for asked, _ in self.requests.values():
            yield asked
        reason = "is a reply of a batch without its request: give the file of requests too"
        yield from limited(piece.problem(reason) for piece in self.replies.values())
