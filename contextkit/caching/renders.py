"""What differs between renders of one prompt: system, tools, and histories that belong together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from contextkit.caching.causes import cause_in_text, cause_in_tools, realigned, tool_name
from contextkit.caching.forecast import common_prefix
from contextkit.caching.identifiers import Lines
from contextkit.caching.prefix import canonical_blocks, diff, excerpt, printable
from contextkit.messages import SYSTEM_ROLES

SELDOM = 5
"""A history that moves in at most one of so many requests was cut as planned."""

_SMALL_TALK = 160  # characters of messages that two conversations may share by chance
_SAME_TEXT = ("Unicode form", "whitespace", "key order")  # causes: the same words, other bytes
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
    text = _both(found.earlier, found.later)
    cause = found.cause or f"{len(before)} system messages became {len(now)}"
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
        text = _both(", ".join(map(printable, order[at:])), ", ".join(map(printable, common[at:])))
        yield Change("tools-reordered", places[common[at]], text, "the order of the tools", "")
    for name in common:
        one, other = before[name], now[name]
        if one != other:
            same = json.loads(one) == json.loads(other)
            rule = "properties-reordered" if same else "tool-changed"
            cause = printable(cause_in_tools([one], [other], 0))
            text = _both(*_excerpts(one, other))
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
        yield Change("system-changed", where, _both(*_excerpts(before, now)), cause, key)
        return
    for at, one, other in pairs:
        where = f"{place}, line {at + 1}, character {common_prefix(one, other) + 1}"
        text = _both(*_excerpts(one, other))
        cause = printable(cause_in_text(one, other))
        yield Change("system-changed", where, text, cause, f"{place} {at} {cause}")


def _excerpts(before: str, now: str) -> tuple[str, str]:
    position = common_prefix(before, now)
    return excerpt(before, position), excerpt(now, position)


def _both(before: str, now: str) -> str:
    return " became ".join(f"'{text}'" if text else "nothing" for text in (before, now))


@dataclass(slots=True)
class _Conversation:
    """The newest request of one conversation, and the moves of its prefix so far."""

    render: Render
    number: int
    pairs: int = 0
    moves: list[tuple[int, Change, bool]] = field(default_factory=list)  # with: slid at its start


@dataclass(slots=True)
class Conversations:
    """Sorts requests by conversation, by the messages they share, and follows their histories."""

    _all: list[_Conversation] = field(default_factory=list)
    _of_block: dict[str, int] = field(default_factory=dict)

    def add(self, render: Render, number: int) -> None:
        """Take the next request."""
        history = render.history
        counted: dict[int, int] = {}
        for block in history:
            if (at := self._of_block.get(block)) is not None:
                counted[at] = counted.get(at, 0) + 1
        nearest = max(counted, key=lambda at: (counted[at], at), default=-1)
        if nearest >= 0 and self._follows(self._all[nearest], render, number):
            here = nearest
        else:
            here = len(self._all)
            self._all.append(_Conversation(render, number))
        for block in history:
            self._of_block[block] = here

    def changes(self) -> Iterator[tuple[int, Change]]:
        """What moved in the histories, with the number of the request.

        A history that is cut now and then is one that somebody planned, and no finding.
        """
        for talk in self._all:
            slid = [(number, change) for number, change, start in talk.moves if start]
            for number, change, start in talk.moves:
                if change.rule == "history-changed":
                    yield number, change
                elif len(talk.moves) * SELDOM > talk.pairs and not (start and len(slid) > 1):
                    said = f"{change.cause}, in {len(talk.moves)} of {talk.pairs} requests"
                    yield number, Change("history-changed", change.place, change.text, said, said)
            if len(slid) > 1 and len(talk.moves) * SELDOM > talk.pairs:
                number, change = slid[0]
                said = f"the first message changed in {len(slid)} of {talk.pairs} requests"
                yield number, Change("slides-every-turn", change.place, change.text, said, said)

    def _follows(self, talk: _Conversation, render: Render, number: int) -> bool:
        """Whether a request goes on with this conversation; if so it is taken into it."""
        old, new = talk.render.history, render.history
        at = common_prefix(old, new)
        if at < len(old):
            change = self._moved(talk.render, render, old, new, at)
            if change is None:
                return False
            gone, fresh = realigned(old, new, at)
            talk.moves.append((number, change, at == 0 and gone > 0 and fresh <= 1))
        talk.pairs += 1
        talk.render, talk.number = render, number
        return True

    @staticmethod
    def _moved(
        before: Render, now: Render, old: list[str], new: list[str], at: int
    ) -> Change | None:
        """How the history moved; None where it is another conversation, or another branch."""
        if at >= len(new):
            return None  # went back
        found = diff(
            {"messages": before.sent[before.leading :]},
            {"messages": now.sent[now.leading :]},
        )
        if not (_belong_together(old[at:], new[at:]) or found.cause.startswith(_SAME_TEXT)):
            return None  # a regenerated reply, an edited question
        place = f"messages[{now.leading + at}] ({found.role})"
        text = _both(found.earlier, found.later)
        cut = found.cause.startswith(("message ", "content rewritten", "role changed"))
        rule = "history-cut" if cut else "history-changed"
        return Change(rule, place, text, found.cause, f"{now.leading + at} {found.cause}")


def _belong_together(old: list[str], new: list[str]) -> bool:
    """Whether two histories go on alike behind their first difference: more than small talk."""
    shared = set(old) & set(new)
    size = sum(map(len, shared))
    least = min(sum(map(len, old)), sum(map(len, new)))
    return size >= _SMALL_TALK and (len(shared) * 2 >= min(len(old), len(new)) or size * 2 >= least)
