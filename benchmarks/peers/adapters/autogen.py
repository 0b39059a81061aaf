"""autogen: `BufferedChatCompletionContext` and `TokenLimitedChatCompletionContext`.

The system prompt stands before what they give, as its assistant agent has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from autogen_core import FunctionCall
from autogen_core.model_context import (
    BufferedChatCompletionContext,
    ChatCompletionContext,
    TokenLimitedChatCompletionContext,
)
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
    UserMessage,
)

from benchmarks.peers.library import Message, Setting, Steps, call, calls_of, text_of


class Buffered(Steps):
    """`BufferedChatCompletionContext(buffer_size=…)`: the newest messages."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.context = self.made(setting)
        self.names: dict[str, str] = {}

    def made(self, setting: Setting) -> ChatCompletionContext:
        """The context."""
        return BufferedChatCompletionContext(buffer_size=setting.window)

    def take(self, message: Message) -> Any:
        """As autogen holds it."""
        text = text_of(message)
        match message["role"]:
            case "user":
                return UserMessage(content=text, source="user")
            case "assistant":
                calls = [FunctionCall(*self._named(one)) for one in calls_of(message)]
                thought = message.get("reasoning_content") or (text if calls else None)
                return AssistantMessage(content=calls or text, thought=thought, source="assistant")
            case "tool":
                identifier = message["tool_call_id"]
                return "result", FunctionExecutionResult(
                    content=text, name=self.names.get(identifier, "tool"), call_id=identifier
                )
        return SystemMessage(content=text)

    def _named(self, one: tuple[str, str, str]) -> tuple[str, str, str]:
        identifier, name, arguments = one
        self.names[identifier] = name
        return identifier, arguments, name

    async def add(self, own: Any) -> None:
        """Keep it."""
        await self.context.add_message(own)

    def joined(self, results: list[Any]) -> Any:
        """All results of a step are one message."""
        return FunctionExecutionResultMessage(content=results)

    async def build(self) -> list[Any]:
        """What the context gives."""
        await self.flush()
        return await self.context.get_messages()

    def give(self, built: list[Any]) -> list[Message]:
        """In OpenAI's form."""
        messages: list[Message] = [self.setting.system] if self.setting.system else []
        for own in built:
            messages += given(own)
        return messages


def given(own: Any) -> list[Message]:
    """The messages that one of autogen's becomes."""
    match own:
        case SystemMessage():
            return [{"role": "system", "content": own.content}]
        case UserMessage():
            return [{"role": "user", "content": own.content}]
        case AssistantMessage() if isinstance(own.content, str):
            return [{"role": "assistant", "content": own.content}]
        case AssistantMessage():
            calls = [call(one.id, one.name, one.arguments) for one in own.content]
            return [{"role": "assistant", "content": own.thought, "tool_calls": calls}]
    return [
        {"role": "tool", "tool_call_id": one.call_id, "content": one.content} for one in own.content
    ]


class Counting:
    """The part of a model client that counts; the rest is not asked for."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def count_tokens(self, messages: Sequence[Any], *, tools: Sequence[Any] = ()) -> int:
        """Tokens of the messages by the counter of the setting; tools are added as JSON."""
        count = self.setting.counter.message
        tokens = sum(count(message) for own in messages for message in given(own))
        return tokens + self.setting.counter.fixed(cast("list[Any]", list(tools)))


class TokenLimited(Buffered):
    """`TokenLimitedChatCompletionContext(client, token_limit=…, tool_schema=…)`."""

    def made(self, setting: Setting) -> ChatCompletionContext:
        """The context."""
        return TokenLimitedChatCompletionContext(
            cast("ChatCompletionClient", Counting(setting)),
            token_limit=setting.room,
            tool_schema=cast("list[Any]", setting.tools),
        )
