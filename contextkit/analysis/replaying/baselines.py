"""Baselines: what is done where nobody keeps a prefix: everything sent, sliding windows, functions.

They get the same cache as contextkit does: where it is asked for by markers, one stands behind the
system prompt and one at the end of the request.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any, Literal

from contextkit.analysis.policies import Made, NoRequest, Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import REPLY, Block, blocks_of
from contextkit.caching.places import OPENING
from contextkit.messages import SYSTEM_ROLES, copy_json
from contextkit.profiles import CacheRules

Messages = list[dict[str, Any]]


class Laid:
    """A conversation laid out in blocks, of which any stretch makes a request.

    Args:
        transcript: the conversation.
        setting: counts its tokens, and says where cache points go.
    """

    def __init__(self, transcript: Transcript, setting: Setting) -> None:
        self.messages = transcript.messages
        blocks = blocks_of(
            {"messages": transcript.messages, "tools": transcript.tools}, setting.counter
        )
        self.tools = blocks[:1] if blocks[0].role == "tools" else ()
        self.reply = blocks[-1]
        self.blocks = by_message(blocks)
        self.sums = [
            0,
            *accumulate(sum(block.tokens for block in held) for held in self.blocks),
        ]
        self.head = next(
            (n for n, m in enumerate(self.messages) if m.get("role") not in SYSTEM_ROLES),
            len(self.messages),
        )
        self.around = self.sums[self.head] + self.reply.tokens
        self.around += sum(block.tokens for block in self.tools)
        self._first = with_points((*self.tools, *_flat(self.blocks[: self.head])), setting.rules)
        self._marks = marks_newest(setting.rules)

    def tokens(self, start: int, end: int) -> int:
        """Tokens of the request that shows the messages from one up to another."""
        return self.around + self.sums[end] - self.sums[max(start, self.head)]

    def made(self, start: int, end: int, *, cut: bool) -> Made:
        """The request that shows the system prompt and the messages from one up to another."""
        start = max(start, self.head)
        body = _flat(self.blocks[start:end])
        if self._marks and body:
            body[-1] = replace(body[-1], point=True)
        blocks = (*self._first, *body, self.reply)
        sent = [*self.messages[: self.head], *self.messages[start:end]]
        return Made(sent, blocks, len(sent), cut)


@dataclass(frozen=True, slots=True)
class Everything:
    """Every request sends the whole conversation, however long."""

    name: str = "all"

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation."""
        laid = Laid(transcript, setting)
        for point in points_of(transcript):
            yield laid.made(laid.head, point, cut=False)


@dataclass(frozen=True, slots=True)
class Window:
    """System prompt and tools, and the newest messages within a number of tokens, at each request.

    A call goes together with its results. The newest user message, and what stands behind it, never
    goes, so that a request may be over the limit.

    Attributes:
        starts: what the window may begin with: any `message` of user or assistant, or a `turn`.
        most: tokens of the whole request; by default the limit.
    """

    starts: Literal["messages", "turns"] = "messages"
    most: int | None = None

    @property
    def name(self) -> str:
        """What it is called in tables."""
        name = "window" if self.starts == "messages" else "window-turns"
        return name if self.most is None else f"{name}:{self.most}"

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation."""
        laid = Laid(transcript, setting)
        most = setting.limit if self.most is None else self.most
        roles = ("user",) if self.starts == "turns" else ("user", "assistant")
        places = [
            number
            for number, message in enumerate(laid.messages)
            if number >= laid.head and message.get("role") in roles
        ]
        before = laid.head
        for point, newest in zip(points_of(transcript), newest_users(transcript), strict=True):
            start = laid.head
            if laid.tokens(start, point) > most:
                start = window_start(laid.sums, places, newest, point, most - laid.around)
                start = max(start, before)
            yield laid.made(start, point, cut=start != before)
            before = start


def window_start(
    sums: Sequence[int], places: Sequence[int], newest: int, end: int, most: int
) -> int:
    """The first message of the longest window before a place that holds so many tokens at most.

    Args:
        sums: tokens of the first 0, 1, 2, … messages.
        places: where a window may begin, ascending.
        newest: the newest user message, behind which no window begins.
        end: where it ends.
        most: tokens.
    """
    first = bisect_left(places, bisect_left(sums, sums[end] - most))
    return min([*places[first : first + 1], newest])


def newest_users(transcript: Transcript) -> list[int]:
    """The newest user message before each request; 0 where there is none."""
    newest, found = 0, []
    points = iter([*points_of(transcript), -1])
    point = next(points)
    for number, message in enumerate(transcript.messages):
        if number == point:
            found.append(newest)
            point = next(points)
        if message.get("role") == "user":
            newest = number
    return found


@dataclass(frozen=True)
class Function:
    """Requests whose messages a function makes of the whole conversation so far.

    Attributes:
        function: gets a copy of the list of messages, and gives the list that is sent.
        name: of the policy; by default that of the function.
    """

    function: Callable[[Messages], Iterable[Mapping[str, Any]]]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", getattr(self.function, "__name__", "function"))

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation.

        Raises:
            NoRequest: when the function gives no list of messages.
        """
        counter, marks = setting.counter, marks_newest(setting.rules)
        known = list(map(_keys, Laid(transcript, setting).blocks))
        before: tuple[tuple[Hashable, ...], ...] = ()
        for point in points_of(transcript):
            given = self.function(copy_json(transcript.messages[:point]))
            if isinstance(given, Mapping | str) or not isinstance(given, Iterable):
                raise NoRequest(
                    f"gave no list of messages but {type(given).__name__}", place=self.name
                )
            sent = list(given)
            blocks = blocks_of({"messages": sent, "tools": transcript.tools}, counter)
            keys = tuple(map(_keys, by_message(blocks)))
            shown = Counter(keys) & Counter(known[:point])
            head = next(n for n, block in enumerate(blocks) if block.role not in OPENING)
            marked = [*with_points(blocks[:head], setting.rules), *blocks[head:]]
            if marks and len(marked) > 1 and marked[-2].role != "tools":
                marked[-2] = replace(marked[-2], point=True)
            cut = keys[: len(before)] != before
            yield Made(sent, tuple(marked), sum(shown.values()), cut)
            before = keys


def with_points(head: Sequence[Block], rules: CacheRules | None) -> tuple[Block, ...]:
    """What stands before the first turn, with a cache point at its end where one may stand."""
    if rules is None or not rules.points or not head or head[-1].role not in rules.carriers:
        return tuple(head)
    return (*head[:-1], replace(head[-1], point=True))


def marks_newest(rules: CacheRules | None) -> bool:
    """Whether an application puts a cache point at the end of its requests."""
    return rules is not None and bool(rules.points) and not rules.automatic


def by_message(blocks: Iterable[Block]) -> list[list[Block]]:
    """The blocks of each message."""
    found: list[list[Block]] = []
    held: list[Block] = []
    for block in blocks:
        if block.role in ("tools", REPLY):
            continue
        held.append(block)
        if block.ends:
            found.append(held)
            held = []
    return found


def _keys(blocks: Iterable[Block]) -> tuple[Hashable, ...]:
    return tuple(block.key for block in blocks)


def _flat(blocks: Iterable[Iterable[Block]]) -> list[Block]:
    return [block for held in blocks for block in held]
