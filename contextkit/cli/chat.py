"""`contextkit chat`: a conversation on the terminal that survives restarts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.budget import Budget
from contextkit.chat import Chat, Conversation
from contextkit.cli import INTERRUPTED, SERVER, exit_code, say
from contextkit.cli.endpoints import Endpoint, endpoint_for
from contextkit.cli.hold import gone
from contextkit.errors import ContextKitError, InputError, StoreConflict
from contextkit.providers.local import LocalServer
from contextkit.replies import Reply
from contextkit.scope import Scope
from contextkit.storage.sqlite import SQLiteStore

_REPLY = 300  # tokens of a reply of the embedded model, which may not find an end by itself

# A model may write anything, and a terminal acts on control characters.
_SILENT = {n: None for n in (*range(32), *range(127, 160)) if chr(n) not in "\n\t"}


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command, as they were given."""

    model: str | None
    store: Path
    conversation: str
    limit: int | None
    target: int | None
    system: str | None
    max_tokens: int | None
    base_url: str | None
    port: int
    threads: int
    as_json: bool


def run(settings: Settings) -> int:
    """Talk until the input ends, and give the exit code.

    Raises:
        ContextKitError: when it cannot begin.
    """
    endpoint = endpoint_for(settings.model, settings.base_url, os.environ)
    options, budget = _built_with(settings, endpoint)
    with ExitStack() as stack:
        store = stack.enter_context(SQLiteStore(settings.store))
        server: LocalServer | None = None
        if endpoint.embedded:
            server = stack.enter_context(LocalServer(port=settings.port, threads=settings.threads))
        client = stack.enter_context(server.client() if server else endpoint.client())
        chat = Chat(
            client,
            model=endpoint.model,
            store=store,
            system=settings.system,
            options=options,
            **budget,
        )
        talk = chat.conversation(Scope("contextkit", "chat", settings.conversation))
        return _Session(talk, endpoint, server, as_json=settings.as_json).run(settings)


def _built_with(settings: Settings, endpoint: Endpoint) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of requests and the budget."""
    most = settings.max_tokens or (_REPLY if endpoint.embedded else None)
    options = {} if most is None else {"max_tokens": most}
    if settings.limit is not None:
        return options, {"budget": Budget(settings.limit, settings.target)}
    if settings.target is not None:
        raise InputError("goes with --limit", place="--target")
    return options, {}


class _Session:
    """One sitting: reads messages, shows replies."""

    def __init__(
        self, talk: Conversation, endpoint: Endpoint, server: LocalServer | None, *, as_json: bool
    ) -> None:
        self.talk = talk
        self.endpoint = endpoint
        self.server = server
        self.as_json = as_json
        self.interactive = sys.stdin.isatty()

    def run(self, settings: Settings) -> int:
        """Answer message by message; give the exit code."""
        if self.interactive:
            history = self.talk.history
            said = len(history) if history.decided() else 0  # a new one has its system prompt
            state = f"{said} messages so far" if said else "new"
            say(
                f"{self.endpoint.model}; conversation {settings.conversation!r} in "
                f"{settings.store}, {state}. /report, /quit; Ctrl-C stops a reply."
            )
        if said_before := self._other_system(settings.system):
            say(said_before)
        for message in self._messages():
            if message == "/quit":
                break
            if message == "/report":
                self._show_report()
            elif message.startswith("/") and message[1:].isalpha():
                say(f"there is no {message}: /report, /quit")
            elif message.strip():
                code = self._turn(message)
                if code and not self.interactive:
                    return code
        return 0

    def _messages(self) -> Iterator[str]:
        """The lines typed or piped in, until the end of input, or Ctrl-C at the prompt."""
        if not self.interactive:
            for line in sys.stdin:
                yield line.rstrip("\r\n")
            return
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401 - importing it gives the prompt its line editing
        while True:
            try:
                line = input("> ")
            except (EOFError, KeyboardInterrupt):
                sys.stdout.write("\n")
                return
            yield line

    def _turn(self, message: str) -> int:
        """Send one message and show the reply as it comes; 0, or what went wrong as exit code."""
        from httpx2 import HTTPError
        from openai import OpenAIError

        try:
            with self.talk.stream(message) as stream:
                for delta in stream:
                    if not self.as_json:
                        self._write(delta.translate(_SILENT))
            self._finish(message, stream.reply)
        except KeyboardInterrupt:
            self._break("stopped: nothing of this turn was kept")
            self.talk.reload()
            return INTERRUPTED
        except StoreConflict as error:
            self._break(
                f"somebody else wrote to this conversation first (version {error.found}, not "
                f"{error.expected}). It was loaded again: send the message once more"
            )
            self.talk.reload()
            return exit_code(error)
        except ContextKitError as error:
            self._break(error)
            return exit_code(error)
        except (HTTPError, OpenAIError) as error:
            if self.server is not None and gone(self.server):
                self.server.check()
            self._break(f"{self.endpoint.said(error)}. Nothing of this turn was kept")
            return SERVER
        return 0

    def _finish(self, message: str, reply: Reply) -> None:
        if not self.as_json:
            cut = " […: cut at its --max-tokens]" if reply.finish_reason == "length" else ""
            self._write(f"{cut}\n")
            return
        self._write(
            json.dumps(
                {
                    "message": message,
                    "reply": reply.text,
                    "finish_reason": reply.finish_reason,
                    "predicted_tokens": reply.context.tokens,
                    "usage": reply.usage.to_json() if reply.usage else None,
                    "edits": [edit.to_json() for edit in reply.context.edits],
                }
            )
            + "\n"
        )

    def _show_report(self) -> None:
        report = self.talk.report
        if report is None:
            say("nothing was built yet in this session")
        else:
            self._write(json.dumps(report.to_json()) if self.as_json else str(report))
            self._write("\n")

    def _other_system(self, system: str | None) -> str:
        """What is to be said where a stored conversation has another system prompt."""
        history = self.talk.history
        if system is None or not history.decided():
            return ""
        first = history[0]
        if first["role"] == "system" and first["content"] == system:
            return ""
        return "--system is for new conversations: this one keeps what it began with"

    def _break(self, what: object) -> None:
        """Say what ended a reply, on a line of its own."""
        if not self.as_json:
            self._write("\n")
        say(what)

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()
