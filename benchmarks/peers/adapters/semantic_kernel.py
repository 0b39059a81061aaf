"""Semantic Kernel: `ChatHistoryTruncationReducer`, which counts messages."""

from __future__ import annotations

from typing import Any

from semantic_kernel.contents import (
    AuthorRole,
    ChatHistoryTruncationReducer,
    ChatMessageContent,
    FunctionCallContent,
    FunctionResultContent,
    TextContent,
)

from benchmarks.peers.library import Message, Setting, calls_of, text_of


class Truncating:
    """`target_count` alone: once it is full, it drops something at every request."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        target, threshold = self.counts(setting.window)
        self.history = ChatHistoryTruncationReducer(
            target_count=target, threshold_count=threshold, auto_reduce=False
        )
        self.names: dict[str, str] = {}
        if setting.system:
            self.history.messages.append(self.take(setting.system))

    def counts(self, window: int) -> tuple[int, int]:
        """Target and threshold."""
        return window, 0

    def take(self, message: Message) -> ChatMessageContent:
        """As Semantic Kernel holds it."""
        items: list[Any] = []
        if message["role"] == "tool":
            identifier = message["tool_call_id"]
            name = self.names.get(identifier, "tool")
            items = [FunctionResultContent(id=identifier, name=name, result=text_of(message))]
        else:
            if text_of(message):
                items.append(TextContent(text=text_of(message)))
            for identifier, name, arguments in calls_of(message):
                self.names[identifier] = name
                items.append(FunctionCallContent(id=identifier, name=name, arguments=arguments))
        return ChatMessageContent(role=AuthorRole(message["role"]), items=items)

    async def append(self, own: ChatMessageContent) -> None:
        """Keep it."""
        self.history.add_message(own)

    async def build(self) -> list[ChatMessageContent]:
        """The reduced history."""
        await self.history.reduce()
        return list(self.history.messages)

    def give(self, built: list[ChatMessageContent]) -> list[Message]:
        """In OpenAI's form."""
        return [message.to_dict() for message in built]


class TruncatingInSteps(Truncating):
    """With a threshold: it waits for a third more than it keeps, and then drops all of that."""

    def counts(self, window: int) -> tuple[int, int]:
        """Target and threshold, together the window."""
        target = max(1, window * 2 // 3)
        return target, max(0, window - target)
