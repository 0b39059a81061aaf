"""Messages: what comes in goes out as it was; the normal form; what is refused, and where."""

from __future__ import annotations

import enum
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessage

import contextkit as ck
from contextkit.errors import MessageError
from contextkit.messages import Message, called, same_message, text_of
from tests.support import answer, builder, call, result, user, wire

VERBATIM: list[dict[str, Any]] = [
    {"content": "keys in an order of their own", "role": "user", "name": "ann"},
    {
        "role": "user",
        "content": "e\u0301 is not \u00e9, \u2028 and \u200b stay",
        "x_unknown": [1, 2.5, None],
    },
    {
        "role": "user",
        "content": [
            {"text": "a", "type": "text"},
            {"type": "image_url", "image_url": {"url": "data:,"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {
                "type": "function",
                "id": "c",
                "function": {"arguments": '{"a": 1,, not JSON', "name": "f"},
            }
        ],
    },
    {"role": "tool", "content": "", "tool_call_id": "c", "name": "f"},
    {"role": "assistant", "content": "", "refusal": None, "audio": None},
    {"role": "user", "content": "\x00 \r\n\t trailing "},
]


def test_messages_leave_with_the_bytes_that_came() -> None:
    for context in (builder(100_000).build(VERBATIM), builder(100_000).build(ck.History(VERBATIM))):
        assert json.dumps(context.request()["messages"]) == json.dumps(VERBATIM)


def test_neither_side_can_change_what_the_other_holds() -> None:
    mine = [user([{"type": "text", "text": "hello"}], extra={"deep": [1]})]
    history = ck.History(mine)
    before = json.dumps(mine)

    given = builder().build(history).request()
    given["messages"][0]["content"][0]["text"] = given["messages"][0]["extra"]["deep"] = "changed"
    history[0]["extra"]["deep"].append("changed")
    next(iter(history))["content"].clear()

    assert json.dumps(mine) == before == json.dumps(list(history))
    assert json.dumps(builder().build(history).messages) == before

    mine[0]["content"].clear()

    assert json.dumps(list(history)) == before


def test_strings_and_sdk_objects_are_messages() -> None:
    completion = ChatCompletion.model_validate(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "logprobs": None,
                    "message": {
                        "role": "assistant",
                        "content": "hi",
                        "reasoning_content": "thinking",
                    },
                }
            ],
            "usage": {
                "prompt_tokens": 9,
                "completion_tokens": 2,
                "total_tokens": 11,
                "prompt_tokens_details": {"cached_tokens": 4},
            },
        }
    )
    history = ck.History()
    history.append("Hello")
    number = history.append(completion)
    history.append(ChatCompletionMessage(role="assistant", content="more"))

    assert list(history) == [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "hi", "reasoning_content": "thinking"},
        {"role": "assistant", "content": "more"},
    ]
    usage = history.usages[number]
    assert (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens) == (9, 4, 2)


def test_a_completion_as_a_dict_brings_its_usage() -> None:
    history = ck.History(["Hello"])
    history.append({"choices": [{"message": answer("hi")}], "usage": {"prompt_tokens": 5}})

    assert history.usages[1].input_tokens == 5
    assert history[1] == answer("hi")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (user("a"), {"content": "a", "role": "user"}, True),
        (user("a"), user("a", name=None), True),
        (user("a"), user([{"type": "text", "text": "a"}]), True),
        (answer(None, tool_calls=None), answer(None), True),
        (user("a", x={"y": None, "z": 1}), user("a", x={"z": 1}), True),
        (user("a"), user([{"type": "text", "text": "a", "cache_control": {}}]), False),
        (user("a"), user([{"type": "text", "text": "a"}, {"type": "text", "text": ""}]), False),
        (user("a", n=1), user("a", n=True), False),
        (user("a", n=1), user("a", n=1.0), False),
        (user("a", n=0), user("a", n=False), False),
        (user("a", n=[None]), user("a", n=[]), False),
        (user("\u00e9"), user("e\u0301"), False),
        (user("a"), answer("a"), False),
    ],
)
def test_the_normal_form_says_which_messages_are_the_same(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    assert same_message(one, Message.of(other)) is same
    assert (Message.of(one) == Message.of(other)) is same
    assert (
        ck.History([one], scope=ck.Scope("t", "u", "c")).prefix_hash()
        == ck.History([other], scope=ck.Scope("t", "u", "c")).prefix_hash()
    ) is same


class Role(str, enum.Enum):  # noqa: UP042 - what callers had before StrEnum
    USER = "user"


def test_enum_members_count_as_their_text() -> None:
    context = builder().build([{"role": Role.USER, "content": "hi"}])

    assert type(context.request()["messages"][0]["role"]) is str
    assert wire(context) == wire(builder().build([user("hi")]))


BAD: list[tuple[Any, str]] = [
    ({"content": "x"}, "messages[1].role"),
    ({"role": None, "content": "x"}, "messages[1].role"),
    ({"role": ["user"], "content": "x"}, "messages[1].role"),
    ({"role": "function", "content": "x"}, "messages[1].role"),
    ({"role": "User", "content": "x"}, "messages[1].role"),
    (user(None), "messages[1].content"),
    (user([]), "messages[1].content"),
    (user(5), "messages[1].content"),
    (user({"text": "x"}), "messages[1].content"),
    (user(["x"]), "messages[1].content[0]"),
    (user([{"text": "x"}]), "messages[1].content[0]"),
    (user(b"bytes"), "messages[1].content"),
    (user("x", when=object()), "messages[1].when"),
    (user("x", a={"b": [0, float("nan")]}), "messages[1].a.b[1]"),
    (user("x", a=float("-inf")), "messages[1].a"),
    (user("x", a={"b": {5: 6}}), "messages[1].a.b"),
    ({**user("x"), 5: 6}, "messages[1]"),
    (user("\ud800"), "messages[1].content"),
    (user([{"type": "text", "text": "ok \udfff"}]), "messages[1].content[0].text"),
    ({**user("x"), "\ud800": 1}, "messages[1]"),
    (user("x", a={"\ud800": 1}), "messages[1].a"),
    ({"role": "tool", "content": "x"}, "messages[1].tool_call_id"),
    (answer(None, tool_calls={}), "messages[1].tool_calls"),
    (answer(None, tool_calls=["x"]), "messages[1].tool_calls[0]"),
    (answer(None, tool_calls=[{"type": "function"}]), "messages[1].tool_calls[0].id"),
    (answer(None, tool_calls=[{"id": ""}]), "messages[1].tool_calls[0].id"),
    (call("a", "a"), "messages[1].tool_calls[1].id"),
    (answer(None, tool_calls=[{"id": "a", "function": "f"}]), "messages[1].tool_calls[0].function"),
    (5, "messages[1]"),
    (None, "messages[1]"),
    (["x"], "messages[1]"),
]


@pytest.mark.parametrize(
    ("bad", "place"), BAD, ids=[place + str(n) for n, (_, place) in enumerate(BAD)]
)
def test_what_cannot_be_sent_is_refused_with_its_place(bad: Any, place: str) -> None:
    history = ck.History(["ok"])
    with pytest.raises(MessageError) as kept:
        history.append(bad)
    with pytest.raises(MessageError) as listed:
        builder().build([user("ok"), bad])
    with pytest.raises(MessageError):
        history.extend([user("fine"), bad])

    assert kept.value.place == listed.value.place == place
    assert len(history) == len(history.records) == 1


def test_a_bad_message_is_refused_where_the_rest_is_known_already() -> None:
    built = builder()
    built.build([user("ok")])
    for bad, _ in BAD:
        with pytest.raises(MessageError):
            built.build([bad])
        with pytest.raises(MessageError):
            built.build([user("ok"), bad])


def test_text_of_a_message() -> None:
    assert (
        text_of(
            user(
                [
                    {"type": "text", "text": "a"},
                    {"type": "image_url"},
                    {"type": "text", "text": "b"},
                ]
            )
        )
        == "a\n\nb"
    )
    assert text_of(answer(None)) == ""


def test_calls_and_results_keep_unknown_fields() -> None:
    step = [call("c"), {**result("c"), "status": "ok"}]
    step[0]["tool_calls"][0]["index"] = 0

    assert builder().build([user("x"), *step]).messages[1:] == step


def test_a_role_that_may_be_what_was_said_is_not_quoted() -> None:
    with pytest.raises(MessageError, match="unknown role 'wizard'"):
        Message.of({"role": "wizard", "content": "x"})
    with pytest.raises(MessageError) as caught:
        Message.of({"role": "my account is 12345", "content": "user"})
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "read"),
    [
        ({"function": {"name": "look", "arguments": '{"n": 1.0}'}}, ("look", '{"n": 1.0}')),
        ({"type": "custom", "custom": {"name": "run", "input": "ls"}}, ("run", "ls")),
        ({"function": None, "custom": {"name": "run", "input": "ls"}}, ("run", "ls")),
        (
            {"function": {"name": "look", "arguments": {"stadt": "Köln"}}},
            ("look", '{"stadt": "Köln"}'),
        ),
        ({"function": {"name": "look", "arguments": None}}, ("look", "")),
        ({"type": "strange", "strange": 1}, ("", "")),
    ],
)
def test_a_tool_call_of_any_type_has_a_name_and_arguments_as_text(call, read):
    assert called(call) == read
