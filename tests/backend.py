"""The example backend in a process of its own, and users who talk to it over HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Self

import httpx2

from tests.scripted_provider import ScriptedProvider

ROOT = Path(__file__).parents[1]
KEY = "sk-the-key-of-the-operator"
MARK = re.compile(r"(canary-\w+) turn (\d+)")


class Echo(ScriptedProvider):
    """Answers with the mark of the message that it answers: `heard canary-7 turn 3 …`."""

    def reply_to(self, request: dict[str, Any]) -> str | dict[str, Any]:
        last = request["messages"][-1]["content"]
        found = MARK.search(last)
        return f"heard {found[0]} and nothing else" if found else f"heard {last}"


class Backend:
    """`python -m examples.fastapi_chat` with a provider, or with the embedded model."""

    def __init__(
        self, folder: Path, provider: ScriptedProvider | None, users: int = 3, **more: str
    ) -> None:
        file = folder / "users.json"
        file.write_text(
            json.dumps(
                {
                    sha256(token_of(user).encode()).hexdigest(): {
                        "tenant": f"tenant-{user % 2}",
                        "user": f"user-{user // 2}",  # two tenants have users of the same name
                    }
                    for user in range(users)
                }
            )
        )
        self.log = folder / f"server-{time.monotonic_ns()}.log"
        self.environment = {
            "CHAT_STORE": str(folder / "chat.db"),
            "CHAT_USERS": str(file),
            **more,
        }
        if provider is not None:
            self.environment |= {
                "CHAT_MODEL": "qwen-plus",
                "DASHSCOPE_API_KEY": KEY,
                "DASHSCOPE_BASE_URL": provider.base_url,
            }

    def __enter__(self) -> Self:
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "examples.fastapi_chat", "--port", "0"],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=log,
            )
        self.address = self.wait_for(r"running on (http://\S+)")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()

    def wait_for(self, pattern: str) -> str:
        """What the log says in the group of a pattern, once it does."""
        while (found := re.search(pattern, self.log.read_text())) is None:
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.02)
        return found[1]

    def kill(self) -> None:
        """Kill -9."""
        self.process.kill()
        self.process.wait()

    def client(self) -> httpx2.AsyncClient:
        """A client for as many connections as are wanted."""
        limits = httpx2.Limits(max_connections=None)
        return httpx2.AsyncClient(base_url=self.address, timeout=120, limits=limits)

    @property
    def resident(self) -> float:
        """MB of memory that the process holds; 0 where the system does not say."""
        status = Path(f"/proc/{self.process.pid}/status")
        found = re.search(r"VmRSS:\s+(\d+)", status.read_text()) if status.exists() else None
        return int(found[1]) / 1024 if found else 0.0


@dataclass
class Heard:
    """What one message brought."""

    status: int
    text: str = ""
    events: list[str] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)  # what came with the last event
    first_event: float = 0.0  # seconds


@dataclass
class User:
    """A user with a token; `conversation` is what is meant where nothing else is said."""

    client: httpx2.AsyncClient
    token: str
    conversation: str = "first"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def get(self, path: str = "", conversation: str | None = None) -> httpx2.Response:
        """The log, or what is under it."""
        name = conversation or self.conversation
        return await self.client.get(f"/conversations/{name}{path}", headers=self.headers)

    async def messages(self) -> list[str]:
        """The contents of the log."""
        answer = await self.get()
        assert answer.status_code == 200, answer.text
        return [message["content"] for message in answer.json()["messages"]]

    async def post(self, conversation: str | None = None, **options: Any) -> httpx2.Response:
        """A request like that of a message, with whatever body."""
        name = conversation or self.conversation
        headers = {"Content-Type": "application/json", **self.headers}
        return await self.client.post(f"/conversations/{name}/messages", headers=headers, **options)

    async def events(self, content: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Send a message; the events as they come, first of all the status as one of them."""
        async with self.client.stream(
            "POST",
            f"/conversations/{self.conversation}/messages",
            json={"content": content},
            headers=self.headers,
        ) as answer:
            yield "status", {"status": answer.status_code}
            if answer.status_code != 200:
                return
            kind = ""
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, json.loads(value)

    async def say(self, content: str) -> Heard:
        """Send a message and listen to the end."""
        start = time.perf_counter()
        heard = Heard(0)
        async with aclosing(self.events(content)) as events:
            async for kind, data in events:
                if kind == "status":
                    heard.status = data["status"]
                    continue
                heard.first_event = heard.first_event or time.perf_counter() - start
                heard.events.append(kind)
                heard.text += data.get("text", "")
                heard.last = data
        return heard


def token_of(user: int) -> str:
    return f"token-{user}-{'x' * 32}"


def marked(user: int, turn: int) -> str:
    """A message that nobody else can have written."""
    return f"canary-{user:04x} turn {turn} " + "and a few words more about the order " * 6
