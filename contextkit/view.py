"""View: what the model sees now; what strategies read, and how they make edits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from contextkit.edits import Edit
from contextkit.errors import InputError
from contextkit.folding import CountMessage, Fold, Pin, pin_system
from contextkit.groups import Entry, Group, Span
from contextkit.history import MAIN, History
from contextkit.kept_summaries import KeptSummaries
from contextkit.messages import copy_json
from contextkit.profiles import Profile, profile_for
from contextkit.rendering import Rendering
from contextkit.tokens import counter_for


class Bounds(NamedTuple):
    """What a view is built for.

    Attributes:
        limit: the most tokens of the request.
        target: tokens behind the system block that a cut comes down to.
        fixed: tokens of tools, options and template.
        summary: tokens that a cut may leave as summaries; 0 without a summarizer.
        idle: seconds since the request before; None where no clock is kept.
        asked: whether a model is called for the summaries.
        spare: tokens to free that a preparation takes for granted and the cut may not need.
    """

    limit: int
    target: int
    fixed: int
    summary: int = 0
    idle: float | None = None
    asked: bool = True
    spare: int = 0


class View(Fold):
    """What the model sees at one point of a history.

    Strategies read it and make edits with `drop`, `summary`, `replace` and `insert`; only the
    builder applies them. `free` holds what a strategy may touch.

    Attributes:
        bounds: what it is built for; None for a view that no builder made.
        model: the name of the model that the request is for.
        profile: what is known of it.
        summaries_kept: the summaries that were written for this conversation.
        uncut: the groups as they were before the compaction that is under way: a summarizer is
            asked with those. None where none is.
        planned: the last decision point at which a plan was made dry and not carried out, and
            the figures of that plan.
    """

    bounds: Bounds | None = None
    model: str = ""
    profile: Profile | None = None
    summaries_kept: KeptSummaries | None = None
    uncut: tuple[Group, ...] | None = None
    planned: tuple[int, Any] | None = None

    # -- reading ---------------------------------------------------------------------------

    @property
    def new(self) -> list[Entry]:
        """The entries that stand for messages since the last decision point: never sent yet."""
        fresh: list[Entry] = []
        for group in reversed(self.groups):
            held = [entry for entry in group.entries if entry.number >= self.point]
            if not held and group.start < self.point:
                break
            fresh[:0] = held
        return fresh

    @property
    def free(self) -> tuple[Span, ...]:
        """What a strategy may touch, in order; everything else is protected.

        Protected are the leading system block, pins, the last user message and the last step. A
        turn whose last step is the last step of all counts as running until another is made: its
        other steps are free one by one.
        """
        if self.spans is None:
            running = self._running()
            spans = _turn_spans(self.groups[:running])
            last_step = max(
                (i for i, group in enumerate(self.groups) if group.kind == "step"), default=-1
            )
            for position in range(running, len(self.groups)):
                group = self.groups[position]
                if group.pinned or group.kind == "user" or position == last_step:
                    continue
                spans.append(Span.of("summary" if group.kind == "summary" else "step", (group,)))
            self.spans = tuple(spans)
        return self.spans

    @property
    def free_numbers(self) -> frozenset[int]:
        """The numbers of the messages in `free`."""
        if self.open_numbers is None:
            self.open_numbers = frozenset(n for span in self.free for n in span.numbers)
        return self.open_numbers

    @property
    def last_resort(self) -> tuple[Span, ...]:
        """What else may go before a request is refused: summaries, then the turn before.

        Only the system block, pins and the newest turn stay in any case.
        """
        newest = next(
            (
                position
                for position in range(len(self.groups) - 1, -1, -1)
                if self.groups[position].kind == "user"
            ),
            0,
        )
        before = _turn_spans(self.groups[self._running() : newest])
        return (*self.summaries(), *(span for span in before if span.kind != "summary"))

    def request(self) -> dict[str, Any]:
        """The request that was built here, as copies: messages, and the recorded settings.

        Rebuilds any earlier request: `fold(history, at=point).request()`, without the cache
        markers, headers and routing keys that it may have been sent with.

        Raises:
            InputError: when no request was built with these messages.
        """
        decisions = self.history.decisions(self.name)
        decision = decisions[self.applied - 1] if self.applied else None
        if decision is None or decision.point != self.seen:
            points = ", ".join(str(decision.point) for decision in decisions) or "none"
            raise InputError(
                f"no request was built with {self.seen} messages; those that were: {points}",
                place="View.request",
            )
        settings = self.history.settings[decision.settings].data
        rendering = Rendering.of(settings)
        messages = rendering.taking_turns(rendering.messages(len(self.system), self.messages))
        request = {"model": settings.get("model"), "messages": copy_json(messages)}
        for key in ("tools", "response_format"):
            if settings.get(key):
                request[key] = copy_json(settings[key])
        return request

    def newest_turns(self, target: int) -> int:
        """Tokens of the newest turns, and steps of the running one, that together fit a target.

        Remembers where it stopped: the place only moves towards the end until an edit is made.
        """
        groups = self.groups
        position, before = self.kept.get(target, (0, 0))
        running = groups[self._running()].turn if groups else -1
        while position < len(groups) and (
            self.body_tokens - before > target or not self._cuttable(position, running)
        ):
            before += groups[position].tokens
            position += 1
        if position < len(groups):  # the last group may still grow by results
            self.kept[target] = (position, before)
        return self.body_tokens - before

    def _cuttable(self, position: int, running: int) -> bool:
        group = self.groups[position]
        return (
            position == 0
            or group.turn != self.groups[position - 1].turn
            or (group.turn >= running and group.kind == "step")
        )

    def summaries(self) -> tuple[Span, ...]:
        """The summaries that stand in the view, in order."""
        return tuple(span for span in self.free if span.kind == "summary")

    def _running(self) -> int:
        """Where the running turn begins: the turn of the last step, else the newest turn."""
        turn = self.turn
        for group in reversed(self.groups):
            if group.kind == "step":
                turn = group.turn
                break
        position = len(self.groups)
        while position and self.groups[position - 1].turn >= turn:
            position -= 1
        return position

    # -- making edits ----------------------------------------------------------------------

    def drop(self, *spans: Span, reason: str, by: str = "") -> Edit:
        """An edit that shows nothing in place of some spans."""
        return Edit("drop", covers=_numbers(spans), reason=reason, by=by)

    def summary(
        self,
        *spans: Span,
        message: Mapping[str, Any],
        reason: str,
        by: str = "",
        provenance: Mapping[str, Any] | None = None,
        also: Iterable[int] = (),
    ) -> Edit:
        """An edit that shows one message in place of some spans.

        Args:
            also: numbers of messages that are hidden already and that it stands for, too; all
                that the edit which hides them covers.
        """
        return Edit(
            "summary",
            covers=tuple(sorted({*_numbers(spans), *also})),
            shows=(dict(message),),
            reason=reason,
            by=by,
            provenance=provenance or {},
        )

    def replace(self, entry: Entry, content: Any, *, kind: str, reason: str, by: str = "") -> Edit:
        """An edit that shows a message with other content: kind `clear` or `clamp`."""
        return Edit(
            kind,
            covers=entry.numbers,
            shows=({**copy_json(entry.data), "content": content},),
            reason=reason,
            by=by,
        )

    def insert(
        self,
        text: str,
        *,
        reason: str,
        by: str = "",
        provenance: Mapping[str, Any] | None = None,
    ) -> Edit:
        """An edit that adds text to the last user message, where it stays for good."""
        return Edit(
            "insert",
            shows=({"type": "text", "text": text},),
            at=self.last_user,
            reason=reason,
            by=by,
            provenance=provenance or {},
        )


def fold(
    history: History,
    view: str = MAIN,
    *,
    at: int | None = None,
    count: CountMessage | None = None,
    pin: Pin = pin_system,
) -> View:
    """What the model sees in a view of a history: now, or as it was with its first `at` messages.

    Args:
        count: tokens of a message, such as `builder.counter.message`; without it they are
            estimated, which changes nothing in what is shown.

    Raises:
        InputError: when it is no history, or has no `at` messages.
    """
    if not isinstance(history, History):
        raise InputError(
            f"is a History, not {type(history).__name__}: History(messages) makes one of a list",
            place="fold",
        )
    end = len(history) if at is None else at
    history.check_point(end, "fold")
    folded = View(history, view, count or counter_for(profile_for("generic")).message, pin)
    folded.advance(end)
    return folded


def _turn_spans(groups: Sequence[Group]) -> list[Span]:
    """Spans of finished turns: consecutive groups of a turn without pins; summaries alone."""
    spans: list[Span] = []
    held: list[Group] = []
    for group in groups:
        if held and (group.kind == "summary" or group.turn != held[0].turn):
            spans.append(Span.of("turn", held))
            held = []
        if group.kind == "summary":
            spans.append(Span.of("summary", (group,)))
        elif not group.pinned:
            held.append(group)
    if held:
        spans.append(Span.of("turn", held))
    return spans


def _numbers(spans: Iterable[Span]) -> tuple[int, ...]:
    return tuple(sorted(number for span in spans for number in span.numbers))
