"""A long tool loop whose results are cleared: how often the prefix moves, and what is evaluated.

    python -m benchmarks.tool_loop [--json] [--quick]

One task of 150 steps: calls of about 60 tokens, results of sizes drawn evenly from a range. Each
request is built at a limit of 20,000 tokens and a target of 10,000, and sent to a simulator of a
prefix cache: that of vLLM (any prefix, in blocks of 16 tokens), and that of qwen-plus (in blocks of
128, a token that is read costs a fifth). A *move* is a request that does not begin with the whole
of the one before it. *Evaluated* are the tokens that are not read from the cache, by all that are
sent for the first time: 1.00 is what a loop without any limit would take.

Beside it LangChain's `ClearToolUsesEdit`, where `make peers` has set up its environment. It has a
trigger and no limit: what it sends may be longer, and the table says how long.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import product
from statistics import mean
from typing import Any

import contextkit as ck
from benchmarks.measuring import below, command, made, markdown
from benchmarks.peers.costs import PeerPolicy
from benchmarks.peers.libraries import CLEARING
from benchmarks.peers.library import Remembering
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong
from benchmarks.workloads import WORDS, Messages
from contextkit.analysis.policies import Policy, Setting, points_of
from contextkit.analysis.replaying.built import Built
from contextkit.analysis.replaying.charged import Moment, Provider
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block
from contextkit.schedules import Schedule
from contextkit.strategies.base import Strategy
from contextkit.tokens import RequestCounter, counter_for

SEED = 6
STEPS = 150
SEEDS = 5
LIMIT, TARGET = 20_000, 10_000
CALL = 60
SIZES = {"small": (30, 300), "as asked": (300, 2_000), "large": (1_000, 5_000)}
"""Tokens of results, at least and at most."""
MODEL = "qwen-plus"
AT_LEAST = 8_000
"""Tokens of a batch at least, where a row says so: somewhat less than from the limit to the target,
which is what a cut at the limit frees."""
COMPACTIONS: dict[str, tuple[Strategy, ...]] = {
    "drop": (ck.DropOldest(),),
    "clear, drop": (ck.ClearToolResults(keep_last=3), ck.DropOldest()),
    "clear at least 8,000, drop": (
        ck.ClearToolResults(keep_last=3, at_least=AT_LEAST),
        ck.DropOldest(),
    ),
}
SCHEDULES: dict[str, Schedule] = {"at the limit": ck.AtLimit(), "when it pays": ck.WhenItPays()}
APART = 5.0
"""Seconds between two requests: the cache stays warm."""


def loop(steps: int, sizes: tuple[int, int], seed: int) -> Messages:
    """One task, and a call with its result for each step; a word is about a token."""
    draw = random.Random(seed)

    def text(words: int) -> str:
        return " ".join(draw.choice(WORDS) for _ in range(words))

    messages: Messages = [{"role": "system", "content": "You mend programs. " + text(300)}]
    messages.append({"role": "user", "content": "The task: " + text(80)})
    for step in range(steps):
        call = {"name": "look_up", "arguments": json.dumps({"query": text(CALL - 30)})}
        messages += [
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": f"call_{step}", "type": "function", "function": call}],
            },
            {
                "role": "tool",
                "tool_call_id": f"call_{step}",
                "content": text(draw.randint(*sizes)),
            },
        ]
    return [*messages, {"role": "assistant", "content": "Done."}]


@dataclass(frozen=True)
class Figures:
    """What the requests of one loop come to.

    Attributes:
        moves: requests that do not begin with the whole of the one before.
        evaluated: tokens not read from the cache, by those sent for the first time.
        mean, largest: tokens of a request.
        cost: of a request's input, in uncached input tokens.
    """

    moves: int
    evaluated: float
    mean: float
    largest: int
    cost: float


def figures(policy: Policy, transcript: Transcript, setting: Setting) -> Figures:
    """The requests of a policy, as a simulated provider serves them."""
    messages = transcript.messages
    provider = Provider(setting)
    before: tuple[Block, ...] = ()
    moves = evaluated = 0
    tokens: list[int] = []
    cost = 0.0
    for number, request in enumerate(policy.requests(transcript, setting)):
        sent = request.blocks[:-1]  # the last one opens the reply
        moves += [block.key for block in before] != [block.key for block in sent[: len(before)]]
        before = sent
        charge = provider.charge(request, Moment(APART * number, 2.0))
        evaluated += charge.tokens - charge.read
        tokens.append(charge.tokens)
        cost += charge.units or 0.0
    last = points_of(transcript)[-1]
    first = sum(map(setting.counter.message, messages[:last])) + setting.counter.fixed()
    count = len(tokens)
    return Figures(moves, evaluated / first, mean(tokens), max(tokens), cost / count)


def own(name: str, schedule: str) -> Policy:
    """The requests that contextkit builds, by a compaction and a schedule."""

    def make(setting: Setting, _tools: list[dict[str, Any]]) -> ck.ContextBuilder:
        return ck.ContextBuilder(
            setting.profile.name,
            profile=setting.profile,
            budget=ck.Budget(setting.limit, setting.target),
            cache="implicit",
            schedule=SCHEDULES[schedule],
            compaction=COMPACTIONS[name],
            counter=setting.counter.counter,
        )

    return Built(make, f"{name}, {schedule}")


def settings(counter: RequestCounter) -> dict[str, Setting]:
    """The caches: one of an engine that keeps any prefix, and one that is paid for."""
    paid = ck.profile_for(MODEL)
    engine = replace(paid, caches=ck.profile_for("vllm").caches)
    return {
        "vLLM": Setting(engine, "implicit", counter, LIMIT, TARGET),
        MODEL: Setting(paid, "implicit", counter, LIMIT, TARGET),
    }


def measure(steps: int, seeds: Sequence[int], sizes: Sequence[str]) -> dict[str, Any]:
    """All figures, as JSON data."""
    counter = counter_for(ck.profile_for(MODEL), Remembering(MODEL))
    rows: list[dict[str, Any]] = []
    left_out = []
    versions = {}
    with ExitStack() as stack:
        policies = [own(*one) for one in product(COMPACTIONS, SCHEDULES)]
        for peer in CLEARING:
            process = stack.enter_context(Process(peer))
            try:
                versions[peer.package] = process.ask({"do": "version"}, 120.0)["version"]
            except (Failed, NotInstalled, TookTooLong) as error:
                left_out.append(f"{peer.name}: {error}")
                continue
            policies.append(PeerPolicy(peer, process))
        for size, (cache, setting) in product(sizes, settings(counter).items()):
            loops = [Transcript(f"{size} {seed}", loop(steps, SIZES[size], seed)) for seed in seeds]
            head = {"results": list(SIZES[size]), "cache": cache}
            rows += [
                {
                    **head,
                    "policy": policy.name,
                    **_over([figures(policy, one, setting) for one in loops]),
                }
                for policy in policies
            ]
    return {
        "benchmark": "tool_loop",
        "made": made(seeds[0], **versions, quick=len(seeds) == 1),
        "steps": steps,
        "loops": len(seeds),
        "limit": LIMIT,
        "target": TARGET,
        "counter": counter.counter.name,
        "left out": left_out,
        "rows": rows,
    }


def _over(every: Sequence[Figures]) -> dict[str, Any]:
    """Means over loops, and the most of what is to stay small."""
    return {
        "moves": mean(one.moves for one in every),
        "most moves": max(one.moves for one in every),
        "evaluated": mean(one.evaluated for one in every),
        "most evaluated": max(one.evaluated for one in every),
        "mean tokens": mean(one.mean for one in every),
        "largest": max(one.largest for one in every),
        "cost": mean(one.cost for one in every),
    }


def short(result: dict[str, Any]) -> str:
    """The table of the results that were asked for."""
    asked = [one for one in result["rows"] if one["results"] == list(SIZES["as asked"])]
    return table({**result, "rows": asked})


def table(result: dict[str, Any]) -> str:
    """The figures as a Markdown table."""
    heads = ["results of tokens", "cache", "policy", "moves (most)", "evaluated (most)"]
    heads += ["mean tokens", "largest", "cost of a request"]
    rows = [
        [
            f"{one['results'][0]:,} to {one['results'][1]:,}",
            one["cache"],
            one["policy"],
            f"{one['moves']:.1f} ({one['most moves']})",
            f"{one['evaluated']:.2f} ({one['most evaluated']:.2f})",
            f"{one['mean tokens']:,.0f}",
            f"{one['largest']:,}",
            f"{one['cost']:,.0f}",
        ]
        for one in result["rows"]
    ]
    what = (
        f"{result['loops']} loops of {result['steps']} steps, limit {result['limit']:,}, target "
        f"{result['target']:,}, counted by {result['counter']}. Evaluated: tokens not read from "
        "the cache, by those sent for the first time. Cost: of the input, in uncached tokens."
    )
    left = "".join(f" Left out: {one}." for one in result["left out"])
    return "\n".join([markdown(heads, rows), "", what + left, below(result)])


def main() -> int:
    """Measure and print."""

    def run(given: Any) -> dict[str, Any]:
        if given.quick:
            return measure(STEPS, [SEED], ["as asked"])
        return measure(STEPS, [SEED + number for number in range(SEEDS)], list(SIZES))

    return command(__doc__, run, table, quick="one loop of one kind")


if __name__ == "__main__":
    sys.exit(main())
