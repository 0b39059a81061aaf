"""ContextBuilder: kept logs, settings, tools, previews, drivers, and several builders at once."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import contextkit as ck
from contextkit.deciding import Decider
from contextkit.edits import Decision
from contextkit.errors import BudgetExceeded, GrammarError, InputError, ScopeError
from contextkit.grammar import violations
from contextkit.strategies.blocks import delimiter_mark
from contextkit.testing import assert_prefix_stable
from tests.support import (
    SCOPE,
    Own,
    answer,
    builder,
    call,
    chat,
    kinds,
    result,
    system,
    tool,
    user,
    wire,
)


def names(context: ck.Context) -> list[str]:
    return [given["function"]["name"] for given in context.tools]


def grow(history: ck.History) -> None:
    history.extend([answer("a"), user("b")])


def test_a_build_records_its_edits_and_a_second_one_nothing() -> None:
    history, built = ck.History(chat(12)), builder()
    first = built.build(history)
    records = len(history.records)
    second = built.build(history)

    assert kinds(first)
    assert kinds(second) == []
    assert wire(first) == wire(second)
    assert len(history.records) == records
    assert second.decision == first.decision


def test_a_preview_is_a_build_that_records_nothing() -> None:
    for known in (False, True):
        history, built, listed = ck.History(chat(12)), builder(), builder()
        if known:
            built.build(history)
            listed.build(list(history))
            history.extend([answer("a"), user("more " * 150)])
        before, decided = history.dumps(), len(history.decisions())
        preview, from_list = built.preview(history), listed.preview(list(history))

        assert history.dumps() == before
        kept, _ = listed.lists.known.find(None, list(history))
        assert kept is not None  # with the summaries that were written for it, and no decision
        assert len(kept.decisions()) == decided
        assert kinds(preview)
        assert wire(preview) == wire(from_list) == wire(built.build(history))
        assert wire(listed.build(list(history))) == wire(preview)


def test_a_change_of_settings_acts_from_the_next_decision_point_on() -> None:
    history = ck.History(chat(12))
    wide, tight = builder(100_000), builder(response_format={"type": "json_object"})
    first = wide.build(history)
    at_once = tight.build(history)
    grow(history)
    later = tight.build(history)
    again = wide.build(history)

    assert wire(at_once) == wire(first)
    assert at_once.limit == 100_000
    assert "drop" in kinds(later)
    assert later.request()["response_format"] == {"type": "json_object"}
    assert later.tokens <= later.limit == 400
    assert wire(again) == wire(later)
    settings = [r for r in history.records if type(r).__name__ == "Settings"]
    assert [s.data["limit"] for s in settings] == [100_000, 400]
    assert len({s.hash for s in settings}) == 2


def test_a_caller_cannot_change_settings_behind_their_hash() -> None:
    response_format = {"type": "json_object"}
    tools = [tool("look")]
    built = builder(response_format=response_format, tools=tools)
    before = wire(built.build([user("x")]))
    response_format["type"] = "text"
    tools[0]["function"]["name"] = "other"

    assert wire(built.build([user("x")])) == before


def test_tools_keep_their_order_and_late_ones_are_appended_with_one_move() -> None:
    history = ck.History(chat(1))
    orders, contexts = [], []
    given = [["c", "b"], ["b", "c"], ["a", "b", "c"], ["c", "a", "b"], ["b", "a", "c"]]
    for tools in given:
        contexts.append(builder(4_000, tools=[tool(name) for name in tools]).build(history))
        orders.append("".join(names(contexts[-1])))
        grow(history)

    assert orders == ["bc", "bc", "bca", "bca", "bca"]
    loaded = ck.History.loads(history.dumps())
    forked = history.fork(len(history) - 2)
    late = builder(4_000, tools=[tool("a"), tool("b"), tool("c")])
    assert "".join(names(late.build(loaded))) == "bca"
    forked.append(user("again"))
    assert "".join(names(late.build(forked))) == "bca"
    told = ["tools" in " ".join(context.report.warnings) for context in contexts]
    assert told == [False, False, True, False, False]


def test_tools_known_to_a_store_keep_their_order_for_lists(tmp_path: Path) -> None:
    messages = chat(1)
    with ck.SQLiteStore(tmp_path / "chat.db") as store:
        for tools in (["b"], ["b", "a"]):
            built = builder(4_000, tools=[tool(n) for n in tools], store=store)
            first = built.build(messages, scope=SCOPE)
            messages += [answer("a"), user("b")]
        assert len(names(first)) == 2
        built = builder(4_000, tools=[tool("a"), tool("b")], store=store)

        assert names(built.build(messages, scope=SCOPE)) == names(first)


def test_a_budget_that_is_exceeded_records_nothing_and_can_be_raised() -> None:
    history = ck.History([user("x" * 4_000)])
    with pytest.raises(BudgetExceeded):
        builder().build(history)

    assert len(history.records) == 1
    assert builder(4_000).build(history).messages == [user("x" * 4_000)]


def test_two_views_over_one_log() -> None:
    history = ck.History(chat(12))
    tight, wide = builder(view="tight"), builder(100_000, view="wide")
    one, other = tight.build(history), wide.build(history)

    assert kinds(one)
    assert kinds(other) == []
    assert ck.fold(history, "tight").messages == one.messages
    assert ck.fold(history, "wide").messages == other.messages == list(history)
    assert one.prefix_hash != other.prefix_hash


def test_a_history_has_its_own_scope() -> None:
    history = ck.History(["x"], scope=SCOPE)
    with pytest.raises(ScopeError):
        builder().build(history, scope=ck.Scope("tenant", "user", "other"))

    assert builder().build(history, scope=SCOPE).messages == [user("x")]


# -- drivers -----------------------------------------------------------------------------------


def summarize(request: Any) -> str:
    return f"summary of {len(request['messages'])}"


def embed(texts: Sequence[str]) -> np.ndarray:
    return np.array([[1.0, len(text) % 7, text.count("q")] for text in texts])


async def asummarize(request: Any) -> str:
    await asyncio.sleep(0)
    return summarize(request)


async def aembed(texts: Sequence[str]) -> np.ndarray:
    await asyncio.sleep(0)
    return embed(texts)


def with_needs(summarizer: Any, embedder: Any) -> ck.ContextBuilder:
    return builder(
        500,
        compaction=[ck.SummarizeOldest(summarizer, share=60)],
        tail=[ck.Retrieve(ck.VectorIndex(embedder), share=60)],
    )


def unmarked(context: ck.Context) -> str:
    """The request without the mark of its blocks, which differs between two histories."""
    return wire(context).replace(delimiter_mark(context.view.history), "mark")


def test_the_async_driver_does_what_the_sync_one_does() -> None:
    async def drive(built: ck.ContextBuilder, scoped: bool) -> list[str]:
        history, sent = ck.History(scope=SCOPE), []
        for message in chat(24):
            history.append(message)
            if message["role"] == "user":
                context = await (
                    built.scoped(SCOPE).abuild(list(history)) if scoped else built.abuild(history)
                )
                sent.append(unmarked(context))
        return sent

    history, sent, made = ck.History(scope=SCOPE), [], set()
    built = with_needs(summarize, embed)
    for message in chat(24):
        history.append(message)
        if message["role"] == "user":
            context = built.build(history)
            made.update(kinds(context))
            sent.append(unmarked(context))

    assert {"summary", "insert"} <= made
    for scoped in (False, True):
        assert asyncio.run(drive(with_needs(asummarize, aembed), scoped)) == sent
        assert asyncio.run(drive(with_needs(summarize, aembed), scoped)) == sent


@pytest.mark.parametrize("needs", [(asummarize, embed), (summarize, aembed)])
def test_the_sync_driver_refuses_async_callables_and_records_nothing(needs: Any) -> None:
    history = ck.History(chat(24), scope=SCOPE)
    built = with_needs(*needs)
    with pytest.raises(InputError, match="abuild"):
        built.build(history)

    assert history.decisions() == []
    assert len(history.records) == len(history)
    assert asyncio.run(built.abuild(history)).tokens <= 500


def test_a_failing_async_callable_is_passed_over_but_cancellation_is_not() -> None:
    async def broken(request: Any) -> str:
        await asyncio.sleep(0)
        raise TimeoutError

    async def stuck(request: Any) -> str:
        await asyncio.sleep(60)
        return ""

    history = ck.History(chat(14), scope=SCOPE)
    context = asyncio.run(with_needs(broken, aembed).abuild(history.fork()))
    assert context.tokens <= 500
    assert "drop" in kinds(context)

    async def cancelled() -> None:
        task = asyncio.create_task(with_needs(stuck, aembed).abuild(history))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert history.decisions() == []
    assert len(history.records) == len(history)


# -- concurrency -------------------------------------------------------------------------------


def test_threads_that_build_and_append_on_one_history() -> None:
    history, built = ck.History(chat(3)), builder(arrival=[ck.ClampToolResults(200)])
    seen: dict[int, set[str]] = {}
    lock = threading.Lock()

    def work(number: int) -> None:
        for n in range(15):
            context = built.build(history)
            assert context.tokens <= 400
            assert violations(context.messages) == []
            assert context.messages[-1] == history[context.decision.point - 1]
            with lock:
                seen.setdefault(context.decision.point, set()).add(wire(context))
            history.append(user(f"from {number} number {n} " * 3))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    last = built.build(history)

    assert len(history) == 8 + 60 == len({n for n, _ in enumerate(history)})
    points = [decision.point for decision in history.decisions()]
    assert points == sorted(set(points))
    assert last.messages == ck.fold(history).messages
    assert wire(
        builder(arrival=[ck.ClampToolResults(200)]).build(ck.History.loads(history.dumps()))
    ) == wire(last)
    assert all(len(sent) == 1 for sent in seen.values())


def interrupted(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[ck.Context, ck.History, ck.ContextBuilder]:
    """A build in which others append and build right after one of its steps."""
    history, built = ck.History(chat(3)), builder(arrival=[ck.ClampToolResults(200)])
    owner = built if hasattr(built, step) else Decider
    real = getattr(owner, step)
    done: list[int] = []

    def others() -> None:
        for n in range(9):
            history.extend([answer(f"a{n} " * 20), user(f"b{n} " * 20)])
            built.build(history)

    def patched(*args: Any, **options: Any) -> Any:
        if step == "_context" and not done:
            done.append(1)
            thread = threading.Thread(target=others)
            thread.start()
            thread.join(0.3)  # they wait where the step holds the lock
            value = real(*args, **options)
            waiting.append(thread)
            return value
        value = real(*args, **options)
        if not done:
            done.append(1)
            waiting.append(threading.Thread(target=others))
            waiting[0].start()
            waiting[0].join(0.3)
        return value

    waiting: list[threading.Thread] = []
    monkeypatch.setattr(owner, step, patched)
    context = built.build(history)
    for thread in waiting:
        thread.join()
    return context, history, built


@pytest.mark.parametrize("step", ["_record", "_context", "_decide"])
def test_who_builds_meanwhile_changes_nothing_in_this_build(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, history, built = interrupted(step, monkeypatch)
    rest = built.build(history)

    assert context.messages == chat(3)
    assert context.decision.point == 8
    assert rest.messages == ck.fold(history).messages
    assert rest.tokens <= 400


def test_what_a_build_decided_stands_though_others_appended_meanwhile() -> None:
    """The list of one request is built while the next message is there already."""
    ticks = iter(range(9))
    history = ck.History(["a"])

    class Late(ck.History):
        def __len__(self) -> int:
            length = super().__len__()
            if length == 1 and not self.usages:
                self.append(answer("b"))
                self.append(user("c"))
            return length

    late = Late(list(history))
    built = builder(4_000, tail=[ck.Volatile("now", lambda: next(ticks), share=40)])
    first = built.build(late)
    later = built.build(late)

    assert len(first.messages) == 1
    assert later.messages[:1] == first.messages


def test_two_builders_on_one_store_the_first_writer_wins() -> None:
    count = iter(range(100))

    def summarizer(request: Any) -> str:
        return f"summary {next(count)}"

    def options(store: ck.SQLiteStore) -> dict[str, Any]:
        return {
            "limit": 500,
            "store": store,
            "compaction": [ck.SummarizeOldest(summarizer, share=60)],
            "tail": [ck.Volatile("n", lambda: next(count), share=40)],
        }

    with ck.SQLiteStore(":memory:") as store:
        one, other = builder(**options(store)), builder(**options(store))
        messages = []
        summaries = 0
        for message in chat(24):
            messages.append(message)
            if message["role"] == "user":
                first = one.build(messages, scope=SCOPE)
                second = other.build(messages, scope=SCOPE)
                third = builder(**options(store)).build(messages, scope=SCOPE)
                summaries += "summary" in kinds(first)
                assert wire(first) == wire(second) == wire(third)
        assert summaries >= 2


def test_of_two_who_decide_at_once_the_loser_takes_what_was_written_first() -> None:
    with ck.SQLiteStore(":memory:") as store:
        inner = builder(4_000, store=store, tail=[ck.Volatile("n", lambda: "inner")])
        sent: list[str] = []

        def meanwhile() -> str:
            if not sent:
                sent.append(wire(inner.build([user("x")], scope=SCOPE)))
            return "outer"

        outer = builder(4_000, store=store, tail=[ck.Volatile("n", meanwhile)])
        context = outer.build([user("x")], scope=SCOPE)

        assert wire(context) == sent[0]
        assert "inner" in sent[0]
        kept = ck.History([user("x")], scope=SCOPE)
        assert wire(outer.build(kept)) == sent[0]


def test_who_fails_to_fill_the_tail_still_sends_what_the_first_writer_sent() -> None:
    """A retry lands on another worker, where retrieval times out."""
    with ck.SQLiteStore(":memory:") as store:
        good = builder(4_000, store=store, tail=[ck.Volatile("n", lambda: "good")])
        bad = builder(4_000, store=store, tail=[ck.Volatile("n", lambda: 1 / 0)])
        messages = chat(1)
        bad.build(messages, scope=SCOPE)
        for first, second in ((good, bad), (bad, good)):
            messages += [answer("a"), user("b")]
            sent = wire(first.build(messages, scope=SCOPE))

            assert wire(second.build(messages, scope=SCOPE)) == sent


def test_a_loop_with_parallel_calls_turn_by_turn() -> None:
    history, built = (
        ck.History([system(), user("go")]),
        builder(600, compaction=[ck.ClearToolResults(1)]),
    )
    for n in range(30):
        built.build(history)
        history.extend(
            [call(f"a{n}", f"b{n}"), result(f"b{n}", "r " * 40), result(f"a{n}", "s " * 40)]
        )
        context = built.build(history)
        assert context.tokens <= 600
        assert violations(context.messages) == []
        assert context.messages[-3:] == list(history)[-3:]


def test_own_strategies_may_ask_too() -> None:
    def propose(view: ck.View, goal: int) -> ck.Need:
        return ck.Need(lambda: "asked", lambda got: [view.drop(view.free[0], reason=got)], "word")

    history = ck.History(chat(12))
    builder(100_000).build(history)
    grow(history)
    context = builder(compaction=[Own(propose)]).build(history)

    assert {edit.reason for edit in context.edits} == {"asked"}
    assert context.view.body_tokens <= context.target
    assert json.loads(history.dumps().split("\n")[-3])["type"] == "decision"


def test_a_point_decided_with_other_settings_says_so() -> None:
    history = ck.History(chat(12))
    builder(3_000).build(history)
    again = builder(400).build(history)

    assert again.limit == 3_000
    assert any("other settings (limit" in text for text in again.report.warnings)
    assert builder(3_000).build(history).report.warnings == ()
    other = builder(400, view="fallback").build(history)
    assert (other.limit, other.tokens <= 400) == (400, True)


def test_another_model_has_a_view_of_its_own() -> None:
    history = ck.History(chat(12))
    first, second = builder(3_000), builder(400, model="gpt-4o")
    sent = [first.build(history)]
    history.append(answer("a"))
    grow(history)
    sent += [second.build(history), second.preview(history), second.build(history)]
    history.append(answer("b"))
    grow(history)
    sent += [first.build(history), second.build(history)]

    assert [context.view.name for context in sent] == [
        *["main", "main gpt-4o", "main gpt-4o", "main gpt-4o", "main", "main gpt-4o"]
    ]
    assert all(context.tokens <= 400 for context in sent if context.model == "gpt-4o")
    assert sent[1].request() == sent[2].request() == sent[3].request()
    assert_prefix_stable([sent[0].request(), sent[4].request()])
    assert {decision.view for decision in history.records if isinstance(decision, Decision)} == {
        *["main", "main gpt-4o"]
    }
    restored = ck.History.loads(history.dumps())
    assert second.build(restored).request() == sent[5].request()


def test_an_earlier_request_is_rebuilt_and_no_other() -> None:
    history, sent = ck.History(chat(0)), {}
    built = builder(200, tools=[tool("look")])
    for n in range(12):
        sent[len(history)] = built.build(history).request()
        history.extend([answer(f"a{n} " * 9), user(f"q{n} " * 9)])

    assert {point: ck.fold(history, at=point).request() for point in sent} == sent
    for at in (0, 3, len(history)):
        with pytest.raises(InputError, match="no request was built"):
            ck.fold(history, at=at).request()
    for at in (-1, 1_000):
        with pytest.raises(InputError, match="outside"):
            ck.fold(history, at=at)


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"budget": 8_000}, "budget"),
        ({"schedule": "x"}, "schedule"),
        ({"pin": "system"}, "pin"),
        ({"counter": len}, "counter"),
        ({"store": "x.db"}, "store"),
        ({"profile": "qwen"}, "profile"),
        ({"compaction": ck.DropOldest()}, "compaction"),
        ({"compaction": [ck.DropOldest]}, r"compaction\[0\]"),
        ({"compaction": [object()]}, r"compaction\[0\]"),
        ({"arrival": [ck.DropOldest()]}, r"arrival\[0\]"),
        ({"compaction": [ck.Volatile("now", str)]}, r"compaction\[0\]"),
        ({"tools": [{"name": "a", "parameters": {}}]}, "tool 'a'"),
    ],
)
def test_what_a_builder_is_made_of_is_checked_when_it_is_made(
    options: dict[str, Any], place: str
) -> None:
    with pytest.raises(InputError, match=place):
        ck.ContextBuilder("qwen-plus", **options)


def test_parts_of_strategies_are_checked_when_they_are_made() -> None:
    for make in (
        lambda: ck.SummarizeOldest("qwen"),  # type: ignore[arg-type]
        lambda: ck.Volatile("now", "12:01"),  # type: ignore[arg-type]
        lambda: ck.VectorIndex(None),  # type: ignore[arg-type]
        lambda: ck.Retrieve(len),  # type: ignore[arg-type]
        lambda: ck.ClearToolResults(exclude="look"),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError):
            make()


def test_an_async_summarizer_is_refused_at_the_first_build_already() -> None:
    async def summarizer(request: Any) -> str:
        return "short"

    with pytest.raises(InputError, match="abuild"):
        builder(compaction=[ck.SummarizeOldest(summarizer)]).build(ck.History(["hi"]))


def test_a_result_for_no_call_is_named_where_nothing_else_came() -> None:
    history = ck.History([user("x"), answer("done"), result("zzz")])
    with pytest.raises(GrammarError, match="'zzz'"):
        builder().build(history)
