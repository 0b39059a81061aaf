"""A wrapped client is the official client: side by side with the bare one on the real server."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace as Object
from typing import Any

import httpx2
import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.resources.chat import Completions
from pydantic import BaseModel

import contextkit as ck
from contextkit.errors import (
    BudgetError,
    BudgetExceeded,
    GrammarError,
    InputError,
    ProfileError,
    ScopeError,
)
from contextkit.known import Known
from contextkit.providers.local import LocalServer
from contextkit.reasoning import remember_reasoning
from contextkit.testing import assert_prefix_stable
from tests.blocking import Blocking, Loop
from tests.scripted_provider import Failure, ScriptedProvider
from tests.support import SCOPE, Characters, answer, call, chat, result, system, tool, user

LIST = [
    {"role": "system", "content": "You are a terse assistant."},
    {"role": "user", "content": "Name a river in France."},
    {"role": "assistant", "content": "The Loire."},
    {"role": "user", "content": "And one in Spain?"},
]


class River(BaseModel):
    name: str
    length: int


# -- side by side with the bare client -------------------------------------------------------


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


# -- what it is ------------------------------------------------------------------------------


def bare(provider: ScriptedProvider, **more: Any) -> OpenAI:
    return OpenAI(base_url=provider.base_url, api_key="none", max_retries=0, **more)


@pytest.fixture
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


def ask(client: Any, messages: Any, model: str = "gpt-4o", **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=messages, **more)


@pytest.mark.parametrize(
    "client",
    [
        OpenAI(api_key="none"),
        AsyncOpenAI(api_key="none"),
        AzureOpenAI(api_key="none", azure_endpoint="http://127.0.0.1:9", api_version="1"),
        AsyncAzureOpenAI(api_key="none", azure_endpoint="http://127.0.0.1:9", api_version="1"),
    ],
    ids=lambda client: type(client).__name__,
)
def test_it_is_a_client_of_its_class(client: Any) -> None:
    before = {key: value for key, value in vars(client).items() if key != "chat"}
    wrapped = ck.wrap(client, limit=8_000)

    assert isinstance(wrapped, type(client))
    assert {key: value for key, value in vars(client).items() if key != "chat"} == before
    assert wrapped._client is client._client, "one connection pool"
    for name in ("create", "parse", "stream", "list", "retrieve"):
        ours = getattr(wrapped.chat.completions, name)
        theirs = getattr(client.chat.completions, name)
        assert inspect.signature(ours) == inspect.signature(theirs)
    assert inspect.signature(wrapped.with_options) == inspect.signature(client.with_options)
    assert isinstance(wrapped.with_options(timeout=1), type(wrapped))
    assert type(client.chat.completions).__module__.startswith("openai.")


def test_the_bare_client_stays_as_it_was(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=300)
        messages = chat(12)
        ask(wrapped, messages)
        ask(client, messages)
    assert len(provider.requests[0]["messages"]) < len(messages)
    assert provider.requests[1]["messages"] == messages


def test_a_client_that_changes_later_is_its_own(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        wrapped.api_key = "another"
        assert client.api_key == "none"
        assert ask(wrapped, [user("Hello")]).choices[0].message.content == "ok 1"


@pytest.mark.parametrize(
    ("client", "says"),
    [
        (Object(chat=1), "is an OpenAI"),
        (None, "is an OpenAI"),
        (ck.wrap(OpenAI(api_key="none")), "wrapped already"),
    ],
)
def test_what_cannot_be_wrapped(client: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        ck.wrap(client)


@pytest.mark.parametrize("name", ["create", "parse"])
def test_an_instrumented_client_is_not_robbed_of_its_instruments(name: str) -> None:
    client = OpenAI(api_key="none")
    setattr(client.chat.completions, name, lambda **_: None)
    with pytest.raises(InputError, match="instrumented"):
        ck.wrap(client)


def test_nor_is_a_client_whose_class_has_completions_of_its_own() -> None:
    class Traced(Completions):
        pass

    class Own(OpenAI):
        @property
        def chat(self) -> Any:
            return Object(completions=Traced(self))

    with pytest.raises(InputError, match="instrumented"):
        ck.wrap(Own(api_key="none"))


@pytest.mark.parametrize("name", ["create", "parse"])
def test_a_class_that_is_instrumented_later_is_passed_through(
    provider: ScriptedProvider, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As tracers do it, which patch the official class at any time."""
    seen, before = [], getattr(Completions, name)

    def traced(self: Any, **given: Any) -> Any:
        seen.append(len(given["messages"]))
        return before(self, **given)

    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=300)
        monkeypatch.setattr(Completions, name, traced)
        getattr(wrapped.chat.completions, name)(model="gpt-4o", messages=chat(12))
    assert seen == [len(provider.requests[0]["messages"])]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"limits": 8_000}, InputError),
        ({"model": "gpt-4o"}, InputError),
        ({"tools": []}, InputError),
        ({"limit": 0}, BudgetError),
        ({"on_request": "print"}, InputError),
        ({"on_request": asyncio.sleep}, InputError),
        ({"compaction": ["drop"]}, InputError),
    ],
)
def test_what_is_wrong_with_the_options_is_said_at_once(options: Any, error: type) -> None:
    with pytest.raises(error):
        ck.wrap(OpenAI(api_key="none"), **options)


# -- what it does ----------------------------------------------------------------------------


def test_a_conversation_stays_within_its_limit_and_its_prefix_stays_put(
    provider: ScriptedProvider,
) -> None:
    reports: list[ck.Context] = []
    messages = [system()]
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=400, counter=Characters(), on_request=reports.append)
        for number in range(30):
            messages.append(user(f"q{number} " * 20))
            reply = ask(wrapped, messages, tools=[tool("b"), tool("a")])
            messages.append(reply.choices[0].message.model_dump(exclude_none=True))

    cuts = sum(any(edit.kind == "drop" for edit in report.edits) for report in reports)
    assert 0 < cuts < 10
    assert_prefix_stable(provider.requests, moves_allowed=cuts)
    assert all(report.tokens["total"] <= 400 for report in reports)
    assert all(
        [one["function"]["name"] for one in request["tools"]] == ["a", "b"]
        for request in provider.requests
    )


def test_what_the_caller_has_is_never_changed(provider: ScriptedProvider) -> None:
    messages, tools = chat(12), [tool("b", required=["z", "a"]), tool("a")]
    before = copy.deepcopy((messages, tools))
    with bare(provider) as client:
        ask(ck.wrap(client, limit=300), messages, tools=tools)
    assert (messages, tools) == before


def test_sdk_objects_and_other_sequences_are_messages(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client)
        first = ask(wrapped, (user("Hello"),))
        ask(wrapped, [user("Hello"), first.choices[0].message, user("And now?")])
    assert provider.requests[1]["messages"] == [user("Hello"), answer("ok 1"), user("And now?")]


def test_lists_that_can_be_read_only_once_are_read_once(provider: ScriptedProvider) -> None:
    """The client takes any iterable for them, too."""
    with bare(provider) as client:
        for one in (client, ck.wrap(client)):
            tools = (tool(name) for name in "ab")
            ask(one, (message for message in LIST), tools=tools)
            functions = (tool(name)["function"] for name in "ab")
            ask(one, {1: user("Hello")}.values(), functions=functions)
    assert provider.requests[:2] == provider.requests[2:]
    assert len(provider.requests[2]["tools"]) == 2


def test_own_errors_are_raised_before_anything_is_sent(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=60)
        for messages, error in (
            ([user("word " * 400)], BudgetExceeded),
            ([], GrammarError),
            ([user("Hello"), answer("Hi.")], GrammarError),
        ):
            with pytest.raises(error):
                ask(wrapped, messages)
        with pytest.raises(ProfileError):
            ask(wrapped, [user("Hello")], model="nobodys-model")
        with pytest.raises(InputError):
            ask(wrapped, [user("Hello")], tools=[{"type": "function"}])
        with pytest.raises(ScopeError):
            wrapped.scoped("acme")
    assert provider.requests == []


def test_an_error_in_on_request_stops_the_request(provider: ScriptedProvider) -> None:
    def refuse(report: Any) -> None:
        raise RuntimeError("not today")

    with bare(provider) as client, pytest.raises(RuntimeError, match="not today"):
        ask(ck.wrap(client, on_request=refuse), [user("Hello")])
    assert provider.requests == []


def test_a_retry_sends_the_same_bytes(provider: ScriptedProvider) -> None:
    provider.failures += [Failure(status=500), Failure(status=429)]
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=300)
        messages = chat(12)
        for _ in range(2):
            with pytest.raises(openai.APIStatusError):
                ask(wrapped, messages)
        ask(wrapped, messages)
        ask(wrapped.with_options(max_retries=2), messages)
    assert [request == provider.requests[0] for request in provider.requests] == [True] * 4


def test_the_same_list_with_other_tools_or_none_sends_those_tools(
    provider: ScriptedProvider,
) -> None:
    messages = chat(12)
    notes: list[ck.Context] = []
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=400, counter=Characters(), on_request=notes.append)
        for tools in ([tool("a")], [tool("b"), tool("a")], None, [tool("a")]):
            ask(wrapped, messages, **({"tools": tools} if tools else {}))
    sent = [
        [one["function"]["name"] for one in request.get("tools", [])]
        for request in provider.requests
    ]
    assert sent == [["a"], ["a", "b"], [], ["a"]]
    first = provider.requests[0]["messages"]
    assert all(request["messages"] == first for request in provider.requests), "they stand"
    assert [report.tokens["total"] for report in notes][1:3] != [notes[0].tokens["total"]] * 2
    said = ["the messages stand" in str(report) for report in notes]
    assert said == [False, True, True, False], "the report says so"


def test_tools_that_do_not_fit_what_was_decided_are_decided_for_anew(
    provider: ScriptedProvider,
) -> None:
    messages = chat(12)
    large = [tool("a", description="words " * 100)]
    notes: list[ck.Context] = []
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=400, counter=Characters(), on_request=notes.append)
        ask(wrapped, messages)
        ask(wrapped, messages, tools=large)
        ask(wrapped, messages, tools=large)
    assert len(provider.requests[1]["messages"]) < len(provider.requests[0]["messages"])
    assert provider.requests[1] == provider.requests[2]
    assert all(report.tokens["total"] <= 400 for report in notes)


def test_each_model_decides_for_itself(provider: ScriptedProvider) -> None:
    messages = chat(12)
    # So much is kept free for the reply of one of them that its requests have to be cut.
    nearly_all = {"max_tokens": ck.profile_for("gpt-4o").window - 250}
    with bare(provider) as client:
        wrapped = ck.wrap(client, counter=Characters())
        for model, more in (("gpt-4o", nearly_all), ("qwen-plus", {}), ("gpt-4o", nearly_all)):
            ask(wrapped, messages, model=model, **more)
    assert [request["model"] for request in provider.requests] == ["gpt-4o", "qwen-plus", "gpt-4o"]
    assert len(provider.requests[0]["messages"]) < len(messages)
    assert provider.requests[1]["messages"] == messages
    assert provider.requests[0] == provider.requests[2]


def test_what_is_kept_ready_is_bounded(provider: ScriptedProvider) -> None:
    """Some callers choose their tools and the longest reply anew for each request."""
    with bare(provider) as client:
        wrapped = ck.wrap(client, counter=Characters())
        for number in range(80):
            question = user(f"question {number}")
            ask(wrapped, [question], tools=[tool(f"t{number}")], max_tokens=number + 1)
            ask(wrapped, [question, answer("Hi."), user("And now?")])
    wrapping = vars(wrapped)["_contextkit"].wrapping
    assert len(wrapping._builders) == 64
    assert max(len(one.plans._others) for one in wrapping._builders.values()) == 64

    known = Known(1_000_000)
    for number in range(10_100):
        known.heard((f"c{number}",), {"reasoning": "I must look."})
    assert known.trusts_ids(None, ("c10099",))
    assert not known.trusts_ids(None, ("c99",))


def test_the_longest_reply_is_kept_free(provider: ScriptedProvider) -> None:
    notes: list[ck.Context] = []
    window = ck.profile_for("gpt-4o").window
    with bare(provider) as client:
        wrapped = ck.wrap(client, on_request=notes.append)
        for more in (
            {"max_tokens": 1_000},
            {"max_completion_tokens": 90_000},
            {"max_completion_tokens": None, "max_tokens": 70_000},
            {},
        ):
            ask(wrapped, [user("Hello")], **more)
        small = ck.wrap(bare(provider), limit=500, on_request=notes.append)
        ask(small, [user("Hello")], max_tokens=1_000)
    assert [report.limit for report in notes] == [
        window - 1_000,
        window - 90_000,
        window - 70_000,
        window - ck.profile_for("gpt-4o").reserve,
        500,
    ]


def test_a_model_of_another_name_has_a_profile_of_its_own(provider: ScriptedProvider) -> None:
    notes: list[Any] = []
    with bare(provider) as client:
        named = {"my-gpt4o": ck.profile_for("gpt-4o"), "llama": ck.profile_for("generic")}
        wrapped = ck.wrap(client, profiles=named, on_request=notes.append)
        for model in ("my-gpt4o", "llama", "gpt-4o"):
            ask(wrapped, [user("Hello")], model=model, max_tokens=1_000)
        with pytest.raises(ProfileError, match="profiles="):
            ask(wrapped, [user("Hello")], model="nobodys-model")
        with pytest.raises(InputError, match="profiles"):
            ck.wrap(client, profiles={"my-gpt4o": "gpt-4o"})
    assert [request["model"] for request in provider.requests] == ["my-gpt4o", "llama", "gpt-4o"]
    windows = [ck.profile_for(name).window - 1_000 for name in ("gpt-4o", "generic", "gpt-4o")]
    assert [report.limit for report in notes] == windows


def test_pydantic_tools_and_formats_are_counted_and_parsed(provider: ScriptedProvider) -> None:
    made = {"id": "c1", "type": "function"}
    provider.replies.append(
        {
            "content": None,
            "tool_calls": [
                {**made, "function": {"name": "River", "arguments": '{"name":"Loire","length":1}'}}
            ],
        }
    )
    provider.replies.append('{"name": "Ebro", "length": 930}')
    counted: list[ck.Context] = []
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=2_000, on_request=counted.append)
        tools = [openai.pydantic_function_tool(River)]
        reply = wrapped.chat.completions.parse(
            model="gpt-4o", messages=[user("A river")], tools=tools
        )
        assert reply.choices[0].message.tool_calls[0].function.parsed_arguments == River(
            name="Loire", length=1
        )
        reply = wrapped.chat.completions.parse(
            model="gpt-4o", messages=[user("Another river")], response_format=River
        )
        assert reply.choices[0].message.parsed == River(name="Ebro", length=930)
        ask(wrapped, [user("No river")])
    tokens = [report.tokens["tools"] for report in counted]
    assert tokens[0] > tokens[2] + 20
    assert tokens[1] > tokens[2] + 20


def test_a_scope_is_needed_where_content_is_looked_up(provider: ScriptedProvider) -> None:
    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=300, tail=[ck.Volatile("now", lambda: "12:01")])
        with pytest.raises(ScopeError):
            ask(wrapped, chat(2))
        scoped = wrapped.scoped(SCOPE)
        assert isinstance(scoped, OpenAI)
        ask(scoped, chat(2))
        ask(scoped.with_options(timeout=9), chat(2))
    assert provider.requests[0] == provider.requests[1]
    assert "12:01" in provider.requests[0]["messages"][-1]["content"]


def test_threads_share_a_client(provider: ScriptedProvider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with bare(provider) as client:
        wrapped = ck.wrap(client, limit=300)

        def talk(name: str) -> None:
            messages = [system(f"You are {name}.")]
            for number in range(6):
                messages.append(user(f"{name}{number} " * 12))
                messages.append(ask(wrapped, messages).choices[0].message)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(talk, "abcd"))
    for request in provider.requests:
        name = request["messages"][0]["content"][8]
        assert all(
            message["content"].startswith(name)
            for message in request["messages"]
            if message["role"] == "user"
        )


def test_async_summarizers_are_awaited(provider: ScriptedProvider) -> None:
    async def summarizer(request: dict[str, Any]) -> str:
        return "They talked."

    async def talk() -> None:
        async with AsyncOpenAI(base_url=provider.base_url, api_key="none") as client:
            wrapped = ck.wrap(client, limit=300, compaction=[ck.SummarizeOldest(summarizer)])
            await ask(wrapped.scoped(SCOPE), chat(12))

    asyncio.run(talk())
    assert "They talked." in json.dumps(provider.requests[-1])


# -- reasoning that a list lost --------------------------------------------------------------


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
