"""Async is the same calls: each sync one has its twin, and nobody waits for the store.

That the twins do the same is shown in test_chat.py, whose tests run on both.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace as Object
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit.async_chat import AsyncConversation
from contextkit.chat import Conversation
from contextkit.errors import InputError
from contextkit.replies import AsyncReplyStream, ReplyStream
from tests.scripted_provider import ScriptedProvider
from tests.support import SCOPE, builder, call, chat, user

TWINS = [
    (ck.Chat, ck.AsyncChat),
    (Conversation, AsyncConversation),
    (ReplyStream, AsyncReplyStream),
]
SPELLED_ANEW = {
    "__enter__": "__aenter__",
    "__exit__": "__aexit__",
    "__iter__": "__aiter__",
}


def calls(of: type) -> dict[str, Any]:
    """The public methods and properties, and those special ones that have an async spelling."""
    special = {*SPELLED_ANEW, *SPELLED_ANEW.values()}
    names = [name for name in dir(of) if not name.startswith("_") or name in special]
    return {name: inspect.getattr_static(of, name) for name in names}


@pytest.mark.parametrize(("one", "other"), TWINS, ids=lambda value: value.__name__)
def test_every_call_has_its_twin(one: type, other: type) -> None:
    sync, twin = calls(one), calls(other)
    assert set(twin) == {SPELLED_ANEW.get(name, name) for name in sync}
    for name, value in sync.items():
        its_twin = twin[SPELLED_ANEW.get(name, name)]
        assert isinstance(value, property) == isinstance(its_twin, property), name
        if not isinstance(value, property):
            given, taken = inspect.signature(value), inspect.signature(its_twin)
            assert list(given.parameters.values()) == list(taken.parameters.values()), name
    assert inspect.signature(one.__init__).parameters.keys() == (
        inspect.signature(other.__init__).parameters.keys()
    )


def test_the_builder_builds_alike_in_both() -> None:
    scoped = (ck.ContextBuilder.build, type(builder().scoped(SCOPE)).build)
    twins = (ck.ContextBuilder.abuild, type(builder().scoped(SCOPE)).abuild)
    for sync, twin in zip(scoped, twins, strict=True):
        assert inspect.signature(sync) == inspect.signature(twin)
        assert inspect.iscoroutinefunction(twin)

    messages = chat(12)
    one = builder(300).build(messages)
    other = asyncio.run(builder(300).abuild(messages))
    assert one.edits
    assert (one.request(), one.edits) == (other.request(), other.edits)


class SlowStore(ck.SQLiteStore):
    """Each call waits until the event loop has done something else."""

    def __init__(self) -> None:
        super().__init__(":memory:")
        self.loop_went_on = threading.Event()
        self.waited: list[str] = []
        self.threads: set[int] = set()

    def _wait(self, what: str) -> None:
        self.waited.append(what)
        self.threads.add(threading.get_ident())
        assert self.loop_went_on.wait(30), f"{what} was called on the event loop"
        self.loop_went_on.clear()

    def load(self, *arguments: Any) -> Any:
        self._wait("load")
        return super().load(*arguments)

    def append(self, *arguments: Any, **options: Any) -> Any:
        self._wait("append")
        return super().append(*arguments, **options)

    def decide(self, *arguments: Any) -> Any:
        self._wait("decide")
        return super().decide(*arguments)

    def decisions(self, *arguments: Any) -> Any:
        self._wait("decisions")
        return super().decisions(*arguments)


def test_nobody_waits_for_the_store(provider: ScriptedProvider) -> None:
    store = SlowStore()

    async def go_on() -> None:
        while True:
            await asyncio.sleep(0.001)
            store.loop_went_on.set()

    async def talk() -> None:
        others = asyncio.create_task(go_on())
        client = AsyncOpenAI(base_url=provider.base_url, api_key="none")
        async with client, ck.AsyncChat(client, model="gpt-4o", store=store, limit=400) as chatting:
            conversation = await chatting.conversation(SCOPE)
            await conversation.send("Hello")
            async for _ in await conversation.stream("And now?"):
                pass
            await conversation.reload()
            # A plain list over a store reads and writes it, too.
            await builder(300, store=store).abuild(chat(12), scope=ck.Scope("t", "u", "list"))
        provider.replies.append(call("c1", reasoning_content="I must look."))
        async with AsyncOpenAI(base_url=provider.base_url, api_key="none") as client:
            wrapped = ck.wrap(client, store=store).scoped(SCOPE)
            await wrapped.chat.completions.create(model="qwen-plus", messages=chat(1))
        others.cancel()

    asyncio.run(talk())
    assert {"load", "append", "decide", "decisions"} == set(store.waited)
    assert threading.get_ident() not in store.threads
    store.close()


def test_a_cancelled_turn_is_not_kept(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.replies.append("one two three")

    async def talk() -> int:
        client = AsyncOpenAI(base_url=provider.base_url, api_key="none")
        async with client, ck.AsyncChat(client, model="gpt-4o", store=tmp_path / "a.db") as chats:
            conversation = await chats.conversation(SCOPE)
            first = asyncio.Event()

            async def read() -> None:
                async with await conversation.stream("Hello") as stream:
                    async for _ in stream:
                        first.set()
                        await asyncio.sleep(60)

            task = asyncio.create_task(read())
            await first.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert len(conversation.history) == 0
            await conversation.send("Hello")
            return len(conversation.history)

    assert asyncio.run(talk()) == 2


def test_a_turn_that_is_cancelled_while_it_is_written_is_kept_whole_and_known(
    provider: ScriptedProvider,
) -> None:
    writing, go_on = threading.Event(), threading.Event()

    class Held(ck.SQLiteStore):
        def append(self, *arguments: Any, **options: Any) -> Any:
            writing.set()
            assert go_on.wait(30)
            return super().append(*arguments, **options)

    async def talk() -> tuple[int, int]:
        client = AsyncOpenAI(base_url=provider.base_url, api_key="none")
        with Held(":memory:") as store:
            async with client, ck.AsyncChat(client, model="gpt-4o", store=store) as chats:
                conversation = await chats.conversation(SCOPE)
                task = asyncio.create_task(conversation.send("Hello"))
                await asyncio.to_thread(writing.wait, 30)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                go_on.set()
                while not len(conversation.history):  # noqa: ASYNC110 - a thread sets it
                    await asyncio.sleep(0.001)
                await conversation.send("And now?")  # it knows the version that it wrote
                return len(conversation.history), len(provider.requests)

    assert asyncio.run(talk()) == (4, 2)


def test_a_client_of_the_other_kind_is_refused(provider: ScriptedProvider) -> None:
    with pytest.raises(InputError, match="AsyncChat takes it"):
        ck.Chat(AsyncOpenAI(api_key="none"), model="gpt-4o")
    with pytest.raises(InputError, match="Chat takes it"):
        ck.AsyncChat(OpenAI(api_key="none"), model="gpt-4o")


def test_a_sync_client_of_another_make_is_named_at_its_first_call() -> None:
    def create(**_: Any) -> dict[str, Any]:
        return {"choices": [{"message": {"content": "Hi."}}]}

    client = Object(chat=Object(completions=Object(create=create)))

    async def talk() -> None:
        await (await ck.AsyncChat(client, model="gpt-4o").conversation(SCOPE)).send("Hello")

    with pytest.raises(InputError, match="is not async"):
        asyncio.run(talk())


def test_a_dict_stream_of_an_async_generator_is_read_and_closed() -> None:
    closed = []

    async def chunks() -> AsyncIterator[dict[str, Any]]:
        try:
            for delta, end in (({"content": "Good "}, None), ({"content": "day"}, "stop")):
                yield {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        finally:
            closed.append(True)

    async def create(**_: Any) -> AsyncIterator[dict[str, Any]]:
        return chunks()

    client = Object(chat=Object(completions=Object(create=create)))

    async def talk() -> list[dict[str, Any]]:
        conversation = await ck.AsyncChat(client, model="gpt-4o").conversation(SCOPE)
        async with await conversation.stream("Hello") as left:
            async for _ in left:
                break
        assert closed == [True]
        async for _ in await conversation.stream("Hello"):
            pass
        return list(conversation.history)

    assert asyncio.run(talk()) == [user("Hello"), {"role": "assistant", "content": "Good day"}]


def test_nobody_waits_for_a_callable_that_is_not_async() -> None:
    went_on = threading.Event()
    waited: list[str] = []

    def wait(what: str) -> None:
        waited.append(what)
        went_on.clear()
        assert went_on.wait(30), f"{what} was called on the event loop"

    class SlowIndex(ck.VectorIndex):
        def vectors(self, *arguments: Any) -> Any:
            wait("vectors")
            return super().vectors(*arguments)

        def add(self, *arguments: Any) -> Any:
            wait("add")
            return super().add(*arguments)

    def embed(texts: Any) -> Any:
        wait("embed")
        return [[len(text), 1.0] for text in texts]

    def summarizer(_: Any) -> str:
        wait("summarizer")
        return "They talked."

    async def build() -> list[str]:
        async def go_on() -> None:
            while True:
                await asyncio.sleep(0.001)
                went_on.set()

        others = asyncio.create_task(go_on())
        built = builder(
            400,
            compaction=[ck.SummarizeOldest(summarizer)],
            tail=[ck.Retrieve(SlowIndex(embed), share=90)],
        )
        context = await built.abuild(chat(12), scope=SCOPE)
        others.cancel()
        return [edit.kind for edit in context.edits]

    assert {"summary", "insert"} <= set(asyncio.run(build()))
    assert waited[:4] == ["summarizer", "vectors", "embed", "add"]


def test_a_list_that_grows_while_the_store_is_asked_is_built_as_it_was_given() -> None:
    class Busy(ck.SQLiteStore):
        def decisions(self, *arguments: Any) -> Any:
            asked.set()
            assert grown.wait(30)
            return super().decisions(*arguments)

    asked, grown = threading.Event(), threading.Event()
    messages = chat(3)
    given = list(messages)

    async def build() -> ck.Context:
        with Busy(":memory:") as store:
            building = asyncio.create_task(builder(400, store=store).abuild(messages, scope=SCOPE))
            await asyncio.to_thread(asked.wait, 30)
            messages.append({"role": "assistant", "content": "Too late."})
            messages.append(user("And now?"))
            grown.set()
            return await building

    assert asyncio.run(build()).messages == given


def test_a_stream_is_awaited_entered_or_iterated_over(provider: ScriptedProvider) -> None:
    async def talk() -> list[str]:
        client = AsyncOpenAI(base_url=provider.base_url, api_key="none")
        async with client, ck.AsyncChat(client, model="gpt-4o") as chats:
            conversation = await chats.conversation(SCOPE)
            heard = ["".join([delta async for delta in conversation.stream("one")])]
            async with conversation.stream("two") as stream:
                async for _ in stream:
                    pass
            heard.append(stream.reply.text)
            stream = await conversation.stream("three")
            heard.append("".join([delta async for delta in stream]))
            with pytest.raises(InputError):
                async with conversation.stream(5):
                    pass
            return heard

    assert asyncio.run(talk()) == ["ok 1", "ok 2", "ok 3"]


def test_a_wrapped_client_is_not_built_for_twice() -> None:
    for chatting, client in ((ck.Chat, OpenAI), (ck.AsyncChat, AsyncOpenAI)):
        with pytest.raises(InputError, match="wrapped"):
            chatting(ck.wrap(client(api_key="none")), model="gpt-4o")
