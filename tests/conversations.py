"""Generated conversations: chats, agent loops, parallel, late and lost calls, pins, odd content.

They are read from bytes, which hypothesis draws in one go: drawing each choice by itself takes
several times as long as building the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from hypothesis import strategies as st

Messages = list[dict[str, Any]]
Item = TypeVar("Item")

WORDS = [
    "order 66",
    "東京の天気は",
    "🙂🙂",
    "{'a': 1}",
    "<|im_start|>",
    "naïve café",
    "\n\n",
    "ok " * 9,
]
CHARACTERS = "a \t\n0é́中🙂\u200b\u202e\x00\x1f\x7f\u2028<>|{}[]\"'\\`ßİ\ufffd\U0010ffff"
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join) | st.text(
    st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30
)


class Choices:
    """Choices read from bytes, one after the other; the first of each once there are no more."""

    def __init__(self, data: bytes) -> None:
        self._data = iter(data)

    def below(self, end: int) -> int:
        """A number from 0 on, below an end of 256 at the most."""
        return next(self._data, 0) * end >> 8

    def of(self, items: Sequence[Item]) -> Item:
        return items[self.below(len(items))]

    def chance(self, one_in: int) -> bool:
        """Once in so many times; never when there are no more choices."""
        return self.below(one_in) == one_in - 1

    def text(self) -> str:
        if self.chance(4):
            return "".join(self.of(CHARACTERS) for _ in range(1 + self.below(12)))
        return " ".join(self.of(WORDS) for _ in range(1 + self.below(6)))


@st.composite
def choices(draw: st.DrawFn, most: int) -> Choices:
    """Up to so many choices, to be made while a test runs."""
    size = draw(st.integers(most // 8, most))  # what is left out first where a failure is shrunk
    return Choices(draw(st.binary(min_size=size, max_size=size)))


def user_message(choose: Choices) -> dict[str, Any]:
    """A user message: text, one text part, or text with an image."""
    text = choose.text()
    form = choose.of(["text", "text", "text", "part", "image"])
    if form == "text":
        named = {"name": "ann"} if choose.chance(2) else {}
        return {"role": "user", "content": text, **named}
    parts: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if form == "image":
        parts.append({"type": "image_url", "image_url": {"url": "https://e.x/a.png"}})
    return {"content": parts, "role": "user"}


def step(choose: Choices, number: int) -> tuple[Messages, Messages]:
    """A step with tool calls, and results that come later than they should."""
    ids = [f"call_{0 if choose.chance(2) else number}_{i}" for i in range(choose.of([1, 1, 2, 3]))]
    call: dict[str, Any] = {
        "role": "assistant",
        "content": choose.of([None, "", "let me see"]),
        "tool_calls": [
            {
                "id": identifier,
                "type": "function",
                "function": {"name": "look", "arguments": choose.of(['{"a": 1}', "{a"])},
            }
            for identifier in ids
        ],
    }
    if choose.chance(2):
        call["reasoning_content"] = "thinking"
    if choose.chance(2):
        ids.reverse()
    if choose.chance(4):
        ids.append(ids.pop(0))
    results: Messages = [
        {
            "role": "tool",
            "tool_call_id": identifier,
            "content": choose.text() * (1 + choose.below(6)),
        }
        for identifier in ids
    ]
    fate = choose.of(["whole"] * 8 + ["lost", "late"])
    if fate == "lost":
        return [call, *results[1:]], []
    if fate == "late":
        return [call, *results[1:]], results[:1]
    return [call, *results], []


def answer(choose: Choices) -> dict[str, Any]:
    """What the model says at the end of a turn, which may be nothing."""
    reply: dict[str, Any] = {"role": "assistant", "content": choose.text()}
    if choose.chance(4):
        reply["reasoning_content"] = "thinking aloud"
    if choose.chance(13):
        reply["content"] = None
    return reply


def chunks(choose: Choices) -> Iterator[Messages]:
    """A conversation without end: what comes at a time, between two of the caller's requests."""
    number = 0
    coming: Messages = []
    if choose.chance(2):
        coming.append({"role": "system", "content": "You are terse. " + choose.text()})
    while True:
        coming.append(user_message(choose))
        yield coming
        late: Messages = []
        for _ in range(choose.of([0, 0, 0, 1, 2, 6])):
            coming = []
            if choose.chance(10):
                role = choose.of(["system", "developer"])
                coming.append({"role": role, "content": "note " + choose.text()})
            made, late = step(choose, number)
            number += 1
            coming += made
            if late:
                break
            yield coming
        if late:
            yield [*coming, user_message(choose), *late]
            coming = []
        elif choose.chance(8):
            coming = []  # the user goes on after tool results
        else:
            coming = [answer(choose)]


def conversation(choose: Choices) -> Messages:
    """A whole conversation that ends where a request could be built."""
    count = 1 + choose.below(16)
    return [message for coming in islice(chunks(choose), count) for message in coming]


@st.composite
def conversations(draw: st.DrawFn) -> Messages:
    """Whole conversations of some turns."""
    return conversation(draw(choices(500)))


def points(messages: Messages) -> list[int]:
    """Where a caller would build: before each assistant message, and at the end."""
    return [n for n in range(1, len(messages)) if messages[n]["role"] == "assistant"] + [
        len(messages)
    ]
