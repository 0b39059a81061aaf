"""The promises with summaries, failures, preparation and clearing interleaved."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import BudgetExceeded, GrammarError, StoreError
from contextkit.grammar import violations
from contextkit.stored_decisions import recall
from contextkit.summarizing.request import SummaryRequest
from tests.conversations import Choices, Messages, choices, conversations, points
from tests.interleaved import WAYS, Play
from tests.support import (
    SCOPE,
    Characters,
    Own,
    answer,
    builder,
    call,
    chat,
    kinds,
    result,
    user,
    wire,
)

MARK = re.compile(r'mark="([0-9a-f]{8})"')

pytestmark = pytest.mark.usefixtures("quiet_log")


def counting() -> Any:
    """A summarizer that never writes the same twice, and remembers what it was asked."""

    def summarizer(request: SummaryRequest) -> str:
        summarizer.asked.append(request)  # type: ignore[attr-defined]
        return f"summary number {len(summarizer.asked)}"  # type: ignore[attr-defined]

    summarizer.asked = []  # type: ignore[attr-defined]
    return summarizer


def standing(context: ck.Context) -> list[str]:
    """What the summaries of a request say, in order."""
    return [m["content"] for m in context.messages if '<data name="summary"' in str(m["content"])]


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=max(1, settings().max_examples // len(WAYS)))
@given(choose=choices(2_000))
def test_the_promises_hold_whatever_happens_in_between(
    runner: asyncio.Runner, way: str, choose: Choices
) -> None:
    """Promises 1 to 6, with all that summaries can bring, interleaved: `Play` has them."""
    Play(choose, way, runner).run()


# -- bytes over turns, restarts, processes -------------------------------------------------------


def turns(path: str, name: str, talk: dict[str, Any]) -> dict[str, Any]:
    """Ten turns by a process of this name, which has nothing but the store and the messages."""
    spans: list[str] = []

    def summarizer(request: SummaryRequest) -> str:
        spans.append(json.dumps(request.span))
        return f"written by {name}, call {len(spans)}"

    messages: list[dict[str, Any]] = talk["messages"]
    sent: list[dict[str, Any]] = []
    with ck.SQLiteStore(path) as store:
        compaction = [ck.SummarizeOldest(summarizer, share=90, segments=4)]
        built = builder(1_600, compaction=compaction, store=store)
        held: Any = messages
        if talk["kept"]:
            held = ck.History(messages, scope=SCOPE)
            recall(held, store, built.view)
        scope = None if talk["kept"] else SCOPE
        for n in range(10):
            for message in (user(f"q{len(messages)} " * 12), answer(f"a{len(messages)} " * 12)):
                messages.append(message)
                if held is not messages:
                    held.append(message)
                if message["role"] == "user":
                    context = built.build(held, scope=scope)
                    merged = any(edit.reason.startswith("merged") for edit in context.edits)
                    sent.append({"messages": context.messages, "cut": bool(context.edits)})
                    sent[-1]["merged"] = merged
                    assert kinds(context) in ([], ["summary"], ["summary"] * 2)
                elif n % 3 == 0:
                    built.prepare(held, scope=scope)
    return {"messages": messages, "sent": sent, "spans": spans}


def other_process() -> None:
    """What a second process runs."""
    print(json.dumps(turns(sys.argv[1], sys.argv[2], json.load(sys.stdin))))  # noqa: T201


def test_earlier_summaries_are_the_same_bytes_over_turns_restarts_and_processes(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "chat.db")
    messages: list[dict[str, Any]] = [{"role": "system", "content": "terse"}]
    sent: list[dict[str, Any]] = []
    spans: list[str] = []
    for n in range(20):
        talk = {"messages": messages, "kept": n % 2 == 1}
        if n % 7 == 5:
            code = "from tests.test_promises_summaries import other_process; other_process()"
            command = [sys.executable, "-c", code, path, f"child {n}"]
            done = subprocess.run(
                command, input=json.dumps(talk), capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
            said = json.loads(done.stdout)
        else:
            said = turns(path, f"restart {n}", talk)
        messages, sent, spans = said["messages"], sent + said["sent"], spans + said["spans"]

    assert len(sent) == 200
    assert len(spans) == len(set(spans)) >= 8
    texts: dict[str, str] = {}
    before: list[dict[str, Any]] = []
    moves = merges = 0
    for request in sent:
        now = [m["content"] for m in request["messages"] if "<data name=" in m["content"]]
        stood = [m["content"] for m in before if "<data name=" in m["content"]]
        for text in now:  # what it stands for is said in its second line
            assert texts.setdefault(text.split("\n")[1], text) == text
        if request["merged"]:
            merges += 1
        else:
            assert now[: len(stood)] == stood
        if request["cut"]:
            moves += 1
        else:
            assert request["messages"][: len(before)] == before
        before = request["messages"]
    assert len(texts) > moves >= 8
    assert 1 <= merges < moves


# -- what it costs -------------------------------------------------------------------------------


def test_promise_7_a_build_costs_the_same_however_long_the_conversation_has_become() -> None:
    """Counted: what is counted, and who is asked; also where summaries stand and are prepared."""
    counter, summarizer = Characters(), counting()
    compaction = [ck.ClearToolResults(keep_last=1), ck.SummarizeOldest(summarizer, share=120)]
    built = builder(2_000, counter=counter, compaction=compaction)
    history = ck.History(scope=SCOPE)
    plain: list[int] = []
    cuts: list[int] = []
    asked: list[int] = []
    for n in range(600):
        history.extend([user(f"q{n} " * 9), call(f"c{n}"), result(f"c{n}", f"row {n} " * 20)])
        before, calls = counter.calls, len(summarizer.asked)
        context = built.build(history)
        (cuts if context.edits else plain).append(counter.calls - before)
        history.append(answer(f"a{n} " * 9))
        if n % 2:
            before = counter.calls
            made = built.prepare(history)
            if not made:
                plain.append(counter.calls - before)
        asked.append(len(summarizer.asked) - calls)

    assert len(cuts) > 20
    assert max(plain[len(plain) // 2 :]) <= max(plain[: len(plain) // 2]) <= 40
    assert max(cuts[len(cuts) // 2 :]) <= 1.2 * max(cuts[: len(cuts) // 2])
    assert max(asked) <= 2
    assert sum(asked) <= 2 * len(cuts)


# -- whose it is ---------------------------------------------------------------------------------


@given(conversations(), st.sampled_from(["kept", "scoped", "listed"]), st.booleans())
def test_promise_8_no_summary_of_one_user_is_shown_to_another(
    messages: Messages, way: str, stored: bool
) -> None:
    """Not even where they said the same, word for word, to the same builder over one store."""
    for context, whose in shown_to_two(messages, way, stored=stored):
        assert f"written for {'you' if whose == 'me' else 'me'}" not in wire(context)


@pytest.mark.parametrize("way", ["kept", "scoped", "listed"])
def test_two_users_who_say_the_same_have_a_summary_each(way: str) -> None:
    last = {whose: context for context, whose in shown_to_two(chat(30), way, stored=False)}

    assert {whose: f"written for {whose}" in wire(context) for whose, context in last.items()} == {
        "me": True,
        "you": True,
    }


def shown_to_two(messages: Messages, way: str, *, stored: bool) -> Iterator[tuple[ck.Context, str]]:
    """The requests of two users with the same messages, turn about, each also prepared."""
    asking: list[str] = []

    def summarizer(request: SummaryRequest) -> str:
        return f"written for {asking[-1]}"

    compaction = [ck.SummarizeOldest(summarizer, share=100)]
    with ck.SQLiteStore(":memory:") as store:
        built = builder(
            500, compaction=compaction, store=store if stored and way != "kept" else None
        )
        scopes = {whose: ck.Scope("t", whose, "c") for whose in ("me", "you")}
        histories = {
            whose: ck.History(scope=None if way == "kept" else scopes[whose]) for whose in scopes
        }
        for point in points(messages):
            for whose, history in histories.items():
                history.extend(messages[len(history) : point])
                held = messages[:point] if way == "listed" else history
                scope = scopes[whose] if way == "listed" else None
                asking.append(whose)
                built.prepare(held, scope=scope, within=20)
                try:
                    yield built.build(held, scope=scope), whose
                except (BudgetExceeded, GrammarError):
                    continue


# -- what was found wrong once -------------------------------------------------------------------


def test_a_summary_of_other_messages_is_another_one_though_they_begin_and_end_alike() -> None:
    summarizer, drops = counting(), [True]

    def drop(view: ck.View, goal: int) -> Iterator[ck.Edit]:
        if drops[0] and len(view.free) > 2 and view.free[1].kind == "turn":
            drops[0] = False
            yield view.drop(view.free[1], reason="small talk")

    built = builder(500, compaction=[Own(drop), ck.SummarizeOldest(summarizer, share=80)])
    history = ck.History(chat(20), scope=SCOPE)
    fork = history.fork()
    first, second = built.build(history), built.build(fork)
    covers = [next(e.covers for e in c.edits if e.kind == "summary") for c in (first, second)]

    assert (covers[0][0], covers[0][-1]) == (covers[1][0], covers[1][-1])
    assert covers[0] != covers[1]
    assert "summary number 2" in standing(second)[0]


def test_whoever_decides_while_a_summarizer_writes_is_first() -> None:
    """Its summarizer is down, so it drops; what is written meanwhile comes too late."""
    messages = chat(20)
    first: list[ck.Context] = []
    with ck.SQLiteStore(":memory:") as store:

        def down(request: SummaryRequest) -> str:
            raise ConnectionError

        def slow(request: SummaryRequest) -> str:
            first.append(other.build(messages, scope=SCOPE))
            return "written too late"

        one, other = (
            builder(500, compaction=[ck.SummarizeOldest(summarizer, share=80)], store=store)
            for summarizer in (slow, down)
        )
        sent = one.build(messages, scope=SCOPE)

    assert kinds(first[0]) == ["drop"]
    assert wire(sent) == wire(first[0])


def test_another_instruction_share_or_summarizer_asks_for_another_summary() -> None:
    history = ck.History(chat(20), scope=SCOPE)
    summarizer, other = counting(), counting()
    other.__qualname__ = "other"
    asked = [
        ck.SummarizeOldest(summarizer, share=80),
        ck.SummarizeOldest(summarizer, share=80, instruction="Be brief."),
        ck.SummarizeOldest(summarizer, share=81),
        ck.SummarizeOldest(other, share=80),
    ]
    for strategy in [*asked, *asked]:
        builder(500, compaction=[strategy]).build(history.fork())

    assert (len(summarizer.asked), len(other.asked)) == (3, 1)


def test_a_branch_that_says_something_else_has_a_summary_of_its_own() -> None:
    summarizer = counting()
    built = builder(500, compaction=[ck.SummarizeOldest(summarizer, share=80)])
    history = ck.History(chat(20), scope=SCOPE)
    messages = [*chat(20)[:4], answer("b1 " * 20), *chat(20)[5:]]
    assert messages != chat(20)
    branch = history.fork(4)
    branch.extend(messages[4:])
    covers = [
        next(edit.covers for edit in context.edits if edit.kind == "summary")
        for context in (built.build(history), built.build(branch))
    ]

    assert covers[0] == covers[1]
    assert len(summarizer.asked) == 2


@pytest.mark.parametrize("way", ["kept", "scoped", "stored"])
def test_the_summary_of_a_preview_is_found_by_the_build_that_comes(way: str) -> None:
    summarizer = counting()
    with ck.SQLiteStore(":memory:") as store:
        built = builder(
            500,
            compaction=[ck.SummarizeOldest(summarizer, share=80)],
            store=store if way == "stored" else None,
        )
        held: Any = ck.History(chat(20), scope=SCOPE) if way == "kept" else chat(20)
        scope = None if way == "kept" else SCOPE
        previewed = built.preview(held, scope=scope)
        sent = built.build(held, scope=scope)

    assert wire(sent) == wire(previewed)
    assert len(summarizer.asked) == 1


def test_a_preparation_reads_what_a_build_would_send() -> None:
    """Calls without a result, and results to be clamped, are no news to it."""
    summarizer = counting()
    built = builder(
        800,
        arrival=[ck.ClampToolResults(60)],
        compaction=[ck.SummarizeOldest(summarizer, share=120)],
    )
    history = ck.History(scope=SCOPE)
    for n in range(4):
        history.extend([user(f"q{n} " * 40), call(f"a{n}", f"b{n}"), result(f"a{n}", "row " * 300)])
    history.extend([user("and? " * 30), answer("soon " * 30)])
    made = built.prepare(history, within=50)
    request = summarizer.asked[0]

    assert made.summaries
    assert violations(request["messages"]) == []
    history.append(user("well?"))
    sent = builder(9_000, arrival=[ck.ClampToolResults(60)]).build(history.fork()).messages
    assert request["messages"][:-1] == sent[: len(request["messages"]) - 1]


def test_whoever_takes_over_knows_when_the_last_request_was_made() -> None:
    """A request without an edit warms the cache, too."""
    now = [0.0]
    schedule = ck.WhenItPays(0.1, 1.0, ttl=300, clock=lambda: now[0])
    with ck.SQLiteStore(":memory:") as store:
        one, other = (
            builder(budget=ck.Budget(4_000, target=200), schedule=schedule, store=store)
            for _ in range(2)
        )
        messages = chat(1)
        for n in range(8):  # an edit at the first request, and none behind it
            thought = {} if n else {"reasoning_content": "hm"}
            messages += [answer(f"a{n} " * 20, **thought), user(f"q{n} " * 20)]
            now[0] += 200
            sent = one.build(messages, scope=SCOPE)
        assert not sent.edits
        assert wire(other.build(messages, scope=SCOPE)) == wire(sent)
        messages += [answer("yes"), user("no")]
        now[0] += 200

        assert not other.build(messages, scope=SCOPE).edits


def test_a_cut_that_was_put_off_for_a_preparation_is_put_off_by_all() -> None:
    sent: list[ck.Context] = []
    options: dict[str, Any] = {
        "budget": ck.Budget(4_000, target=300),
        "schedule": ck.WhenItPays(0.1, 1.0, fee=0),
    }
    messages = chat(34)
    with ck.SQLiteStore(":memory:") as store:

        def meanwhile(request: SummaryRequest) -> str:
            sent.append(one.build(messages, scope=SCOPE))
            return "written meanwhile"

        strategy = ck.SummarizeOldest(meanwhile, share=80)
        one = builder(**options, compaction=[strategy], store=store)
        one.prepare(messages[:-1], scope=SCOPE)
        assert sent
        assert not sent[0].edits
        strategy = ck.SummarizeOldest(lambda _: "written later", share=80)
        other = builder(**options, compaction=[strategy], store=store)

        assert wire(other.build(messages, scope=SCOPE)) == wire(sent[0])
        alone = builder(**options, compaction=[strategy])
        assert kinds(alone.build(messages, scope=SCOPE)) == ["summary"]


def test_a_cut_that_does_not_pay_for_one_is_not_made_by_another_who_has_its_summary() -> None:
    """A prepared summary costs nothing: a plan with it pays earlier."""
    options: dict[str, Any] = {
        "budget": ck.Budget(12_000, target=600),
        "schedule": ck.WhenItPays(0.3, 1.0),
    }
    weighed = 0
    for turns in range(30, 50, 5):
        messages = chat(turns)
        with ck.SQLiteStore(":memory:") as store:
            summarizer = counting()
            summarizer.model = "qwen-max"  # which costs more than is taken as a rule
            strategy = ck.SummarizeOldest(summarizer, share=80)
            one = builder(**options, compaction=[strategy], store=store)
            other = builder(**options, compaction=[strategy], store=store)
            one.prepare(messages[:-1], scope=SCOPE)
            sent = other.build(messages, scope=SCOPE)
            weighed += sent.view.planned is not None

            assert wire(one.build(messages, scope=SCOPE)) == wire(sent)
    assert weighed


def test_a_new_summary_stands_behind_the_earlier_ones() -> None:
    """The user message of a long turn is protected while its steps are summarized."""
    summarizer = counting()
    built = builder(1_400, compaction=[ck.SummarizeOldest(summarizer, share=80)])
    history = ck.History([user("do all of it")], scope=SCOPE)
    covers: list[tuple[int, ...]] = []
    for n in range(95):  # before they are merged
        context = built.build(history)
        covers += [edit.covers for edit in context.edits if edit.kind == "summary"]
        if n % 30 == 29:
            history.extend([answer(f"done {n} " * 20), user(f"do more {n} " * 20)])
        else:
            history.extend([call(f"c{n}"), result(f"c{n}", f"row {n} " * 20)])

    assert len(covers) >= 4
    assert all(one[-1] < other[0] for one, other in pairwise(covers))
    assert len({number for one in covers for number in one}) == sum(map(len, covers))


LONG_WINDED = (
    "The user said go, and the tool was asked to look. It gave row after row, none of which "
    "stood out. The answer was ok, and the work went on. Then there was another go, with rows "
    "much like those before, and a short word that all was well. The last look brought the "
    "same table again, which nobody questioned. So far every step was done as it was wanted, "
    "no decision is open, nothing else was named, and the next thing to do is to wait for "
    "what the user wants to see, and then to look for it in the rows that were found so far. "
    "If that brings nothing new, say so at once, and ask which other place is to be searched."
)


def test_a_prepared_summary_that_is_longer_than_what_is_left_is_not_shown() -> None:
    """The results that it was written of have been cleared."""
    strategy = ck.SummarizeOldest(lambda request: LONG_WINDED, share=200)
    history = ck.History(scope=SCOPE)
    for n in range(3):
        history.extend([user("go"), call(f"a{n}"), result(f"a{n}", "row " * 400), answer("ok")])
    assert builder(1_300, compaction=[strategy]).prepare(history)
    history.append(user("go on " * 50))
    context = builder(450, compaction=[ck.ClearToolResults(keep_last=0), strategy]).build(history)

    assert context.events
    assert not standing(context)
    assert not any("1 summary" in event for event in context.events)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_kept_summary_that_is_longer_than_what_is_left_is_not_written_again(
    elsewhere: bool,
) -> None:
    """Its messages have been cleared since: the next strategy has its turn."""
    asked: list[Any] = []

    def summarizer(request: Any) -> str:
        asked.append(request)
        return LONG_WINDED

    strategy = ck.SummarizeOldest(summarizer, share=200)
    messages: list[Any] = []
    for n in range(3):
        messages += [user("go"), call(f"a{n}"), result(f"a{n}", "row " * 400), answer("ok")]
    with closing(ck.SQLiteStore(":memory:")) as store:
        options: dict[str, Any] = {"store": store} if elsewhere else {}
        history = ck.History(messages, scope=SCOPE)
        assert builder(1_300, compaction=[strategy], **options).prepare(history)
        if elsewhere:
            history = ck.History(messages, scope=SCOPE)
        history.append(user("go on " * 50))
        stack = [ck.ClearToolResults(keep_last=0), strategy]
        context = builder(450, compaction=stack, **options).build(history)

    assert len(asked) == 1
    assert {"clear", "drop"} <= {edit.kind for edit in context.edits}
    assert not standing(context)
    assert not context.report.failures


def test_what_the_store_could_not_keep_is_kept_nowhere() -> None:
    """Another process may write another text at that address."""

    class Full(ck.SQLiteStore):
        def decide(self, scope: Any, view: str, prefix_hash: str, decision: Any) -> Any:
            if prefix_hash.startswith("summary "):
                raise StoreError("the disk is full")
            return super().decide(scope, view, prefix_hash, decision)

    history = ck.History(chat(9)[:-1], scope=SCOPE)
    with Full(":memory:") as store:
        built = builder(compaction=[ck.SummarizeOldest(counting(), share=80)], store=store)

        assert not built.prepare(history)
    assert history.summaries == {}


def test_many_who_wait_for_preparations_leave_them_the_threads_that_they_need() -> None:
    """More builds than the pool has threads, each at its limit, each being prepared."""

    async def run() -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        started, goes_on = asyncio.Semaphore(0), asyncio.Event()

        async def summarizer(request: SummaryRequest) -> str:
            started.release()
            await goes_on.wait()
            return "written ahead of time"

        built = builder(compaction=[ck.SummarizeOldest(summarizer, share=80)])
        histories = [ck.History(chat(9)[:-1]) for _ in range(4)]
        preparations = [asyncio.create_task(built.aprepare(history)) for history in histories]
        for _ in histories:
            await started.acquire()
        builds = []
        for history in histories:
            history.extend([user("and now? " * 20)])
            builds.append(asyncio.create_task(built.abuild(history)))
        for _ in range(100):
            await asyncio.sleep(0)
        goes_on.set()
        contexts = await asyncio.wait_for(asyncio.gather(*builds), 60)

        assert all(await asyncio.gather(*preparations))
        assert ["written ahead of time" in str(c.messages) for c in contexts] == [True] * 4

    asyncio.run(run())


def test_of_two_preparations_at_once_one_is_made() -> None:
    """Both have asked the schedule, a user's own, before either begins."""
    both, back = threading.Barrier(2), threading.Event()
    made: list[ck.Preparation] = []

    class Own:
        def due(self, figures: Any) -> bool:
            both.wait(60)
            return True

    def summarizer(request: SummaryRequest) -> str:
        assert back.wait(5)
        return "written once"

    def prepare() -> None:
        made.append(built.prepare(history))
        back.set()

    compaction = [ck.SummarizeOldest(summarizer, share=80)]
    budget = ck.Budget(5_000, target=500)
    built = builder(budget=budget, compaction=compaction, schedule=Own())
    history = ck.History(chat(40)[:-1], scope=SCOPE)
    threads = [threading.Thread(target=prepare) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert list(map(bool, made)) == [False, True]
    assert "another" in made[0].reason


def test_a_log_of_ones_own_over_a_store_has_the_same_delimiters_in_every_process(
    tmp_path: Path,
) -> None:
    """Each process makes its own History of the messages, and marks what it shows by its id."""
    sent = []
    with closing(ck.SQLiteStore(tmp_path / "chat.db")) as store:
        for _ in range(2):
            history = ck.History(chat(9), scope=SCOPE)
            tail = [ck.Volatile("now", lambda: "12:01", share=30)]
            sent.append(builder(1_200, store=store, tail=tail).build(history).messages)

    assert "12:01" in sent[0][-1]["content"]
    assert sent[0] == sent[1]
    with closing(ck.SQLiteStore(tmp_path / "chat.db")) as store:
        other = ck.History([*chat(9), answer("No."), user("And now?")], scope=SCOPE)
        later = builder(1_200, store=store, tail=tail).build(other).messages
    marks = {m.group(1) for x in [*sent[0], *later] for m in MARK.finditer(str(x["content"]))}
    assert len(marks) == 1


def test_two_views_of_one_conversation_have_the_same_delimiters(tmp_path: Path) -> None:
    """Also where another process began with the other view, and one log serves both."""
    marks, tail = [], [ck.Volatile("now", lambda: "12:01", share=30)]
    with closing(ck.SQLiteStore(tmp_path / "chat.db")) as store:
        builders = {name: builder(1_200, store=store, tail=tail, view=name) for name in "ab"}
        for names in ("a", "b", "aba"):
            history = ck.History(chat(9), scope=SCOPE)
            for name in names:
                shown = builders[name].build(history).messages[-1]["content"]
                marks += [found.group(1) for found in MARK.finditer(str(shown))]

    assert len(marks) >= 5
    assert len(set(marks)) == 1
