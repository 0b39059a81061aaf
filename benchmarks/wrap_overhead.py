"""What a wrapped client takes beyond the bare one, call by call, in one run.

    python -m benchmarks.wrap_overhead [--json] [--quick]

Both clients talk to a transport in this process that answers at once, so that the difference is
contextkit alone. A conversation grows by a turn with each call; the bare client and the wrapped one
take turns at the same list. Without a limit that cuts, so that both send the same messages. What is
reported is the median of the differences, and of the two clients' own times.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from benchmarks.build_time import SEED, conversation

LENGTHS = (10, 100, 1_000)
MODELS = ("gpt-4o", "qwen-plus")  # of the second, replies are listened to for their reasoning
CALLS = 60
REPLY = {"role": "assistant", "content": "It is on its way."}
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


def respond(request: httpx2.Request) -> httpx2.Response:
    """A reply at once, whole or in three chunks."""
    head = {"id": "c", "created": 0, "model": "m"}
    if not json.loads(request.content).get("stream"):
        choice = {"index": 0, "message": REPLY, "finish_reason": "stop"}
        return httpx2.Response(200, json={**head, "object": "chat.completion", "choices": [choice]})
    deltas = [({"content": "It is "}, None), ({"content": "on its way."}, None), ({}, "stop")]
    events = [
        json.dumps(
            {
                **head,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": delta, "finish_reason": end}],
            }
        )
        for delta, end in deltas
    ]
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return httpx2.Response(200, text=body, headers={"Content-Type": "text/event-stream"})


def create(client: OpenAI, **given: Any) -> float:
    """Microseconds of one call."""
    start = time.perf_counter_ns()
    client.chat.completions.create(**given)
    return (time.perf_counter_ns() - start) / 1_000


def first_chunk(client: OpenAI, **given: Any) -> float:
    """Microseconds until the first chunk of a stream is there."""
    start = time.perf_counter_ns()
    stream = client.chat.completions.create(stream=True, **given)
    next(stream)
    taken = (time.perf_counter_ns() - start) / 1_000
    for _ in stream:
        pass
    return taken


async def acreate(client: AsyncOpenAI, **given: Any) -> float:
    """The async twin of `create`."""
    start = time.perf_counter_ns()
    await client.chat.completions.create(**given)
    return (time.perf_counter_ns() - start) / 1_000


def measure(length: int, calls: int, call: Callable[[int, Any], tuple[float, float]]) -> Any:
    """Both clients at lists that grow from `length` on."""
    messages: list[dict[str, Any]] = conversation(length, SEED)
    questions = [m for m in conversation(2 * calls + 6, SEED + 1) if m["role"] == "user"]
    pairs = []
    gc.collect()
    for number in range(calls + 2):
        pairs.append(call(number, messages))
        messages = [*messages, dict(REPLY), questions[number]]
    pairs = pairs[2:]  # connections, first sight of the list
    return {
        "bare": statistics.median(bare for bare, _ in pairs),
        "wrapped": statistics.median(wrapped for _, wrapped in pairs),
        "difference": statistics.median(wrapped - bare for bare, wrapped in pairs),
    }


def sync_pairs(way: Callable[..., float], model: str, length: int, calls: int) -> Any:
    """One way of calling, with the official sync client."""
    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    with OpenAI(api_key="none", base_url="http://bench", http_client=transport) as bare:
        clients = (bare, ck.wrap(bare))

        def call(number: int, messages: Any) -> tuple[float, float]:
            taken = [0.0, 0.0]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                taken[which] = way(clients[which], **given)
            return taken[0], taken[1]

        return measure(length, calls, call)


def async_pairs(model: str, length: int, calls: int) -> Any:
    """`create` with the official async client."""
    transport = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    with asyncio.Runner() as runner:
        bare = AsyncOpenAI(api_key="none", base_url="http://bench", http_client=transport)
        clients = (bare, ck.wrap(bare))

        def call(number: int, messages: Any) -> tuple[float, float]:
            taken = [0.0, 0.0]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                made: Awaitable[float] = acreate(clients[which], **given)
                taken[which] = runner.run(made)  # type: ignore[arg-type]
            return taken[0], taken[1]

        measured = measure(length, calls, call)
        runner.run(bare.close())
    return measured


def measured(*, quick: bool) -> dict[str, Any]:
    """Everything, as JSON data; microseconds."""
    calls = 10 if quick else CALLS
    rows = []
    for model in MODELS:
        for length in LENGTHS[:2] if quick else LENGTHS:
            ways = {
                "create": lambda m=model, n=length: sync_pairs(create, m, n, calls),
                "first chunk": lambda m=model, n=length: sync_pairs(first_chunk, m, n, calls),
                "create, async": lambda m=model, n=length: async_pairs(m, n, calls),
            }
            for way, run in ways.items():
                rows.append({"model": model, "messages": length, "way": way, **run()})
    return {
        "rows": rows,
        "made": {
            "date": datetime.now(UTC).date().isoformat(),
            "python": platform.python_version(),
            "openai": version("openai"),
            "tiktoken": version("tiktoken"),
            "platform": f"{platform.system()} {platform.machine()}",
            "seed": SEED,
            "calls": calls,
        },
    }


def table(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    lines = [
        "| model | messages | call | bare ms | wrapped ms | difference ms, median |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rows"]:
        bare, wrapped, more = (row[key] / 1_000 for key in ("bare", "wrapped", "difference"))
        lines.append(
            f"| {row['model']} | {row['messages']:,} | {row['way']} | {bare:.2f} | {wrapped:.2f} "
            f"| {more:.2f} |"
        )
    made = result["made"]
    said = (
        f"{made['date']}, Python {made['python']}, openai {made['openai']}, "
        f"tiktoken {made['tiktoken']}, {made['platform']}, seed {made['seed']}, "
        f"{made['calls']} calls each"
    )
    lines += ["", said]
    return "\n".join(lines)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    result = measured(quick=arguments.quick)
    print(json.dumps(result, indent=1) if arguments.json else table(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
