"""The forecast of a chat against what the real server reports: equal, or explained."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import contextkit as ck
from contextkit.providers.local import LocalServer
from tests.support import tool

SYSTEM = "You are a terse assistant. Answer in one sentence."
OPTIONS = {"max_tokens": 3, "temperature": 0, "seed": 1}
QUESTIONS = (
    *("Name a river in Spain.", "Why is it famous?", "Compare: a  b\n\n- c", "What is 数学?"),
    *("\n\nSay hi", "ok", "Explain rain in one line.", '{"a": [1, 2], "b": "x"}', "Ещё раз?"),
)


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(n_ctx=1024, threads=1) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: LocalServer) -> Iterator[Any]:
    with server.client() as connected:
        yield connected


class Forecasts:
    """What was foretold and what was reported, request by request."""

    def __init__(self) -> None:
        self.causes: Counter[str | None] = Counter()
        self.wrong: list[str] = []

    def take(self, talk: Any, reply: ck.chat.Reply, *, left: bool = False) -> None:
        forecast, usage = reply.context.forecast, reply.usage
        explanation = reply.context.compared.explanation(usage)
        self.causes[explanation.cause] += 1
        assert forecast.input_tokens == usage.input_tokens == reply.context.tokens
        if forecast.cache_read_tokens != usage.cache_read_tokens:
            self.wrong.append(f"{forecast}; reported {usage.cache_read_tokens}: {explanation}")
        row = talk.ledger.rows[-1]
        assert row.usage == usage
        if not left:  # of which the log knows nothing
            assert row.forecast == forecast.cache_read_tokens
            assert row.cause == explanation.cause


def test_ordinary_requests_of_a_chat_are_foretold(server: LocalServer, client: Any) -> None:
    seen, at_random = Forecasts(), random.Random(7)
    chat = ck.Chat(
        client,
        model=server.model,
        system=SYSTEM,
        options=OPTIONS,
        limit=330,
        tools=[tool("look_up", properties={"day": {"type": "string"}})],
        tail=[ck.Volatile("turn", lambda: str(at_random.randrange(9)), share=40)],
    )
    for name in "12":
        talk = chat.conversation(ck.Scope("t", "u", name))
        for n in range(13):
            question = QUESTIONS[at_random.randrange(len(QUESTIONS))]
            left = n % 4 == 3
            if left:  # in the middle; asked again
                with talk.stream(question) as stream:
                    for _ in stream:
                        break
            reply = talk.send(question)
            if n:  # what the server has of other conversations, nobody here knows
                seen.take(talk, reply, left=left)
        talk = chat.conversation(ck.Scope("t", "u", name))  # reopened
        seen.take(talk, talk.send("Hello again."))

    assert not seen.wrong
    assert set(seen.causes) == {None, "prefix moved"}
    assert seen.causes["prefix moved"] >= 3


def test_a_reply_that_tokenises_otherwise_is_named(server: LocalServer, client: Any) -> None:
    """The model is made to say `a` again and again, which is fewer tokens when it is read back."""
    seen = Forecasts()
    counter = ck.ContextBuilder(server.model, limit=900).counter
    (letter,) = counter.encode("a")
    options = {**OPTIONS, "max_tokens": 12, "logit_bias": {str(letter): 100}}
    chat = ck.Chat(client, model=server.model, system=SYSTEM, options=options)
    talk = chat.conversation(ck.Scope("t", "u", "a"))
    talk.send("Say a.")
    assert len(counter.encode("a" * 12)) < 12
    for question in ("Again.", "And again."):
        seen.take(talk, talk.send(question))

    assert seen.causes == {"reply tokenised otherwise": 2}
    assert all("of 12 on" in text for text in seen.wrong)


def test_a_slot_that_another_conversation_took_is_named(server: LocalServer, client: Any) -> None:
    seen = Forecasts()
    chat = ck.Chat(client, model=server.model, options=OPTIONS)
    one, two = (chat.conversation(ck.Scope("t", "u", name)) for name in ("one", "two"))
    one.send("Tell me about the sea and about the wind. " * 3)
    two.send("Was it cold in the house of the king? " * 3)
    seen.take(one, one.send("Go on."))
    seen.take(one, one.send("Go on."))

    assert seen.causes == {"not kept by the provider": 1, None: 1}
    assert len(seen.wrong) == 1


def test_a_wrapped_client_foretells_too(server: LocalServer, client: Any) -> None:
    wrapped = ck.wrap(client, limit=330)
    messages: list[dict[str, Any]] = [{"role": "system", "content": SYSTEM}]
    for n in range(8):
        messages.append({"role": "user", "content": QUESTIONS[n]})
        for _ in range(1 + n % 2):  # every other answer is regenerated
            reply = wrapped.chat.completions.create(
                model=server.model, messages=messages, **OPTIONS
            )
        messages.append(reply.choices[0].message.to_dict())
    _, *rows = wrapped.ledger.rows

    assert len(rows) == 11
    assert [row.forecast for row in rows] == [row.usage.cache_read_tokens for row in rows]
