"""A library holds a conversation with the embedded server: its model writes replies and summaries.

Runs in the library's own environment; what is sent goes through the standard library alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from benchmarks.peers.libraries import Peer
from benchmarks.peers.library import Message, Setting

Answer = dict[str, Any]


@dataclass
class Server:
    """The embedded server, and what it reported for each call: kind, input, cached, output."""

    address: str
    model: str
    calls: list[Answer] = field(default_factory=list)

    def ask(self, kind: str, messages: Sequence[Message], options: Mapping[str, Any]) -> Message:
        """The message that it answers with."""
        request = {"model": self.model, "messages": messages, **options}
        connection = HTTPConnection(urlsplit(self.address).netloc)
        connection.request(
            "POST",
            "/v1/chat/completions",
            json.dumps(request),
            {"Content-Type": "application/json", "Connection": "close"},
        )
        response = connection.getresponse()
        said = json.loads(response.read())
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"the server answered {response.status}: {said}")
        usage = said["usage"]
        details = usage.get("prompt_tokens_details") or {}
        self.calls.append(
            {
                "kind": kind,
                "input": usage["prompt_tokens"],
                "cached": details.get("cached_tokens", 0),
                "output": usage["completion_tokens"],
            }
        )
        return {"role": "assistant", "content": said["choices"][0]["message"]["content"] or ""}


async def converse(chosen: Peer, job: Answer, setting: Setting) -> Answer:
    """Hold the conversation: `texts` of the user, one after the other.

    Gives what the server reported for each call.
    """
    server = Server(job["address"], job["model"])

    def summarize(messages: list[Message]) -> str:
        return str(server.ask("summary", messages, job["summary options"])["content"])

    library = chosen.library(replace(setting, writes=summarize))
    for text in job["texts"]:
        await library.append(library.take({"role": "user", "content": text}))
        messages = library.give(await library.build())
        reply = server.ask("live", messages, job["reply options"])
        await library.append(library.take(reply))
    return {"calls": server.calls}
