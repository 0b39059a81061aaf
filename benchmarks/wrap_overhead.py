"""What a wrapped client takes beyond the bare one, call by call, in one run.

    python -m benchmarks.wrap_overhead [--json] [--quick]

Both clients talk to a transport in this process that answers at once, so that the difference is
contextkit alone. A conversation grows by a turn with each call; the bare client and the wrapped one
take turns at the same list. Without a limit that cuts, so that both send the same messages.

The client itself takes a hundred times as long as what is measured, so that the difference of two
calls says little on a busy machine. Its own time inside each wrapped call is taken too: the rest of
the call is `wrap`, and is the figure to look at.
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
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai.resources import chat
from openai.resources.chat import AsyncCompletions, Completions

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


class Inside:
    """The microseconds that the last call spent in the client's own `create`."""

    last = 0.0


class TimedCompletions(Completions):
    """The client's own completions, with a watch."""

    def create(self, **given: Any) -> Any:  # type: ignore[override]  # it passes everything on
        """The client's own call."""
        start = time.perf_counter_ns()
        answer = super().create(**given)
        Inside.last = (time.perf_counter_ns() - start) / 1_000
        return answer


class TimedAsyncCompletions(AsyncCompletions):
    """The async twin."""

    async def create(self, **given: Any) -> Any:  # type: ignore[override]  # the same
        """The client's own call."""
        start = time.perf_counter_ns()
        answer = await super().create(**given)
        Inside.last = (time.perf_counter_ns() - start) / 1_000
        return answer


def create(client: OpenAI, **given: Any) -> tuple[float, float]:
    """Microseconds of one call, and those outside the client's own."""
    start = time.perf_counter_ns()
    client.chat.completions.create(**given)
    taken = (time.perf_counter_ns() - start) / 1_000
    return taken, taken - Inside.last


def first_chunk(client: OpenAI, **given: Any) -> tuple[float, float]:
    """Microseconds until the first chunk of a stream is there, and those outside the client's own.

    Decoding the chunk is the client's, too, so what is said to be outside is too much by that.
    """
    start = time.perf_counter_ns()
    stream = client.chat.completions.create(stream=True, **given)
    next(stream)
    taken = (time.perf_counter_ns() - start) / 1_000
    for _ in stream:
        pass
    return taken, taken - Inside.last


async def acreate(client: AsyncOpenAI, **given: Any) -> tuple[float, float]:
    """The async twin of `create`."""
    start = time.perf_counter_ns()
    await client.chat.completions.create(**given)
    taken = (time.perf_counter_ns() - start) / 1_000
    return taken, taken - Inside.last


def measure(length: int, calls: int, call: Callable[[int, Any], list[Any]]) -> Any:
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
        "bare": statistics.median(bare for (bare, _), _ in pairs),
        "wrapped": statistics.median(wrapped for _, (wrapped, _) in pairs),
        "difference": statistics.median(wrapped - bare for (bare, _), (wrapped, _) in pairs),
        "own": statistics.median(own - least for (_, least), (_, own) in pairs),
    }


def sync_pairs(way: Callable[..., tuple[float, float]], model: str, length: int, calls: int) -> Any:
    """One way of calling, with the official sync client."""
    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    with OpenAI(api_key="none", base_url="http://bench", http_client=transport) as bare:
        clients = (bare, ck.wrap(bare))

        def call(number: int, messages: Any) -> list[Any]:
            taken: list[Any] = [None, None]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                taken[which] = way(clients[which], **given)
            return taken

        return measure(length, calls, call)


def async_pairs(model: str, length: int, calls: int) -> Any:
    """`create` with the official async client."""
    transport = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    with asyncio.Runner() as runner:
        bare = AsyncOpenAI(api_key="none", base_url="http://bench", http_client=transport)
        clients = (bare, ck.wrap(bare))

        def call(number: int, messages: Any) -> list[Any]:
            taken: list[Any] = [None, None]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                taken[which] = runner.run(acreate(clients[which], **given))
            return taken

        measured = measure(length, calls, call)
        runner.run(bare.close())
    return measured


def measured(*, quick: bool) -> dict[str, Any]:
    """Everything, as JSON data; microseconds."""
    for module in (chat, chat.chat):  # where wrap, and where the bare client, finds them
        vars(module).update(Completions=TimedCompletions, AsyncCompletions=TimedAsyncCompletions)
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
    """The result as Markdown: what `wrap` takes, and in brackets the difference of whole calls."""
    lines = [
        "| model | messages | bare client ms | `wrap`: create ms | first chunk ms | async ms |",
        "|---|---|---|---|---|---|",
    ]
    cells: dict[tuple[str, int], dict[str, dict[str, float]]] = {}
    for row in result["rows"]:
        cells.setdefault((row["model"], row["messages"]), {})[row["way"]] = row
    for (model, messages), ways in cells.items():
        said = (
            f"{way['own'] / 1_000:.2f} ({way['difference'] / 1_000:.2f})" for way in ways.values()
        )
        bare = ways["create"]["bare"] / 1_000
        lines.append(f"| {model} | {messages:,} | {bare:.1f} | {' | '.join(said)} |")
    made = result["made"]
    lines.append("\nMedians; in brackets the difference of the whole calls.")
    lines.append(
        f"{made['date']}, Python {made['python']}, openai {made['openai']}, tiktoken "
        f"{made['tiktoken']}, {made['platform']}, seed {made['seed']}, {made['calls']} calls each"
    )
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
