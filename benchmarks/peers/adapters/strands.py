"""strands: `SlidingWindowConversationManager`, which counts messages."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any, cast

from strands.agent.conversation_manager import SlidingWindowConversationManager

from benchmarks.peers.library import (
    Message,
    Setting,
    Steps,
    arguments_of,
    call,
    calls_of,
    text_of,
)


class SlidingWindow(Steps):
    """`SlidingWindowConversationManager(window_size=…, per_turn=True)`: before each model call."""

    def __init__(self, setting: Setting) -> None:
        super().__init__()
        self.setting = setting
        self.agent = SimpleNamespace(messages=[])
        self.manager = SlidingWindowConversationManager(window_size=setting.window, per_turn=True)

    def take(self, message: Message) -> Any:
        """As strands holds it."""
        text = text_of(message)
        if message["role"] == "tool":
            result = {
                "toolUseId": message["tool_call_id"],
                "status": "success",
                "content": [{"text": text}],
            }
            return "result", {"toolResult": result}
        blocks: list[Any] = [{"text": text}] if text else []
        for identifier, name, arguments in calls_of(message):
            use = {"toolUseId": identifier, "name": name, "input": arguments_of(arguments) or {}}
            blocks.append({"toolUse": use})
        return {"role": message["role"], "content": blocks or [{"text": text}]}

    async def add(self, own: Any) -> None:
        """Keep it."""
        self.agent.messages.append(own)

    def joined(self, results: list[Any]) -> Any:
        """All results of a step are one message of the user's."""
        return {"role": "user", "content": results}

    async def build(self) -> list[Any]:
        """The managed list."""
        await self.flush()
        self.manager.apply_management(cast("Any", self.agent))
        return list(self.agent.messages)

    def give(self, built: list[Any]) -> list[Message]:
        """In OpenAI's form."""
        messages: list[Message] = [self.setting.system] if self.setting.system else []
        for own in built:
            blocks = own["content"]
            text = "".join(block["text"] for block in blocks if "text" in block)
            results = [block["toolResult"] for block in blocks if "toolResult" in block]
            uses = [block["toolUse"] for block in blocks if "toolUse" in block]
            messages += [
                {
                    "role": "tool",
                    "tool_call_id": result["toolUseId"],
                    "content": "".join(part["text"] for part in result["content"]),
                }
                for result in results
            ]
            if results:
                continue
            message: Message = {"role": own["role"], "content": text}
            if uses:
                message["tool_calls"] = [
                    call(use["toolUseId"], use["name"], json.dumps(use["input"])) for use in uses
                ]
            messages.append(message)
        return messages
