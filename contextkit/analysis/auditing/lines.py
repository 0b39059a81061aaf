"""Lines: requests of a log sorted into conversations, each beside the one that it goes on from.

By the log's id where it has one, and by the messages that requests share, also where the whole
prefix moved. A line holds the newest requests of a conversation with all its branches, so that a
regenerated reply is compared with what it goes on from, not with what came in between.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any, Literal

from contextkit.analysis.auditing.differences import shared_behind
from contextkit.analysis.auditing.requests import Logged
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.histories import goes_on

RECENT = 8
"""Requests of a conversation that a new one is compared with."""

LIVE_TOKENS = 2_000_000
"""Tokens of the newest requests of all conversations that are held; older ones are let go."""

LIVE_LINES = 10_000
"""Conversations that are held, however short they are."""

_HALF = 0.5  # of a system prompt
_COMPARED = 3  # of the recent ones, how many may have been rewritten into the new one

How = Literal["first", "goes on", "moved", "parted"]


@dataclass(eq=False, slots=True)
class Line:
    """A conversation of a log, with its branches.

    Attributes:
        source: of its first request.
        model: of its first request.
        conversation: the id that the log gives it; None where there is none.
        recent: its newest requests.
        requests: how many there were.
        turn: user messages that were answered so far.
        events: what an audit has noted about it.
    """

    source: str
    model: str
    conversation: str | None
    recent: deque[Logged] = field(default_factory=lambda: deque(maxlen=RECENT))
    requests: int = 0
    turn: int = 0
    tokens: int = 0
    events: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Related:
    """How a request stands to its conversation.

    Attributes:
        line: the conversation.
        how: `first`; `goes on` from `before`; its history `moved` since; or it has `parted` from
            `before`, behind the first `messages`.
        before: the earlier request; None for the first.
        messages: that both begin with, where they have parted.
    """

    line: Line
    how: How
    before: Logged | None = None
    messages: int = 0


class Lines:
    """The conversations that are still held, the least recently used first."""

    def __init__(self) -> None:
        self.count = 0
        self._lines: OrderedDict[Line, None] = OrderedDict()
        self._of_text: dict[str, Line] = {}
        self._of_id: dict[str, Line] = {}
        self._tokens = 0

    def add(self, now: Logged) -> Related:
        """Take the next request."""
        line = self._likely(now)
        related = None if line is None else _related(line, now)
        if related is None or not _of_one(now, related):
            line = Line(now.source, now.model, now.conversation)
            self.count += 1
            parted = (related.before, related.messages) if related else (None, 0)
            related = Related(line, "first", *parted)
        self._take(related.line, now)
        return related

    def leaving(self) -> list[Line]:
        """The conversations that are too many, the oldest first; they are held no more."""
        gone = []
        while len(self._lines) > 1 and (
            self._tokens > LIVE_TOKENS or len(self._lines) > LIVE_LINES
        ):
            line, _ = self._lines.popitem(last=False)
            self._tokens -= line.tokens
            for logged in line.recent:
                self._forget(line, logged.history)
            if line.conversation is not None and self._of_id.get(line.conversation) is line:
                del self._of_id[line.conversation]
            gone.append(line)
        return gone

    def all(self) -> list[Line]:
        """Those that are held."""
        return list(self._lines)

    def _likely(self, now: Logged) -> Line | None:
        """The conversation that has most of the messages."""
        counted: dict[Line, int] = {}
        for text in now.history:
            line = self._of_text.get(text)
            if line is not None:
                counted[line] = counted.get(line, 0) + 1
        if now.conversation is not None:
            counted = {
                line: count
                for line, count in counted.items()
                if line.conversation in (None, now.conversation)
            }
            if not counted:
                return self._of_id.get(now.conversation)
        return max(counted, key=counted.__getitem__, default=None)

    def _take(self, line: Line, now: Logged) -> None:
        if len(line.recent) == RECENT:
            oldest = line.recent.popleft()
            kept = {text for one in (*line.recent, now) for text in one.history}
            self._forget(line, [text for text in oldest.history if text not in kept])
        line.recent.append(now)
        line.requests += 1
        last = now.sent[-1] if now.sent else {}
        line.turn += last.get("role") == "user"
        for text in now.history:
            self._of_text[text] = line
        if now.conversation is not None:
            self._of_id[now.conversation] = line
        self._tokens += now.tokens - line.tokens
        line.tokens = now.tokens
        self._lines[line] = None
        self._lines.move_to_end(line)

    def _forget(self, line: Line, texts: list[str]) -> None:
        for text in texts:
            if self._of_text.get(text) is line:
                del self._of_text[text]


def _related(line: Line, now: Logged) -> Related:
    # A request without usage may have failed, and left nothing in a cache.
    recent = [one for one in reversed(line.recent) if one.usage or not now.usage]
    recent = recent or list(reversed(line.recent))
    alike = [(one, common_prefix(one.history, now.history)) for one in recent]
    whole = [one for one, at in alike if at == len(one.history) and at]
    steps = [one for one in whole if _replies(now, len(one.history)) <= 1]
    if steps:
        waited = [one for one in steps if not one.in_flight(now.at)]
        again = all(len(one.history) == len(now.history) for one in steps if one not in waited)
        fitting = waited if waited and again else steps  # sent again before the answer had come
        return Related(line, "goes on", max(fitting, key=_length))
    for one, at in alike[:_COMPARED]:
        if one in whole:
            return Related(line, "goes on", one)
        if one.history and goes_on(one, now, at):
            return Related(line, "moved", one)
    if whole:
        return Related(line, "goes on", max(whole, key=_length))
    nearest, at = max(alike, key=lambda pair: pair[1])
    return Related(line, "parted", nearest, at)


def _of_one(now: Logged, related: Related) -> bool:
    """Whether requests are of one conversation, not of two that begin with the same question.

    Those that have parted are where a question was edited behind a reply.
    """
    if now.conversation is not None and related.line.conversation == now.conversation:
        return True
    before = related.before
    assert before is not None  # noqa: S101 - it is no first one
    if related.how == "moved":
        return True
    shared = before.sent[before.leading :]
    if related.how == "parted":
        shared = shared[: related.messages]
    if any(message.get("role") == "assistant" for message in shared):
        return True
    if related.how == "parted":
        return False
    # No reply is in common: another application, or another model, may have been asked the same.
    if before.model != now.model and len(before.history) == len(now.history):
        return False
    return before.head == now.head or (before.model == now.model and _one_prompt(before, now))


def _one_prompt(before: Logged, now: Logged) -> bool:
    """Whether both system prompts are mostly the same text."""
    old, new = "\n".join(before.head), "\n".join(now.head)
    return common_prefix(old, new) / (len(new) or 1) + shared_behind(before, now) >= _HALF


def _replies(now: Logged, place: int) -> int:
    """The assistant messages behind a place of the history."""
    behind = now.sent[now.leading + place :]
    return sum(message.get("role") == "assistant" for message in behind)


def _length(logged: Logged) -> tuple[int, int]:
    return len(logged.history), logged.number
