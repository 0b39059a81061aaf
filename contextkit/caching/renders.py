"""What differs between two renders of one prompt, in its system messages and its tools."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from contextkit.caching.causes import (
    cause_in_text,
    cause_in_tools,
    same_but_for_order,
    tool_name,
)
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.identifiers import Lines
from contextkit.caching.prefix import canonical_blocks, diff, excerpt, printable
from contextkit.messages import SYSTEM_ROLES

_MOST_NAMES = 8  # of tools that are named in one line
_MOST_LINES = 10  # of one text that are reported as changed: more, and it is another text


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two renders: a rule, the place in the later one, and why."""

    rule: str
    place: str
    text: str
    cause: str
    key: str  # the same for the same change between other renders


@dataclass(frozen=True)
class Render:
    """One rendered request: its blocks, and the texts of its leading system messages.

    None is what a render says nothing about: a prompt has no tools, a list of tools no messages.
    """

    messages: Sequence[Mapping[str, Any]] | None
    tools: Sequence[Mapping[str, Any]] | None

    @cached_property
    def sent(self) -> Sequence[Mapping[str, Any]]:
        """The messages, none where there are none."""
        return self.messages or ()

    @cached_property
    def tool_blocks(self) -> list[str]:
        """One text for each tool, in the form that two of them are compared in."""
        return canonical_blocks({"messages": (), "tools": self.tools or ()})

    @cached_property
    def message_blocks(self) -> list[str]:
        """The same for each message."""
        return canonical_blocks({"messages": self.sent})

    @cached_property
    def leading(self) -> int:
        """How many system messages stand at the beginning."""
        for number, message in enumerate(self.sent):
            if message.get("role") not in SYSTEM_ROLES:
                return number
        return len(self.sent)

    @cached_property
    def system_texts(self) -> list[tuple[str, str]]:
        """Each text of the leading system messages, with its place."""
        found = []
        for number, message in enumerate(self.sent[: self.leading]):
            place = "system" if self.leading == 1 else f"messages[{number}] (system)"
            content = message.get("content")
            if isinstance(content, str):
                found.append((place, content))
            elif isinstance(content, list | tuple):
                for position, part in enumerate(content):
                    text = part.get("text") if isinstance(part, Mapping) else None
                    if isinstance(text, str):
                        where = f"{place}, part {position}" if len(content) > 1 else place
                        found.append((where, text))
        return found

    @property
    def history(self) -> list[str]:
        """The blocks behind the leading system messages."""
        return self.message_blocks[self.leading :]


def changed_system(earlier: Render, later: Render) -> Iterator[Change]:
    """What differs in the leading system messages."""
    before, now = earlier.message_blocks[: earlier.leading], later.message_blocks[: later.leading]
    if before == now:
        return
    old, new = earlier.system_texts, later.system_texts
    if [place for place, _ in old] == [place for place, _ in new]:
        changes = [
            change
            for (place, one), (_, other) in zip(old, new, strict=True)
            for change in _changed_text(place, one, other)
        ]
        if changes:
            yield from changes
            return
    found = diff({"messages": earlier.sent[: earlier.leading]}, {"messages": later.sent})
    place = f"messages[{common_prefix(before, now)}] (system)"
    text = both(found.earlier, found.later)
    cause = found.cause
    if found.kind == "extension":  # the same, and more
        text = both("", excerpt(now[len(before)], 0))
        cause = f"{len(before)} system messages became {len(now)}"
    yield Change("system-changed", place, text, cause, f"{place} {cause}")


def changed_tools(earlier: Render, later: Render) -> Iterator[Change]:
    """What differs in the tools: which there are, their order, their definitions."""
    if earlier.tool_blocks == later.tool_blocks:
        return
    before = {tool_name(block): block for block in earlier.tool_blocks}
    now = {tool_name(block): block for block in later.tool_blocks}
    places = {name: f"tools[{at}] {printable(name)}" for at, name in enumerate(now)}
    for rule, names, others in ("tool-added", now, before), ("tool-removed", before, now):
        news = [name for name in names if name not in others]
        if news:
            place = places.get(news[0], f"tools {printable(news[0])}")
            text = printable(", ".join(news[:_MOST_NAMES]) + (", …" * (len(news) > _MOST_NAMES)))
            word = rule.removeprefix("tool-")
            cause = f"{'a tool was' if len(news) == 1 else f'{len(news)} tools were'} {word}"
            yield Change(rule, place, text, cause, text)
    common = [name for name in now if name in before]
    order = [name for name in before if name in now]
    if common != order:
        at = common_prefix(common, order)
        text = both(", ".join(map(printable, order[at:])), ", ".join(map(printable, common[at:])))
        yield Change("tools-reordered", places[common[at]], text, "the order of the tools", "")
    for name in common:
        one, other = before[name], now[name]
        if one != other:
            same = same_but_for_order(json.loads(one), json.loads(other))
            rule = "properties-reordered" if same else "tool-changed"
            cause = printable(cause_in_tools([one], [other], 0))
            text = both(*_excerpts(one, other))
            yield Change(rule, places[name], text, cause, name)


def _changed_text(place: str, before: str, now: str) -> Iterator[Change]:
    """The lines of a text that differ, or where it first does if it has other lines."""
    if before == now:
        return
    old, new = before.split("\n"), now.split("\n")
    pairs = [(at, *two) for at, two in enumerate(zip(old, new, strict=False)) if two[0] != two[1]]
    if len(old) != len(new) or len(pairs) > _MOST_LINES:
        line, character = Lines(now).place(common_prefix(before, now))
        cause = printable(cause_in_text(before, now))
        where = f"{place}, line {line}, character {character}"
        key = f"{place} {cause}"
        yield Change("system-changed", where, both(*_excerpts(before, now)), cause, key)
        return
    for at, one, other in pairs:
        where = f"{place}, line {at + 1}, character {common_prefix(one, other) + 1}"
        text = both(*_excerpts(one, other))
        cause = printable(cause_in_text(one, other))
        yield Change("system-changed", where, text, cause, f"{place} {at} {cause}")


def _excerpts(before: str, now: str) -> tuple[str, str]:
    position = common_prefix(before, now)
    return excerpt(before, position), excerpt(now, position)


def both(before: str, now: str) -> str:
    """Two excerpts in words."""
    return " became ".join(f"'{text}'" if text else "nothing" for text in (before, now))
