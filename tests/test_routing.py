"""Routing: keys and headers that lead a conversation to the machine with its cache."""

from __future__ import annotations

import json
from typing import Any

import httpx
from openai import OpenAI

import contextkit as ck
from tests.support import (
    SCOPE,
    answer,
    builder,
    user,
)
from tests.wrapping import ask


def keyed(scope: ck.Scope | None, model: str = "gpt-4o", **options: Any) -> dict[str, Any]:
    made = builder(6_000, model=model, **options)
    return made.build([user("Hello")], scope=scope).request()


def test_a_routing_key_is_stable_and_says_nothing() -> None:
    key = keyed(SCOPE)["prompt_cache_key"]

    assert key == "f409df237940d30c9efddb2aba283429"  # the same in every process
    for part in SCOPE.key:
        assert part not in key
    assert keyed(ck.Scope("tenant", "user", "other"))["prompt_cache_key"] != key
    assert "prompt_cache_key" not in keyed(None)
    assert keyed(SCOPE, "qwen-plus").keys() == {"model", "messages"}
    assert keyed(SCOPE, "grok-4") == {
        "model": "grok-4",
        "messages": [user("Hello")],
        "extra_headers": {"x-grok-conv-id": key},
    }
    for model in ("vllm", "llama.cpp", "gpt-4"):  # a salt, a slot's number, no cache
        assert keyed(SCOPE, model).keys() == {"model", "messages"}


class Listening:
    """A client that remembers what it was asked."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.chat = self.completions = self

    def create(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return {
            "choices": [
                {"index": 0, "message": answer("Fine."), "finish_reason": "stop"},
            ]
        }


def test_a_callers_own_value_wins() -> None:
    client = Listening()
    for options in (
        {"extra_headers": {"X-Grok-Conv-Id": "mine", "x-other": "1"}},
        {"extra_headers": {"x-other": "1"}, "prompt_cache_key": "mine"},
        {"extra_headers": None},
    ):
        ck.Chat(client, model="grok-4", limit=1_000, options=options).conversation(SCOPE).send("Hi")
    theirs, added, none = client.requests

    assert theirs["extra_headers"] == {"X-Grok-Conv-Id": "mine", "x-other": "1"}
    key = none["extra_headers"]["x-grok-conv-id"]
    assert added["extra_headers"] == {"x-grok-conv-id": key, "x-other": "1"}
    assert added["prompt_cache_key"] == "mine"


def test_a_wrapped_client_sends_key_and_header() -> None:
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        message = {"role": "assistant", "content": "Fine."}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m"}
        return httpx.Response(200, json={**body, "choices": [choice]})

    http_client = httpx.Client(transport=httpx.MockTransport(handle))
    client = ck.wrap(OpenAI(api_key="none", http_client=http_client), limit=1_000)
    ask(client.scoped(SCOPE), [user("Hello")])
    ask(client.scoped(SCOPE), [user("Hello")], prompt_cache_key="mine")
    ask(client.scoped(SCOPE), [user("Hello")], extra_body={"prompt_cache_key": "theirs"})
    ask(client.scoped(SCOPE), [user("Hello")], "grok-4", extra_headers={"x-other": "1"})
    ask(client, [user("Hello")])

    bodies = [json.loads(request.content) for request in sent]
    key = keyed(SCOPE)["prompt_cache_key"]
    assert [body.get("prompt_cache_key") for body in bodies] == [key, "mine", "theirs", None, None]
    assert sent[3].headers["x-grok-conv-id"] == key
    assert sent[3].headers["x-other"] == "1"
    assert "x-grok-conv-id" not in sent[4].headers
