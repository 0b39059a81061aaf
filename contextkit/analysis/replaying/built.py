"""Built: requests as a `ContextBuilder` makes them, request by request, and a stand-in summarizer.

The stand-in writes a text of a stated length that says that it is one: what a summary costs does
not depend on what it says, and none is invented.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, cast

from contextkit.analysis.policies import Clock, Made, NoRequest, Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.caching.blocks import Block, blocks_of
from contextkit.caching.points import CacheChoice
from contextkit.errors import InputError
from contextkit.figures import Figures
from contextkit.history import History
from contextkit.schedules import AtLimit, Schedule, WhenItPays
from contextkit.strategies.base import Strategy
from contextkit.strategies.blocks import block
from contextkit.strategies.summarization import SummarizeOldest
from contextkit.strategies.tool_results import ClearToolResults
from contextkit.strategies.truncation import DropOldest, KeepLast

Making = Callable[[Setting, list[dict[str, Any]]], ContextBuilder]
"""Makes the builder for a setting and the tools of a conversation."""

SCHEDULES: dict[str, Callable[[Clock], Schedule]] = {
    "at-limit": lambda _clock: AtLimit(),
    "when-it-pays": lambda clock: WhenItPays(clock=clock),
}

LEAST_SUMMARY = 128
"""Tokens of the shortest summary that can be asked for: its frame takes about 50."""

_UNCHANGED = ("insert", "reasoning", "mend")  # edits that leave a message what it was

_CUTS = ("drop", "clear", "summary")


@dataclass(frozen=True, slots=True)
class Built:
    """Requests that contextkit builds.

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
        stand_ins = [
            strategy.summarizer
            for strategy in builder.phases.compaction
            if isinstance(strategy, SummarizeOldest) and isinstance(strategy.summarizer, StandIn)
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
            calls = tuple(call for stand_in in stand_ins for call in stand_in.taken())
            yield Made(context.sent, context.blocks, point - len(changed), cut, calls)


def own_policy(compaction: str, schedule: str) -> Built:
    """One of contextkit's own policies.

    Args:
        compaction: strategies in order, joined by `+`: `drop`, `clear`, `keep:TURNS`,
            `summarize:TOKENS`.
        schedule: `at-limit` or `when-it-pays`.

    Raises:
        InputError: when there is no such strategy or schedule.
    """
    parts = [_strategy(part) for part in compaction.split("+")]
    if schedule not in SCHEDULES:
        raise InputError(
            f"is no schedule; there are {', '.join(SCHEDULES)}", place=f"schedule {schedule!r:.40}"
        )

    def make(setting: Setting, tools: list[dict[str, Any]]) -> ContextBuilder:
        strategies = [part(setting) for part in parts]
        return _builder(setting, tools, SCHEDULES[schedule](setting.clock), strategies)

    return Built(make, f"{compaction}@{schedule}")


def with_strategy(strategy: Strategy) -> Built:
    """A strategy of your own, cut when it pays; the policy has the name of its class."""

    def make(setting: Setting, tools: list[dict[str, Any]]) -> ContextBuilder:
        return _builder(setting, tools, SCHEDULES["when-it-pays"](setting.clock), [strategy])

    return Built(make, type(strategy).__name__)


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


def _strategy(part: str) -> Callable[[Setting], Strategy]:
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
        return lambda setting: SummarizeOldest(StandIn(setting, tokens), share=tokens)
    raise InputError(
        "is no strategy; there are drop, clear, clear:RESULTS, keep:TURNS, summarize, "
        "summarize:TOKENS, joined by +",
        place=f"compaction {part!r:.40}",
    )


@dataclass(eq=False)
class StandIn:
    """A summarizer that writes nothing but a text of a stated length, and keeps count.

    Attributes:
        setting: whose counter counts.
        tokens: of the message that shows the summary, frame and all; it may be a little less.
    """

    setting: Setting
    tokens: int
    calls: list[tuple[tuple[Block, ...], int]] = field(default_factory=list)
    _text: str = ""

    def __call__(self, request: Mapping[str, Any]) -> str:
        """The text; the request is noted as the provider's cache sees it."""
        counter = self.setting.counter
        if not self._text:
            self._text = self._written()
        self.calls.append((blocks_of(request, counter), counter.counter.count(self._text)))
        return self._text

    def taken(self) -> list[tuple[tuple[Block, ...], int]]:
        """The calls since this was last asked."""
        calls, self.calls = self.calls, []
        return calls

    def _written(self) -> str:
        count, history = self.setting.counter.message, History()
        history.id = "0"

        def tokens(words: int) -> int:
            frame = "Summary of messages 10000 to 20000 of this conversation:\n"
            content = block(history, "summary", frame + _stand_in_text(words))
            return count({"role": "user", "content": content})

        most = self.tokens - 8  # the hex digits of its frame are not always as many tokens
        words = bisect_right(range(self.tokens), most, key=tokens)
        return _stand_in_text(max(0, words - 1))


def _stand_in_text(words: int) -> str:
    return "In place of a summary." + " and so on" * words


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
