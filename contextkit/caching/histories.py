"""Which requests belong to one conversation, and whether its history slides or was rewritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from contextkit.caching.causes import cause_in_messages, realigned
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.prefix import diff
from contextkit.caching.renders import Change, Render, both
from contextkit.messages import text_of

SLIDES = 3
"""Turns in a row in which the first message went: a window slides. Planned cuts are deeper."""

_SMALL_TALK = 160  # characters of messages that two conversations may share by chance
_WORD = 60  # characters, JSON counted, of a message that is more than "ok" or "yes"
_SAME_TEXT = ("Unicode form", "whitespace", "key order")  # causes: the same words, other bytes


class Spoken(Protocol):
    """A request, as far as its history is compared with that of another one."""

    @property
    def sent(self) -> Sequence[Mapping[str, Any]]:
        """Its messages."""

    @property
    def leading(self) -> int:
        """How many system messages stand at the beginning."""

    @property
    def history(self) -> list[str]:
        """The canonical blocks of the messages behind them."""


@dataclass(frozen=True, slots=True)
class _Move:
    """One request whose history does not begin with that of the request before it."""

    number: int  # of the request
    turn: int  # of the conversation
    slid: bool  # its first message went
    change: Change


@dataclass(slots=True)
class _Conversation:
    """The newest request of one conversation, and the moves of its prefix so far."""

    render: Render
    turn: int = 0
    pairs: int = 0
    moves: list[_Move] = field(default_factory=list)

    def sliding(self) -> list[_Move]:
        """The moves of a sliding window, if there is one: in turn after turn the first went."""
        slid = [move for move in self.moves if move.slid]
        run = longest = 0
        turn = -1
        for move in slid:
            if move.turn != turn:
                run = run + 1 if move.turn == turn + 1 else 1
                turn = move.turn
            longest = max(longest, run)
        return slid if longest >= SLIDES else []


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
            self._all.append(_Conversation(render))
        for block in history:
            self._of_block[block] = here

    def changes(self) -> Iterator[tuple[int, Change]]:
        """What moved in the histories, with the number of the request.

        A history that is cut now and then is one that somebody planned, and no finding.
        """
        for talk in self._all:
            sliding = talk.sliding()
            if sliding:
                said = f"the first message went in {len(sliding)} of {talk.pairs} requests"
                yield _said(sliding[0], "slides-every-turn", said)
            for move in talk.moves:
                if move.change.rule == "history-changed":
                    yield move.number, move.change
            cuts = [move for move in talk.moves if move.change.rule == "history-cut"]
            if not sliding and len(cuts) * 2 > talk.pairs:
                often = f", and in {len(cuts) - 1} of {talk.pairs - 1} later requests"
                said = cuts[0].change.cause + often * (len(cuts) > 1)
                yield _said(cuts[0], "history-changed", said)

    def _follows(self, talk: _Conversation, render: Render, number: int) -> bool:
        """Whether a request goes on with this conversation; if so it is taken into it."""
        old, new = talk.render.history, render.history
        at = common_prefix(old, new)
        change = None
        if at < len(old):
            change = self._moved(talk.render, render, at)
            if change is None:
                return False
        talk.turn += render.sent[-1].get("role") == "user"
        if change is not None:
            gone, fresh = realigned(old, new, at)
            slid = at == 0 and gone > 0 and fresh <= 1
            talk.moves.append(_Move(number, talk.turn, slid, change))
        talk.pairs += 1
        talk.render = render
        return True

    @staticmethod
    def _moved(before: Render, now: Render, at: int) -> Change | None:
        """How the history moved; None where it is another conversation, or another branch."""
        if not goes_on(before, now, at):
            return None  # went back, a regenerated reply, an edited question
        found = diff(
            {"messages": before.sent[before.leading :]},
            {"messages": now.sent[now.leading :]},
        )
        place = f"messages[{now.leading + at}] ({found.role})"
        text = both(found.earlier, found.later)
        cut = found.cause.startswith(("message ", "content rewritten", "role changed"))
        rule = "history-cut" if cut else "history-changed"
        return Change(rule, place, text, found.cause, found.cause)


def goes_on(before: Spoken, now: Spoken, at: int) -> bool:
    """Whether a request goes on with the conversation of another one, whose history it changed.

    Args:
        before, now: the requests.
        at: the first place behind the leading system messages where both histories differ.
    """
    old, new = before.history, now.history
    if at >= len(new):
        return False
    return (
        _belong_together(old[at:], new[at:])
        or _alike_behind(before, old, new, at)
        or _window(old, new, now)
        or _rewritten(before, now, at, len(old), len(new))
        or cause_in_messages(old, new, at).startswith(_SAME_TEXT)
    )


def _alike_behind(before: Spoken, old: list[str], new: list[str], at: int) -> bool:
    """Whether but one message is another, and all behind it, with a reply, still stands in a row.

    However short it is: an edited question and a regenerated reply are followed by something else.
    """
    gone, fresh = realigned(old, new, at)
    if max(gone, fresh) > 1:
        return False
    rest = old[at + gone :]
    roles = [message.get("role") for message in before.sent[before.leading + at + gone :]]
    return "assistant" in roles and new[at + fresh : at + fresh + len(rest)] == rest


def _said(move: _Move, rule: str, why: str) -> tuple[int, Change]:
    change = move.change
    return move.number, Change(rule, change.place, change.text, why, why)


def _window(old: list[str], new: list[str], now: Spoken) -> bool:
    """Whether the new history begins with the end of the old one, and goes on with a reply."""
    for kept in range(min(len(old), len(new) - 1), 0, -1):
        if old[-kept:] == new[:kept] and sum(map(len, new[:kept])) >= _WORD:
            return now.sent[now.leading + kept].get("role") == "assistant"
    return False


def _rewritten(before: Spoken, now: Spoken, at: int, old: int, new: int) -> bool:
    """Whether the newest message was answered, and is then sent with more or less text than before.

    So it is where passages or a clock stand in the newest message alone. Somebody who edits a
    question has the edited one answered first.
    """
    if old != at + 1 or new < at + 3:
        return False
    one, other = before.sent[before.leading + at], now.sent[now.leading + at]
    reply = now.sent[now.leading + at + 1]
    shorter, longer = sorted((text_of(one), text_of(other)), key=len)
    asked = one.get("role") == other.get("role") == "user" and reply.get("role") == "assistant"
    return bool(asked and shorter and shorter in longer)


def _belong_together(old: list[str], new: list[str]) -> bool:
    """Whether two histories go on alike behind their first difference: more than small talk."""
    shared = set(old) & set(new)
    size = sum(map(len, shared))
    least = min(sum(map(len, old)), sum(map(len, new)))
    return size >= _SMALL_TALK and (len(shared) * 2 >= min(len(old), len(new)) or size * 2 >= least)
