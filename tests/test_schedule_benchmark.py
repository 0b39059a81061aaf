"""The benchmark of schedules: its optimum is one, and what it found of the rule still holds."""

from __future__ import annotations

import statistics
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.policy_cost import WINDOWS, Windows, row
from benchmarks.schedule import (
    CONDITIONS,
    STEP,
    TTL,
    Case,
    at_limit,
    cost,
    growth_of,
    optimum,
    ratios,
    ski_rental,
    sliding_window,
    when_it_pays,
)
from benchmarks.workloads import Workload, written_dialogue
from tests.support import Characters, answer, call, result, system, user

cases = st.builds(
    lambda growth, target, limit, price, waits, fee, summary, step: Case(
        tuple(growth),
        target,
        limit,
        *price,
        idle=tuple(waits[: len(growth)]),
        fee=fee,
        summary=summary,
        step=step,
    ),
    st.lists(st.integers(1, 60), min_size=1, max_size=9),
    st.integers(10, 100),
    st.sampled_from([100, 150, 10_000]),
    st.sampled_from([(0.1, 1.25), (0.5, 1.0), (0.0, 1.0)]),
    st.just(()) | st.lists(st.sampled_from([1.0, TTL + 1]), min_size=9, max_size=9),
    st.sampled_from([0.0, 40.0]),
    st.sampled_from([0, 10]),
    st.sampled_from([None, 40, 90, 120]),
)


def tried(case: Case) -> float:
    """The least cost over every choice of cuts, counted request by request."""

    def times(tokens: int) -> float:
        return STEP if case.step is not None and tokens > case.step else 1.0

    least = float("inf")
    for chosen in product((False, True), repeat=len(case.growth)):
        held, left, total = [], 0, 0.0
        for t, (cut, newest) in enumerate(zip(chosen, case.growth, strict=True)):
            held.append(newest)
            before = case.write if case.cold(t) else case.read
            if cut:
                while len(held) > 1 and sum(held) > case.target:
                    held.pop(0)
                left = case.summary
                stays = sum(held) + left
                total += times(stays) * case.write * stays + case.fee
            elif sum(held) + left > case.limit:
                break
            else:
                sent = sum(held) + left
                total += times(sent) * (before * (sent - newest) + case.write * newest)
        else:
            least = min(least, total)
    return least


@given(cases)
def test_the_optimum_is_what_trying_everything_finds(case: Case) -> None:
    assert optimum(case) == pytest.approx(tried(case))


@given(cases)
def test_no_policy_is_better_than_the_optimum(case: Case) -> None:
    least = optimum(case)

    for policy in (when_it_pays, at_limit, ski_rental, sliding_window):
        assert cost(case, policy) >= least - 1e-9


def test_when_it_pays_stays_near_the_optimum() -> None:
    found = ratios(None, 40, prices=((0.2, 1.0),))
    figures = {
        condition: {
            name: [ratio for row in workloads.values() for ratio in row[name]]
            for name in ("WhenItPays", "plain ski rental", "at the limit")
        }
        for condition, workloads in found.items()
    }

    assert set(figures) == set(CONDITIONS)
    for condition, most in {
        "warm": 1.023,
        "idle gaps": 1.019,
        "fee": 1.028,
        "fee, idle gaps": 1.023,
        "fee of 2 K": 1.046,
        "price step": 1.02,
    }.items():
        rows = figures[condition]
        assert statistics.fmean(rows["WhenItPays"]) < most, condition
        assert max(rows["WhenItPays"]) < 1.2
        for other in ("plain ski rental", "at the limit"):
            assert statistics.fmean(rows["WhenItPays"]) < statistics.fmean(rows[other])


@pytest.mark.parametrize("cache", ["explicit", "implicit"])
def test_contextkit_costs_less_than_a_window_of_the_same_length(cache: str) -> None:
    workload = Workload("chat", [written_dialogue(70, 1), written_dialogue(60, 2)])
    found = row(workload, Characters(), 4_000, 2, cache)
    ours = found["contextkit"]

    assert found["requests"] == 130
    assert ours["cuts"] > 3
    assert found["least cost a request"] < ours["cost a request"]
    for name in WINDOWS:
        window = found[name]
        assert abs(window["mean tokens"] / ours["mean tokens"] - 1) < 0.02
        assert window["cuts"] > 2 * ours["cuts"]
        assert ours["cost a request"] < 0.6 * window["cost a request"]
        assert window["ratio"] <= window["ratio to it"]


def test_a_window_is_what_a_caller_would_send() -> None:
    messages = [system(), user("1" * 40), call("a"), result("a", "2" * 40), answer("3"), user("4")]
    messages += [answer("5")]
    workload = Workload("one", [messages])
    by_messages, by_turns = (Windows(workload, Characters(), starts) for starts in WINDOWS.values())
    least = by_messages.sums[0][4] - by_messages.sums[0][2]  # the call with its result

    assert [by_turns.cuts(0, most) for most in (1, 10**6)] == [
        [(1, 2), (1, 4), (5, 6)],
        [(1, 2), (1, 4), (1, 6)],
    ]
    tail = by_messages.sums[0][6] - by_messages.sums[0][4]
    assert by_messages.cuts(0, least + tail)[-1] == (2, 6)
    assert by_turns.cuts(0, least + tail)[-1] == (5, 6)


def test_the_growth_of_a_conversation_is_what_its_requests_add() -> None:
    messages = [system(), user("1"), call("a"), result("a", "22"), answer("3"), user("4")]
    messages += [answer("5")]

    def count(message: dict[str, object]) -> int:
        return {"user": 100, "assistant": 10, "tool": 1, "system": 1_000}[str(message["role"])]

    assert growth_of(messages, count) == (100, 11, 110)
