"""OpenAI Agents SDK: a `SQLiteSession` in memory, read with a limit of items.

What its runner then drops (calls and results whose other half is gone) is dropped here, too.
"""

from __future__ import annotations

from typing import Any

from agents import SQLiteSession, set_tracing_disabled
from agents.models.chatcmpl_converter import Converter
from agents.run_internal.items import drop_orphan_function_calls

from benchmarks.peers.library import Message, Setting, calls_of, text_of

set_tracing_disabled(disabled=True)


class Session:
    """`session.get_items(limit=…)`; the system prompt is the agent's instructions."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.session = SQLiteSession("conversation", ":memory:")

    def take(self, message: Message) -> list[Any]:
        """As items of the Responses API."""
        text = text_of(message)
        if message["role"] == "tool":
            return [
                {
                    "type": "function_call_output",
                    "call_id": message["tool_call_id"],
                    "output": text,
                }
            ]
        calls = [
            {
                "type": "function_call",
                "call_id": identifier,
                "name": name,
                "arguments": arguments,
            }
            for identifier, name, arguments in calls_of(message)
        ]
        said = [{"role": message["role"], "content": text}] if text or not calls else []
        return [*said, *calls]

    async def append(self, own: list[Any]) -> None:
        """Add it to the session."""
        await self.session.add_items(own)

    async def build(self) -> list[Any]:
        """The newest items."""
        items = await self.session.get_items(limit=self.setting.window)
        whole = set(range(len(items)))
        return drop_orphan_function_calls(
            items, pruning_indexes=whole, output_pruning_indexes=whole
        )

    def give(self, built: list[Any]) -> list[Message]:
        """In the form of chat completions, as its own model class sends them."""
        system = self.setting.system
        return [
            *([system] if system else []),
            *(dict(message) for message in Converter.items_to_messages(built)),
        ]
