"""The promises, kept by what a wrapped client sends: generated lists of callers without state.

Tool loops whose reasoning the list loses, retries, branches, tools and lengths of reply that change
from call to call, with and without a scope, sync and async.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import json
from typing import Any

import httpx2
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

import contextkit as ck
from contextkit.errors import BudgetExceeded
from contextkit.grammar import violations
from tests.support import SCOPE, Characters, answer, call, result, system, tool, user

LIMIT = 300
MODEL = "qwen-plus"
WINDOW = ck.profile_for(MODEL).window

turns = st.lists(
    st.tuples(
        st.sampled_from(["text", "tool", "two tools", "retry", "branch"]),
        st.integers(1, 25),  # words
        st.sampled_from([None, [], ["a"], ["b", "a"]]),  # tools
        st.sampled_from([None, 10, 100, WINDOW - 250]),  # the longest reply
    ),
    min_size=3,
    max_size=14,
)


class Backend:
    """A caller with a list of its own, behind it a wrapped client, behind that a model."""

    def __init__(self, *, scoped: bool, is_async: bool) -> None:
        self.requests: list[dict[str, Any]] = []
        self.reports: list[ck.Report] = []
        self.says: dict[str, Any] = {}
        transport = httpx2.MockTransport(self._respond)
        given_ = {"api_key": "none", "base_url": "http://local", "max_retries": 0}
        bare: Any = (
            AsyncOpenAI(**given_, http_client=httpx2.AsyncClient(transport=transport))
            if is_async
            else OpenAI(**given_, http_client=httpx2.Client(transport=transport))
        )
        options = {"limit": LIMIT, "counter": Characters(), "on_request": self.reports.append}
        wrapped: Any = ck.wrap(bare, **options)
        self.client = wrapped.scoped(SCOPE) if scoped else wrapped

    def _respond(self, request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        self.requests.append(body)
        choice = {"index": 0, "message": self.says, "finish_reason": "stop"}
        head = {"id": "c", "object": "chat.completion", "created": 0, "model": body["model"]}
        return httpx2.Response(200, json={**head, "choices": [choice]})

    async def ask(self, messages: Any, **more: Any) -> dict[str, Any]:
        """What is sent for a list."""
        made = self.client.chat.completions.create(model=MODEL, messages=messages, **more)
        if inspect.isawaitable(made):
            await made
        return self.requests[-1]


@given(drawn=turns, scoped=st.booleans(), is_async=st.booleans())
def test_what_a_wrapped_client_sends_keeps_the_promises(
    drawn: Any, scoped: bool, is_async: bool
) -> None:
    asyncio.run(drive(drawn, Backend(scoped=scoped, is_async=is_async)))


async def drive(drawn: Any, backend: Backend) -> None:
    messages = [system(), user("Hello")]
    earlier: list[dict[str, Any]] = []
    for number, (kind, words, tools, longest) in enumerate(drawn):
        ids = {"tool": [f"c{number}"], "two tools": [f"c{number}", f"d{number}"]}.get(kind, [])
        text = f"a{number} " * words
        backend.says = {**call(*ids), "reasoning_content": text} if ids else answer(text)
        more: dict[str, Any] = {} if tools is None else {"tools": [tool(name) for name in tools]}
        more |= {} if longest is None else {"max_tokens": longest}
        before = copy.deepcopy(messages)
        try:
            sent = await backend.ask(messages, **more)
            if kind == "retry":
                assert await backend.ask(messages, **more) == sent
        except BudgetExceeded:
            return
        report = backend.reports[-1]
        assert messages == before, "what the caller has is never changed"
        assert not violations(sent["messages"])
        assert sent["messages"][0] == messages[0]
        assert sent["messages"][-1] == messages[-1]
        assert counted(sent) == report.tokens["total"] <= report.limit <= LIMIT
        # A retry is decided already: its edits are those of the first try.
        edits = backend.reports[-2 if kind == "retry" else -1].edits
        cut = any(edit.covers for edit in edits)
        if not cut:
            assert sent["messages"][: len(earlier)] == earlier, "the prefix stays put"

        earlier = sent["messages"]
        if kind == "branch":
            messages[-1] = user(f"b{number} " * words)
            # A cut that was made for the old question is not one of the new question's.
            earlier = [] if cut else earlier[:-1]
        elif ids:
            messages.append({"role": "assistant", "content": "", **calls_of(backend.says)})
            messages += [result(identifier, "r " * words) for identifier in ids]
        else:
            messages += [answer(text), user(f"q{number} " * words)]


def calls_of(message: dict[str, Any]) -> dict[str, Any]:
    return {"tool_calls": message["tool_calls"]}


def counted(request: dict[str, Any]) -> int:
    """The tokens of what was sent, by a builder that has never seen it."""
    options = {"tools": request.get("tools"), "counter": Characters(), "limit": 100_000}
    return ck.ContextBuilder(MODEL, **options).build(request["messages"]).tokens
