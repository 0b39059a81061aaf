"""Costs: by profile, lifetime and tier; what is not known is not guessed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from contextkit.caching.costs import Cost, cost_of, hit_ratio, total_cost
from contextkit.profiles import CacheRules, Lifetime, Price, known_profiles, profile_for
from contextkit.usage import Usage

PRICED = [
    (profile, rules)
    for profile in known_profiles().values()
    for rules in profile.caches
    if rules.mode != "resource" and rules.read is not None and rules.write is not None
]
priced = st.sampled_from(PRICED)
tokens = st.integers(0, 400_000)


def usage_of(plain: int, read: int = 0, written: int = 0, output: int | None = None) -> Usage:
    return Usage(plain + read + written, read, written, output)


def close(a: float, b: float) -> bool:
    return a == pytest.approx(b, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("model", "usage", "units", "money"),
    [
        # 1,000 in full, 9,000 read at a fifth, of a model at 0.8 yuan a million
        ("qwen-plus", usage_of(1_000, 9_000), 2_800, 2_800 * 0.8e-6),
        # the explicit cache, because the service says that it was at work
        ("qwen-plus", Usage(10_000, 9_000, 1_000, cache_type="ephemeral"), 2_150, 2_150 * 0.8e-6),
        # 100 in full, 1,000 read at a tenth, 200 written for 5 minutes, 100 for an hour
        (
            "claude-sonnet-5",
            Usage(1_400, 1_000, 300, cache_writes={"5m": 200, "1h": 100}),
            100 + 100 + 250 + 200,
            650 * 3e-6,
        ),
        # a model that has no cache
        ("gpt-4", usage_of(1_000), 1_000, 1_000 * 30e-6),
        # above 272,000 tokens all of the request costs twice as much
        ("gpt-5.6-luna", usage_of(272_000), 272_000, 272_000 * 1e-6),
        ("gpt-5.6-luna", usage_of(272_001), 2 * 272_001, 272_001 * 2e-6),
        ("qwen3-max", usage_of(40_000), 40_000 * 1.6, 40_000 * 4e-6),
        ("qwen3-max", usage_of(40_000, 100_000), 60_000 * 2.8, 60_000 * 7e-6),
        # 2 % of 0.15 dollars a million
        ("deepseek-v4-flash", usage_of(0, 1_000_000), 20_000, 0.003),
    ],
)
def test_a_request_costs_what_its_profile_says(model, usage, units, money):
    cost = cost_of(usage, profile_for(model))
    assert close(cost.input, units)
    assert close(cost.money, money)


def test_the_reply_is_charged_by_its_own_price():
    cost = cost_of(usage_of(1_000, output=100), profile_for("gpt-4o"))
    assert close(cost.output, 400)
    assert close(cost.money, (1_000 * 2.5 + 100 * 10) / 1e6)
    assert cost.currency == "USD"
    assert cost.notes == ()


@pytest.mark.parametrize(
    ("model", "mode", "usage"),
    [
        ("qwen4-max", "explicit", usage_of(10, written=2_000)),  # the price of a write
        ("qwen4-max", "explicit", usage_of(10, 2_000)),  # of a read
        ("gpt-5.6", None, Usage(5_000, 0, 100, cache_writes={"12h": 100})),  # of this lifetime
        ("gpt-4", None, usage_of(10, 2_000)),  # read from what it has not
        ("qwen-plus", None, Usage()),  # how much it was
    ],
)
def test_what_is_not_known_has_no_cost(model, mode, usage):
    profile = profile_for(model)
    assert cost_of(usage, profile, mode and profile.cache(mode)) is None


def test_a_price_that_is_not_needed_need_not_be_known():
    profile = profile_for("qwen4-max")
    assert cost_of(usage_of(2_000), profile, profile.cache("explicit")).input == 2_000


def test_a_lifetime_that_the_rules_do_not_know_costs_as_the_usual_one():
    profile = profile_for("qwen-plus")
    usage = Usage(1_000, 0, 1_000, cache_writes={"7m": 1_000})
    assert cost_of(usage, profile, profile.cache("explicit")).input == 1_250


def test_notes_say_what_is_not_in_a_cost():
    assert "the output is not in it" in cost_of(usage_of(5), profile_for("gpt-4o")).notes
    assert "region Beijing" in cost_of(usage_of(5), profile_for("qwen-plus")).notes
    gemini = profile_for("gemini-3.1-pro-preview")
    kept = cost_of(usage_of(5, 5_000), gemini, gemini.cache("resource"))
    assert "keeping the cache is not in it" in kept.notes


def test_costs_add_up_and_what_is_not_known_stays_so():
    one = cost_of(usage_of(1_000, output=10), profile_for("gpt-4o"))
    two = cost_of(usage_of(3_000, output=20), profile_for("gpt-4o"))
    both = total_cost([one, None, two])
    assert (both.input, both.output) == (4_000, 120)
    assert close(both.money, one.money + two.money)
    assert both.unknown == 1
    assert total_cost([one, Cost(1.0)]).money is None
    assert total_cost([one, Cost(1.0)]).output is None
    yuan = cost_of(usage_of(1_000, output=1), profile_for("qwen-plus"))
    assert (one + yuan).money is None
    assert (one + yuan).notes == (*yuan.notes, "USD and CNY are not added up")
    assert total_cost([]) is total_cost([None, None]) is None


@given(priced, tokens, tokens, tokens, st.sampled_from(["plain", "read", "written", "output"]))
def test_more_tokens_never_cost_less(pair, plain, read, written, more):
    profile, rules = pair
    parts = {"plain": plain, "read": read, "written": written, "output": 7}
    before = cost_of(usage_of(**parts), profile, rules)
    after = cost_of(usage_of(**{**parts, more: parts[more] + 1_000}), profile, rules)
    assert after.input >= before.input
    assert (after.money or 0) >= (before.money or 0)
    assert (after.output or 0) >= (before.output or 0)


@given(priced, tokens, tokens, tokens)
def test_within_a_tier_a_request_costs_the_sum_of_its_parts(pair, plain, read, written):
    profile, rules = pair
    whole = usage_of(plain, read, written)
    parts = [usage_of(plain), usage_of(0, read), usage_of(0, 0, written)]
    tiers = {profile.price(usage.input_tokens) for usage in [whole, *parts]}
    assume(len(tiers) == 1)
    costs = [cost_of(usage, profile, rules) for usage in parts]
    assert close(total_cost(costs).input, cost_of(whole, profile, rules).input)


@given(priced, tokens, tokens, st.integers(1, 1_000))
def test_a_token_read_is_never_dearer_than_one_in_full(pair, plain, read, moved):
    profile, rules = pair
    assume(plain >= moved)
    cold = cost_of(usage_of(plain, read), profile, rules)
    warm = cost_of(usage_of(plain - moved, read + moved), profile, rules)
    assert warm.input < cold.input


@given(st.lists(st.tuples(tokens, tokens), max_size=6))
def test_a_hit_ratio_is_sum_over_sum(counts):
    usages = [usage_of(plain, read) for plain, read in counts]
    total = sum(plain + read for plain, read in counts)
    ratio = hit_ratio([*usages, Usage(), Usage(7), Usage(None, 7)])
    assert ratio == (sum(read for _, read in counts) / total if total else None)


def test_a_price_for_each_lifetime_and_tier():
    rules = CacheRules(
        name="own",
        mode="explicit",
        match="points",
        read=0.5,
        lifetimes=(Lifetime("short", 60, 1.5), Lifetime("long", 600, 3.0)),
    )
    prices = (Price(input=2.0), Price(input=4.0, above=1_000))
    profile = replace(profile_for("generic"), prices=prices, caches=(rules,))
    small = Usage(1_000, 500, 300, cache_writes={"short": 100, "long": 100})
    assert cost_of(small, profile).input == 200 + 250 + 150 + 300 + 150
    large = replace(small, input_tokens=1_001)
    assert close(cost_of(large, profile).input, 2 * (1_050 + 1))
