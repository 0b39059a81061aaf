"""litellm: `trim_messages`, which takes and gives plain dicts and counts by its own tokenizer."""

from __future__ import annotations

import logging
from functools import lru_cache

import litellm
from litellm.litellm_core_utils import token_counter
from litellm.utils import trim_messages

from benchmarks.peers.library import Message, Remembering, Setting

litellm.telemetry = False
logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)

_remembered = lru_cache(maxsize=None)(token_counter._encoding_count)  # noqa: SLF001


class Trimming:
    """`trim_messages(messages, model="gpt-4o", max_tokens=…)` over the whole list."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        if isinstance(setting.counter.counter, Remembering):
            # Where nothing is timed its tokenizer counts a text once, like everybody's.
            token_counter._encoding_count = _remembered  # noqa: SLF001 - there is no other way in
        self.messages: list[Message] = [setting.system] if setting.system else []

    def take(self, message: Message) -> Message:
        """As it is."""
        return message

    async def append(self, own: Message) -> None:
        """Keep it."""
        self.messages.append(own)

    async def build(self) -> list[Message]:
        """The trimmed list."""
        return trim_messages(self.messages, model="gpt-4o", max_tokens=self.setting.limit)

    def give(self, built: list[Message]) -> list[Message]:
        """As it is."""
        return built
