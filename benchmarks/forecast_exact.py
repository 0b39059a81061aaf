"""Forecasts of a chat against the embedded server: how many are equal, and why others are not.

    python -m benchmarks.forecast_exact [--json] [--requests 300]

Conversations one after the other through `Chat`, with tools, a volatile value at the tail, cuts,
streams that are left and asked again, and a chat that is opened anew in the middle. Replies are
the likeliest ones, but for two conversations in seven: in one they are sampled at temperature 1, in
one the model is made to say a single letter again and again. Such a text does not always tokenise
back to what was generated: the forecast is then too high, and the cause must be named. The first
request of a conversation is not counted: what the server has of others, no log knows.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from typing import Any

import contextkit as ck
from benchmarks.measuring import Outcome, below, command, made, markdown
from contextkit.providers.local import LocalServer

SYSTEM = "You are a terse assistant. Answer in one sentence."
QUESTIONS = (
    *("Name a river in Spain.", "Why is it famous?", "Compare: a  b\n\n- c", "What is 数学?"),
    *("\n\nSay hi", "ok", "Explain rain in one line.", '{"a": [1, 2], "b": "x"}', "Ещё раз?"),
    *("| a | b |\n|---|---|\n| 1 | 2 |", "Write a word with an umlaut: ä.", "def f(x): return x"),
)
TOOL = {
    "type": "function",
    "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}},
}
TURNS = 20
SEED = 7


def held(chat: ck.Chat, name: str, drawn: random.Random) -> list[dict[str, Any]]:
    """One conversation, and what was foretold and reported for each of its requests."""
    scope = ck.Scope("bench", "user", name)
    talk, found = chat.conversation(scope), []
    for turn in range(TURNS):
        question = QUESTIONS[drawn.randrange(len(QUESTIONS))]
        if turn % 6 == 4:
            with talk.stream(question) as stream:
                for _ in stream:
                    break
        if turn == 9:
            talk = chat.conversation(scope)
        reply = talk.send(question)
        context, usage = reply.context, reply.usage
        foreseen = context.forecast.loss.cause
        found.append(
            {
                "input_equal": usage.input_tokens == context.tokens,
                "forecast": context.forecast.cache_read_tokens,
                "read": usage.cache_read_tokens,
                "cause": context.compared.explanation(usage).cause,
                "cut": foreseen == "prefix moved",
                "left": turn % 6 == 4,
            }
        )
    return found[1:]


def measure(requests: int) -> dict[str, Any]:
    """The figures, and every request whose forecast was not met."""
    drawn = random.Random(SEED)
    found: dict[str, list[dict[str, Any]]] = {"ordinary": [], "sampled": [], "one letter": []}
    with LocalServer(n_ctx=1024, threads=1) as server, server.client() as client:
        counter = ck.ContextBuilder(server.model, limit=900).counter
        (letter,) = counter.encode("a")
        number = 0
        while len(found["ordinary"]) < requests:
            kind = {5: "sampled", 6: "one letter"}.get(number % 7, "ordinary")
            options = {"max_tokens": 8, "temperature": 0.0, "seed": number}
            if kind == "sampled":
                options["temperature"] = 1.0
            if kind == "one letter":
                options["logit_bias"] = {str(letter): 100}
            chat = ck.Chat(
                client,
                model=server.model,
                system=SYSTEM,
                options=options,
                limit=drawn.choice((330, 420, 560)),
                tools=[TOOL] if number % 2 else [],
                tail=[ck.Volatile("turn", lambda: str(drawn.randrange(9)), share=40)]
                if number % 3
                else [],
            )
            found[kind] += held(chat, str(number), drawn)
            number += 1
            print(f"\r{len(found['ordinary'])} requests", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {kind: figures(requests) for kind, requests in found.items()}


def figures(found: list[dict[str, Any]]) -> dict[str, Any]:
    """How many are equal, and what the others are explained by."""
    wrong = [one for one in found if one["forecast"] != one["read"]]
    return {
        "requests": len(found),
        "input_equal": sum(one["input_equal"] for one in found),
        "equal": len(found) - len(wrong),
        "cuts": sum(one["cut"] for one in found),
        "left_and_asked_again": sum(one["left"] for one in found),
        "causes_of_others": dict(Counter(str(one["cause"]) for one in wrong)),
        "others": wrong,
    }


def table(result: Outcome) -> str:
    """The figures as Markdown."""
    heads = ["replies", "requests", "forecasts equal", "input equal", "cuts", "left, asked again"]
    rows = []
    for name, one in result["found"].items():
        causes = ", ".join(f"{count} {cause}" for cause, count in one["causes_of_others"].items())
        counts = (one[key] for key in ("requests", "equal", "input_equal", "cuts"))
        left = one["left_and_asked_again"]
        rows.append([name, *(f"{count:,}" for count in counts), f"{left:,}", causes or "-"])
    return "\n".join([markdown([*heads, "causes of the others"], rows), "", below(result)])


def main() -> int:
    """Measure and print."""

    def run(given: Any) -> Outcome:
        return {
            "benchmark": "forecast_exact",
            "made": made(SEED, "xllamacpp", quick=given.quick),
            "found": measure(18 if given.quick else given.requests),
        }

    return command(
        __doc__,
        run,
        table,
        quick="18 requests",
        options=lambda parser: parser.add_argument("--requests", type=int, default=300),
    )


if __name__ == "__main__":
    sys.exit(main())
