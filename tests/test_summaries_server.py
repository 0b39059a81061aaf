"""Summaries on the embedded server: what their calls read from its cache, and what they leave.

A sample of `python -m benchmarks.summaries`. One slot, no other cache; counts alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

import contextkit as ck
from benchmarks.conversing import TOOLS, Call, Conversation, fresh_server, totals
from benchmarks.peers.conversing import converse
from benchmarks.peers.libraries import OURS, peer
from benchmarks.peers.library import Setting, request_counter
from contextkit.chatml import render_chatml
from contextkit.providers.local import MODEL, LocalServer

LIMIT = 650
TOOL_TOKENS = 290
TURNS = 14


@pytest.fixture(scope="module")
def server() -> Iterator[LocalServer]:
    with fresh_server() as running:
        yield running


def talk(server: LocalServer, **way: Any) -> Conversation:
    """A conversation that is cut after a few turns.

    The model is asked for each summary, and what it writes is not looked at.
    """
    limit = LIMIT + (TOOL_TOKENS if way.get("tools") else 0)
    return Conversation(server, limit, share=150, reply=2, instead=ck.ExtractiveSummarizer(), **way)


@pytest.mark.parametrize("tools", [(), TOOLS], ids=["", "tools"])
def test_a_call_with_the_live_prefix_reads_it_and_leaves_it(
    server: LocalServer, tools: list[dict[str, Any]]
) -> None:
    found = talk(server, ahead=True, tools=tools).until_cut()

    assert found["tool choice"] == ("none" if tools else None)
    assert found["before"] > found["sent"]  # all that was sent, and the reply
    assert found["read"] >= 0.99 * found["before"]
    assert found["kept"] == found["sent"]  # >= 0.95 is asked for


def test_at_the_cut_the_call_reads_all_that_it_is_about(server: LocalServer) -> None:
    conversation = talk(server)
    found = conversation.until_cut()

    assert found["read"] == found["before"] < found["sent"]
    request = conversation.asked.requests[0]
    assert request["messages"][0]["content"] == conversation.history[0]["content"]


def test_a_prompt_of_its_own_loses_both(server: LocalServer) -> None:
    found = talk(server, own=True, ahead=True).until_cut()

    assert found["read"] < 0.05 * found["before"]
    assert found["kept"] < 0.05 * found["sent"]


def test_that_no_tool_may_be_called_is_no_part_of_the_prompt(server: LocalServer) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    with server.client() as client:
        usages = [
            ck.Usage.of(
                client.chat.completions.create(
                    model=MODEL, messages=messages, tools=TOOLS, max_tokens=1, **choice
                ).usage
            )
            for choice in ({}, {"tool_choice": "none"})
        ]
    counter = request_counter(MODEL, remember=False)
    prompt = len(counter.encode(render_chatml(messages, TOOLS)))
    assert [usage and usage.input_tokens for usage in usages] == [prompt, prompt]
    assert usages[1] is not None
    assert usages[1].cache_read_tokens == prompt - 1


def test_calls_of_one_cut_read_what_was_sent_before_it(server: LocalServer) -> None:
    """Also behind a merge, which puts another message in front of what is summarized next."""
    conversation = talk(server)
    for _ in range(TURNS):
        conversation.turn()
    calls = [call for call in conversation.calls if call.kind == "summary"]

    assert len(calls) >= 3
    for call in calls:
        assert call.before - call.cached <= 4  # a token or two where texts meet


def test_a_library_is_counted_the_same_way(server: LocalServer) -> None:
    """What other libraries send is counted by another client, in a process of their own."""
    counter = request_counter(MODEL, remember=True)
    setting = Setting(
        MODEL, 400, 0, {"role": "system", "content": "Be brief."}, [], counter, target=200
    )
    options = {"max_tokens": 8, "temperature": 0}
    job = {
        "address": server.address,
        "model": MODEL,
        "texts": ["Name a river in Spain.", "Why is it famous?"],
        "reply options": options,
        "summary options": options,
    }
    answer = asyncio.run(converse(peer(OURS), job, setting))

    first, second = (Call(**call) for call in answer["calls"])
    assert first.cached < 5 < first.input
    assert second.cached >= first.input
    assert totals([first, second])["evaluated"] == first.evaluated + second.evaluated
