"""What a library is to this benchmark: messages in, the messages of a request out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol

import contextkit as ck
from contextkit.tokens import RequestCounter, counter_for

Message = dict[str, Any]
Call = tuple[list[Message], str]
"""A request to a summarizer, and the summary."""


@dataclass(frozen=True)
class Setting:
    """What a library is asked for.

    Attributes:
        model: whose vocabulary and template count.
        limit: tokens of a request, with all that stands around the messages.
        window: messages that take about as much, for libraries that count messages.
        system: the leading system message; it is not among those that are appended.
        tools: in OpenAI form.
        counter: counts texts and messages.
        summary: tokens that the stand-in for a summarizer writes.
        target: tokens that a cut comes down to; of contextkit, and of LangChain's middleware, which
            keeps so many beside its summary.
        cache: of contextkit alone.
        writes: a model in place of the stand-in.
    """

    model: str
    limit: int
    window: int
    system: Message | None
    tools: list[Message]
    counter: RequestCounter
    summary: int = 200
    target: int | None = None
    cache: str | None = None
    writes: Callable[[list[Message]], str] | None = None
    calls: list[Call] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Tokens left for the history by who takes the system prompt off by hand."""
        return max(1, self.limit - (self.counter.message(self.system) if self.system else 0))

    def count(self, text: str) -> int:
        """Tokens of a text."""
        return self.counter.counter.count(text)

    def summarize(self, messages: list[Message]) -> str:
        """What `writes` gives; else a text of `summary` tokens in place of it."""
        if self.writes is not None:
            return self.writes(messages)
        number = len(self.calls) + 1
        text = f"Summary {number}:" + " word" * max(1, self.summary - 4)
        self.calls.append((messages, text))
        return text


class Library(Protocol):
    """Keeps a conversation, and makes the messages of its next request.

    `take` and `give` convert between OpenAI's form and the library's own, and are not timed: an
    application that is written for the library holds the library's own messages anyway.
    """

    def take(self, message: Message) -> Any:
        """A message in the library's own form."""

    def append(self, own: Any) -> Awaitable[None]:
        """Add a message of the conversation."""

    def build(self) -> Awaitable[Any]:
        """The messages of the next request, in the library's own form."""

    def give(self, built: Any) -> list[Message]:
        """The same in OpenAI's form, system prompt first."""


_SEAM = "e a"
"""No token spans the place behind its `e`: some libraries count all texts joined."""


class Remembering:
    """A counter that counts a text once, and what long ones have in common. Not for timing."""

    def __init__(self, model: str) -> None:
        counter = counter_for(ck.profile_for(model)).counter
        self.name, self.error = counter.name, counter.error
        self._once: Callable[[str], int] = lru_cache(maxsize=1 << 18)(counter.count)

    def count(self, text: str) -> int:
        """The tokens of a text."""
        if len(text) < 2_000:
            return self._once(text)
        first, *more = text.split(_SEAM)
        if not more:
            return self._once(text)
        last = more.pop()
        whole = self._once(f"{first}e") + self._once(f" a{last}")
        return whole + sum([self._once(f" a{piece}e") for piece in more])


def request_counter(model: str, *, remember: bool) -> RequestCounter:
    """The counter of a model; one that counts a text once, where nothing is timed."""
    profile = ck.profile_for(model)
    return counter_for(profile, Remembering(model) if remember else None)


def text_of(message: Mapping[str, Any]) -> str:
    """The content of a message where that is text, or else nothing."""
    content = message.get("content")
    return content if isinstance(content, str) else ""


def calls_of(message: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The tool calls of a message: id, name, arguments as the model wrote them."""
    return [
        (call["id"], call["function"]["name"], call["function"]["arguments"])
        for call in message.get("tool_calls") or ()
    ]


def call(identifier: str, name: str, arguments: str) -> Message:
    """A tool call in OpenAI's form."""
    return {
        "id": identifier,
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }


def arguments_of(text: str) -> dict[str, Any] | None:
    """Arguments as a dict, for libraries that hold them so; None where they are not that."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


class Steps:
    """For libraries that hold all results of a step in one message: gathers them until it ends."""

    def __init__(self) -> None:
        self._results: list[Any] = []

    async def append(self, own: Any) -> None:
        """Add a message, or a result (a pair of `result` and what it is)."""
        if isinstance(own, tuple):
            self._results.append(own[1])
            return
        await self.flush()
        await self.add(own)

    async def flush(self) -> None:
        """Add the results gathered so far as one message."""
        if self._results:
            results, self._results = self._results, []
            await self.add(self.joined(results))

    async def add(self, own: Any) -> None:
        """Add a message in the library's own form."""
        raise NotImplementedError

    def joined(self, results: list[Any]) -> Any:
        """One message of several results."""
        raise NotImplementedError
