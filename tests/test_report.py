"""Report: what became of each message and why; as text, JSON, notebook HTML; no content."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import contextkit as ck
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
    user,
)

if TYPE_CHECKING:
    import pytest


def fates(context: ck.Context) -> dict[int | None, str]:
    return {fate.number: fate.fate for fate in context.report.fates}


def many_kinds() -> tuple[ck.History, ck.Context]:
    """A conversation in which nearly everything has happened."""
    history = ck.History(scope=SCOPE)
    history.append(system("SECRET system"))  # 0
    for n in range(3):  # 1 to 12
        history.extend(
            [user("SECRET q"), call(f"c{n}"), result(f"c{n}", "SECRET " * 60), answer("SECRET")]
        )
    history.append(user("SECRET"), pin=True)  # 13
    history.extend([call("x"), result("x", "SECRET " * 500)])  # 14, 15
    history.extend([answer("SECRET", reasoning_content="SECRET")])  # 16
    history.extend(
        [user("SECRET"), call("y", "z"), user("SECRET"), result("y", "SECRET"), result("q")]
    )  # 17-21
    history.append(user("SECRET"))  # 22
    built = builder(
        100_000,
        arrival=[ck.ClampToolResults(300)],
        tail=[ck.Volatile("now", lambda: "SECRET", share=40)],
    )
    built.build(history)
    history.extend([answer("SECRET"), user("SECRET " * 120)])  # 23, 24

    def propose(view: ck.View, goal: int) -> list[ck.Edit]:
        free = {
            number: entry
            for span in view.free
            for entry in span.entries
            for number in entry.numbers
        }
        return [
            view.replace(free[7], "-", kind="clear", reason="was old"),
            view.drop(*[s for s in view.free if 1 in s.numbers], reason="was oldest"),
        ]

    built = builder(
        700,
        compaction=[Own(propose), ck.SummarizeOldest(lambda request: "SECRET", share=60)],
        tail=[ck.Volatile("now", lambda: "SECRET", share=40)],
    )
    return history, built.build(history)


def test_every_message_has_a_fate() -> None:
    history, context = many_kinds()
    report = context.report
    found = fates(context)
    numbers = [fate.number for fate in report.fates if fate.number is not None]

    assert numbers == sorted(numbers)
    assert set(numbers) == set(range(25))
    assert len(numbers) == len(history)
    assert found[0] == found[24] == "kept"
    assert {found[n] for n in (1, 2, 3, 4)} == {"dropped"}
    assert "summarized" in found.values()
    assert found[13] == "kept"
    assert next(f for f in report.fates if f.number == 13).reason == "pinned"
    assert found[21] == "set aside"
    assert {f.fate for f in report.fates if f.number is None} >= {"inserted"}
    for fate in report.fates:
        assert fate.role in ("system", "user", "assistant", "tool")
        if fate.fate != "kept":
            assert fate.reason
            assert fate.by in (
                "Own",
                "SummarizeOldest",
                "DropOldest",
                "grammar",
                "Volatile",
                "ClampToolResults",
                "profile",
            )
    assert {f.number for f in report.fates if f.new} >= {1, 2, 3, 4}
    assert not next(f for f in report.fates if f.number == 21).new


def test_fates_of_single_messages() -> None:
    history = ck.History(
        [
            *[system(), user("q"), call("a"), result("a", "x" * 2_000), answer("y")],
            *[user("q"), call("m", "n"), user("q"), result("m", "late"), answer(None)],
            *[result("gone"), answer("z", reasoning_content="hm"), user("q")],
        ]
    )
    context = builder(4_000, arrival=[ck.ClampToolResults(100)]).build(history)
    found = fates(context)

    assert [found[n] for n in (3, 8, 9, 10, 11)] == [
        *["clamped", "moved", "set aside", "set aside", "kept"]
    ]
    assert [f.fate for f in context.report.fates].count("stub") == 1
    assert next(f for f in context.report.fates if f.number == 11).by == "profile"

    history.extend(
        [call("b"), result("b", "x" * 2_000), answer("y"), user("q"), answer("z"), user("q" * 600)]
    )
    later = builder(600, compaction=[ck.ClearToolResults(0)]).build(history)
    assert fates(later)[14] == "cleared"


def test_tokens_add_up() -> None:
    _, context = many_kinds()
    report = context.report
    parts = report.tokens

    assert parts["total"] == context.tokens == parts["system"] + parts["tools"] + parts["history"]
    shown = sum(f.tokens for f in report.fates)
    assert shown == parts["system"] + parts["history"]
    assert (report.limit, report.target) == (context.limit, context.target)


def test_as_json() -> None:
    _, context = many_kinds()
    data = json.loads(json.dumps(context.report.to_json(), allow_nan=False))

    assert data["tokens"]["total"] == context.tokens
    assert [m["fate"] for m in data["messages"]] == [f.fate for f in context.report.fates]
    assert [e["kind"] for e in data["edits"]] == kinds(context)
    assert data["model"] == "qwen-plus"


def test_as_text() -> None:
    _, context = many_kinds()
    text = str(context.report)

    for word in (
        "dropped",
        "summarized",
        "pinned",
        "was oldest (Own); now",
        f"{context.tokens:,} of 700",
    ):
        assert word in text
    assert "SECRET" not in text
    long = str(builder(1_000_000).build([system(), *[user("x")] * 5_000]).report)
    assert len(long.split("\n")) < 10


def test_the_usage_of_the_reply_joins_the_report() -> None:
    history, built = ck.History(["x"]), builder()
    context = built.build(history)
    assert context.report.usage is None
    history.append({"choices": [{"message": answer("y")}], "usage": {"prompt_tokens": 123}})

    assert context.report.usage is not None
    assert "123" in str(context.report)


EVIL = "<script>alert('x')</script>"


def test_html_is_escaped() -> None:
    @dataclass(frozen=True)
    class Evil:
        def propose(self, view: ck.View, goal: int) -> list[ck.Edit]:
            raise ValueError(EVIL)

    evil = type(EVIL, (Evil,), {})
    history = ck.History([user("q"), call("c", name=EVIL), result("c", EVIL), answer(EVIL)])
    history.extend([*chat(12)[1:]])
    first = builder(
        compaction=[
            evil(),
            ck.ClearToolResults(0),
            Own(lambda view, goal: [view.drop(view.free[0], reason=EVIL, by=EVIL)]),
        ],
    )
    for conversation in (history,):
        context = first.build(conversation)
        page = context._repr_html_()
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert page == context.report._repr_html_()
    broken = builder(4_000, arrival=[evil()]).build([user("x")])
    assert "&lt;script&gt;" in broken._repr_html_()
    assert "<script" not in broken._repr_html_()
    stubbed = builder().build([user("q"), call(EVIL), user("w")])
    assert "<script" not in stubbed._repr_html_()
    model = builder(model=EVIL, profile=ck.profile_for("qwen-plus")).build([user("x")])
    assert "<script" not in model._repr_html_()


def test_nothing_shows_content_by_repr(caplog: pytest.LogCaptureFixture) -> None:
    """Representations end up in logs, tracebacks and error trackers."""
    caplog.set_level(logging.DEBUG)
    history, context = many_kinds()
    view = context.view
    for shown in (
        context,
        context.report,
        context.decision,
        context.edits,
        view,
        view.groups,
        view.entries,
        view.free,
        history,
        history.messages,
        history.records,
    ):
        assert "SECRET" not in repr(shown), type(shown)
    assert "SECRET" not in caplog.text


def test_failures_go_into_the_report_and_their_text_not_into_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    def broken() -> object:
        raise ValueError("SECRET")

    context = builder(4_000, tail=[ck.Volatile("now", broken)]).build(ck.History(["x"]))

    assert context.report.failures == ("Volatile: ValueError: SECRET",)
    assert "passed over: Volatile: ValueError: SECRET" in str(context.report)
    assert "Volatile was passed over" in caplog.text
    assert "SECRET" not in caplog.text


def test_a_report_of_a_second_build_says_that_nothing_is_new() -> None:
    history, first = many_kinds()
    _ = first
    built = builder(700, view="main")
    again: Any = built.build(history)

    assert again.edits == ()
    assert not any(fate.new for fate in again.report.fates)
    assert "no edits" in str(again.report)


def test_what_is_inserted_shows_its_tokens() -> None:
    built = builder(
        4_000, tail=[ck.Volatile("now", lambda: "12:01"), ck.Volatile("day", lambda: "Sunday")]
    )
    bare = builder(4_000).build(ck.History([user("Hello")])).report
    report = built.build(ck.History([user("Hello")])).report

    kept, *inserted = [fate.tokens for fate in report.fates]
    assert kept == bare.fates[0].tokens
    assert all(tokens > 5 for tokens in inserted)
    assert len(inserted) == 2
    assert kept + sum(inserted) == report.tokens["history"]


def test_rows_of_different_edits_are_kept_apart_and_words_are_plural() -> None:
    @dataclass(frozen=True)
    class Twice:
        def propose(self, view: ck.View, goal: int) -> list[ck.Edit]:
            one, other = view.free[:2]
            return [view.drop(one, reason="small talk"), view.drop(other, reason="small talk")]

    text = str(builder(compaction=[Twice()]).build(ck.History(chat(12))).report)

    assert "     1-2  several    dropped" in text
    assert "     3-4  several    dropped" in text
    assert "this build: 3 drops" in text
    assert "done: Twice: 2 drops, " in text
