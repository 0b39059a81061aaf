"""The call itself: `chat.completions.create` of an official client: plain, streaming, sync, async.

The client's own retries are the only ones, and its errors come through as they are.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from contextkit.errors import InputError, ReplyError
from contextkit.providers.streaming import StreamedMessage, as_data, usage_of
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request.

    Attributes:
        message: the assistant message.
        usage: what the provider reported; None where it did not.
        finish_reason: why the reply ended; None where the provider does not say.
    """

    message: dict[str, Any]
    usage: Usage | None
    finish_reason: str | None


def complete(client: Any, request: Mapping[str, Any]) -> Answer:
    """Send a request and wait for the whole answer.

    Raises:
        ReplyError: when the answer holds no message.
    """
    return _answer_of(client.chat.completions.create(**request))


async def acomplete(client: Any, request: Mapping[str, Any]) -> Answer:
    """The async twin of `complete`."""
    return _answer_of(await _awaited(client, request))


def stream(client: Any, request: Mapping[str, Any]) -> ChunkStream:
    """Send a request and give its chunks as they come.

    Usage is asked for unless the request says otherwise; the chunk that brings only the usage is
    then kept back, so that the chunks are those that were asked for.
    """
    streaming, hide_usage = _streaming(request)
    chunks = _checked_stream(client.chat.completions.create(**streaming), Iterable)
    return ChunkStream(chunks, hide_usage=hide_usage)


async def astream(client: Any, request: Mapping[str, Any]) -> AsyncChunkStream:
    """The async twin of `stream`."""
    streaming, hide_usage = _streaming(request)
    chunks = _checked_stream(await _awaited(client, streaming), AsyncIterable)
    return AsyncChunkStream(chunks, hide_usage=hide_usage)


class Gathered:
    """What the chunks of one stream add up to, kept beside them.

    Attributes:
        reply: the message so far.
        last_text: the text that the chunk given last has added.
    """

    def __init__(self, chunks: Any, *, hide_usage: bool) -> None:
        self.reply = StreamedMessage()
        self.last_text = ""
        self._chunks = chunks
        self._hide_usage = hide_usage

    def _take(self, chunk: Any) -> bool:
        """Add a chunk, and say whether it is one of those that were asked for."""
        self.last_text = self.reply.add(chunk)
        return not (self._hide_usage and self.reply.only_usage)

    @property
    def answer(self) -> Answer:
        """The whole answer, once every chunk has come.

        Raises:
            ReplyError: when the stream ended without saying why, as one does that was cut off.
        """
        if self.reply.finish_reason is None:
            raise ReplyError(
                "the stream ended without a finish reason, so it was cut off: send again",
                partial=self.reply.text,
            )
        return Answer(self.reply.message, self.reply.usage, self.reply.finish_reason)


class ChunkStream(Gathered):
    """The chunks of one stream, unchanged."""

    def __iter__(self) -> Iterator[Any]:
        for chunk in self._chunks:
            if self._take(chunk):
                yield chunk

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back; what has not come yet is not waited for."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            close()


class AsyncChunkStream(Gathered):
    """The async twin of `ChunkStream`."""

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self._chunks:
            if self._take(chunk):
                yield chunk

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back; what has not come yet is not waited for."""
        # The official client's stream has `close`, an async generator `aclose`.
        close = getattr(self._chunks, "close", None) or getattr(self._chunks, "aclose", None)
        if close is not None:
            await close()


def _awaited(client: Any, request: Mapping[str, Any]) -> Awaitable[Any]:
    answer: Any = client.chat.completions.create(**request)
    if not inspect.isawaitable(answer):
        raise InputError("is not async: the sync calls take it", place="client")
    return answer


def _answer_of(completed: Any) -> Answer:
    completion = as_data(completed)
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    said = choice.get("message") if isinstance(choice, Mapping) else None
    if not said or not isinstance(said, Mapping) or not isinstance(choice, Mapping):
        raise ReplyError("the provider answered without a message: send again")
    message = {"role": "assistant", **said}
    message["role"] = message["role"] or "assistant"
    return Answer(message, usage_of(completion.get("usage")), choice.get("finish_reason"))


def _checked_stream(chunks: Any, kind: type) -> Any:
    if not isinstance(chunks, kind):
        raise ReplyError(f"the provider answered with {type(chunks).__name__}, no stream of chunks")
    return chunks


def _streaming(request: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The request as a streaming one, and whether its usage is for us alone."""
    given = request.get("stream_options") or {}
    asked = "include_usage" in given
    options = given if asked else {**given, "include_usage": True}
    return {**request, "stream": True, "stream_options": options}, not asked
