"""Breaker: opens after failures in a row, lets one call through after a while, closes again."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.breaker import Breaker
from contextkit.errors import BudgetError, CallsPaused


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


def passes(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except CallsPaused:
        return False
    return True


def opened(**settings: Any) -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker(clock=clock, **settings)
    for _ in range(breaker.failures):
        breaker.check()
        breaker.failed()
    return breaker, clock


def test_it_opens_after_three_failures_in_a_row_for_a_minute() -> None:
    clock = Clock()
    breaker = Breaker(clock=clock)
    for outcome in ("failed", "failed", "succeeded", "failed", "failed"):
        breaker.check()
        getattr(breaker, outcome)()
    assert breaker.seconds == 0
    breaker.check()
    breaker.failed()

    clock.now += 18
    with pytest.raises(CallsPaused, match=r"failed 3 times in a row.*in 42 s") as caught:
        breaker.check()
    assert (caught.value.failures, caught.value.seconds, breaker.seconds) == (3, 42, 42)


@pytest.mark.parametrize(("outcome", "open_again"), [("succeeded", False), ("failed", True)])
def test_then_one_call_is_let_through_whose_outcome_decides(outcome: str, open_again: bool) -> None:
    breaker, clock = opened(failures=2, reset=30)
    clock.now += 29.9
    assert not passes(breaker)
    clock.now += 0.2
    assert [passes(breaker) for _ in range(4)] == [True, False, False, False]

    getattr(breaker, outcome)()

    assert breaker.seconds == (30 if open_again else 0)
    assert [passes(breaker) for _ in range(3)] == [not open_again] * 3


def test_a_trial_that_never_ends_blocks_nobody_for_longer_than_the_reset() -> None:
    breaker, clock = opened(reset=30)
    clock.now += 30
    assert passes(breaker)  # and is cancelled
    clock.now += 29
    assert not passes(breaker)
    clock.now += 1
    assert [passes(breaker), passes(breaker)] == [True, False]
    breaker.succeeded()
    assert passes(breaker)


def test_a_clock_that_is_set_back_keeps_it_open_no_longer_than_stated() -> None:
    breaker, clock = opened(reset=30)
    clock.now -= 86_400
    assert breaker.seconds == 30
    with pytest.raises(CallsPaused, match="in 30 s"):
        breaker.check()
    clock.now += 30
    assert passes(breaker)


def test_of_many_threads_one_tries() -> None:
    breaker, clock = opened()
    clock.now += 61
    tried: list[bool] = []
    start = threading.Barrier(16)

    def ask() -> None:
        start.wait()
        tried.append(passes(breaker))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tried.count(True), len(tried)) == (1, 16)


@given(st.lists(st.sampled_from(["failed", "succeeded", "lost", "wait"]), max_size=60))
def test_it_is_open_exactly_while_the_last_failures_are_recent(events: list[str]) -> None:
    clock = Clock()
    breaker = Breaker(failures=2, reset=10, clock=clock)
    failed, last, tried = 0, -1e9, -1e9  # in a row; when; when the last trial was let through
    for event in events:
        if event == "wait":
            clock.now += 7
            continue
        shut = failed >= 2 and clock.now < max(last, tried) + 10
        assert passes(breaker) == (not shut)
        if shut:
            continue
        if failed >= 2:
            tried = clock.now
        if event == "failed":
            failed, last = failed + 1, clock.now
            breaker.failed()
        elif event == "succeeded":
            failed = 0
            breaker.succeeded()


@pytest.mark.parametrize(
    "figures",
    [
        *({"failures": odd} for odd in (0, -1, 1.5, True, None)),
        *({"reset": odd} for odd in (0, -1, float("nan"), float("inf"), "60", True, None)),
    ],
    ids=str,
)
def test_figures_that_cannot_be_are_refused(figures: dict[str, Any]) -> None:
    with pytest.raises(BudgetError, match=f"Breaker.{next(iter(figures))}"):
        Breaker(**figures)
