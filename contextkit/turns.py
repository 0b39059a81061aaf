"""Turns: what `Chat` and `AsyncChat` do before and after the only I/O with the model."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from contextkit.budget import Budget, longest_reply, whole_number
from contextkit.builder import ContextBuilder
from contextkit.caching.ledger import KEPT_ROWS, Ledger
from contextkit.caching.past import ledger_of
from contextkit.caching.routing import with_own
from contextkit.context import Context
from contextkit.edits import Decision
from contextkit.errors import InputError, MessageError, ReplyError, ScopeError
from contextkit.history import History
from contextkit.messages import MessageLike, text_of
from contextkit.plan import view_of
from contextkit.profiles import Profile, profile_for
from contextkit.providers.chat_completions import Answer
from contextkit.records import record_to_json
from contextkit.replies import Reply
from contextkit.report import Report
from contextkit.scope import Scope
from contextkit.storage.sqlite import SQLiteStore
from contextkit.store import Store
from contextkit.stored_decisions import recall
from contextkit.usage import Usage

log = logging.getLogger("contextkit")


class Parts:
    """What a chat is made of, checked. The arguments are those of `Chat`.

    Attributes:
        client: makes the requests.
        store: keeps the conversations.
        owned: whether the store was opened here.
        builder: builds the requests; a copy, with this store.
        system: the system prompt of new conversations.
        options: further parameters of each request.
        ledger: the requests of all conversations.
    """

    def __init__(
        self,
        client: Any,
        *,
        model: str | None,
        store: str | Path | Store | None,
        builder: ContextBuilder | None,
        system: MessageLike | None,
        options: Mapping[str, Any] | None,
        builder_options: Mapping[str, Any],
        is_async: bool,
    ) -> None:
        create = getattr(
            getattr(getattr(client, "chat", None), "completions", None), "create", None
        )
        if not callable(create):
            raise InputError("has no chat.completions.create: OpenAI() has", place="client")
        if inspect.iscoroutinefunction(inspect.unwrap(create)) and not is_async:
            raise InputError("is async: AsyncChat takes it", place="client")
        if is_async and _is_sync_client(client):
            raise InputError("is not async: Chat takes it", place="client")
        if getattr(client, "_contextkit", None) is not None:
            raise InputError(
                "is wrapped, and would build each request twice: give the one that was wrapped",
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
        self.owned = isinstance(store, str | Path) or store is None
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
        self.ledger = Ledger(last=KEPT_ROWS)

    def enter(self, context: Context, usage: Usage) -> None:
        """Enter a request into the ledger. A reply that was paid for is not lost over that."""
        try:
            self.ledger.add(context.entered(usage))
        except Exception:  # counters and profiles may be the caller's own
            log.exception("a request could not be entered into the ledger")

    def close(self) -> None:
        """Close the store, if it was opened here."""
        if self.owned and isinstance(self.store, SQLiteStore):
            self.store.close()


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is not kept yet, on a history of its own.

    Attributes:
        history: the conversation with the new messages.
        version: of the store that the turn begins at: the number of records that are kept.
    """

    history: History
    version: int


class Kept:
    """One conversation as the store has it, and the steps of a turn that touch the store.

    The steps block for as long as the store does. Each changes what is kept only at its end.

    Attributes:
        history: whole turns only.
        version: the number of records that are kept.
    """

    def __init__(self, parts: Parts, scope: Scope) -> None:
        if not isinstance(scope, Scope):
            raise ScopeError(
                "whose conversation is it? Scope(tenant, user, conversation) says it, "
                f"not {type(scope).__name__}"
            )
        self.parts = parts
        self.scope = scope
        self.history: History
        self.version: int
        self.reload()

    def reload(self) -> None:
        """Take the conversation from the store, with the turns that others have appended."""
        records = self.parts.store.load(self.scope)
        history = History(system=None if records else self.parts.system, scope=self.scope)
        history.restore(records)
        if records:
            self._recall(history)
        self.history, self.version = history, len(records)

    def begin(self, messages: tuple[MessageLike, ...]) -> Turn:
        """A turn with new messages."""
        history = self.history.fork()
        history.extend(messages, time=self.parts.builder.now())
        # What was decided for these very messages in a turn that then failed, here or elsewhere.
        self._recall(history)
        return Turn(history, self.version)

    def _recall(self, history: History) -> None:
        builder = self.parts.builder
        recall(history, self.parts.store, view_of(history, builder.view, builder.model))

    def request(self, context: Context) -> dict[str, Any]:
        """What is sent."""
        return with_own(context.request(), self.parts.options)

    def begun(self, context: Context) -> None:
        """The provider has taken a request; whether its answer will be kept is not known yet.

        What it has in its cache then is not what the last kept turn left there.
        """
        # One before it plays no part any more, and would keep all others alive.
        context.view.history.unanswered.clear()
        self.history.unanswered[context.view.name] = context

    def end(self, turn: Turn, context: Context, answer: Answer) -> Reply:
        """Keep a turn with its answer, whole."""
        history = turn.history
        try:
            if (role := answer.message.get("role")) != "assistant":
                raise MessageError(f"role {role!r:.60} is not the assistant's")
            number = history.append(answer.message, time=self.parts.builder.now())
        except MessageError as error:
            raise ReplyError(
                f"the reply cannot be kept: {error}", partial=text_of(answer.message)
            ) from error
        if answer.usage is not None:
            history.report(number, answer.usage)
        new = history.records[turn.version :]
        version = self.parts.store.append(
            self.scope,
            [record_to_json(record) for record in new],
            expected=turn.version,
            decisions={
                (record.view, history.prefix_hash(record.point, record.view)): record.to_json()
                for record in new
                if isinstance(record, Decision)
            },
        )
        self.history, self.version = history, version
        if answer.usage is not None:
            self.parts.enter(context, answer.usage)
        history.unanswered.pop(context.view.name, None)
        return Reply(
            text_of(answer.message), history[number], answer.usage, context, answer.finish_reason
        )


class ChatParts:
    """What `Chat` and its async twin have in common: what they are made of."""

    _is_async: ClassVar[bool] = False

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
            is_async=self._is_async,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.builder.model!r}, {self.store!r})"

    @property
    def builder(self) -> ContextBuilder:
        """Builds the requests."""
        return self._parts.builder

    @property
    def store(self) -> Store:
        """Keeps the conversations."""
        return self._parts.store

    @property
    def ledger(self) -> Ledger:
        """What the requests of all conversations read and cost, as far as made by this object.

        The totals count all of them; the newest 1,000 rows are kept.
        """
        return self._parts.ledger


class Talk:
    """What a conversation and its async twin know without asking anybody."""

    def __init__(self, kept: Kept) -> None:
        self.context: Context | None = None
        self._kept = kept

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.scope}, {len(self.history)} messages, "
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
    def ledger(self) -> Ledger:
        """What every request of the conversation read from the cache and cost, from its log.

        Also of those before it was reopened. Costs what building all of them anew would.
        """
        builder = self._kept.parts.builder
        return ledger_of(self.history, {builder.model: builder.counter}, pin=builder.pin)

    @property
    def report(self) -> Report | None:
        """What became of every message in the last request; None before the first."""
        return self.context.report if self.context is not None else None


_BUILDER_OPTIONS = frozenset(inspect.signature(ContextBuilder.__init__).parameters) - {"self"}
_BUILT = ("model", "messages", "tools", "response_format")


def _is_sync_client(client: Any) -> bool:
    """Whether it is the official sync client; of others only their first call tells."""
    openai = sys.modules.get("openai")  # where it is not loaded, nobody has its client
    return openai is not None and isinstance(client, openai.OpenAI)


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
    tokens = longest_reply(options)
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
