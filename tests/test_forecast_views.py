"""Forecasts over several views: only what was sent can be in a cache, and the ledger agrees."""

from __future__ import annotations

import random
from typing import Any

import pytest

import contextkit as ck
from contextkit.caching.past import ledger_of
from contextkit.usage import Usage
from tests.support import answer, builder, call, result, tool, user

RULES = "Rules of the house. " * 150
MODELS = (
    *[("qwen-plus", "explicit"), ("qwen-plus", None), ("gpt-5.6", None), ("gpt-4o", None)],
    *[("claude-sonnet-4-5", "explicit"), ("deepseek-v4-flash", None), ("qwen3-max", "auto")],
)


def two(seed: int) -> tuple[random.Random, list[ck.ContextBuilder]]:
    """Two builders; for two models of one view, or of two views."""
    drawn = random.Random(seed)
    views = ("main", "main" if drawn.random() < 0.3 else "other")
    compaction = drawn.choice(([], [ck.ClearToolResults(keep_last=1)], None))
    options = {} if compaction is None else {"compaction": compaction}
    documents = [user("Document. " * 100)] if drawn.random() < 0.4 else []
    return drawn, [
        builder(
            model=model,
            cache=cache,
            budget=ck.Budget(limit=4_000, target=1_500),
            documents=documents,
            tools=[tool("look")],
            view=view,
            **options,
        )
        for (model, cache), view in zip(drawn.sample(MODELS, 2), views, strict=True)
    ]


@pytest.mark.parametrize("seed", range(25))
def test_forecast_report_and_ledger_agree(seed: int) -> None:
    """Four runs each: two models take turns, with cuts, tool loops, answers not reported."""
    for run in range(4):
        drawn, builders = two(100 * seed + run)
        history, current = ck.History(system=RULES), 0
        live: list[tuple[Any, ...]] = []
        for turn in range(10):
            if drawn.random() < 0.3:
                current = 1 - current
            history.append(f"q{turn} " * drawn.randrange(5, 200))
            steps = drawn.choice((1, 1, 3))
            for step in range(steps):
                previewed = builders[current].preview(history)
                context = builders[current].build(history)
                forecast = context.forecast
                assert forecast == previewed.forecast
                read = drawn.choice((forecast.cache_read_tokens, forecast.cache_read_tokens, 0))
                usage = Usage(input_tokens=context.tokens, cache_read_tokens=read)
                last = step == steps - 1
                number = history.append(
                    answer(f"a{turn} " * drawn.randrange(5, 100))
                    if last
                    else call(f"{turn}-{step}")
                )
                if drawn.random() < 0.9:
                    history.report(number, usage)
                    found = context.report.explanation
                    assert found is not None
                    live.append((forecast.cache_read_tokens, read, found.cause, found.tokens))
                if not last:
                    history.append(result(f"{turn}-{step}", "row " * drawn.randrange(5, 200)))
        ledger = ledger_of(history, {made.model: made.counter for made in builders})

        assert live == [
            (row.forecast, row.usage.cache_read_tokens, row.cause, row.missed)
            for row in ledger.rows
        ]


def test_what_a_view_catches_up_on_was_never_sent() -> None:
    """The new view records a cut at an earlier point; no request was made for that one."""
    first, other = builder(20_000), builder(3_500, model="gpt-4o", view="other")
    history = ck.History(system="S " * 4_000)
    for n in range(8):
        history.append(f"q{n} " * 200)
        first.build(history)
        history.append(answer(f"a{n} " * 200))
    history.append("now you")
    context = other.build(history)
    caught_up = [made.point for made in history.decisions("other")]

    assert len(caught_up) > 1
    assert context.forecast.cache_read_tokens == 0
    assert context.forecast.loss.cause == "model changed"
    history.append(answer("yes"))
    history.append("go on")
    assert (other.build(history).forecast.cache_read_tokens or 0) > 2_500


def test_what_a_returning_view_catches_up_on_moves_its_prefix() -> None:
    """Cuts at points that another model answered: what the view had sent before is not there."""
    first, other = builder(3_500), builder(20_000, model="gpt-4o", view="other")
    history = ck.History(system="S " * 2_000)
    history.append("one " * 200)
    first.build(history)
    for n in range(8):
        history.append(answer(f"a{n} " * 200))
        history.append(f"q{n} " * 200)
        other.build(history)
    history.append(answer("so"))
    history.append("back to you")
    previewed, context = first.preview(history), first.build(history)
    *between, final = history.decisions("main")

    assert any(made.edits for made in between)
    assert not final.edits
    assert context.forecast == previewed.forecast
    assert context.forecast.loss.cause == "prefix moved"
    assert "drop" in context.forecast.loss.source


def test_of_an_imported_history_nothing_was_sent() -> None:
    messages = [
        message for n in range(8) for message in (user(f"q{n} " * 200), answer(f"a{n} " * 200))
    ]
    history = ck.History([*messages, user("now")], system="S " * 4_000)
    context = builder(3_500).build(history)

    assert len(history.decisions("main")) > 1
    assert (context.forecast.cache_read_tokens, context.forecast.loss.cause) == (0, None)
