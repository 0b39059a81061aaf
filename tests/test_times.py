"""When a message was said: kept beside it, and nothing that is sent or decided depends on it."""

import json
from collections.abc import Callable, Iterator
from itertools import count, cycle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import InputError, StoreCorrupt
from tests.support import SCOPE, answer, builder, chat, system, user, wire

NOON = 1_700_000_000.0


def times_of(history: ck.History) -> list[float | None]:
    return [message.time for message in history.messages]


def test_a_time_stays_with_its_message() -> None:
    history = ck.History(system="You are terse.", scope=SCOPE)
    history.append("one", time=NOON, pin=True)
    history.extend([answer("two"), user("three")], time=NOON + 1.5)
    history.append("four")
    expected = [None, NOON, NOON + 1.5, NOON + 1.5, None]

    assert times_of(history) == expected
    assert times_of(history.fork()) == expected
    assert times_of(history.fork(2)) == expected[:2]
    read = ck.History.loads(history.dumps())
    assert times_of(read) == expected
    assert read.messages[1].pinned
    assert read.dumps() == history.dumps()
    assert read.record_hash == history.record_hash
    assert history[1] == {"role": "user", "content": "one"}
    with ck.SQLiteStore(":memory:") as store:
        lines = [json.loads(line) for line in history.dumps().splitlines()[1:-1]]
        store.append(SCOPE, lines, expected=0)
        stored = ck.History(scope=SCOPE)
        stored.restore(store.load(SCOPE))
    assert times_of(stored) == expected


def test_a_message_without_a_time_is_written_as_before() -> None:
    history = ck.History(["one"])
    line = json.loads(history.dumps().splitlines()[1])
    assert line.keys() == {"type", "message", "hash"}


@pytest.mark.parametrize(
    "bad",
    [-1, float("nan"), float("inf"), "now", True, 1e15, [], 10**400, complex(1)],
    ids=lambda bad: f"{bad!r:.20}",
)
def test_what_is_no_time_is_refused_and_nothing_appended(bad: Any) -> None:
    history = ck.History(["one"])
    for append in (
        lambda: history.append("two", time=bad),
        lambda: history.extend(["two"], time=bad),
    ):
        with pytest.raises(InputError, match="seconds since the epoch"):
            append()
    assert len(history.records) == 1
    with pytest.raises(StoreCorrupt):
        history.restore([{"type": "message", "message": user("two"), "time": bad}])


def test_milliseconds_are_recognised() -> None:
    with pytest.raises(InputError, match="divide milliseconds"):
        ck.History().append("one", time=NOON * 1_000)
    history = ck.History()
    history.append("one", time=np.float64(NOON))
    assert type(history.messages[0].time) is float


@given(
    st.lists(st.none() | st.floats(0, 2e9), min_size=1),
    st.integers(4, 20),
)
def test_the_same_messages_give_the_same_requests_with_times_and_without(
    times: list[float | None], turns: int
) -> None:
    plain, timed = ck.History(scope=SCOPE), ck.History(scope=SCOPE)
    timed.id = plain.id
    budget = ck.Budget(400, target=150)
    one, other = builder(budget=budget), builder(budget=budget)
    for message, time in zip(chat(turns), cycle(times), strict=False):
        plain.append(message)
        timed.append(message, time=time)
        assert timed.prefix_hash() == plain.prefix_hash()
        if message["role"] == "user":
            expected, built = one.build(plain), other.build(timed)
            assert wire(built) == wire(expected)
            assert [edit.to_json() for edit in built.edits] == [
                edit.to_json() for edit in expected.edits
            ]
    assert plain.decisions() == timed.decisions()
    # A list, which has no times, is known again as the log that has them.
    assert wire(other.build(list(timed), scope=SCOPE)) == wire(one.build(list(plain), scope=SCOPE))


def test_two_messages_are_the_same_whenever_they_were_said() -> None:
    first, second = ck.History(), ck.History()
    first.append("one", time=1)
    second.append("one", time=2)
    assert first.messages[0] == second.messages[0]
    assert hash(first.messages[0]) == hash(second.messages[0])


def replies() -> Callable[..., Any]:
    def create(**_: Any) -> Any:
        message = {"role": "assistant", "content": "Yes."}
        return {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    return create


def client() -> Any:
    return SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=replies())))


def ticking(start: float) -> Iterator[float]:
    return (start + tick for tick in count())


def test_a_chat_notes_when_question_and_reply_came() -> None:
    ticks = ticking(NOON)
    schedule = ck.WhenItPays(clock=lambda: next(ticks))
    options: dict[str, Any] = {"model": "qwen-plus", "schedule": schedule, "system": "Be terse."}
    with ck.SQLiteStore(":memory:") as store:
        talk = ck.Chat(client(), store=store, **options).conversation(SCOPE)
        talk.send("Hello")
        talk.send("Again", "and again")
        kept = times_of(talk.history)
        assert kept[0] is None, "the system prompt is nothing that was said"
        said = [time for time in kept if time is not None]
        assert len(said) == 5
        assert said[0] < said[1] < said[2] == said[3] < said[4]
        assert said[0] >= NOON

        again = ck.Chat(client(), store=store, **options).conversation(SCOPE)
        assert times_of(again.history) == kept


def test_a_chat_without_a_clock_takes_the_time_of_the_system() -> None:
    from time import time

    before = time()
    talk = ck.Chat(client(), model="qwen-plus").conversation(SCOPE)
    talk.send("Hello")
    assert [before <= (said or 0) <= time() for said in times_of(talk.history)] == [True, True]


def test_a_clock_that_does_not_tell_the_time_leaves_it_open() -> None:
    schedule = ck.WhenItPays(clock=lambda: -5.0)  # seconds until some moment, say
    talk = ck.Chat(client(), model="qwen-plus", schedule=schedule).conversation(SCOPE)
    talk.send("Hello")
    assert times_of(talk.history) == [None, None]


async def _async_talk() -> list[float | None]:
    async def create(**given: Any) -> Any:
        return replies()(**given)

    asked = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    async with ck.AsyncChat(asked, model="qwen-plus") as chat:
        talk = await chat.conversation(SCOPE)
        await talk.send("Hello")
        return times_of(talk.history)


def test_an_async_chat_notes_them_too() -> None:
    import asyncio

    assert all(time is not None for time in asyncio.run(_async_talk()))


def test_a_log_without_times_takes_hardly_more_memory() -> None:
    assert "time" in ck.History(["one"]).messages[0].__slots__
    history = ck.History([system(), user("one"), answer("two")])
    assert all(message.time is None for message in history.messages), "one slot, no object"
