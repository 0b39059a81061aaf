"""The eight promises of the design, each a property over generated conversations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.caching.prefix import canonical_blocks
from contextkit.errors import BudgetExceeded, GrammarError
from contextkit.grammar import violations
from contextkit.messages import SYSTEM_ROLES
from tests.conversations import Messages, conversations, points, texts
from tests.support import Characters, wire

pytestmark = pytest.mark.usefixtures("quiet_log")

CUTS = {"drop", "summary", "clear"}


def summarizer(request: Any) -> str:
    """A summary that depends on what is summarized, and on nothing else."""
    return f"about {len(json.dumps(request.span)) % 97}"


def failing(request: Any) -> str:
    raise RuntimeError("the summarizer is down")


def embed(asked: Sequence[str]) -> np.ndarray:
    """Letters as dimensions: texts that share letters are near."""
    rows = np.full((len(asked), 32), 0.01)
    for row, text in zip(rows, asked, strict=True):
        for letter in text[:200]:
            row[ord(letter) % 32] += 1
    return rows


DETERMINISTIC: dict[str, dict[str, Any]] = {
    "drop": {},
    "keep": {"compaction": [ck.KeepLast(1)]},
    "clear": {"compaction": [ck.ClearToolResults(keep_last=1)]},
    "clamp": {
        "arrival": [ck.ClampToolResults(40)],
        "compaction": [ck.ClearToolResults(keep_last=0), ck.DropOldest()],
    },
    "media": {
        "arrival": [ck.ClampToolResults(40)],
        "compaction": [ck.ClearMedia(keep_last=0), ck.ClearToolResults(0, at_least=60)],
    },
    "pays": {"budget": ck.Budget(400, target=100), "schedule": ck.WhenItPays(0.1, 1.25)},
    "pays by its plan": {
        "budget": ck.Budget(900, target=300),
        "schedule": ck.WhenItPays(0.3, 1.0),
        "compaction": [ck.ClearToolResults(keep_last=1)],
    },
}
WITH_NEEDS: dict[str, dict[str, Any]] = {
    "summarize": {"compaction": [ck.SummarizeOldest(summarizer, share=80)]},
    "both": {
        "compaction": [ck.ClearToolResults(keep_last=1), ck.SummarizeOldest(summarizer, share=80)]
    },
    "pays for a summary": {
        "budget": ck.Budget(900, target=200),
        "schedule": ck.WhenItPays(0.3, 1.0),
        "compaction": [ck.ClearToolResults(keep_last=1), ck.SummarizeOldest(summarizer, share=80)],
    },
    "failing": {"compaction": [ck.SummarizeOldest(failing, share=60)]},
    "volatile": {"tail": [ck.Volatile("now", lambda: "12:01", share=30)]},
}
STACKS = DETERMINISTIC | WITH_NEEDS
RETRIEVING = ["retrieve", "retrieve by words"]


def make(stack: str, limit: int = 400, **more: Any) -> ck.ContextBuilder:
    """A builder with one of the stacks; retrieval gets an index of its own."""
    options = {"profile": ck.profile_for("qwen-plus"), "counter": Characters()}
    if stack == "retrieve by words":
        options["tail"] = [ck.Retrieve(share=60)]
    elif stack == "retrieve":
        options["tail"] = [
            ck.Volatile("now", lambda: "12:01", share=30),
            ck.Retrieve(ck.VectorIndex(embed), share=60),
        ]
    else:
        options |= STACKS[stack]
        # Of its own: whether a summarizer is paused is no part of what is promised.
        options["compaction"] = [*map(replace, options.get("compaction", []))]
    if "budget" not in options:
        options["limit"] = limit
    return ck.ContextBuilder("qwen-plus", **{**options, **more})


def replay(
    builder: ck.ContextBuilder,
    messages: Messages,
    history: ck.History,
    pins: frozenset[int] = frozenset(),
) -> Iterator[ck.Context]:
    """Turn by turn: append, build, append the answer, …; a build that cannot be made is skipped."""
    for point in points(messages):
        for number in range(len(history), point):
            history.append(messages[number], pin=number in pins)
        try:
            yield builder.build(history)
        except (BudgetExceeded, GrammarError):
            continue


stacks = st.sampled_from([*STACKS, *RETRIEVING])
deterministic = st.sampled_from(list(DETERMINISTIC))
limits = st.sampled_from([150, 250, 400, 900])


@given(conversations(), stacks, limits)
def test_promise_1_a_request_never_exceeds_its_limit(
    messages: Messages, stack: str, limit: int
) -> None:
    builder = make(stack, limit)

    for context in replay(builder, messages, ck.History()):
        request = context.request()
        counted = builder.counter.fixed(request.get("tools", ())) + sum(
            builder.counter.message(message) for message in request["messages"]
        )

        assert counted == context.tokens <= context.limit


@given(conversations(), stacks, limits, st.frozensets(st.integers(0, 40), max_size=3))
def test_promise_2_a_request_is_accepted_and_keeps_what_is_protected(
    messages: Messages, stack: str, limit: int, pins: frozenset[int]
) -> None:
    history = ck.History()

    for context in replay(make(stack, limit), messages, history, pins):
        sent = context.messages
        given_ = messages[: context.decision.point]

        assert violations(sent) == []
        assert [m for m in sent if m["role"] in SYSTEM_ROLES] == [
            m for m in given_ if m["role"] in SYSTEM_ROLES
        ]
        shown = {
            n for entry in context.view.entries for n in entry.numbers if not is_summary(entry)
        }
        last_user = max(n for n, m in enumerate(given_) if m["role"] == "user")
        aside = {n for e in context.view.hidden if e.kind == "set aside" for n in e.covers}
        assert last_user in shown
        assert {n for n in pins if n < len(given_)} <= shown | aside
        running = [n for n in range(last_user, len(given_)) if given_[n]["role"] == "assistant"]
        if running:
            step = {running[-1], *range(running[-1] + 1, len(given_))}
            assert step <= shown | aside


def is_summary(entry: Any) -> bool:
    return entry.edit is not None and entry.edit.kind == "summary"


@given(conversations(), stacks, limits)
def test_promise_3_the_prefix_only_grows_between_cuts(
    messages: Messages, stack: str, limit: int
) -> None:
    before: list[str] = []

    for context in replay(make(stack, limit), messages, ck.History()):
        blocks = canonical_blocks(context.request())
        if not any(edit.kind in CUTS for edit in context.edits):
            assert blocks[: len(before)] == before
        before = blocks


@given(conversations(), deterministic, limits)
def test_promise_4_the_same_bytes_however_it_was_built(
    messages: Messages, stack: str, limit: int
) -> None:
    history = ck.History()
    listed, cold = make(stack, limit), []
    kept: list[str] = []
    for context in replay(make(stack, limit), messages, history):
        kept.append(wire(context))
        given_ = json.loads(json.dumps(messages[: context.decision.point]))
        cold.append(wire(make(stack, limit).build(given_)))

        assert wire(listed.build(given_)) == kept[-1]
        assert wire(make(stack, limit).build(ck.History.loads(history.dumps()))) == kept[-1]
    assert cold == kept


@given(conversations(), st.sampled_from([*WITH_NEEDS, *RETRIEVING]), limits)
def test_promise_4_the_same_bytes_for_all_edits_with_a_store(
    messages: Messages, stack: str, limit: int
) -> None:
    scope = ck.Scope("t", "u", "c")
    with ck.SQLiteStore(":memory:") as store:
        one = make(stack, limit, store=store)
        for point in points(messages):
            given_ = messages[:point]
            try:
                sent = wire(one.build(given_, scope=scope))
            except (BudgetExceeded, GrammarError):
                continue

            assert wire(make(stack, limit, store=store).build(given_, scope=scope)) == sent


@given(conversations(), stacks, limits)
def test_promise_5_nothing_is_lost(messages: Messages, stack: str, limit: int) -> None:
    before = json.dumps(messages)
    history = ck.History()
    for context in replay(make(stack, limit), messages, history):
        fates = {fate.number for fate in context.report.fates if fate.number is not None}

        assert fates == set(range(context.decision.point))
    history.extend(messages[len(history) :])

    assert json.dumps(list(history)) == before == json.dumps(messages)


@given(conversations(), limits)
def test_promise_6_a_failing_summarizer_or_embedder_fails_no_build(
    messages: Messages, limit: int
) -> None:
    def broken(asked: Sequence[str]) -> np.ndarray:
        raise TimeoutError

    bad: dict[str, Any] = {
        "compaction": [ck.SummarizeOldest(failing, share=60)],
        "tail": [ck.Retrieve(ck.VectorIndex(broken), share=1)],
    }
    built, plain = (
        [
            context.decision.point
            for context in replay(make("drop", limit, **options), messages, ck.History())
        ]
        for options in (bad, {})
    )

    assert built == plain


@given(conversations(), deterministic)
def test_promise_7_a_build_counts_only_what_is_new(messages: Messages, stack: str) -> None:
    counter = Characters()
    # Never reached, whatever is drawn: a cut costs what it rewrites.
    builder = make(stack, 100_000, counter=counter, budget=None)
    history = ck.History()
    for point in points(messages):
        fresh = messages[len(history) : point]
        history.extend(fresh)
        before = counter.calls
        try:
            builder.build(history)
        except (BudgetExceeded, GrammarError):
            continue
        most = sum(2 + 4 * len(m.get("tool_calls") or ()) + 4 for m in fresh)
        # What is clamped is cut to size by halving.
        halvings = sum(len(m["content"]).bit_length() for m in fresh if m["role"] == "tool")

        assert counter.calls - before <= 3 * most + 6 + halvings


@given(conversations(), texts, st.sampled_from([*WITH_NEEDS, *RETRIEVING]))
def test_promise_8_nothing_of_one_user_is_visible_to_another(
    messages: Messages, secret: str, stack: str
) -> None:
    mine = ck.Scope("t", "me", "c")
    yours = ck.Scope("t", "you", "c")
    marked = [
        {**m, "content": f"SECRET {m['content']}"}
        if n > 1 and m["role"] in ("user", "assistant") and isinstance(m["content"], str)
        else m
        for n, m in enumerate(messages)
    ]
    with ck.SQLiteStore(":memory:") as store:
        builder = make(stack, 250, store=store)
        for point in points(marked):
            for scope, held in ((mine, marked), (yours, messages)):
                try:
                    context = builder.build(held[:point], scope=scope)
                except (BudgetExceeded, GrammarError):
                    continue
                if scope == yours:
                    assert "SECRET" not in wire(context)


@given(conversations(), stacks, limits)
def test_a_second_build_is_silent_and_the_same(messages: Messages, stack: str, limit: int) -> None:
    builder, history = make(stack, limit), ck.History()
    for context in replay(builder, messages, history):
        records = len(history.records)
        again = builder.build(history)

        assert wire(again) == wire(context)
        assert (again.edits, len(history.records)) == ((), records)


@given(conversations(), stacks, limits)
def test_the_view_kept_incrementally_is_the_fold_of_the_log(
    messages: Messages, stack: str, limit: int
) -> None:
    builder, history = make(stack, limit), ck.History()
    for context in replay(builder, messages, history):
        folded = ck.fold(history, count=builder.counter.message)

        assert folded.messages == context.messages
        assert (folded.tokens, folded.steps) == (context.view.tokens, context.view.steps)
    for point in points(messages)[:-1]:
        if point <= len(history):
            assert violations(ck.fold(history, at=point).messages) is not None


@given(conversations(), deterministic, st.data())
def test_a_branch_is_built_like_a_conversation_of_its_own(
    messages: Messages, stack: str, data: st.DataObject
) -> None:
    builder = make(stack, 250)
    at = data.draw(st.integers(1, len(messages)))
    other = messages[:at]
    if at == len(messages) or messages[at]["role"] == "assistant":
        # What was decided there is valid for every continuation, so the branch is answered, too.
        other = [*other, {"role": "assistant", "content": "another answer"}]
    other = [*other, {"role": "user", "content": "something else"}]
    for held in (messages, other, messages, other):
        for point in points(held):
            try:
                sent = wire(builder.build(held[:point]))
            except (BudgetExceeded, GrammarError):
                continue

            assert sent == wire(make(stack, 250).build(held[:point]))


def test_a_good_list_is_not_mended() -> None:
    calls = [
        {"id": identifier, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for identifier in ("a", "b")
    ]
    context = make("drop", 9_000).build(
        [
            {"role": "system", "content": "terse"},
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
        ]
    )

    assert context.edits == ()
    assert [group.kind for group in context.view.groups] == ["user", "step"]


@pytest.mark.parametrize("stack", [*STACKS, *RETRIEVING])
def test_the_stacks_do_something(stack: str) -> None:
    """A stack that never makes an edit would make the properties above empty."""
    messages: Messages = [{"role": "system", "content": "terse"}]
    for n in range(12):
        messages += [
            {"role": "user", "content": f"question {n} " * 6},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": f"c{n}",
                        "type": "function",
                        "function": {"name": "f", "arguments": "{}"},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": f"c{n}", "content": "result " * 60},
            {"role": "assistant", "content": f"answer {n} " * 6},
        ]
    messages.append({"role": "user", "content": "question 3 again"})
    kinds = {
        edit.kind
        for context in replay(make(stack, 900), messages, ck.History())
        for edit in context.edits
    }
    expected = {
        "clear": "clear",
        "pays by its plan": "clear",
        "pays for a summary": "summary",
        "clamp": "clamp",
        "summarize": "summary",
        "both": "summary",
        "volatile": "insert",
        "retrieve": "insert",
        "retrieve by words": "insert",
    }

    assert expected.get(stack, "drop") in kinds
