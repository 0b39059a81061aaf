"""Plan: what the requests of a history are rendered with: settings, tools, and their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from math import inf
from typing import Any, Self

from contextkit.budget import Budget, whole_number
from contextkit.caching.tools import canonical_tools
from contextkit.edits import Decision
from contextkit.errors import BudgetError, CounterError, InputError
from contextkit.history import History
from contextkit.profiles import CacheRules, Profile
from contextkit.records import Settings
from contextkit.rendering import BLOCK_ROLES, CACHE, Rendering
from contextkit.schedules import AtLimit, Schedule, WhenItPays
from contextkit.tokens import RequestCounter

_MOST_PLANS = 64
"""Plans of other settings that a builder keeps ready."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request is rendered with.

    Attributes:
        settings: everything a decision depends on besides the messages, as JSON data.
        hash: names the settings.
        tools: in the order and the bytes in which they are sent.
        options: further parameters of the request, which are counted.
        fixed: tokens of tools, options, documents and template.
        rendering: what else a request has that its view has not.
    """

    settings: Mapping[str, Any]
    hash: str
    tools: tuple[dict[str, Any], ...]
    options: Mapping[str, Any]
    fixed: int
    rendering: Rendering

    @classmethod
    def of(cls, settings: Mapping[str, Any], counter: RequestCounter) -> Plan:
        """The plan that some settings make."""
        tools = tuple(settings.get("tools") or ())
        response_format = settings.get("response_format")
        rendering = Rendering.of(settings, counter)
        return cls(
            settings=settings,
            hash=Settings("", 0, settings).hash,
            tools=tools,
            options={} if response_format is None else {"response_format": response_format},
            fixed=counter.fixed(tools, response_format) + rendering.tokens,
            rendering=rendering,
        )


def view_of(history: History, view: str, model: str) -> str:
    """The name of the view under which requests to a model are decided.

    A model has a cache, a vocabulary and a window of its own. Where a view was decided for another
    one, its name and the model's make the name of another view.
    """
    current = history.current_settings(view)
    if current is None or current.data.get("model") in (None, model):
        return view
    return view_of(history, f"{view} {model}", model)


class Plans:
    """The plans of one builder for one view: one to begin with, others for what came before.

    Args:
        view: the name of the view.
        counter: counts what stands around the messages.
        settings: those of the builder; `tools` in canonical form.
    """

    def __init__(self, view: str, counter: RequestCounter, settings: Mapping[str, Any]) -> None:
        self.view = view
        self.counter = counter
        self.first = Plan.of(settings, counter)
        self._others: dict[str, Plan] = {}

    def under(self, view: str) -> Self:
        """The same plans for another view."""
        other = copy(self)
        other.view = view
        return other

    def coming(self, history: History) -> Plan:
        """The plan for the next decision: what was sent once keeps its bytes, order and form.

        Tools are sent in the order that they were first sent in; text that was once sent as a
        content block stays one.
        """
        current = history.current_settings(self.view)
        if current is None or current.hash == self.first.hash:
            return self.first
        first_seen = tuple(current.data.get("tools") or ())
        block_roles = {*(current.data.get(BLOCK_ROLES) or ()), *self.first.rendering.block_roles}
        if first_seen == self.first.tools and block_roles == set(self.first.rendering.block_roles):
            return self.first
        key = f"after {current.hash}"
        if (plan := self._others.get(key)) is None:
            tools = list(canonical_tools(self.first.tools, first_seen))
            settings = {**self.first.settings, "tools": tools}
            if block_roles:
                settings[BLOCK_ROLES] = sorted(block_roles)
            plan = self._keep(key, settings)
        return plan

    def moves(self, history: History, plan: Plan) -> list[str]:
        """What a plan changes that stands before all messages, in words for the report."""
        current = history.current_settings(self.view)
        if current is None or current.hash == plan.hash:
            return []
        said = []
        if tuple(current.data.get("tools") or ()) != plan.tools:
            said.append("the tools have changed, and they stand first: the prefix moves once")
        before, now = Rendering.of(current.data), plan.rendering
        if before.documents != now.documents:
            said.append(
                "the documents have changed: the prefix moves once, behind the system block"
            )
        if current.data.get(CACHE) != plan.settings.get(CACHE):
            said.append("another kind of cache is asked for: what the old one holds is not read")
        if before.block_roles != now.block_roles:
            said.append(
                "text is sent as content blocks from now on, which may carry markers: a provider "
                "that renders them otherwise sees the prefix move once"
            )
        return said

    def of(self, history: History, decision: Decision) -> Plan:
        """The plan that a decision was made with, which may not be the coming one."""
        plan = self.coming(history)
        if decision.settings in ("", plan.hash) or decision.settings not in history.settings:
            return plan
        if (decided := self._others.get(decision.settings)) is None:
            decided = self._keep(decision.settings, history.settings[decision.settings].data)
        return decided

    def _keep(self, key: str, settings: Mapping[str, Any]) -> Plan:
        """Make a plan; callers whose tools differ from request to request have many."""
        while len(self._others) >= _MOST_PLANS:
            self._others.pop(next(iter(self._others)), None)
        plan = self._others[key] = Plan.of(settings, self.counter)
        return plan


def fitting_budget(
    limit: int | None, budget: Budget | None, profile: Profile
) -> tuple[Budget, list[str]]:
    """The budget that holds for a model, and what is to be said about it.

    Raises:
        BudgetError: when two limits are given, or the reserve leaves nothing.
    """
    if limit is not None and budget is not None:
        raise BudgetError("limit is short for budget=Budget(limit): give one of them")
    given = budget or (Budget(limit) if limit is not None else None)
    reserve = profile.reserve if given is None or given.reserve is None else given.reserve
    room = profile.window - reserve - profile.overhead
    if room < 1:
        raise BudgetError(
            f"a reserve of {reserve:,} (the longest reply: max_tokens, where no budget says it) "
            f"leaves nothing of the window of {profile.window:,} tokens"
        )
    if given is None:
        return Budget(room, reserve=reserve), []
    notes = []
    if given.limit > room:
        notes.append(
            f"the limit of {given.limit:,} is more than the window of {profile.window:,} less the "
            f"reserve of {reserve:,}: {room:,} holds"
        )
    capped = min(given.limit, room)
    target = None if given.target is None else min(given.target, capped)
    return Budget(capped, target, reserve), notes


def fitting_schedule(
    schedule: Schedule | None,
    budget: Budget | None,
    profile: Profile,
    rules: CacheRules | None,
) -> tuple[Schedule, list[str]]:
    """The schedule that holds for a model and the cache in use, and what is to be said about it.

    By default `WhenItPays` where a target is given, else `AtLimit`; where prices are neither given
    nor known, `AtLimit`.
    """
    if schedule is None:
        given = budget is not None and budget.target is not None
        schedule = WhenItPays() if given else AtLimit()
    at = getattr(schedule, "at", None)
    if at is not None:
        schedule = at(profile, rules)
    if isinstance(schedule, WhenItPays) and (schedule.read is None or schedule.write is None):
        return AtLimit(), ["prices are not known: cuts are made at the limit only"]
    return schedule, []


def changed_later(plan: Plan, coming: Plan) -> str:
    """What is said of a point that was decided with other settings than the coming ones."""
    keys = dict.fromkeys([*coming.settings, *plan.settings])
    changed = [key for key in keys if plan.settings.get(key) != coming.settings.get(key)]
    return (
        f"this request was decided before with other settings ({', '.join(changed)}), and is the "
        "same again: changed settings act from the next message on. To build this point anew, give "
        "the builder another view: ContextBuilder(…, view='…')"
    )


def check_parts(
    *,
    model: Any,
    view: Any,
    schedule: Any,
    pin: Any,
    counter: Any,
    store: Any,
    budget: Any,
    profile: Any,
    max_bytes: Any,
) -> None:
    """That what a builder is made of has the methods that will be called, long before they are."""
    for place, name in (("model", model), ("view", view)):
        # Not printable: line breaks, NUL, lone surrogates.
        if not isinstance(name, str) or not name or not name.isprintable():
            raise InputError(f"is a name, not {name!r:.60}", place=place)
    for place, part, wanted in (
        ("schedule", schedule, "due"),
        ("counter", counter, "count"),
        ("store", store, "decide"),
    ):
        if part is not None and (
            isinstance(part, type) or not callable(getattr(part, wanted, None))
        ):
            hint = ": SQLiteStore(path) makes one of a path" if place == "store" else ""
            raise InputError(f"{part!r:.60} has no method {wanted!r}{hint}", place=place)
    if not callable(pin):
        raise InputError(f"is a function of a message, not {pin!r:.60}", place="pin")
    if budget is not None and not isinstance(budget, Budget):
        raise InputError(f"is a Budget, not {budget!r:.60}: limit=… takes a number", place="budget")
    if profile is not None and not isinstance(profile, Profile):
        raise InputError(f"is a Profile, not {profile!r:.60}: profile_for(name)", place="profile")
    whole_number("max_bytes", max_bytes, least=0)
    if counter is not None:
        _check_counter(counter)


def _check_counter(counter: Any) -> None:
    """That a counter has its name and error, and gives counts that can be added up.

    Raises:
        InputError: when it has no name or stated error.
        CounterError: when what it gives is no number of tokens.
    """
    name, error = getattr(counter, "name", None), getattr(counter, "error", None)
    if not isinstance(name, str) or not name:
        raise InputError(f"needs a name for recorded settings, not {name!r:.60}", place="counter")
    if isinstance(error, bool) or not isinstance(error, int | float) or not 0 <= error < inf:
        raise InputError(
            f"states its relative error, 0.0 for exact, not {error!r:.60}", place="counter.error"
        )
    for text in ("", "user", "\n"):
        count = counter.count(text)
        if type(count) is not int or count < 0:
            raise CounterError(
                f"{name} counts {count!r:.60} tokens of {text!r}: a count is an int, not below 0"
            )
