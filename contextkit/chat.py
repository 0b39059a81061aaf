"""Chat: conversations with a model over a store; a turn is kept whole or not at all."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from contextkit.budget import Budget, whole_number
from contextkit.builder import ContextBuilder
from contextkit.context import Context
from contextkit.edits import Decision
from contextkit.errors import InputError, MessageError, ReplyError, ScopeError
from contextkit.history import History
from contextkit.messages import MessageLike, text_of
from contextkit.profiles import Profile, profile_for
from contextkit.providers.chat_completions import Answer, complete, stream
from contextkit.recall import recall
from contextkit.records import record_to_json
from contextkit.replies import Reply, ReplyStream
from contextkit.report import Report
from contextkit.scope import Scope
from contextkit.storage.sqlite import SQLiteStore
from contextkit.store import Store


class Chat:
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
        create = getattr(
            getattr(getattr(client, "chat", None), "completions", None), "create", None
        )
        if not callable(create):
            raise InputError("has no chat.completions.create: OpenAI() has", place="client")
        if inspect.iscoroutinefunction(create):
            raise InputError(
                "is async, and Chat is not: await ContextBuilder.abuild and the client instead",
                place="client",
            )
        unknown = [name for name in builder_options if name not in _BUILDER_OPTIONS]
        if unknown:
            raise InputError(
                f"{', '.join(unknown)}: neither the chat nor its builder knows it. A parameter of "
                f"each request goes into options={{{unknown[0]!r}: …}}",
                place="Chat",
            )
        self.client = client
        self.system = system
        History(system=system)  # says now, not in the first turn, what is wrong with it
        self.options = _checked(options or {})
        if builder is not None:
            _check_builder(builder, model, store, builder_options)
            store = builder.store if store is None else store
        elif not isinstance(model, str):
            raise InputError("is needed: Chat(client, model=…)", place="model")
        self._owned = isinstance(store, str | Path) or store is None
        if store is None or isinstance(store, str | Path):
            self.store: Store = SQLiteStore(":memory:" if store is None else store)
        else:
            self.store = _checked_store(store)
        if builder is None:
            settings = _with_reserve(str(model), builder_options, self.options)
            builder = ContextBuilder(str(model), **settings)
        # It must find in the store what was paid for in a turn that failed. The caller's own
        # builder is not changed.
        self.builder = copy(builder)
        self.builder.store = self.store

    def __repr__(self) -> str:
        return f"Chat({self.builder.model!r}, {self.store!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the store, if it was opened here. The client stays open."""
        if self._owned and isinstance(self.store, SQLiteStore):
            self.store.close()

    def conversation(self, scope: Scope) -> Conversation:
        """The conversation of a scope: as it was left, or a new one with the system prompt.

        Raises:
            ScopeError: when it is not a `Scope`.
            StoreError: when it cannot be read.
        """
        if not isinstance(scope, Scope):
            raise ScopeError(
                "whose conversation is it? Scope(tenant, user, conversation) says it, "
                f"not {type(scope).__name__}"
            )
        return Conversation(self, scope)


class Conversation:
    """One conversation of a chat. Made by `Chat.conversation`.

    A turn is the new messages, what was decided for the request, and the reply with its usage. It
    is written to the store in one transaction once the reply is whole. Until then, and whenever
    anything goes wrong, the conversation is as it was before: send the same messages again. What
    was paid for a summary is not paid for again then.

    Attributes:
        scope: whose conversation it is.
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

    def __init__(self, chat: Chat, scope: Scope) -> None:
        self.scope = scope
        self.context: Context | None = None
        self._chat = chat
        self._kept: tuple[History, int]
        self.reload()

    def __repr__(self) -> str:
        history, version = self._kept
        return f"Conversation({self.scope}, {len(history)} messages, version {version})"

    @property
    def history(self) -> History:
        """The conversation as it is kept: whole turns only."""
        return self._kept[0]

    @property
    def report(self) -> Report | None:
        """What became of every message in the last request; None before the first."""
        return self.context.report if self.context is not None else None

    def reload(self) -> None:
        """Take the conversation from the store, with the turns that others have appended.

        Raises:
            StoreError: when it cannot be read.
        """
        records = self._chat.store.load(self.scope)
        history = History(system=None if records else self._chat.system, scope=self.scope)
        history.restore(records)
        if records:
            recall(history, self._chat.store, self._chat.builder.view)
        self._kept = (history, len(records))

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
        turn = self._begin(messages)
        return self._end(turn, complete(self._chat.client, turn.request))

    def stream(self, *messages: MessageLike) -> ReplyStream:
        """Same as `send`, with the reply as it comes. The turn is kept when it has come whole."""
        turn = self._begin(messages)
        chunks = stream(self._chat.client, turn.request)
        return ReplyStream(turn.context, chunks, lambda answer: self._end(turn, answer))

    # What a turn is before and after its only I/O with the model.

    def _begin(self, messages: tuple[MessageLike, ...]) -> _Turn:
        kept, version = self._kept
        history = kept.fork()
        history.extend(messages)
        builder = self._chat.builder
        # What was decided for these very messages in a turn that then failed, here or elsewhere.
        recall(history, self._chat.store, builder.view)
        self.context = context = builder.build(history)
        return _Turn(history, version, context, {**context.request(), **self._chat.options})

    def _end(self, turn: _Turn, answer: Answer) -> Reply:
        history = turn.history
        try:
            if (role := answer.message.get("role")) != "assistant":
                raise MessageError(f"role {role!r:.60} is not the assistant's")
            number = history.append(answer.message)
        except MessageError as error:
            raise ReplyError(
                f"the reply cannot be kept: {error}", partial=text_of(answer.message)
            ) from error
        if answer.usage is not None:
            history.report(number, answer.usage)
        new = history.records[turn.version :]
        version = self._chat.store.append(
            self.scope,
            [record_to_json(record) for record in new],
            expected=turn.version,
            decisions={
                (record.view, history.prefix_hash(record.point, record.view)): record.to_json()
                for record in new
                if isinstance(record, Decision)
            },
        )
        self._kept = (history, version)
        return Reply(
            text_of(answer.message),
            history[number],
            answer.usage,
            turn.context,
            answer.finish_reason,
        )


@dataclass(frozen=True, slots=True)
class _Turn:
    """A turn that is not kept yet, on a history of its own."""

    history: History
    version: int  # of the store that it begins at: the number of records that are kept
    context: Context
    request: dict[str, Any]


_BUILDER_OPTIONS = frozenset(inspect.signature(ContextBuilder.__init__).parameters) - {"self"}
_BUILT = ("model", "messages", "tools", "response_format")


def _checked(options: Any) -> dict[str, Any]:
    """The options, if the chat does not decide on them itself."""
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InputError(
            f"are parameters of the request by name, not {options!r:.60}", place="options"
        )
    for name in options:
        if name in _BUILT:
            raise InputError(
                "is a part of what is built, and comes from the chat and the conversation",
                place=f"options[{name!r}]",
            )
        if name in ("stream", "n"):
            raise InputError(
                "cannot be set: send and stream say it, and one reply goes into the history",
                place=f"options[{name!r}]",
            )
    for name in ("max_completion_tokens", "max_tokens"):
        if options.get(name) is not None:
            whole_number(f"options[{name!r}]", options[name], least=0)
    return dict(options)


def _checked_store(store: Any) -> Store:
    """The store, if it has the methods of one."""
    for wanted in ("load", "append", "decisions", "decide"):
        if isinstance(store, type) or not callable(getattr(store, wanted, None)):
            raise InputError(
                f"is a path or a Store, and {store!r:.60} has no {wanted}()", place="store"
            )
    return store  # type: ignore[no-any-return]  # what has the methods is one


def _check_builder(
    builder: ContextBuilder,
    model: str | None,
    store: str | Path | Store | None,
    settings: Mapping[str, Any],
) -> None:
    if not isinstance(builder, ContextBuilder):
        raise InputError(f"is a ContextBuilder, not {type(builder).__name__}", place="builder")
    if settings:
        raise InputError(f"has {', '.join(settings)} of its own: give one of them", place="builder")
    if model not in (None, builder.model):
        raise InputError(f"is for {builder.model!r}, not for {model!r}", place="builder")
    if builder.store is not None and store not in (None, builder.store):
        raise InputError("has another store than the chat: give it to one of them", place="builder")


def _with_reserve(
    model: str, settings: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """The builder's settings, with the longest reply as the reserve where none is given."""
    tokens = options.get("max_completion_tokens", options.get("max_tokens"))
    budget, limit = settings.get("budget"), settings.get("limit")
    profile = settings.get("profile")
    usable = isinstance(budget, Budget | None) and isinstance(profile, Profile | None)
    if tokens is None or not usable:  # the builder says what is wrong with them
        return dict(settings)
    if budget is not None and (limit is not None or budget.reserve is not None):
        return dict(settings)
    if budget is None:
        if limit is None:
            window = (profile or profile_for(model)).window
            limit = max(1, window - tokens)
        return {**settings, "limit": None, "budget": Budget(limit, reserve=tokens)}
    return {**settings, "budget": replace(budget, reserve=tokens)}
