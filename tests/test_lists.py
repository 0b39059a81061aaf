"""Plain lists: the caller sends the whole list each time, and the prefix stays where it was."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage

import contextkit as ck
from contextkit.builder import ScopedBuilder
from contextkit.errors import GrammarError, InputError, MessageError, ScopeError
from tests.support import (
    SCOPE,
    Characters,
    Messages,
    answer,
    builder,
    call,
    chat,
    kinds,
    result,
    system,
    user,
    wire,
)


def ticking(**options: Any) -> ScopedBuilder:
    """A builder whose every new user message gets a new value: what is decided anew shows."""
    ticks = itertools.count()
    tail = [ck.Volatile("tick", lambda: next(ticks), share=40)]
    return builder(options.pop("limit", 4_000), tail=tail, **options).scoped(SCOPE)


def reparsed(messages: Messages) -> Messages:
    made: Messages = json.loads(json.dumps(messages))
    return made


def test_a_list_that_grows_is_one_conversation() -> None:
    built, messages = ticking(), [system()]
    before: list[Any] = []
    for n in range(20):
        messages.append(user(f"q{n}"))
        sent = built.build(reparsed(messages)).messages
        assert sent[: len(before)] == before
        assert f"\n{n}\n" in sent[-1]["content"]
        assert built.build(reparsed(messages)).messages == sent
        before = sent
        messages.append(answer(f"a{n}"))
    assert len(built.builder.lists.known) == 1


def test_only_what_is_new_is_counted() -> None:
    counter, messages = Characters(), chat(200)
    built = builder(100_000, counter=counter)
    built.build(messages)
    before = counter.calls
    built.build([*reparsed(messages), answer("a"), user("b")])

    assert counter.calls - before <= 6


CHANGES: dict[str, Any] = {
    "key order": lambda m: dict(reversed(m.items())),
    "null for absent": lambda m: {**m, "name": None, "tool_calls": None},
    "one text part": lambda m: {**m, "content": [{"type": "text", "text": m["content"]}]},
    "part with key order": lambda m: {**m, "content": [{"text": m["content"], "type": "text"}]},
    "tuple of one part": lambda m: {**m, "content": ({"type": "text", "text": m["content"]},)},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_callers_reserialisation_moves_nothing(change: str) -> None:
    built, messages = ticking(), chat(4)
    first = built.build(messages)
    other = [CHANGES[change](message) for message in messages]
    again = built.build(other)
    later = built.build([*other, answer("a"), user("b")])

    assert wire(again) == wire(first)
    assert json.dumps(later.messages[: len(messages)]) == json.dumps(first.messages)
    assert "null" not in wire(later)


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        [{"type": "image_url", "image_url": {"url": "data:,"}}],
    ],
)
def test_lists_and_tuples_of_parts_are_the_same(content: Any) -> None:
    built = ticking()
    first = wire(built.build([user(tuple(content))]))

    assert wire(built.build([user(tuple(content))])) == first == wire(built.build([user(content)]))


def test_sdk_objects_strings_and_dicts_are_the_same_messages() -> None:
    built = ticking()
    objects = ["hello", ChatCompletionMessage(role="assistant", content="hi"), "more"]
    first = wire(built.build(objects))

    assert wire(built.build(objects)) == first
    assert wire(built.build([user("hello"), answer("hi"), user("more")])) == first


@pytest.mark.parametrize(("one", "other"), list(itertools.permutations([1, 1.0, True], 2)))
def test_one_and_true_are_not_the_same(one: Any, other: Any) -> None:
    built = builder(4_000)
    built.build([user("x", n=one), answer("a", k=[one]), user("y")])
    sent = built.build([user("x", n=one), answer("a", k=[other]), user("y")])
    first = built.build([user("x", n=other), answer("a", k=[one]), user("y")])

    assert json.dumps(sent.messages) == json.dumps(
        [user("x", n=one), answer("a", k=[other]), user("y")]
    )
    assert json.dumps(first.messages) == json.dumps(
        [user("x", n=other), answer("a", k=[one]), user("y")]
    )


def test_a_branch_keeps_what_was_decided_before_it() -> None:
    built, messages = ticking(), chat(2)
    for point in (2, 4, 6):
        first = built.build(messages[:point]).messages
    edited = [*messages[:3], user("edited")]
    branch = built.build(edited).messages
    back = built.build(messages).messages

    assert branch[:3] == first[:3]
    assert "edited" in branch[3]["content"]
    assert branch[3] != first[3]
    assert back == first
    assert built.build(edited).messages == branch


def test_a_regenerated_answer() -> None:
    built, messages = ticking(), chat(1)
    question = built.build(messages[:2]).messages
    first = built.build(messages).messages
    again = built.build(messages[:2]).messages
    other = built.build([*messages[:2], answer("another"), user("and now?")]).messages

    assert question == again == first[:2] == other[:2]
    assert other[3] != first[3]
    assert built.build(messages).messages == first


def test_regenerating_in_a_list_that_was_first_seen_whole() -> None:
    """What is decided about the shorter list stands, like any decision."""
    built, messages = ticking(), chat(3)
    built.build(messages)
    first = built.build(messages[:4]).messages

    assert built.build(messages[:4]).messages == first
    assert built.build([*messages[:4], answer("another"), user("q")]).messages[:4] == first


def test_deterministic_decisions_are_replayed_cold() -> None:
    messages, kept, made = [], builder(), set()
    for message in chat(40):
        messages.append(message)
        if message["role"] == "user":
            context = kept.build(messages)
            made.update(kinds(context))
            cold = builder().build(reparsed(messages))
            assert wire(cold) == wire(context)
            assert cold.report.warnings == ()
    assert made == {"drop"}


def warnings(built: ck.ContextBuilder | ScopedBuilder, messages: Messages, **more: Any) -> str:
    return " | ".join(built.build(messages, **more).report.warnings)


def test_state_that_is_lost_is_reported_once() -> None:
    def summarizing() -> ck.ContextBuilder:
        return builder(compaction=[ck.SummarizeOldest(lambda request: "short", share=60)])

    built = summarizing()
    assert "state lost" in warnings(built, chat(12), scope=SCOPE)
    assert "state lost" not in warnings(built, [*chat(12), answer("a"), user("b")], scope=SCOPE)
    assert "state lost" not in warnings(summarizing(), chat(0), scope=SCOPE)
    assert "state lost" not in warnings(builder(), chat(12))
    with ck.SQLiteStore(":memory:") as store:
        first, second = (
            builder(compaction=[ck.SummarizeOldest(lambda r: "short", share=60)], store=store)
            for _ in range(2)
        )
        messages = []
        for message in chat(12):
            messages.append(message)
            if message["role"] == "user":
                assert "state lost" not in warnings(first, messages, scope=SCOPE)
        assert "state lost" not in warnings(second, messages, scope=SCOPE)


def test_state_that_is_lost_is_reported_where_another_list_begins_alike() -> None:
    built = ticking()
    built.build([system(), user("somebody else")])

    assert "state lost" in warnings(built, chat(2))


@pytest.mark.parametrize(
    "front", [[], [system()], [system(), {"role": "developer", "content": "d"}]]
)
def test_a_list_that_was_cut_before_it_came_is_reported(front: Messages) -> None:
    built, body = builder(4_000), chat(8)[1:]
    built.build([*front, *body])

    assert "cut before it came" in warnings(built, [*front, *body[6:]])
    assert "cut before it came" not in warnings(built, [*front, *body])
    assert "cut before it came" not in warnings(built, [*front, *body[:3]])
    assert "cut before it came" not in warnings(
        built, [*front, user("new"), answer("b"), user("c")]
    )


def test_lists_without_a_scope_take_nothing_that_is_looked_up() -> None:
    called: list[int] = []

    def summarizer(request: Any) -> str:
        called.append(1)
        return "short"

    def embed(texts: Any) -> Any:
        called.append(2)
        return [[1.0]] * len(texts)

    with ck.SQLiteStore(":memory:") as store:
        for options in (
            {"compaction": [ck.SummarizeOldest(summarizer)]},
            {"tail": [ck.Retrieve(ck.VectorIndex(embed))]},
            {"store": store},
        ):
            built = builder(4_000, **options)
            with pytest.raises(ScopeError):
                built.build(chat(2))
            with pytest.raises(ScopeError):
                built.preview(chat(2))
            assert built.scoped(SCOPE).build(chat(2)).messages
            assert len(built.lists.known) == 1
    assert 1 not in called


@pytest.mark.parametrize("scope", ["a", ("t", "u", "c"), 5])
def test_a_scope_is_a_scope(scope: Any) -> None:
    with pytest.raises((ScopeError, InputError)):
        builder().build([user("x")], scope=scope)


@pytest.mark.parametrize("part", ["", None, 5, "\ud800"])
def test_each_part_of_a_scope_is_a_text(part: Any) -> None:
    for parts in ((part, "u", "c"), ("t", part, "c"), ("t", "u", part)):
        with pytest.raises(InputError, match="Scope"):
            ck.Scope(*parts)


def test_scopes_share_nothing() -> None:
    built = ticking().builder
    scopes = (SCOPE, ck.Scope("tenant", "other", "conversation"), ck.Scope("t", "user", "c"))
    sent = [wire(built.build(chat(2), scope=scope)) for scope in scopes]

    assert len(set(sent)) == 3
    assert [wire(built.build(chat(2), scope=scope)) for scope in scopes] == sent


def test_what_a_tail_inserts_is_somebodys() -> None:
    """Two users with the same first message, whose lists say nothing of whose they are."""
    account = iter(["ALICE-1", "BOB-2"])
    built = builder(4_000, tail=[ck.Volatile("account", lambda: next(account), share=40)])
    with pytest.raises(ScopeError, match="Volatile"):
        built.build([user("hi")])
    alice, bob = (ck.Scope("tenant", name, "c") for name in ("alice", "bob"))

    assert "ALICE-1" in wire(built.build([user("hi")], scope=alice))
    assert "ALICE-1" not in wire(built.build([user("hi")], scope=bob))


@pytest.mark.parametrize("bad", ["text", b"bytes", {"role": "user"}, None, 5, iter([])])
def test_what_is_no_list_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="conversation"):
        builder().build(bad)


def test_a_refused_list_is_not_kept() -> None:
    built = builder(4_000)
    for bad in ([], [5], [user("x"), user(None)], [user("x", n=float("nan"))]):
        with pytest.raises((MessageError, GrammarError)):
            built.build(bad)

    assert len(built.lists.known) == 0


def test_what_is_remembered_is_bounded() -> None:
    built = builder(100_000, max_bytes=100_000)
    for n in range(40):
        built.build([user(f"{n} " + "x" * 10_000)])
        assert built.lists.known.bytes <= 100_000
    assert 5 <= len(built.lists.known) <= 10


def test_the_bound_holds_for_what_it_really_takes() -> None:
    built = builder(max_bytes=400_000)
    built.build([user("warm")])
    tracemalloc.start()
    try:
        for n in range(1_000):
            built.build([user(f"hi {n}")])
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert taken < 2 * 400_000


def test_what_was_forgotten_is_replayed() -> None:
    built = builder(max_bytes=20_000)
    sent = wire(built.build(chat(12)))
    for n in range(20):
        built.build([user(f"{n}" * 400)])

    assert wire(built.build(chat(12))) == sent


def test_agents_send_lists_too() -> None:
    built, messages = ticking(limit=600), [system(), user("go")]
    for n in range(20):
        sent = built.build(reparsed(messages))
        assert "\n0\n" in sent.messages[1]["content"]
        messages += [call(f"c{n}"), result(f"c{n}", "r " * 100)]


def test_a_cyclic_message_is_refused_where_the_list_is_known() -> None:
    built = builder()
    built.build([user("x")])
    cyclic = user("x")
    cyclic["self"] = cyclic
    with pytest.raises(MessageError):
        built.build([cyclic])
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(MessageError):
        built.build([user("x", deep=deep)])


def test_a_clock_in_the_system_prompt_is_named() -> None:
    built, body = builder(4_000), chat(8)[1:]
    built.build([system("It is 12:01."), *body])

    said = warnings(built, [system("It is 12:02."), *body, answer("a"), user("b")])
    assert "system block differs" in said
    assert "cut before it came" not in said


def test_a_whole_completion_stands_for_its_reply() -> None:
    completion = ChatCompletion.model_validate(
        {
            "id": "c",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": "hi"},
                }
            ],
        }
    )
    sent = builder().build([user("a"), completion, user("b")]).messages

    assert sent == [user("a"), answer("hi"), user("b")]
    assert builder().build([user("a"), completion.choices[0], user("b")]).messages == sent


def test_a_clock_in_the_system_prompt_of_a_scope_is_said_in_its_second_request() -> None:
    built = builder(4_000)
    first = [system("It is 12:01."), user("Hello")]
    assert not built.build(first, scope=SCOPE).report.warnings
    second = [system("It is 12:02."), user("Hello"), answer("Hi."), user("And now?")]
    (said,) = built.build(second, scope=SCOPE).report.warnings
    assert "system block differs" in said
    assert not built.build(second, scope=ck.Scope("t", "u", "another")).report.warnings
