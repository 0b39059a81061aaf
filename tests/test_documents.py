"""The slot for documents and examples, right behind the system block of every request."""

from __future__ import annotations

from typing import Any

import pytest

import contextkit as ck
from contextkit.caching.blocks import blocks_of
from contextkit.errors import (
    BudgetExceeded,
    GrammarError,
    InputError,
    MessageError,
)
from tests.support import (
    SCOPE,
    answer,
    builder,
    call,
    chat,
    result,
    system,
    user,
)


def user_parts(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text}]


def test_documents_stand_behind_the_system_block_in_every_request() -> None:
    documents = [user("The manual."), answer("Read it.")]
    made = builder(400, documents=documents)
    contexts = []
    history = ck.History([system()])
    for number in range(12):
        history.append(f"question {number} " * 20)
        contexts.append(made.build(history))
        history.append(answer("yes " * 20))

    assert any(context.edits for context in contexts)
    for context in contexts:
        assert context.messages[1:3] == documents
        assert context.messages[0] == system()
        assert context.tokens <= 400
        counted = sum(map(made.counter.message, context.messages)) + made.counter.fixed()
        assert counted == context.tokens
        assert documents[0] not in context.view.messages
        assert context.blocks == blocks_of(context.request(), context.counter)
    report = contexts[-1].report
    assert report.tokens["documents"] == sum(map(made.counter.message, documents))
    assert sum(n for name, n in report.tokens.items() if name != "total") == report.tokens["total"]
    assert "documents" in str(report)
    for context in contexts:
        point = context.decision.point
        assert ck.fold(history, at=point).request() == context.request()
    assert documents[0] not in history


def test_documents_without_a_system_block_come_first() -> None:
    made = builder(documents=["The manual."])  # a string is a user message

    assert made.build([user("Hello")]).messages == [user("The manual."), user("Hello")]
    assert made.build([user("Hello")], scope=SCOPE).messages[0] == user("The manual.")


def test_other_documents_move_the_prefix_once_and_are_reported() -> None:
    history = ck.History([system(), user("Hello")])
    builder(documents=["One."]).build(history)
    history.extend([answer("Hi."), user("And now?")])
    made = builder(documents=["Two."])

    context = made.build(history)

    assert context.messages[1] == user("Two.")
    assert [text for text in context.report.warnings if "documents have changed" in text]
    again = made.build(history)
    assert again.request() == context.request()
    history.extend([answer("Hi."), user("And now?")])
    assert not made.build(history).report.warnings
    assert ck.fold(history, at=2).request()["messages"][1] == user("One.")


def test_documents_are_the_builders_own() -> None:
    documents = [user(user_parts("One."))]
    made = builder(documents=iter(documents))
    documents[0]["content"][0]["text"] = "changed"
    request = made.build([user("Hello")]).request()
    assert request["messages"][0]["content"][0]["text"] == "One."
    request["messages"][0]["content"][0]["text"] = "changed"

    assert made.build([user("Hi")]).messages[0] == user(user_parts("One."))


def test_documents_that_cannot_stand_in_a_request() -> None:
    with pytest.raises(GrammarError, match=r"documents\[0\]"):
        builder(documents=[result("a")])
    with pytest.raises(GrammarError, match="no result"):
        builder(documents=[user("q"), call("a")])
    with pytest.raises(GrammarError, match="to be continued"):
        builder(documents=[answer("Once", partial=True)])
    with pytest.raises(MessageError, match=r"documents\[1\]"):
        builder(documents=["fine", {"role": "robot", "content": "no"}])
    for wrong in ("a text", {"role": "user", "content": "x"}, 7):
        with pytest.raises(InputError, match="documents"):
            builder(documents=wrong)
    assert builder(documents=None).build([user("Hi")]).messages == [user("Hi")]
    examples = [user("q"), call("a"), result("a"), answer("so")]
    assert builder(documents=examples).build([user("Hi")]).messages == [*examples, user("Hi")]


def test_documents_that_are_too_large_are_named() -> None:
    with pytest.raises(BudgetExceeded) as caught:
        builder(documents=["x" * 4_000]).build([user("Hi")])

    assert caught.value.parts["documents"] > 900
    assert "shorter documents" in str(caught.value)


def test_documents_are_no_part_of_prefix_and_plain_lists() -> None:
    messages = chat(3)
    made, plain = builder(4_000, documents=["The manual."]), builder(4_000)
    context, other = made.build(messages), plain.build(messages)
    assert context.messages == [messages[0], user("The manual."), *messages[1:]]
    assert context.prefix_hash != other.prefix_hash  # each list's history has an id of its own
    scoped, bare_one = made.build(messages, scope=SCOPE), plain.build(messages, scope=SCOPE)
    assert scoped.prefix_hash == bare_one.prefix_hash
    assert made.build([*messages, answer("so"), user("?")]).edits == ()
