"""Built: requests as a `ContextBuilder` makes them, request by request, with calls for summaries.

Summaries are the extractive summarizer's, where no other is given. It needs no calls, a model in
its place does: those are noted, with the text for a reply.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, cast

from contextkit.analysis.policies import Clock, Made, NoRequest, Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.breaker import Breaker
from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.caching.blocks import Block, blocks_of
from contextkit.caching.points import CacheChoice
from contextkit.errors import InputError
from contextkit.figures import Figures
from contextkit.history import History
from contextkit.schedules import AtLimit, Schedule, WhenItPays
from contextkit.strategies.base import Strategy
from contextkit.strategies.summarization import SummarizeOldest
from contextkit.strategies.tool_results import ClearToolResults
from contextkit.strategies.truncation import DropOldest, KeepLast
from contextkit.summarizing.extractive import ExtractiveSummarizer
from contextkit.summarizing.request import Summarizer, SummaryRequest, Written

Making = Callable[[Setting, list[dict[str, Any]]], ContextBuilder]
"""Makes the builder for a setting and the tools of a conversation."""

SCHEDULES: dict[str, Callable[[Clock], Schedule]] = {
    "at-limit": lambda _clock: AtLimit(),
    "when-it-pays": lambda clock: WhenItPays(clock=clock),
}

LEAST_SUMMARY = 128
"""Tokens of the shortest summary that can be asked for: its frame takes about 50."""

AWAITED = (
    "is to be awaited, and here nobody does: give one that is not, or lambda request: "
    "asyncio.run(yours(request))"
)

_UNCHANGED = ("insert", "reasoning", "mend")  # edits that leave a message what it was

_CUTS = ("drop", "clear", "summary")


@dataclass(frozen=True, slots=True)
class Built:
    """Requests that contextkit builds.

    The calls to a summarizer are noted, but for one that asks no model, which costs nothing.

    Attributes:
        make: makes the builder of a conversation, for its setting and tools.
        name: of the policy; by default that of the function.
    """

    make: Making
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", getattr(self.make, "__name__", "built"))

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation.

        Raises:
            NoRequest: when the function gives no builder.
            ContextKitError: as the builder does, such as `BudgetExceeded`.
        """
        builder = self.make(setting, transcript.tools)
        if not isinstance(builder, ContextBuilder):
            raise NoRequest(f"gave no ContextBuilder but {type(builder).__name__}", place=self.name)
        builder = _noting(builder, setting)
        asked = [
            strategy.summarizer
            for strategy in builder.phases.compaction
            if isinstance(strategy, SummarizeOldest) and isinstance(strategy.summarizer, Noted)
        ]
        history = History()
        # What a summary's frame says of the conversation is the same in every run.
        history.id = blake2b(transcript.source.encode(errors="replace"), digest_size=8).hexdigest()
        changed: set[int] = set()
        last = taken = 0
        for point in points_of(transcript):
            history.extend(transcript.messages[taken:point])
            taken = point
            context = builder.build(history)
            cut = False
            for edit in context.edits:
                if edit.kind not in _UNCHANGED:
                    changed.update(edit.covers)
                    cut = cut or edit.kind in _CUTS or min(edit.covers, default=last) < last
            last = point
            calls = tuple(call for one in asked for call in one.taken())
            summaries = tuple(
                entry.edit
                for group in context.view.groups
                for entry in group.entries
                if entry.edit is not None and entry.edit.kind == "summary"
            )
            kept = point - len(changed)
            # Strategy and class of the error: what its text says may be of the conversation.
            failed = tuple(": ".join(one.split(": ")[:2]) for one in context.failures)
            yield Made(context.sent, context.blocks, kept, cut, calls, summaries, failed)


def own_policy(compaction: str, schedule: str, summarizer: Summarizer | None = None) -> Built:
    """One of contextkit's own policies.

    Args:
        compaction: strategies in order, joined by `+`: `drop`, `clear`, `keep:TURNS`,
            `summarize:TOKENS`.
        schedule: `at-limit` or `when-it-pays`.
        summarizer: writes the summaries; by default the extractive one.

    Raises:
        InputError: when there is no such strategy or schedule.
    """
    parts = [_strategy(part, summarizer) for part in compaction.split("+")]
    if schedule not in SCHEDULES:
        raise InputError(
            f"is no schedule; there are {', '.join(SCHEDULES)}", place=f"schedule {schedule!r:.40}"
        )

    def make(setting: Setting, tools: list[dict[str, Any]]) -> ContextBuilder:
        strategies = [part(setting) for part in parts]
        return _builder(setting, tools, SCHEDULES[schedule](setting.clock), strategies)

    return Built(make, f"{compaction}@{schedule}")


def with_strategies(strategies: Sequence[Strategy], name: str) -> Built:
    """Strategies of your own, cut when it pays."""

    def make(setting: Setting, tools: list[dict[str, Any]]) -> ContextBuilder:
        return _builder(setting, tools, SCHEDULES["when-it-pays"](setting.clock), strategies)

    return Built(make, name)


def _noting(builder: ContextBuilder, setting: Setting) -> ContextBuilder:
    """The same builder, whose calls to summarizers are noted. The one that was given is as it was.

    Raises:
        NoRequest: a summarizer is to be awaited.
    """
    compaction = []
    for one in builder.phases.compaction:
        noted = isinstance(one, SummarizeOldest)
        compaction.append(_noted(cast("SummarizeOldest", one), setting) if noted else one)
    own = copy(builder)
    own.phases = replace(builder.phases, compaction=tuple(compaction))
    own.decider = replace(builder.decider, phases=own.phases)
    return own


def _noted(strategy: SummarizeOldest, setting: Setting) -> SummarizeOldest:
    """The same for one conversation: its failures are counted anew, on the replay's clock."""
    summarizer = strategy.summarizer
    if inspect.iscoroutinefunction(summarizer) or getattr(summarizer, "is_async", False):
        raise NoRequest(AWAITED, place="summarizer")
    if isinstance(summarizer, Noted):  # by name
        return strategy
    if asks_model(summarizer):
        return replace(strategy, summarizer=Noted(setting, summarizer))
    own = replace(strategy)
    own.breaker.clock = setting.clock
    return own


def _builder(
    setting: Setting,
    tools: list[dict[str, Any]],
    schedule: Schedule,
    compaction: Sequence[Strategy],
) -> ContextBuilder:
    return ContextBuilder(
        setting.profile.name,
        profile=setting.profile,
        budget=Budget(setting.limit, setting.target),
        tools=tools,
        cache=cast("CacheChoice", setting.cache) if setting.cache else None,
        schedule=schedule,
        compaction=compaction,
        counter=setting.counter.counter,
    )


def number_of(text: str) -> int | None:
    """A whole number in plain digits, as many as one for tokens can have; None for what is none."""
    return int(text) if re.fullmatch("[0-9]{1,12}", text) else None


def _strategy(part: str, summarizer: Summarizer | None) -> Callable[[Setting], Strategy]:
    name, _, number = part.partition(":")
    if number and number_of(number) is None:
        raise InputError(f"is no number: {number!r:.40}", place=f"compaction {part!r:.40}")
    if name == "drop" and not number:
        return lambda _setting: DropOldest()
    if name == "clear":
        keep = int(number or 3)
        return lambda _setting: ClearToolResults(keep_last=keep)
    if name == "keep" and number:
        turns = int(number)
        return lambda _setting: KeepLast(turns)
    if name == "summarize":
        tokens = int(number or 512)
        if tokens < LEAST_SUMMARY:
            raise InputError(
                f"is a summary of {LEAST_SUMMARY} tokens at least", place=f"compaction {part!r:.40}"
            )
        if summarizer is not None:
            return lambda _setting: SummarizeOldest(summarizer, share=tokens)
        return lambda setting: SummarizeOldest(Noted(setting, ExtractiveSummarizer()), share=tokens)
    raise InputError(
        "is no strategy; there are drop, clear, clear:RESULTS, keep:TURNS, summarize, "
        "summarize:TOKENS, joined by +",
        place=f"compaction {part!r:.40}",
    )


def asks_model(summarizer: Summarizer) -> bool:
    """Whether a call to a summarizer is one to a model, as far as it says so."""
    extractive = isinstance(summarizer, ExtractiveSummarizer)
    return bool(getattr(summarizer, "asks_model", not extractive))


@dataclass(eq=False)
class Noted:
    """A summarizer whose calls are noted, as the provider's cache sees them.

    Attributes:
        setting: whose counter counts.
        summarizer: that is called.
        breaker: of its settings, on the replay's clock.
    """

    setting: Setting
    summarizer: Summarizer
    breaker: Breaker = field(init=False)
    asks_model: bool = field(default=True, init=False)  # also where it stands for one
    calls: list[tuple[tuple[Block, ...], int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        own = getattr(self.summarizer, "breaker", None)
        held = own if isinstance(own, Breaker) else Breaker()
        self.breaker = Breaker(held.failures, held.reset, self.setting.clock)

    def __call__(self, request: SummaryRequest) -> str | Written:
        """What the summarizer writes.

        Raises:
            NoRequest: it is to be awaited.
        """
        counter = self.setting.counter
        blocks = blocks_of(request, counter)
        written = self.summarizer(request)
        if isinstance(written, Awaitable):
            if isinstance(written, Coroutine):
                written.close()
            raise NoRequest(AWAITED, place="summarizer")
        text: Any = written.text if isinstance(written, Written) else written
        self.calls.append((blocks, counter.counter.count(text) if isinstance(text, str) else 0))
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.summarizer, name)  # its model, and whatever else it says of itself

    def taken(self) -> list[tuple[tuple[Block, ...], int]]:
        """The calls since this was last asked."""
        calls, self.calls = self.calls, []
        return calls


@dataclass(eq=False)
class DropAt:
    """Drops the oldest turns down to the target at given requests, and where the limit forces it.

    Attributes:
        cuts: numbers of the requests in their conversation, counted from 0.
        name: of the policy.
    """

    cuts: frozenset[int]
    name: str = "drop at given requests"

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation."""

        def make(setting: Setting, tools: list[dict[str, Any]]) -> ContextBuilder:
            return _builder(setting, tools, _Given(self.cuts, setting.clock), ())

        return Built(make, self.name).requests(transcript, setting)


class _Given:
    """A schedule that cuts at given requests."""

    def __init__(self, cuts: frozenset[int], clock: Clock) -> None:
        self.cuts, self._request = cuts, clock
        self._asked: tuple[int, int] = (-1, 0)

    def due(self, figures: Figures) -> bool:
        number = self._request.number
        most = self._asked[1] if self._asked[0] == number else 0
        self._asked = (number, max(most, figures.held))
        # Figures of the request before are asked about as well, to tell whether a plan is new; and
        # a request may decide earlier points, before assistant messages that nobody asked for.
        return number in self.cuts and (figures.rewritten is not None or figures.held >= most)
