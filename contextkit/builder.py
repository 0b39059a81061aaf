"""ContextBuilder: decides, records, folds and renders, in one generator of steps.

The generator does everything that needs nothing from outside, and yields a `Need` where a strategy
asks for something (a summary, embeddings), which a driver completes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from math import isfinite
from time import time
from typing import Any, Self

from contextkit.budget import Budget
from contextkit.caching.markers import check_own
from contextkit.caching.parameters import is_rendered
from contextkit.caching.points import CacheChoice, cache_notes, chosen_cache
from contextkit.caching.tools import chat_tools, json_copy
from contextkit.context import Context
from contextkit.deciding import Decider, points_between
from contextkit.driving import Steps, StoreCall, drive, drive_async, drive_unscoped
from contextkit.edits import Decision, Edit
from contextkit.errors import BudgetExceeded, InputError, ScopeError
from contextkit.folding import Pin, pin_system
from contextkit.grammar import check_end
from contextkit.history import MAIN, History
from contextkit.kept_summaries import KeptSummaries
from contextkit.known import Known
from contextkit.lists import PlainLists
from contextkit.messages import MessageLike, is_time
from contextkit.phases import Event, Failed, Phases, failures_in
from contextkit.plan import (
    Plan,
    Plans,
    changed_later,
    check_parts,
    fitting_budget,
    fitting_schedule,
    view_of,
)
from contextkit.preparing import SOON, Preparation, prepare
from contextkit.profiles import Profile, profile_for
from contextkit.records import Settings
from contextkit.rendering import checked_documents, recorded
from contextkit.schedules import Schedule
from contextkit.scope import Scope
from contextkit.store import Store
from contextkit.stored_decisions import first_written, identify
from contextkit.strategies.base import Strategy, describe
from contextkit.tokens import RequestCounter, TokenCounter, counter_for
from contextkit.view import View


class ContextBuilder:
    """Builds the messages array of each request within a budget, without moving its prefix.

    Args:
        model: the model's name; it finds the profile, and stands in the request.
        limit: the most tokens a request may have: short for `budget=Budget(limit)`. Without
            either, the model's window less the reserve.
        budget: limit, target, reserve.
        profile: facts about the model, where the name does not find them.
        tools: tool schemas in OpenAI form.
        documents: messages that stand right behind the system block in every request: documents,
            examples. Like tools they are frozen: another list of them moves the prefix once.
        cache: the kind of prompt cache to ask for. By default none: the one that works by itself,
            if the model has one, and nothing in the request for it. `implicit` is that one, with
            the markers that it allows besides. `explicit` puts markers into content blocks, for
            which text is sent as blocks for good. `session` sends its header. `auto` is the one
            of implicit and explicit that costs least where a prefix is read `EXPECTED_READS` (5)
            times.
        response_format: counted, and put into each request.
        schedule: when to cut before the limit. By default `WhenItPays` where a target is given,
            else `AtLimit`. What a `WhenItPays` does not say of prices is taken from the profile.
        arrival, compaction, tail: the strategies of each phase, in order.
        counter: counts the tokens of a text; by default the model's own vocabulary.
        store: keeps decisions (summaries, inserts) across processes, for scoped conversations.
        view: the name under which edits are recorded. Where another model decided under it, the
            name and this model's: a model has a cache of its own.
        pin: which messages inside the history are protected; by default system messages.
        max_bytes: bound on what is remembered of plain lists, in bytes of their messages.

    Raises:
        ProfileError: when no profile fits the model, or it has no such cache.
        BudgetError: when the budget makes no sense.
        InputError: when tools, documents or strategies cannot be used.
    """

    def __init__(
        self,
        model: str,
        *,
        limit: int | None = None,
        budget: Budget | None = None,
        profile: Profile | None = None,
        tools: Iterable[Mapping[str, Any]] | None = (),
        documents: Iterable[MessageLike] | None = (),
        cache: CacheChoice | None = None,
        response_format: Mapping[str, Any] | None = None,
        schedule: Schedule | None = None,
        arrival: Sequence[Strategy] = (),
        compaction: Sequence[Strategy] = (),
        tail: Sequence[Strategy] = (),
        counter: TokenCounter | None = None,
        store: Store | None = None,
        view: str = MAIN,
        pin: Pin = pin_system,
        max_bytes: int = 256_000_000,
    ) -> None:
        check_parts(
            model=model,
            view=view,
            schedule=schedule,
            pin=pin,
            counter=counter,
            store=store,
            budget=budget,
            profile=profile,
            max_bytes=max_bytes,
        )
        self.model = model
        self.profile = profile or profile_for(model)
        self.counter: RequestCounter = counter_for(self.profile, counter)
        self.notes: list[str] = []
        self.budget, notes = fitting_budget(limit, budget, self.profile)
        self.notes += notes
        asked = chosen_cache(self.profile, cache)
        rules = asked or self.profile.cache()
        self.schedule, notes = fitting_schedule(schedule, budget, self.profile, rules)
        # Of a schedule that gave way to another one, too: forecasts know by it what has expired.
        clock = getattr(schedule, "clock", None)
        own = getattr(self.schedule, "clock", None)
        self._clock: Callable[[], Any] = time if clock is None or own is not None else clock
        self.notes += [*notes, *cache_notes(self.profile, asked)]
        self.phases = Phases.of(arrival, compaction, tail, self.profile.reasoning)
        self.view, self.store, self.pin = view, store, pin
        self.decider = Decider(view, self.budget, self.schedule, self.phases)
        self.lists = PlainLists(
            Known(max_bytes),
            store,
            view,
            reasoning=self.profile.reasoning != "none",
            replayable=self.phases.replayable
            and not self.phases.tail
            and getattr(self.schedule, "clock", None) is None,
        )
        if self.counter.error:
            self.notes.append(
                f"tokens are estimated by {self.counter.counter.name}: off by up to "
                f"{100 * self.counter.error:.0f} %"
            )
        if response_format is not None and not isinstance(response_format, Mapping):
            raise InputError(
                f"is a dict, not {response_format!r:.60}: for a schema "
                '{"type": "json_schema", "json_schema": {…}}',
                place="response_format",
            )
        settings = {
            "model": model,
            "profile": self.profile.name,
            "limit": self.budget.limit,
            "target": self.budget.target,
            "reserve": self.budget.reserve,
            "schedule": describe(self.schedule),
            "arrival": describe(self.phases.arrival),
            "compaction": describe(self.phases.compaction),
            "tail": describe(self.phases.tail),
            "counter": self.counter.name,
            "pin": describe(pin),
            "tools": list(chat_tools(tools)),
            "response_format": json_copy(response_format, "response_format"),
            **recorded(asked, checked_documents(documents), alternates=self.profile.alternates),
        }
        self.plans = Plans(view, self.counter, settings)

    # -- the four calls --------------------------------------------------------------------

    def build(
        self, conversation: History | Sequence[MessageLike], *, scope: Scope | None = None
    ) -> Context:
        """Build the next request. Records its edits in the history that it is given.

        Args:
            conversation: a kept `History`, or the whole list of messages as the caller has it.
            scope: whose list it is; a history has its own.

        Raises:
            GrammarError: when the conversation cannot be answered as it ends.
            MessageError: when a message cannot be sent.
            InputError: when messages came with more cache markers than the provider takes.
            BudgetExceeded: when what must be kept is over the limit; nothing was recorded.
            ScopeError: when a plain list without a scope would need a summarizer, index or store.
        """
        self.phases.check_sync()
        return drive(self._steps(conversation, scope, record=True))

    def preview(
        self, conversation: History | Sequence[MessageLike], *, scope: Scope | None = None
    ) -> Context:
        """Build the next request and record nothing: what is decided is decided by a build.

        Strategies that need something from outside ask for it all the same: a summarizer is called,
        and paid for. Its summary is kept under its address, as `prepare` does: the build that comes
        finds it. A plain list is remembered for that, as one that was built.
        """
        self.phases.check_sync()
        return drive(self._steps(conversation, scope, record=False))

    async def abuild(
        self, conversation: History | Sequence[MessageLike], *, scope: Scope | None = None
    ) -> Context:
        """Same as `build`, with strategies whose callables may be async.

        Whatever blocks (a store, an index, a callable that is not async) works in a thread.
        """
        return await drive_async(self._steps(conversation, scope, record=True))

    def prepare(
        self,
        conversation: History | Sequence[MessageLike],
        *,
        scope: Scope | None = None,
        within: int = SOON,
    ) -> Preparation:
        """Write the summaries of the coming cut ahead of time: after a reply, in the background.

        The cut finds them where it needs them, also in another process with the same store, and
        calls nobody then. Nothing is decided here: without a cut they are never shown. Nothing is
        written where no cut is near: neither within so many requests, nor because the conversation
        has been idle for half of the cache's lifetime, where the schedule keeps a clock. A build
        meanwhile does not wait for it, unless the limit forces a cut. What is cancelled or fails
        leaves nothing behind.

        Args:
            conversation: a kept `History`, or the whole list of messages, with the reply.
            scope: whose list it is; a history has its own.
            within: requests.

        Raises:
            InputError: when the summarizer is async: use `aprepare`.
        """
        use = "aprepare, not prepare"
        self.phases.check_sync(use)
        return drive(self._prepare_steps(conversation, scope, within), use)

    async def aprepare(
        self,
        conversation: History | Sequence[MessageLike],
        *,
        scope: Scope | None = None,
        within: int = SOON,
    ) -> Preparation:
        """Same as `prepare`, with summarizers that may be async."""
        return await drive_async(self._prepare_steps(conversation, scope, within))

    def scoped(self, scope: Scope) -> ScopedBuilder:
        """The builder for the plain lists of one scope."""
        return ScopedBuilder(self, scope)

    # -- one build -------------------------------------------------------------------------

    def _steps(
        self, conversation: History | Sequence[MessageLike], scope: Scope | None, *, record: bool
    ) -> Steps[Context]:
        history, end, notes = yield from self._history_of(conversation, scope)
        if (name := view_of(history, self.view, self.model)) != self.view:
            other = self._under(name)
            return (yield from other._steps(conversation, scope, record=record))  # noqa: SLF001 - its own kind
        unscoped = history is not conversation and scope is None
        while True:
            attempt = self._attempt(history, end, notes, record=record)
            if unscoped:
                context = drive_unscoped(attempt)
            else:
                context = yield from attempt
            if context is not None:
                if record and context.time is not None:
                    context.view.history.times[context.decision.point] = context.time
                return context

    def _history_of(
        self, conversation: History | Sequence[MessageLike], scope: Scope | None
    ) -> Steps[tuple[History, int, tuple[str, ...]]]:
        """The history that is meant, how many of its messages, and what is to be said of it."""
        notes: tuple[str, ...] = ()
        if isinstance(conversation, History):
            if scope is not None and scope != conversation.scope:
                raise ScopeError("a history has a scope of its own: History(scope=…)")
            if self.store is not None and conversation.scope is None:
                raise ScopeError("a store keeps decisions under a scope: History(scope=Scope(…))")
            history, end = conversation, len(conversation)
            store = self.store
            if store is not None and not history.identified:
                yield from self._stored(lambda: identify(history, store))
        else:
            if scope is None:
                self._refuse_unscoped()
            elif not isinstance(scope, Scope):
                raise ScopeError(f"a scope is a Scope, not {type(scope).__name__}")
            # As it is now: it may grow while a store or a summarizer is waited for.
            listed = conversation[:] if isinstance(conversation, list) else conversation
            history, notes = yield from self._stored(lambda: self.lists.history_of(listed, scope))
            end = len(listed)
        return history, end, notes

    def _prepare_steps(
        self, conversation: History | Sequence[MessageLike], scope: Scope | None, within: int
    ) -> Steps[Preparation]:
        history, end, _ = yield from self._history_of(conversation, scope)
        if (name := view_of(history, self.view, self.model)) != self.view:
            other = self._under(name)
            return (yield from other._prepare_steps(conversation, scope, within))  # noqa: SLF001 - its own kind
        with history.lock:
            if end < len(history):
                history = history.fork(end)
            view = self._fold(history).copy()
            plan = self.plans.coming(history)
        for point in points_between(history, view.point, end):  # as the coming build will see it
            view.extend(point)
            self.phases.arrive(view, [])
            view.pass_point(point)
        self._equip(view, plan, KeptSummaries(history, self.store, self.view, waits=False))
        return (yield from prepare(self.decider, plan, view, within=within))

    def _under(self, view: str) -> Self:
        """The same builder for another view."""
        other = copy(self)
        other.view = view
        other.decider = replace(self.decider, name=view)
        other.lists, other.plans = self.lists.under(view), self.plans.under(view)
        return other

    def _attempt(
        self, history: History, end: int, notes: tuple[str, ...], *, record: bool
    ) -> Steps[Context | None]:
        """One try at a build; None when somebody else decided meanwhile."""
        with history.lock:
            if end < len(history) and self._went_on(history, end):
                history = history.fork(end)  # others have gone on: build what was asked for
            view = self._fold(history)
            made = history.decisions(self.view)
            if made and made[-1].point == end:
                plan = self.plans.of(history, made[-1])
                check_end(view.groups, bool(view.system))
                check_own(view, plan.rendering)
                if plan.fixed + view.tokens > plan.settings["limit"]:  # replayed, never sent
                    parts = self.decider.parts(view, plan, 0)
                    raise BudgetExceeded(plan.settings["limit"], parts)
                coming = self.plans.coming(history)
                if plan.hash != coming.hash:
                    notes = (*notes, changed_later(plan, coming))
                return self._context(view, made[-1:], (), plan, notes, again=True)
            plan = self.plans.coming(history)
            notes = (*notes, *self.plans.moves(history, plan))
            seen = len(made)
            points = points_between(history, view.point, end)
            if record and not self._is_for_the_store(history, plan):
                while len(points) > 1 and self.decider.passes(view, plan, points[0]):
                    view.pass_point(points.pop(0))
                if (
                    len(points) == 1
                    and not self.decider.tail_due(view, end)
                    and self.decider.passes(view, plan, end)
                ):
                    check_end(view.groups, bool(view.system))
                    check_own(view, plan.rendering)
                    decision = Decision(self.view, end, (), plan.hash, time=self.decider.time())
                    self._record(history, plan, end, [decision], seen)
                    view.pass_point(end)
                    view.applied += 1
                    return self._context(view, [decision], (), plan, notes)
            scratch = view.copy()
        self._equip(scratch, plan, KeptSummaries(history, self.store, self.view))
        events: list[Event] = []
        decided = yield from self.decider.decide_each(scratch, plan, points, events)
        check_own(scratch, plan.rendering)
        decisions = [decision for decision in decided if decision.edits or decision.point == end]
        edits = tuple(edit for decision in decisions for edit in decision.edits)
        if not record:
            return self._context(scratch, decided, edits, plan, notes, events=events)
        winners = decisions
        if self.store is not None:
            weighed = scratch.planned[0] if scratch.planned else None
            winners = yield from self._stored(
                lambda: self._store(history, plan, decisions, weighed)
            )
        with history.lock:
            won = self._record(history, plan, end, winners, seen)
            if not won or winners != decisions:
                history.folds.pop(self._fold_key, None)
                return None
            scratch.applied = seen + len(decisions)
            history.folds[self._fold_key] = scratch
            return self._context(scratch, decided, edits, plan, notes, events=events)

    def _equip(self, view: View, plan: Plan, kept: KeptSummaries) -> None:
        """Give a view what strategies make requests of their own from."""
        view.tools, view.rendering = plan.tools, plan.rendering
        form = (plan.settings.get("response_format") or {}).get("type", "text")
        view.formatted = form != "text" and is_rendered(self.profile)
        view.room = max(0, self.profile.window - (self.budget.reserve or 0) - plan.fixed)
        view.model, view.profile, view.summaries_kept = self.model, self.profile, kept

    def _went_on(self, history: History, end: int) -> bool:
        """Whether the view is beyond a decision point already."""
        made = history.decisions(self.view)
        kept = history.folds.get(self._fold_key)
        return bool(made and made[-1].point > end) or (isinstance(kept, View) and kept.seen > end)

    @property
    def _fold_key(self) -> tuple[Any, ...]:
        return (self.view, self.counter.name, self.pin)

    def _fold(self, history: History) -> View:
        """The view of the history, folded as far as decisions were recorded."""
        view = history.folds.get(self._fold_key)
        if not isinstance(view, View):
            view = View(history, self.view, self.counter.message, self.pin)
            history.folds[self._fold_key] = view
        decisions = history.decisions(self.view)
        try:
            while view.applied < len(decisions):
                view.extend(decisions[view.applied].point)
                view.apply_decision(decisions[view.applied])
        except BaseException:
            del history.folds[self._fold_key]  # half folded: the next build folds anew
            raise
        return view

    def _stored(self, call: Callable[[], Any]) -> Steps[Any]:
        """What a call gives that reads or writes the store, if there is one."""
        if self.store is None:
            return call()
        result = yield StoreCall(call)
        if isinstance(result, Failed):
            raise result.error
        return result

    def _is_for_the_store(self, history: History, plan: Plan) -> bool:
        """Whether the store is told of the coming decision though it may have no edits."""
        if self.store is None:
            return False
        once = self.decider.keeps_time or self.view in history.preparing
        return once or self._stores_settings(history, plan)

    def _stores_settings(self, history: History, plan: Plan) -> bool:
        """Whether the store has yet to be told of the settings of the coming decision."""
        if self.store is None:
            return False
        current = history.current_settings(self.view)
        return current is None or current.hash != plan.hash

    def _store(
        self, history: History, plan: Plan, decisions: list[Decision], weighed: int | None
    ) -> list[Decision]:
        """Write what was decided to the store; the decisions that stand there."""
        if self.store is None or history.scope is None:
            return decisions
        if self._stores_settings(history, plan):
            self.store.decide(history.scope, self.view, f"settings {plan.hash}", plan.settings)
        return first_written(self.store, history, self.view, decisions, weighed=weighed)

    def _record(
        self, history: History, plan: Plan, point: int, made: list[Decision], seen: int
    ) -> bool:
        with history.lock:
            if history.decided(self.view) != seen:
                return False
            current = history.current_settings(self.view)
            if current is None or current.hash != plan.hash:
                history.change_settings(Settings(self.view, point, plan.settings))
            return history.commit(self.view, seen, made)

    def _context(
        self,
        view: View,
        decided: Sequence[Decision],
        edits: tuple[Edit, ...],
        plan: Plan,
        notes: tuple[str, ...],
        *,
        events: Sequence[Event] = (),
        again: bool = False,
    ) -> Context:
        seen = view.copy()
        seen.bounds = self.decider.bounds(view, plan, decided[-1])
        return Context(
            model=plan.settings["model"],
            tokens=plan.fixed + view.tokens,
            limit=plan.settings["limit"],
            target=seen.bounds.target,
            fixed=plan.fixed,
            view=seen,
            decision=decided[-1],
            edits=edits,
            tool_list=plan.tools,
            options=plan.options,
            notes=(*self.notes, *notes) if self.notes or notes else (),
            failures=(
                tuple(str(failure) for failure in failures_in(events))
                or tuple(text for decision in decided for text in decision.failures)
            ),
            events=tuple(map(str, events)),
            counter=self.counter,
            rendering=plan.rendering,
            again=again,
            time=_seconds(self._clock()),
            earlier=view.history.times.get(decided[-1].point) if again else None,
        )

    def now(self) -> float | None:
        """When a message comes, by the schedule's clock, else the system's; no decision reads it.

        Seconds since the epoch; None where the clock gives no such number.
        """
        now = (getattr(self.schedule, "clock", None) or self._clock)()
        return now if is_time(now) else None

    def _refuse_unscoped(self) -> None:
        needing = self.phases.needing_scope
        if self.store is not None:
            needing.append("the store")
        if needing:
            raise ScopeError(
                f"a plain list without a scope cannot use {', '.join(needing)}: content would be "
                "looked up without saying whose it is. Pass build(messages, scope=Scope(tenant, "
                "user, conversation)), use client.scoped(…) of a wrapped client, or keep a History."
            )


def _seconds(now: Any) -> float | None:
    """What a clock gave, for forecasts alone: no decision reads it."""
    known = isinstance(now, int | float) and not isinstance(now, bool) and isfinite(now)
    return now if known else None


@dataclass(frozen=True, slots=True)
class ScopedBuilder:
    """A builder whose plain lists all belong to one scope."""

    builder: ContextBuilder
    scope: Scope

    def build(self, messages: Sequence[MessageLike]) -> Context:
        """Same as `ContextBuilder.build`, in this scope."""
        return self.builder.build(messages, scope=self.scope)

    def preview(self, messages: Sequence[MessageLike]) -> Context:
        """Same as `ContextBuilder.preview`, in this scope."""
        return self.builder.preview(messages, scope=self.scope)

    async def abuild(self, messages: Sequence[MessageLike]) -> Context:
        """Same as `ContextBuilder.abuild`, in this scope."""
        return await self.builder.abuild(messages, scope=self.scope)

    def prepare(self, messages: Sequence[MessageLike], *, within: int = SOON) -> Preparation:
        """Same as `ContextBuilder.prepare`, in this scope."""
        return self.builder.prepare(messages, scope=self.scope, within=within)

    async def aprepare(self, messages: Sequence[MessageLike], *, within: int = SOON) -> Preparation:
        """Same as `ContextBuilder.aprepare`, in this scope."""
        return await self.builder.aprepare(messages, scope=self.scope, within=within)
