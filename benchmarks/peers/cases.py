"""Conversations that are hard to cut, in families; written from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

from benchmarks.workloads import Messages, written_agent, written_dialogue

SEED = 5
CHINESE = "今天天气很好我们去公园散步然后回家吃饭明天还要上班请记得带伞订单退款发票谢谢"


def families(seeds: int = 3) -> Iterator[tuple[str, Messages, Messages]]:
    """Name of the family, messages, tools; `seeds` conversations of each."""
    for seed in range(SEED, SEED + seeds):
        draw = random.Random(seed)
        chat = written_dialogue(30, seed)
        yield "plain chat", chat, []
        yield "chat without a system prompt", chat[1:], []
        yield "agent, several tasks", [_system(), *written_agent(12, seed)[1:]], []
        yield "agent, tools", [_system(), *written_agent(12, seed)[1:]], _tools(draw)
        yield "one task, long loop", [_system(), *_loop(draw, 40)], []
        yield "one task, long loop, tools", [_system(), *_loop(draw, 40)], _tools(draw)
        yield "parallel calls", [_system(), *_parallel(draw, 15)], []
        yield "big results", [_system(), *_loop(draw, 15, big=True)], []
        yield "system messages inside", _with_notes(chat, draw), []
        yield "Chinese", _chinese(draw), []
        yield "newest message too large", [*chat, _user(_words(draw, 4_000))], []
        yield "reasoning_content", _reasoning(draw), []
        yield "content null", [_system(), *_loop(draw, 20, content=None)], []
        yield "special tokens as text", _special(chat), []
        yield "arguments that are no JSON", [_system(), *_loop(draw, 20, broken=True)], []


def _system() -> dict[str, Any]:
    return {"role": "system", "content": "You help with orders. Be brief. " * 6}


def _user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _words(draw: random.Random, count: int) -> str:
    words = ("order", "refund", "train", "window", "because", "seven", "ticket", "market", "bread")
    return " ".join(draw.choice(words) for _ in range(count))


def _tools(draw: random.Random) -> Messages:
    return [
        {
            "type": "function",
            "function": {
                "name": f"tool_{number}",
                "description": _words(draw, 20),
                "parameters": {
                    "type": "object",
                    "properties": {"order": {"type": "integer", "description": _words(draw, 8)}},
                    "required": ["order"],
                },
            },
        }
        for number in range(8)
    ]


def _step(
    draw: random.Random,
    number: int,
    *,
    calls: int = 1,
    words: int = 40,
    content: str | None = "",
    broken: bool = False,
) -> Messages:
    """An assistant message with tool calls, and their results."""
    made = []
    for place in range(calls):
        text = json.dumps({"order": draw.randrange(10**6)}, separators=(",", ":"))
        if broken and draw.randrange(3) == 0:
            text = text[:-3]
        made.append(
            {
                "id": f"call_{number}_{place}",
                "type": "function",
                "function": {"name": f"tool_{place}", "arguments": text},
            }
        )
    results = [
        {"role": "tool", "tool_call_id": one["id"], "content": _words(draw, words)} for one in made
    ]
    return [{"role": "assistant", "content": content, "tool_calls": made}, *results]


def _loop(
    draw: random.Random,
    steps: int,
    *,
    big: bool = False,
    content: str | None = "",
    broken: bool = False,
) -> Messages:
    """One task of a user, and the steps towards it."""
    messages = [_user("The task: " + _words(draw, 30))]
    for number in range(steps):
        words = draw.choice((10, 30, 600)) if big else draw.randrange(10, 80)
        messages += _step(draw, number, words=words, content=content, broken=broken)
    return [*messages, {"role": "assistant", "content": "Done. " + _words(draw, 10)}]


def _parallel(draw: random.Random, turns: int) -> Messages:
    messages: Messages = []
    for number in range(turns):
        messages.append(_user(_words(draw, 15)))
        messages += _step(draw, number, calls=draw.randrange(2, 5), words=25)
        messages.append({"role": "assistant", "content": _words(draw, 20)})
    return messages


def _with_notes(chat: Messages, draw: random.Random) -> Messages:
    found: Messages = []
    for number, message in enumerate(chat):
        if number in (11, 31):
            found.append({"role": "system", "content": "From now on: " + _words(draw, 12)})
        found.append(message)
    return found


def _chinese(draw: random.Random) -> Messages:
    def text(least: int, most: int) -> str:
        return "".join(draw.choice(CHINESE) for _ in range(draw.randrange(least, most)))

    messages: Messages = [{"role": "system", "content": "你是一个简洁的助手。"}]
    for _ in range(30):
        messages += [_user(text(10, 90)), {"role": "assistant", "content": text(20, 160)}]
    return messages


def _reasoning(draw: random.Random) -> Messages:
    messages = [_system(), *_parallel(draw, 12)]
    return [
        {**message, "reasoning_content": _words(draw, 30)} if "tool_calls" in message else message
        for message in messages
    ]


def _special(chat: Messages) -> Messages:
    return [
        {**message, "content": f"{message['content']} <|endoftext|> <|im_start|>system"}
        if number % 3 == 1
        else message
        for number, message in enumerate(chat)
    ]
