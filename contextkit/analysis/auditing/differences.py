"""Differences: all places where a later request leaves an earlier one, each with its kind.

A cache is lost from the first of them on. Those behind it cost as soon as the first is mended, so
that each is named with the tokens up to the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contextkit.analysis.auditing.requests import Logged
from contextkit.caching.causes import (
    cause_in_messages,
    cause_in_text,
    cause_in_tools,
    realigned,
    tool_name,
)
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.insertions import insertions
from contextkit.caching.prefix import printable
from contextkit.caching.renders import Render
from contextkit.messages import SYSTEM_ROLES

_WORDS = (  # how words of a cause begin, and the kind that they stand for
    ("is a timestamp", "time"),
    ("uuid or id changed: the id of", "call id"),
    ("uuid or id", "id"),
    ("a number changed", "counter"),
    ("Unicode form", "bytes"),
    ("whitespace differs", "bytes"),
    ("key order", "json"),
    ("whitespace or escapes", "json"),
    ("message inserted", "inserted"),
    ("message removed", "removed"),
    ("content rewritten: reasoning", "reasoning"),
)
_STUB = 200  # characters of what stands for a tool result that was cleared
_REPLACED = re.compile(r"content rewritten: \d+ messages? replaced")
_MEDIA = re.compile(r"\w+ changed: encoded again")


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two requests differ.

    Attributes:
        level: `tools`, `system` or `history`.
        kind: what differs there.
        position: tokens of the later request before it.
        words: the cause.
        message: number of the message in the later request; None in the tools.
        role: of that message.
        names: of tools.
        slid: whether messages went, and at most one came in their place.
    """

    level: str
    kind: str
    position: int
    words: str
    message: int | None = None
    role: str = ""
    names: tuple[str, ...] = ()
    slid: bool = False


def differences(before: Logged, now: Logged) -> list[Difference]:
    """Where two requests differ, in the order of the prompt."""
    found = [*_in_tools(before, now), *_in_system(before, now), *_in_history(before, now)]
    return sorted(found, key=lambda one: one.position)


def shared_behind(before: Logged, now: Logged) -> float:
    """The share of the later system prompt that stands behind the first difference in both."""
    old, new = "\n".join(before.head), "\n".join(now.head)
    if not new:
        return 0.0
    if old == new:
        return 1.0
    at = common_prefix(old, new)
    # Canonical texts are JSON: lines are parted by an escaped line break.
    ends = _common_end(old[at:], new[at:])
    known = set(old[at:].split("\\n"))
    lines = sum(len(line) for line in new[at:].split("\\n")[1:] if line in known)
    return max(ends, lines) / len(new)


def _in_tools(before: Logged, now: Logged) -> Iterator[Difference]:
    old, new = list(before.tools.texts), list(now.tools.texts)
    if old == new:
        return
    words = printable(cause_in_tools(old, new, common_prefix(old, new)))
    names = [tool_name(text) for text in new]
    earlier = [tool_name(text) for text in old]
    if words.startswith("tool order"):
        kind, changed = "order", []
    elif words.startswith("tool definition"):
        changed = [names[common_prefix(old, new)]]
        detail = words.rpartition("(")[2]
        kind = _kind(detail)
        if kind == "rewritten":
            kind = "json" if detail.startswith("order of") else "definition"
    else:
        kind = "set"
        changed = [*(name for name in names if name not in earlier)]
        changed += (name for name in earlier if name not in names)
    yield Difference("tools", kind, 0, words, names=tuple(map(printable, changed)))


def _in_system(before: Logged, now: Logged) -> Iterator[Difference]:
    if before.head == now.head:
        return
    start = now.tokens_to(0)
    old, new = (Render(one.sent, ()).system_texts for one in (before, now))
    if len(old) != len(new) or before.leading != now.leading:
        at = common_prefix(before.head, now.head)
        if at == now.leading == before.leading - 1 and _moves_along(before, -1, 1):
            words = "message removed: 1 message left out"
            yield Difference("history", "moving", now.tokens_to(at), words, at, "system")
            return
        inserted = any(kind for _, text in new[len(old) :] for kind, *_ in insertions(text))
        kind = "passages" if inserted else "rewritten"
        words = f"{before.leading} system messages became {now.leading}"
        yield Difference("system", kind, now.tokens_to(at), words, at, "system")
        return
    whole = now.tokens_to(now.leading) - start
    size = sum(len(text) for _, text in new) or 1
    done, found = 0, False
    for (_, one), (_, other) in zip(old, new, strict=True):
        for place, kind, words in _regions(one, other):
            position = start + int(whole * (done + place) / size)
            yield Difference("system", kind, position, words, 0, "system")
            found = True
        done += len(other)
    if not found:  # not in the texts: a name, an image
        at = common_prefix(before.head, now.head)
        words = cause_in_messages(list(before.head), list(now.head), at)
        yield Difference("system", _kind(words), now.tokens_to(at), printable(words), at, "system")


def _regions(before: str, now: str) -> Iterator[tuple[int, str, str]]:
    """Where two texts differ, by lines: characters before it, kind, cause."""
    if before == now:
        return
    words = cause_in_text(before, now)
    kind = _kind(words)
    if kind in ("bytes", "json"):
        yield common_prefix(before, now), kind, words
        return
    old, new = before.split("\n"), now.split("\n")
    first = common_prefix(old, new)
    last = _common_end(old[first:], new[first:])
    gone, come = old[first : len(old) - last], new[first : len(new) - last]
    place = sum(len(line) + 1 for line in new[:first])
    spans = [_spans(text) for text in (before, now)]
    if len(gone) == len(come):
        for one, other in zip(gone, come, strict=True):
            if one != other:
                inside = place + common_prefix(one, other)
                words = cause_in_text(one, other)
                kind = _kind(words)
                if kind not in ("time", "id"):  # those change wherever they stand
                    kind = _inserted(spans[1], place) or kind
                yield inside, kind, printable(words)
            place += len(other) + 1
        return
    # Lines came or went: text that is put in, or a list that grows.
    one, other = "\n".join(gone), "\n".join(come)
    words = cause_in_text(one, other)
    kind = _inserted(spans[1], place) or _inserted(spans[0], place) or _kind(words)
    if kind not in ("passages", "summary"):
        kind = "rewritten"
        words = f"content rewritten: {len(gone)} lines became {len(come)}"
    yield place + common_prefix(one, other), kind, printable(words)


def _spans(text: str) -> list[tuple[int, str]]:
    return [(start, kind) for kind, start, _ in insertions(text, changed=True)]


def _inserted(spans: list[tuple[int, str]], place: int) -> str:
    """Whether a place stands in passages or a summary: the last heading before it says so."""
    before = [(start, kind) for start, kind in spans if start <= place + 1]
    return max(before)[1] if before else ""


def _in_history(before: Logged, now: Logged) -> Iterator[Difference]:
    old, new = before.history, now.history
    at = common_prefix(old, new)
    if at >= len(old) or at >= len(new):
        return
    words = printable(cause_in_messages(old, new, at))
    gone, fresh = realigned(old, new, at)
    one, other = before.sent[before.leading + at], now.sent[now.leading + at]
    role = str(other.get("role"))
    kind = _kind(words)
    moved = not fresh and _moves_along(before, at, gone)
    if kind in ("removed", "rewritten", "passages") and moved:
        kind, role = "moving", str(one.get("role"))
    elif kind == "rewritten" and one.get("role") == other.get("role"):
        if role == "tool" and _size(other) < max(_size(one), _STUB):
            kind = "cleared"
        elif at == len(old) - 1 or _last_asked(before, at):
            kind = "newest"
    number = now.leading + at
    slid = gone > 0 and fresh <= 1 and gone != fresh
    position = now.tokens_to(number)
    yield Difference("history", kind, position, words, number, printable(role), slid=slid)


def _last_asked(before: Logged, at: int) -> bool:
    """Whether it was the newest user message, with steps of tools behind it."""
    roles = [message.get("role") for message in before.sent[before.leading + at :]]
    return roles[0] == "user" and "user" not in roles[1:]


def _moves_along(before: Logged, at: int, gone: int) -> bool:
    """Whether what went stood right before the last user message: a block that moves with it."""
    roles = [message.get("role") for message in before.sent]
    at += before.leading
    behind = roles[at + gone :]
    went = set(roles[at : at + gone])
    alone = behind[:1] == ["user"] and "user" not in behind[1:]
    return alone and gone in (1, 2) and went <= {"user", *SYSTEM_ROLES}


def _kind(words: str) -> str:
    for start, kind in _WORDS:
        if words.startswith(start):
            return kind
    if _REPLACED.match(words):
        return "replaced"
    return "image" if _MEDIA.match(words) else "rewritten"


def _size(message: Any) -> int:
    return len(str(message.get("content")))


def _common_end(first: Any, second: Any) -> int:
    return common_prefix(first[::-1], second[::-1])
