"""What several tests share: a fast counter, short conversations, builders that cost nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import contextkit as ck

Messages = list[dict[str, Any]]

SCOPE = ck.Scope("tenant", "user", "conversation")


@dataclass
class Characters:
    """Counts four characters a token, exactly and fast; remembers how often it was asked."""

    name: str = "characters"
    error: float = 0.0
    calls: int = 0

    def count(self, text: str) -> int:
        self.calls += 1
        return (len(text) + 3) // 4


def builder(limit: int = 400, **options: Any) -> ck.ContextBuilder:
    """A builder with a cheap counter; every option can be given."""
    if "budget" not in options:
        options["limit"] = limit
    model = options.pop("model", "qwen-plus")
    return ck.ContextBuilder(model, **{"counter": Characters(), **options})


def system(text: Any = "You are terse.") -> dict[str, Any]:
    return {"role": "system", "content": text}


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def answer(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def call(*ids: str, name: str = "look", **more: Any) -> dict[str, Any]:
    """An assistant message that calls one tool once for each id."""
    calls = [
        {"id": i, "type": "function", "function": {"name": name, "arguments": "{}"}} for i in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls, **more}


def bare_call(*ids: str, **more: Any) -> dict[str, Any]:
    """The same without its content, as callers keep it."""
    return {"role": "assistant", "tool_calls": call(*ids, **more)["tool_calls"]}


def result(identifier: str, text: str = "done") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": identifier, "content": text}


def tool(name: str, **schema: Any) -> dict[str, Any]:
    parameters = {"type": "object", "properties": {}, **schema}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def chat(turns: int, size: int = 60) -> Messages:
    """A system prompt, some finished turns of about `size` characters a message, a question."""
    messages = [system()]
    for n in range(turns):
        messages += [user(f"q{n} " * (size // 3)), answer(f"a{n} " * (size // 3))]
    return [*messages, user("and now?")]


def wire(context: ck.Context) -> str:
    """What leaves: bytes, with the order of keys."""
    return json.dumps(context.request(), ensure_ascii=False)


def kinds(context: ck.Context) -> list[str]:
    return [edit.kind for edit in context.edits]


@dataclass(frozen=True)
class Own:
    """A strategy made of a function, as a user would write one."""

    proposes: Callable[[ck.View, int], Iterable[ck.Edit] | ck.Need | None]
    share: int = 50

    def propose(self, view: ck.View, goal: int) -> Iterable[ck.Edit] | ck.Need | None:
        return self.proposes(view, goal)


def calls_of(run: Any) -> int:
    """How many functions are called and left: work that no busy machine changes."""
    count = 0

    def counting(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(counting)
    try:
        run()
    finally:
        sys.setprofile(before)
    return count
