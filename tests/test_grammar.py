"""Grammar: what leaves is accepted; a broken import is mended visibly, and invents nothing."""

from __future__ import annotations

from typing import Any

import pytest

import contextkit as ck
from contextkit.errors import GrammarError
from contextkit.grammar import MISSING_RESULT, violations
from tests.support import Messages, answer, builder, call, kinds, result, system, user

STUB = {"role": "tool", "tool_call_id": "b", "content": MISSING_RESULT}


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "empty"),
        ([user("x"), result("a")], "no call 'a'"),
        ([user("x"), call("a"), user("y")], "'a'"),
        ([user("x"), call("a")], "no result"),
        ([user("x"), call("a"), result("a"), result("a")], "twice"),
        ([user("x"), call("a", "b"), result("a"), answer("y"), result("b")], "'b'"),
        ([user("x"), answer(None)], "says nothing"),
    ],
)
def test_violations_are_named(messages: Messages, said: str) -> None:
    assert any(said in text for text in violations(messages))


def test_a_good_array_has_no_violations() -> None:
    good = [system(), user("x"), call("a", "b"), result("b"), result("a"), answer("y"), user("z")]

    assert violations(good) == []


@pytest.mark.parametrize(
    ("given", "sent", "edits"),
    [
        pytest.param(
            [user("x"), call("a", "b"), result("a"), user("y")],
            [user("x"), call("a", "b"), result("a"), STUB, user("y")],
            ["stub"],
            id="parallel calls partly answered",
        ),
        pytest.param(
            [user("x"), call("a", "b"), result("b"), user("y"), result("a")],
            [user("x"), call("a", "b"), result("b"), result("a"), user("y")],
            ["move"],
            id="a late result goes behind its call",
        ),
        pytest.param(
            [result("a"), user("x"), call("a"), result("a", "2"), user("y")],
            [user("x"), call("a"), result("a", "2"), user("y")],
            ["set aside"],
            id="a result before its call",
        ),
        pytest.param(
            [user("x"), call("a"), result("a", "1"), result("a", "2"), user("y")],
            [user("x"), call("a"), result("a", "1"), user("y")],
            ["set aside"],
            id="a call that is answered twice",
        ),
        pytest.param(
            [user("x"), result("a"), answer(None), user("y")],
            [user("x"), user("y")],
            ["set aside", "set aside"],
            id="an orphan, and an answer that says nothing",
        ),
        pytest.param(
            [user("x"), call("a"), result("a", "1"), call("a"), user("y"), result("a", "2")],
            [user("x"), call("a"), result("a", "1"), call("a"), result("a", "2"), user("y")],
            ["move"],
            id="ids come again: the nearest open call is meant",
        ),
        pytest.param(
            [user("x"), call("b"), call("b"), result("b", "2"), user("y")],
            [user("x"), call("b"), STUB, call("b"), result("b", "2"), user("y")],
            ["stub"],
            id="ids come again while the first is open",
        ),
        pytest.param(
            [user("x"), call("b"), system("note"), user("y")],
            [user("x"), call("b"), STUB, system("note"), user("y")],
            ["stub"],
            id="a system message interrupts",
        ),
        pytest.param(
            [user("x"), result("b", "early"), call("b"), user("y")],
            [user("x"), call("b"), STUB, user("y")],
            ["set aside", "stub"],
            id="a result before its call is not the result of a later one",
        ),
        pytest.param(
            [user("x"), call("b"), call("b"), user("y"), result("b", "1"), result("b", "2")],
            [user("x"), call("b"), result("b", "2"), call("b"), result("b", "1"), user("y")],
            ["move", "move"],
            id="two late results of the same id",
        ),
    ],
)
def test_an_imported_list_is_mended(given: Messages, sent: Messages, edits: list[str]) -> None:
    for conversation in (given, ck.History(given)):
        context = builder().build(conversation)

        assert context.messages == sent
        assert kinds(context) == edits
        assert all(edit.reason and edit.by == "grammar" for edit in context.edits)
        assert violations(context.messages) == []
        assert {f.number for f in context.report.fates if f.number is not None} == set(
            range(len(given))
        )


def test_a_result_that_comes_after_its_stub_was_sent_is_set_aside() -> None:
    history, built = ck.History([user("x"), call("b"), user("never mind")]), builder()
    first = built.build(history).messages
    history.extend([answer("fine"), result("b", "late"), user("y")])
    context = built.build(history)

    assert first == context.messages[:4] == [user("x"), call("b"), STUB, user("never mind")]
    assert "late" not in str(context.messages)
    assert kinds(context) == ["set aside"]
    assert history[4] == result("b", "late")
    assert [f.fate for f in context.report.fates if f.number == 4] == ["set aside"]


def test_nothing_is_mended_while_results_may_still_come() -> None:
    history, built = ck.History([user("x"), call("a", "b")]), builder()
    with pytest.raises(GrammarError, match="'a', 'b'"):
        built.build(history)
    history.append(result("b"))
    with pytest.raises(GrammarError, match="'a'"):
        built.build(history)
    history.append(result("a"))
    context = built.build(history)

    assert (context.messages, kinds(context)) == (list(history), [])


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [user("x"), answer("y")],
        [user("x"), call("a")],
        [answer(None)],
        [result("a")],
    ],
    ids=["empty", "answered", "waiting", "nothing said", "only an orphan"],
)
def test_what_cannot_be_answered_is_refused_and_nothing_recorded(messages: Messages) -> None:
    history = ck.History(messages)
    with pytest.raises(GrammarError) as kept:
        builder().build(history)
    with pytest.raises(GrammarError):
        builder().build(messages)

    assert kept.value.place.startswith("messages")
    assert len(history.records) == len(messages)


@pytest.mark.parametrize("mark", ["partial", "prefix"])
def test_an_answer_that_is_to_be_continued_may_end_the_array(mark: str) -> None:
    messages = [user("x"), answer("The answer", **{mark: True})]

    assert builder().build(messages).messages == messages


def reasoning(model: str, *, profile: Any = None) -> list[bool]:
    messages = [
        user("x"),
        call("a", reasoning_content="why"),
        result("a"),
        answer("y", reasoning_content="because"),
        user("z"),
    ]
    sent = builder(4_000, model=model).build(messages).messages
    return ["reasoning_content" in message for message in sent if message["role"] == "assistant"]


def test_reasoning_is_kept_as_the_profile_says() -> None:
    assert reasoning("qwen-plus") == [True, False]
    assert reasoning("gpt-4o") == [False, False]


def test_reasoning_is_decided_once_and_stays_in_the_log() -> None:
    history, built = ck.History(["x"]), builder()
    history.append(answer("y", reasoning_content="because"))
    history.append("z")
    context = built.build(history)

    assert kinds(context) == ["reasoning"]
    assert history[1]["reasoning_content"] == "because"
    assert kinds(built.build(history)) == []
