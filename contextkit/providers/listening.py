"""Listening: the message of an answer is noted, and the answer stays what it is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any

from contextkit.errors import ReplyError
from contextkit.providers.streaming import StreamedMessage, as_data

Note = Callable[[Mapping[str, Any]], None]
AsyncNote = Callable[[Mapping[str, Any]], Awaitable[None]]


def listen(answer: Any, note: Note) -> None:
    """Note the message of an answer: now, or when it has come whole.

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
    return choices[0].get("message") if choices and isinstance(choices[0], Mapping) else None


class _Coming:
    """A message put together from chunks; one that cannot be is nobody's error."""

    def __init__(self) -> None:
        self._reply: StreamedMessage | None = StreamedMessage()

    def add(self, chunk: Any) -> Mapping[str, Any] | None:
        """The whole message, once: with the chunk that ends it, at which many stop reading."""
        if self._reply is None:
            return None
        try:
            self._reply.add(chunk)
        except ReplyError:  # the caller shall see what the bare client gives
            self._reply = None
            return None
        return self.end() if self._reply.finish_reason else None

    def end(self) -> Mapping[str, Any] | None:
        """The same at the end of the stream, unless it was given before or cut off."""
        reply, self._reply = self._reply, None
        return None if reply is None or reply.finish_reason is None else reply.message


def _noting(chunks: Generator[Any], note: Note) -> Generator[Any]:
    coming = _Coming()
    with closing(chunks):
        for chunk in chunks:
            if (message := coming.add(chunk)) is not None:
                note(message)
            yield chunk
    if (message := coming.end()) is not None:
        note(message)


async def _anoting(chunks: AsyncGenerator[Any], note: AsyncNote) -> AsyncGenerator[Any]:
    coming = _Coming()
    async with aclosing(chunks):
        async for chunk in chunks:
            if (message := coming.add(chunk)) is not None:
                await note(message)
            yield chunk
    if (message := coming.end()) is not None:
        await note(message)
