"""Truncation: the oldest turns go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit, last_words
from contextkit.groups import Span
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class DropOldest:
    """Drop the oldest turns, as many as needed.

    Summaries stay: they go where the limit could not be kept otherwise, and only then. Every
    compaction ends with this strategy, whether it is named or not.
    """

    phase: ClassVar[str] = "compaction"

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """One edit that drops the oldest free spans, until `goal` tokens are freed."""
        going = [span for span in view.free if span.kind != "summary"]
        return drop_until(view, going, goal, type(self).__name__)


@dataclass(frozen=True, slots=True)
class KeepLast:
    """Drop all but the last turns, once a cut is due.

    Attributes:
        turns: how many finished turns to keep, besides the running one.
    """

    phase: ClassVar[str] = "compaction"
    turns: int

    def __post_init__(self) -> None:
        whole_number("KeepLast.turns", self.turns, least=0)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """One edit that drops every free turn but the last ones."""
        finished = [span for span in view.free if span.kind == "turn"]
        going = finished[: max(0, len(finished) - self.turns)]
        if going:
            yield view.drop(
                *going,
                reason=f"older than {last_words(self.turns, 'turn')}",
                by=type(self).__name__,
            )


def drop_until(view: View, spans: Iterable[Span], goal: int, by: str) -> list[Edit]:
    """One edit that drops spans in their order until `goal` tokens are freed; none for none."""
    going: list[Span] = []
    freed = 0
    for span in spans:
        if freed >= goal:
            break
        going.append(span)
        freed += span.tokens
    if not going:
        return []
    return [view.drop(*going, reason=f"oldest first, to free {goal:,} tokens", by=by)]
