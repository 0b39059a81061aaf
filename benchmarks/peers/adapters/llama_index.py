"""LlamaIndex: `Memory` without blocks, and `ChatMemoryBuffer`.

The system prompt stands before what the memory gives, as its agents and chat engines have it.
"""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import ChatMessage, TextBlock, ToolCallBlock
from llama_index.core.memory import ChatMemoryBuffer, Memory

from benchmarks.peers.library import Message, Setting, call, calls_of, text_of


class WithMemory:
    """`Memory.from_defaults(token_limit=…)`; its other settings as they come."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.memory = self.made(setting)

    def made(self, setting: Setting) -> Any:
        """The memory."""
        return Memory.from_defaults(
            token_limit=setting.room,
            token_flush_size=max(1, setting.room // 10),
            tokenizer_fn=self.encode,
        )

    def encode(self, text: str) -> range:
        """As long as the tokens of a text: only the length is asked for."""
        return range(self.setting.count(text))

    def take(self, message: Message) -> ChatMessage:
        """As LlamaIndex holds it."""
        blocks: list[Any] = [TextBlock(text=text_of(message))] if text_of(message) else []
        blocks += [
            ToolCallBlock(tool_call_id=identifier, tool_name=name, tool_kwargs=arguments)
            for identifier, name, arguments in calls_of(message)
        ]
        more = {"tool_call_id": message["tool_call_id"]} if message["role"] == "tool" else {}
        return ChatMessage(role=message["role"], blocks=blocks, additional_kwargs=more)

    async def append(self, own: ChatMessage) -> None:
        """Put it into the memory."""
        await self.memory.aput(own)

    async def build(self) -> list[ChatMessage]:
        """What the memory gives."""
        return await self.memory.aget()

    def give(self, built: list[ChatMessage]) -> list[Message]:
        """In OpenAI's form."""
        messages: list[Message] = [self.setting.system] if self.setting.system else []
        for own in built:
            message: Message = {"role": own.role.value, "content": own.content or ""}
            calls = [
                call(block.tool_call_id or "", block.tool_name, str(block.tool_kwargs))
                for block in own.blocks
                if isinstance(block, ToolCallBlock)
            ]
            if calls:
                message["tool_calls"] = calls
            if "tool_call_id" in own.additional_kwargs:
                message["tool_call_id"] = own.additional_kwargs["tool_call_id"]
            messages.append(message)
        return messages


class WithBuffer(WithMemory):
    """`ChatMemoryBuffer.from_defaults(token_limit=…)`."""

    def made(self, setting: Setting) -> Any:
        """The buffer."""
        return ChatMemoryBuffer.from_defaults(token_limit=setting.room, tokenizer_fn=self.encode)

    async def append(self, own: ChatMessage) -> None:
        """Put it into the buffer."""
        self.memory.put(own)

    async def build(self) -> list[ChatMessage]:
        """What the buffer gives."""
        return self.memory.get()
