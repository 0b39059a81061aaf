"""What the cache simulator takes for a request, at the start and after thousands of others.

    python -m benchmarks.simulator_time [--requests N]

Requests of 200 blocks, by the rules of several providers: conversations that grow by ten blocks a
request, interleaved; and requests that have nothing in common. Medians of a thousand requests.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

from contextkit.caching.blocks import Block, Sent
from contextkit.caching.simulator import Simulator
from contextkit.profiles import profile_for

BLOCKS = 200
CACHES = (("qwen-plus", None), ("qwen-plus", "explicit"), ("gpt-5.6", None), ("deepseek-v4", None))


def growing(requests: int, seed: int = 1) -> Iterator[tuple[Block, ...]]:
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    requests = parser.parse_args().requests
    print(f"{requests:,} requests of {BLOCKS} blocks, µs for each: the second thousand, the last")
    for model, mode in CACHES:
        for traffic in (growing, different):
            profile = profile_for(model)
            simulator = Simulator(profile.cache(mode))
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
            early, late = statistics.median(taken[1_000:2_000]), statistics.median(taken[-1_000:])
            name = f"{simulator.rules.name}, {traffic.__name__}"
            print(f"{name:28} {early:6.0f} {late:6.0f}")


if __name__ == "__main__":
    main()
