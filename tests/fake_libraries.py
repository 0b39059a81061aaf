"""Small libraries with known faults, for the code that measures libraries."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.peers.adapters.by_hand import AppendOnly, SlidingWindow
from benchmarks.peers.library import Message, Setting


class Kept(AppendOnly):
    """Keeps everything."""


class Tail(AppendOnly):
    """Keeps the newest two messages, whatever they are, and no system prompt."""

    async def build(self) -> list[Message]:
        return self.messages[-2:]

    def give(self, built: list[Message]) -> list[Message]:
        return built


class Rewrites(SlidingWindow):
    """Says other words than were said, and calls a summarizer each time."""

    async def build(self) -> list[Message]:
        self.setting.summarize(self.messages[:1])
        first, *rest = await super().build()
        return [{**first, "content": "other words"}, *rest]


class Raises(AppendOnly):
    """Fails."""

    async def build(self) -> list[Message]:
        raise RuntimeError("no")


class Sleeps(AppendOnly):
    """Takes long for each request."""

    async def build(self) -> list[Message]:
        time.sleep(30)  # noqa: ASYNC251 - the process is to hang
        return []


class Dies(AppendOnly):
    """Ends its process."""

    def __init__(self, setting: Setting) -> None:
        raise SystemExit(3)


class Refuses(AppendOnly):
    """Cannot take a message."""

    def take(self, message: Message) -> Any:
        raise ValueError("not that one")
