"""LangChain: `trim_messages` with either counter, `SummarizationMiddleware`, `ClearToolUsesEdit`.

Messages are taken and given as `langchain-openai` does, which sends them.
"""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from langchain.agents.middleware import ClearToolUsesEdit, SummarizationMiddleware
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.graph.message import add_messages

from benchmarks.peers.library import Message, Setting, arguments_of, call, calls_of


def taken(message: Message) -> BaseMessage:
    """A message as LangChain holds it."""
    content = message.get("content") or ""
    match message["role"]:
        case "user":
            return HumanMessage(content)
        case "assistant":
            good, bad = [], []
            for identifier, name, text in calls_of(message):
                arguments = arguments_of(text)
                (bad if arguments is None else good).append(
                    {"id": identifier, "name": name, "args": text}
                    | ({"error": None} if arguments is None else {"args": arguments})
                )
            return AIMessage(content, tool_calls=good, invalid_tool_calls=bad)
        case "tool":
            return ToolMessage(content, tool_call_id=message["tool_call_id"])
    return SystemMessage(content)


def given(message: BaseMessage) -> Message:
    """A message in OpenAI's form."""
    match message:
        case HumanMessage():
            return {"role": "user", "content": message.content}
        case ToolMessage():
            return {
                "role": "tool",
                "content": message.content,
                "tool_call_id": message.tool_call_id,
            }
        case AIMessage():
            calls = [
                call(one["id"], one["name"], json.dumps(one["args"], ensure_ascii=False))
                for one in message.tool_calls
            ] + [call(one["id"], one["name"], one["args"]) for one in message.invalid_tool_calls]
            found = {"role": "assistant", "content": message.content or (None if calls else "")}
            return {**found, "tool_calls": calls} if calls else found
    return {"role": "system", "content": message.content}


class Trimming:
    """`trim_messages` over the whole list, with the counter given to it.

    As its documentation has it for chat models: the last messages, the system prompt kept, the
    first one behind it a user message.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.messages: list[BaseMessage] = []
        if setting.system:
            self.messages.append(taken(setting.system))

    def counter(self, messages: list[BaseMessage]) -> int:
        """By the recipe of LangChain's guide: 3 tokens around each message, and its texts."""
        return 3 + sum(self._size(message) for message in messages)

    def _size(self, message: BaseMessage) -> int:
        count = self.setting.count
        tokens = 3 + count(message.type) + count(message.content)
        if isinstance(message, AIMessage):
            for one in (*message.tool_calls, *message.invalid_tool_calls):
                args = one["args"]
                text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
                tokens += count(one["name"] or "") + count(text) + count(one["id"] or "")
        elif isinstance(message, ToolMessage):
            tokens += count(message.tool_call_id)
        return tokens

    def take(self, message: Message) -> BaseMessage:
        """As LangChain holds it."""
        return taken(message)

    async def append(self, own: BaseMessage) -> None:
        """Keep it."""
        self.messages.append(own)

    async def build(self) -> list[BaseMessage]:
        """The trimmed list."""
        return trim_messages(
            self.messages,
            max_tokens=self.setting.limit,
            token_counter=self.counter,
            strategy="last",
            include_system=True,
            start_on="human",
        )

    def give(self, built: list[BaseMessage]) -> list[Message]:
        """In OpenAI's form."""
        return [given(message) for message in built]


class TrimmingApproximately(Trimming):
    """The same with LangChain's own estimate: characters by four."""

    def counter(self, messages: list[BaseMessage]) -> int:
        """Estimated."""
        return count_tokens_approximately(messages)


class StandIn(BaseChatModel):
    """A chat model that writes a summary of stated length."""

    setting: Any

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        text = self.setting.summarize([given(message) for message in messages])
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])


class Summarizing(Trimming):
    """`SummarizationMiddleware`: at the limit, all but the newest half becomes a summary.

    The agent's state is a list here; the time of the graph around it is left out.
    """

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.messages = []
        self.middleware = SummarizationMiddleware(
            StandIn(setting=setting),
            trigger=("tokens", setting.room),
            keep=("tokens", setting.target or max(1, setting.room // 2)),
            token_counter=self.counter,
        )

    async def build(self) -> list[BaseMessage]:
        """The state behind the middleware."""
        update = self.middleware.before_model({"messages": self.messages}, None)
        if update:
            self.messages = add_messages(self.messages, update["messages"])
        return list(self.messages)

    def give(self, built: list[BaseMessage]) -> list[Message]:
        """In OpenAI's form, behind the agent's system prompt."""
        system = self.setting.system
        return [*([system] if system else []), *map(given, built)]


class SummarizingApproximately(Summarizing):
    """The same with the counter that it comes with."""

    def counter(self, messages: list[BaseMessage]) -> int:
        """Estimated."""
        return count_tokens_approximately(messages)


class Clearing(Summarizing):
    """`ClearToolUsesEdit`, as its middleware applies it: to a copy of the state, at every call."""

    half = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        at_least = setting.limit // 2 if self.half else 0
        self.edit = ClearToolUsesEdit(trigger=setting.limit, keep=3, clear_at_least=at_least)

    async def build(self) -> list[BaseMessage]:
        """The state with old results cleared."""
        messages = deepcopy(self.messages)
        self.edit.apply(messages, count_tokens=self.counter)
        return messages


class ClearingAtLeast(Clearing):
    """The same with `clear_at_least` of half the limit."""

    half = True
