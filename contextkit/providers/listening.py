"""Listening: the message of an answer is noted, and the answer stays what it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any

from contextkit.providers.streaming import StreamedMessage, as_data

Note = Callable[[Mapping[str, Any]], None]
AsyncNote = Callable[[Mapping[str, Any]], Awaitable[None]]


def listen(answer: Any, note: Note) -> None:
    """Note the message of an answer: now, or when its stream has ended.

    Of a stream only the iterator that it reads from is replaced. A response that is not read yet
    (`with_streaming_response`) is left alone.
    """
    parsed = _parsed(answer)
    if hasattr(parsed, "_iterator"):
        parsed._iterator = _noting(parsed._iterator, note)  # noqa: SLF001 - no public place for it
    elif (message := _message_of(parsed)) is not None:
        note(message)


async def alisten(answer: Any, note: AsyncNote) -> None:
    """The async twin of `listen`."""
    parsed = _parsed(answer)
    if hasattr(parsed, "_iterator"):
        parsed._iterator = _anoting(parsed._iterator, note)  # noqa: SLF001 - the same
    elif (message := _message_of(parsed)) is not None:
        await note(message)


def _parsed(answer: Any) -> Any:
    """The completion or the stream of an answer; of a raw response, its own parsed form."""
    from openai._legacy_response import LegacyAPIResponse

    if not isinstance(answer, LegacyAPIResponse):
        return answer
    try:
        return answer.parse()
    except Exception:  # noqa: BLE001 - the caller asked for it unparsed, and may never parse it
        return None


def _message_of(completion: Any) -> Mapping[str, Any] | None:
    if not hasattr(completion, "choices"):
        return None
    choices = as_data(completion).get("choices") or ()
    return choices[0].get("message") if choices else None


def _noting(chunks: Generator[Any], note: Note) -> Generator[Any]:
    reply = StreamedMessage()
    with closing(chunks):
        for chunk in chunks:
            reply.add(chunk)
            yield chunk
    if reply.finish_reason is not None:
        note(reply.message)


async def _anoting(chunks: AsyncGenerator[Any], note: AsyncNote) -> AsyncGenerator[Any]:
    reply = StreamedMessage()
    async with aclosing(chunks):
        async for chunk in chunks:
            reply.add(chunk)
            yield chunk
    if reply.finish_reason is not None:
        await note(reply.message)
