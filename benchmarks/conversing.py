"""A conversation with the embedded server, its summaries written by the same model; calls counted.

One slot and no other cache, so that what the server evaluates is what a request does not share with
the one before. Texts do not depend on the number of threads; one is gentle to what else runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.cli.ways import script
from contextkit.errors import SummaryRejected
from contextkit.profiles import profile_for
from contextkit.providers.local import LocalServer
from contextkit.summarizing.model import ModelSummarizer
from contextkit.summarizing.request import SummaryRequest
from contextkit.tokens import RequestCounter, counter_for

SEED = 1
REPLY = 24
SHARE = 200
"""Tokens of a summary at most, with what stands around it and what is added to it."""

LIVE: dict[str, Any] = {"temperature": 0, "seed": SEED, "max_tokens": REPLY}
# Without a penalty so small a model says one sentence over and over, and is rejected for it.
PENALTY: dict[str, Any] = {"repeat_penalty": 1.15, "repeat_last_n": 128}
WRITING: dict[str, Any] = {"temperature": 0, "seed": SEED}

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


def fresh_server() -> LocalServer:
    """A server with an empty cache."""
    return LocalServer(threads=1)


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

    @property
    def evaluated(self) -> int:
        """Tokens of the input that were not read from the cache."""
        return self.input - self.cached


class Counted:
    """A client of the official SDK that keeps what was reported for each call of one kind."""

    def __init__(self, client: Any, kind: str, calls: list[Call], counter: RequestCounter) -> None:
        self.client, self.kind, self.calls, self.counter = client, kind, calls, counter
        self.requests: list[dict[str, Any]] = []
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self.create))

    def create(self, **request: Any) -> Any:
        """Ask, and keep the figures."""
        reply = self.client.chat.completions.create(**request)
        usage = ck.Usage.of(reply.usage) or ck.Usage()
        taken, read = usage.input_tokens or 0, usage.cache_read_tokens or 0
        before = taken
        if self.kind == "summary" and len(request["messages"]) > 2:
            template = self.counter.fixed()  # the role of the reply, behind the last message
            before -= self.counter.message(request["messages"][-1]) + template
        self.calls.append(Call(self.kind, taken, read, usage.output_tokens or 0, before))
        self.requests.append(request)
        return reply


@dataclass
class Conversation:
    """One conversation with a fresh server.

    Attributes:
        server: with one slot.
        limit, share, reply: tokens of a request, a summary, and a reply at most.
        own: whether the summarizer gets a prompt of its own.
        ahead: whether summaries are prepared after each reply.
        tools: of the live requests.
        instead: gives the text in place of the model, which is asked all the same, for a token.
        calls: all, in order.
        failures: strategies that were passed over, and why.
    """

    server: LocalServer
    limit: int
    share: int = SHARE
    reply: int = REPLY
    own: bool = False
    ahead: bool = False
    tools: Sequence[dict[str, Any]] = ()
    instead: Callable[[SummaryRequest], str] | None = None
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
            options={**WRITING, "extra_body": PENALTY},
            timeout=None,
            breaker=Breaker(failures=1_000),  # how long it stays open is a matter of seconds
        )
        writer: Any = summarizer
        if self.instead is not None:
            writer = Instead(replace(summarizer, options={"max_tokens": 1}), self.instead)
        self.builder = ck.ContextBuilder(
            self.server.model,
            budget=ck.Budget(self.limit, reserve=self.reply),
            tools=self.tools or None,
            compaction=[ck.SummarizeOldest(writer, share=self.share), ck.DropOldest()],
        )
        system, self.texts = script()
        self.history = ck.History(system=system)
        self.turns = 0

    def turn(self) -> ck.Context:
        """The next user message, and the reply."""
        self.history.append(self.texts[self.turns])
        self.turns += 1
        context = self.builder.build(self.history)
        self.failures += context.failures
        options = {**LIVE, "max_tokens": self.reply}
        self.history.append(self.live.create(**context.request(), **options))
        if self.ahead:
            self.failures += self.builder.prepare(self.history).failures
        return context

    def hold(self, turns: int) -> dict[str, Any]:
        """A whole conversation, and its figures."""
        for _ in range(turns):
            self.turn()
        rejected = len(self.asked.requests) - len(self.history.summaries)
        bounds = {request["max_tokens"] for request in self.asked.requests}
        return {
            "rejected": rejected,
            "passed over": len(self.failures),
            "longest": max(bounds, default=0),
            **totals(self.calls),
        }

    def until_cut(self) -> dict[str, Any]:
        """Until the first cut: what the first summarizer's call read, and what it left."""
        edits: tuple[ck.Edit, ...] = ()
        while not edits:
            edits = self.turn().edits
        cut = [call for call in self.calls if call.kind == "live"][-1]
        first = next(place for place, call in enumerate(self.calls) if call.kind == "summary")
        last, call = self.calls[first - 1], self.calls[first]
        then = next(one for one in self.calls[first:] if one.kind == "live")
        return {
            "tool choice": self.asked.requests[0].get("tool_choice"),
            "before": call.before,
            "read": min(call.cached, call.before),
            "sent": last.input,
            "kept": None if then is cut else min(then.cached, last.input),
            "cut input": cut.input,
            "cut read": cut.cached,
            "summarized": any(edit.kind == "summary" for edit in edits),
        }


class Instead:
    """Asks a model for a summary, and gives a text that another summarizer writes."""

    def __init__(self, asked: ModelSummarizer, writes: Callable[[SummaryRequest], str]) -> None:
        self.asked, self.writes, self.model = asked, writes, asked.model

    def __call__(self, request: SummaryRequest) -> str:
        """The text."""
        with suppress(SummaryRejected):
            self.asked(request)
        return self.writes(request)


def totals(calls: Sequence[Call]) -> dict[str, Any]:
    """The figures of a whole conversation, in tokens."""
    live = [call for call in calls if call.kind == "live"]
    asked = [call for call in calls if call.kind == "summary"]
    return {
        "requests": len(live),
        "mean tokens": sum(call.input for call in live) / len(live),
        "largest": max(call.input for call in live),
        "calls": len(asked),
        "written": sum(call.output for call in asked),
        "evaluated live": sum(call.evaluated for call in live),
        "evaluated for summaries": sum(call.evaluated for call in asked),
        "evaluated": sum(call.evaluated for call in calls),
    }
