"""The ledger: per conversation and in total, from the log, from a chat, from a wrapped client."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI

import contextkit as ck
from contextkit.caching.costs import Cost
from contextkit.caching.ledger import Row
from contextkit.caching.past import ledger_of
from contextkit.calls import Call, Wrapping
from contextkit.usage import Usage
from tests.scripted_provider import ScriptedProvider
from tests.support import SCOPE, Characters, answer, builder, chat, user
from tests.wrapping import ask, bare

RULES = "SECRET rules of the house. " * 400  # 2,700 tokens


def reported(tokens: int, read: int | None, output: int = 5) -> Usage:
    return Usage(input_tokens=tokens, cache_read_tokens=read, output_tokens=output)


def held(turns: int, *, read: float = 1.0, model: str = "qwen-plus") -> ck.History:
    """A conversation of which every request read a share of what was foretold."""
    history, made = ck.History(system=RULES, scope=SCOPE), builder(9_000, model=model)
    for n in range(turns):
        history.append(f"SECRET question {n}")
        context = made.build(history)
        foretold = context.forecast.cache_read_tokens or 0
        number = history.append(answer(f"SECRET answer {n}"))
        history.report(number, reported(context.tokens, int(foretold * read)))
    return history


def of(history: ck.History) -> ck.Ledger:
    counters = {name: builder(model=name).counter for name in ("qwen-plus", "gpt-4o")}
    return ledger_of(history, counters)


def test_a_conversation_has_its_ledger_in_its_log() -> None:
    history = held(6)
    ledger = of(history)
    totals = ledger.totals

    assert [row.point for row in ledger.rows] == [2, 4, 6, 8, 10, 12]
    assert [row.forecast for row in ledger.rows] == [
        row.usage.cache_read_tokens for row in ledger.rows
    ]
    assert totals.requests == totals.foretold == totals.equal == 6
    assert totals.hit_ratio == totals.cache_read_tokens / totals.input_tokens
    assert totals.hit_ratio > 0.7
    assert totals.misses == {}
    assert 0 < totals.cost < 0.5 * totals.uncached
    assert of(ck.History.loads(history.dumps())).to_json() == ledger.to_json()


def test_a_forecast_made_before_is_the_one_in_the_log() -> None:
    history, made, before = ck.History(system=RULES), builder(6_000), []
    for n in range(40):  # with cuts
        history.append(f"question {n} " * 60)
        context = made.build(history)
        before.append((context.forecast.cache_read_tokens, context.forecast.loss.cause))
        number = history.append(answer(f"answer {n} " * 60))
        history.report(number, reported(context.tokens, context.forecast.cache_read_tokens))
    rows = of(history).rows

    assert [(row.forecast, row.cause) for row in rows] == before
    assert {cause for _, cause in before} == {None, "prefix moved"}


def test_misses_are_summed_by_cause() -> None:
    history = held(5, read=0.0)
    totals = of(history).totals

    assert totals.hit_ratio == 0
    assert set(totals.misses or {}) == {"not kept by the provider"}
    assert sum((totals.misses or {}).values()) > 4 * 2_500
    assert totals.cost == totals.uncached
    assert totals.equal == 1, "only the first one, which had nothing to read"


def test_another_model_is_cold_and_says_so_beforehand() -> None:
    history = held(3)
    history.append("SECRET on")
    context = builder(9_000, model="gpt-4o").build(history)

    assert context.forecast.cache_read_tokens == 0
    assert context.forecast.loss.cause == "model changed"
    (warning,) = context.report.warnings
    assert "qwen-plus became gpt-4o" in warning
    assert f"{context.forecast.loss.tokens:,} tokens" in warning
    assert "USD" in warning
    number = history.append(answer("so"))
    history.report(number, reported(context.tokens, 0))
    assert of(history).rows[-1].cause == "model changed"
    history.append("SECRET and on")
    again = builder(9_000, model="gpt-4o").build(history)
    assert again.forecast.loss.cause is None
    assert (again.forecast.cache_read_tokens or 0) > 2_000
    assert again.report.warnings == ()


def test_requests_without_usage_or_profile_are_left_out() -> None:
    history = held(2)
    history.extend([user("a"), answer("b"), user("c")])
    builder(9_000).build(history)
    history.extend([user("d"), answer("not to what was built")])
    history.report(len(history) - 1, reported(3_000, 0))
    house = ck.History(held(1, model="generic"))

    assert len(of(history)) == 2
    assert len(of(house)) == 0


def test_a_ledger_has_bounded_rows_and_whole_totals() -> None:
    ledger = ck.Ledger(last=2)
    cost = Cost(50.0, None, 0.5, "USD")
    for n in range(5):
        ledger.add(Row(n, "m", 50, reported(100, 50), cost, Cost(100.0, None, 1.0, "USD")))
    ledger.add(Row(9, "m", None, reported(100, None)))
    totals = ledger.totals

    assert [row.point for row in ledger.rows] == [4, 9]
    assert (totals.requests, totals.hit_ratio, totals.foretold) == (6, 0.5, 5)
    assert (totals.cost, totals.uncached, totals.unknown) == (250.0, 500.0, 1)
    assert (totals.money, totals.uncached_money) == ({"USD": 2.5}, {"USD": 5.0})
    assert "2.500000 USD; without a cache 5.000000 USD" in str(ledger)
    assert "prices not known: 1 of" in str(ledger)


def test_an_empty_ledger_can_be_shown() -> None:
    ledger = ck.Ledger()

    assert ledger.totals.hit_ratio is None
    assert "0 requests" in str(ledger)
    assert "<table>" in ledger._repr_html_()


def test_threads_enter_into_one_ledger() -> None:
    ledger = ck.Ledger(last=10)

    def enter() -> None:
        for n in range(500):
            ledger.add(Row(n, "m", 1, reported(2, 1), Cost(1.0), Cost(2.0), "expired", 1))

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    totals = ledger.totals
    assert (totals.requests, totals.cost, totals.misses) == (2_000, 2_000.0, {"expired": 2_000})


def test_it_holds_no_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ledger = of(held(4, read=0.0))
        shown = str(ledger) + json.dumps(ledger.to_json()) + ledger._repr_html_()

    assert "not kept by the provider" in shown
    assert "SECRET" not in shown + caplog.text
    assert "<script>" not in ck.Ledger([Row(1, "<script>", 1, reported(2, 1))])._repr_html_()


# -- what enters it ---------------------------------------------------------------------------


def test_a_chat_enters_what_it_asked(provider: ScriptedProvider, tmp_path: Path) -> None:
    with bare(provider) as client:
        store = tmp_path / "chat.db"
        with ck.Chat(client, model="gpt-4o", store=store, system=RULES) as chat:
            talks = [chat.conversation(ck.Scope("a", "u", name)) for name in "12"]
            for n in range(3):
                for talk in talks:
                    talk.send(f"question {n}")
            list(talks[0].stream("streamed"))
            assert [len(talk.ledger) for talk in talks] == [4, 3]
            assert len(chat.ledger) == 7
            rows = talks[0].ledger.rows
            assert set(rows) <= set(chat.ledger.rows)
        with ck.Chat(client, model="gpt-4o-mini", store=store) as chat:
            talk = chat.conversation(ck.Scope("a", "u", "1"))
            assert talk.ledger.rows == rows
            assert talk.history.decisions("main gpt-4o-mini") == []
            talk.send("and now?")
            assert talk.context is not None
            assert talk.context.view.name == "main gpt-4o-mini"
            assert "gpt-4o became gpt-4o-mini" in str(talk.report)
            assert [row.model for row in talk.ledger.rows] == ["gpt-4o"] * 4 + ["gpt-4o-mini"]
            assert len(chat.ledger) == 1
            talk.send("and then?")
            assert talk.context.forecast.loss.cause is None


def test_a_ledger_that_fails_loses_no_reply(
    provider: ScriptedProvider, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(Row, "of", fail)
    with bare(provider) as client:
        with ck.Chat(client, model="gpt-4o") as chat:
            talk = chat.conversation(SCOPE)
            assert str(talk.send("Hello")) == "ok 1"
        assert ask(ck.wrap(client), [user("Hello")]).choices[0].message.content == "ok 2"
    assert caplog.text.count("could not be entered") == 2


def test_a_wrapped_client_enters_what_it_asked(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client, counter=Characters())
        messages = [{"role": "system", "content": RULES}]
        for n in range(3):
            messages.append(user(f"question {n}"))
            reply = ask(wrapped.scoped(SCOPE), messages)
            messages.append(reply.choices[0].message.to_dict())
        messages.append(user("streamed"))
        usage = {"stream": True, "stream_options": {"include_usage": True}}
        list(ask(wrapped, messages, **usage))
        list(ask(wrapped, messages, stream=True))
        raw = wrapped.chat.completions.with_raw_response.create(model="gpt-4o", messages=messages)
        raw.parse()
    ledger = wrapped.ledger

    assert [row.point for row in ledger.rows] == [2, 4, 6, 8, 8]
    assert ledger is wrapped.scoped(SCOPE).ledger is wrapped.with_options(timeout=1).ledger
    assert ledger.rows[-2].usage.input_tokens is not None
    assert [row.forecast > 0 for row in ledger.rows if row.forecast is not None] == [
        *[False, True, True, False, True]
    ]


def test_the_async_twin_enters_too(provider: ScriptedProvider) -> None:
    async def asking() -> Any:
        settings = {"base_url": provider.base_url, "api_key": "none", "max_retries": 0}
        async with AsyncOpenAI(**settings) as client:
            wrapped = ck.wrap(client)
            await ask(wrapped, [user("Hello")])
            usage = {"stream": True, "stream_options": {"include_usage": True}}
            async for _ in await ask(wrapped, [user("Hello")], **usage):
                pass
            async with ck.AsyncChat(client, model="gpt-4o") as chat:
                talk = await chat.conversation(SCOPE)
                await talk.send("Hello")
                return wrapped.ledger, chat.ledger, talk.ledger

    assert [len(ledger) for ledger in asyncio.run(asking())] == [2, 1, 1]


def python_calls(action: Callable[[], object]) -> int:
    """How many Python functions an action calls, those of loops included."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("model", ["gpt-4o", "qwen-plus"])
@pytest.mark.parametrize("read", [0, 1], ids=["missed", "read"])
def test_a_row_is_made_of_what_is_new(model: str, read: int) -> None:
    def calls(turns: int) -> int:
        wrapping = Wrapping({"counter": Characters(), "limit": 100_000}, {}, None)
        messages = chat(turns, size=90)
        for turn in range(4):
            built = Call.of(wrapping, {"model": model, "messages": messages}, None).build()
            tokens = built.context.tokens
            usage = reported(tokens, read * (tokens - 200))
            # The second one on: the first sees all messages for the first time.
            made = python_calls(lambda: built.reported(usage))  # noqa: B023 - called at once
            messages = [*messages, answer(f"{turn} " * 30), user(f"{turn}? " * 30)]
        assert len(wrapping.ledger) == 4
        return made

    assert calls(900) <= 1.3 * calls(30)


def test_the_row_of_a_cut_folds_nothing_again() -> None:
    counter = Characters()
    wrapping = Wrapping({"counter": counter, "limit": 3_000}, {}, None)
    messages, cuts = chat(60, size=90), 0
    for turn in range(30):
        built = Call.of(wrapping, {"model": "gpt-4o", "messages": messages}, None).build()
        before = counter.calls
        built.reported(reported(built.context.tokens, 0))
        cuts += bool(turn and built.context.edits)
        if turn:
            assert counter.calls - before <= 10  # tools and what opens the reply; no message
        messages = [*messages, answer(f"{turn} " * 30), user(f"{turn}? " * 90)]

    assert cuts >= 2
