"""Calls of a wrapped client: how each is built, and what is sent for it."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from contextkit.budget import Budget, longest_reply
from contextkit.builder import ContextBuilder
from contextkit.caching.ledger import KEPT_ROWS, Ledger
from contextkit.caching.points import checked_choice
from contextkit.caching.routing import with_own
from contextkit.context import Context
from contextkit.errors import InputError
from contextkit.history import MAIN, History
from contextkit.known import Known
from contextkit.profiles import Profile, profile_for
from contextkit.reasoning import remember_reasoning
from contextkit.report import Report
from contextkit.scope import Scope
from contextkit.usage import Usage

log = logging.getLogger("contextkit")

_MOST_BUILDERS = 64
"""Combinations of model, tools, response format and length of reply that are kept ready."""

_LISTS = ("messages", "tools", "functions")
_FROM_CALLS = frozenset({"model", "tools", "response_format"})
_OPTIONS = frozenset(inspect.signature(ContextBuilder.__init__).parameters) - _FROM_CALLS - {"self"}


class Wrapping:
    """What a wrapped client, its scoped ones and its copies share: options and what is known.

    Args:
        options: those of `ContextBuilder` that do not come with each call.
        profiles: facts about models whose names do not find them.
        on_request: gets the report of each request before it is sent.

    Raises:
        InputError: when an option is not known, or comes with each call.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        profiles: Mapping[str, Profile],
        on_request: Callable[[Report], None] | None,
    ) -> None:
        for name in options:
            if name not in _OPTIONS:
                hint = "comes with each call" if name in _FROM_CALLS else "is not known"
                if name == "scope":
                    hint = "comes with client.scoped(scope)"
                raise InputError(hint, place=f"wrap(…, {name}=…)")
        given: Any = profiles
        if not isinstance(given, Mapping) or not all(
            isinstance(model, str) and isinstance(profile, Profile)
            for model, profile in given.items()
        ):
            raise InputError("is a dict of profiles by model", place="wrap.profiles")
        if on_request is not None and not callable(on_request):
            raise InputError(
                f"is a function of a report, not {on_request!r:.60}", place="wrap.on_request"
            )
        if inspect.iscoroutinefunction(on_request):
            raise InputError("is async, and nobody would await it", place="wrap.on_request")
        # What is wrong with the options is said now, not in the first call. Whether a model has
        # the cache that is asked for shows when its name is known.
        checked_choice(options.get("cache"))
        known = {} if "profile" in options else {"profile": profile_for("generic"), "cache": None}
        ContextBuilder("generic", **{**options, **known})
        self.options = dict(options)
        self.profiles = dict(profiles)
        self.on_request = on_request
        self.ledger = Ledger(last=KEPT_ROWS)
        self.known = Known(options.get("max_bytes", 256_000_000))
        self._builders: OrderedDict[str, ContextBuilder] = OrderedDict()
        self._lock = Lock()

    def builder(self, given: Mapping[str, Any], apart: str = "") -> ContextBuilder:
        """The builder for the model, tools and options of a call.

        Raises:
            ProfileError: when no profile fits the model.
            InputError: when the tools cannot be used.
        """
        model = given["model"]
        tools = [*(given.get("tools") or ()), *_functions(given.get("functions"))]
        response_format = _response_format(given.get("response_format"))
        profile = self.options.get("profile") or profile_for(model, self.profiles)
        budget = self._budget(profile, longest_reply(given))
        key = json.dumps([model, tools, response_format, repr(budget), apart], default=repr)
        with self._lock:
            builder = self._builders.get(key)
            if builder is None:
                options = {**self.options, "profile": profile}
                if budget is not None:
                    options |= {"budget": budget, "limit": None}
                # A model has a cache, a vocabulary and a window of its own, so also its own view.
                options["view"] = f"{options.get('view', MAIN)} {model}{apart}"
                builder = ContextBuilder(
                    model, tools=tools, response_format=response_format, **options
                )
                builder.lists.known = self.known
                self._builders[key] = builder
            self._builders.move_to_end(key)
            while len(self._builders) > _MOST_BUILDERS:
                self._builders.popitem(last=False)
        return builder

    def _budget(self, profile: Profile, reply: Any) -> Budget | None:
        """A budget that keeps the longest reply free, where the given one does not."""
        given, limit = self.options.get("budget"), self.options.get("limit")
        if not isinstance(reply, int) or (given and given.reserve is not None):
            return None
        room = max(1, profile.window - profile.overhead - reply)
        budget: Budget = given or Budget(room if limit is None else limit)
        if (given or limit is not None) and budget.limit <= room:
            return None  # as many requests as can share the same settings
        return replace(budget, reserve=reply)


@dataclass(frozen=True, slots=True)
class Call:
    """One call on its way.

    Attributes:
        wrapping: builds it.
        given: the arguments, without those that say "not given".
        scope: whose list it is.
    """

    wrapping: Wrapping
    given: Mapping[str, Any]
    scope: Scope | None

    @classmethod
    def of(cls, wrapping: Wrapping, given: Mapping[str, Any], scope: Scope | None) -> Call | None:
        """A call; None where the client itself will say what is missing."""
        given = {name: value for name, value in given.items() if _is_given(value)}
        if not isinstance(given.get("model"), str) or "messages" not in given:
            return None
        given |= {name: _read(given[name]) for name in _LISTS if name in given}
        return cls(wrapping, given, scope)

    def build(self) -> Built:
        """What is sent."""
        builder = self.wrapping.builder(self.given)
        context = builder.build(self.given["messages"], scope=self.scope)
        if (restated := _restated(builder, context)) is None:
            builder = self._apart(builder)
            restated = builder.build(self.given["messages"], scope=self.scope)
        return self._built(builder, restated)

    async def abuild(self) -> Built:
        """The async twin of `build`."""
        builder = self.wrapping.builder(self.given)
        context = await builder.abuild(self.given["messages"], scope=self.scope)
        if (restated := _restated(builder, context)) is None:
            builder = self._apart(builder)
            restated = await builder.abuild(self.given["messages"], scope=self.scope)
        return self._built(builder, restated)

    def _apart(self, builder: ContextBuilder) -> ContextBuilder:
        """The builder of the same call that decides anew, under a view of its own."""
        return self.wrapping.builder(self.given, f" {builder.plans.first.hash[:12]}")

    def _built(self, builder: ContextBuilder, context: Context) -> Built:
        if self.wrapping.on_request is not None:
            self.wrapping.on_request(context.report)
        # Shared, not copied: the client makes of them new data of its own, and a copy of a thousand
        # messages would be a third of all that is done here.
        request = with_own(context.routing, {**self.given, "messages": list(context.sent)})
        if self.given.get("tools"):
            request["tools"] = _in_order(self.given["tools"], context.tools)
        return Built(builder, context, request, self.wrapping.ledger)


@dataclass(frozen=True, slots=True)
class Built:
    """A call that was built.

    Attributes:
        builder, context: what built it, and what came of it.
        request: the arguments to send.
        ledger: gets what it read and cost.
    """

    builder: ContextBuilder
    context: Context
    request: dict[str, Any]
    ledger: Ledger

    @property
    def wants_reply(self) -> bool:
        """Whether something of the reply is kept."""
        return self.builder.lists.reasoning

    def reported(self, usage: Usage) -> None:
        """Enter the request into the ledger; what fails there is logged."""
        context = self.context
        try:
            self.ledger.add(context.entered(usage))
            history = context.view.history
            with history.lock:  # a fork copies it
                history.heard[context.decision.point] = usage
        except Exception:  # counters and profiles may be the caller's own
            log.exception("a request could not be entered into the ledger")

    def answered(self, message: Mapping[str, Any]) -> None:
        """Keep of a reply what the caller's list may lose.

        A reply that is paid for is not lost over that: what fails is logged.
        """
        builder = self.builder
        try:
            remember_reasoning(
                self.context.view.history,
                self.context.decision.point,
                message,
                known=builder.lists.known,
                store=builder.store,
                view=builder.view,
            )
        except Exception:  # a store of the caller's own may raise anything
            log.exception("the reasoning of a reply could not be kept")

    async def aanswered(self, message: Mapping[str, Any]) -> None:
        """The async twin of `answered`; a store that is told of it works in a thread."""
        if self.builder.store is None:
            self.answered(message)
        else:
            await asyncio.to_thread(self.answered, message)


def _restated(builder: ContextBuilder, context: Context) -> Context | None:
    """The context with the tools and options of its own call; None where they are too large.

    The messages of a decided point stand. What the caller gave with them need not be the same
    again: a retry may have other tools, or none.
    """
    plan = builder.plans.coming(context.view.history)
    if context.decision.settings in ("", plan.hash):
        return context
    tokens = plan.fixed + context.view.tokens
    if tokens > builder.budget.limit:
        return None
    return replace(
        context,
        tokens=tokens,
        limit=builder.budget.limit,
        fixed=plan.fixed,
        tool_list=plan.tools,
        options=plan.options,
        rendering=plan.rendering,
        notes=(*builder.notes, "decided before, with other tools or options: the messages stand"),
    )


def _is_given(value: Any) -> bool:
    """Whether an argument says anything: the client has two values for "not given"."""
    from openai import NotGiven, Omit

    return not isinstance(value, NotGiven | Omit)


def _read(value: Any) -> Any:
    """A list of what can be read only once: the client takes any iterable, we read it first."""
    if isinstance(value, Iterable) and not isinstance(value, Sequence | Mapping | History):
        return list(value)
    return value


def _functions(functions: Any) -> list[dict[str, Any]]:
    """The deprecated form of tools, as tools: for counting only."""
    return [{"type": "function", "function": function} for function in functions or ()]


def _response_format(given: Any) -> Mapping[str, Any] | None:
    """A response format as it is sent; a class stands for its JSON Schema."""
    if not isinstance(given, type):
        return given or None
    from openai import pydantic_function_tool
    from pydantic import BaseModel

    if not issubclass(given, BaseModel):  # the client says what it thinks of it
        return None
    schema = pydantic_function_tool(given)["function"]["parameters"]
    return {
        "type": "json_schema",
        "json_schema": {"name": given.__name__, "strict": True, "schema": schema},
    }


def _in_order(given: Any, frozen: list[dict[str, Any]]) -> list[Any]:
    """The caller's tools in the frozen order and bytes.

    A tool of a kind of its own, such as the client's helper for pydantic models, is sent as the
    object that it is: `parse` reads the model from it.
    """
    own = {_name(tool): tool for tool in given}
    return [
        tool if type(_inner(own[_name(tool)])) is dict else own[_name(tool)]
        for tool in frozen
        if _name(tool) in own
    ]


def _inner(tool: Mapping[str, Any]) -> Any:
    return tool.get(tool.get("type", "function"))


def _name(tool: Mapping[str, Any]) -> Any:
    inner = _inner(tool)
    return inner.get("name") if isinstance(inner, Mapping) else None
