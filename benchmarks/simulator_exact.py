"""The simulator against the embedded server: cached tokens foretold and reported, by request.

    python -m benchmarks.simulator_exact [--json] [--requests N]

Four conversations, interleaved, on a server with one slot and on one with two. Three are kept
histories, built by contextkit with a small budget, so that old tool results are cleared, turns
summarized and dropped, and the time inserted; now and then one is forked, an answer asked for
anew, or a request sent that the server refuses. The fourth is a plain list whose last message is
edited. The summarizer's requests go to the same server. Everything is drawn from a seed.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from openai import BadRequestError

import contextkit as ck
from benchmarks.measuring import Outcome, below, command, made, markdown
from contextkit.caching.blocks import Sent, token_blocks
from contextkit.caching.simulator import Simulator
from contextkit.caching.slots import reply_tokens
from contextkit.chatml import render_chatml
from contextkit.profiles import profile_for
from contextkit.providers.local import LocalServer

SEED = 11
WINDOW = 512
WORDS = ("river", "bridge", "north", "seven", "lamp", "quietly", "the", "a", "of", "with", "Zürich")
ACTIONS = {"turn": 10, "tool": 6, "edited": 4, "regenerated": 3, "forked": 2, "refused": 1}


@dataclass
class Exactness:
    """What one run showed.

    Attributes:
        slots: of the server.
        requests: that it answered.
        refused: requests that it refused, and the simulator too.
        input_tokens, cached_tokens: as it reported them.
        edits: messages that each kind of edit took, and what else was done, by name.
        others: foretold and reported of each request whose figures differ: prompt, then cached.
    """

    slots: int
    requests: int = 0
    refused: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    edits: dict[str, int] = field(default_factory=dict)
    others: list[tuple[int, int, int, int]] = field(default_factory=list)


class Run:
    """One server, its simulator, and the conversations held with it."""

    def __init__(self, server: LocalServer, seed: int = SEED) -> None:
        self.server = server
        self.client = server.client()
        self.draw = random.Random(seed)
        settings: dict[str, Any] = {
            "profile": replace(profile_for(server.model), window=WINDOW, reserve=8),
            "tail": [ck.Volatile("time", self.clock, share=40)],
        }
        self.summarizing = ck.ContextBuilder(
            server.model,
            budget=ck.Budget(220, 110, reserve=8),
            compaction=[
                ck.SummarizeOldest(self.summarize, "Sum this up.", share=64),
                ck.DropOldest(),
            ],
            **settings,
        )
        self.clearing = ck.ContextBuilder(
            server.model,
            budget=ck.Budget(400, reserve=8),
            compaction=[ck.ClearToolResults(keep_last=0), ck.DropOldest()],
            **settings,
        )
        self.counter = self.clearing.counter
        [rules] = self.counter.profile.caches
        self.simulator = Simulator(rules, slots=server.slots, capacity=WINDOW * server.slots)
        self.result = Exactness(server.slots)
        self.counts: Counter[str] = Counter()
        self.histories = [self.conversation(number) for number in range(3)]
        self.place = 0
        self.plain = [{"role": "system", "content": "Be brief."}]

    def conversation(self, number: int) -> ck.History:
        """A history; the first two have the same instructions."""
        scope = ck.Scope("bench", "user", str(number))
        return ck.History(system=("Answer.", "Answer.", "You are a poet.")[number], scope=scope)

    def text(self, least: int = 2, most: int = 6) -> str:
        """Some words."""
        return " ".join(self.draw.choices(WORDS, k=self.draw.randint(least, most)))

    def clock(self) -> str | None:
        """A time at every third user message."""
        return f"12:{self.draw.randrange(10, 60)}" if self.draw.random() < 0.3 else None

    def summarize(self, request: dict[str, Any]) -> str:
        """A summary of known words; the model is asked all the same, since that takes a slot."""
        self.ask(request["messages"])
        self.counts["summary requests"] += 1
        return self.text(2, 4)

    def ask(self, messages: list[dict[str, Any]], seed: int = 1) -> str:
        """Foretell a request, send it, and compare."""
        prompt = token_blocks(self.counter.encode(render_chatml(messages)))
        foretold = self.simulator.peek(Sent(prompt)).cache_read_tokens
        longest = self.draw.randint(1, 4)
        reply = self._send(messages, max_tokens=longest, temperature=0.8, seed=seed, logprobs=True)
        usage, choice = ck.Usage.of(reply.usage), reply.choices[0]
        told = choice.logprobs.content if choice.logprobs else ()  # none where it ended at once
        generated = reply_tokens([one.model_extra["id"] for one in told], usage.output_tokens)
        self.simulator.send(Sent(prompt, reply=generated))
        figures = (len(prompt), usage.input_tokens, foretold, usage.cache_read_tokens)
        if figures[0] != figures[1] or figures[2] != figures[3]:
            self.result.others.append(figures)
        self.result.requests += 1
        self.result.input_tokens += usage.input_tokens
        self.result.cached_tokens += usage.cache_read_tokens
        return choice.message.content or "Yes."

    def build(self, history: Any, **options: Any) -> list[dict[str, Any]]:
        """The messages of the next request."""
        builder = self.clearing if history is self.histories[2] else self.summarizing
        context = builder.build(history, **options)
        for edit in context.edits:
            self.counts[edit.kind] += max(1, len(edit.covers))
        return context.messages

    def act(self) -> None:
        """One step of one conversation."""
        action = self.draw.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        if self.place == 2 and action == "turn":
            action = "tool"  # there is something to clear
        if self.draw.random() < 0.3:
            self.place = self.draw.randrange(len(self.histories))
        place, history = self.place, self.histories[self.place]
        if action in {"regenerated", "forked"} and len(history) < 4:
            action = "turn"
        if action not in {"turn", "refused"}:
            self.counts[action] += 1
        getattr(self, f"_{action}")(history, place)

    def _turn(self, history: ck.History, place: int) -> None:
        history.append(self.text())
        self._answer(history)

    def _answer(self, history: ck.History) -> None:
        messages = self.build(history)
        history.append({"role": "assistant", "content": self.ask(messages)})

    def _tool(self, history: ck.History, place: int) -> None:
        self._turn(history, place)
        number = str(len(history))
        call = {"id": number, "type": "function", "function": {"name": "look", "arguments": "{}"}}
        history.append(self.text())
        result = self.text(50, 60) if place == 2 else self.text(10, 20)
        history.append({"role": "assistant", "content": None, "tool_calls": [call]})
        history.append({"role": "tool", "tool_call_id": number, "content": result})
        self._answer(history)

    def _edited(self, history: ck.History, place: int) -> None:
        """The plain list goes on, or its last question is put in other words."""
        if len(self.plain) > 2 and self.draw.random() < 0.4:
            del self.plain[-2:]
        self.plain.append({"role": "user", "content": self.text()})
        messages = self.build(self.plain, scope=ck.Scope("bench", "user", "plain"))
        self.plain.append({"role": "assistant", "content": self.ask(messages)})

    def _regenerated(self, history: ck.History, place: int) -> None:
        answers = [n for n, message in enumerate(history) if message["role"] == "assistant"]
        self.histories[place] = again = history.fork(answers[-1])
        messages = self.build(again)
        seed = self.draw.randrange(2, 1_000)
        again.append({"role": "assistant", "content": self.ask(messages, seed)})

    def _forked(self, history: ck.History, place: int) -> None:
        questions = [n for n, message in enumerate(history) if message["role"] == "user"]
        other = self.draw.randrange(len(self.histories))
        self.histories[other] = branch = history.fork(self.draw.choice(questions))
        self._turn(branch, other)

    def _refused(self, history: ck.History, place: int) -> None:
        self.refuse()

    def refuse(self) -> None:
        """The server refuses what is longer than its window, and so does the simulator."""
        messages = [{"role": "user", "content": "word " * (WINDOW + 1)}]
        prompt = token_blocks(self.counter.encode(render_chatml(messages)))
        for refusal, refused in (
            (ck.ContextKitError, lambda: self.simulator.send(Sent(prompt))),
            (BadRequestError, lambda: self._send(messages, max_tokens=1)),
        ):
            try:
                refused()
            except refusal:
                continue
            else:
                raise AssertionError("a prompt that is longer than the window was taken")
        self.result.refused += 1

    def _send(self, messages: list[dict[str, Any]], **options: Any) -> Any:
        return self.client.chat.completions.create(
            model=self.server.model, messages=messages, **options
        )


def measure(slots: int, requests: int, seed: int = SEED) -> Exactness:
    """Hold conversations until the server has answered so many requests."""
    with LocalServer(n_ctx=WINDOW, slots=slots) as server:
        run = Run(server, seed)
        while run.result.requests < requests:
            run.act()
        run.result.edits = dict(sorted(run.counts.items()))
        return run.result


def table(result: Outcome) -> str:
    """The figures as Markdown."""
    heads = [
        "slots",
        "requests",
        "foretold to the token",
        "refused",
        "input tokens",
        "read",
        "done",
    ]
    rows = [
        [
            str(run["slots"]),
            f"{run['requests']:,}",
            f"{run['requests'] - len(run['others']):,}",
            f"{run['refused']:,}, and by the simulator",
            f"{run['input_tokens']:,}",
            f"{run['cached_tokens']:,}",
            ", ".join(f"{count} {name}" for name, count in run["edits"].items()),
        ]
        for run in result["runs"]
    ]
    return "\n".join([markdown([*heads, "done"], rows), "", below(result)])


def main() -> int:
    """Measure and print."""
    runs: list[Exactness] = []

    def run(given: Any) -> Outcome:
        requests = 20 if given.quick else given.requests
        runs.extend(measure(slots, requests) for slots in (1, 2))
        return {
            "benchmark": "simulator_exact",
            "made": made(SEED, "xllamacpp", quick=given.quick),
            "runs": [asdict(one) for one in runs],
        }

    command(
        __doc__,
        run,
        table,
        quick="20 requests for each number of slots",
        options=lambda parser: parser.add_argument(
            "--requests", type=int, default=240, help="for each number of slots"
        ),
    )
    return int(any(one.others for one in runs))


if __name__ == "__main__":
    sys.exit(main())
