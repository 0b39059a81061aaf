"""Preparing: the summaries of the coming cut are written before it is due, off the hot path.

The cut is made on a scratch view, for the history as it will have grown by then, and thrown away.
What stays are its summaries, under their addresses, where the cut will find them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from contextkit.budget import whole_number
from contextkit.deciding import Decider
from contextkit.driving import Steps
from contextkit.edits import Edit
from contextkit.figures import NO_CALLS, Figures, figures_at
from contextkit.kept_summaries import Preparing
from contextkit.next_cut import requests_until_cut
from contextkit.phases import Event, failures_in
from contextkit.plan import Plan
from contextkit.view import View

SOON = 3
"""Requests: a cut that is so near is prepared; what a farther one will cover is not known yet."""

_ANOTHER = "another preparation is under way"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was written ahead of time; false where nothing was.

    Attributes:
        summaries: the edits that the coming cut can make of them, as far as is known today.
        reason: why they were, or were not, in words.
        failures: strategies that were passed over, and why.

    As text it says which messages they stand for, and whether each was written now or was there.
    """

    summaries: tuple[Edit, ...]
    reason: str
    failures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.summaries)

    def __str__(self) -> str:
        told = map(_told, self.summaries)
        passed = [f"passed over: {failure}" for failure in self.failures if self.summaries]
        return "; ".join([*told, self.reason, *passed])

    def __repr__(self) -> str:
        return f"Preparation({'; '.join(map(_told, self.summaries)) or 'nothing written'})"


def prepare(decider: Decider, plan: Plan, view: View, *, within: int) -> Steps[Preparation]:
    """Write the summaries of the coming cut, if it is near or the conversation is idle.

    Args:
        view: a scratch view of all messages, equipped; changed.
        within: requests; a cut that is so near is prepared.
    """
    whole_number("within", within, least=1)
    if not decider.phases.summary_share:
        return Preparation((), "no strategy writes summaries")
    if view.name in view.history.preparing:
        return Preparation((), _ANOTHER)
    view.bounds = decider.bounds(view, plan)
    # Behind a reply no request is under way that would add something, as figures have it.
    figures = replace(figures_at(view), requests=max(1, view.steps))
    coming = requests_until_cut(decider.schedule.due, figures, view.bounds.limit)
    idle = _idle(decider, view, figures)
    if not idle and (coming is None or coming > within):
        when = "not in sight" if coming is None else f"about {coming:,} requests away"
        return Preparation((), f"the next cut is {when}; {within:,} is near")
    added = 0  # until the cut; one request more, for what is asked then must not be longer
    if not idle and coming is not None:
        each = figures.held // max(1, figures.requests)
        added = (coming + 1) * each
        view.bounds = view.bounds._replace(spare=each)  # that one request
    free = sum(span.tokens for span in view.free if span.kind != "summary")
    if coming is not None and coming > 1 and view.body_tokens + added - view.bounds.target > free:
        return Preparation((), "too early: the cut will take messages that are still in use")
    target = max(1, view.bounds.target - added)
    events: list[Event] = []
    under_way = Preparing.begin(view.history, view.name)
    if under_way is None:
        return Preparation((), _ANOTHER)
    try:
        edits = yield from decider.phases.compact(view, target, view.bounds.limit, events)
    finally:
        under_way.end()
    summaries = tuple(edit for edit in edits if edit.kind == "summary")
    reason = f"a cut in about {coming:,} request{'s' if coming != 1 else ''}"
    if idle:
        reason = "idle: the cache will have expired"
    failures = tuple(map(str, failures_in(events)))
    if not summaries:
        why = f"nothing was written, passed over: {'; '.join(failures)}"
        reason = f"{reason}: {why if failures else 'nothing to write'}"
    return Preparation(summaries, reason, failures)


def _told(edit: Edit) -> str:
    when = "was there already" if edit.provenance.get("ahead") is True else "written now"
    return f"messages {edit.covers[0]} to {edit.covers[-1]} {when}"


def _idle(decider: Decider, view: View, figures: Figures) -> bool:
    """Whether the cache will probably expire before the next request, and a cut pays then.

    A summary is written while the cache is still warm, after half of the lifetime without a
    request; the cut itself then calls nobody.
    """
    schedule: Any = decider.schedule
    ttl, now = getattr(schedule, "ttl", None), decider.time()
    made = view.history.decisions(view.name)
    last = made[-1].time if made else None
    if ttl is None or now is None or last is None or not hasattr(schedule, "verdict"):
        return False
    waited = now - last
    if waited < ttl / 2:
        return False
    now_warm = schedule.verdict(replace(figures, idle=waited))
    then_cold = schedule.verdict(replace(figures, idle=max(waited, ttl + 1), calls=NO_CALLS))
    if now_warm is None or then_cold is None:
        return False
    return bool(then_cold.extra + now_warm.fee <= then_cold.saving)
