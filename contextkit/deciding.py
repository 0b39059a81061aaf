"""Decider: what is decided at one decision point: nothing, a cut, what the tail inserts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from contextkit.budget import Budget
from contextkit.dry_run import dry_run
from contextkit.edits import Decision
from contextkit.errors import BudgetExceeded, InputError
from contextkit.figures import Figures, figures_of
from contextkit.grammar import check_end
from contextkit.history import History
from contextkit.phases import Asking, Event, Phases, failures_in
from contextkit.plan import Plan
from contextkit.schedules import AtLimit, Schedule
from contextkit.strategies.base import Need
from contextkit.view import Bounds, View


@dataclass(frozen=True, slots=True)
class Decider:
    """Decides by a budget, a schedule and the strategies of each phase, on views of one name.

    Attributes:
        name: of the views.
        budget: limit, target, reserve.
        schedule: says when to cut before the limit.
        phases: the strategies.
        share: tokens reserved for the tail.
    """

    name: str
    budget: Budget
    schedule: Schedule
    phases: Phases
    share: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "share", self.phases.share)

    def passes(self, view: View, plan: Plan, point: int) -> bool:
        """Fold in the messages up to a decision point, and say whether nothing is to be done."""
        view.extend(point)
        if view.interrupted or view.unplaced or view.attention or self.phases.arrival:
            return False
        share = self.share if self.tail_due(view, point) else 0
        if plan.fixed + view.tokens + share > self.budget.limit:
            return False
        return isinstance(self.schedule, AtLimit) or self._due(view, plan, point) is None

    def tail_due(self, view: View, point: int) -> bool:
        """Whether the newest user message has not had its tail yet."""
        view.extend(point)
        if not self.phases.tail or view.last_user is None or view.tail == view.last_user:
            return False
        made = view.history.decisions(self.name)
        return not made or made[-1].point <= view.last_user  # else it was sent as it is

    def _due(self, view: View, plan: Plan, point: int) -> Figures | None:
        """The figures of a cut that is due by what cuts come to as a rule; None where none is.

        Whether its plan pays as well is looked at only where that may have changed, so that plans
        are not made dry request after request.
        """
        target = self.target(view, plan)
        if view.body_tokens <= target:
            return None
        idle = None
        if point == len(view.history):  # how long a past request had waited is not known
            now, made = self.time(), view.history.decisions(self.name)
            last = made[-1].time if made else None
            idle = now - last if now is not None and last is not None else None
        summary = self.phases.summary_share
        asked = self.phases.summaries_asked and not _is_prepared(view)
        figures = figures_of(view, target, idle, summary=summary, fixed=plan.fixed, asked=asked)
        if not self.schedule.due(figures):
            return None
        plain = self.phases.plain and not view.standing_tokens  # the plan comes to just that
        return figures if plain or self._worth_a_plan(figures) else None

    def _worth_a_plan(self, figures: Figures) -> bool:
        """Whether a plan may pay although that of the request before did not, if it was due.

        So it may where this request makes the difference (it is large, the cache has expired, the
        price steps up), or else once the tokens over the target have grown by an eighth: where
        their first four binary digits are others.
        """
        over = figures.held - figures.target
        if _first_digits(over) != _first_digits(over - figures.newest):
            return True
        before = replace(
            figures,
            held=figures.held - figures.newest,
            keep=max(0, figures.keep - figures.newest),
            newest=figures.held // max(1, figures.requests),
            requests=max(1, figures.requests - 1),
            idle=None,
        )
        return not self.schedule.due(before)

    def bounds(self, view: View, plan: Plan, decision: Decision | None = None) -> Bounds:
        """What a view is built for; where a decision says when, with the time since the last."""
        idle = None
        if decision is not None and decision.time is not None:
            made = view.history.decisions(self.name)
            before = [held.time for held in made[-2:] if held.point < decision.point]
            if before and before[-1] is not None:
                idle = decision.time - before[-1]
        limit, target = plan.settings["limit"], self.target(view, plan)
        phases = self.phases
        return Bounds(limit, target, plan.fixed, phases.summary_share, idle, phases.summaries_asked)

    def target(self, view: View, plan: Plan) -> int:
        """The tokens behind the system block that a cut comes down to."""
        limit, target = plan.settings["limit"], plan.settings["target"]
        budget = self.budget
        if (limit, target) != (budget.limit, budget.target):  # decided with other settings
            budget = Budget(limit, target)
        return budget.goal_tokens(plan.fixed + view.system_tokens, self.share)

    @property
    def keeps_time(self) -> bool:
        """Whether the schedule has a clock."""
        return getattr(self.schedule, "clock", None) is not None

    def time(self) -> float | None:
        """Seconds by the schedule's clock; None where it has none."""
        clock = getattr(self.schedule, "clock", None)
        now = clock() if clock is not None else None
        if now is None:
            return None
        if isinstance(now, bool) or not isinstance(now, int | float) or not isfinite(now):
            raise InputError(f"gave {now!r:.60}: seconds since the epoch", place="schedule.clock")
        return now

    def decide_each(
        self, view: View, plan: Plan, points: Sequence[int], events: list[Event]
    ) -> Generator[Need, Any, list[Decision]]:
        """Decide several points in order, the last one for a request that is sent."""
        decided: list[Decision] = []
        for point in points:
            view.extend(point)
            happened: list[Event] = []
            final = point == points[-1]
            decided.append((yield from self._decide(view, plan, point, happened, final=final)))
            for failure in failures_in(happened):
                failure.log()
            events += happened
            view.pass_point(point)
        return decided

    def _decide(
        self, view: View, plan: Plan, point: int, events: list[Event], *, final: bool
    ) -> Generator[Need, Any, Decision]:
        """Decide one point on a scratch view, which is changed, as is the list of events."""
        edits = self.phases.arrive(view, events)
        if final:
            aside = [edit.reason for edit in edits if edit.kind == "set aside"]
            check_end(view.groups, bool(view.system), aside)
        tail_due = self.tail_due(view, point)
        share = self.share if tail_due else 0
        if final or self.phases.replayable:
            edits += yield from self._compact(view, plan, point, share, events)
            if final and plan.fixed + view.tokens + share > self.budget.limit:
                raise BudgetExceeded(self.budget.limit, self.parts(view, plan, share))
        tail = None
        if final and tail_due:
            tail = view.last_user
            edits += yield from self.phases.insert_tail(view, events)
            view.tail = tail
        passed_over = tuple(failure.short for failure in failures_in(events))
        return Decision(self.name, point, tuple(edits), plan.hash, tail, self.time(), passed_over)

    def _compact(
        self, view: View, plan: Plan, point: int, share: int, events: list[Event]
    ) -> Asking:
        """The compaction, where the limit forces it, or it pays by what its plan comes to."""
        over = plan.fixed + view.tokens + share > self.budget.limit
        figures = None if over else self._due(view, plan, point)
        if not over and (figures is None or self.name in view.history.preparing):
            return []  # a summary that is being prepared is waited for at the limit alone
        view.bounds = self.bounds(view, plan)
        target, most = view.bounds.target, self.budget.limit - plan.fixed - share
        if figures is not None:
            dry = dry_run(self.phases, view, target, most, figures)
            if not self.schedule.due(dry.figures):
                view.planned = (point, dry.figures)
                return []
            if dry.edits is not None:  # nothing stood in for anything: the plan is the cut
                for edit in dry.edits:
                    view.apply(edit)
                events += dry.events
                return dry.edits
        return (yield from self.phases.compact(view, target, most, events))

    def parts(self, view: View, plan: Plan, share: int) -> dict[str, int]:
        """What takes how many tokens where everything left must be kept."""
        pins = sum(group.tokens for group in view.groups if group.pinned)
        tokens = plan.rendering.tokens
        documents = {"documents": tokens} if tokens else {}
        return {
            "system": view.system_tokens,
            "tools": plan.fixed - tokens,
            **documents,
            "pins": pins,
            "newest turn": view.body_tokens - pins,
            "tail share": share,
        }


def _is_prepared(view: View) -> bool:
    """Whether this process has a summary of messages that the view still shows as they are."""
    held = tuple(view.history.summaries.values())  # another thread may keep one meanwhile
    return any(summary["last"] > view.summarized for summary in held)


def _first_digits(tokens: int) -> int:
    """A number with all but its first four binary digits set to 0; 0 for what is below 0."""
    shift = max(0, tokens.bit_length() - 4)
    return max(0, tokens) >> shift << shift


def points_between(history: History, after: int, end: int) -> list[int]:
    """The decision points behind `after`: before each assistant message, and at the end."""
    messages = history.messages
    return [
        *(number for number in range(after + 1, end) if messages[number].role == "assistant"),
        end,
    ]
