"""What schedules cost by the least that is possible, on the growth of conversations.

    python -m benchmarks.schedule [--json] [--quick] [--data FOLDER]

A conversation is the tokens that each of its requests adds. A policy says at which requests the
history is cut to its newest whole turns within a target K; uncut, no history is longer than B.
Tokens in the cache cost r, all others w. The least possible is found by a dynamic programme over
the times of the cuts. `WhenItPays` is the class itself, asked at each request. Without a data
folder, on random sequences and a sample written for the purpose alone.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import contextkit as ck
from benchmarks.measuring import FOLDER, WRITTEN, below, command, data_folder, made
from benchmarks.plots import bars
from benchmarks.workloads import (
    Messages,
    dialogues,
    joined,
    trajectories,
    written_agent,
    written_dialogue,
)
from contextkit.analysis.replaying.optimum import START, cheapest_cuts
from contextkit.figures import Figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 11
RANDOM = 1_000
"""Random sequences; the short form has a tenth of them."""

PRICES = ((0.1, 1.25), (0.2, 1.0), (0.02, 1.0), (0.5, 1.0), (0.25, 1.0))
TTL = 300.0
SIZES = ((1_000, 4_000), (2_000, 8_000), (4_000, 8_000), (4_000, 32_000), (16_000, 32_000))
"""Targets and limits of the history for real conversations."""

STEP = 1.6
"""How many times the price a request costs that is longer than half as much again as the target."""


class Condition(NamedTuple):
    """What holds besides prices.

    Attributes:
        waits: whether there are idle gaps, so that the cache expires.
        fee: price of a summary by K; each leaves a tenth of K.
        step: whether the price steps up with the length of the request.
    """

    waits: bool = False
    fee: float = 0.0
    step: bool = False


CONDITIONS = {
    "warm": Condition(),
    "idle gaps": Condition(waits=True),
    "fee": Condition(fee=0.5),
    "fee, idle gaps": Condition(waits=True, fee=0.5),
    "fee of 2 K": Condition(fee=2.0),
    "price step": Condition(step=True),
}


@dataclass(frozen=True)
class Case:
    """One conversation under given prices.

    Attributes:
        growth: tokens that each request adds.
        target: what a cut comes down to (K).
        limit: the longest history that may be sent uncut (B).
        read, write: prices (r, w).
        idle: seconds before each request; empty where nobody keeps a clock.
        fee: price of the summarizer's calls for one cut (F).
        summary: tokens of a summary, in front of the history from the first cut on (s).
        step: a history of more tokens costs `STEP` times as much; None where the price is one.
    """

    growth: tuple[int, ...]
    target: int
    limit: float
    read: float
    write: float
    idle: tuple[float, ...] = ()
    fee: float = 0.0
    summary: int = 0
    step: int | None = None
    sums: list[int] = field(init=False, repr=False)
    starts: list[int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        sums = [0, *accumulate(self.growth)]
        # The first of the newest turns within the target; the newest one stays in any case.
        starts = [
            min(t, bisect_left(sums, sums[t + 1] - self.target)) for t in range(len(self.growth))
        ]
        object.__setattr__(self, "sums", sums)
        object.__setattr__(self, "starts", starts)

    def cold(self, t: int) -> bool:
        """Whether the cache has expired before a request."""
        return bool(self.idle) and self.idle[t] > TTL

    def times(self, tokens: int) -> float:
        """How many times the lowest price a history of so many tokens has."""
        return STEP if self.step is not None and tokens > self.step else 1.0


Policy = Callable[[Case], "Cutter"]
Cutter = Callable[[int, int, int, int], bool]
"""Whether to cut: at which request, tokens held, tokens a cut keeps of the turns, requests held."""


def cost(case: Case, policy: Policy) -> float:
    """What the history of all requests costs under a policy."""
    cutter = policy(case)
    start = summary = 0
    total = 0.0
    for t, newest in enumerate(case.growth):
        held = summary + case.sums[t + 1] - case.sums[start]
        keep = case.sums[t + 1] - case.sums[case.starts[t]]
        if held > case.limit or (
            held > case.target and cutter(t, held, min(keep, held), t - start + 1)
        ):
            start, summary = case.starts[t], case.summary
            left = keep + summary
            total += case.times(left) * case.write * left + case.fee
        else:
            before = case.write if case.cold(t) else case.read
            total += case.times(held) * (before * (held - newest) + case.write * newest)
    return total


def when_it_pays(case: Case) -> Cutter:
    """The library's own rule."""
    tiers = () if case.step is None else ((case.step, STEP),)
    due = ck.WhenItPays(
        case.read, case.write, fee=case.fee, ttl=TTL, clock=lambda: 0.0, output=4.0, tiers=tiers
    ).due

    def cutter(t: int, held: int, keep: int, requests: int) -> bool:
        idle = case.idle[t] if case.idle else None
        return due(Figures(held, keep, case.target, case.growth[t], requests, idle, case.summary))

    return cutter


def at_limit(_case: Case) -> Cutter:
    """Only where the limit forces it."""
    return lambda _t, _held, _keep, _requests: False


def sliding_window(_case: Case) -> Cutter:
    """Whatever does not fit the target goes, at each request."""
    return lambda _t, _held, _keep, _requests: True


def ski_rental(case: Case) -> Cutter:
    """Once carrying the excess has cost as much as a cut; an expired cache is a time to cut."""
    carried = 0.0
    price = (case.write - case.read) * (case.target + case.summary) + case.fee

    def cutter(t: int, held: int, _keep: int, requests: int) -> bool:
        nonlocal carried
        if requests == 1:
            carried = 0.0
        excess = held - case.target
        carried += case.read * excess
        if carried >= price or (case.cold(t) and case.fee <= case.write * excess):
            carried = 0.0
            return True
        return False

    return cutter


POLICIES: dict[str, Policy] = {
    "WhenItPays": when_it_pays,
    "plain ski rental": ski_rental,
    "at the limit": at_limit,
    "sliding window": sliding_window,
}


def optimum(case: Case) -> float:
    """The least that any choice of cuts can cost: a dynamic programme over their times."""
    growth = np.asarray(case.growth, dtype=float)
    sums = np.asarray(case.sums, dtype=float)
    requests = len(growth)
    cold = np.array([case.cold(t) for t in range(requests)])
    before = np.where(cold, case.write, case.read)
    kept = sums[1:] - sums[case.starts] + case.summary
    cuts = _times(case, kept) * case.write * kept + case.fee

    def behind(cut: int) -> Any:
        start, summary = (0, 0) if cut == START else (case.starts[cut], case.summary)
        # The requests behind the cut that may be sent uncut, as far as the limit allows.
        end = bisect_right(case.sums, case.limit - summary + case.sums[start]) - 1
        there = slice(cut + 1, min(max(end, cut + 1), requests))
        held = summary - sums[start] + sums[1:][there]
        price = before[there] * (held - growth[there]) + case.write * growth[there]
        return _times(case, held) * price

    return cheapest_cuts(requests, behind, lambda cut, count: cuts[cut + 1 : cut + 1 + count])[0]


def _times(case: Case, tokens: Any) -> Any:
    """`Case.times` of many lengths."""
    return 1.0 if case.step is None else np.where(tokens > case.step, STEP, 1.0)


# -- what is measured on -----------------------------------------------------------------------


def growth_of(messages: Messages, count: Callable[[dict[str, Any]], int]) -> tuple[int, ...]:
    """Tokens that each request adds: one is made before each assistant message."""
    growth: list[int] = []
    added = 0
    body = [message for message in messages if message["role"] != "system"]
    for message in body:
        if message["role"] == "assistant":
            growth.append(added)
            added = 0
        added += count(message)
    return tuple(tokens for tokens in growth if tokens)


def sequences(folder: Path | None) -> dict[str, list[tuple[int, ...]]]:
    """The growth of real conversations, or of those written for the purpose."""
    count = ck.ContextBuilder("qwen-plus").counter.message
    named: dict[str, list[Messages]]
    if folder is None:
        named = {
            "written agent": [written_agent(60, SEED + n) for n in range(10)],
            "written dialogue": [written_dialogue(200, SEED + n) for n in range(5)],
        }
    else:
        tau = trajectories(folder, "tau_airline_dev.jsonl")
        named = {
            "tau, single": tau,
            "tau, 20 joined": [joined(tau[n : n + 20]) for n in range(0, len(tau), 20)],
            "SWE-agent": trajectories(folder, "swe_agent_dev.jsonl"),
            "dialogues": dialogues(folder),
        }
    return {
        name: [growth_of(messages, count) for messages in conversations]
        for name, conversations in named.items()
        if conversations
    }


def random_growth(draw: random.Random) -> tuple[str, tuple[int, ...]]:
    """A random sequence, and of what kind it is."""
    kind = draw.choice(("constant", "log-normal", "bursty", "regimes"))
    requests = draw.choice((40, 120, 300))
    mean = draw.choice((100, 300, 1_000))
    sigma = draw.choice((0.5, 1.0, 1.5))
    level = 1.0
    growth = []
    for _ in range(requests):
        if kind == "constant":
            share = 1.0
        elif kind == "log-normal":
            share = draw.lognormvariate(-(sigma**2) / 2, sigma)
        elif kind == "bursty":
            share = 20.0 if draw.random() < 0.05 else 0.3
        else:
            if draw.random() < 0.05:
                level = draw.choice((0.2, 1.0, 3.0))
            share = level * draw.uniform(0.5, 1.5)
        growth.append(max(1, round(mean * share)))
    return f"random, {kind}", tuple(growth)


def bases(folder: Path | None, count: int) -> Iterator[tuple[str, Case]]:
    """What is measured on, without prices: workload and case.

    Conversations that hardly outgrow the target are left out: every policy costs the same there.
    """
    for name, grown in sequences(folder).items():
        for growth in grown:
            for target, limit in SIZES:
                if sum(growth) >= 1.25 * target:
                    yield name, Case(growth, target, limit, 0.0, 0.0)
    draw = random.Random(SEED)
    made = 0
    while made < count:
        name, growth = random_growth(draw)
        target = draw.choice((1_000, 2_000, 4_000, 10_000, 20_000))
        limit = target * draw.choice((2, 4, 10))
        if sum(growth) >= 1.25 * target:
            made += 1
            yield name, Case(growth, target, limit, 0.0, 0.0)


def ratios(
    folder: Path | None, count: int, prices: Sequence[tuple[float, float]] = PRICES
) -> dict[str, dict[str, dict[str, list[float]]]]:
    """By condition, workload and policy: what it costs, by the least possible."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {name: {} for name in CONDITIONS}
    draw = random.Random(SEED + 1)
    for workload, base in bases(folder, count):
        median = math.exp(draw.uniform(math.log(5), math.log(150)))
        waits = tuple(median * draw.lognormvariate(0, 1.5) for _ in base.growth)
        for read, write in prices:
            for condition, (waiting, fee, step) in CONDITIONS.items():
                case = replace(
                    base,
                    read=read,
                    write=write,
                    idle=waits if waiting else (),
                    fee=fee * base.target,
                    summary=base.target // 10 if fee else 0,
                    step=3 * base.target // 2 if step else None,
                )
                least = optimum(case)
                row = found[condition].setdefault(workload, {name: [] for name in POLICIES})
                for name, policy in POLICIES.items():
                    if not (fee and policy is sliding_window):  # nobody summarizes each time
                        row[name].append(cost(case, policy) / least)
    return found


def summary_of(values: Sequence[float]) -> dict[str, float]:
    """Mean, 99th percentile and worst of some ratios; nothing for none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    return {
        "cases": len(ordered),
        "mean": statistics.fmean(ordered),
        "p99": ordered[math.ceil(0.99 * len(ordered)) - 1],
        "worst": ordered[-1],
    }


def measure(folder: Path | None, count: int) -> dict[str, Any]:
    """All figures, as one JSON value."""
    found = ratios(folder, count)
    conditions = {}
    for condition, workloads in found.items():
        rows = {
            workload: {policy: summary_of(values) for policy, values in row.items()}
            for workload, row in workloads.items()
        }
        rows["all cases"] = {
            policy: summary_of([v for row in workloads.values() for v in row[policy]])
            for policy in POLICIES
        }
        conditions[condition] = rows
    data = f"{FOLDER if folder else WRITTEN} and random sequences"
    return {
        "benchmark": "schedule",
        "made": made(SEED, "numpy", data=data, quick=count < RANDOM),
        "random sequences": count,
        "prices": [list(pair) for pair in PRICES],
        "targets and limits": [list(pair) for pair in SIZES],
        "TTL": TTL,
        "unit": "cost by the least possible",
        "conditions": conditions,
    }


def table(result: dict[str, Any], *, every: bool = False) -> str:
    """The figures as a Markdown table: mean, 99th percentile, worst."""
    names = list(POLICIES)
    lines = [
        "| | cases | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for condition, rows in result["conditions"].items():
        for workload, row in rows.items():
            if not every and workload != "all cases" and condition != "warm":
                continue
            cells = [
                f"{row[name]['mean']:.3f} / {row[name]['p99']:.2f} / {row[name]['worst']:.2f}"
                if row[name]
                else "-"
                for name in names
            ]
            cases = row[names[0]]["cases"]
            lines.append(f"| {condition}: {workload} | {cases:,} | " + " | ".join(cells) + " |")
    pairs = ", ".join(f"{read:g}/{write:g}" for read, write in result["prices"])
    what = (
        "Mean / 99th percentile / worst of cost by the least possible. Prices (read/write): "
        f"{pairs}. TTL {result['TTL']:g} s. A fee is half the target, or twice, and its summary "
        f"takes a tenth of it. Price step: {STEP:g} times beyond one and a half targets."
    )
    what += f" Random sequences: {result['random sequences']:,}."
    lines += ["", what, below(result)]
    return "\n".join(lines)


def plots(result: dict[str, Any]) -> dict[str, Figure]:
    """What each policy costs by the least possible, over all cases of a condition."""
    panels = {
        condition: {
            name: (row["mean"], row["p99"]) for name, row in rows["all cases"].items() if row
        }
        for condition, rows in result["conditions"].items()
    }
    title = "What schedules cost by the least possible: mean, and up to the 99th percentile"
    return {"schedule": bars(title, panels, x="times the least possible cost", mark=1.0)}


def main() -> int:
    """Measure and print."""

    def run(given: Any) -> dict[str, Any]:
        folder = None if given.quick else data_folder(given.data)
        return measure(folder, RANDOM // 10 if given.quick else RANDOM)

    return command(
        __doc__,
        run,
        lambda result: table(result, every=True),
        plots=plots,
        data=True,
        quick="100 random sequences, no data",
    )


if __name__ == "__main__":
    sys.exit(main())
