"""What is kept, and at what cost: targets and schedules, windows beside them, several providers.

    python -m benchmarks.frontier [--json] [--quick] [--data FOLDER] [--png FOLDER]

Long sessions are held again, request by request: contextkit drops old turns, at the limit or when
it pays, down to several targets; a sliding window keeps whole turns, or any message, within several
sizes. A simulator of each provider's cache serves the requests, and its prices charge them, as
`contextkit replay` does. What is compared is cost at the same mean length of a request: that of the
windows is taken between the two whose requests are a little shorter and a little longer.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measuring import (
    FOLDER,
    WRITTEN,
    Outcome,
    below,
    command,
    data_folder,
    made,
    markdown,
)
from benchmarks.workloads import Workload, long_sessions, outgrown, reaching
from contextkit.analysis.replay import GAP
from contextkit.analysis.replaying.charged import Sums, charges, moments_of
from contextkit.analysis.replaying.settings import Named, policies_of, settings_of
from contextkit.analysis.results import Frontier, Point
from contextkit.analysis.showing.drawing import draw
from contextkit.analysis.transcripts import Transcript

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SEED = 21
PROFILES = (
    "qwen-plus:explicit",
    "qwen-plus:implicit",
    "gpt-5",
    "claude-sonnet-5",
    "deepseek-v4-flash",
)
LIMITS = (8_000, 32_000)
TARGETS = (0.75, 0.5, 0.25, 0.125)
"""Targets, as parts of the limit."""

WINDOWS = (1.0, 0.75, 0.5, 0.375, 0.25)
"""Tokens of a window, system prompt and tools included, as parts of the limit."""

SCHEDULES = ("when-it-pays", "at-limit")
KINDS = {"window": "window of messages", "window-turns": "window of turns"}


def rows_of(
    workload: Workload,
    profile: str,
    limit: int,
    targets: Sequence[float] = TARGETS,
    windows: Sequence[float] = WINDOWS,
) -> list[dict[str, Any]]:
    """Every policy on one workload, for one provider under one limit."""
    rows = []
    for target in targets:
        [named] = settings_of([profile], limit, int(limit * target))
        rows += [
            {
                "target": named.setting.target,
                "window": None,
                **figures(workload, named, f"drop@{schedule}"),
            }
            for schedule in SCHEDULES
        ]
    [named] = settings_of([profile], limit, None)
    rows += [
        {"target": None, "window": most, **figures(workload, named, f"{kind}:{most}")}
        for kind in KINDS
        for most in (int(limit * part) for part in windows)
    ]
    return [
        {"workload": workload.name, "profile": named.name, "limit": limit, **row} for row in rows
    ]


def figures(workload: Workload, named: Named, policy: str) -> dict[str, Any]:
    """What the sessions cost and keep under one policy."""
    [chosen] = policies_of([policy])
    sums = Sums()
    for number, messages in enumerate(workload.sessions):
        transcript = Transcript(f"{workload.name} {number}", messages, workload.tools)
        moments = moments_of(transcript, GAP)
        for charge in charges(chosen, transcript, named.setting, moments):
            sums.add(charge, named.setting.limit)
    if sums.units is None:
        raise SystemExit(f"the prices of {named.name} are not known")
    return {
        "policy": policy.partition(":")[0],
        "mean tokens": sums.tokens / sums.requests,
        "kept": sums.shares / sums.requests,
        "read": sums.read / sums.tokens,
        "cost": sums.units / sums.requests,
        "cuts": sums.cuts,
        "over": sums.over,
        "requests": sums.requests,
    }


def at_length(points: Sequence[tuple[float, float]], tokens: float) -> float | None:
    """The cost at a mean length, between the two nearest points; None outside of them."""
    for (low, one), (high, other) in pairwise(sorted(points)):
        if low <= tokens <= high:
            return one if high == low else one + (other - one) * (tokens - low) / (high - low)
    return None


def compared(rows: list[dict[str, Any]]) -> None:
    """Put beside each of ours what the windows of each kind cost at the same mean length."""
    key = ("workload", "profile", "limit")
    for row in rows:
        same = [other for other in rows if all(other[name] == row[name] for name in key)]
        for kind, name in KINDS.items():
            points = [(o["mean tokens"], o["cost"]) for o in same if o["policy"] == kind]
            there = at_length(points, row["mean tokens"]) if row["target"] else None
            row[f"by {name}"] = None if there is None else row["cost"] / there


def measure(folder: Path | None, *, quick: bool) -> Outcome:
    """All figures, as JSON data."""
    rows, sessions = [], []
    limits = LIMITS[:1] if quick else LIMITS
    profiles = PROFILES[:2] if quick else PROFILES
    for limit in limits:
        for workload in long_sessions(folder, limit, quick=quick):
            for profile in profiles:
                sys.stderr.write(f"\r{workload.name}, {limit:,}, {profile}".ljust(70))
                some = ((0.5, 0.25), (1.0, 0.5, 0.25)) if quick else (TARGETS, WINDOWS)
                rows += rows_of(workload, profile, limit, *some)
            reached = reaching(workload, limit)
            sessions.append({"workload": workload.name, "limit": limit, **reached})
    sys.stderr.write("\r" + " " * 70 + "\r")
    compared(rows)
    return {
        "benchmark": "frontier",
        "made": made(SEED, "tiktoken", data=FOLDER if folder else WRITTEN, quick=quick),
        "unit": "cost of a request in uncached input tokens",
        "seconds between requests": GAP,
        "sessions": sessions,
        "rows": rows,
    }


def table(result: Outcome, *, every: bool = True) -> str:
    """The figures as a Markdown table.

    Args:
        result: of `measure`.
        every: all policies, targets and windows; else cuts when they pay to half the limit alone.
    """
    heads = ["workload", "provider", "limit", "policy", "target, or window", "mean tokens"]
    heads += ["kept", "read", "cost", "cuts", *(f"by {name}" for name in KINDS.values())]
    rows = []
    for row in result["rows"]:
        half = row["target"] == row["limit"] // 2 and row["policy"].endswith("when-it-pays")
        if not every and not half:
            continue
        ratios = [row[f"by {name}"] for name in KINDS.values()]
        rows.append(
            [
                row["workload"],
                row["profile"],
                f"{row['limit']:,}",
                row["policy"],
                f"{row['target'] or row['window']:,}",
                f"{row['mean tokens']:,.0f}",
                f"{100 * row['kept']:.0f} %",
                f"{100 * row['read']:.0f} %",
                f"{row['cost']:,.0f}",
                f"{row['cuts']:,}",
                *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios),
            ]
        )
    what = (
        "Cost of a request in uncached input tokens; by a window: at the same mean tokens, between "
        "two windows; - where no two windows are so long."
    )
    return "\n".join(
        [markdown(heads, rows), "", what + outgrown(result["sessions"]), below(result)]
    )


def short(result: Outcome) -> str:
    """Cuts when they pay, to half the limit, alone."""
    return table(result, every=False)


def frontiers(result: Outcome) -> list[Frontier]:
    """A frontier for each workload and limit, with a panel for each provider.

    They are named by limit and number of the workload, whatever it is measured on.
    """
    found: dict[tuple[str, int], dict[str, list[Point]]] = {}
    for row in result["rows"]:
        panels = found.setdefault((row["workload"], row["limit"]), {})
        kind = row["policy"].rpartition("@")[2]
        name = f"{kind} {row['target'] or row['window']:,}"
        point = Point(name, row["mean tokens"], row["cost"])
        panels.setdefault(row["profile"], []).append(point)
    limits = [limit for _, limit in found]
    return [
        Frontier(
            f"frontier-{limit}-{limits[: place + 1].count(limit)}",
            f"Kept context and its cost: {workload}, limit {limit:,}",
            "mean tokens of a request",
            "cost of a request (price units)",
            panels,
            x_better="more",
            y_better="less",
        )
        for place, ((workload, limit), panels) in enumerate(found.items())
    ]


def plots(result: Outcome) -> dict[str, Figure]:
    """The frontiers, drawn."""
    return {frontier.name: draw(frontier) for frontier in frontiers(result)}


def main() -> int:
    """Measure and print."""
    return command(
        __doc__,
        lambda given: measure(None if given.quick else data_folder(given.data), quick=given.quick),
        table,
        plots=plots,
        data=True,
        quick="two providers, one limit, one written session of each kind",
    )


if __name__ == "__main__":
    sys.exit(main())
