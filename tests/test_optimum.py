"""The optimum: no choice of times for dropping turns costs less, charged by the simulator."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contextkit.analysis.policies import Policy, Setting
from contextkit.analysis.replaying.built import DropAt, own_policy
from contextkit.analysis.replaying.charged import Sums, charges, moments_of
from contextkit.analysis.replaying.droppable import droppable
from contextkit.analysis.replaying.least_cost import cost_at, least_cost
from contextkit.analysis.replaying.optimum import START, cheapest_cuts
from contextkit.analysis.transcripts import Transcript
from contextkit.errors import BudgetExceeded
from tests.replayed import drawn, setting
from tests.support import answer, user

SMALL = {"minimum": 16}
CACHES = {
    "blocks": ("qwen-plus", "implicit", {**SMALL, "block": 8}),
    "blocks that expire": ("qwen-plus", "implicit", {**SMALL, "block": 8, "ttl": 300.0}),
    "markers": ("qwen-plus", "explicit", SMALL),
    "no cache": ("qwen-plus", "", {}),
    "price steps": ("gpt-5.6", "implicit", SMALL),
    "replies": ("vllm", "implicit", {}),
}


def of(name: str, limit: int) -> Setting:
    model, cache, figures = CACHES[name]
    made = setting(model, cache, limit, **figures)
    if name == "price steps":
        low = made.profile.prices[0]
        prices = (low, replace(low, above=limit // 2, input=2 * low.input))
        made = replace(made, profile=replace(made.profile, prices=prices))
    return made


def charged(policy: Policy, transcript: Transcript, made: Setting) -> tuple[float, list[int]]:
    """What the requests of a policy cost, and which of them are cut."""
    sums, cuts = Sums(), []
    for number, one in enumerate(charges(policy, transcript, made, moments_of(transcript, 20.0))):
        sums.add(one, made.limit)
        if one.cut:
            cuts.append(number)
    assert sums.units is not None
    return sums.units, cuts


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("name", CACHES)
def test_the_cost_model_says_what_the_simulator_charges_at_the_cuts_of_our_own_runs(
    name: str, agent: bool
) -> None:
    equal = cuts_seen = 0
    for seed in range(8):
        transcript = drawn(seed, agent=agent)
        made = of(name, 500)
        moments = moments_of(transcript, 20.0)
        for schedule in ("at-limit", "when-it-pays"):
            units, cuts = charged(own_policy("drop", schedule), transcript, made)
            cuts_seen += len(cuts)
            modelled = cost_at(droppable(transcript, made), made, moments, cuts)
            assert modelled is not None
            if agent and made.rules is not None and made.rules.match == "points":
                # What a cut finds may depend on earlier cuts: then it is taken for the most.
                assert modelled <= units * (1 + 1e-9), (seed, schedule)
                equal += modelled == pytest.approx(units, rel=1e-9)
            else:
                assert modelled == pytest.approx(units, rel=1e-9), (seed, schedule)
                equal += 1

    assert equal >= 14
    assert cuts_seen > 60


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("name", CACHES)
def test_no_choice_of_cuts_costs_less_than_the_optimum_and_one_costs_just_that(
    name: str, agent: bool
) -> None:
    for seed in range(2):
        transcript = drawn(seed, requests=4 if agent else 6, agent=agent)
        made = of(name, 220)
        moments = moments_of(transcript, 20.0)
        talk = droppable(transcript, made)
        numbers = range(len(moments))
        tried = inf
        for count in range(len(numbers) + 1):
            for cuts in combinations(numbers, count):
                try:
                    units, _ = charged(DropAt(frozenset(cuts)), transcript, made)
                except BudgetExceeded:
                    continue
                tried = min(tried, units)
        found = least_cost(talk, made, moments)

        assert (found is None) == (tried == inf)
        assert found is None or found.units == pytest.approx(tried, rel=1e-9)


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(sorted(CACHES)), agent=st.booleans())
def test_no_policy_that_drops_turns_costs_less(seed: int, name: str, agent: bool) -> None:
    transcript = drawn(seed, requests=20, agent=agent, pins=True)
    made = of(name, 600)
    moments = moments_of(transcript, 20.0)
    found = least_cost(droppable(transcript, made), made, moments)
    for schedule in ("at-limit", "when-it-pays"):
        try:
            units, _ = charged(own_policy("drop", schedule), transcript, made)
        except BudgetExceeded:
            assert found is None
            continue
        assert found is not None
        assert found.units <= units * (1 + 1e-9)


@pytest.mark.parametrize("name", ["blocks", "markers", "replies"])
def test_what_is_said_again_word_for_word_makes_nothing_cheaper_than_the_optimum(name: str) -> None:
    for seed in range(6):
        once = drawn(seed, requests=12)
        again = [message for message in once.messages if message["role"] != "system"]
        transcript = Transcript("again", [*once.messages, *again, *again])
        made = of(name, 400)
        moments = moments_of(transcript, 20.0)
        found = least_cost(droppable(transcript, made), made, moments)
        assert found is not None
        for schedule in ("at-limit", "when-it-pays"):
            units, _ = charged(own_policy("drop", schedule), transcript, made)
            assert found.units <= units * (1 + 1e-9)


def test_a_cut_is_made_where_messages_stand_that_nobody_asked_for() -> None:
    # The builder decides before the second assistant message as well, in the same request.
    texts = [user("a" * 120), answer("b" * 120), answer("c" * 120), user("d" * 120), answer("e")]
    transcript = Transcript("greeting", texts)
    made = of("no cache", 400)
    made = replace(made, target=50)

    assert charged(DropAt(frozenset({1})), transcript, made)[1] == [1]
    assert charged(DropAt(frozenset()), transcript, made)[1] == []


def test_where_prices_or_rules_are_not_known_there_is_no_optimum() -> None:
    transcript = drawn(1)
    moments = moments_of(transcript, 20.0)
    for figures in ({"read": None}, {"renewed_by": "nothing", "ttl": 60.0}):
        made = setting("qwen-plus", "implicit", 500, **figures)
        assert least_cost(droppable(transcript, made), made, moments) is None


def test_without_any_cut_the_programme_adds_up_what_is_uncut() -> None:
    import numpy as np

    total, cuts = cheapest_cuts(
        3,
        lambda cut: np.full(2 - cut, 5.0),
        lambda _cut, count: np.full(count, 5.5),
    )

    assert (total, cuts) == (15.0, ())


def test_a_cut_that_makes_later_requests_cheaper_is_found() -> None:
    import numpy as np

    total, cuts = cheapest_cuts(
        4,
        lambda cut: np.full(3 - cut, 5.0 if cut == START else 1.0),
        lambda _cut, count: np.full(count, 7.0),
    )

    assert (total, cuts) == (10.0, (0,))
