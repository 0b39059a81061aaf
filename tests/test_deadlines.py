"""What a strategy needs from outside may take its time, and no longer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

import contextkit as ck
from tests.support import answer, builder, user

pytestmark = pytest.mark.usefixtures("quiet_log")

LATE = threading.Event()


@pytest.fixture(autouse=True)
def late() -> Iterable[None]:
    """Whoever hangs comes back at the end of the test."""
    LATE.clear()
    yield
    LATE.set()


@dataclass(frozen=True)
class Fetch:
    """Insert what a call gives; something else, where it fails."""

    call: Any
    seconds: float | None = 0.05
    share: int = 100
    otherwise: bool = True

    def propose(self, view: ck.View, goal: int) -> ck.Need:
        def insert(text: str) -> list[ck.Edit]:
            return [view.insert(text, reason="fetched")]

        return ck.Need(
            call=self.call,
            finish=insert,
            what="news",
            seconds=self.seconds,
            otherwise=(lambda error: insert("no news")) if self.otherwise else None,
        )


def hang() -> str:
    LATE.wait(30)
    return "late news"


def fail() -> str:
    raise RuntimeError("no line")


async def hang_async() -> str:
    await asyncio.sleep(30)
    return "late news"


def built(strategy: Fetch, *, is_async: bool) -> ck.Context:
    made = builder(1_000, tail=[strategy])
    history = ck.History([user("What is new?")])
    return asyncio.run(made.abuild(history)) if is_async else made.build(history)


@pytest.mark.parametrize("is_async", [False, True])
def test_what_comes_too_late_is_done_without(is_async: bool) -> None:
    context = built(Fetch(hang), is_async=is_async)

    assert context.messages[-1]["content"].endswith("no news")
    [failure] = context.failures
    assert "DeadlinePassed" in failure
    assert "the news did not come within 0.05 s" in str(context.report)


@pytest.mark.parametrize("is_async", [False, True])
def test_without_another_way_the_strategy_is_passed_over(is_async: bool) -> None:
    context = built(Fetch(hang, otherwise=False), is_async=is_async)

    assert context.messages == [user("What is new?")]
    assert len(context.failures) == 1


@pytest.mark.parametrize("seconds", [None, 30])
@pytest.mark.parametrize("is_async", [False, True])
def test_what_fails_is_done_without(is_async: bool, seconds: float | None) -> None:
    context = built(Fetch(fail, seconds=seconds), is_async=is_async)

    assert context.messages[-1]["content"].endswith("no news")
    [failure] = context.failures
    assert "RuntimeError" in failure


@pytest.mark.parametrize("is_async", [False, True])
def test_what_comes_in_time_is_inserted(is_async: bool) -> None:
    context = built(Fetch(lambda: "all is well", seconds=30), is_async=is_async)

    assert context.messages[-1]["content"].endswith("all is well")
    assert not context.failures


def test_an_awaitable_that_is_late_is_cancelled() -> None:
    cancelled = []

    async def call() -> str:
        try:
            return await hang_async()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    context = built(Fetch(call), is_async=True)

    assert context.messages[-1]["content"].endswith("no news")
    assert cancelled == [True]


def test_an_awaitable_that_nobody_waits_for_is_closed() -> None:
    """pytest fails on a coroutine that is never awaited."""
    begun, made = threading.Event(), threading.Event()

    def call() -> Any:
        begun.set()
        LATE.wait(30)
        made.set()
        return hang_async()

    async def run() -> ck.Context:
        context = await builder(1_000, tail=[Fetch(call)]).abuild(ck.History([user("?")]))
        LATE.set()
        await asyncio.to_thread(made.wait, 30)
        await asyncio.sleep(0.01)
        return context

    assert asyncio.run(run()).messages[-1]["content"].endswith("no news")


def test_calls_that_hang_keep_no_thread_from_others() -> None:
    """More of them than the pool of the loop has threads."""

    async def run() -> list[ck.Context]:
        made = builder(1_000, tail=[Fetch(hang, seconds=0.2)])
        histories = [ck.History([user(f"What is new, {n}?")]) for n in range(64)]
        contexts = await asyncio.gather(*(made.abuild(history) for history in histories))
        for history in histories:
            history.extend([answer("Nothing."), user("And now?")])
        quick = builder(1_000, tail=[Fetch(lambda: "news", seconds=None)])
        others = asyncio.gather(*(quick.abuild(history) for history in histories))
        return [*contexts, *await asyncio.wait_for(others, 20)]  # or else they wait for the others

    contexts = asyncio.run(run())

    assert all(c.messages[-1]["content"].endswith("no news") for c in contexts[:64])
    assert all(c.messages[-1]["content"].endswith("\n\nnews") for c in contexts[64:])
