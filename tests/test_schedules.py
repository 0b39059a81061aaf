"""Schedules: whose prices, what a plan is priced by, and what is said of the next cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
import contextkit.deciding
from contextkit.caching.prefix import canonical_blocks
from contextkit.dry_run import DryRun, dry_run
from contextkit.errors import BudgetError, InputError
from contextkit.figures import Calls, Figures
from contextkit.next_cut import requests_until_cut
from contextkit.profiles import CacheRules, Lifetime, Price
from tests.support import Messages, Own, answer, builder, call, chat, kinds, result, system, user

RULES = CacheRules(
    name="r",
    mode="implicit",
    match="blocks",
    read=0.25,
    lifetimes=(Lifetime("", 60.0, 1.0),),
)
PRICED = replace(
    ck.profile_for("qwen-plus"),
    caches=(RULES,),
    prices=(
        Price(input=2.0, output=6.0),
        Price(input=4.0, output=12.0, above=1_000),
        Price(input=8.0, output=24.0, above=3_000),
    ),
)
TARGET = ck.Budget(2_000, target=400)


def agent(turns: int, sizes: Sequence[int] = (400,)) -> Messages:
    """Turns of a question, a call, its large result, an answer."""
    messages = [system()]
    for n in range(turns):
        messages += [
            user(f"q{n} " * 10),
            call(f"c{n}"),
            result(f"c{n}", "r" * sizes[n % len(sizes)]),
        ]
        messages += [answer(f"a{n} " * 10)]
    return [*messages, user("and now?")]


def replayed(built: ck.ContextBuilder, messages: Messages) -> list[ck.Context]:
    """Turn by turn, built before every answer."""
    history, made = ck.History(), []
    for message in messages:
        if message["role"] == "assistant":
            made.append(built.build(history))
        history.append(message)
    return [*made, built.build(history)]


# -- prices ------------------------------------------------------------------------------------


def test_prices_ttl_and_steps_come_from_the_profile_and_what_is_given_wins() -> None:
    found = builder(budget=TARGET, schedule=ck.WhenItPays(), profile=PRICED).schedule
    given_ = builder(
        budget=TARGET,
        schedule=ck.WhenItPays(read=0.5, ttl=9, output=1, tiers=((7, 3.0),)),
        profile=PRICED,
    ).schedule

    assert found == ck.WhenItPays(
        read=0.25, write=1.0, ttl=60.0, output=3.0, tiers=((1_000, 2.0), (3_000, 4.0))
    )
    assert builder(budget=TARGET, profile=PRICED).schedule == found
    assert given_ == ck.WhenItPays(read=0.5, write=1.0, ttl=9, output=1, tiers=((7, 3.0),))


def test_the_prices_used_are_recorded() -> None:
    history = ck.History(chat(2))
    builder(budget=TARGET, schedule=ck.WhenItPays(read=0.125), profile=PRICED).build(history)
    recorded = history.current_settings().data["schedule"]

    assert (recorded["read"], recorded["write"], recorded["ttl"]) == (0.125, 1.0, 60.0)
    assert recorded["tiers"] == [[1_000, 2.0], [3_000, 4.0]]


def test_unknown_prices_mean_at_limit_and_are_reported() -> None:
    unknown = ck.profile_for("generic")
    for schedule in (None, ck.WhenItPays(), ck.WhenItPays(write=1.0)):
        built = builder(budget=TARGET, schedule=schedule, profile=unknown)
        assert built.schedule == ck.AtLimit()
        assert any("prices" in text for text in built.build([user("x")]).report.warnings)
    known = builder(budget=TARGET, schedule=ck.WhenItPays(0.1, 1.0), profile=unknown)
    assert isinstance(known.schedule, ck.WhenItPays)
    assert not ck.WhenItPays().due(Figures(9_000, 10, 20, 5_000, 3))


def test_steps_of_the_price_that_make_no_sense_are_refused() -> None:
    for odd in (5, [(1, 2, 3)], [(5, 2.0), (4, 3.0)], [(5, 0.0)], [(5, float("nan"))], [("x", 1)]):
        with pytest.raises(BudgetError):
            ck.WhenItPays(tiers=odd)  # type: ignore[arg-type]


def test_a_schedule_of_ones_own_needs_only_due() -> None:
    @dataclass
    class Above:
        most: int
        asked: list[Figures] = field(default_factory=list)

        def due(self, figures: Figures) -> bool:
            self.asked.append(figures)
            return figures.held > self.most

    schedule = Above(600)
    cuts = [context for context in replayed(builder(budget=TARGET, schedule=schedule), chat(40))
            if kinds(context)]  # fmt: skip

    assert len(cuts) > 3
    planned = [figures for figures in schedule.asked if figures.rewritten is not None]
    assert len(planned) == len(cuts)
    assert all(figures.held > 600 for figures in planned)


# -- steps of the price ------------------------------------------------------------------------


def test_the_edge_of_a_price_is_a_limit_where_what_lies_above_costs_more_than_cutting() -> None:
    figures = Figures(held=30_900, keep=15_800, target=16_000, newest=800, requests=60, fixed=1_400)
    below = replace(figures, held=figures.held - 800, requests=59)
    plain, stepped = (ck.WhenItPays(0.02, 1.0, tiers=tiers) for tiers in ((), ((32_000, 2.0),)))
    barely = ck.WhenItPays(0.02, 1.0, tiers=((32_000, 1.02),))

    assert not plain.due(figures)
    assert not stepped.due(below)
    assert stepped.due(figures)
    assert not barely.due(figures)
    assert stepped.due(figures) == stepped.due(replace(figures, fixed=1_101))
    assert not stepped.due(replace(figures, fixed=1_100))


def test_a_conversation_stays_below_the_edge() -> None:
    tiers = ((1_000, 3.0),)
    budget = ck.Budget(3_000, target=400)
    free, edged = (
        max(context.tokens for context in replayed(
            builder(budget=budget, schedule=ck.WhenItPays(0.02, 1.0, tiers=steps)), chat(60)))
        for steps in ((), tiers)
    )  # fmt: skip

    assert free > 1_200
    assert 900 < edged <= 1_000


# -- the plan made dry -------------------------------------------------------------------------


class Watched:
    """Notes every plan that is made dry."""

    def __init__(self) -> None:
        self.made: list[DryRun] = []

    def __call__(self, *given_: Any) -> DryRun:
        self.made.append(dry_run(*given_))
        return self.made[-1]


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> Watched:
    watched = Watched()
    monkeypatch.setattr(contextkit.deciding, "dry_run", watched)
    return watched


def rewritten(before: ck.Context, after: ck.Context) -> int:
    """Tokens of a request behind the first message that the one before did not have."""
    one, other = canonical_blocks(before.request()), canonical_blocks(after.request())
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))
    entries = after.view.entries
    return sum(entry.tokens for entry in entries[same - (len(other) - len(entries)) :])


@pytest.mark.parametrize(
    "compaction",
    [(), (ck.ClearToolResults(keep_last=2),), (ck.KeepLast(2),)],
    ids=["drop", "clear", "keep"],
)
def test_a_plan_is_priced_by_what_the_cut_rewrites(plans: Watched, compaction: Any) -> None:
    budget = ck.Budget(6_000, target=1_500)
    built = builder(budget=budget, schedule=ck.WhenItPays(0.2, 1.0), compaction=compaction)
    contexts = replayed(built, agent(25, sizes=(1_600,)) + agent(25)[1:])
    carried_out = [dry.figures for dry in plans.made if built.schedule.due(dry.figures)]
    cuts = [n for n, context in enumerate(contexts) if kinds(context)]

    assert len(cuts) == len(carried_out) > 3
    for n, figures in zip(cuts, carried_out, strict=True):
        before, after = contexts[n - 1], contexts[n]
        assert figures.rewritten == rewritten(before, after)
        assert figures.fixed + figures.keep == after.tokens
    in_front = [figures.keep - (figures.rewritten or 0) for figures in carried_out]
    assert any(in_front) == ("clear" in {kind for n in cuts for kind in kinds(contexts[n])})


def test_a_cut_that_pays_as_a_rule_and_not_by_its_plan_is_not_made(plans: Watched) -> None:
    # A large turn leaves few whole turns within the target; clearing stops just below it instead.
    clears = ck.ClearToolResults(keep_last=1)
    budget = ck.Budget(3_000, target=800)
    built = builder(budget=budget, schedule=ck.WhenItPays(0.1, 1.25), compaction=[clears])
    contexts = replayed(built, agent(60, sizes=(*[40] * 10, 1_200)))
    rejected = [dry.figures for dry in plans.made if not built.schedule.due(dry.figures)]
    held = {context.view.planned[1] for context in contexts if context.view.planned}
    cuts = [context for context in contexts if kinds(context)]

    assert rejected
    assert set(rejected) == held
    assert len(cuts) == len(plans.made) - len(rejected) > 3
    for context in cuts:
        assert context.view.planned is None or context.view.planned[0] < context.decision.point


def test_a_plan_calls_nobody_and_knows_what_the_call_would_take(plans: Watched) -> None:
    asked: list[Any] = []

    def summarizer(request: Any) -> str:
        asked.append(request)
        return "in short"

    compaction = [ck.SummarizeOldest(summarizer, share=40)]
    built = builder(budget=TARGET, schedule=ck.WhenItPays(0.3, 1.0), compaction=compaction)
    contexts = replayed(built, chat(50))  # so few that no summaries are merged
    cuts = [context for context in contexts if kinds(context)]
    carried_out = [dry for dry in plans.made if built.schedule.due(dry.figures)]

    assert len(asked) == len(cuts) == len(carried_out) > 3
    assert len(plans.made) > len(cuts)  # some did not pay
    for request, dry in zip(asked, carried_out, strict=True):
        told = built.counter.message(request["messages"][-1])
        calls = dry.figures.calls
        counted = sum(built.counter.message(message) for message in request["messages"])
        assert calls == Calls(counted - told + built.counter.fixed(()), told, 40)


def test_the_fee_of_a_summarizer_delays_the_cut_and_a_given_one_wins() -> None:
    def cuts(fee: float | None, output: float) -> int:
        schedule = ck.WhenItPays(0.3, 1.0, fee=fee, output=output)
        compaction = [ck.SummarizeOldest(lambda request: "in short", share=40)]
        built = builder(budget=TARGET, schedule=schedule, compaction=compaction)
        return sum(bool(kinds(context)) for context in replayed(built, chat(80)))

    assert cuts(0.0, 4) > cuts(None, 4) > cuts(None, 40)
    assert cuts(0.0, 4) == cuts(0.0, 40) > cuts(900.0, 4)


def test_a_need_that_says_nothing_or_nonsense_fails_no_build() -> None:
    def need(**more: Any) -> ck.Need:
        return ck.Need(call=lambda: "x", finish=lambda text: [], what="thing", **more)

    for odd in ({}, {"covers": ("x",), "shows": 3}, {"calls": "much"}, {"covers": 5}):
        built = builder(
            budget=TARGET,
            schedule=ck.WhenItPays(0.3, 1.0),
            compaction=[Own(lambda view, goal, odd=odd: need(**odd))],
        )
        contexts = replayed(built, chat(40))
        assert any("drop" in kinds(context) for context in contexts)
        assert all(context.tokens <= 2_000 for context in contexts)


def test_plans_are_not_made_dry_request_after_request(plans: Watched) -> None:
    compaction = [
        ck.ClearToolResults(keep_last=3),
        ck.SummarizeOldest(lambda request: "in short", share=100),
    ]
    built = builder(
        budget=ck.Budget(20_000, target=3_000),
        schedule=ck.WhenItPays(0.1, 1.25),
        compaction=compaction,
    )
    contexts = replayed(built, agent(300, sizes=(200,)))
    cuts = sum(bool(kinds(context)) for context in contexts)

    assert 5 < cuts <= len(plans.made) < len(contexts) / 6
    # Where the oldest turns are dropped and nothing else, a cut comes to what it does as a rule.
    plans.made.clear()
    plain = builder(budget=TARGET, schedule=ck.WhenItPays(0.2, 1.0))
    cuts = sum(bool(kinds(context)) for context in replayed(plain, chat(100)))
    assert len(plans.made) == cuts > 5


@given(st.integers(0, 10**6), st.integers(0, 10**5))
def test_first_digits_change_about_with_each_eighth(tokens: int, more: int) -> None:
    digits = contextkit.deciding._first_digits

    assert digits(tokens) <= tokens < digits(tokens) * 9 / 8 + 1
    assert digits(tokens + more) >= digits(tokens)
    assert digits(-tokens) == 0


# -- explain -----------------------------------------------------------------------------------


def test_explain_shows_the_figures_behind_the_next_cut() -> None:
    clock = [1_000.0]
    tiers = ((1_500, 2.0),)
    schedule = ck.WhenItPays(0.2, 1.0, ttl=300, clock=lambda: clock[0], tiers=tiers)
    built = builder(budget=TARGET, schedule=schedule)
    history = ck.History()
    texts: dict[int, str] = {}
    for message in chat(40):
        history.append(message)
        if message["role"] == "user":
            context = built.build(history)
            clock[0] += 10
            if kinds(context):
                break
            texts[len(history)] = built.schedule.explain(context.view)
    text = list(texts.values())[-1]
    view = built._fold(history)
    early = list(texts.values())[2]

    assert "reads" not in text
    for said in ("costs 0.2", "held: ", "target of 400", "uncut", "later requests save",
                 "warm; idle for 10 s of a TTL of 300 s", "above 1,500 tokens", "2,000 tokens",
                 "next cut: in about "):  # fmt: skip
        assert said in text
    assert "there is nothing to cut" in early
    assert "a cut does not pay yet" in text
    # About how many requests: what is said early is near what came.
    said_early = int(early.split("in about ")[1].split(" ")[0])
    came = len(texts) - 3 + 1
    assert abs(said_early - came) <= max(2, came // 4)
    with pytest.raises(InputError, match=r"context\.view"):
        built.schedule.explain(ck.fold(history))
    assert view.planned is None


def test_the_next_cut_is_found_by_halving() -> None:
    asked: list[int] = []
    figures = Figures(held=1_000, keep=0, target=500, newest=5, requests=200, fixed=0)

    def due(figures: Figures) -> bool:
        asked.append(figures.held)
        return figures.held >= 700_004

    assert requests_until_cut(due, figures, 1_000_000) == (700_004 - 1_000 + 4) // 5
    assert len(asked) < 50
    assert requests_until_cut(lambda figures: False, figures, 1_000_000) == 999_000 // 5 + 1


def test_explain_names_a_plan_that_did_not_pay_and_a_cold_cache() -> None:
    clock = [0.0]
    schedule = ck.WhenItPays(0.2, 1.0, ttl=300, clock=lambda: clock[0])
    compaction = [ck.SummarizeOldest(lambda request: "in short", share=40)]
    built = builder(budget=TARGET, schedule=schedule, compaction=compaction)
    history = ck.History()
    said = set()
    for message in chat(40):
        history.append(message)
        if message["role"] == "user":
            text = built.schedule.explain(built.build(history).view)
            said |= {line.split(":")[0] for line in text.splitlines()}
            clock[0] += 10
    clock[0] += 500
    history.extend([answer("a"), user("b")])
    text = built.schedule.explain(built.build(history).view)

    assert "by the plan" in said
    assert "cache: cold; idle for 510 s of a TTL of 300 s" in text


def test_explain_at_the_limit() -> None:
    built = builder(1_000)
    contexts = replayed(built, chat(40))
    text = built.schedule.explain(contexts[6].view)
    promised = int(text.split("in about ")[1].split(" ")[0])
    came = next(n for n, context in enumerate(contexts[7:], 1) if kinds(context))

    assert f"limit: 1,000 tokens; this request has {contexts[6].tokens:,}" in text
    assert abs(promised - came) <= came // 3
    assert (
        "requests add nothing"
        in built.schedule.explain(builder(1_000).build([system(), user("")]).view)
        or "next cut" in text
    )
