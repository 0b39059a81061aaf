"""Chat: conversations with a model over a store; a turn is kept whole or not at all."""

from __future__ import annotations

from typing import Self

from contextkit.messages import MessageLike
from contextkit.preparing import Preparation
from contextkit.providers.chat_completions import complete, stream
from contextkit.replies import Reply, ReplyStream
from contextkit.scope import Scope
from contextkit.turns import ChatParts, Kept, Talk


class Chat(ChatParts):
    """Conversations with one model, by way of an official client.

    Args:
        client: anything with `chat.completions.create`, such as `openai.OpenAI()`. Its retries
            are the only ones, and its errors come through.
        model: the model's name; not needed with a `builder`.
        store: where conversations are kept: a path (an SQLite file), a `Store`, or None for this
            process only.
        builder: builds the requests; or give what one is made of: `limit`, `budget`, `tools`,
            `compaction` and so on, as `ContextBuilder` takes them.
        system: the system prompt of new conversations. One that is stored keeps its own.
        options: further parameters of each request, such as `temperature`. `max_tokens` or
            `max_completion_tokens` is also what is kept free for the reply, unless a budget or a
            builder says otherwise.

    Raises:
        InputError: when the settings contradict each other.
        StoreError: when the store cannot be opened.

    Example:
        A client that answers with what it was told last:

        >>> from types import SimpleNamespace as Object
        >>> def create(*, messages, **_):
        ...     reply = {"role": "assistant", "content": f"You said: {messages[-1]['content']}"}
        ...     return {"choices": [{"index": 0, "message": reply, "finish_reason": "stop"}]}
        >>> client = Object(chat=Object(completions=Object(create=create)))

        >>> from contextkit import Chat, Scope
        >>> chat = Chat(client, model="gpt-4o", system="You are terse.", limit=1_000)
        >>> talk = chat.conversation(Scope(tenant="acme", user="u1", conversation="42"))
        >>> print(talk.send("Hello"))
        You said: Hello
        >>> len(talk.history)
        3
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if it was opened here. The client stays open."""
        self._parts.close()

    def conversation(self, scope: Scope) -> Conversation:
        """The conversation of a scope: as it was left, or a new one with the system prompt.

        Raises:
            ScopeError: when it is not a `Scope`.
            StoreError: when it cannot be read.
        """
        return Conversation(Kept(self._parts, scope))


class Conversation(Talk):
    """One conversation of a chat. Made by `Chat.conversation`.

    A turn is the new messages, what was decided for the request, and the reply with its usage. It
    is written to the store in one transaction once the reply is whole. Until then, and whenever
    anything goes wrong, the conversation is as it was before: send the same messages again. What
    was paid for a summary is not paid for again then.

    Attributes:
        context: the request that was built last, answered or not; None before the first.

    Example:
        >>> from types import SimpleNamespace as Object
        >>> words = [{"content": "Good "}, {"content": "morning"}, {}]
        >>> def create(**_):
        ...     ends = [None, None, "stop"]
        ...     for delta, end in zip(words, ends):
        ...         yield {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        >>> client = Object(chat=Object(completions=Object(create=create)))

        >>> from contextkit import Chat, Scope
        >>> talk = Chat(client, model="gpt-4o").conversation(Scope("acme", "u1", "42"))
        >>> for delta in talk.stream("Hello"):
        ...     print(delta, end="|")
        Good |morning|
        >>> talk.history[1]
        {'role': 'assistant', 'content': 'Good morning'}
    """

    def reload(self) -> None:
        """Take the conversation from the store, with the turns that others have appended.

        Raises:
            StoreError: when it cannot be read.
        """
        self._kept.reload()

    def prepare(self) -> Preparation:
        """Write the summaries of the coming cut ahead of time: `ContextBuilder.prepare`.

        Between turns, for instance in a thread of its own; the next turn does not wait for it.
        """
        return self._kept.parts.builder.prepare(self._kept.history)

    def send(self, *messages: MessageLike) -> Reply:
        """Append messages, have them answered, and keep the turn.

        Args:
            messages: strings (user messages), dicts or SDK objects; for the tool calls of the
                last reply, its results: `{"role": "tool", "tool_call_id": …, "content": …}`.

        Raises:
            InputError: when a message cannot be sent, or not after those before it.
            BudgetExceeded: when what must be kept is over the limit; nothing was sent.
            ReplyError: when the answer is not a reply that can be kept.
            StoreConflict: when others have appended meanwhile: `reload` and send again.
            StoreError: when the store cannot be read or written.
            Exception: the client's own errors.
        """
        turn = self._kept.begin(messages)
        self.context = context = self._kept.parts.builder.build(turn.history)
        answer = complete(self._kept.parts.client, self._kept.request(context))
        return self._kept.end(turn, context, answer)

    def stream(self, *messages: MessageLike) -> ReplyStream:
        """Same as `send`, with the reply as it comes. The turn is kept when it has come whole."""
        turn = self._kept.begin(messages)
        self.context = context = self._kept.parts.builder.build(turn.history)
        chunks = stream(self._kept.parts.client, self._kept.request(context))
        self._kept.begun(context)
        return ReplyStream(context, chunks, lambda answer: self._kept.end(turn, context, answer))
