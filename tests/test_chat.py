"""A chat keeps whole turns, sends within the limit, and goes on where it was left."""

import doctest
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit import chat
from contextkit.caching.prefix import diff
from contextkit.chat import Conversation, Reply
from contextkit.errors import (
    GrammarError,
    InputError,
    MessageError,
    ReplyError,
    ScopeError,
    StoreConflict,
    StoreCorrupt,
    StoreError,
)
from contextkit.providers import streaming
from contextkit.storage import sqlite
from contextkit.testing import assert_prefix_stable
from tests.blocking import Blocking, Loop
from tests.scripted_provider import Failure, ScriptedProvider

SCOPE = ck.Scope("acme", "u1", "42")
MODEL = "gpt-4o"
SYSTEM = "You are terse."
CALLS = [
    {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": "look_up", "arguments": f'{{"day": {number}}}'},
    }
    for number in (1, 2)
]


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


@pytest.fixture(params=["sync", "async"])
def client(provider: ScriptedProvider, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Every test with a client holds for `Chat` and for `AsyncChat`."""
    settings = {"base_url": provider.base_url, "api_key": "none", "max_retries": 0}
    if request.param == "sync":
        with OpenAI(**settings) as connected:
            yield connected
    else:
        with Loop() as loop, Blocking(AsyncOpenAI(**settings), loop) as connected:
            yield connected


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def store(path: Path) -> Iterator[ck.SQLiteStore]:
    with ck.SQLiteStore(path) as opened:
        yield opened


def new_chat(client: Any, **settings: Any) -> Any:
    """A `Chat`; with an async client an `AsyncChat`, whose calls are waited for."""
    if isinstance(client, Blocking):
        return Blocking(ck.AsyncChat(client._thing, **settings), client._loop)
    return ck.Chat(client, **settings)


def begin(client: Any, store: Any = None, **settings: Any) -> Conversation:
    settings = {"model": MODEL, "system": SYSTEM, **settings}
    return new_chat(client, store=store, **settings).conversation(SCOPE)


def send(talk: Conversation, *messages: Any) -> Reply:
    return talk.send(*messages)


def read(talk: Conversation, *messages: Any) -> Reply:
    with talk.stream(*messages) as stream:
        for _ in stream:
            pass
    return stream.reply


both = pytest.mark.parametrize("ask", [send, read])


# -- a turn ----------------------------------------------------------------------------------


@both
def test_a_turn_is_sent_answered_and_kept(
    client: OpenAI, provider: ScriptedProvider, ask: Callable[..., Reply]
) -> None:
    provider.replies.append({"content": "Hi.", "reasoning_content": "A greeting."})
    talk = begin(client)
    assert (len(talk.history), talk.context, talk.report) == (1, None, None)

    reply = ask(talk, "Hello")

    assert (str(reply), reply.text, reply.finish_reason) == ("Hi.", "Hi.", "stop")
    assert reply.message == {
        "role": "assistant",
        "content": "Hi.",
        "reasoning_content": "A greeting.",
    }
    assert list(talk.history) == [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": "Hello"},
        reply.message,
    ]
    assert provider.requests[0]["messages"] == list(talk.history)[:2]
    assert talk.context is reply.context
    assert talk.report.usage == reply.usage
    assert reply.usage.input_tokens > reply.usage.cache_read_tokens == 0
    assert ask(talk, "And now?").usage.cache_read_tokens > 0


def test_text_comes_as_it_is_streamed(client: OpenAI, provider: ScriptedProvider) -> None:
    provider.replies.append({"content": "One  moment.\n", "reasoning_content": "Hm."})
    stream = begin(client).stream("Hello")
    with pytest.raises(ReplyError, match="end"):
        assert stream.reply
    assert stream.context.messages == provider.requests[0]["messages"], "it is on its way"

    deltas, partials = [], []
    for delta in stream:
        deltas.append(delta)
        partials.append(stream.partial)

    assert deltas == ["One  ", "moment.\n"]
    assert partials == ["One  ", "One  moment.\n"]
    assert stream.reply.text == stream.partial == "One  moment.\n"
    assert stream.reply.usage.output_tokens > 0


def test_chunks_are_those_of_the_bare_client() -> None:
    replies = [{"content": "One moment.", "reasoning_content": "Hm.", "tool_calls": CALLS}]
    with ScriptedProvider(replies) as one, ScriptedProvider(replies) as other:
        with OpenAI(base_url=one.base_url, api_key="none") as client:
            stream = begin(client).stream("Hello")
            ours = [chunk.model_dump_json() for chunk in stream.chunks()]
        with OpenAI(base_url=other.base_url, api_key="none") as client:
            bare = client.chat.completions.create(
                model=MODEL, messages=one.requests[0]["messages"], stream=True
            )
            theirs = [chunk.model_dump_json() for chunk in bare]

    assert ours == theirs
    assert stream.reply.message == {"role": "assistant", **replies[0]}
    assert stream.reply.usage is not None, "though the caller saw no chunk with it"


def test_a_stream_is_read_once(client: OpenAI) -> None:
    stream = begin(client).stream("Hello")
    for _ in stream.chunks():
        pass
    with pytest.raises(InputError, match="chunks"):
        iter(stream)
    with pytest.raises(InputError):
        stream.chunks()


def test_messages_may_be_dicts_sdk_objects_and_several(
    client: OpenAI, provider: ScriptedProvider
) -> None:
    provider.replies += [{"content": None, "tool_calls": CALLS}, "Sun, then rain."]
    talk = begin(client, tools=[tool("look_up")])
    reply = talk.send({"role": "user", "content": [{"type": "text", "text": "Weather?"}]})
    assert (reply.text, reply.finish_reason) == ("", "tool_calls")

    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": "rain"}
        for call in reply.message["tool_calls"]
    ]
    assert str(talk.send(*results)) == "Sun, then rain."

    assert provider.requests[0]["tools"] == [tool("look_up")]
    sent = provider.requests[1]["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "tool", "tool"]
    assert sent[2]["tool_calls"] == CALLS
    assert sent[3:] == results


def test_what_a_reply_gives_out_is_the_callers_own(client: OpenAI) -> None:
    talk = begin(client)
    talk.send("Hello").message["content"] = "forged"
    assert talk.history[2]["content"] == "ok 1"


# -- nothing of a turn that failed -----------------------------------------------------------


def state(talk: Conversation, store: ck.SQLiteStore) -> tuple[Any, ...]:
    return talk.history.dumps(), store.load(SCOPE), list(talk.history)


@pytest.mark.parametrize(
    "case",
    [
        (Failure(status=500), APIStatusError),
        (Failure(status=429), APIStatusError),
        (Failure(body=b"<html>502</html>"), Exception),
        (Failure(body=b"{}"), ReplyError),
        (Failure(cut_after=0), APIConnectionError),
    ],
)
@both
def test_a_failure_leaves_the_log_as_it_was(
    client: OpenAI,
    provider: ScriptedProvider,
    store: ck.SQLiteStore,
    ask: Callable[..., Reply],
    case: tuple[Failure, type[Exception]],
) -> None:
    failure, error = case
    talk = begin(client, store)
    talk.send("Hello")
    before = state(talk, store)

    provider.failures.append(failure)
    with pytest.raises(error):
        ask(talk, "And now?")

    assert state(talk, store) == before
    assert len(provider.requests) == 2, "nobody tried again but the caller"
    ask(talk, "And now?")
    assert provider.requests[2]["messages"] == provider.requests[1]["messages"]
    assert len(talk.history) == 5


@pytest.mark.parametrize("tidy", [True, False])
def test_a_stream_that_was_cut_off_is_not_kept(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore, tidy: bool
) -> None:
    talk = begin(client, store)
    before = state(talk, store)
    provider.replies.append("one two three four")
    provider.failures.append(Failure(cut_after=3, tidy=tidy))
    stream = talk.stream("Hello")
    heard = []

    with pytest.raises(ReplyError if tidy else APIConnectionError):
        heard.extend(stream)

    assert stream.partial == "one two "
    assert state(talk, store) == before
    with pytest.raises(ReplyError):
        assert stream.reply
    assert str(talk.send("Hello")) == "ok 2"


def test_a_stream_that_was_left_is_not_kept(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore
) -> None:
    talk = begin(client, store)
    before = state(talk, store)

    provider.replies += ["one two three"] * 3
    for delta in talk.stream("Hello"):
        assert delta == "one "
        break
    generator = iter(talk.stream("Hello"))
    assert next(generator) == "one "
    generator.close()
    with talk.stream("Hello"):
        pass

    assert state(talk, store) == before
    talk.send("Hello")
    assert len(talk.history) == 3


def test_ctrl_c_in_the_middle_of_a_stream_keeps_nothing_and_gives_the_connection_back(
    store: ck.SQLiteStore,
) -> None:
    closed = []

    class Interrupted:
        def __iter__(self) -> Iterator[Any]:
            yield {"choices": [{"index": 0, "delta": {"content": "one "}}]}
            raise KeyboardInterrupt

        def close(self) -> None:
            closed.append(True)

    completions = SimpleNamespace(create=lambda **_: Interrupted())
    talk = begin(SimpleNamespace(chat=SimpleNamespace(completions=completions)), store)
    before = state(talk, store)
    stream = talk.stream("Hello")

    with pytest.raises(KeyboardInterrupt):
        list(stream)

    assert closed == [True]
    assert stream.partial == "one "
    assert state(talk, store) == before


@pytest.mark.parametrize(
    "reply",
    [
        {"content": "\ud800"},
        {"content": 7},
        {"content": None, "tool_calls": [{"type": "function", "function": {"name": "f"}}]},
        {"role": "nobody", "content": "a"},
    ],
)
def test_a_reply_that_cannot_be_kept_is_an_error_and_leaves_nothing(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore, reply: dict[str, Any]
) -> None:
    talk = begin(client, store)
    before = state(talk, store)
    provider.replies.append(reply)
    with pytest.raises(ReplyError):
        talk.send("Hello")
    assert state(talk, store) == before


@both
def test_what_cannot_be_sent_is_refused_before_anything_is_done(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore, ask: Callable[..., Reply]
) -> None:
    talk = begin(client, store, limit=200)
    talk.send("Hello")
    before = state(talk, store)
    for messages, error in (
        (["\ud800"], MessageError),
        ([{"role": "user"}], MessageError),
        ([["Hello"]], MessageError),
        ([None], MessageError),
        ([], GrammarError),
        (["word " * 1_000], ck.BudgetExceeded),
        (["Hello", {"role": "nobody", "content": ""}], MessageError),
    ):
        with pytest.raises(error):
            ask(talk, *messages)
    assert state(talk, store) == before
    assert len(provider.requests) == 1


class Failing(ck.SQLiteStore):
    """A store whose disk is full when told so."""

    full = False

    def append(self, *arguments: Any, **more: Any) -> int:
        if self.full:
            raise StoreError("the disk is full")
        return super().append(*arguments, **more)


@both
def test_a_store_that_cannot_write_leaves_the_conversation_as_it_was(
    client: OpenAI, ask: Callable[..., Reply]
) -> None:
    with Failing(":memory:") as store:
        talk = begin(client, store)
        ask(talk, "Hello")
        before = state(talk, store)
        store.full = True
        with pytest.raises(StoreError):
            ask(talk, "And now?")
        assert state(talk, store) == before
        store.full = False
        ask(talk, "And now?")
        assert len(talk.history) == 5


# -- keeping ---------------------------------------------------------------------------------


def test_a_conversation_goes_on_where_it_was_left(
    client: OpenAI, provider: ScriptedProvider, path: Path
) -> None:
    with new_chat(client, model=MODEL, store=path, system=SYSTEM) as chat:
        talk = chat.conversation(SCOPE)
        usage = [talk.send("Hello").usage, read(talk, "Żółw \0 🐢").usage]
        log = talk.history.dumps()
    with pytest.raises(StoreError, match="closed"):
        talk.send("too late")
    with new_chat(client, model=MODEL, store=str(path), system="Another prompt.") as chat:
        talk = chat.conversation(SCOPE)
        assert talk.history.dumps() == log
        assert [talk.history.usages[number] for number in (2, 4)] == usage
        assert len(chat.conversation(ck.Scope("acme", "u2", "42")).history) == 1
        talk.send("And now?")

    first, second, third = (json.dumps(r["messages"]) for r in provider.requests)
    assert second.startswith(first[:-1])
    assert third.startswith(second[:-1]), "the stored prompt stays, whatever the new one says"


def test_without_a_store_conversations_live_in_the_chat(client: OpenAI) -> None:
    chat = new_chat(client, model=MODEL)
    chat.conversation(SCOPE).send("Hello")
    assert len(chat.conversation(SCOPE).history) == 2
    assert len(new_chat(client, model=MODEL).conversation(SCOPE).history) == 0


@both
def test_the_loser_of_a_turn_gets_a_conflict_and_can_reload(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore, ask: Callable[..., Reply]
) -> None:
    chat = new_chat(client, model=MODEL, store=store, system=SYSTEM)
    first, second = chat.conversation(SCOPE), chat.conversation(SCOPE)
    ask(first, "one")

    with pytest.raises(StoreConflict) as caught:
        ask(second, "two")
    assert (caught.value.expected, caught.value.found) == (0, len(store.load(SCOPE)))
    assert len(second.history) == 1

    second.reload()
    ask(second, "two")
    assert [message["content"] for message in second.history] == [
        SYSTEM, "one", "ok 1", "two", "ok 3",
    ]  # fmt: skip
    assert_prefix_stable([provider.requests[0], provider.requests[2]])


def test_threads_that_reload_lose_and_double_nothing(client: OpenAI, store: ck.SQLiteStore) -> None:
    chat = new_chat(client, model=MODEL, store=store)

    def work(name: str) -> None:
        talk = chat.conversation(SCOPE)
        for turn in range(5):
            while True:
                try:
                    talk.send(f"{name}{turn}")
                    break
                except StoreConflict:
                    talk.reload()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, "abc"))

    history = chat.conversation(SCOPE).history
    said = [message["content"] for message in history if message["role"] == "user"]
    assert sorted(said) == sorted(f"{name}{turn}" for name in "abc" for turn in range(5))
    assert [message["role"] for message in history] == ["user", "assistant"] * 15


def test_a_tampered_conversation_is_not_opened(client: OpenAI, store: ck.SQLiteStore) -> None:
    begin(client, store).send("Hello")
    with store._connection.held() as db:
        db.execute("UPDATE records SET body = replace(body, 'Hello', 'Jello')")
    with pytest.raises(StoreCorrupt):
        begin(client, store)


# -- within the limit, without moving the prefix ---------------------------------------------


def cuts(contexts: list[ck.Context]) -> list[int]:
    return [number for number, context in enumerate(contexts) if context.edits]


def test_a_long_conversation_stays_within_its_limit_and_its_prefix_stays_put(
    client: OpenAI, provider: ScriptedProvider, path: Path
) -> None:
    limit = 400
    contexts: list[ck.Context] = []
    for _ in range(4):  # three restarts on the way
        with new_chat(client, model=MODEL, store=path, system=SYSTEM, limit=limit) as chat:
            talk = chat.conversation(SCOPE)
            for turn in range(10):
                ask = read if turn % 2 else send
                contexts.append(ask(talk, f"{turn}: " + "tell me more of it " * 3).context)

    moved = cuts(contexts)
    assert len(contexts) == 40
    assert len(moved) >= 2
    assert max(context.tokens for context in contexts) <= limit
    for number in range(1, 40):
        found = diff(provider.requests[number - 1], provider.requests[number])
        assert (found.kind == "moved") == (number in moved)
    assert len(talk.history) == 81, "nothing is lost"


def test_every_earlier_request_can_be_rebuilt_after_a_restart(
    client: OpenAI, provider: ScriptedProvider, path: Path
) -> None:
    for tools in ([tool("b"), tool("a")], [tool("c"), tool("a"), tool("b")]):
        settings = {"limit": 300, "tail": [ck.Volatile("turn", lambda: len(provider.requests))]}
        with new_chat(client, model=MODEL, store=path, tools=tools, **settings) as chat:
            talk = chat.conversation(SCOPE)
            for turn in range(12):
                talk.send(f"{turn}: " + "tell me more of it " * 3)

    with ck.SQLiteStore(path) as store:
        history = ck.History(scope=SCOPE)
        history.restore(store.load(SCOPE))
    decisions = history.decisions()
    assert len(decisions) == len(provider.requests) == 24
    assert any(edit.kind == "drop" for decision in decisions for edit in decision.edits)
    for decision, request in zip(decisions, provider.requests, strict=True):
        assert ck.fold(history, at=decision.point).messages == request["messages"]
        assert history.settings[decision.settings].data["tools"] == request["tools"]
    assert len({decision.settings for decision in decisions}) == 2


def test_the_bare_list_of_a_kept_conversation_is_built_to_the_same_bytes(
    client: OpenAI, provider: ScriptedProvider, store: ck.SQLiteStore
) -> None:
    talk = begin(client, store, limit=400)
    contexts = [talk.send(f"{turn}: " + "tell me more of it " * 3).context for turn in range(18)]
    assert cuts(contexts)
    question = {"role": "user", "content": "And now?"}
    messages = [*talk.history, question]

    for limit in (400, 200):  # at 200 past points would be decided otherwise, were they not known
        read_only = ck.History(scope=SCOPE)
        read_only.restore(store.load(SCOPE))
        read_only.append(question)
        kept = ck.ContextBuilder(MODEL, limit=limit).build(read_only)
        bare = ck.ContextBuilder(MODEL, limit=limit, store=store).scoped(SCOPE).preview(messages)
        assert bare.messages == kept.messages
    send(begin(client, store, limit=400), question)
    assert_prefix_stable(provider.requests[-2:])


IN_ANOTHER_PROCESS = """
import sys
import contextkit as ck
from openai import OpenAI
path, url, message = sys.argv[1:]

def summarize(request):
    print("paid")
    return "They talked."

client = OpenAI(base_url=url, api_key="none", max_retries=0)
chat = ck.Chat(client, model="gpt-4o", store=path, system="You are terse.", limit=400,
               compaction=[ck.SummarizeOldest(summarize, share=60)])
talk = chat.conversation(ck.Scope("acme", "u1", "42"))
try:
    print(len(talk.history), talk.send(message))
except Exception as error:
    print(type(error).__name__)
"""


def elsewhere(seed: int, *arguments: Any) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
    )
    return done.stdout.splitlines()


def test_a_paid_summary_survives_a_failed_turn_here_and_in_another_process(
    client: OpenAI, provider: ScriptedProvider, path: Path
) -> None:
    paid = []

    def summarize(request: Any) -> str:
        paid.append(request)
        return "They talked."

    words = "tell me more of it " * 6
    settings = {"limit": 400, "compaction": [ck.SummarizeOldest(summarize, share=60)]}
    with ck.SQLiteStore(path) as store:
        talk = begin(client, store, **settings)
        while not paid:
            provider.failures.append(Failure(status=500))
            before = state(talk, store)
            with pytest.raises(APIStatusError):
                talk.send(words)
            assert state(talk, store) == before, "not even in the turn of the summary"
            if not paid:
                provider.failures.clear()
                talk.send(words)
        failed = provider.requests[-1]
        assert any("They talked." in str(message) for message in failed["messages"])

        for ask in (send, read):
            provider.failures.append(Failure(status=500))
            with pytest.raises(APIStatusError):
                ask(talk, words)
            assert provider.requests[-1]["messages"] == failed["messages"]
        provider.failures.append(Failure(status=500))
        assert elsewhere(1, path, provider.base_url, words) == ["InternalServerError"]
        length = len(talk.history)

    said = elsewhere(2, path, provider.base_url, words)
    assert len(said) == 1, "a summary was paid for again"
    assert said[0].startswith(f"{length} ok")
    assert len(paid) == 1
    assert provider.requests[-1]["messages"] == failed["messages"]

    said = elsewhere(3, path, provider.base_url, "And now?")
    assert said[0].startswith(f"{length + 2} ok")
    assert_prefix_stable(provider.requests[-2:])


# -- settings --------------------------------------------------------------------------------


def test_options_go_into_each_request_and_the_longest_reply_is_kept_free(
    client: OpenAI, provider: ScriptedProvider
) -> None:
    for options in (
        {"max_tokens": 40, "temperature": 0},
        {"max_completion_tokens": 40},
        {"max_tokens": 40, "max_completion_tokens": None},
    ):
        chat = new_chat(client, model=MODEL, options=options, limit=500)
        for ask in (send, read):
            ask(chat.conversation(SCOPE), "Hello")
            sent = provider.requests[-1]
            assert {name: sent[name] for name in options} == options
        assert (chat.builder.budget.limit, chat.builder.budget.reserve) == (500, 40)

    window = ck.profile_for(MODEL).window

    def budget(**settings: Any) -> ck.Budget:
        return new_chat(client, model=MODEL, options={"max_tokens": 40}, **settings).builder.budget

    assert budget().limit == window - 40
    given = budget(budget=ck.Budget(500, target=100))
    assert (given.limit, given.target, given.reserve) == (500, 100, 40)
    assert budget(budget=ck.Budget(500, reserve=7)).reserve == 7
    assert new_chat(client, model=MODEL).builder.budget.limit < window - 40


@pytest.mark.parametrize("name", ["model", "messages", "tools", "response_format", "stream", "n"])
def test_what_the_chat_decides_is_no_option(client: OpenAI, name: str) -> None:
    with pytest.raises(InputError, match=name):
        new_chat(client, model=MODEL, options={name: 1})


def test_usage_is_the_callers_to_ask_for(client: OpenAI, provider: ScriptedProvider) -> None:
    talk = begin(client, options={"stream_options": {"include_usage": True}})
    chunks = list(talk.stream("Hello").chunks())
    assert chunks[-1].usage is not None
    talk = begin(client, options={"stream_options": {"include_usage": False}})
    assert read(talk, "Hello").usage is None
    assert talk.report.usage is None, "not reported is not zero"


def test_a_builder_of_ones_own(client: OpenAI, store: ck.SQLiteStore) -> None:
    builder = ck.ContextBuilder(MODEL, limit=500)
    chat = new_chat(client, builder=builder, store=store)
    assert chat.conversation(SCOPE).send("Hello").context.limit == 500
    assert chat.builder.store is store
    assert builder.store is None, "it stays as it was"

    with_store = ck.ContextBuilder("qwen-plus", store=store)
    assert new_chat(client, builder=with_store).store is store
    for wrong in (
        {"builder": builder, "limit": 7},
        {"builder": builder, "model": "qwen-plus"},
        {"builder": with_store, "store": ck.SQLiteStore(":memory:")},
        {},
    ):
        with pytest.raises(InputError):
            new_chat(client, **wrong)


@pytest.mark.parametrize("nobody", [None, "42", ("acme", "u1", "42")])
def test_a_conversation_needs_a_scope(client: OpenAI, nobody: Any) -> None:
    with pytest.raises(ScopeError):
        new_chat(client, model=MODEL).conversation(nobody)


def test_a_bad_system_prompt_is_refused_at_once(client: OpenAI) -> None:
    with pytest.raises(MessageError):
        new_chat(client, model=MODEL, system="\ud800")


def test_nothing_of_a_message_stands_in_what_is_logged_and_printed(
    client: OpenAI, store: ck.SQLiteStore
) -> None:
    chat = new_chat(client, model=MODEL, store=store)
    talk = chat.conversation(SCOPE)
    talk.send("secret")
    assert "secret" not in f"{chat!r} {talk!r} {talk.history!r} {talk.context!r}"


@pytest.mark.parametrize("module", [chat, sqlite, streaming])
def test_the_examples_in_docstrings_run(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed


def test_streams_that_were_left_keep_nothing_alive(client: OpenAI) -> None:
    talk = begin(client)
    for number in range(12):
        with talk.stream(f"question {number}") as stream:
            next(iter(stream))
    gc.collect()

    alive = [held for held in gc.get_objects() if isinstance(held, ck.Context)]
    assert len(alive) <= 3
