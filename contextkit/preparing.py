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
from contextkit.figures import Figures, figures_at
from contextkit.kept_summaries import Preparing
from contextkit.next_cut import requests_until_cut
from contextkit.phases import Event, failures_in
from contextkit.plan import Plan
from contextkit.view import View

SOON = 3
"""Requests: a cut that is so near is prepared; what a farther one will cover is not known yet."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was written ahead of time; false where nothing was.

    Attributes:
        summaries: the edits that the coming cut can make of them, as far as is known today.
        reason: why they were, or were not, in words.
        failures: strategies that were passed over, and why.
    """

    summaries: tuple[Edit, ...]
    reason: str
    failures: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.summaries)


def prepare(
    decider: Decider, plan: Plan, view: View, *, now: float | None, within: int
) -> Steps[Preparation]:
    """Write the summaries of the coming cut, if it is near or the conversation is idle.

    Args:
        view: a scratch view of all messages, equipped; changed.
        now: seconds since the epoch.
        within: requests; a cut that is so near is prepared.
    """
    whole_number("within", within, least=1)
    if not decider.phases.summary_share:
        return Preparation((), "no strategy writes summaries")
    preparing = view.history.preparing
    if view.name in preparing:
        return Preparation((), "another preparation is under way")
    view.bounds = decider.bounds(view, plan)
    figures = figures_at(view)
    coming = requests_until_cut(decider.schedule.due, figures, view.bounds.limit)
    idle = _idle(decider, view, figures, now)
    if not idle and (coming is None or coming > within):
        when = "not in sight" if coming is None else f"about {coming:,} requests away"
        return Preparation((), f"the next cut is {when}; {within:,} is near")
    added = 0 if idle or coming is None else coming * figures.held // max(1, figures.requests)
    target = max(1, view.bounds.target - added)
    events: list[Event] = []
    preparing[view.name] = under_way = Preparing()
    try:
        edits = yield from decider.phases.compact(view, target, view.bounds.limit, events)
    finally:
        preparing.pop(view.name, None)
        under_way.done.set()
    summaries = tuple(edit for edit in edits if edit.kind == "summary")
    reason = f"a cut in about {coming:,} request{'s' if coming != 1 else ''}"
    if idle:
        reason = "idle: the cache will have expired"
    failures = tuple(map(str, failures_in(events)))
    return Preparation(summaries, reason if summaries else f"{reason}: nothing to write", failures)


def _idle(decider: Decider, view: View, figures: Figures, now: float | None) -> bool:
    """Whether the cache will probably expire before the next request, and a cut is due then.

    It is written while the cache is still warm: after half of the lifetime without a request.
    """
    schedule: Any = decider.schedule
    ttl, times = getattr(schedule, "ttl", None), view.history.times
    if ttl is None or now is None or not times or view.bounds is None:
        return False
    waited = now - times[max(times)]
    return waited >= ttl / 2 and bool(schedule.due(replace(figures, idle=max(waited, ttl + 1))))
