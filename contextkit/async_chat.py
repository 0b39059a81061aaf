"""AsyncChat: the async twin of `Chat`; the store works in threads, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from contextkit.builder import ContextBuilder
from contextkit.context import Context
from contextkit.history import History
from contextkit.messages import MessageLike
from contextkit.providers.chat_completions import Answer, acomplete, astream
from contextkit.replies import AsyncReplyStream, OpeningStream, Reply
from contextkit.report import Report
from contextkit.scope import Scope
from contextkit.store import Store
from contextkit.turns import Kept, Parts, Turn


class AsyncChat:
    """Conversations with one model, by way of an official async client.

    Takes what `Chat` takes, with `openai.AsyncOpenAI()` as the client; summarizers and embedders
    may be async. Every call is the one of `Chat` with an `await` before it.

    Raises:
        InputError: when the settings contradict each other.
        StoreError: when the store cannot be opened.

    Example:
        A client that answers with what it was told last:

        >>> import asyncio
        >>> from types import SimpleNamespace as Object
        >>> async def create(*, messages, **_):
        ...     reply = {"role": "assistant", "content": f"You said: {messages[-1]['content']}"}
        ...     return {"choices": [{"index": 0, "message": reply, "finish_reason": "stop"}]}
        >>> client = Object(chat=Object(completions=Object(create=create)))

        >>> from contextkit import AsyncChat, Scope
        >>> async def hello():
        ...     async with AsyncChat(client, model="gpt-4o", limit=1_000) as chat:
        ...         talk = await chat.conversation(Scope("acme", "u1", "42"))
        ...         return await talk.send("Hello")
        >>> print(asyncio.run(hello()))
        You said: Hello
    """

    def __init__(
        self,
        client: Any,
        *,
        model: str | None = None,
        store: str | Path | Store | None = None,
        builder: ContextBuilder | None = None,
        system: MessageLike | None = None,
        options: Mapping[str, Any] | None = None,
        **builder_options: Any,
    ) -> None:
        self._parts = Parts(
            client,
            model=model,
            store=store,
            builder=builder,
            system=system,
            options=options,
            builder_options=builder_options,
            is_async=True,
        )

    def __repr__(self) -> str:
        return f"AsyncChat({self.builder.model!r}, {self.store!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def builder(self) -> ContextBuilder:
        """Builds the requests."""
        return self._parts.builder

    @property
    def store(self) -> Store:
        """Keeps the conversations."""
        return self._parts.store

    async def close(self) -> None:
        """Close the store, if it was opened here. The client stays open."""
        await asyncio.to_thread(self._parts.close)

    async def conversation(self, scope: Scope) -> AsyncConversation:
        """The conversation of a scope: as it was left, or a new one with the system prompt.

        Raises:
            ScopeError: when it is not a `Scope`.
            StoreError: when it cannot be read.
        """
        return AsyncConversation(await asyncio.to_thread(Kept, self._parts, scope))


class AsyncConversation:
    """One conversation of an async chat. Made by `AsyncChat.conversation`.

    What is said of `Conversation` holds here. A turn that is cancelled is not kept, unless it was
    being written when that happened: then it is kept whole.

    Attributes:
        context: the request that was built last, answered or not; None before the first.
    """

    def __init__(self, kept: Kept) -> None:
        self.context: Context | None = None
        self._kept = kept

    def __repr__(self) -> str:
        return (
            f"AsyncConversation({self.scope}, {len(self.history)} messages, "
            f"version {self._kept.version})"
        )

    @property
    def scope(self) -> Scope:
        """Whose conversation it is."""
        return self._kept.scope

    @property
    def history(self) -> History:
        """The conversation as it is kept: whole turns only."""
        return self._kept.history

    @property
    def report(self) -> Report | None:
        """What became of every message in the last request; None before the first."""
        return self.context.report if self.context is not None else None

    async def reload(self) -> None:
        """Take the conversation from the store, with the turns that others have appended.

        Raises:
            StoreError: when it cannot be read.
        """
        await asyncio.to_thread(self._kept.reload)

    async def send(self, *messages: MessageLike) -> Reply:
        """Append messages, have them answered, and keep the turn.

        Args and errors are those of `Conversation.send`.
        """
        turn, context = await self._begin(messages)
        answer = await acomplete(self._kept.parts.client, self._kept.request(context))
        return await asyncio.to_thread(self._kept.end, turn, context, answer)

    def stream(self, *messages: MessageLike) -> OpeningStream:
        """Same as `send`, with the reply as it comes. The turn is kept when it has come whole.

        `async with talk.stream(…) as stream`, `async for delta in talk.stream(…)`, or
        `stream = await talk.stream(…)`.
        """
        return OpeningStream(self._stream(messages))

    async def _stream(self, messages: tuple[MessageLike, ...]) -> AsyncReplyStream:
        turn, context = await self._begin(messages)
        chunks = await astream(self._kept.parts.client, self._kept.request(context))

        async def end(answer: Answer) -> Reply:
            return await asyncio.to_thread(self._kept.end, turn, context, answer)

        return AsyncReplyStream(context, chunks, end)

    async def _begin(self, messages: tuple[MessageLike, ...]) -> tuple[Turn, Context]:
        turn = await asyncio.to_thread(self._kept.begin, messages)
        self.context = context = await self._kept.parts.builder.abuild(turn.history)
        return turn, context
