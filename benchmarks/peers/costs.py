"""What the requests of each library cost, beside contextkit's of the same mean length.

Every library builds the requests of the same conversations under the same limit; a simulator of
the provider's cache says what of them is read from it. Then contextkit's target is chosen (or,
where requests are longer than any target makes them, its limit) so that its requests have the same
mean tokens. The floor without rewrites is what requests of a mean length cost if each read all of
itself from the cache but what it adds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import contextkit as ck
from benchmarks.peers.libraries import OURS, OURS_SUMMARIZING, Peer
from benchmarks.peers.library import Message, Remembering
from benchmarks.peers.process import Failed, Process, TookTooLong
from benchmarks.workloads import Workload, joined, long_sessions, trajectories, written_loop
from contextkit.analysis.policies import Made, Policy, Setting, points_of
from contextkit.analysis.replay import GAP
from contextkit.analysis.replaying.built import own_policy
from contextkit.analysis.replaying.charged import Sums, charges, moments_of
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block, blocks_of
from contextkit.caching.blocks import Made as Known
from contextkit.tokens import counter_for

SEED = 21
SUMMARY = 200
"""Tokens of every summary that a stand-in writes."""
PATIENCE = 300.0
"""Seconds that a library has for the requests of one conversation."""
POINTS = ("system and newest", "system alone")
"""Where an application puts explicit cache points around the requests of a library that has none:
whichever is cheaper for it."""
CLOSE = 0.02
"""What passes for the same mean."""
SCHEDULES = ("at-limit", "when-it-pays")
"""Of contextkit: what comes with a limit alone, and with a target."""


def workloads(folder: Path | None, limit: int, *, quick: bool) -> list[Workload]:
    """What is measured on: long sessions of several kinds, and one task with a long loop."""
    found = long_sessions(folder, limit, quick=quick, seed=SEED)
    size = 1 if limit <= 8_000 else 4
    if folder is not None and (swe := trajectories(folder, "swe_agent_dev.jsonl")):
        found.append(Workload(f"coding agent, {len(swe)} joined", [joined(swe)]))
    loops = [written_loop(150 * size, SEED + number) for number in range(1 if quick else 2)]
    return [*found, Workload("written loop, one task", loops)]


def charged(policy: Policy, workload: Workload, setting: Setting) -> Sums:
    """What a policy's requests cost over a workload."""
    total = Sums()
    for transcript in transcripts(workload):
        for charge in charges(policy, transcript, setting, moments_of(transcript, GAP)):
            total.add(charge, setting.limit)
    if total.units is None:
        raise ValueError(f"the prices of {setting.profile.name} are not known")
    return total


def transcripts(workload: Workload) -> list[Transcript]:
    """The sessions of a workload, named."""
    return [
        Transcript(f"{workload.name} {number}", messages, workload.tools)
        for number, messages in enumerate(workload.sessions)
    ]


def mean_of(sums: Sums) -> float:
    """Mean tokens of a request."""
    return sums.tokens / sums.requests


def cost_of(sums: Sums) -> float:
    """Cost of a request with its share of the summaries, in uncached input tokens."""
    return (sums.units or 0.0) / sums.requests


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
                raise Failed(f"{self.name}: {answer.get('error') or answer}")
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
                "points": [point - (system is not None) for point in points_of(transcript)],
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
        self.workload, self.setting = workload, setting
        self.compaction = f"summarize:{SUMMARY}+drop" if summarizing else "drop"
        self.runs: dict[Fit, Sums] = {}

    def run(self, fit: Fit) -> Sums:
        """The requests under a schedule, a limit and a target."""
        if fit not in self.runs:
            setting = replace(self.setting, limit=fit.limit, target=fit.target)
            policy = own_policy(self.compaction, fit.schedule)
            self.runs[fit] = charged(policy, self.workload, setting)
        return self.runs[fit]

    def mean(self, fit: Fit) -> float:
        """Mean tokens of a request."""
        return mean_of(self.run(fit))

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
            if self.mean(high) < mean:
                low, high = high, Fit(schedule, 3 * limit, 3 * limit // 2)
            fits.append(self._between(low, high, mean))
        close = [fit for fit in fits if abs(self.mean(fit) - mean) <= CLOSE * mean]
        if not close:
            return min(fits, key=lambda fit: abs(self.mean(fit) - mean))
        return min(close, key=lambda fit: cost_of(self.run(fit)))

    def _between(self, low: Fit, high: Fit, mean: float) -> Fit:
        """Where between two settings a mean lies, by the secant; on a grid, so that runs recur."""
        step = max(1, self.setting.limit // 80)
        tried = {low, high}
        for _ in range(6):
            under, over = self.mean(low), self.mean(high)
            share = min(0.95, max(0.05, (mean - under) / max(1.0, over - under)))
            between = Fit(
                low.schedule,
                low.limit + round((high.limit - low.limit) * share / step) * step,
                low.target + round((high.target - low.target) * share / step) * step,
            )
            if between in tried:
                break
            tried.add(between)
            found = self.mean(between)
            if abs(found - mean) < CLOSE / 5 * mean:
                break
            low, high = (between, high) if found < mean else (low, between)
        return min(tried, key=lambda fit: abs(self.mean(fit) - mean))


def rows(
    workload: Workload,
    policies: Sequence[PeerPolicy],
    named: tuple[str, str, int],
    *,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """A row for each library, with contextkit at the same mean beside it.

    Args:
        workload: what is held.
        policies: of the libraries.
        named: model, cache and limit.
        say: what is being done.
    """
    model, cache, limit = named
    profile = ck.profile_for(model)
    setting = Setting(profile, cache, counter_for(profile, Remembering(model)), limit, limit // 2)
    added = added_each(workload, setting)
    head = {"workload": workload.name, "model": model, "cache": cache, "limit": limit}
    fittings = {kind: Fitting(workload, setting, summarizing=kind) for kind in (False, True)}
    for kind, fitting in fittings.items():
        for schedule in SCHEDULES:
            name = f"{OURS_SUMMARIZING if kind else OURS}, {schedule}"
            run = fitting.run(Fit(schedule, limit, limit // 2))
            cuts = "summarizes" if kind else "chunks"
            yield {**head, "name": name, "cuts": cuts, **_figures(run, setting, added)}
    for policy in policies:
        say(f"cost: {workload.name}, {model} {cache}, {limit:,}: {policy.name}")
        row = {**head, "name": policy.name, "cuts": policy.peer.cuts}
        try:
            run, row["points"] = _cheapest(policy, workload, setting)
        except (Failed, TookTooLong) as error:
            yield {**row, "ended": str(error)}
            continue
        row |= _figures(run, setting, added)
        if policy.peer.cuts != "never":
            fitting = fittings[policy.peer.cuts == "summarizes"]
            fit = fitting.nearest(mean_of(run))
            ours = fitting.run(fit)
            row["contextkit"] = {**asdict(fit), **_figures(ours, setting, added)}
            row["ratio"] = cost_of(ours) / cost_of(run)
        yield row


def _cheapest(policy: PeerPolicy, workload: Workload, setting: Setting) -> tuple[Sums, str]:
    """With the explicit cache points that are cheapest for it."""
    if setting.cache != "explicit":
        return charged(policy, workload, setting), ""
    found = {}
    for points in POINTS:
        policy.points = points
        found[points] = charged(policy, workload, setting)
    best = min(found, key=lambda one: cost_of(found[one]))
    return found[best], best


def added_each(workload: Workload, setting: Setting) -> float:
    """Tokens that a request adds on average: all that is ever sent, by the number of requests."""
    tokens = requests = 0
    for transcript in transcripts(workload):
        points = points_of(transcript)
        tokens += sum(map(setting.counter.message, transcript.messages[: points[-1]]))
        tokens += setting.counter.fixed(transcript.tools)
        requests += len(points)
    return tokens / requests


def _figures(run: Sums, setting: Setting, added: float) -> dict[str, Any]:
    rules = setting.rules
    read, write = (rules.read or 0.0, rules.write or 0.0) if rules else (1.0, 1.0)
    least = read * mean_of(run) + (write - read) * added
    return {
        "requests": run.requests,
        "requests cut": run.cuts,
        "mean tokens": mean_of(run),
        "largest": run.peak,
        "over": run.over,
        "read share": run.read / run.tokens,
        "cost": cost_of(run),
        "of it summaries": run.fee / run.requests,
        "summaries": run.calls,
        "least": least,
        "by the least": cost_of(run) / least,
    }
