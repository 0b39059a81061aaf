"""Build time per turn beside the floor "encode the new message and slice", in one run.

    python -m benchmarks.build_time [--json] [--quick]

Kept log: append one message of about 60 tokens and build, turn after turn; the floor does the same
turns in between, so that both see the same machine. Plain list: build from a re-parsed list of the
whole conversation, beside the `json.loads` that parsed it. First sight: build from a list of which
nothing is known. Medians, and means, in which cuts and garbage collection count.
"""

from __future__ import annotations

import gc
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import contextkit as ck
from benchmarks.measuring import below, command, made, markdown
from benchmarks.plots import curves
from benchmarks.workloads import written_agent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MODEL = "gpt-4o"
SEED = 7
LENGTHS = (10, 100, 1_000, 5_000, 20_000)
LIMITS = (8_000, 128_000)
WORDS = ("order", "refund", "Tuesday", "invoice", "please", "tomorrow", "the", "a", "of", "with")


def conversation(length: int, seed: int) -> list[dict[str, Any]]:
    """A chat of `length` messages of about 60 tokens, the last one the user's."""
    draw = random.Random(seed)

    def text() -> str:
        return " ".join(draw.choice(WORDS) + str(draw.randrange(10)) for _ in range(27))

    messages = [{"role": "system", "content": "You answer questions about orders."}]
    roles = ("user", "assistant") if length % 2 == 0 else ("assistant", "user")
    messages += [{"role": roles[n % 2], "content": text()} for n in range(length - 1)]
    return messages


def timed(action: Callable[[], Any]) -> float:
    """Microseconds that an action takes."""
    start = time.perf_counter_ns()
    action()
    return (time.perf_counter_ns() - start) / 1_000


def kept_log(length: int, limit: int, turns: int) -> dict[str, float]:
    """Append and build, per turn, behind a history of `length` messages; and the floor."""
    messages = conversation(length, SEED)
    questions = [m for m in conversation(2 * turns + 2, SEED + 1) if m["role"] == "user"]
    builder = ck.ContextBuilder(MODEL, limit=limit)
    encode = builder.counter.counter.count
    history = ck.History(messages)
    window = len(builder.build(history).view.messages)
    sent = list(messages)
    ours: list[float] = []
    floor: list[float] = []
    gc.collect()
    for question in questions[:turns]:

        def least(question: dict[str, Any] = question) -> list[dict[str, Any]]:
            encode(question["content"])
            sent.append(question)
            return sent[-window:]

        def turn(question: dict[str, Any] = question) -> ck.Context:
            history.append(question)
            return builder.build(history)

        floor.append(timed(least))
        ours.append(timed(turn))
    return {
        "floor": statistics.median(floor),
        "floor, mean": statistics.fmean(floor),
        "build": statistics.median(ours),
        "build, mean": statistics.fmean(ours),
    }


def plain_list(length: int, limit: int) -> dict[str, float]:
    """Build from a re-parsed list, beside its parsing; and the first sight of a list."""
    messages = conversation(length, SEED)
    builder = ck.ContextBuilder(MODEL, limit=limit)
    gc.collect()
    first = timed(lambda: builder.build(messages)) / length
    parse: list[float] = []
    build: list[float] = []
    for turn in range(5):
        messages = [
            *messages,
            {"role": "assistant", "content": f"answer {turn}"},
            {"role": "user", "content": f"question {turn}"},
        ]
        text = json.dumps(messages)
        parse.append(timed(lambda text=text: json.loads(text)))
        parsed = json.loads(text)
        build.append(timed(lambda parsed=parsed: builder.build(parsed)))
    return {
        "json.loads": statistics.median(parse),
        "build": statistics.median(build),
        "first sight per message": first,
    }


def plans_made_dry() -> list[dict[str, Any]]:
    """How often a plan is made dry, and the time of all builds beside those of `AtLimit`."""
    from contextkit import deciding

    messages = written_agent(300, SEED)
    real, times = deciding.dry_run, 0

    def counted(*given: Any) -> Any:
        nonlocal times
        times += 1
        return real(*given)

    def session(schedule: ck.Schedule, compaction: list[Any]) -> tuple[int, int, float]:
        budget = ck.Budget(16_000, target=4_000)
        builder = ck.ContextBuilder(MODEL, budget=budget, schedule=schedule, compaction=compaction)
        history, builds, cuts, spent = ck.History(), 0, 0, 0.0
        for message in messages:
            if message["role"] == "assistant":
                made: list[ck.Context] = []
                spent += timed(lambda made=made: made.append(builder.build(history)))
                builds += 1
                cuts += bool(made[0].edits)
            history.append(message)
        return builds, cuts, spent / builds

    rows = []
    deciding.dry_run = counted
    try:
        for name, compaction in (
            ("DropOldest", [ck.DropOldest()]),
            ("ClearToolResults", [ck.ClearToolResults()]),
            (
                "ClearToolResults, SummarizeOldest",
                [ck.ClearToolResults(), ck.SummarizeOldest(lambda _request: "in short " * 50)],
            ),
        ):
            _, _, floor = session(ck.AtLimit(), compaction)
            times = 0
            builds, cuts, spent = session(ck.WhenItPays(0.1, 1.25), compaction)
            rows.append(
                {
                    "compaction": name,
                    "builds": builds,
                    "cuts": cuts,
                    "plans made dry": times,
                    "build, mean": spent,
                    "build at the limit, mean": floor,
                }
            )
    finally:
        deciding.dry_run = real
    return rows


def growth_exponent(times: dict[int, float]) -> float:
    """The slope of log time over log length, by least squares."""
    xs = [math.log(length) for length in times]
    ys = [math.log(time_) for time_ in times.values()]
    mean_x, mean_y = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / sum(
        (x - mean_x) ** 2 for x in xs
    )


def measure(lengths: Sequence[int], turns: int, *, quick: bool = False) -> dict[str, Any]:
    """All figures, as one JSON value."""
    rows = []
    exponents = {}
    for limit in LIMITS:
        by_length = {length: kept_log(length, limit, turns) for length in lengths}
        rows += [{"limit": limit, "messages": n, **row} for n, row in by_length.items()]
        exponents[str(limit)] = growth_exponent({n: row["build"] for n, row in by_length.items()})
    lists = [
        {"limit": limit, "messages": lengths[-1], **plain_list(lengths[-1], limit)}
        for limit in LIMITS
    ]
    return {
        "benchmark": "build_time",
        "made": made(SEED, "tiktoken", quick=quick),
        "unit": "microseconds",
        "kept log": rows,
        "growth exponent": exponents,
        "plain list": lists,
        "plans made dry": plans_made_dry(),
    }


def table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    heads = ["limit", "messages", "floor µs", "build µs", "build ÷ floor"]
    rows = [
        [
            f"{row['limit']:,}",
            f"{row['messages']:,}",
            f"{row['floor']:.1f}",
            f"{row['build']:.1f}",
            f"{row['build'] / row['floor']:.2f}",
            ", ".join(
                (
                    f"{row['floor, mean']:.1f}",
                    f"{row['build, mean']:.1f}",
                    f"{row['build, mean'] / row['floor, mean']:.2f}",
                )
            ),
        ]
        for row in result["kept log"]
    ]
    lines = [markdown([*heads, "means: floor, build, ratio"], rows), ""]
    lines += [
        f"growth exponent over the history at {int(limit):,}: {exponent:.3f}"
        for limit, exponent in result["growth exponent"].items()
    ]
    lines += [
        f"plain list of {row['messages']:,} at {row['limit']:,}: build {row['build']:,.0f} µs, "
        f"json.loads {row['json.loads']:,.0f} µs, ratio {row['build'] / row['json.loads']:.3f}; "
        f"first sight {row['first sight per message']:.1f} µs a message"
        for row in result["plain list"]
    ]
    lines += [
        f"WhenItPays with {row['compaction']}: {row['plans made dry']} plans made dry for "
        f"{row['cuts']} cuts in {row['builds']:,} builds of {row['build, mean']:.0f} µs on average "
        f"(AtLimit: {row['build at the limit, mean']:.0f})"
        for row in result.get("plans made dry", ())
    ]
    lines.append(below(result))
    return "\n".join(lines)


def plots(result: dict[str, Any]) -> dict[str, Figure]:
    """Build time and floor over the length of the history."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in result["kept log"]:
        panel = panels.setdefault(f"limit {row['limit']:,}", {})
        for name, key in (("build", "build"), ("encode the message and slice", "floor")):
            panel.setdefault(name, []).append((row["messages"], row[key]))
    title = "Building the next request, by the length of the history"
    x, y = "messages in the history", "microseconds"
    return {"build-time": curves(title, panels, x=x, y=y, share_y=True)}


def main() -> int:
    """Measure and print."""

    def run(given: Any) -> dict[str, Any]:
        lengths, turns = (LENGTHS[:3], 60) if given.quick else (LENGTHS, 400)
        return measure(lengths, turns, quick=given.quick)

    return command(__doc__, run, table, plots=plots, quick="fewer lengths and turns")


if __name__ == "__main__":
    sys.exit(main())
