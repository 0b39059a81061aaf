"""Clearing: in batches, each message once, with stubs that lead back to the original."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import BudgetError, InputError
from contextkit.grammar import violations
from contextkit.strategies.passages import shown_numbers
from tests.support import SCOPE, Messages, answer, builder, call, kinds, result, system, user, wire

STUB = re.compile(r"\[result of look cleared: ([\d,]+) tokens; message (\d+) has it\]")
PNG = {"type": "image_url", "image_url": {"url": "https://e.x/a.png", "detail": "low"}}


def grown(built: ck.ContextBuilder, steps: int, sizes: Any) -> tuple[ck.History, list[Any]]:
    """A long loop, built before each call; the contexts."""
    history = ck.History([system(), user("do it")])
    contexts = []
    for n in range(steps):
        contexts.append(built.build(history))
        history.append(call(f"c{n}"))
        history.append(result(f"c{n}", f"r{n} " * sizes(n)))
    contexts.append(built.build(history))
    return history, contexts


@given(
    st.lists(st.integers(2, 160), min_size=20, max_size=40),
    st.integers(0, 4),
    st.sampled_from([0, 100, 300]),
    st.booleans(),
)
def test_each_result_is_rewritten_once_and_the_last_ones_stay(
    sizes: list[int], keep: int, at_least: int, pays: bool
) -> None:
    built = builder(
        budget=ck.Budget(1_200, target=600),
        schedule=ck.WhenItPays(read=0.1, write=1.0) if pays else ck.AtLimit(),
        compaction=[ck.ClearToolResults(keep, at_least=at_least)],
    )
    history, contexts = grown(built, len(sizes), lambda n: sizes[n])
    seen: dict[str, list[str]] = {}
    for context in contexts:
        results = [m for m in context.messages if m["role"] == "tool"]
        for message in results:
            forms = seen.setdefault(message["tool_call_id"], [])
            if message["content"] not in forms:
                forms.append(message["content"])
        assert violations(context.messages) == []
        cleared = [e for e in context.edits if e.kind == "clear"]
        if cleared:
            newest = [m["content"] for m in results][len(results) - keep :]
            assert not any(STUB.fullmatch(text) for text in newest)
            before = {e.covers[0]: context.view.count(history[e.covers[0]]) for e in cleared}
            saved = [before[e.covers[0]] - context.view.count(e.shows[0]) for e in cleared]
            assert min(saved) > 0
            if "drop" not in kinds(context):
                assert sum(saved) >= at_least
    assert all(len(forms) <= 2 for forms in seen.values())
    for number, message in enumerate(history):
        if message["role"] == "tool" and len(seen[message["tool_call_id"]]) == 2:
            found = STUB.fullmatch(seen[message["tool_call_id"]][1])
            assert found
            assert int(found[2]) == number
            assert int(found[1].replace(",", "")) == built.counter.message(message)


def test_between_two_batches_nothing_moves() -> None:
    built = builder(1_200, compaction=[ck.ClearToolResults(2)])
    _, contexts = grown(built, 60, lambda _: 40)
    moves = 0
    for before, after in pairwise(contexts):
        same = after.messages[: len(before.messages)] == before.messages
        assert same or {"clear", "drop"} & set(kinds(after))
        moves += not same

    assert 0 < moves < 15


def test_a_batch_clears_on_to_at_least_and_nothing_where_it_cannot() -> None:
    history, _ = grown(builder(100_000), 12, lambda _: 60)
    view = builder(100_000).build(history).view

    def proposed(goal: int, **settings: Any) -> list[int]:
        edits = ck.ClearToolResults(2, **settings).propose(view, goal)
        return [edit.covers[0] for edit in edits]

    assert proposed(10) == [3]
    assert proposed(10, at_least=150) == proposed(150) == [3, 5, 7, 9, 11]
    assert proposed(10**6) == proposed(10**6, at_least=300) == list(range(3, 23, 2))
    assert proposed(10, at_least=10_000) == []
    for odd in (-1, 1.5, None, "3"):
        with pytest.raises(BudgetError):
            ck.ClearToolResults(at_least=odd)  # type: ignore[arg-type]


def test_a_stub_says_what_was_in_the_result_before_it_was_clamped() -> None:
    parts = [{"type": "text", "text": "x" * 4_000}, PNG, PNG]
    history = ck.History([user("go"), call("a"), {**result("a"), "content": parts}])
    built = builder(4_000, arrival=[ck.ClampToolResults(800)])
    built.build(history)
    whole = built.counter.message(history[2])
    history.extend([call("b"), result("b", "y"), answer("z"), user("more")])
    view = built.build(history).view
    [edit] = ck.ClearToolResults(0).propose(view, 10)

    assert view.groups[1].entries[1].tokens <= 800 < whole
    assert edit.shows[0]["content"] == (
        f"[result of look cleared: {whole:,} tokens, 2 images; message 2 has it]"
    )


def test_what_frees_nothing_is_not_cleared() -> None:
    history, _ = grown(builder(100_000), 12, lambda _: 2)

    assert list(ck.ClearToolResults(0).propose(builder(100_000).build(history).view, 10**6)) == []


# -- media ----------------------------------------------------------------------------------------


def album(pictures: int) -> Messages:
    messages = [system()]
    for n in range(pictures):
        content = [
            {"type": "text", "text": f"picture {n}"},
            dict(PNG),
            {"type": "text", "text": ""},
        ]
        messages += [user(content), answer(f"nice {n}")]
    return [*messages, user("and now?")]


def test_old_media_become_text_and_the_newest_stay() -> None:
    history = ck.History(album(8))
    built = builder(600, compaction=[ck.ClearMedia(keep_last=2)])
    view = builder(100_000).build(ck.History(album(8))).view
    edits = list(ck.ClearMedia(keep_last=2).propose(view, 10**6))
    context = built.build(history)

    assert [edit.covers[0] for edit in edits] == [1, 3, 5, 7, 9, 11]
    tokens = builder().counter.message(history[1]) - builder().counter.message(
        {**history[1], "content": [history[1]["content"][0], {"type": "text", "text": ""}]}
    )
    assert edits[0].shows[0] == {
        "role": "user",
        "content": [
            {"type": "text", "text": "picture 0"},
            {
                "type": "text",
                "text": f"[image cleared: {tokens:,} tokens; it was in message 1, and is not text]",
            },
            {"type": "text", "text": ""},
        ],
    }
    assert context.tokens <= 600
    assert violations(context.messages) == []
    assert history[1]["content"][1] == PNG
    assert list(ck.ClearMedia(at_least=10**6).propose(view, 10)) == []


def test_media_in_tool_results_and_pins_and_what_was_cleared_once() -> None:
    shot = {"type": "image_url", "image_url": {"url": "https://e.x/b.png"}}
    sound = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    file = {"type": "file", "file": {"file_id": "f"}}
    history = ck.History()
    history.append(user([{"type": "text", "text": "pinned"}, shot]), pin=True)
    history.extend([call("a"), {**result("a"), "content": [shot, sound]}, answer("ok")])
    history.extend([user([file]), answer("ok"), user("q"), answer("ok"), user("q")])
    view = builder(100_000).build(history).view
    edits = list(ck.ClearMedia(0).propose(view, 10**6))
    said = [[part["text"].split(":")[0] for part in e.shows[0]["content"]] for e in edits]

    assert [edit.covers[0] for edit in edits] == [2, 4]
    assert said == [["[image cleared", "[audio cleared"], ["[file cleared"]]
    for edit in edits:
        view.apply(edit)
    assert list(ck.ClearMedia(0).propose(view, 10**6)) == []


def test_what_was_inserted_stays_when_media_are_cleared() -> None:
    ticks = iter(range(100))
    options: dict[str, Any] = {
        "compaction": [ck.ClearMedia(keep_last=0)],
        "tail": [ck.Volatile("now", lambda: f"12:{next(ticks):02}", share=60)],
    }
    built = builder(12_000, **options)
    history = ck.History(system="s", scope=SCOPE)
    contexts = []
    for n in range(12):
        history.append(user([{"type": "text", "text": f"picture {n}"}, dict(PNG)]))
        contexts.append(built.build(history))
        history.append(answer("nice " * 12))
    kept = [m for m in contexts[-1].messages if m["role"] == "user"]

    assert any("clear" in kinds(context) for context in contexts)
    assert all("12:" in json.dumps(message) for message in kept)
    assert any("image cleared" in json.dumps(message) for message in kept)
    parts = contexts[-1].report
    shown = sum(fate.tokens for fate in parts.fates)
    assert shown == parts.tokens["system"] + parts.tokens["history"]
    loaded = ck.History.loads(history.dumps())
    assert ck.fold(loaded).messages == ck.fold(history).messages
    with pytest.raises(BudgetError):
        ck.ClearMedia(keep_last=-1)


def test_clearing_is_the_same_from_a_list_and_from_a_log() -> None:
    options: dict[str, Any] = {
        "arrival": [ck.ClampToolResults(90)],
        "compaction": [ck.ClearToolResults(1, at_least=80), ck.ClearMedia(0)],
    }
    built = builder(700, **options)
    history, contexts = grown(built, 30, lambda n: 10 + 37 * n % 200)

    assert wire(builder(700, **options).build(list(history))) == wire(contexts[-1])


def test_what_lost_its_media_alone_is_not_hidden() -> None:
    history = ck.History(album(4))
    view = builder(100_000).build(history).view
    for edit in ck.ClearMedia(0).propose(view, 10**6):
        view.apply(edit)

    every = set(range(view.seen))

    assert every == {*shown_numbers(view)}
    view.apply(view.replace(view.groups[0].entries[0], "gone", kind="clear", reason="r"))
    assert every - {*shown_numbers(view)} == {1}


def test_an_exclusion_is_a_set_of_names() -> None:
    with pytest.raises(InputError):
        ck.ClearToolResults(exclude="look")  # type: ignore[arg-type]
