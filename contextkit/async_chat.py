"""AsyncChat: the async twin of `Chat`; the store works in threads, so that nobody waits for it."""

from __future__ import annotations

import asyncio
from typing import Self

from contextkit.context import Context
from contextkit.messages import MessageLike
from contextkit.preparing import Preparation
from contextkit.providers.chat_completions import Answer, acomplete, astream
from contextkit.replies import AsyncReplyStream, OpeningStream, Reply
from contextkit.scope import Scope
from contextkit.turns import ChatParts, Kept, Talk, Turn


class AsyncChat(ChatParts):
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

    _is_async = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

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


class AsyncConversation(Talk):
    """One conversation of an async chat. Made by `AsyncChat.conversation`.

    What is said of `Conversation` holds here. A turn that is cancelled is not kept, unless it was
    being written when that happened: then it is kept whole.

    Attributes:
        context: the request that was built last, answered or not; None before the first.
    """

    async def reload(self) -> None:
        """Take the conversation from the store, with the turns that others have appended.

        Raises:
            StoreError: when it cannot be read.
        """
        await asyncio.to_thread(self._kept.reload)

    async def prepare(self) -> Preparation:
        """Same as `Conversation.prepare`; a task of its own does not hold up the next turn."""
        return await self._kept.parts.builder.aprepare(self._kept.history)

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
        self._kept.begun(context)

        async def end(answer: Answer) -> Reply:
            return await asyncio.to_thread(self._kept.end, turn, context, answer)

        return AsyncReplyStream(context, chunks, end)

    async def _begin(self, messages: tuple[MessageLike, ...]) -> tuple[Turn, Context]:
        turn = await asyncio.to_thread(self._kept.begin, messages)
        self.context = context = await self._kept.parts.builder.abuild(turn.history)
        return turn, context
