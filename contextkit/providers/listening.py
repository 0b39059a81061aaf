"""Listening: message and usage of an answer are noted, and the answer stays what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import aclosing, closing
from typing import Any

from contextkit.errors import ReplyError
from contextkit.providers.streaming import StreamedMessage, as_data, usage_of
from contextkit.usage import Usage

Note = Callable[[Mapping[str, Any]], None]
AsyncNote = Callable[[Mapping[str, Any]], Awaitable[None]]
NoteUsage = Callable[[Usage], None]


def listen(answer: Any, note: Note | None, note_usage: NoteUsage) -> None:
    """Note the message of an answer, and its usage: now, or when they have come whole.

    Of a stream only the iterator that it reads from is replaced. A response that is not read yet
    (`with_streaming_response`) is left alone.
    """
    parsed = _parsed(answer)
    if hasattr(parsed, "_iterator"):
        parsed._iterator = _noting(parsed._iterator, note, note_usage)  # noqa: SLF001 - no public place for it
        return
    message, usage = _said_by(parsed)
    if message is not None and note is not None:
        note(message)
    if usage is not None:
        note_usage(usage)


async def alisten(answer: Any, note: AsyncNote | None, note_usage: NoteUsage) -> None:
    """The async twin of `listen`; usage is noted in a thread, since that takes as long as it is."""
    parsed = _parsed(answer)
    if hasattr(parsed, "_iterator"):
        parsed._iterator = _anoting(parsed._iterator, note, note_usage)  # noqa: SLF001 - the same
        return
    message, usage = _said_by(parsed)
    if message is not None and note is not None:
        await note(message)
    if usage is not None:
        await asyncio.to_thread(note_usage, usage)


def _parsed(answer: Any) -> Any:
    """The completion or the stream of an answer; of a raw response, its own parsed form."""
    from openai._legacy_response import LegacyAPIResponse

    if not isinstance(answer, LegacyAPIResponse):
        return answer
    try:
        return answer.parse()
    except Exception:  # noqa: BLE001 - the caller asked for it unparsed, and may never parse it
        return None


def _said_by(completion: Any) -> tuple[Mapping[str, Any] | None, Usage | None]:
    """The message of a completion, and its usage."""
    if not hasattr(completion, "choices"):
        return None, None
    data = as_data(completion)
    choices = data.get("choices") or ()
    message = choices[0].get("message") if choices and isinstance(choices[0], Mapping) else None
    return message, usage_of(data.get("usage"))


class _Coming:
    """A message put together from chunks; one that cannot be is nobody's error."""

    def __init__(self) -> None:
        self._reply: StreamedMessage | None = StreamedMessage()
        self._given = False

    def add(self, chunk: Any) -> Mapping[str, Any] | None:
        """The whole message, once: with the chunk that ends it, at which many stop reading."""
        if self._reply is None:
            return None
        try:
            self._reply.add(chunk)
        except ReplyError:  # the caller shall see what the bare client gives
            self._reply = None
            return None
        return self.end()

    def end(self) -> Mapping[str, Any] | None:
        """The same at the end of the stream, unless it was given before or cut off."""
        if self._reply is None or self._given or self._reply.finish_reason is None:
            return None
        self._given = True
        return self._reply.message

    @property
    def usage(self) -> Usage | None:
        """The usage, if it came and the message did to its end."""
        return self._reply.usage if self._reply is not None and self._given else None


def _noting(chunks: Generator[Any], note: Note | None, note_usage: NoteUsage) -> Generator[Any]:
    coming = _Coming()
    try:
        with closing(chunks):
            for chunk in chunks:
                if (message := coming.add(chunk)) is not None and note is not None:
                    note(message)
                yield chunk
    finally:
        if (usage := coming.usage) is not None:
            note_usage(usage)


async def _anoting(
    chunks: AsyncGenerator[Any], note: AsyncNote | None, note_usage: NoteUsage
) -> AsyncGenerator[Any]:
    coming = _Coming()
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                if (message := coming.add(chunk)) is not None and note is not None:
                    await note(message)
                yield chunk
    finally:
        if (usage := coming.usage) is not None:
            await asyncio.to_thread(note_usage, usage)
