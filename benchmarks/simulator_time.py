"""What the cache simulator takes for a request, at the start and after thousands of others.

    python -m benchmarks.simulator_time [--json] [--quick] [--requests N]

Requests of 200 blocks, by the rules of several providers: conversations that grow by ten blocks a
request, interleaved; and requests that have nothing in common.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from benchmarks.measuring import Outcome, below, command, made, markdown
from contextkit.caching.blocks import Block, Sent
from contextkit.caching.simulator import Simulator
from contextkit.profiles import profile_for

SEED = 1
BLOCKS = 200
CACHES = (("qwen-plus", None), ("qwen-plus", "explicit"), ("gpt-5.6", None), ("deepseek-v4", None))


def growing(requests: int, seed: int = SEED) -> Iterator[tuple[Block, ...]]:
    """Fifty conversations; each drops its last ten blocks and gets ten others."""
    draw = random.Random(seed)
    talks = [[Block((talk, n), 100, "user") for n in range(BLOCKS)] for talk in range(50)]
    for number in range(requests):
        talk = draw.choice(talks)
        talk[-10:] = [Block((number, n), 100, "user") for n in range(10)]
        yield tuple(talk)


def different(requests: int) -> Iterator[tuple[Block, ...]]:
    """Nothing in common."""
    for number in range(requests):
        yield tuple(Block((number, n), 100, "user") for n in range(BLOCKS))


def measure(requests: int, *, quick: bool) -> Outcome:
    """All figures, as JSON data; microseconds."""
    rows = []
    part = requests // 10
    for model, mode in CACHES:
        for traffic in (growing, different):
            rules = profile_for(model).cache(mode)
            if rules is None:
                raise SystemExit(f"{model} has no such cache")
            simulator = Simulator(rules)
            taken = []
            for number, blocks in enumerate(traffic(requests)):
                marked = tuple(
                    replace(block, point=place in {50, 120, 180, 199})
                    for place, block in enumerate(blocks)
                )
                sent = Sent(marked if mode else blocks, at=number, begun=1, ended=2)
                start = time.perf_counter_ns()
                simulator.send(sent)
                taken.append((time.perf_counter_ns() - start) / 1_000)
            rows.append(
                {
                    "cache": rules.name,
                    "requests": traffic.__name__,
                    "early": statistics.median(taken[part : 2 * part]),
                    "late": statistics.median(taken[-part:]),
                }
            )
    head = made(SEED, requests=requests, quick=quick)
    return {"benchmark": "simulator_time", "made": head, "unit": "microseconds", "rows": rows}


def table(result: Outcome) -> str:
    """The figures as Markdown."""
    heads = ["cache", "requests", "early µs", "late µs", "ratio"]
    rows = [
        [
            row["cache"],
            row["requests"],
            f"{row['early']:.0f}",
            f"{row['late']:.0f}",
            f"{row['late'] / row['early']:.2f}",
        ]
        for row in result["rows"]
    ]
    what = f"Medians of the second and the last tenth; requests of {BLOCKS} blocks."
    return "\n".join([markdown(heads, rows), "", what, below(result)])


def main() -> int:
    """Measure and print."""
    return command(
        __doc__,
        lambda given: measure(1_000 if given.quick else given.requests, quick=given.quick),
        table,
        quick="1,000 requests",
        options=lambda parser: parser.add_argument("--requests", type=int, default=10_000),
    )


if __name__ == "__main__":
    sys.exit(main())
