"""What the chunks of a stream add up to, and what of a stream the caller sees."""

import re
import warnings
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIConnectionError, APIError, APIStatusError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from contextkit import Usage
from contextkit.errors import ReplyError
from contextkit.providers.chat_completions import complete, stream
from contextkit.providers.streaming import StreamedMessage
from tests.scripted_provider import Failure, ScriptedProvider, events

CALLS = [
    {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "look_up", "arguments": f'{{"city": "Chengdu", "day": {number}}}'},
    }
    for number in (1, 2)
]
REQUEST = {"model": "any", "messages": [{"role": "user", "content": "Hello"}]}


def chunk(delta: dict[str, Any], finish_reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


def added(*chunks: Any) -> StreamedMessage:
    reply = StreamedMessage()
    for one in chunks:
        reply.add(one)
    return reply


def calls_of(*deltas: dict[str, Any]) -> list[dict[str, Any]]:
    return added(*(chunk({"tool_calls": [delta]}) for delta in deltas)).message["tool_calls"]


@pytest.fixture
def client(provider: ScriptedProvider) -> Iterator[OpenAI]:
    with OpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as connected:
        yield connected


# -- adding up -------------------------------------------------------------------------------

texts = st.text(st.characters(exclude_categories=["Cs"]))
messages = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": texts},
    optional={"reasoning_content": texts, "refusal": texts, "tool_calls": st.just(CALLS)},
)


@given(messages, st.data())
def test_pieces_add_up_to_the_message_wherever_it_is_cut(
    message: dict[str, Any], data: st.DataObject
) -> None:
    def cut(text: str) -> list[str]:
        at = data.draw(st.integers(0, len(text)))
        return [text[:at], text[at:]]

    deltas: list[dict[str, Any]] = [{"role": "assistant"}]
    for field in ("reasoning_content", "content", "refusal"):
        deltas += [{field: piece} for piece in cut(message.get(field, "")) if field in message]
    for index, call in enumerate(message.get("tool_calls", ())):
        name, arguments = call["function"]["name"], cut(call["function"]["arguments"])
        first = {**call, "index": index, "function": {"name": name, "arguments": arguments[0]}}
        later = {"index": index, "function": {"arguments": arguments[1]}}
        deltas += [{"tool_calls": [first]}, {"tool_calls": [later]}]
    if data.draw(st.booleans()):  # parallel calls, interleaved
        deltas.sort(key=lambda delta: "tool_calls" in delta and "id" not in delta["tool_calls"][0])

    reply = StreamedMessage()
    given_out = [reply.add(chunk(delta)) for delta in deltas]

    if "tool_calls" in message and not message["content"]:
        message = {**message, "content": None}
    assert reply.message == message
    assert "".join(given_out) == reply.text == (message["content"] or "")


def test_sdk_chunks_and_dicts_add_up_alike() -> None:
    completion = {
        "id": "1",
        "created": 0,
        "model": "any",
        "choices": [
            {
                "message": {
                    "role": "assistant",
                    "content": "One  moment.\n",
                    "reasoning_content": "Which city?",
                    "tool_calls": CALLS,
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }
    dicts = list(events(completion, include_usage=True))
    objects = [ChatCompletionChunk.model_validate(one) for one in dicts]

    for reply in (added(*dicts), added(*objects)):
        assert reply.message == completion["choices"][0]["message"]
        assert list(reply.message)[:2] == ["role", "content"]
        assert reply.finish_reason == "tool_calls"
        assert reply.usage == Usage(input_tokens=7, output_tokens=2)


def test_calls_are_told_apart_whatever_a_provider_does_with_the_index() -> None:
    first, second = CALLS
    assert calls_of({**first, "index": 0}, {**second, "index": 0}) == CALLS, "one index for all"
    assert calls_of({**second, "index": 5}, {**first, "index": 2}) == [second, first], "gaps"
    without = added(chunk({"tool_calls": CALLS}))
    assert without.message["tool_calls"] == CALLS, "no index at all"
    head = {**first, "index": 0, "function": {"name": "look_up", "arguments": ""}}
    rest = {"index": 0, "id": "", "type": "function", "function": {"name": None, "arguments": "{}"}}
    assert calls_of(head, rest) == [
        {**first, "function": {"name": "look_up", "arguments": "{}"}}
    ], "an empty id in later pieces"
    again = {**head, "function": {"name": "look_up", "arguments": "{}"}}
    assert calls_of(head, again) == [
        {**first, "function": {"name": "look_up", "arguments": "{}"}}
    ], "the whole head again with every piece"
    parts = [
        {"index": 0, "id": "a", "function": {"name": "look"}},
        {"index": 0, "function": {"name": "_up"}},
    ]
    assert calls_of(*parts) == [{"id": "a", "function": {"name": "look_up", "arguments": ""}}]
    signed = {
        "index": 0,
        "id": "a",
        "function": {"name": "f", "arguments": ""},
        "extra": {"sig": "x"},
    }
    assert calls_of(signed, {"index": 0, "extra": {"sig": "y"}})[0]["extra"] == {"sig": "y"}


def test_unknown_fields_are_kept() -> None:
    reply = added(
        chunk({"role": "assistant", "reasoning": "Let me", "thoughts": {"n": 1}}),
        chunk({"role": "assistant", "reasoning": " think.", "thoughts": {"n": 2}, "audio": None}),
        chunk({"content": "Hi", "reasoning_details": [{"text": "a"}], "level": 1}),
        chunk({"reasoning_details": [{"text": "b"}], "level": 2}),
    )
    assert reply.message == {
        "role": "assistant",
        "content": "Hi",
        "reasoning": "Let me think.",
        "thoughts": {"n": 2},
        "reasoning_details": [{"text": "a"}, {"text": "b"}],
        "level": 2,
    }


def test_chunks_are_not_changed_by_being_added_up() -> None:
    chunks = [chunk({"details": [{"n": 1}]}), chunk({"details": [{"n": 2}]})]
    reply = added(*chunks)
    reply.message["details"][0]["n"] = 9
    assert chunks == [chunk({"details": [{"n": 1}]}), chunk({"details": [{"n": 2}]})]
    assert reply.message["details"] == [{"n": 1}, {"n": 2}]


def test_a_refusal_is_no_text() -> None:
    reply = added(chunk({"refusal": "I can"}), chunk({"refusal": "not."}, "stop"))
    assert reply.message == {"role": "assistant", "content": "", "refusal": "I cannot."}
    assert reply.text == ""


def test_only_the_first_choice_counts() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]}
    reply = added(other, chunk({"content": "yes"}))
    assert reply.message["content"] == "yes"
    assert reply.finish_reason is None


def test_chunks_without_choices_are_borne_and_usage_may_be_missing() -> None:
    reply = added(
        {"choices": [], "prompt_filter_results": []},
        {"choices": None},
        {},
        chunk({"content": "a"}, "stop", usage=None),
    )
    assert (reply.text, reply.finish_reason, reply.usage) == ("a", "stop", None)
    zero = added(chunk({}), {"choices": [], "usage": {"prompt_tokens": 0}})
    assert zero.usage == Usage(input_tokens=0), "what is not reported is None, and zero is zero"


def test_usage_that_grows_with_each_chunk_counts_once() -> None:
    reply = added(*(chunk({"content": "a"}, usage={"completion_tokens": n}) for n in (1, 2, 3)))
    assert reply.usage == Usage(output_tokens=3)


def test_a_character_that_was_cut_in_two_is_whole_again() -> None:
    assert added(chunk({"content": "a\ud83d"}), chunk({"content": "\udc22"})).text == "a🐢"
    assert added(chunk({"content": "a\ud83d"}), chunk({"content": "b"})).text == "a\ufffdb"


# -- the wire --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_options", "sent", "seen"),
    [
        ({}, {"include_usage": True}, False),
        ({"stream_options": None}, {"include_usage": True}, False),
        ({"stream_options": {"x": 1}}, {"include_usage": True, "x": 1}, False),
        ({"stream_options": {"include_usage": True}}, {"include_usage": True}, True),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}, False),
    ],
)
def test_the_caller_sees_the_stream_that_was_asked_for(
    given_options: dict[str, Any], sent: dict[str, Any], seen: bool
) -> None:
    scripted = [{"content": "One moment.", "reasoning_content": "Why?", "tool_calls": CALLS}]
    with ScriptedProvider(scripted) as one, ScriptedProvider(scripted) as other:
        with OpenAI(base_url=one.base_url, api_key="none") as bare:
            theirs = list(bare.chat.completions.create(**REQUEST, **given_options, stream=True))
        with OpenAI(base_url=other.base_url, api_key="none") as client:
            chunks = stream(client, {**REQUEST, **given_options})
            ours = list(chunks)

        assert [c.model_dump_json() for c in ours] == [c.model_dump_json() for c in theirs]
        assert all(isinstance(c, ChatCompletionChunk) for c in ours)
        assert other.requests[0]["stream_options"] == sent
        assert (ours[-1].usage is not None) == seen
        assert (chunks.answer.usage is not None) == sent["include_usage"]
        assert chunks.answer.message == {"role": "assistant", **scripted[0]}
        assert chunks.answer.finish_reason == "tool_calls"


def test_plain_and_streamed_answers_are_alike(client: OpenAI, provider: ScriptedProvider) -> None:
    reply = {"content": "One moment.", "reasoning_content": "Why?", "tool_calls": CALLS}
    provider.replies += [reply, reply]

    answer = complete(client, REQUEST)
    with stream(client, REQUEST) as chunks:
        list(chunks)

    assert answer.message == chunks.answer.message == {"role": "assistant", **reply}
    assert next(iter(answer.message)) == "role"
    assert answer.finish_reason == chunks.answer.finish_reason == "tool_calls"
    assert answer.usage.output_tokens == chunks.answer.usage.output_tokens > 0
    assert "stream" not in provider.requests[0]


def test_errors_of_the_client_come_through(client: OpenAI, provider: ScriptedProvider) -> None:
    for call in (complete, stream):
        provider.failures.append(Failure(status=429))
        with pytest.raises(APIStatusError) as caught:
            call(client, REQUEST)
        assert caught.value.status_code == 429
    assert len(provider.requests) == 2, "nothing is tried again here"


def test_a_lost_connection_comes_through(client: OpenAI, provider: ScriptedProvider) -> None:
    provider.replies.append("one two three four")
    provider.failures.append(Failure(cut_after=3))
    chunks = stream(client, REQUEST)
    with pytest.raises(APIConnectionError):
        list(chunks)
    assert chunks.reply.text == "one two "


@pytest.mark.parametrize(
    "failure",
    [Failure(cut_after=3, tidy=True), Failure(body=b"<html>502</html>"), Failure(body=b"{}")],
)
def test_an_end_without_a_finish_reason_is_no_end(
    client: OpenAI, provider: ScriptedProvider, failure: Failure
) -> None:
    provider.failures.append(failure)
    provider.replies.append("one two three four")
    chunks = stream(client, REQUEST)
    list(chunks)
    with pytest.raises(ReplyError, match="cut off") as caught:
        assert chunks.answer
    assert caught.value.partial == ("one two " if failure.tidy else "")
    assert caught.value.retryable


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"choices": [{"index": 0}]}'])
def test_an_answer_without_a_message_is_none(
    client: OpenAI, provider: ScriptedProvider, body: bytes
) -> None:
    provider.failures.append(Failure(body=body))
    with pytest.raises(ReplyError):
        complete(client, REQUEST)


def test_what_does_not_fit_the_sdks_types_is_kept_without_a_warning() -> None:
    odd = {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tired",
                "message": {"role": "assistant", "content": "a", "annotations": "odd"},
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "cost": 0.1},
        "service_tier": "odd",
    }
    completion = ChatCompletion.construct(**odd)
    piece = ChatCompletionChunk.construct(**chunk({"content": "a", "refusal": 7}, "tired"))
    create = iter([completion, [piece]])
    completions = SimpleNamespace(create=lambda **_: next(create))
    client = SimpleNamespace(chat=SimpleNamespace(completions=completions))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer = complete(client, REQUEST)
        chunks = stream(client, REQUEST)
        assert list(chunks) == [piece]

    assert answer.message == {"role": "assistant", "content": "a", "annotations": "odd"}
    assert (answer.finish_reason, answer.usage) == ("tired", Usage(1, output_tokens=2))
    assert chunks.answer.message == {"role": "assistant", "content": "a", "refusal": 7}


def test_an_error_inside_a_stream_comes_through(client: OpenAI, provider: ScriptedProvider) -> None:
    body = b'data: {"error": {"message": "overloaded"}}\n\n'
    provider.failures.append(Failure(body=body))
    with pytest.raises(APIError, match=re.escape("overloaded")):
        list(stream(client, REQUEST))
