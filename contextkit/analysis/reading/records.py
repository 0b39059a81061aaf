"""Records: what stands beside a request in a log: times, conversation, reply.

Where it is looked for, from the outside inwards; `Recorded` documents it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from contextkit.analysis.reading.importers import openai_form
from contextkit.analysis.reading.importers.parts import mappings
from contextkit.analysis.reading.requests import unpacked
from contextkit.analysis.reading.times import seconds_of
from contextkit.errors import ContextKitError
from contextkit.messages import Message

RESPONSES = (
    *("response", "resp", "response_body", "completion", "output", "outputs", "result", "reply"),
    *("body", "standard_logging_object", "llm_output", "message", "response_metadata"),
)
"""Keys under which records hold the response, or what holds it."""

USAGES = (
    *("usage", "usage_object", "usageDetails", "usage_details", "token_usage", "tokenUsage"),
    *("usage_metadata", "usageMetadata", "timings"),
)
SENT = (
    *("sent_at", "sentAt", "request_time", "requested_at", "requestedAt", "request_created_at"),
    *("started_at", "startedAt", "start_time", "startTime", "start", "timestamp", "@timestamp"),
    *("time", "ts", "at", "datetime", "created_at", "createdAt"),
)
ENDED = (
    *("ended_at", "endedAt", "end_time", "endTime", "end", "finished_at", "completed_at"),
    *("received_at", "receivedAt", "response_created_at", "responded_at"),
)
TOOK = (
    *("duration", "latency", "elapsed", "elapsed_time", "took", "delay", "response_time"),
    *("total_time", "request_duration"),
)
UNITS = {
    **dict.fromkeys(("_ms", "Ms", "_millis", "_milliseconds"), 1e3),
    **dict.fromkeys(("_s", "_sec", "_secs", "_seconds"), 1.0),
    "_us": 1e6,
    "_ns": 1e9,
}
CONVERSATIONS = (
    *("conversation_id", "conversationId", "conversation", "thread_id", "threadId", "thread"),
    *("chat_id", "chatId", "session_id", "sessionId", "session", "Helicone-Session-Id"),
)
_ABOUT = ("metadata", "trace", "properties", "request_properties", "attributes", "tags", "extra")
_NO_MESSAGE = ("id", "usage", "model", "stop_reason", "stop_sequence", "container", "status")
_ENVELOPES = ("payload", "data", "json", "event", "kwargs", "standard_logging_object")
_ENVELOPED = (
    *("request", "req", "request_body", "response", "resp", "response_body"),
    *USAGES[:4],
)
_DEEPEST = 4
_LONGEST_IN_SECONDS = 600
_LONGEST_ID = 200


def merged(record: Any) -> Any:
    """A record with what stands in an envelope of it, as of a structured log, at its top."""
    for _ in range(2):
        inner = (
            next((unpacked(record[key]) for key in _ENVELOPES if key in record), None)
            if isinstance(record, Mapping)
            else None
        )
        if not isinstance(inner, Mapping) or not any(key in inner for key in _ENVELOPED):
            break
        record = {**{key: value for key, value in record.items() if key not in _ENVELOPES}, **inner}
    return record


def times_of(record: Any) -> tuple[float | None, float | None]:
    """When the request was sent, and how many seconds it took; None where that is not known.

    The time when the request was sent comes before the one when its reply was made.
    """
    started, ended = _moment(record, SENT), _moment(record, ENDED)
    took = ended - started if started is not None and ended is not None else None
    if took is None or took < 0:
        took = _duration(record)
    if started is None and ended is not None:
        started = ended - (took or 0)
    if started is None:
        for level in levels(record):
            if (created := seconds_of(level.get("created"))) is not None:
                return created, took
    return started, took


def _moment(record: Any, names: Iterable[str]) -> float | None:
    for level in beside(record):
        for name in names:
            if (moment := seconds_of(level.get(name))) is not None:
                return moment
    return None


def _duration(record: Any) -> float | None:
    for level in [*beside(record), *levels(record)]:
        for name in TOOK:
            for ending, unit in UNITS.items():
                if (value := _number(level.get(f"{name}{ending}"))) is not None:
                    return value / unit
            if (value := _number(level.get(name))) is not None:
                return value / 1e3 if value > _LONGEST_IN_SECONDS else value
    return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e18:
        return None
    return float(value)


def conversation_of(record: Any) -> str | None:
    """The id that the log gives its conversation."""
    for level in beside(record):
        for key in CONVERSATIONS:
            if key == "session_id" and "run_type" in level:
                continue  # LangSmith calls its projects so
            value = level.get(key)
            if isinstance(value, Mapping):
                value = value.get("id")
            if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
                continue
            name = str(value)
            if len(name) <= _LONGEST_ID and "\n" not in name:  # else it is the conversation
                return name
    return None


def reply_of(record: Any) -> dict[str, Any] | None:
    """The assistant message that came back, in OpenAI form; None where it cannot be told."""
    for given in _replies(record):
        try:
            request, _ = openai_form({"messages": given})
            messages = [Message.of(message).data for message in request["messages"]]
        except (ContextKitError, ValueError):
            continue
        if messages and messages[-1]["role"] == "assistant":
            return messages[-1]
    return None


def _replies(record: Any) -> Iterator[list[Any]]:
    for level in levels(record):
        for choice in mappings(level.get("choices"))[:1]:
            yield [choice.get("message")]
        if isinstance(level.get("output"), list):
            yield level["output"]  # items of Responses, or messages
        for generation in mappings(_first(level.get("generations")))[:1]:
            yield [generation.get("message")]
        if level is not record:
            whole = level.get("type") == "message"  # Anthropic's reply is message and response
            yield [
                {
                    key: value
                    for key, value in level.items()
                    if key not in _NO_MESSAGE and not (whole and key == "type")
                }
            ]
    if isinstance(record, Mapping):
        preferred = record.get("preferred_output")  # of a fine-tuning file
        if isinstance(preferred, list):
            yield preferred
        for key in RESPONSES[:8]:
            text = record.get(key)
            if isinstance(text, str) and text and unpacked(text) is text:
                yield [{"role": "assistant", "content": text}]


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else None


def levels(record: Any, *more: str) -> Iterator[Mapping[str, Any]]:
    """A record and what of it may hold the response, from the outside inwards."""
    levels = [record]
    for _ in range(_DEEPEST):
        inner = []
        for level in levels:
            if isinstance(level, Mapping):
                yield level
                inner += [unpacked(level[key]) for key in (*RESPONSES, *more) if key in level]
        levels = inner


def streams(record: Any) -> Iterator[list[Mapping[str, Any]]]:
    """Responses that were logged as the chunks of a stream."""
    for level in levels(record):
        for key in ("response", "resp", "chunks", "events", "response_body"):
            if chunks := mappings(unpacked(level.get(key))):
                yield chunks


def beside(record: Any) -> Iterator[Mapping[str, Any]]:
    """A record, what is said about it, and the request in it."""
    if isinstance(record, Mapping):
        yield record
        for key in (*_ABOUT, "standard_logging_object", "request", "req", "body", "request_body"):
            inner = unpacked(record.get(key))
            if isinstance(inner, Mapping):
                yield inner
                if isinstance(about := inner.get("metadata"), Mapping):
                    yield about
