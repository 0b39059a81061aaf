"""What the requests of each library cost, beside contextkit's of the same mean length.

Every library builds the requests of the same conversations under the same limit; a simulator of
the provider's cache says what of them is read from it. Then contextkit's target is chosen (or,
where a window is longer than any target allows, its limit) so that its requests have the same mean
tokens. The floor without rewrites is what requests of a mean length cost if each read all of itself
from the cache but what it adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import contextkit as ck
from benchmarks.peers.libraries import OURS, OURS_SUMMARIZING, Peer
from benchmarks.peers.library import Message, Remembering
from benchmarks.peers.library import Setting as Asked
from benchmarks.peers.process import Failed, Process, TookTooLong
from contextkit.analysis.policies import Made, Setting
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block, Sent, blocks_of
from contextkit.caching.blocks import Made as Known
from contextkit.caching.costs import cost_of
from contextkit.caching.simulator import Simulator
from contextkit.tokens import counter_for

APART = 20.0
"""Seconds between two requests: the cache stays warm."""
SUMMARY = 200
"""Tokens of every summary that a stand-in writes."""
PATIENCE = 600.0
"""Seconds that a library has for the requests of one conversation."""
POINTS = ("system and newest", "system alone", "none")
"""Where an application puts explicit cache points around the requests of a library that has none;
`none` is the implicit cache."""


@dataclass(frozen=True)
class Workload:
    """Conversations of one kind.

    Attributes:
        name: in tables.
        transcripts: with the tools that they were held with.
        limit: of every request.
    """

    name: str
    transcripts: list[Transcript]
    limit: int


@dataclass
class Charged:
    """What the requests of some conversations cost, in uncached input tokens.

    Attributes:
        tokens: of each request.
        read: tokens read from the cache.
        cost: of the input.
        summaries: input and output of the calls of a summarizer.
        calls: how many those were.
        cuts: requests from which something was dropped.
    """

    tokens: list[int] = field(default_factory=list)
    read: int = 0
    cost: float = 0.0
    summaries: float = 0.0
    calls: int = 0
    cuts: int = 0

    @property
    def mean(self) -> float:
        """Mean tokens of a request."""
        return sum(self.tokens) / max(1, len(self.tokens))

    @property
    def each(self) -> float:
        """Cost of a request with its share of the summaries."""
        return (self.cost + self.summaries) / max(1, len(self.tokens))

    def add(self, requests: Iterable[Made], setting: Setting) -> None:
        """Send the requests of a conversation to the provider's cache."""
        rules = setting.profile.cache(setting.cache)
        if rules is None:
            raise ValueError(f"{setting.profile.name} has no {setting.cache} cache")
        simulator = Simulator(rules)
        for number, made in enumerate(requests):
            at = APART * (number + 1)
            for blocks, reply in made.calls:
                usage = simulator.send(Sent(blocks, at=at - APART / 2, begun=0.5, ended=2.0))
                cost = cost_of(replace(usage, output_tokens=reply), setting.profile, rules)
                if cost is not None:
                    self.summaries += cost.input + (cost.output or 0.0)
                    self.calls += 1
            usage = simulator.send(Sent(made.blocks, at=at, begun=0.5, ended=2.0))
            cost = cost_of(usage, setting.profile, rules)
            if cost is None:
                raise ValueError(f"the prices of {setting.profile.name} are not known")
            self.tokens.append(usage.input_tokens or 0)
            self.read += usage.cache_read_tokens or 0
            self.cost += cost.input
            self.cuts += made.cut


@dataclass
class PeerPolicy:
    """The requests of a library, as a `Policy` of the analysis.

    Attributes:
        peer: the library.
        process: that runs it.
        points: where explicit cache points are put, one of `POINTS`.
    """

    peer: Peer
    process: Process
    points: str = POINTS[0]
    _answers: dict[tuple[str, str, int], list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in tables."""
        return self.peer.name

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The request before each assistant message."""
        messages, tools = transcript.messages, transcript.tools
        system, rest = leading(messages)
        made: Known = {}
        fixed = setting.counter.fixed(tools)
        altered: dict[str, Message] = {}
        before: set[int] = set()

        def whole(named: Sequence[int | Message]) -> list[Message]:
            # One object for each message, so that its block is made once.
            found = []
            for one in named:
                if isinstance(one, int):
                    found.append(system if one < 0 and system else rest[one])
                else:
                    found.append(altered.setdefault(repr(one), one))
            return found

        def blocks(of: list[Message], around: list[Message]) -> tuple[Block, ...]:
            tokens = fixed if around else setting.counter.fixed()
            given = {"messages": of, "tools": around}
            return blocks_of(given, setting.counter, fixed=tokens, made=made)

        for answer in self.answers(transcript, setting):
            named = answer.get("messages")
            if named is None:
                continue
            sent = whole(named)
            numbers = {one for one in named if isinstance(one, int)}
            yield Made(
                sent,
                self.marked(blocks(sent, tools), setting),
                kept=len(numbers),
                cut=bool(before - numbers),
                calls=tuple(
                    (blocks(whole(asked), []), setting.counter.counter.count(text))
                    for asked, text in answer["calls"]
                ),
            )
            before = numbers

    def marked(self, blocks: tuple[Block, ...], setting: Setting) -> tuple[Block, ...]:
        """With the explicit cache points that an application would put there."""
        if setting.cache != "explicit":
            return blocks
        head = next((n for n, one in enumerate(blocks) if one.role == "system"), 0)
        places = {head, len(blocks) - 2} if self.points == POINTS[0] else {head}
        return tuple(replace(block, point=number in places) for number, block in enumerate(blocks))

    def answers(self, transcript: Transcript, setting: Setting) -> list[dict[str, Any]]:
        """What the library built; asked for once for each vocabulary and limit."""
        vocabulary = setting.counter.counter.name
        key = (transcript.source, vocabulary, setting.limit)
        if key not in self._answers:
            system, rest = leading(transcript.messages)
            job = {
                "do": "requests",
                "model": setting.profile.name,
                "limit": setting.limit,
                "window": window(transcript, setting),
                "system": system,
                "messages": rest,
                "tools": transcript.tools,
                "summary": SUMMARY,
                "end": False,
            }
            self._answers[key] = self.process.ask(job, PATIENCE)["requests"]
        return self._answers[key]


def leading(messages: Sequence[Message]) -> tuple[Message | None, list[Message]]:
    """The leading system message, and the rest."""
    if messages and messages[0]["role"] == "system":
        return messages[0], list(messages[1:])
    return None, list(messages)


def window(transcript: Transcript, setting: Setting) -> int:
    """Messages that take about as much as the limit leaves them, at the conversation's mean."""
    system, rest = leading(transcript.messages)
    count = setting.counter.message
    room = (
        setting.limit - setting.counter.fixed(transcript.tools) - (count(system) if system else 0)
    )
    return max(2, int(room * len(rest) / max(1, sum(map(count, rest)))))


SCHEDULES: dict[str, ck.Schedule | None] = {"at the limit": ck.AtLimit(), "when it pays": None}
"""Those that come without a target, and with one."""


@dataclass
class OwnPolicy:
    """contextkit's requests, by a builder with a limit and a target."""

    schedule: str
    summarizing: bool = False

    @property
    def name(self) -> str:
        """As in tables."""
        return f"{OURS_SUMMARIZING if self.summarizing else OURS}, {self.schedule}"

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The request before each assistant message."""
        asked = Asked(
            setting.profile.name, setting.limit, 0, None, transcript.tools, setting.counter, SUMMARY
        )
        calls: list[tuple[tuple[Block, ...], int]] = []

        def summarizer(request: Mapping[str, Any]) -> str:
            text = asked.summarize([])
            blocks = blocks_of(request, setting.counter)
            calls.append((blocks, asked.count(text)))
            return text

        more: dict[str, Any] = {}
        if self.summarizing:
            more["compaction"] = [ck.SummarizeOldest(summarizer), ck.DropOldest()]
        builder = ck.ContextBuilder(
            setting.profile.name,
            budget=ck.Budget(setting.limit, target=setting.target),
            tools=transcript.tools,
            cache=setting.cache,
            schedule=SCHEDULES[self.schedule],
            counter=setting.counter.counter,
            **more,
        )
        history = ck.History(scope=ck.Scope("tenant", "user", transcript.source))
        for message in transcript.messages:
            if message["role"] == "assistant" and len(history):
                context = builder.build(history)
                yield Made(
                    context.sent,
                    context.blocks,
                    kept=len(context.view.messages),
                    cut=any(edit.kind in ("drop", "summary") for edit in context.edits),
                    calls=tuple(calls),
                )
                calls.clear()
            history.append(message)


def charged(policy: Any, workload: Workload, setting: Setting) -> Charged:
    """What a policy's requests cost over a workload."""
    total = Charged()
    for transcript in workload.transcripts:
        total.add(policy.requests(transcript, setting), setting)
    return total


@dataclass(frozen=True)
class Fit:
    """How contextkit is set."""

    schedule: str
    limit: int
    target: int


class Fitting:
    """contextkit's runs over a workload, found by the mean tokens of their requests.

    Args:
        workload: what is held.
        setting: profile, cache and limit; schedule and target are chosen here.
        summarizing: with a summarizer, for comparison with those that have one.
    """

    def __init__(self, workload: Workload, setting: Setting, *, summarizing: bool) -> None:
        self.workload, self.setting, self.summarizing = workload, setting, summarizing
        self.runs: dict[Fit, Charged] = {}

    def run(self, fit: Fit) -> Charged:
        """The requests under a schedule, a limit and a target."""
        if fit not in self.runs:
            setting = replace(self.setting, limit=fit.limit, target=fit.target)
            policy = OwnPolicy(fit.schedule, self.summarizing)
            self.runs[fit] = charged(policy, self.workload, setting)
        return self.runs[fit]

    def nearest(self, mean: float) -> Fit:
        """How requests of the nearest mean length are had, at the least cost.

        By the target, under the limit of the workload; more than half of the limit is of no effect
        there, so a mean that is longer still is had by a higher limit, with half of it as target.
        Of the two schedules the one that is cheaper at that mean.
        """
        limit = self.setting.limit
        fits = []
        for schedule in SCHEDULES:
            low, high = Fit(schedule, limit, limit // 16), Fit(schedule, limit, limit // 2)
            if self.run(high).mean < mean:
                low, high = high, Fit(schedule, 3 * limit, 3 * limit // 2)
            fits.append(self._between(low, high, mean))
        close = [fit for fit in fits if abs(self.run(fit).mean - mean) <= 0.02 * mean]
        if not close:
            return min(fits, key=lambda fit: abs(self.run(fit).mean - mean))
        return min(close, key=lambda fit: self.run(fit).each)

    def _between(self, low: Fit, high: Fit, mean: float) -> Fit:
        """Where between two settings a mean lies, by the secant; on a grid, so that runs recur."""
        step = max(1, self.setting.limit // 80)
        tried = {low, high}
        for _ in range(6):
            under, over = self.run(low).mean, self.run(high).mean
            share = (mean - under) / max(1.0, over - under)
            share = min(0.95, max(0.05, share))
            limit = low.limit + round((high.limit - low.limit) * share / step) * step
            target = low.target + round((high.target - low.target) * share / step) * step
            between = Fit(low.schedule, limit, target)
            if between in tried:
                break
            tried.add(between)
            found = self.run(between).mean
            if abs(found - mean) < 0.004 * mean:
                break
            low, high = (between, high) if found < mean else (low, between)
        return min(tried, key=lambda fit: abs(self.run(fit).mean - mean))


def rows(
    workload: Workload,
    policies: Sequence[PeerPolicy],
    model: str,
    cache: str,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """A row for each library, with contextkit at the same mean beside it."""
    profile = ck.profile_for(model)
    counter = counter_for(profile, Remembering(model))
    setting = Setting(profile, cache, counter, workload.limit, workload.limit // 2)
    fittings = {kind: Fitting(workload, setting, summarizing=kind) for kind in (False, True)}
    added = _added(workload, setting)
    for kind, fitting in fittings.items():
        for schedule in SCHEDULES:
            run = fitting.run(Fit(schedule, workload.limit, workload.limit // 2))
            name = f"{OURS_SUMMARIZING if kind else OURS}, {schedule}"
            yield _row(name, "summarizes" if kind else "chunks", run, setting, added)
    for policy in policies:
        say(f"cost: {workload.name}, {model} {cache}, {policy.name}")
        try:
            run, points = _cheapest(policy, workload, setting)
        except (Failed, TookTooLong) as error:
            yield {"name": policy.name, "ended": str(error)}
            continue
        row = _row(policy.name, policy.peer.cuts, run, setting, added)
        row["points"] = points
        if policy.peer.cuts != "never":
            fitting = fittings[policy.peer.cuts == "summarizes"]
            fit = fitting.nearest(run.mean)
            ours = fitting.run(fit)
            row["contextkit"] = {**asdict(fit), **_row(OURS, "", ours, setting, added)}
            row["ratio"] = ours.each / run.each
        yield row


def _cheapest(policy: PeerPolicy, workload: Workload, setting: Setting) -> tuple[Charged, str]:
    """With the explicit cache points that are cheapest for it."""
    if setting.cache != "explicit":
        return charged(policy, workload, setting), ""
    found = {}
    for points in POINTS[:2]:
        policy.points = points
        found[points] = charged(policy, workload, setting)
    best = min(found, key=lambda one: found[one].each)
    return found[best], best


def _added(workload: Workload, setting: Setting) -> float:
    """Tokens that a request adds on average: all that is ever sent, by the number of requests."""
    tokens = requests = 0
    for transcript in workload.transcripts:
        last = max(
            (n for n, one in enumerate(transcript.messages) if one["role"] == "assistant"),
            default=0,
        )
        tokens += sum(map(setting.counter.message, transcript.messages[:last]))
        tokens += setting.counter.fixed(transcript.tools)
        requests += sum(
            bool(n) and one["role"] == "assistant" for n, one in enumerate(transcript.messages)
        )
    return tokens / max(1, requests)


def _row(name: str, cuts: str, run: Charged, setting: Setting, added: float) -> dict[str, Any]:
    rules = setting.profile.cache(setting.cache)
    read, write = (rules.read or 0.0, rules.write or 0.0) if rules else (1.0, 1.0)
    least = read * run.mean + (write - read) * added
    return {
        "name": name,
        "cuts": cuts,
        "requests": len(run.tokens),
        "requests cut": run.cuts,
        "mean tokens": run.mean,
        "largest": max(run.tokens, default=0),
        "over the limit": sum(tokens > setting.limit for tokens in run.tokens),
        "read share": run.read / max(1, sum(run.tokens)),
        "cost a request": run.each,
        "of it summaries": run.summaries / max(1, len(run.tokens)),
        "summaries": run.calls,
        "least": least,
        "by the least": run.each / least,
    }
