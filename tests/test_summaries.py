"""Summaries: what is asked, what is kept, when they merge, what is written ahead of time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.errors import InputError
from contextkit.summarizing.request import SummaryRequest, Written
from contextkit.usage import Usage
from tests.support import SCOPE, answer, builder, user

LONG = "They looked orders up, one after the other, and found them. "


def chat(turns: int, start: int = 0) -> list[dict[str, Any]]:
    """Turns of about 70 tokens a message."""
    said: list[dict[str, Any]] = []
    for number in range(start, start + turns):
        said.append(user(f"Where is order ORD-{number:04}? " + "It is late. " * 20))
        said.append(answer(f"Order ORD-{number:04} is under way. " + "Please wait. " * 20))
    return said


class Summarizer:
    """Writes what it is given to write, and remembers what it was asked."""

    def __init__(self, *texts: Any) -> None:
        self.texts = list(texts) or [LONG]
        self.asked: list[SummaryRequest] = []

    def __call__(self, request: SummaryRequest) -> Any:
        self.asked.append(request)
        text = self.texts[min(len(self.asked), len(self.texts)) - 1]
        if isinstance(text, BaseException):
            raise text
        return text(request) if callable(text) else text


def summarizing(summarizer: Any, **options: Any) -> ck.ContextBuilder:
    share = options.pop("share", 120)
    segments = options.pop("segments", 8)
    strategy = ck.SummarizeOldest(summarizer, share=share, segments=segments)
    return builder(options.pop("limit", 1_200), compaction=[strategy], **options)


def converse(
    built: ck.ContextBuilder,
    history: ck.History,
    messages: list[dict[str, Any]],
    each: Callable[[ck.Context], None] = lambda _: None,
) -> list[ck.Context]:
    """Append and build, turn by turn."""
    contexts = []
    for message in messages:
        history.append(message)
        if message["role"] == "user":
            contexts.append(built.build(history))
            each(contexts[-1])
    return contexts


def summaries(context: ck.Context) -> list[str]:
    return [m["content"] for m in context.messages if '<data name="summary"' in str(m["content"])]


def test_the_call_is_the_live_request_with_an_instruction_appended() -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    summarizer = Summarizer()
    history = ck.History(system="You are terse.")
    contexts = converse(summarizing(summarizer, tools=tools), history, chat(12))
    cut = next(i for i, context in enumerate(contexts) if context.edits)
    request, before = summarizer.asked[0], contexts[cut - 1].request()

    assert request["model"] == "qwen-plus"
    assert request["tools"] == before["tools"]
    assert request["tool_choice"] == "none"
    shared = len(request["messages"]) - 1
    assert request["messages"][:shared] == before["messages"][:shared]
    assert request["messages"][-1]["content"].startswith("Summarize the conversation above")
    assert [m["content"] for m in request.span] == [
        m["content"] for m in before["messages"][1:shared]
    ]
    assert 0 < request.share < 120
    assert request.count("four") == 1


def test_the_call_is_about_what_was_sent_though_results_were_cleared_in_the_same_cut() -> None:
    """What the cut has taken out already is still in the provider's cache."""
    look = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    step = [
        user("Look it up."),
        {"role": "assistant", "content": None, "tool_calls": [look]},
        {"role": "tool", "tool_call_id": "1", "content": "Order ORD-7 is late. " * 40},
        answer("It is late."),
    ]
    summarizer = Summarizer()
    compaction = [
        ck.ClearToolResults(keep_last=0, at_least=1),
        ck.SummarizeOldest(summarizer, share=120),
    ]
    built = builder(1_200, compaction=compaction)
    contexts = converse(built, ck.History(step), chat(12))
    cut = next(i for i, context in enumerate(contexts) if context.edits)
    request, before = summarizer.asked[0], contexts[cut - 1].request()

    assert [event.split(":")[0] for event in contexts[cut].report.events] == [
        "ClearToolResults",
        "SummarizeOldest (Summarizer)",
    ]
    shared = len(request["messages"]) - 1
    assert shared > len(step)
    assert request["messages"][:shared] == before["messages"][:shared]


@pytest.mark.parametrize(("model", "whole"), [("llama.cpp", True), ("qwen-plus", False)])
def test_a_prepared_call_leaves_the_next_request_its_prefix(model: str, whole: bool) -> None:
    """A slot keeps the last prompt alone, so that a shorter one costs what stood behind it."""
    summarizer = Summarizer()
    history = ck.History(system="You are terse.")
    built = summarizing(summarizer, model=model)
    turns = near(built, history)
    [asked] = summarizer.asked
    history.append(user("And now? " + "It is late. " * 20))
    context = built.build(history)

    assert turns
    assert not context.edits
    *prefix, told = asked["messages"]
    sent = context.messages[:-1]  # the live request before, and the reply to it
    assert prefix == sent[: len(prefix)]
    assert (len(prefix) == len(sent)) is whole
    left = [message["content"] for message in sent[1 + len(asked.span) :]]
    assert ("stay as they are" in told["content"]) is whole
    assert (json.dumps(left[0][:80]) in told["content"]) is whole
    assert (f"The last {len(left)} messages" in told["content"]) is whole


def test_another_model_is_asked_with_a_prompt_of_its_own_and_both_prices_are_told() -> None:
    class Cheap(Summarizer):
        model = "gpt-5-mini"

    cheap, live = Cheap(), Summarizer()
    contexts = converse(
        summarizing(cheap, model="gpt-5"), ck.History(system="You are terse."), chat(12)
    )
    request = cheap.asked[0]

    assert request["model"] == "gpt-5-mini"
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert "tools" not in request
    assert "ORD-0000" in request["messages"][1]["content"]
    assert "You are terse" not in json.dumps(request)
    report = next(context.report for context in contexts if context.edits)
    price = report.edits[0].provenance["price"]
    assert report.edits[0].provenance["asked"] == "own prompt"

    other = converse(
        summarizing(live, model="gpt-5"), ck.History(system="You are terse."), chat(12)
    )
    told = next(context.report for context in other if context.edits)
    aligned = told.edits[0].provenance["price"]
    assert told.edits[0].provenance["asked"] == "aligned"
    # A fresh prompt to the same model is dearer than one that is read from the cache.
    assert price["own prompt"] < aligned["own prompt"]
    assert aligned["aligned"] < aligned["own prompt"]
    assert "the call in price units: aligned" in str(told)


def test_provenance_says_who_wrote_it_from_what() -> None:
    usage = Usage.of({"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920})
    summarizer = Summarizer(Written(LONG, "qwen-plus-2026", usage))
    contexts = converse(summarizing(summarizer), ck.History(), chat(12))
    edit = next(edit for context in contexts for edit in context.edits)
    said = edit.provenance

    assert said["trust"] == "derived"
    assert said["model"] == "qwen-plus-2026"
    assert said["usage"]["input_tokens"] == 900
    assert said["cost"]["currency"] == "CNY"
    cut = next(context for context in contexts if context.edits)
    assert "reported: 900 tokens in, 20 out" in str(cut.report)
    assert said["tokens_in"] > said["tokens_out"] > 0
    assert edit.shows[0]["role"] == "user"
    assert edit.covers == tuple(range(edit.covers[0], edit.covers[-1] + 1))
    assert f"Summary of messages {edit.covers[0]} to {edit.covers[-1]}" in edit.shows[0]["content"]


@pytest.mark.parametrize("first", ["", "long " * 400, 7])
def test_a_rejected_summary_is_asked_for_once_more_where_that_can_help(first: Any) -> None:
    summarizer = Summarizer(first, LONG)
    contexts = converse(summarizing(summarizer), ck.History(), chat(9))
    kinds = [edit.kind for context in contexts for edit in context.edits]

    if first == 7:  # a callable that gives no text will give none the second time either
        assert len(summarizer.asked) == 1
        assert kinds == ["drop"]
        return
    assert kinds == ["summary"]
    once, again = (request["messages"][-1]["content"] for request in summarizer.asked)
    assert again.startswith(once)
    assert "refused" in again


def test_two_rejections_hand_over_to_the_next_strategy_and_the_report_tells_the_order() -> None:
    bad = Summarizer("")
    compaction = [ck.SummarizeOldest(bad, share=120), ck.SummarizeOldest(share=200)]
    built = builder(1_200, compaction=compaction)
    contexts = converse(built, ck.History(), chat(12))
    report = next(context.report for context in contexts if context.edits)

    assert len(bad.asked) >= 2
    assert [edit.kind for edit in report.edits] == ["summary"]
    assert report.edits[0].provenance["summarizer"] == "ExtractiveSummarizer"
    assert [event.split(":")[1].strip().split(",")[0] for event in report.events] == [
        "SummaryRejected",
        "1 summary",
    ]
    lines = str(report).split("\n")
    passed = next(i for i, line in enumerate(lines) if line.startswith("passed over: Summarize"))
    assert lines[passed].startswith("passed over: SummarizeOldest (Summarizer): ")
    assert lines[passed].endswith("; asked 2 times")
    assert lines[passed + 1].startswith("done: SummarizeOldest (ExtractiveSummarizer): 1 summary")


def test_without_a_model_the_sentences_that_say_most_are_kept() -> None:
    contexts = converse(builder(1_200, compaction=[ck.SummarizeOldest()]), ck.History(), chat(12))
    cut = next(context for context in contexts if context.edits)

    assert cut.edits[0].kind == "summary"
    assert "price" not in cut.edits[0].provenance
    assert "ORD-0000" in summaries(cut)[0]


def test_a_share_without_room_for_a_text_is_said_before_anybody_is_called() -> None:
    summarizer = Summarizer()
    contexts = converse(summarizing(summarizer, share=10), ck.History(), chat(9))
    report = next(context.report for context in contexts if context.edits)

    assert not summarizer.asked
    assert [edit.kind for edit in report.edits] == ["drop"]
    assert "no room for a text" in report.failures[0]


def test_a_breaker_opens_after_three_failures_and_says_when_it_closes() -> None:
    now = [0.0]
    breaker = Breaker(failures=3, reset=60.0, clock=lambda: now[0])

    class Failing(Summarizer):
        pass

    failing = Failing(ConnectionError("secret words"))
    failing.breaker = breaker  # type: ignore[attr-defined]
    built = summarizing(failing)
    contexts = converse(built, ck.History(), chat(60))
    asked = len(failing.asked)
    told = [text for context in contexts for text in context.report.failures]

    assert asked == 3
    assert any("CallsPaused" in text and "60 s" in text for text in told)
    now[0] = 61.0
    failing.texts = [LONG]
    later = converse(built, ck.History(), chat(12))
    assert len(failing.asked) == 4
    assert any(edit.kind == "summary" for context in later for edit in context.edits)


def test_segments_stay_as_they_are_until_they_are_merged_in_one_move() -> None:
    summarizer = Summarizer(lambda request: f"{LONG}Text {len(request['messages'])}.")
    seen: list[list[str]] = []
    built = summarizing(summarizer, segments=3, share=80)
    contexts = converse(built, ck.History(), chat(120), lambda c: seen.append(summaries(c)))
    merges = [
        i for i, c in enumerate(contexts) if any(e.reason.startswith("merged") for e in c.edits)
    ]

    assert merges
    for number in range(1, len(seen)):
        if number not in merges:
            assert seen[number][: len(seen[number - 1])] == seen[number - 1]
    for number in merges:
        merged = next(e for e in contexts[number].edits if e.reason.startswith("merged"))
        assert len(seen[number]) < len(seen[number - 1]) + 1
        assert set(merged.covers) >= {0}
        assert merged.shows[0]["content"] == seen[number][0]
    assert max(map(len, seen)) <= 3


def test_the_same_span_is_written_once_whoever_decides(tmp_path: Path) -> None:
    """A branch that needs the same summary, here or in another process, gets the same bytes."""
    summarizer = Summarizer(lambda request: f"{LONG}Call {len(summarizer.asked)}.")
    store = ck.SQLiteStore(tmp_path / "chat.db")
    messages = [{"role": "system", "content": "You are terse."}, *chat(30)]
    cut = None
    for end in range(2, len(messages), 2):
        context = summarizing(summarizer, store=store).build(messages[:end], scope=SCOPE)
        if context.edits:
            cut = end
            break
    assert cut is not None
    other = [*messages[: cut - 1], user("Something else. " + "It is late. " * 20)]
    branch = summarizing(summarizer, store=store).build(other, scope=SCOPE)

    assert len(summarizer.asked) == 1
    assert summaries(branch) == summaries(context)
    store.close()


@pytest.mark.parametrize("cache", [None, "explicit"])
def test_roles_take_turns_where_the_model_demands_it(cache: Any) -> None:
    profile = replace(ck.profile_for("qwen-plus"), alternates=True)
    summarizer = Summarizer()
    history = ck.History(system="You are terse.")
    built = summarizing(summarizer, profile=profile, share=80, segments=3, cache=cache)
    contexts = converse(built, history, chat(40))
    plain = converse(
        summarizing(Summarizer(), share=80, segments=3),
        ck.History(system="You are terse."),
        chat(40),
    )

    for context, other in zip(contexts, plain, strict=True):
        roles = [message["role"] for message in context.messages]
        assert roles == ["system", *(["user", "assistant"] * 99)[: len(roles) - 1]]
        said = (json.dumps(each.messages).count("Where is order") for each in (context, other))
        assert len(set(said)) == 1
    assert max(len(summaries(context)) for context in plain) > 1
    assert (
        contexts[-1].messages == ck.fold(history, at=len(history) - 1).request()["messages"]
        or cache
    )
    for request in summarizer.asked:
        roles = [message["role"] for message in request["messages"]]
        assert all(one != other for one, other in pairwise(roles))


# -- ahead of time -----------------------------------------------------------------------------


def near(built: ck.ContextBuilder, history: ck.History) -> int:
    """Converse until a cut is near; the turns said."""
    for turns, start in enumerate(range(200)):
        said = chat(1, start)
        history.append(said[0])
        assert not built.build(history).edits
        history.append(said[1])
        prepared = built.prepare(history)
        if prepared or "under way" in prepared.reason or "nothing" in prepared.reason:
            return turns + 1
    raise AssertionError("no cut came near")


def test_a_prepared_summary_is_what_the_cut_shows_and_nobody_is_called_then() -> None:
    summarizer = Summarizer()
    history = ck.History(system="You are terse.")
    built = summarizing(summarizer)
    turns = near(built, history)
    log = history.dumps()

    assert len(summarizer.asked) == 1
    assert built.prepare(history)  # it is there already
    assert len(summarizer.asked) == 1
    assert history.dumps() == log  # nothing is decided
    contexts = converse(built, history, chat(5, turns))
    cut = next(context for context in contexts if context.edits)
    assert len(summarizer.asked) == 1
    assert [edit.kind for edit in cut.edits] == ["summary"]
    assert cut.tokens < 1_200 // 2 + 200


def test_nothing_is_prepared_where_no_cut_is_near() -> None:
    summarizer = Summarizer()
    built = summarizing(summarizer)
    history = ck.History(chat(2))
    prepared = built.prepare(history)

    assert not prepared
    assert "requests away" in prepared.reason
    assert not summarizer.asked
    assert "no strategy" in builder(400).prepare(history).reason
    with pytest.raises(ck.ContextKitError):
        built.prepare(history, within=0)


def test_an_idle_conversation_is_prepared_while_its_cache_is_warm() -> None:
    now = [0.0]
    schedule = ck.WhenItPays(0.01, 1.25, ttl=300.0, clock=lambda: now[0])
    summarizer = Summarizer()
    built = summarizing(
        summarizer, limit=None, budget=ck.Budget(20_000, target=300), schedule=schedule
    )
    history = ck.History()
    converse(built, history, chat(8))
    now[0] = 100.0
    assert not built.prepare(history)
    now[0] = 160.0
    prepared = built.prepare(history)
    assert prepared
    assert prepared.reason.startswith("idle")
    asked = len(summarizer.asked)
    now[0] = 1_000.0
    history.append(user("And now?"))
    assert [edit.kind for edit in built.build(history).edits] == ["summary"]
    assert len(summarizer.asked) == asked


def test_a_prepared_summary_serves_another_process(tmp_path: Path) -> None:
    first, second = Summarizer(), Summarizer("Never asked for. " * 3)
    store = ck.SQLiteStore(tmp_path / "chat.db")
    built = summarizing(first, store=store).scoped(SCOPE)
    messages: list[dict[str, Any]] = []
    for number in range(100):
        said = chat(1, number)
        messages.append(said[0])
        assert not built.build(messages).edits
        messages.append(said[1])
        if built.prepare(messages):
            break
    other = summarizing(second, store=store).scoped(SCOPE)
    for number in range(100, 110):
        messages += chat(1, number)[:1]
        context = other.build(messages)
        if context.edits:
            break
        messages += chat(1, number)[1:]

    assert [edit.kind for edit in context.edits] == ["summary"]
    assert len(first.asked) == 1
    assert not second.asked
    assert LONG.strip() in summaries(context)[0]
    store.close()


@pytest.mark.parametrize("failure", [RuntimeError("down"), KeyboardInterrupt(), ""])
def test_a_preparation_that_fails_or_is_cancelled_leaves_nothing_behind(failure: Any) -> None:
    summarizer = Summarizer(failure)
    history = ck.History()
    built = summarizing(summarizer)
    if isinstance(failure, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            near(built, history)
    else:
        near(built, history)
    assert summarizer.asked
    assert history.preparing == {}
    assert history.summaries == {}
    assert not any(decision.edits for decision in history.decisions())
    summarizer.texts = [LONG]
    assert built.prepare(history)


def test_a_cancelled_async_preparation_leaves_nothing_behind() -> None:
    history = ck.History(chat(9))

    async def run() -> None:
        started = asyncio.Event()

        async def never(request: Any) -> str:
            started.set()
            await asyncio.sleep(3_600)
            return LONG

        built = summarizing(never)
        task = asyncio.create_task(built.aprepare(history))
        await started.wait()
        assert history.preparing
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert history.preparing == {}
        assert history.summaries == {}

    asyncio.run(run())


def test_a_build_waits_for_a_preparation_only_where_the_limit_forces_a_cut() -> None:
    going, done = threading.Event(), threading.Event()

    def slow(request: Any) -> str:
        going.set()
        assert done.wait(5)
        asked.append(request)
        return LONG

    asked: list[Any] = []
    schedule = ck.WhenItPays(0.9, 1.0)  # pays early
    built = summarizing(
        slow, limit=None, budget=ck.Budget(1_200, target=300), schedule=schedule, share=60
    )
    history = ck.History(chat(7))
    preparing = threading.Thread(target=built.prepare, args=(history,), kwargs={"within": 99})
    preparing.start()
    assert going.wait(5)
    history.append(user("And now?"))
    waiting = built.build(history)  # a cut pays, and does not wait
    assert not waiting.edits
    history.append(answer("Soon."))
    history.extend(chat(4, 7)[:-1])
    forced: list[ck.Context] = []
    builds = threading.Thread(target=lambda: forced.append(built.build(history)))
    builds.start()
    builds.join(0.2)
    assert builds.is_alive()
    done.set()
    builds.join(5)
    preparing.join(5)
    assert "summary" in [edit.kind for edit in forced[0].edits]
    assert forced[0].tokens <= 1_200


def test_an_async_summarizer_is_prepared_by_aprepare_alone() -> None:
    async def summarizer(request: Any) -> str:
        return LONG

    built = summarizing(summarizer)
    history = ck.History(chat(9))
    with pytest.raises(InputError, match="async"):
        built.prepare(history)
    assert asyncio.run(built.aprepare(history))
    assert len(history.summaries) == 1


def test_a_merge_keeps_nothing_of_what_the_library_itself_wrote_around_summaries() -> None:
    """The heads name messages by number; without a digit in the conversation none is kept."""
    words = ["quiet", "sunny", "small", "old", "large", "green", "empty"]
    said: list[dict[str, Any]] = []
    for turn in range(40):
        one, other = words[turn % 7], words[turn // 7]
        said.append(user(f"I like {one} streets, and {other} rooms. " * 9))
        said.append(answer(f"There is a {one} hotel with {other} rooms. " * 9))
    compaction = [ck.SummarizeOldest(share=120, segments=1)]
    contexts = converse(builder(1_200, compaction=compaction), ck.History(), said)
    merged = [e for c in contexts for e in c.edits if e.reason.startswith("merged")]

    assert merged
    for edit in merged:
        _, text = edit.shows[0]["content"].split(" of this conversation:\n")
        assert not any(letter.isdigit() for letter in text.split("\n</data ")[0])


def test_what_was_invented_once_is_flagged_each_time_it_is_told_again() -> None:
    summarizer = Summarizer(f"{LONG}She paid 999 EUR to Gustav Zorba.")
    built = summarizing(summarizer, share=150, segments=3)
    contexts = converse(built, ck.History(), chat(60))
    edits = [edit for context in contexts for edit in context.edits]

    assert len(edits) > 4
    assert any(edit.reason.startswith("merged") for edit in edits)
    for edit in edits:
        assert edit.provenance["facts"]["unsupported"] == 2
        assert "Not in the messages: 999 EUR, Gustav Zorba" in edit.shows[0]["content"]
        assert edit.shows[0]["content"].count("999 EUR") == 2


# -- what it cost ------------------------------------------------------------------------------


def paid(text: str, tokens: int = 900) -> Written:
    reported = {"prompt_tokens": tokens, "completion_tokens": 20, "total_tokens": tokens + 20}
    return Written(text, "qwen-plus", Usage.of(reported))


def first_cut(contexts: list[ck.Context]) -> ck.Report:
    return next(context.report for context in contexts if context.edits)


def test_the_usage_of_every_attempt_is_told() -> None:
    once = first_cut(converse(summarizing(Summarizer(paid(LONG))), ck.History(), chat(12)))
    twice = first_cut(
        converse(summarizing(Summarizer(paid(""), paid(LONG, 950))), ck.History(), chat(12))
    )
    said = twice.edits[0].provenance

    assert once.edits[0].provenance["attempts"] == 1
    assert "asked 2 times" not in str(once)
    assert said["attempts"] == 2
    assert said["usage"] == {"input_tokens": 1_850, "output_tokens": 40}
    assert said["cost"]["money"] > 1.9 * once.edits[0].provenance["cost"]["money"]
    assert "asked 2 times; reported: 1,850 tokens in, 40 out; 0.00" in str(twice)


def test_attempts_of_which_nothing_was_reported_are_counted() -> None:
    said = first_cut(converse(summarizing(Summarizer("", paid(LONG))), ck.History(), chat(12)))

    assert said.edits[0].provenance["unreported"] == 1
    assert "asked 2 times; reported (for 1 of them): 900 tokens in" in str(said)


@pytest.mark.parametrize("second", [paid(""), ConnectionError("lost")])
def test_attempts_that_came_to_nothing_are_told_with_what_they_took(second: Any) -> None:
    report = first_cut(converse(summarizing(Summarizer(paid(""), second)), ck.History(), chat(12)))

    assert [edit.kind for edit in report.edits] == ["drop"]
    assert "; asked 2 times; reported" in report.failures[0]
    tokens = 1_800 if isinstance(second, Written) else 900
    assert f"{tokens:,} tokens in" in report.failures[0]
    assert f"{tokens:,} tokens in" in str(report)


def test_a_merge_tells_of_the_calls_for_what_it_replaced_in_the_same_cut() -> None:
    summarizer = Summarizer(lambda request: paid(LONG * 3))
    built = summarizing(summarizer, limit=1_000, segments=1, share=150)
    said = chat(60)
    for number, message in enumerate(said):
        message["content"] += "late " * (37 * number % 110)
    contexts = converse(built, ck.History(), said)
    edits = [edit for context in contexts for edit in context.edits]
    calls = sum(
        held["usage"]["input_tokens"]
        for edit in edits
        for held in (edit.provenance, *edit.provenance.get("replaced", ()))
        if "usage" in held
    )

    assert calls == 900 * len(summarizer.asked), "every call that was made is in some edit"
    both = next(c.report for c in contexts if any("replaced" in e.provenance for e in c.edits))
    assert "a summary by qwen-plus that gave way in this very cut: reported: 900" in str(both)
    assert "merged 2 summaries into 1, " in str(both)
    assert max(map(len, str(both).split("\n"))) < 130


def test_a_callable_that_asks_no_model_says_so() -> None:
    class NoModel(Summarizer):
        asks_model = False

    summarizer = NoModel(LONG)
    report = first_cut(converse(summarizing(summarizer), ck.History(), chat(12)))

    assert summarizer.asked[0] == {}
    assert summarizer.asked[0].span
    assert report.edits[0].provenance["model"] == ""
    assert "price" not in report.edits[0].provenance
    assert "by NoModel: oldest first" in str(report)


def test_a_price_that_is_not_known_is_said() -> None:
    class Own(Summarizer):
        model = "somebody-s-own-model"

    report = first_cut(converse(summarizing(Own()), ck.History(), chat(12)))

    assert "own prompt: price not known (asked)" in str(report)
    assert "by somebody-s-own-model: oldest first" in str(report)


def test_a_preparation_reads_well_and_the_cut_says_that_it_was_written_ahead() -> None:
    history = ck.History(system="You are terse.")
    built = summarizing(Summarizer())
    said: list[str] = []
    for start in range(40):
        one, other = chat(1, start)
        history.append(one)
        context = built.build(history)
        if context.edits:
            break
        history.append(other)
        said.append(str(built.prepare(history)))

    assert "written ahead of this cut" in str(context.report)
    assert context.edits[0].provenance["ahead"] is True
    written = [text for text in said if "written now; a cut in about" in text]
    assert len(written) == 1
    there = said[said.index(written[0]) + 1 :]
    assert there
    assert all("was there already; a cut in about" in text for text in there)
    nothing = built.prepare(ck.History(["x"]))
    assert str(nothing).startswith("the next cut is ")
    assert repr(nothing) == "Preparation(nothing written)"


def test_a_preparation_that_fails_says_why() -> None:
    prepared = summarizing(Summarizer(RuntimeError("down"))).prepare(ck.History(chat(8)))

    assert not prepared
    assert "nothing was written, passed over: SummarizeOldest (Summarizer): RuntimeError: down" in (
        prepared.reason
    )


def test_what_the_cut_may_not_need_is_not_prepared() -> None:
    """One request that a preparation takes for granted is no reason to go on, or to merge."""
    built = builder(1_200)
    bounds = built.build(ck.History([user("And now?")])).view.bounds
    assert bounds is not None
    view = ck.fold(ck.History([*chat(40), user("And now?")]), count=built.counter.message)
    view.bounds, view.uncut = bounds._replace(spare=100), tuple(view.groups)
    proposed: list[int] = []
    strategy = ck.SummarizeOldest(lambda request: proposed.append(1) or LONG, segments=1, share=60)
    for span in view.free[:2]:
        view.apply(view.summary(span, message=user("They met. " * 16), reason="own"))
    standing = list(view.summaries())
    assert len(standing) == 2

    def covered(goal: int) -> Any:
        proposal = strategy.propose(view, goal)
        assert isinstance(proposal, ck.Need)
        return list(proposal.covers)

    assert covered(101) == standing
    assert strategy.propose(view, 100) is None
    view.uncut = tuple(view.groups)  # both stood before the cut: it will merge them
    assert covered(1) == standing
