"""What summaries cost: tokens that the embedded server evaluates, the summarizer's calls included.

    python -m benchmarks.summaries [--json] [--quick]

First, what a summarizer's call reads from the cache and what it leaves for the next request, asked
with the live prefix and with a prompt of its own. Then whole conversations with summaries, beside
LangChain's SummarizationMiddleware at the same limit (in the environment of `make peers`; left out
without it). One slot, no other cache, the server started anew for each; replies and summaries are
the model's own, of at most the same length for all. Counts alone: evaluated = input - cached.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import contextkit as ck
from benchmarks.measuring import Outcome, below, command, made, markdown  # noqa: F401
from benchmarks.peers.libraries import peer
from benchmarks.peers.process import Failed, NotInstalled, Process
from benchmarks.peers.server import lend_model
from contextkit.cli.ways import script
from contextkit.profiles import profile_for
from contextkit.providers.local import LocalServer
from contextkit.summarizing.breaker import Breaker
from contextkit.summarizing.model import ModelSummarizer
from contextkit.tokens import RequestCounter, counter_for

SEED = 1
REPLY = 24
SHARE = 200
"""Tokens of a summary at most, with what stands around it and what is added to it."""
LIMIT = 1_400
TURNS = 40
LANGCHAIN = "LangChain SummarizationMiddleware"

LIVE = {"temperature": 0, "seed": SEED, "max_tokens": REPLY}
# Without the penalty so small a model repeats one sentence, and the summary is rejected.
WRITING = {
    "temperature": 0,
    "seed": SEED,
    "extra_body": {"repeat_penalty": 1.15, "repeat_last_n": 128},
}

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": description,
            "parameters": {
                "type": "object",
                "properties": {"name": {"type": "string", "description": "As it is written."}},
                "required": ["name"],
            },
        },
    }
    for name, description in (
        ("look_up_supplier", "What is known of a supplier: address, terms, last order."),
        ("look_up_book", "Price and stock of a book by its title."),
    )
]


@dataclass(frozen=True)
class Call:
    """A call as the server reported it; tokens.

    Attributes:
        kind: `live` or `summary`.
        input, cached, output: as reported.
        before: of the input, what stands before a summarizer's instruction; all of it where the
            instruction comes first.
    """

    kind: str
    input: int
    cached: int
    output: int
    before: int = 0


class Counted:
    """A client of the official SDK that keeps what was reported for each call of one kind."""

    def __init__(self, client: Any, kind: str, calls: list[Call], counter: RequestCounter) -> None:
        self.client, self.kind, self.calls, self.counter = client, kind, calls, counter
        self.requests: list[dict[str, Any]] = []
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self.create))

    def create(self, **request: Any) -> Any:
        """Ask, and keep the figures."""
        reply = self.client.chat.completions.create(**request)
        usage = ck.Usage.of(reply.usage)
        if usage is None or usage.input_tokens is None:
            raise SystemExit("the server reported no usage")
        before = usage.input_tokens
        if len(request["messages"]) > 2 and self.kind == "summary":
            told = self.counter.message(request["messages"][-1])
            before -= told + self.counter.fixed()
        read, output = usage.cache_read_tokens or 0, usage.output_tokens or 0
        self.calls.append(Call(self.kind, usage.input_tokens, read, output, before))
        self.requests.append(request)
        return reply


@dataclass
class Conversation:
    """One conversation with a fresh server, the summaries by its own model.

    Attributes:
        server: with one slot.
        limit, target: of the requests.
        own: whether the summarizer gets a prompt of its own.
        ahead: whether summaries are prepared after each reply.
        tools: of the live requests.
        calls: all, in order.
        failures: strategies that were passed over, and why.
    """

    server: LocalServer
    limit: int = LIMIT
    target: int | None = None
    own: bool = False
    ahead: bool = False
    tools: Sequence[dict[str, Any]] = ()
    calls: list[Call] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        counter = counter_for(profile_for(self.server.model))
        client = self.server.client().with_options(timeout=900)
        self.live = Counted(client, "live", self.calls, counter)
        self.asked = Counted(client, "summary", self.calls, counter)
        summarizer = ModelSummarizer(
            self.asked,
            model=self.server.model if self.own else None,
            options=WRITING,
            timeout=None,
            breaker=Breaker(failures=1_000),  # a pause would depend on seconds
        )
        self.builder = ck.ContextBuilder(
            self.server.model,
            budget=ck.Budget(self.limit, self.target, reserve=REPLY),
            tools=self.tools or None,
            compaction=[ck.SummarizeOldest(summarizer, share=SHARE), ck.DropOldest()],
        )
        self.system, self.texts = script()
        self.history = ck.History(system=self.system)
        self.turns = 0

    def turn(self) -> ck.Context:
        """The next user message, and the reply."""
        self.history.append(self.texts[self.turns])
        self.turns += 1
        context = self.builder.build(self.history)
        self.failures += context.failures
        self.history.append(self.live.create(**context.request(), **LIVE))
        if self.ahead:
            self.failures += self.builder.prepare(self.history).failures
        return context

    @property
    def shown(self) -> int:
        """Summaries that the history has shown."""
        decisions = self.history.decisions(self.builder.view)
        return sum(edit.kind == "summary" for one in decisions for edit in one.edits)


def summarizer_calls(limit: int = 800) -> Iterator[dict[str, Any]]:
    """For each way to ask: the first call, the next live request, and the first one that is cut."""
    for tools in ((), TOOLS):
        for own in (False, True):
            for ahead in (False, True):
                with LocalServer() as server:
                    talk = Conversation(server, limit, own=own, ahead=ahead, tools=tools)
                    yield {"tools": len(tools), "own": own, "ahead": ahead, **reading(talk)}


def reading(talk: Conversation) -> dict[str, Any]:
    """Hold a conversation until its first cut; what was read on the way there."""
    cut: Call | None = None
    while cut is None:
        if talk.turn().edits:
            cut = [call for call in talk.calls if call.kind == "live"][-1]
    kinds = [call.kind for call in talk.calls]
    first = kinds.index("summary")
    request = talk.asked.requests[0]
    last, call = talk.calls[first - 1], talk.calls[first]
    then = next(one for one in talk.calls[first:] if one.kind == "live")
    alone = kinds[first + 1] == "live"  # rejected and asked again: another call came between
    return {
        "tool choice": request.get("tool_choice"),
        "before": call.before,
        "read": min(call.cached, call.before),
        "sent": last.input,
        "kept": min(then.cached, last.input) if then is not cut and alone else None,
        "cut input": cut.input,
        "cut read": cut.cached,
    }


def held(talk: Conversation, turns: int) -> dict[str, Any]:
    """Hold a whole conversation."""
    for _ in range(turns):
        talk.turn()
    asked = len(talk.asked.requests)
    written = len(talk.history.summaries)
    return {
        "rejected": asked - written,
        "unused": written - talk.shown,
        "passed over": len(talk.failures),
        **totals(talk.calls),
    }


def totals(calls: Sequence[Call]) -> dict[str, Any]:
    """The figures of a whole conversation."""
    live = [call for call in calls if call.kind == "live"]
    asked = [call for call in calls if call.kind == "summary"]
    return {
        "requests": len(live),
        "mean tokens": sum(call.input for call in live) / len(live),
        "largest": max(call.input for call in live),
        "calls": len(asked),
        "summary tokens": sum(call.output for call in asked),
        "evaluated live": sum(call.input - call.cached for call in live),
        "evaluated for summaries": sum(call.input - call.cached for call in asked),
        "evaluated": sum(call.input - call.cached for call in calls),
    }


def langchain(turns: int, bound: int, keep: int | None = None) -> dict[str, Any] | None:
    """The same with LangChain's middleware; None where it is not installed.

    Args:
        turns: of the conversation.
        bound: tokens of a summary at most.
        keep: tokens of messages that a summary leaves; half of the room by default.
    """
    system, texts = script()
    writing = {name: value for name, value in WRITING.items() if name != "extra_body"}
    job = {
        "do": "converse",
        "limit": LIMIT,
        "window": 0,
        "target": keep,
        "system": {"role": "system", "content": system},
        "texts": texts[:turns],
        "reply options": LIVE,
        "summary options": {**writing, **WRITING["extra_body"], "max_tokens": bound},  # type: ignore[dict-item]
    }
    with tempfile.TemporaryDirectory() as folder, LocalServer() as server:
        lend_model(Path(folder))
        try:
            with Process(peer(LANGCHAIN), path=folder) as process:
                job |= {"model": server.model, "address": server.address}
                answer = process.ask(job, 1_800.0)
        except (Failed, NotInstalled) as error:
            sys.stderr.write(f"left out: {error}\n")
            return None
    return totals([Call(**call) for call in answer["calls"]])
