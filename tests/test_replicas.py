"""Several builders, several processes, unanswered builds: what one decided, others send too."""

from __future__ import annotations

from typing import Any

import pytest

import contextkit as ck
from contextkit.errors import GrammarError
from contextkit.grammar import violations
from contextkit.strategies.blocks import delimiter_mark
from tests.support import SCOPE, answer, builder, call, result, system, user


def test_two_limits_on_one_store_contradict_and_still_everybody_can_build() -> None:
    with ck.SQLiteStore(":memory:") as store:
        messages = [system()]
        replicas = [builder(limit, store=store) for limit in (400, 250)]
        for n in range(40):
            messages.append(user(f"q{n} " * 9))
            for replica in replicas[:: 1 if n % 3 else -1][: 1 + n % 2]:
                assert replica.build(messages, scope=SCOPE).tokens <= replica.budget.limit
            cold = builder(250, store=store).build(messages, scope=SCOPE)
            assert violations(cold.messages) == []
            messages.append(answer(f"a{n} " * 9))


def test_a_call_is_not_answered_twice_by_two_who_knew_nothing_of_each_other() -> None:
    with ck.SQLiteStore(":memory:") as store:
        whole = [user("go"), call("a"), user("hurry"), result("a"), user("and?")]
        builder(4_000, store=store).build(whole, scope=SCOPE)
        builder(4_000, store=store).build(whole[:3], scope=SCOPE)
        cold = builder(4_000, store=store).build(whole, scope=SCOPE)

        assert violations(cold.messages) == []


def test_an_unanswered_build_is_sent_alike_by_another_replica() -> None:
    ticks = iter(range(100))
    with ck.SQLiteStore(":memory:") as store:
        one, other, cold = (
            builder(4_000, store=store, tail=[ck.Volatile("n", lambda: next(ticks), share=40)])
            for _ in range(3)
        )
        first = one.build([user("a")], scope=SCOPE)
        other.build([user("a")], scope=SCOPE)
        talk = [user("a"), answer("b"), user("c")]
        sent = one.build(talk, scope=SCOPE)
        after = other.build([*talk, user("d")], scope=SCOPE)

        assert after.messages[:3] == sent.messages
        assert after.messages[0] == first.messages[0]
        assert cold.build([*talk, user("d")], scope=SCOPE).messages == after.messages


def test_a_message_that_was_sent_gets_no_insert_later() -> None:
    history = ck.History([user("go")])
    before = builder(4_000).build(history).messages
    history.extend([call("a"), result("a")])
    late = builder(4_000, tail=[ck.Volatile("now", lambda: "12:01")]).build(history)

    assert late.messages[:1] == before


def test_a_fork_of_an_empty_history_is_its_own() -> None:
    built, history = builder(), ck.History()
    with pytest.raises(GrammarError):
        built.build(history)
    fork = history.fork()
    history.append("the parent's")
    fork.append("the child's")

    assert built.build(fork).messages == [user("the child's")]


class Call:
    """As the SDK's tool calls: an object, not a dict."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return self.data


def test_sdk_tool_calls_inside_a_dict_are_found_again() -> None:
    ticks = iter(range(100))
    built = builder(4_000, tail=[ck.Volatile("n", lambda: next(ticks), share=40)])
    calls = [Call(data) for data in call("a")["tool_calls"]]
    messages: list[Any] = [user("go")]
    first = built.build(messages, scope=SCOPE).messages
    messages += [{"role": "assistant", "content": None, "tool_calls": calls}, result("a")]
    second = built.build(messages, scope=SCOPE).messages
    messages += [answer("done"), user("more")]
    third = built.build(messages, scope=SCOPE).messages

    assert second[:1] == first
    assert third[:3] == second


def test_nobody_can_guess_the_mark_of_a_conversation() -> None:
    one, other = ck.History(["a"], scope=SCOPE), ck.History(["a"], scope=SCOPE)
    assert delimiter_mark(one) != delimiter_mark(other)
    assert delimiter_mark(ck.History.loads(one.dumps())) == delimiter_mark(one)


@pytest.mark.parametrize("schedule", [ck.WhenItPays(0.2, 1.0), ck.AtLimit()])
def test_a_summarizer_is_called_now_and_then(schedule: Any) -> None:
    """Summaries that stand are no reason to cut again."""
    calls: list[int] = []

    def summarizer(request: Any) -> str:
        calls.append(1)
        return "what was said " * 20

    history = ck.History(system="terse", scope=SCOPE)
    built = builder(
        budget=ck.Budget(8_000, target=4_000),
        schedule=schedule,
        compaction=[ck.SummarizeOldest(summarizer)],
    )
    for n in range(200):
        history.append(f"question {n} " * 20)
        built.build(history)
        history.append(answer(f"answer {n} " * 20))

    assert 3 <= len(calls) <= 30


def test_pins_beyond_the_target_do_not_cut_every_request() -> None:
    history, cuts = ck.History(system="terse"), 0
    for n in range(5):
        history.append(f"rule {n} " * 100, pin=True)
    built = builder(budget=ck.Budget(2_000, target=500), schedule=ck.WhenItPays(0.2, 1.0))
    for n in range(60):
        history.append(f"question {n} " * 9)
        cuts += bool(built.build(history).edits)
        history.append(answer(f"answer {n} " * 9))

    assert cuts <= 12
