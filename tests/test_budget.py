"""Budget and schedules: what holds, and when a cut is made before the limit forces it."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import BudgetError, BudgetExceeded, ContextKitError
from contextkit.figures import Figures, figures_of
from tests.conversations import Messages, conversations
from tests.support import answer, builder, call, chat, kinds, result, system, tool, user


@pytest.mark.parametrize(
    "figures",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": True},
        {"limit": 4_000.0},
        {"limit": "4000"},
        {"limit": None},
        {"limit": 100, "target": 0},
        {"limit": 100, "target": 101},
        {"limit": 100, "reserve": -1},
    ],
)
def test_a_budget_that_makes_no_sense_is_refused(figures: dict[str, Any]) -> None:
    with pytest.raises(BudgetError):
        ck.Budget(**figures)


def test_a_builder_refuses_budgets_that_cannot_be_met() -> None:
    with pytest.raises(BudgetError):
        ck.ContextBuilder("qwen-plus", budget=ck.Budget(100), limit=100)
    with pytest.raises(BudgetError):
        builder(budget=ck.Budget(100, reserve=10**9))
    with pytest.raises(BudgetError):
        ck.WhenItPays(read=2, write=1)
    with pytest.raises(BudgetError):
        ck.WhenItPays(read=float("nan"))


def test_the_window_less_the_reserve_holds_where_the_limit_is_larger() -> None:
    profile = ck.profile_for("qwen-plus")
    room = profile.window - 1_000 - profile.overhead
    context = builder(budget=ck.Budget(10**9, reserve=1_000)).build([user("x")])

    assert context.limit == room
    assert any("window" in text for text in context.report.warnings)
    assert builder(budget=ck.Budget(500, reserve=1_000)).build([user("x")]).limit == 500


@pytest.mark.parametrize(
    ("budget", "fixed", "share", "expected"),
    [
        (ck.Budget(1_000), 0, 0, 500),
        (ck.Budget(1_000), 200, 100, 350),
        (ck.Budget(1_000, target=300), 200, 100, 300),
        (ck.Budget(1_000, target=900), 0, 0, 500),
        (ck.Budget(1_000), 2_000, 0, 0),
    ],
)
def test_the_effective_target(budget: ck.Budget, fixed: int, share: int, expected: int) -> None:
    assert budget.goal_tokens(fixed, share) == expected


def test_a_compaction_comes_down_to_the_target_behind_the_system_block() -> None:
    history, built = ck.History(), builder(budget=ck.Budget(600, target=200), schedule=ck.AtLimit())
    cuts = 0
    for message in chat(30):
        history.append(message)
        if message["role"] == "user":
            context = built.build(history)
            if kinds(context):
                cuts += 1
                assert context.target == 200
                assert context.view.body_tokens <= 200
            assert context.tokens <= 600
    assert 2 <= cuts <= 5


def rule(f: Figures, r: float, w: float, fee: float, s: int, *, cold: bool) -> bool:
    """The rule as it stands in the note behind `WhenItPays`, line by line."""
    h, k, K, g, m = f.held, f.keep, f.target, f.newest, f.requests  # noqa: N806 - the letters of the formula
    x = h - k - s
    keep = w * h if cold else r * (h - g) + w * g
    cut = w * (k + s) + fee
    if x <= 0:
        return False
    if r == 0:
        return cut - keep <= 0
    rate = h / m
    radicand = 2 * ((w - r) * (K + s - rate) + fee) / (r * rate)
    n = sqrt(radicand) if radicand > 0 else 0.0
    y = min(x, n * rate)
    return cut - keep <= r * y * (n - 1 - y / (2 * rate))


@st.composite
def situations(draw: st.DrawFn) -> Figures:
    held = draw(st.integers(1, 50_000))
    return Figures(
        held=held,
        keep=draw(st.integers(0, held)),
        target=draw(st.integers(1, 20_000)),
        newest=draw(st.integers(0, held)),
        requests=draw(st.integers(1, 200)),
        idle=draw(st.sampled_from([None, 10.0, 301.0])),
    )


prices = st.sampled_from([(0.1, 1.25), (0.2, 1.0), (0.02, 1.0), (0.5, 1.0), (0.0, 1.0), (1.0, 1.0)])


@given(situations(), prices, st.sampled_from([0.0, 700.0]), st.sampled_from([0, 300]))
def test_when_it_pays_is_the_published_rule(
    figures: Figures, price: tuple[float, float], fee: float, left: int
) -> None:
    schedule = ck.WhenItPays(*price, fee=fee, ttl=300)
    figures = replace(figures, summary=left)
    cold = figures.idle is not None and figures.idle > 300

    assert schedule.due(figures) is rule(figures, *price, fee, left, cold=cold)


@given(situations(), prices)
def test_when_it_pays_has_the_properties_of_the_rule(
    figures: Figures, price: tuple[float, float]
) -> None:
    h, k, g = figures.held, figures.keep, figures.newest
    at_no_price = ck.WhenItPays(0.0, 1.0).due(figures)
    cold = Figures(h, k, figures.target, g, figures.requests, idle=1e9)

    assert not ck.AtLimit().due(figures)
    assert at_no_price is (h > k and k <= g)  # only where it costs nothing now
    # Without a fee a cold request is always cut, where there is anything to cut.
    if figures.target * figures.requests >= h and price[0] > 0:
        assert ck.WhenItPays(*price, ttl=300).due(cold) is (h > k)
    if h == k:
        assert not ck.WhenItPays(*price).due(figures)


def test_a_large_tool_result_makes_the_cut_cheap() -> None:
    usual = Figures(held=6_000, keep=1_900, target=2_000, newest=200, requests=30)
    large = Figures(held=6_000, keep=1_900, target=2_000, newest=1_800, requests=30)
    pays = ck.WhenItPays(0.5, 1.25)

    assert not ck.WhenItPays(0.02, 1.25).due(usual)
    assert pays.due(large)
    assert ck.WhenItPays(0.02, 1.25).due(large)


def test_what_a_schedule_is_told_of_a_chat() -> None:
    history = ck.History(chat(4))
    view = builder(100_000).build(history).view
    sizes = [group.tokens for group in view.groups]
    figures = figures_of(view, target=sum(sizes[-3:]))

    assert figures.held == sum(sizes)
    assert figures.newest == sum(sizes[-2:])  # the last answer and the question behind it
    assert figures.keep == sizes[-1] + sum(sizes[-3:-1])
    assert figures_of(view, target=sum(sizes[-3:]) - 1).keep < figures.keep
    assert figures_of(view, target=1).keep == 0
    assert figures.requests == 5


def test_what_a_schedule_is_told_of_an_agent_loop() -> None:
    loop = [user("do it")]
    for n in range(5):
        loop += [call(f"c{n}"), result(f"c{n}", "x" * 100)]
    view = builder(100_000).build(loop).view
    figures = figures_of(view, target=2 * view.groups[-1].tokens)

    assert figures.newest == view.groups[-1].tokens
    assert figures.keep == 2 * view.groups[-1].tokens
    assert figures.requests == 6


@given(conversations(), st.sampled_from([20, 60, 150]), st.sampled_from([200, 400, 1_000]))
def test_what_a_schedule_is_told_does_not_depend_on_earlier_looks(
    messages: Messages, target: int, limit: int
) -> None:
    history, built = ck.History(), builder(limit)
    for message in messages:
        history.append(message)
        try:
            view = built.build(history).view
        except ContextKitError:
            continue
        fresh = ck.fold(history, count=built.counter.message)
        looked = built._fold(history)
        assert figures_of(looked, target) == figures_of(view, target) == figures_of(fresh, target)


def cut_points(**options: Any) -> list[int]:
    history, built = ck.History(), builder(**options)
    found = []
    for message in chat(60):
        history.append(message)
        if message["role"] == "user" and kinds(built.build(history)):
            found.append(len(history))
    return found


def test_when_it_pays_cuts_before_the_limit_and_at_limit_does_not() -> None:
    budget = ck.Budget(1_000, target=400)
    at_limit = cut_points(budget=budget, schedule=ck.AtLimit())
    pays = cut_points(budget=budget, schedule=ck.WhenItPays(0.5, 1.0))
    free = cut_points(budget=budget, schedule=ck.WhenItPays(0.0, 1.0))

    assert at_limit == free
    assert pays[0] < at_limit[0]
    assert len(pays) > len(at_limit)


def test_the_default_schedule() -> None:
    with_target, unknown = ck.Budget(3_000, target=1_200), ck.profile_for("generic")
    rules = ck.profile_for("qwen-plus").cache()
    assert builder().schedule == ck.AtLimit()
    expected = ck.WhenItPays(rules.read, rules.write).at(ck.profile_for("qwen-plus"), rules)
    assert builder(budget=with_target).schedule == expected
    built = builder(budget=with_target, profile=unknown)
    assert built.schedule == ck.AtLimit()
    assert any("prices" in text for text in built.build([user("x")]).report.warnings)


def test_an_expired_cache_is_a_time_to_cut() -> None:
    now = [0.0]
    schedule = ck.WhenItPays(0.1, 1.25, ttl=300, clock=lambda: now[0])
    built = builder(budget=ck.Budget(4_000, target=300), schedule=schedule)
    found = []
    for wait in (10, 299, 301):
        history = ck.History(chat(12))
        found.append(kinds(built.build(history)))
        history.extend([answer("a"), user("b")])
        now[0] += wait
        context = built.build(history)
        now[0] += 1_000
        assert built.build(history).edits == ()
        found[-1] += kinds(context)

    assert found == [[], [], ["drop"]]


def test_what_cannot_fit_is_named_with_its_tokens() -> None:
    built = builder(
        300,
        tools=[tool("look", description="x" * 400)],
        tail=[ck.Volatile("now", lambda: 1, share=30)],
    )
    history = ck.History([system("s" * 200), user("u" * 400)])
    pin = history.append(answer("a"))
    history.append(user("p" * 400), pin=True)
    history.extend([answer("a"), user("q" * 400)])
    with pytest.raises(BudgetExceeded) as found:
        built.build(history)
    parts = found.value.parts

    assert pin == 2
    assert parts["tools"] == built.counter.fixed(built.plans.first.tools)
    assert parts["system"] == built.counter.message(history[0])
    assert parts["pins"] == built.counter.message(history[3])
    assert parts["tail share"] == 30
    assert parts["newest turn"] >= built.counter.message(history[5])
    assert found.value.needed == sum(parts.values()) > found.value.limit == 300
    assert f"{found.value.needed - 300:,}" in str(found.value)
    assert history.decisions() == []
    assert len(history.records) == 6
