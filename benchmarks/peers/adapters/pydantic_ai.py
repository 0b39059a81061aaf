"""pydantic-ai: a history processor that keeps the newest messages, as its documentation has it."""

from __future__ import annotations

from typing import Any

from pydantic_ai.messages import (
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from benchmarks.peers.library import Message, Setting, Steps, call, calls_of, text_of


class KeepLast(Steps):
    """`ProcessHistory(lambda messages: messages[-n:])`; the system prompt is the instructions."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.messages: list[Any] = []
        self.names: dict[str, str] = {}

    def take(self, message: Message) -> Any:
        """As pydantic-ai holds it."""
        text = text_of(message)
        match message["role"]:
            case "user":
                return ModelRequest(parts=[UserPromptPart(text)])
            case "assistant":
                parts: list[Any] = []
                if message.get("reasoning_content"):
                    parts.append(ThinkingPart(message["reasoning_content"]))
                if text:
                    parts.append(TextPart(text))
                for identifier, name, arguments in calls_of(message):
                    self.names[identifier] = name
                    parts.append(ToolCallPart(name, arguments, identifier))
                return ModelResponse(parts=parts)
            case "tool":
                identifier = message["tool_call_id"]
                name = self.names.get(identifier, "tool")
                return "result", ToolReturnPart(name, text, identifier)
        return ModelRequest(parts=[SystemPromptPart(text)])

    async def add(self, own: Any) -> None:
        """Keep it."""
        self.messages.append(own)

    def joined(self, results: list[Any]) -> Any:
        """All results of a step are one request."""
        return ModelRequest(parts=results)

    async def build(self) -> list[Any]:
        """The newest messages."""
        await self.flush()
        keep = self.setting.window
        return self.messages[-keep:] if len(self.messages) > keep else list(self.messages)

    def give(self, built: list[Any]) -> list[Message]:
        """In OpenAI's form."""
        messages: list[Message] = [self.setting.system] if self.setting.system else []
        for own in built:
            if isinstance(own, ModelResponse):
                messages.append(_answer(own))
                continue
            for part in own.parts:
                if isinstance(part, ToolReturnPart):
                    messages.append(
                        {
                            "role": "tool",
                            "tool_call_id": part.tool_call_id,
                            "content": part.model_response_str(),
                        }
                    )
                else:
                    role = "system" if isinstance(part, SystemPromptPart) else "user"
                    messages.append({"role": role, "content": part.content})
        return messages


def _answer(own: ModelResponse) -> Message:
    message: Message = {"role": "assistant", "content": None}
    for part in own.parts:
        match part:
            case TextPart():
                message["content"] = part.content
            case ThinkingPart():
                message["reasoning_content"] = part.content
            case ToolCallPart():
                made = call(part.tool_call_id, part.tool_name, part.args_as_json_str())
                message.setdefault("tool_calls", []).append(made)
    return message
