"""Summaries where something odd comes in: full thread pools, stores, texts, other strategies."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

import contextkit as ck
from contextkit import kept_summaries
from tests.support import SCOPE, Characters, answer, builder, call, result, user
from tests.test_summaries import LONG, Summarizer, chat, converse, summaries, summarizing


def test_builds_that_wait_take_no_thread_from_the_preparations_that_they_wait_for() -> None:
    async def slow(request: Any) -> str:
        await asyncio.sleep(0.1)
        return LONG

    built = summarizing(slow)

    async def talk() -> ck.Context:
        history = ck.History(chat(7))
        preparing = asyncio.create_task(built.aprepare(history, within=99))
        await asyncio.sleep(0.02)
        assert history.preparing
        history.extend([*chat(4, 7), user("And now?")])
        context = await built.abuild(history)
        assert await preparing
        return context

    async def all_at_once() -> list[ck.Context]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        return await asyncio.wait_for(asyncio.gather(*(talk() for _ in range(6))), 20)

    for context in asyncio.run(all_at_once()):
        assert "summary" in [edit.kind for edit in context.edits]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_preparation_that_never_ends_is_given_up(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_summaries, "LONGEST_WAIT", 0.1)
    history = ck.History(chat(7))
    left = threading.Thread(target=lambda: kept_summaries.Preparing.begin(history, "main"))
    left.start()
    left.join()
    assert not summarizing(Summarizer()).prepare(history, within=99)
    history.extend([*chat(6, 7), user("And now?")])
    built = summarizing(Summarizer())
    context = built.build(history) if way == "sync" else asyncio.run(built.abuild(history))
    assert "summary" in [edit.kind for edit in context.edits]
    assert not history.preparing


GARBAGE: list[Any] = [
    None,
    "text",
    [1],
    {},
    {"last": 1, "text": "a", "provenance": {}},
    {"last": "ab", "text": "a", "provenance": {"tokens_in": 9, "tokens_out": 1}},
    {"last": 1, "text": 5, "provenance": {"tokens_in": 9, "tokens_out": 1}},
    {"last": 1, "text": " ", "provenance": {"tokens_in": 9, "tokens_out": 1}},
    {"last": 1, "text": "a", "provenance": {"tokens_in": "9", "tokens_out": None}},
]


@dataclass
class Garbled:
    """A store that has garbage at each summary's address, from the start or once one is kept."""

    garbage: Any
    from_the_start: bool

    def load(self, scope: ck.Scope) -> list[dict[str, Any]]:
        return []

    def append(self, scope: ck.Scope, records: Sequence[Any], **_: Any) -> int:
        return len(records)

    def decisions(self, scope: ck.Scope, view: str, hashes: Sequence[str]) -> dict[str, Any]:
        wanted = [one for one in hashes if one.startswith("summary ") and self.from_the_start]
        return dict.fromkeys(wanted, self.garbage)

    def decide(self, scope: ck.Scope, view: str, address: str, decision: Mapping[str, Any]) -> Any:
        return self.garbage if address.startswith("summary ") else decision


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("from_the_start", [True, False])
def test_garbage_in_a_store_is_no_summary(garbage: Any, from_the_start: bool) -> None:
    store: Any = Garbled(garbage, from_the_start)
    built = summarizing(Summarizer(), limit=None, budget=ck.Budget(1_200, target=600), store=store)
    history = ck.History(scope=SCOPE)
    kinds: list[str] = []
    for message in chat(24):
        history.append(message)
        if message["role"] == "user":
            context = built.build(history)
            kinds += [edit.kind for edit in context.edits]
            assert not context.report.failures
        else:
            built.prepare(history)
    assert set(kinds) == {"summary"}


@dataclass(frozen=True)
class CountOldest:
    """A strategy of one's own, whose summaries look otherwise."""

    phase = "compaction"

    def propose(self, view: ck.View, goal: int) -> list[ck.Edit]:
        spans = [span for span in view.free if span.kind != "summary"][:4]
        if len(view.summaries()) > 1:
            return []
        line = {"role": "user", "content": "[Order ORD-0000 was looked up and found.] " * 9}
        odd = {"facts": 3, "price": [1], "usage": "none", "cost": 5}
        return [view.summary(*spans, message=line, reason="counted", provenance=odd)]


def test_summaries_of_another_strategy_are_merged_and_reported() -> None:
    compaction = [CountOldest(), ck.SummarizeOldest(share=150, segments=2)]
    history = ck.History(system="You are terse.")
    contexts = converse(builder(1_200, compaction=compaction), history, chat(24))
    edits = [edit for context in contexts for edit in context.edits]
    merged = next(edit for edit in edits if edit.reason.startswith("merged"))
    assert "ORD-0000" in merged.shows[0]["content"]
    for context in contexts:
        assert context.report.failures == ()
        assert str(context.report)


def test_a_task_before_a_summary_is_not_summarized_with_what_lies_behind_it() -> None:
    history = ck.History(system="You are terse.")
    history.append(user("Look all orders up. Never call on Sunday."))
    built = builder(1_500, compaction=[ck.SummarizeOldest(share=200)])
    contexts = []
    for number in range(24):
        contexts.append(built.build(history))
        history.append(call(f"c{number}"))
        history.append(result(f"c{number}", f"Order ORD-{number:04} is late. " + "It left. " * 30))
    history.append(answer("All done."))
    contexts += converse(built, history, chat(9))
    assert any(len(summaries(context)) > 1 for context in contexts)
    for context in contexts:
        covers = [entry.numbers for entry in context.view.entries if len(entry.numbers) > 1]
        for one, other in pairwise(covers):
            assert one[-1] < other[0], "each summary tells of what lies behind the one before"


def test_a_cut_of_many_short_turns_takes_no_longer_where_summaries_are_kept() -> None:
    history = ck.History()
    counter = Characters()
    built = builder(20_000, compaction=[ck.SummarizeOldest(share=200)], counter=counter)
    for number in range(2_600):
        history.append(user(f"Is {number} there?"))
        history.append(answer("It is."))
    history.append(user("Well?"))
    started = time.process_time()
    built.build(history)
    first = time.process_time() - started
    for number in range(2_600):
        history.append(answer("Yes, it is."))
        history.append(user(f"Is {number} there, too?"))
    started = time.process_time()
    built.build(history)
    assert time.process_time() - started < 5 * first + 0.5


def test_a_call_without_the_response_format_of_the_live_requests_reads_nothing() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {}}}
    prices = {}
    for name, response_format in (("with", schema), ("without", None)):
        summarizer = Summarizer()
        built = summarizing(summarizer, model="gpt-5", response_format=response_format)
        contexts = converse(built, ck.History(system="You are terse."), chat(12))
        edit = next(edit for context in contexts for edit in context.edits)
        prices[name] = edit.provenance["price"]["aligned"]
        assert "response_format" not in summarizer.asked[0]
    assert prices["with"] > 1.5 * prices["without"]


@pytest.mark.parametrize(
    ("model", "cache", "key"),
    [("gpt-5", None, "prompt_cache_key"), ("qwen-plus", "session", "extra_headers")],
)
def test_a_call_is_led_to_the_cache_of_the_live_requests(model: str, cache: Any, key: str) -> None:
    summarizer = Summarizer()
    built = summarizing(summarizer, model=model, cache=cache)
    contexts = converse(built, ck.History(scope=SCOPE), chat(12))
    live, [asked, *_] = contexts[-1].request(), summarizer.asked
    assert asked[key] == live[key]
    client: Any = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=print)))
    options = {"extra_headers": {"x-own": "1"}, "extra_body": {"enable_thinking": False}}
    sent = ck.ModelSummarizer(client, options=options).parameters(asked)
    assert sent["extra_headers"] == {**live.get("extra_headers", {}), "x-own": "1"}
    assert sent["extra_body"] == {**live.get("extra_body", {}), "enable_thinking": False}
