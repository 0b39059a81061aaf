"""Two users who begin alike: nothing of one is ever in what is sent for the other.

Every way in, over everything that is shared in a process: one builder or client, one store, one
index, one summarizer, the same ids of tool calls. Each user's words are marked; what a summarizer
or an embedder sees counts as sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import OpenAI

import contextkit as ck
from tests.support import Characters, answer, bare_call, result, system, user

PAIRS = int(os.environ.get("CONTEXTKIT_SOAK", "500"))  # of each of the four ways: 2,000 in all
MARKS = ("ALPHA", "OMEGA")
FIRST = [system("You answer questions about orders."), user("Hello, I have a question.")]

SAME = {"tenant": "acme", "user": "u1", "conversation": "1"}
OTHERS = ("tenant", "user", "conversation")


@dataclass
class World:
    """What both users share, and all that was shown of each to anybody outside."""

    shown: list[tuple[str, str]] = field(default_factory=list)  # for whom, what
    asking: str = ""

    def summarizer(self, request: Any) -> str:
        """The worst one: it repeats every mark that it sees."""
        text = json.dumps(request)
        self.shown.append((self.asking, text))
        return "They spoke of " + " ".join(mark for mark in MARKS if mark in text)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        self.shown += [(self.asking, text) for text in texts]
        return np.array([[text.count(letter) + 0.1 for letter in "aeiourdst"] for text in texts])

    def respond(self, request: httpx2.Request) -> httpx2.Response:
        """A provider that repeats the last words it was sent, thinks, and numbers its calls."""
        body = json.loads(request.content)
        self.shown.append((self.asking, json.dumps(body["messages"])))
        message = answer(None, reasoning_content=f"Thinking about {self.asking}")
        message["tool_calls"] = bare_call("call_0")["tool_calls"]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        head = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"]}
        return httpx2.Response(200, json={**head, "choices": [choice]})

    def options(self, *, stacked: bool) -> dict[str, Any]:
        """Settings that cut early, summarize, and bring back."""
        index = ck.VectorIndex(self.embed)
        return {
            "limit": 240,
            "counter": Characters(),
            "compaction": [ck.SummarizeOldest(self.summarizer, share=40)] if stacked else [],
            "tail": [ck.Retrieve(index, share=60)] if stacked else [],
        }


def two_scopes(differing: str) -> list[ck.Scope]:
    return [ck.Scope(**SAME), ck.Scope(**{**SAME, differing: "2"})]


def said(who: int, number: int, words: int) -> str:
    return f"{MARKS[who]} order {number} " + "where is it " * words


def check(world: World) -> None:
    for who, text in world.shown:
        for mark in MARKS:
            assert mark == who or mark not in text, f"{mark} was shown for {who}"


turns = st.lists(
    st.tuples(st.integers(0, 1), st.integers(1, 8)),  # whose turn it is, and how long it is
    min_size=4,
    max_size=9,
)
pairs = settings(max_examples=PAIRS)


def lists_of(
    world: World, drawn: list[tuple[int, int]], ask: Any, *, calls: bool = False
) -> list[list[dict[str, Any]]]:
    """Both conversations as lists that grow turn by turn, in the order in which they are drawn."""
    lists = [list(FIRST), list(FIRST)]
    for who in (0, 1):
        world.asking = MARKS[who]
        ask(who, lists[who])
    for number, (who, words) in enumerate(drawn):
        world.asking = MARKS[who]
        held = lists[who]
        if calls:  # the same ids for everybody, and the reasoning is lost
            held += [bare_call("call_0"), result("call_0", said(who, number, 1))]
        else:
            held.append(answer(said(who, number, words)))
        held.append(user(said(who, number, words)))
        ask(who, held)
    return lists


@pairs
@given(drawn=turns, differing=st.sampled_from(OTHERS))
def test_plain_lists_of_two_scopes(drawn: Any, differing: str) -> None:
    world = World()
    scopes = two_scopes(differing)
    builder = ck.ContextBuilder("qwen-plus", **world.options(stacked=True))

    def ask(who: int, messages: Any) -> None:
        context = builder.build(messages, scope=scopes[who])
        world.shown.append((MARKS[who], json.dumps(context.request())))

    lists_of(world, drawn, ask)
    check(world)


@pairs
@given(drawn=turns, differing=st.sampled_from(OTHERS), lost=st.booleans())
def test_plain_lists_of_two_scopes_over_one_store(drawn: Any, differing: str, lost: bool) -> None:
    """With `lost`, every request is built by another process, which knows the store only."""
    world = World()
    scopes = two_scopes(differing)
    with ck.SQLiteStore(":memory:") as store:
        given_ = {**world.options(stacked=True), "store": store}
        builder = ck.ContextBuilder("qwen-plus", **given_)

        def ask(who: int, messages: Any) -> None:
            by = ck.ContextBuilder("qwen-plus", **given_) if lost else builder
            context = by.build(messages, scope=scopes[who])
            world.shown.append((MARKS[who], json.dumps(context.request())))

        lists_of(world, drawn, ask)
    check(world)


@pairs
@given(drawn=turns, differing=st.sampled_from(OTHERS))
def test_kept_conversations_of_two_scopes(drawn: Any, differing: str) -> None:
    world = World()
    transport = httpx2.Client(transport=httpx2.MockTransport(echo(world)))
    client = OpenAI(api_key="none", base_url="http://local", http_client=transport, max_retries=0)
    with client, ck.Chat(client, model="qwen-plus", **world.options(stacked=True)) as chats:
        scopes = two_scopes(differing)
        for number, (who, words) in enumerate([(0, 1), (1, 1), *drawn]):
            world.asking = MARKS[who]
            talk = chats.conversation(scopes[who])
            talk.send(FIRST[1] if number < 2 else user(said(who, number, words)))
    check(world)


def echo(world: World) -> Any:
    """A provider that repeats the last message, marks and all."""

    def respond(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        world.shown.append((world.asking, json.dumps(body["messages"])))
        message = answer(f"You said {body['messages'][-1]['content'][:60]}")
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        head = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"]}
        return httpx2.Response(200, json={**head, "choices": [choice]})

    return respond


@pairs
@given(drawn=turns, differing=st.sampled_from([*OTHERS, "stateless"]))
def test_lists_through_one_wrapped_client(drawn: Any, differing: str) -> None:
    """Also without any scope: there the ids of calls tell whose reasoning it was, or nothing."""
    world = World()
    scoped = differing != "stateless"
    transport = httpx2.Client(transport=httpx2.MockTransport(world.respond))
    with OpenAI(api_key="none", base_url="http://local", http_client=transport) as client:
        wrapped = ck.wrap(client, **world.options(stacked=scoped))
        clients = (
            [wrapped.scoped(scope) for scope in two_scopes(differing)] if scoped else [wrapped] * 2
        )

        def ask(who: int, messages: Any) -> None:
            clients[who].chat.completions.create(model="qwen-plus", messages=messages)

        lists_of(world, drawn, ask, calls=True)
    check(world)
