"""A wrapped client: what it is, and what it sends."""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from types import SimpleNamespace as Object
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.resources.chat import Completions

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
from contextkit.testing import assert_prefix_stable
from tests.scripted_provider import Failure, ScriptedProvider
from tests.support import SCOPE, Characters, answer, chat, system, tool, user
from tests.wrapping import LIST, River, ask, bare

# -- what it is ------------------------------------------------------------------------------


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
