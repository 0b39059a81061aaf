"""The stand-in for a provider behaves as the openai client expects of one."""

from collections.abc import Iterator
from typing import Any

import pytest
from openai import APIConnectionError, APIStatusError, OpenAI

from tests.scripted_provider import Failure, ScriptedProvider

SYSTEM = {"role": "system", "content": "Be brief. " * 20}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": '{"city": "Chengdu"}'},
}


@pytest.fixture
def client(provider: ScriptedProvider) -> Iterator[OpenAI]:
    with OpenAI(base_url=provider.base_url, api_key="none", max_retries=0) as connected:
        yield connected


def ask(client: OpenAI, *messages: Any, **settings: Any) -> Any:
    return client.chat.completions.create(model="any", messages=list(messages), **settings)


def test_answers_are_numbered_and_the_shared_prefix_is_cached(client: OpenAI) -> None:
    hello = {"role": "user", "content": "Hello"}

    first = ask(client, SYSTEM, hello)
    second = ask(client, SYSTEM, hello, {"role": "assistant", "content": "ok 1"}, hello)
    moved = ask(client, {"role": "system", "content": "At noon: be brief."}, hello)

    assert [reply.choices[0].message.content for reply in (first, second)] == ["ok 1", "ok 2"]
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert second.usage.prompt_tokens_details.cached_tokens in (
        first.usage.prompt_tokens - 1,
        first.usage.prompt_tokens,
    )
    assert moved.usage.prompt_tokens_details.cached_tokens < 10


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream_adds_up_to_the_scripted_message(
    client: OpenAI, provider: ScriptedProvider, include_usage: bool
) -> None:
    provider.replies.append(
        {"content": "One  moment.\n", "reasoning_content": "Which city?", "tool_calls": [CALL]}
    )

    chunks = list(ask(client, SYSTEM, stream=True, stream_options={"include_usage": include_usage}))

    deltas = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert "".join(delta.content or "" for delta in deltas) == "One  moment.\n"
    assert "".join(d.model_extra.get("reasoning_content", "") for d in deltas) == "Which city?"
    assert "".join(call.function.arguments for call in calls) == CALL["function"]["arguments"]
    assert [call.id for call in calls if call.id] == ["call_1"]
    assert [chunk.usage is not None for chunk in chunks].count(True) == include_usage


def test_a_failure_happens_once_and_caches_nothing(
    client: OpenAI, provider: ScriptedProvider
) -> None:
    provider.failures.append(Failure(status=429))

    with pytest.raises(APIStatusError) as caught:
        ask(client, SYSTEM)
    reply = ask(client, SYSTEM)

    assert caught.value.status_code == 429
    assert reply.usage.prompt_tokens_details.cached_tokens == 0
    assert len(provider.requests) == 2


def test_a_cut_stream_is_an_error_after_what_arrived(
    client: OpenAI, provider: ScriptedProvider
) -> None:
    provider.replies.append("one two three four")
    provider.failures.append(Failure(cut_after=3))
    seen: list[str] = []

    def read() -> None:
        seen.extend(chunk.choices[0].delta.content for chunk in ask(client, SYSTEM, stream=True))

    with pytest.raises(APIConnectionError):
        read()

    assert seen == ["", "one ", "two "]


def test_garbage_is_sent_as_it_is(client: OpenAI, provider: ScriptedProvider) -> None:
    provider.failures.append(Failure(body=b"<html>502</html>"))

    with pytest.raises(Exception, match="Expecting value"):
        ask(client, SYSTEM)
