"""Records: what stands beside a request in a log: usage, times, conversation, reply."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from contextkit.analysis.requests import unpacked
from contextkit.analysis.times import seconds_of
from contextkit.usage import Usage

_RESPONSES = ("response", "response_body", "completion", "output", "outputs", "result", "reply")
_SENT = (
    *("sent_at", "request_time", "requested_at", "request_created_at", "started_at", "start_time"),
    *("startTime", "start", "timestamp", "time", "ts", "at", "datetime", "date"),
    *("created_at", "createdAt", "created"),
)
_CONVERSATION = (
    *("conversation_id", "conversationId", "conversation", "thread_id", "threadId"),
    *("session_id", "sessionId", "chat_id", "chatId"),
)


def usage_of(record: Any) -> Usage | None:
    """The usage that was reported for it."""
    for level in _levels(record):
        if isinstance(found := unpacked(level.get("usage")), Mapping):
            usage = Usage.of(found)
            if usage is not None and usage.input_tokens is not None:
                return usage
    return None


def sent_at(record: Any) -> float | None:
    """When it was sent."""
    for level in _levels(record):
        for key in _SENT:
            if (moment := seconds_of(level.get(key))) is not None:
                return moment
    return None


def duration_of(record: Any) -> float | None:
    """How many seconds it took."""
    for level in _levels(record):
        for key in ("duration", "latency", "elapsed", "took"):
            for ending, unit in (("", 1.0), ("_s", 1.0), ("_ms", 1e3)):
                value = level.get(f"{key}{ending}")
                if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
                    return value / unit
    return None


def conversation_of(record: Any) -> str | None:
    """The id that the log gives its conversation."""
    for level in _levels(record, ("metadata", "trace")):
        for key in _CONVERSATION:
            if isinstance(value := level.get(key), str | int) and value != "":
                return str(value)
    return None


def reply_of(record: Any) -> Mapping[str, Any] | None:
    """The assistant message that came back."""
    for level in _levels(record):
        choices = level.get("choices")
        if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
            message = choices[0].get("message")
            if isinstance(message, Mapping) and message.get("role") == "assistant":
                return message
        if level is not record and level.get("role") == "assistant":
            return level
    return None


def _levels(record: Any, more: tuple[str, ...] = ()) -> Iterator[Mapping[str, Any]]:
    """A record and what of it may hold the response, from the outside inwards."""
    level: Any = record
    if isinstance(level, Mapping):
        yield level
        for key in (*_RESPONSES, *more):
            inner = unpacked(level.get(key))
            if isinstance(inner, Mapping):
                yield inner
                if isinstance(body := inner.get("body"), Mapping):
                    yield body
