"""What a wrapped client takes beyond the bare one, call by call, in one run.

    python -m benchmarks.wrap_overhead [--json] [--quick]

Both clients talk to a transport in this process that answers at once and reports usage, as a
provider does that reads from its cache all but what is new; so the difference is contextkit alone,
with the ledger's row of each request. A conversation grows by a turn with each call; the bare
client and the wrapped one take turns at the same list: without a limit that cuts, so that both send
the same messages, and with one.

The client itself takes a hundred times as long as what is measured, so that the difference of two
calls says little on a busy machine. Its own time inside each wrapped call is taken too: the rest of
the call is `wrap`, and is the figure to look at. A stream reports its usage at the end: what that
takes is measured apart.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any
from unittest.mock import patch

import httpx2
from openai import AsyncOpenAI, OpenAI
from openai.resources import chat
from openai.resources.chat import AsyncCompletions, Completions

import contextkit as ck
from benchmarks.build_time import SEED, conversation
from benchmarks.measuring import below, command, made, markdown
from contextkit.tokens import counter_for

SIZES = ((10, None), (100, None), (1_000, None), (1_000, 8_000))
"""Messages of the list, and the limit."""

MODELS = ("gpt-4o", "qwen-plus")  # of the second, replies are listened to for their reasoning
CALLS = 60
REPLY = {"role": "assistant", "content": "It is on its way."}
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}


@cache
def counted(model: str, text: str) -> int:
    """Tokens of a message of nothing but text."""
    return counter_for(ck.profile_for(model)).message({"role": "user", "content": text})


def usage_of(asked: dict[str, Any]) -> dict[str, Any]:
    """What a provider reports that reads all but the last reply and the new question."""
    tokens = [counted(asked["model"], message["content"]) for message in asked["messages"]]
    cached = sum(tokens[:-2]) // 128 * 128
    return {
        "prompt_tokens": sum(tokens),
        "completion_tokens": 6,
        "total_tokens": sum(tokens) + 6,
        "prompt_tokens_details": {"cached_tokens": cached if cached >= 1_024 else 0},
    }


def respond(request: httpx2.Request) -> httpx2.Response:
    """A reply at once, whole or in three chunks and one with the usage."""
    head = {"id": "c", "created": 0, "model": "m"}
    asked = json.loads(request.content)
    usage = usage_of(asked)
    if not asked.get("stream"):
        choice = {"index": 0, "message": REPLY, "finish_reason": "stop"}
        whole = {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
        return httpx2.Response(200, json=whole)
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
    if (asked.get("stream_options") or {}).get("include_usage"):
        last = {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage}
        events.append(json.dumps(last))
    body = "".join(f"data: {event}\n\n" for event in [*events, "[DONE]"])
    return httpx2.Response(200, text=body, headers={"Content-Type": "text/event-stream"})


class Inside:
    """The microseconds that the last call spent in the client's own `create`."""

    last = 0.0


class BareOpenAI(OpenAI):
    """The official client; `wrap` keeps what it made for a class, and this one is timed."""


class BareAsyncOpenAI(AsyncOpenAI):
    """The async twin."""


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


def end_of_stream(client: OpenAI, **given: Any) -> tuple[float, float]:
    """Microseconds from the first chunk of a stream with usage to its end."""
    options = {"stream_options": {"include_usage": True}}
    stream = client.chat.completions.create(stream=True, **options, **given)
    next(stream)
    start = time.perf_counter_ns()
    for _ in stream:
        pass
    taken = (time.perf_counter_ns() - start) / 1_000
    return taken, taken


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


def sync_pairs(
    way: Callable[..., tuple[float, float]],
    model: str,
    length: int,
    calls: int,
    limit: int | None = None,
) -> Any:
    """One way of calling, with the official sync client."""
    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    with BareOpenAI(api_key="none", base_url="http://bench", http_client=transport) as bare:
        clients = (bare, ck.wrap(bare, limit=limit))

        def call(number: int, messages: Any) -> list[Any]:
            taken: list[Any] = [None, None]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                taken[which] = way(clients[which], **given)
            return taken

        found = measure(length, calls, call)
        found["ledger"] = len(clients[1].ledger)
        return found


def async_pairs(model: str, length: int, calls: int, limit: int | None = None) -> Any:
    """`create` with the official async client."""
    transport = httpx2.AsyncClient(transport=httpx2.MockTransport(respond))
    with asyncio.Runner() as runner:
        bare = BareAsyncOpenAI(api_key="none", base_url="http://bench", http_client=transport)
        clients = (bare, ck.wrap(bare, limit=limit))

        def call(number: int, messages: Any) -> list[Any]:
            taken: list[Any] = [None, None]
            for which in (0, 1) if number % 2 else (1, 0):
                given = {"model": model, "messages": messages, "tools": [TOOL]}
                taken[which] = runner.run(acreate(clients[which], **given))
            return taken

        found = measure(length, calls, call)
        found["ledger"] = len(clients[1].ledger)
        runner.run(bare.close())
    return found


def measured(*, quick: bool, sizes: Sequence[tuple[int, int | None]] = SIZES) -> dict[str, Any]:
    """Everything, as JSON data; microseconds."""
    calls = 10 if quick else CALLS
    rows: list[dict[str, Any]] = []
    timed = {"Completions": TimedCompletions, "AsyncCompletions": TimedAsyncCompletions}
    # Where wrap, and where the bare client, finds them.
    with patch.multiple(chat, **timed), patch.multiple(chat.chat, **timed):
        _measure_all(rows, calls, sizes[:2] if quick else sizes)
    head = made(SEED, "openai", "tiktoken", calls=calls, quick=quick)
    return {"benchmark": "wrap_overhead", "made": head, "unit": "microseconds", "rows": rows}


def _measure_all(
    rows: list[dict[str, Any]], calls: int, sizes: Sequence[tuple[int, int | None]]
) -> None:
    for model in MODELS:
        for length, limit in sizes:
            ways = {
                "create": partial(sync_pairs, create),
                "first chunk": partial(sync_pairs, first_chunk),
                "end of the stream": partial(sync_pairs, end_of_stream),
                "create, async": async_pairs,
            }
            for way, run in ways.items():
                found = run(model, length, calls, limit)
                rows.append(
                    {"model": model, "messages": length, "limit": limit, "way": way, **found}
                )


def table(result: dict[str, Any]) -> str:
    """The result as Markdown: what `wrap` takes, and in brackets the difference of whole calls."""
    heads = ["model", "messages", "limit", "bare client ms", "`wrap`: create ms", "first chunk ms"]
    heads += ["end of the stream ms", "async ms"]
    cells: dict[tuple[str, int, int | None], dict[str, dict[str, float]]] = {}
    for row in result["rows"]:
        cells.setdefault((row["model"], row["messages"], row["limit"]), {})[row["way"]] = row
    rows = []
    for (model, messages, limit), ways in cells.items():
        said = [
            f"{way['own'] / 1_000:.2f} ({way['difference'] / 1_000:.2f})"
            if name != "end of the stream"
            else f"{way['own'] / 1_000:.2f}"
            for name, way in ways.items()
        ]
        bare = ways["create"]["bare"] / 1_000
        at = "none" if limit is None else f"{limit:,}"
        rows.append([model, f"{messages:,}", at, f"{bare:.1f}", *said])
    what = (
        "Medians; in brackets the difference of the whole calls, below 0 where less is sent. With "
        "the row of the ledger: of a stream at its end, with the usage."
    )
    return "\n".join([markdown(heads, rows), "", what, below(result)])


def main() -> int:
    """Measure and print."""
    return command(
        __doc__,
        lambda given: measured(quick=given.quick),
        table,
        quick="10 and 100 messages, ten calls each",
    )


if __name__ == "__main__":
    sys.exit(main())
