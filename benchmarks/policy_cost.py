"""What the input of conversations costs, by that of a sliding window of the same mean length.

    python -m benchmarks.policy_cost [--json] [--quick] [--data FOLDER]

Each conversation is built request by request by a `ContextBuilder` as a user would make one: a
limit, a target of half of it or a quarter, the schedule that comes with that, and the cache asked
for. A window keeps system prompt and tools, and the newest messages within K tokens, where K is
chosen so that its requests have the same mean tokens; it drops whole turns, or else single messages
(a call together with its results), but never the newest turn. All are sent to a simulator of the
provider's cache, and charged by the profile. A window that asks for an explicit cache has a point
behind the system prompt and one at its end, and writes at a premium what it hardly ever reads; so
it stands beside with what is cheapest for it, too: both points, the first alone, no points. The
least that requests of that mean length can cost is what they cost if each read all of itself but
what it adds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import contextkit as ck
from benchmarks.measuring import FOLDER, WRITTEN, below, command, data_folder, made
from benchmarks.plots import bars
from benchmarks.workloads import Workload, long_sessions, outgrown, reaching
from contextkit.analysis.policies import Made, Setting
from contextkit.analysis.replaying.baselines import window_start
from contextkit.analysis.replaying.charged import Moment, Provider
from contextkit.caching.blocks import Block, blocks_of
from contextkit.figures import figures_at
from contextkit.tokens import counter_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = "qwen-plus"
CACHES = ("explicit", "implicit")
SEED = 21
WINDOWS = {"window of messages": ("user", "assistant"), "window of turns": ("user",)}
APART = 20.0
"""Seconds between two requests: the cache stays warm."""


class Counted:
    """The model's own vocabulary, which counts a text once."""

    def __init__(self) -> None:
        counter = counter_for(ck.profile_for(MODEL), None).counter
        self.name, self.error = counter.name, counter.error
        self.count: Callable[[str], int] = lru_cache(maxsize=None)(counter.count)


@dataclass
class Run:
    """Requests of some sessions: how long they are, how often the prefix was cut, what they cost.

    Attributes:
        tokens: of each request.
        read: tokens read from the cache.
        cost: of the input, in uncached input tokens.
        cuts: requests whose history was cut.
        added: tokens that a request added, of all requests.
    """

    tokens: list[int] = field(default_factory=list)
    read: int = 0
    cost: float = 0.0
    cuts: int = 0
    added: int = 0

    @property
    def mean(self) -> float:
        """Mean tokens of a request."""
        return sum(self.tokens) / len(self.tokens)

    def charge(self, requests: Iterable[tuple[Block, ...]], cache: str) -> None:
        """Send the requests of a session to the provider's cache."""
        profile = ck.profile_for(MODEL)
        provider = Provider(Setting(profile, cache, counter_for(profile), 0, 0))
        for number, blocks in enumerate(requests):
            charge = provider.charge(Made((), blocks, 0), Moment(APART * number, 2.0))
            if charge.units is None:
                raise SystemExit(f"the prices of {MODEL} are not known")
            self.tokens.append(charge.tokens)
            self.read += charge.read
            self.cost += charge.units


def built(
    workload: Workload, counter: Counted, cache: str, budget: ck.Budget, schedule: Any = None
) -> Run:
    """The requests that contextkit builds."""
    run = Run()
    for messages in workload.sessions:
        builder = ck.ContextBuilder(
            MODEL,
            budget=budget,
            tools=workload.tools,
            cache=cache,
            schedule=schedule,
            counter=counter,
        )
        history = ck.History()
        requests = []
        for message in messages:
            if message["role"] == "assistant" and len(history):
                context = builder.build(history)
                requests.append(context.blocks)
                run.added += figures_at(context.view).newest
                run.cuts += any(edit.kind == "drop" for edit in context.edits)
            history.append(message)
        run.charge(requests, cache)
    return run


class Windows:
    """The requests of a sliding window over the sessions of a workload.

    Args:
        workload: what is held.
        counter: counts the tokens.
        starts: the roles of the messages that a window may begin with.
    """

    def __init__(self, workload: Workload, counter: Counted, starts: tuple[str, ...]) -> None:
        self.workload, self.starts = workload, starts
        counting = counter_for(ck.profile_for(MODEL), counter)
        # A block for each message, behind one for the tools where there are any.
        self.blocks = [
            blocks_of({"messages": messages, "tools": workload.tools}, counting)
            for messages in workload.sessions
        ]
        self.head = bool(workload.tools)
        self.sums = [
            [0, *accumulate(block.tokens for block in blocks[self.head : -1])]
            for blocks in self.blocks
        ]

    def cuts(self, session: int, most: int) -> list[tuple[int, int]]:
        """For each request: where the window begins, and where the request ends."""
        messages, sums = self.workload.sessions[session], self.sums[session]
        places = [n for n, message in enumerate(messages) if message["role"] in self.starts]
        found = []
        newest = 0
        for end, message in enumerate(messages):
            if message["role"] == "user":
                newest = end
            elif message["role"] == "assistant" and end:
                found.append((window_start(sums, places, newest, end, most), end))
        return found

    def mean(self, most: int) -> float:
        """Mean tokens of the requests of a window of so many tokens."""
        lengths = []
        for session, sums in enumerate(self.sums):
            blocks = self.blocks[session]
            around = (
                sum(block.tokens for block in blocks[: self._kept(session)]) + blocks[-1].tokens
            )
            lengths += [around + sums[end] - sums[start] for start, end in self.cuts(session, most)]
        return sum(lengths) / len(lengths)

    def _kept(self, session: int) -> int:
        """How many blocks stand before every window: tools and system prompt."""
        return self.head + (self.workload.sessions[session][0]["role"] == "system")

    def fitting(self, mean: float) -> int:
        """The window whose requests have the nearest mean length."""
        low, high = 1, max(sums[-1] for sums in self.sums)
        while low < high:
            middle = (low + high) // 2
            if self.mean(middle) < mean:
                low = middle + 1
            else:
                high = middle
        return min((low - 1, low), key=lambda most: abs(self.mean(most) - mean))

    def run(self, most: int, cache: str, *, newest: bool = True) -> Run:
        """What the requests of a window cost.

        Args:
            most: tokens of the window.
            cache: asked for; an explicit one by a point behind the system prompt.
            newest: whether there is a point at the end of the request, too.
        """
        run = Run()
        for session, blocks in enumerate(self.blocks):
            head = [
                replace(block, point=number == self._kept(session) - 1)
                for number, block in enumerate(blocks[: self._kept(session)])
            ]
            cuts = self.cuts(session, most)
            requests = []
            for start, end in cuts:
                window = blocks[start + self.head : end + self.head]
                last = replace(window[-1], point=newest)
                requests.append((*head, *window[:-1], last, blocks[-1]))
            run.charge(requests, cache)
            run.cuts += sum(a[0] != b[0] for a, b in pairwise(cuts))
        return run


def row(workload: Workload, counter: Counted, limit: int, share: int, cache: str) -> dict[str, Any]:
    """Contextkit and the window, on one workload under one limit and cache."""
    budget = ck.Budget(limit, target=limit // share)
    ours = built(workload, counter, cache, budget)
    at_limit = built(workload, counter, cache, budget, ck.AtLimit())
    requests = len(ours.tokens)
    rules = ck.profile_for(MODEL).cache(cache)
    read, write = (rules.read or 0.0, rules.write or 0.0) if rules else (1.0, 1.0)
    least = read * ours.mean + (write - read) * ours.added / requests
    found: dict[str, Any] = {
        "workload": workload.name,
        "limit": limit,
        "target": budget.target,
        "cache": cache,
        "requests": requests,
        "contextkit": _figures(ours),
        "least cost a request": least,
        "at the limit": _figures(at_limit),
    }
    for name, starts in WINDOWS.items():
        windows = Windows(workload, counter, starts)
        most = windows.fitting(ours.mean)
        run = windows.run(most, cache)
        others = {
            "explicit": windows.run(most, "explicit"),
            "explicit, system prompt alone": windows.run(most, "explicit", newest=False),
            "implicit": windows.run(most, "implicit"),
        }
        cheapest = min(others, key=lambda one: others[one].cost)
        found[name] = {
            "window": most,
            **_figures(run),
            "ratio": ours.cost / run.cost,
            "least ratio": least * requests / run.cost,
            "cheapest": cheapest,
            "ratio to it": ours.cost / others[cheapest].cost,
        }
    return found


def _figures(run: Run) -> dict[str, float]:
    requests = len(run.tokens)
    return {
        "mean tokens": run.mean,
        "cuts": run.cuts,
        "read share": run.read / sum(run.tokens),
        "cost a request": run.cost / requests,
    }


def measure(
    folder: Path | None, limits: Sequence[int], shares: Sequence[int], *, quick: bool
) -> dict[str, Any]:
    """All figures, as one JSON value."""
    counter = Counted()
    rows, sessions = [], []
    for limit in limits:
        for workload in long_sessions(folder, limit, quick=quick):
            reached = reaching(workload, limit)
            sessions.append({"workload": workload.name, "limit": limit, **reached})
            for share in shares:
                rows += [row(workload, counter, limit, share, cache) for cache in CACHES]
    profile = ck.profile_for(MODEL)
    prices = {
        cache: [rules.read, rules.write] for cache in CACHES if (rules := profile.cache(cache))
    }
    return {
        "benchmark": "policy_cost",
        "made": made(SEED, data=FOLDER if folder else WRITTEN, quick=quick),
        "model": MODEL,
        "counter": counter.name,
        "prices, read and write": prices,
        "unit": "uncached input tokens",
        "sessions": sessions,
        "rows": rows,
    }


def table(result: dict[str, Any], *, every: bool = False) -> str:
    """The figures as a Markdown table: the targets of half the limit, or every one."""
    heads = ["workload", "limit, target", "cache", "requests, cuts", "mean tokens", "read", "cost"]
    heads += ["at the limit", *(f"{name}: cost, ratio, least" for name in WINDOWS)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for one in result["rows"]:
        if not every and 2 * one["target"] != one["limit"]:
            continue
        ours = one["contextkit"]
        cells = [
            one["workload"],
            f"{one['limit']:,}, {one['target']:,}",
            one["cache"],
            f"{one['requests']:,}, {ours['cuts']}",
            f"{ours['mean tokens']:,.0f}",
            f"{100 * ours['read share']:.0f} %",
            f"{ours['cost a request']:,.0f}",
            f"{one['at the limit']['cost a request']:,.0f}",
        ]
        for name in WINDOWS:
            window = one[name]
            ratio = f"**{window['ratio']:.2f}** ({window['ratio to it']:.2f})"
            cells.append(f"{window['cost a request']:,.0f}, {ratio}, {window['least ratio']:.2f}")
        lines.append("| " + " | ".join(cells) + " |")
    what = (
        "Cost of a request in uncached input tokens. Ratio: cost by that of the window; in "
        "brackets, by that of the window with the cache and points that are cheapest for it. "
        "Least: the ratio if every request read all of itself but what it adds."
    )
    what += outgrown(result.get("sessions", ()))
    return "\n".join([*lines, "", what, _measured(result)])


def summary(result: dict[str, Any]) -> str:
    """The ratios alone: those by the window that drops single messages, the usual one."""
    heads = ["workload", "limit", *(f"{cache} cache" for cache in CACHES)]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    ratios: dict[tuple[str, int], dict[str, float]] = {}
    for one in result["rows"]:
        if 2 * one["target"] == one["limit"]:
            by_cache = ratios.setdefault((one["workload"], one["limit"]), {})
            by_cache[one["cache"]] = one["window of messages"]["ratio"]
    for (workload, limit), by_cache in ratios.items():
        cells = [workload, f"{limit:,}", *(f"{by_cache[cache]:.2f}" for cache in CACHES)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", _measured(result)])


def _measured(result: dict[str, Any]) -> str:
    """What was measured, with what, and when."""
    prices = ", ".join(
        f"{cache} {read:g}/{write:g}"
        for cache, (read, write) in result["prices, read and write"].items()
    )
    return (
        f"{result['model']} (read/write: {prices}), counted by {result['counter']}. {below(result)}"
    )


def plots(result: dict[str, Any]) -> dict[str, Figure]:
    """Cost by that of each kind of window, in a panel for each cache."""
    panels: dict[str, dict[str, tuple[float, float | None]]] = {}
    for one in result["rows"]:
        if 2 * one["target"] == one["limit"]:
            for name in WINDOWS:
                panel = panels.setdefault(f"{one['cache']} cache, {name}", {})
                panel[f"{one['workload']}, {one['limit']:,}"] = (one[name]["ratio"], None)
    title = "Cost of the input, by that of a window whose requests have the same mean length"
    return {"policy-cost": bars(title, panels, x="cost by that of the window", mark=1.0)}


def main() -> int:
    """Measure and print."""

    def run(given: Any) -> dict[str, Any]:
        folder = None if given.quick else data_folder(given.data)
        limits, shares = ((8_000,), (2,)) if given.quick else ((8_000, 32_000), (2, 4))
        return measure(folder, limits, shares, quick=given.quick)

    return command(
        __doc__,
        run,
        lambda result: table(result, every=True),
        plots=plots,
        data=True,
        quick="one limit, written sessions",
    )


if __name__ == "__main__":
    sys.exit(main())
