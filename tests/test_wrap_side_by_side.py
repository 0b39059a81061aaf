"""A wrapped client is the official client: side by side with the bare one on the real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

import contextkit as ck
from contextkit.providers.local import LocalServer
from tests.blocking import Blocking, Loop
from tests.support import tool
from tests.wrapping import LIST, River


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with LocalServer(n_ctx=1024, threads=1) as running:
        yield running


@pytest.fixture(params=["sync", "async"])
def pair(server: LocalServer, request: pytest.FixtureRequest) -> Iterator[tuple[Any, Any]]:
    """The bare client and the wrapped one; the async pair's calls are waited for."""
    settings = {"base_url": f"{server.address}/v1", "api_key": "none", "max_retries": 0}
    if request.param == "sync":
        with OpenAI(**settings) as bare:
            yield bare, ck.wrap(bare, limit=900)
    else:
        with Loop() as loop, Blocking(AsyncOpenAI(**settings), loop) as bare:
            yield bare, Blocking(ck.wrap(bare._thing, limit=900), loop)


def asked(**more: Any) -> dict[str, Any]:
    """A request with one answer only: the cache changes the last bits of what a model computes."""
    given = {"model": LocalServer.model, "messages": LIST, "max_tokens": 12, "temperature": 0}
    return {**given, "seed": 1, "extra_body": {"cache_prompt": False}, **more}


def said(value: Any) -> Any:
    """All that an answer holds but what differs from call to call."""
    if isinstance(value, Blocking):
        value = value._thing
    data = value.model_dump(warnings=False) if isinstance(value, BaseModel) else value

    def without(data: Any) -> Any:
        if isinstance(data, dict):
            every_time = ("id", "created", "timings", "_request_id")
            return {key: without(item) for key, item in data.items() if key not in every_time}
        return [without(item) for item in data] if isinstance(data, list) else data

    return type(value), without(data)


def test_create(pair: Any) -> None:
    bare, wrapped = (client.chat.completions.create(**asked()) for client in pair)
    assert said(bare) == said(wrapped)
    assert bare.choices[0].message.content


def test_create_with_tools_and_every_other_option(pair: Any) -> None:
    more = {
        "tools": [tool("weather"), tool("lookup")],
        "tool_choice": "none",
        "stop": ["\n\n"],
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "user": "u1",
        "extra_headers": {"X-Own": "1"},
        "timeout": 60,
        "n": 1,
        "logprobs": openai.omit,
        "response_format": openai.NOT_GIVEN,
    }
    # In the frozen order, so that both send the same bytes.
    more["tools"].sort(key=lambda one: one["function"]["name"])
    bare, wrapped = (client.chat.completions.create(**asked(**more)) for client in pair)
    assert said(bare) == said(wrapped)


def chunks(stream: Any) -> list[Any]:
    return [said(chunk) for chunk in stream]


def test_stream(pair: Any) -> None:
    bare, wrapped = (client.chat.completions.create(**asked(stream=True)) for client in pair)
    assert kind_of(bare) is kind_of(wrapped)
    ours, theirs = chunks(wrapped), chunks(bare)
    assert ours == theirs
    assert len(ours) > 3


def kind_of(value: Any) -> type:
    return type(value._thing) if isinstance(value, Blocking) else type(value)


def test_stream_with_usage(pair: Any) -> None:
    more = {"stream": True, "stream_options": {"include_usage": True}}
    bare, wrapped = (client.chat.completions.create(**asked(**more)) for client in pair)
    ours = chunks(wrapped)
    assert ours == chunks(bare)
    assert ours[-1][1]["usage"]["prompt_tokens"] > 0


def test_the_stream_helper(pair: Any) -> None:
    events, finals = [], []
    for client in pair:
        with client.chat.completions.stream(**asked()) as stream:
            events.append([(event.type, getattr(event, "delta", None)) for event in stream])
            finals.append(said(stream.get_final_completion()))
    assert events[0] == events[1]
    assert finals[0] == finals[1]
    assert any(kind == "content.delta" for kind, _ in events[0])


def test_parse(pair: Any) -> None:
    more = {"response_format": River, "max_tokens": 60}
    bare, wrapped = (client.chat.completions.parse(**asked(**more)) for client in pair)
    assert said(bare) == said(wrapped)
    assert isinstance(wrapped.choices[0].message.parsed, River)
    beta = pair[1].beta.chat.completions.parse(**asked(**more))
    assert said(beta) == said(bare)


def test_the_stream_helper_parses(pair: Any) -> None:
    finals = []
    for client in pair:
        more = {"response_format": River, "max_tokens": 60}
        with client.chat.completions.stream(**asked(**more)) as stream:
            for _ in stream:
                pass
            finals.append(stream.get_final_completion())
    assert said(finals[0]) == said(finals[1])
    assert isinstance(finals[1].choices[0].message.parsed, River)


def test_raw_responses(pair: Any) -> None:
    for take in (
        lambda client: client.chat.completions.with_raw_response,
        lambda client: client.chat.with_raw_response.completions,
        lambda client: client.with_raw_response.chat.completions,
    ):
        bare, wrapped = (take(client).create(**asked()) for client in pair)
        assert kind_of(bare) is kind_of(wrapped)
        assert said(bare.parse()) == said(wrapped.parse())
        assert bare.headers.keys() == wrapped.headers.keys()
        assert wrapped.http_response.status_code == 200


def test_a_raw_stream(pair: Any) -> None:
    bare, wrapped = (
        client.chat.completions.with_raw_response.create(**asked(stream=True)).parse()
        for client in pair
    )
    assert kind_of(bare) is kind_of(wrapped)
    assert chunks(bare) == chunks(wrapped)


def test_streaming_responses(pair: Any) -> None:
    bodies = []
    for client in pair:
        streaming = client.chat.completions.with_streaming_response
        with streaming.create(**asked()) as response:
            data = json.loads(response.read())
            bodies.append((kind_of(response), data["choices"], data["usage"]))
    assert bodies[0] == bodies[1]


def caught(act: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as error:  # noqa: PT011 - whatever the bare client raises
        act()
    return error.value


def test_errors_of_the_provider_come_through(pair: Any) -> None:
    for wrong in ({"temperature": "hot"}, {"extra_body": {"grammar": "]["}}):
        bare, wrapped = (
            caught(
                lambda client=client, wrong=wrong: client.chat.completions.create(**asked(**wrong))
            )
            for client in pair
        )
        assert type(bare) is type(wrapped)
        assert isinstance(bare, openai.APIStatusError)
        assert (bare.status_code, bare.body) == (wrapped.status_code, wrapped.body)


def test_errors_of_the_client_come_through(pair: Any) -> None:
    for wrong in ({"model": None}, {"messages": None}):
        given = {key: value for key, value in asked().items() if key not in wrong}
        bare, wrapped = (
            caught(partial(client.chat.completions.create, **given)) for client in pair
        )
        assert (type(bare), str(bare)) == (type(wrapped), str(wrapped))
    bare, wrapped = (
        caught(
            lambda client=client: client.with_options(timeout=1e-9).chat.completions.create(
                **asked()
            )
        )
        for client in pair
    )
    assert type(bare) is type(wrapped) is openai.APITimeoutError


def test_options_and_other_resources(pair: Any) -> None:
    bare, wrapped = pair
    assert said(bare.models.list().data[0]) == said(wrapped.models.list().data[0])
    for client in pair:
        other = client.with_options(timeout=7, max_retries=5).copy(default_headers={"X-Own": "1"})
        assert (other.timeout, other.max_retries) == (7, 5)
        assert other.default_headers["X-Own"] == "1"
        assert said(other.chat.completions.create(**asked()))
    again = wrapped.with_options(timeout=7)
    assert said(again.chat.completions.create(**asked())) == said(
        bare.chat.completions.create(**asked())
    )
