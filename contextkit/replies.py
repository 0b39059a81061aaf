"""Replies: what a model answered, whole or as it comes."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
)
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import Any, Self

from contextkit.context import Context
from contextkit.errors import InputError, ReplyError
from contextkit.providers.chat_completions import Answer, AsyncChunkStream, ChunkStream, Gathered
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model answered; as a string, its text.

    Attributes:
        text: the text; empty where there is none, as with tool calls alone.
        message: the assistant message as a dict of your own.
        usage: what the provider reported; None where it did not.
        context: the request that it answers.
        finish_reason: why it ended, such as `stop`, `length`, `tool_calls`.

    Example:
        >>> from contextkit.replies import Reply
        >>> message = {"role": "assistant", "content": "Hi."}
        >>> print(Reply("Hi.", message, usage=None, context=None, finish_reason="stop"))
        Hi.
    """

    text: str
    message: dict[str, Any]
    usage: Usage | None
    context: Context
    finish_reason: str | None

    def __str__(self) -> str:
        return self.text


class _Coming:
    """What streams of both kinds know of a reply that is coming."""

    def __init__(self, context: Context, gathered: Gathered) -> None:
        self.context = context
        self._gathered = gathered
        self._read_as = ""
        self._reply: Reply | None = None

    @property
    def partial(self) -> str:
        """The text so far."""
        return self._gathered.reply.text

    @property
    def reply(self) -> Reply:
        """The whole reply, once the stream has ended.

        Raises:
            ReplyError: before, and when it never came to its end.
        """
        if self._reply is None:
            raise ReplyError("the stream was not read to its end", partial=self.partial)
        return self._reply

    def _begin(self, form: str) -> None:
        if self._read_as:
            raise InputError(f"is read already, as {self._read_as}", place="stream")
        self._read_as = form


class ReplyStream(_Coming):
    """A reply as it comes: iterate over its text deltas, or over `chunks()`; once, not both.

    The request is sent when the stream is made. The turn is kept when the last chunk was read and
    the loop ends by itself. When it is cut off, closed or left before, nothing of the turn is kept,
    and `partial` has the text so far.

    Attributes:
        context: the request that is being answered.

    Example:
        >>> from contextkit import Chat
        >>> def tell(chat: Chat, scope, question: str) -> str:
        ...     with chat.conversation(scope).stream(question) as stream:
        ...         for delta in stream:
        ...             print(delta, end="", flush=True)
        ...     return stream.reply.text
    """

    def __init__(
        self, context: Context, chunks: ChunkStream, finish: Callable[[Answer], Reply]
    ) -> None:
        super().__init__(context, chunks)
        self._chunks = chunks
        self._finish = finish

    def __iter__(self) -> Iterator[str]:
        self._begin("text")
        return self._deltas()

    def chunks(self) -> Iterator[Any]:
        """The client's own chunks, unchanged, in place of the text deltas."""
        self._begin("chunks")
        return self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back. Nothing is kept of a turn that has not ended."""
        self._chunks.close()

    def _deltas(self) -> Iterator[str]:
        with closing(self._read()) as chunks:
            for _ in chunks:
                if self._chunks.last_text:
                    yield self._chunks.last_text

    def _read(self) -> Generator[Any]:
        with self._chunks:
            yield from self._chunks
        self._reply = self._finish(self._chunks.answer)


class OpeningStream:
    """A stream that is being opened: await it, or enter it or iterate over it at once."""

    def __init__(self, opening: Coroutine[Any, Any, AsyncReplyStream]) -> None:
        self._opening = opening
        self._stream: AsyncReplyStream | None = None

    def __await__(self) -> Generator[Any, Any, AsyncReplyStream]:
        return self._opening.__await__()

    async def __aenter__(self) -> AsyncReplyStream:
        self._stream = await self._opening
        return self._stream

    async def __aexit__(self, *_: object) -> None:
        if self._stream is not None:
            await self._stream.close()

    async def __aiter__(self) -> AsyncIterator[str]:
        async with self as stream:
            async for delta in stream:
                yield delta


class AsyncReplyStream(_Coming):
    """The async twin of `ReplyStream`: `async for`, `async with`, `await stream.close()`.

    Leave a loop early inside an `async with` only: Python ends an abandoned async loop at a time
    of its own choosing, and until then the connection stays open.

    Example:
        >>> from contextkit import AsyncChat
        >>> async def tell(chat: AsyncChat, scope, question: str) -> str:
        ...     talk = await chat.conversation(scope)
        ...     async with talk.stream(question) as stream:
        ...         async for delta in stream:
        ...             print(delta, end="", flush=True)
        ...     return stream.reply.text
    """

    def __init__(
        self,
        context: Context,
        chunks: AsyncChunkStream,
        finish: Callable[[Answer], Awaitable[Reply]],
    ) -> None:
        super().__init__(context, chunks)
        self._chunks = chunks
        self._finish = finish

    def __aiter__(self) -> AsyncIterator[str]:
        self._begin("text")
        return self._deltas()

    def chunks(self) -> AsyncIterator[Any]:
        """The client's own chunks, unchanged, in place of the text deltas."""
        self._begin("chunks")
        return self._read()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connection back. Nothing is kept of a turn that has not ended."""
        await self._chunks.close()

    async def _deltas(self) -> AsyncIterator[str]:
        async with aclosing(self._read()) as chunks:
            async for _ in chunks:
                if self._chunks.last_text:
                    yield self._chunks.last_text

    async def _read(self) -> AsyncGenerator[Any]:
        async with self._chunks:
            async for chunk in self._chunks:
                yield chunk
        self._reply = await self._finish(self._chunks.answer)
