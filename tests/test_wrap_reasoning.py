"""Reasoning that a caller's list lost is put back through a wrapped client, and to nobody else."""

from __future__ import annotations

import json
import threading
from functools import partial
from typing import Any

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit.known import Known
from contextkit.reasoning import remember_reasoning
from contextkit.testing import assert_prefix_stable
from tests.blocking import Blocking, Loop
from tests.scripted_provider import ScriptedProvider
from tests.support import SCOPE, answer, call, result, system, user
from tests.wrapping import ask, bare


def reply_with(identifier: str, reasoning: str = "I must look.") -> dict[str, Any]:
    return {**call(identifier, name="look"), "content": None, "reasoning_content": reasoning}


def bare_of(message: dict[str, Any]) -> dict[str, Any]:
    """How callers keep a reply: its role and calls, its content as an empty string."""
    return {"role": "assistant", "content": "", "tool_calls": message["tool_calls"]}


WAYS = {
    "create": lambda client, **given: client.chat.completions.create(**given),
    "stream": lambda client, **given: list(client.chat.completions.create(**given, stream=True)),
    "raw": lambda client, **given: client.chat.completions.with_raw_response.create(**given),
    "raw stream": lambda client, **given: list(
        client.chat.completions.with_raw_response.create(**given, stream=True).parse()
    ),
    "parse": lambda client, **given: client.chat.completions.parse(**given),
    "beta": lambda client, **given: client.beta.chat.completions.parse(**given),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_reasoning_that_the_list_lost_is_put_back(
    provider: ScriptedProvider, way: str, kind: str
) -> None:
    provider.replies += [reply_with("c1"), reply_with("c2", "And again."), "Done."]
    messages = [system(), user("Look twice.")]

    def talk(client: Any) -> None:
        for _ in range(3):
            WAYS[way](client, model="qwen-plus", messages=messages)
            made = provider.requests[-1]["messages"]
            if len(provider.requests) < 3:
                identifier = f"c{len(provider.requests)}"
                messages.append(bare_of(reply_with(identifier)))
                messages.append(result(identifier))
            assert made[:2] == messages[:2]

    if kind == "sync":
        with bare(provider) as client:
            talk(ck.wrap(client))
    else:
        with Loop() as loop:
            client = AsyncOpenAI(base_url=provider.base_url, api_key="none", max_retries=0)
            with Blocking(client, loop):
                talk(Blocking(ck.wrap(client), loop))

    sent = provider.requests[2]["messages"]
    assert [message.get("reasoning_content") for message in sent] == [
        None, None, "I must look.", None, "And again.", None,
    ]  # fmt: skip
    assert [{**message, "reasoning_content": None} for message in sent] == [
        {**message, "reasoning_content": None} for message in messages
    ], "nothing else is changed"
    assert_prefix_stable(provider.requests)


def test_reasoning_is_put_back_where_the_profile_keeps_it_only(provider: ScriptedProvider) -> None:
    provider.replies += [reply_with("c1"), "Done.", reply_with("c1")]
    for model in ("gpt-4o", "qwen-plus"):
        with bare(provider) as client:
            wrapped = ck.wrap(client)
            messages = [user("Look.")]
            ask(wrapped, messages, model=model)
            messages += [bare_of(reply_with("c1")), result("c1")]
            ask(wrapped, messages, model=model)
    kept = ["reasoning_content" in request["messages"][1] for request in provider.requests[1::2]]
    assert kept == [ck.profile_for("gpt-4o").reasoning != "none", True]


def test_a_null_is_no_reasoning(provider: ScriptedProvider) -> None:
    provider.replies.append(reply_with("c1"))
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        messages = [user("Look.")]
        ask(wrapped, messages, model="qwen-plus")
        messages += [{**bare_of(reply_with("c1")), "reasoning_content": None}, result("c1")]
        ask(wrapped, messages, model="qwen-plus")
    assert provider.requests[1]["messages"][1]["reasoning_content"] == "I must look."


def test_reasoning_of_one_branch_is_not_put_into_another(provider: ScriptedProvider) -> None:
    """With numbered ids the same place of another branch has the same ones."""
    provider.replies += [reply_with("call_0", "Of one."), reply_with("call_1", "Of one.")]
    with bare(provider) as client:
        mine = ck.wrap(client).scoped(SCOPE)
        one = [user("Look."), bare_of(reply_with("call_0")), result("call_0")]
        ask(mine, one[:1], model="qwen-plus")
        ask(mine, one, model="qwen-plus")
        other = [user("Look."), answer("No."), user("Do."), bare_of(reply_with("call_1"))]
        ask(mine, [*other, result("call_1")], model="qwen-plus")
    assert "Of one." in json.dumps(provider.requests[1])
    assert "Of one." not in json.dumps(provider.requests[2])


def test_reasoning_that_one_list_has_is_not_put_into_one_that_lost_it(
    provider: ScriptedProvider,
) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        for made in (reply_with("call_0", "A secret of A."), call("call_0", name="look")):
            ask(wrapped, [user("Look."), made, result("call_0")], model="qwen-plus")
    assert "secret" in json.dumps(provider.requests[0])
    assert "secret" not in json.dumps(provider.requests[1])


def test_reasoning_that_the_list_has_stays_as_it_is(provider: ScriptedProvider) -> None:
    provider.replies.append(reply_with("c1"))
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        messages = [user("Look.")]
        ask(wrapped, messages, model="qwen-plus")
        messages += [{**reply_with("c1"), "reasoning_content": "My own."}, result("c1")]
        ask(wrapped, messages, model="qwen-plus")
    assert provider.requests[1]["messages"][1]["reasoning_content"] == "My own."


def test_reasoning_of_one_is_never_put_into_the_list_of_another(
    provider: ScriptedProvider,
) -> None:
    """Some servers number their calls, so that everybody has the same ids."""
    provider.replies += [reply_with("call_0", "A secret of A.")]
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        ask(wrapped, [user("I am A.")], model="qwen-plus")
        scoped = wrapped.scoped(ck.Scope("t", "b", "1"))
        for other, question in ((wrapped, "I am B."), (scoped, "I am A.")):
            messages = [user(question), bare_of(reply_with("call_0")), result("call_0")]
            ask(other, messages, model="qwen-plus")
    assert "secret" not in json.dumps(provider.requests[1:])


def test_reasoning_comes_back_in_another_process_from_a_store(provider: ScriptedProvider) -> None:
    provider.replies += [reply_with("c1"), reply_with("c2", "And again."), "Done.", "Done."]
    messages = [system(), user("Look twice.")]
    with ck.SQLiteStore(":memory:") as store, bare(provider) as client:
        replicas = [ck.wrap(client, store=store).scoped(SCOPE) for _ in range(2)]
        for number in (1, 2, 3):
            ask(replicas[number % 2], messages, model="qwen-plus")
            if number < 3:
                messages += [bare_of(reply_with(f"c{number}")), result(f"c{number}")]
        ask(ck.wrap(client, store=store).scoped(SCOPE), messages, model="qwen-plus")
    assert provider.requests[2] == provider.requests[3]
    kept = [message.get("reasoning_content") for message in provider.requests[3]["messages"]]
    assert kept == [None, None, "I must look.", None, "And again.", None]
    assert_prefix_stable(provider.requests)


def test_reasoning_is_heard_by_who_stops_reading_at_the_end_of_the_message(
    provider: ScriptedProvider,
) -> None:
    provider.replies += [reply_with("c1"), "Done."]
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        messages = [user("Look.")]
        with ask(wrapped, messages, model="qwen-plus", stream=True) as stream:
            for chunk in stream:
                if chunk.choices[0].finish_reason:
                    break
        ask(wrapped, [*messages, bare_of(reply_with("c1")), result("c1")], model="qwen-plus")
    assert provider.requests[1]["messages"][1]["reasoning_content"] == "I must look."


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_chunks_that_are_none_come_through(kind: str) -> None:
    """What the bare client gives, the caller gets, however odd."""
    odd = {"choices": [{"index": 0, "delta": "Good day", "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in (odd, end)) + "data: [DONE]\n\n"

    def respond(_: Any) -> httpx2.Response:
        return httpx2.Response(200, text=body, headers={"content-type": "text/event-stream"})

    def read(client: Any) -> list[Any]:
        stream = ask(client, [user("Hello")], model="qwen-plus", stream=True)
        return [chunk.choices[0].delta for chunk in stream]

    settings = {"api_key": "none", "base_url": "http://local"}
    transport = httpx2.MockTransport(respond)
    if kind == "sync":
        with OpenAI(**settings, http_client=httpx2.Client(transport=transport)) as client:
            assert read(ck.wrap(client)) == read(client)
    else:
        web = httpx2.AsyncClient(transport=transport)
        with Loop() as loop, Blocking(AsyncOpenAI(**settings, http_client=web), loop) as client:
            wrapped = Blocking(ck.wrap(client._thing), loop)
            assert [str(delta) for delta in read(wrapped)] == [str(delta) for delta in read(client)]


@pytest.mark.parametrize("way", WAYS)
def test_a_reply_is_not_lost_when_its_reasoning_cannot_be_kept(
    provider: ScriptedProvider, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(ck.SQLiteStore):
        def decide(self, scope: Any, view: Any, address: str, *rest: Any) -> Any:
            if address.startswith("reasoning"):
                raise OSError("no space left on device")
            return super().decide(scope, view, address, *rest)

    provider.replies.append(reply_with("c1"))
    with Failing(":memory:") as store, bare(provider) as client:
        wrapped = ck.wrap(client, store=store).scoped(SCOPE)
        assert WAYS[way](wrapped, model="qwen-plus", messages=[user("Look.")])
    assert "could not be kept" in caplog.text


def test_ids_that_came_without_reasoning_tell_nothing_either(provider: ScriptedProvider) -> None:
    provider.replies += [reply_with("call_0", "A secret of A."), call("call_0", name="look")]
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        messages = [user("Hello")]  # A's, and then B's
        ask(wrapped, messages, model="qwen-plus")
        ask(wrapped, messages, model="qwen-plus")
        messages += [bare_of(reply_with("call_0")), result("call_0")]
        ask(wrapped, messages, model="qwen-plus")
    assert "secret" not in json.dumps(provider.requests[2])


def test_a_reply_is_noted_while_nobody_forks_the_history() -> None:
    history = ck.History(["Look."])
    noted = threading.Thread(
        target=partial(
            remember_reasoning,
            history,
            1,
            reply_with("c1"),
            known=Known(1_000_000),
            store=None,
            view="main",
        )
    )
    with history.lock:
        noted.start()
        noted.join(0.05)
        assert not history.reasoning
    noted.join(30)
    assert list(history.reasoning) == [(1, ("c1",))]
