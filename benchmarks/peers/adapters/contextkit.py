"""contextkit: a kept history, and a builder with the defaults that a limit gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import contextkit as ck
from benchmarks.peers.library import Message, Setting


class ContextKit:
    """`ContextBuilder(model, budget=…)` over a `History`; messages are plain dicts throughout."""

    def __init__(self, setting: Setting, compaction: list[Any] | None = None) -> None:
        self.history = ck.History(scope=ck.Scope("tenant", "user", "conversation"))
        self.builder = ck.ContextBuilder(
            setting.model,
            budget=ck.Budget(setting.limit, target=setting.target),
            tools=setting.tools,
            cache=setting.cache,
            counter=setting.counter.counter,
            **({} if compaction is None else {"compaction": compaction}),
        )
        if setting.system:
            self.history.append(setting.system)

    def take(self, message: Message) -> Message:
        """As it is."""
        return message

    async def append(self, own: Message) -> None:
        """Keep it."""
        self.history.append(own)

    async def build(self) -> list[Message]:
        """The messages array, as the request has it."""
        return self.builder.build(self.history).messages

    def give(self, built: list[Message]) -> list[Message]:
        """As it is."""
        return built


class Summarizing(ContextKit):
    """With `SummarizeOldest` and a stand-in for the model that writes."""

    def __init__(self, setting: Setting) -> None:
        def summarizer(request: Mapping[str, Any]) -> str:
            return setting.summarize([dict(message) for message in request["messages"]])

        super().__init__(setting, [ck.SummarizeOldest(summarizer), ck.DropOldest()])
