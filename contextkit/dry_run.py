"""Dry run: a compaction made on a scratch view, where nothing is called, and what it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from contextkit.edits import Edit
from contextkit.figures import NO_CALLS, Figures
from contextkit.phases import Event, Failed, Phases, StandIn
from contextkit.strategies.base import Need
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class DryRun:
    """A compaction as it would be.

    Attributes:
        figures: what it takes, what it rewrites, what it calls.
        edits: the compaction itself; None where something stands in for what was not asked.
        events: what happened in it, in order.
    """

    figures: Figures
    edits: list[Edit] | None
    events: list[Event]


def dry_run(phases: Phases, view: View, target: int, most: int, figures: Figures) -> DryRun:
    """Make a compaction on a scratch view.

    Args:
        target, most: as for `Phases.compact`.
        figures: of the view, for what a cut comes to as a rule.
    """
    scratch = view.copy()
    counted = _StandInsCounted(view)
    scratch.count = counted
    events: list[Event] = []
    calls = NO_CALLS
    asked = False
    steps = phases.compact(scratch, target, most, events)
    try:
        need = next(steps)
        while True:
            asked = True
            reply: StandIn | Failed
            try:
                calls += need.calls
                reply = counted.stand_in(scratch, need)
            except Exception as error:  # noqa: BLE001 - what a strategy says of its need may be odd
                reply = Failed(error)
            need = steps.send(reply)
    except StopIteration as stop:
        edits: list[Edit] = stop.value
    unchanged = min(_unchanged(view, scratch), view.body_tokens - figures.newest)
    planned = replace(
        figures,
        keep=figures.held - (view.body_tokens - scratch.body_tokens),
        summary=0,
        rewritten=scratch.body_tokens - unchanged,
        calls=calls,
    )
    return DryRun(planned, None if asked else edits, events)


class _StandInsCounted:
    """Counts like a view, and a message that stands in as what it stands for will take."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.tokens: dict[str, int] = {}

    def stand_in(self, scratch: View, need: Need) -> StandIn:
        """The edit that a need will give, as far as it says what it covers."""
        if not need.covers:
            return StandIn(())
        text = f"[{need.what} {len(self.tokens) + 1} to come]"
        self.tokens[text] = need.shows
        message = {"role": "user", "content": text}
        return StandIn((scratch.summary(*need.covers, message=message, reason="made dry"),))

    def __call__(self, message: Mapping[str, Any]) -> int:
        content = message.get("content")
        if isinstance(content, str) and content in self.tokens:
            return self.tokens[content]
        return self.view.count(message)


def _unchanged(view: View, scratch: View) -> int:
    """Tokens behind the system block, in front of the first message that is another one."""
    tokens = 0
    for before, after in zip(view.groups, scratch.groups, strict=False):
        if before is after:
            tokens += before.tokens
            continue
        for one, other in zip(before.entries, after.entries, strict=False):
            if one is not other:
                break
            tokens += one.tokens
        break
    return tokens
