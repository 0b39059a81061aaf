"""Forecast: what a context will read from the cache, by the log alone; joined by the report."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from contextkit.caching.blocks import Sent, blocks_of
from contextkit.caching.faults import Cause
from contextkit.caching.forecast import Forecast
from contextkit.caching.past import ledger_of
from contextkit.caching.simulator import Simulator
from contextkit.usage import Usage
from tests.scripted_provider import ScriptedProvider
from tests.support import (
    SCOPE,
    Characters,
    answer,
    builder,
    call,
    result,
    system,
    tool,
    user,
)
from tests.wrapping import ask, bare

RULES = "Rules of the house, all of them. " * 540  # 4,455 tokens


def started(**options: Any) -> tuple[ck.History, ck.ContextBuilder]:
    return ck.History(system=RULES), builder(9_500, **options)


@pytest.mark.parametrize(
    ("model", "cache"),
    [
        *[("qwen-plus", None), ("qwen-plus", "explicit"), ("gpt-4o", None), ("gpt-5.6", None)],
        *[("claude-sonnet-4-5", "explicit"), ("qwen4-max", "explicit"), ("gemini-2.5", None)],
        ("deepseek-v4-flash", None),
    ],
)
def test_it_is_what_a_provider_with_these_rules_reports(model: str, cache: str | None) -> None:
    """Knowing one earlier request is as good as knowing all: with tool loops and cuts."""
    history, made = started(
        model=model, tools=[tool("look")], **({"cache": cache} if cache else {})
    )
    drawn, simulator = random.Random(3), None
    differ: list[str] = []
    causes: Counter[Cause | None] = Counter()
    for turn in range(40):
        history.append(f"q{turn} " * drawn.randrange(5, 300))
        for step in range(drawn.randrange(1, 4)):
            if step:
                history.append(result(f"c{turn}", "row " * drawn.randrange(5, 200)))
            context = made.build(history)
            rules = context.compared.rules
            assert rules is not None
            simulator = simulator or Simulator(rules)
            reply = call(f"c{turn}")
            *said, _ = blocks_of({"messages": [reply]}, context.counter)
            sent = Sent(context.blocks, at=10.0 * len(history), reply=tuple(said))
            usage = simulator.send(sent)
            forecast = context.forecast
            found = context.compared.explanation(usage)
            causes[found.cause] += 1
            # No more can be missed than is there and was not read.
            assert 0 <= (found.tokens or 0) <= context.tokens - (usage.cache_read_tokens or 0)
            foretold = (forecast.cache_read_tokens, forecast.cache_write_tokens)
            if foretold != (usage.cache_read_tokens, usage.cache_write_tokens):
                differ.append(f"{foretold}: {usage}")
            assert forecast.input_tokens == context.tokens == usage.input_tokens
            history.report(history.append(reply), usage)
        history.append(result(f"c{turn}", "done"))
        history.append(answer("so"))

    assert set(causes) == {None, "prefix moved"}
    assert causes["prefix moved"] >= 2
    # Of units it would have to know where any two requests parted.
    assert len(differ) <= (causes["prefix moved"] if model.startswith("deepseek") else 0)


def test_what_is_lost_beforehand_has_its_cause() -> None:
    history, made = started(tools=[tool("look")])
    history.append("one")
    first = made.build(history)
    history.extend([answer("a"), user("two")])
    again = made.preview(history)
    other = builder(9_500, tools=[tool("look"), tool("pay")]).build(history)

    assert (first.forecast.cache_read_tokens, first.forecast.loss.cause) == (0, None)
    assert (again.forecast.cache_read_tokens or 0) > 4_300
    assert again.forecast.loss.cause is None
    assert other.forecast.cache_read_tokens == 0
    assert other.forecast.loss.cause == "tools changed"
    assert "added: 'pay'" in str(other.report)
    short = ck.History([user("one")])
    made.build(short)
    short.extend([answer("a" * 2_000), user("two " * 300)])
    assert made.build(short).forecast.cache_read_tokens == 0


def test_a_forecast_never_blames_the_provider() -> None:
    """The library's own cut, where the system block is longer than the history."""
    history, made = ck.History(system="Rules. " * 4_000), builder(9_500, model="deepseek-v4-flash")
    losses = []
    for turn in range(12):
        history.append(f"q{turn} " * 300)
        context = made.build(history)
        if context.edits:
            losses.append((context.forecast.loss.cause, context.forecast.loss.source))
        else:
            assert context.forecast.loss.cause is None
        history.append(answer(f"a{turn} " * 300))

    assert len(losses) >= 2
    assert set(losses) == {("prefix moved", "1 drop by DropOldest")}


def test_the_clock_of_the_schedule_tells_what_has_expired() -> None:
    now = [1_000.0]
    schedule = ck.WhenItPays(clock=lambda: now[0])
    history, made = started(model="gpt-5.6", schedule=schedule)
    history.append("one")
    made.build(history)
    read = []
    for seconds in (60.0, 4_000.0):
        now[0] += seconds
        history.extend([answer("a"), user("two")])
        context = made.build(history)
        read.append((bool(context.forecast.cache_read_tokens), context.forecast.loss.cause))

    assert read == [(True, None), (False, "expired")]
    assert "4,000 s between" in str(context.report)


def test_a_request_built_twice_is_in_the_cache() -> None:
    history, made = started()
    history.append("one")
    first, second = made.build(history), made.build(history)

    assert first.forecast.cache_read_tokens == 0
    assert second.forecast.cache_read_tokens == first.tokens // 128 * 128


def test_the_report_joins_it_with_what_came_back() -> None:
    history, made = started()
    for text in ("SECRET one", "SECRET two"):
        history.append(text)
        context = made.build(history)
        before = str(context.report)
        number = history.append(answer("SECRET"))
    read = context.forecast.cache_read_tokens
    assert read
    assert f"forecast: {read:,} of {context.tokens:,} tokens from the cache" in before
    assert "reported" not in before

    history.report(number, Usage(input_tokens=context.tokens, cache_read_tokens=0))
    report = context.report
    data = json.loads(json.dumps(report.to_json()))
    assert "; reported 0" in str(report)
    assert "not kept by the provider" in str(report)
    assert data["forecast"]["cache_read_tokens"] == read
    assert data["explanation"]["cause"] == "not kept by the provider"
    assert data["explanation"]["tokens"] == read
    for text in (str(report), report._repr_html_()):
        assert f"{read:,} of {context.tokens:,}" in text
        assert "not kept by the provider" in text
        assert "SECRET" not in text


def test_a_model_whose_cache_is_not_known() -> None:
    history, made = started(model="generic")
    history.append("one")
    made.build(history)
    history.extend([answer("a"), user("two")])
    context = made.build(history)

    assert context.forecast.cache_read_tokens is None
    assert context.forecast.cost is None
    assert "rules of this model's cache are not known" in str(context.report)
    json.dumps(context.report.to_json())


def test_a_forecast_costs_money() -> None:
    history, made = started(model="gpt-4o")
    history.append("one")
    first = made.build(history)
    history.extend([answer("a"), user("two")])
    second = made.build(history)

    assert first.forecast.cost is not None
    assert first.forecast.cost.money == pytest.approx(first.tokens * 2.5e-6)
    assert second.forecast.cost is not None
    plain = second.tokens - 0.5 * (second.forecast.cache_read_tokens or 0)
    assert second.forecast.cost.money == pytest.approx(plain * 2.5e-6)
    assert "USD" in str(second.forecast)


class Watch:
    """A clock that a test sets, in place of the wall's."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_800_000_000.0
        monkeypatch.setattr("contextkit.builder.time", lambda: self.now)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    return Watch(monkeypatch)


def test_without_a_clock_in_the_schedule_what_has_expired_is_known_too(watch: Watch) -> None:
    """Of a kept history, and of its log after it was loaded again."""
    history, made = started(cache="explicit")
    history.append("one")
    live = []
    for seconds in (0.0, 60.0, 4_000.0):
        watch.now += seconds
        context = made.build(history)
        assert made.preview(history).forecast.input_tokens == context.tokens
        forecast = context.forecast
        usage = Usage(input_tokens=context.tokens, cache_read_tokens=forecast.cache_read_tokens)
        watch.now += 5.0  # until the answer comes: the time counts from the request
        history.report(history.append(answer("a")), usage)
        explanation = context.report.explanation
        assert explanation is not None
        live.append((bool(forecast.cache_read_tokens), forecast.loss.cause, explanation.cause))
        history.append("two")
    loaded = ck.History.loads(history.dumps())
    rows = [ledger_of(one, {"qwen-plus": made.counter}).rows for one in (history, loaded)]

    assert live == [(False, None, None), (True, None, None), (False, "expired", "expired")]
    assert rows[0] == rows[1]
    assert [row.cause for row in rows[1]] == [None, None, "expired"]
    assert made.build(loaded).forecast.cache_read_tokens
    assert not any(decision.time for decision in loaded.decisions("main"))


def test_the_time_of_a_request_can_be_given(watch: Watch) -> None:
    """Of one that was sent elsewhere."""
    causes = []
    for ago in (100.0, 400.0):
        history, made = started(cache="explicit")
        history.append("one")
        context = made.build(history)
        number = history.append(answer("a"))
        history.report(number, Usage(input_tokens=context.tokens), time=watch.now - ago)
        history.append("two")
        causes.append(made.build(history).forecast.loss.cause)

    assert causes == [None, "expired"]


def test_a_chat_knows_how_long_ago_its_last_request_was(
    watch: Watch, tmp_path: Path, provider: ScriptedProvider
) -> None:
    """Also one that is opened anew, where the log in the store is all that is known."""
    read, causes = [], []
    for seconds in (0.0, 60.0, 4_000.0):
        watch.now += seconds
        options = {"limit": 9_500, "counter": Characters(), "cache": "explicit"}
        store = tmp_path / "kept.db"
        with (
            bare(provider) as client,
            ck.Chat(client, model="qwen-plus", store=store, system=RULES, **options) as chat,
        ):
            reply = chat.conversation(SCOPE).send("one")
        read.append(bool(reply.context.forecast.cache_read_tokens))
        causes.append(reply.context.forecast.loss.cause)

    assert read == [False, True, False]
    assert causes == [None, None, "expired"]


def test_a_wrapped_client_knows_how_long_ago_its_last_request_was(
    watch: Watch, provider: ScriptedProvider
) -> None:
    forecasts: list[Forecast] = []
    messages: list[dict[str, Any]] = [system(RULES)]
    with bare(provider) as client:
        options: dict[str, Any] = {"limit": 9_500, "counter": Characters(), "cache": "explicit"}
        wrapped = ck.wrap(
            client, on_request=lambda report: forecasts.append(report.forecast), **options
        )
        for seconds in (0.0, 60.0, 4_000.0):
            watch.now += seconds
            messages.append(user("one"))
            reply = ask(wrapped, messages, "qwen-plus")
            messages.append(answer(reply.choices[0].message.content))

    assert [bool(one.cache_read_tokens) for one in forecasts] == [False, True, False]
    assert [one.loss.cause for one in forecasts] == [None, None, "expired"]


def test_a_clock_counts_although_prices_are_not_known() -> None:
    """The schedule gives way to the limit then; its clock still tells what has expired."""
    now = [0.0]
    history, made = started(
        model="qwen4-max", cache="explicit", schedule=ck.WhenItPays(clock=lambda: now[0])
    )
    causes = []
    for seconds in (0.0, 60.0, 4_000.0):
        now[0] += seconds
        history.append("one")
        causes.append(made.build(history).forecast.loss.cause)
        history.append(answer("a"))

    assert made.schedule == ck.AtLimit()
    assert causes == [None, None, "expired"]


def test_where_no_time_is_known_the_provider_is_not_blamed_alone(watch: Watch) -> None:
    history, made = started(cache="explicit")
    history.append("one")
    made.build(history)
    history.append(answer("a"))
    loaded = ck.History.loads(history.dumps())  # no usage was reported, so no time kept
    loaded.append("two")
    context = made.build(loaded)
    written = context.tokens - 10
    usage = Usage(input_tokens=context.tokens, cache_read_tokens=0, cache_write_tokens=written)
    loaded.report(loaded.append(answer("b")), usage)

    assert "or expired: how long ago" in str(context.report.explanation)
