"""Markers: cache points put into the messages of a request, and what is known when they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from contextkit.caching.blocks import Block, Made, blocks_of
from contextkit.caching.points import Outlook, cut_probability, plan_points
from contextkit.errors import InputError
from contextkit.rendering import (
    Rendering,
    can_carry,
    carries_marker,
    with_marker,
)
from contextkit.tokens import RequestCounter
from contextkit.view import View

Messages = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Point:
    """A cache point of a request.

    Attributes:
        name: what ends there: `system`, `documents`, `summaries`, `last request`, `newest`; `spare`
            for one between the last two, `own` for one that came with the messages.
        block: its position in `Context.blocks`.
        message: the position of its message in the request.
        role: of the message.
        tokens: of the request up to there.
    """

    name: str
    block: int
    message: int
    role: str
    tokens: int

    def __str__(self) -> str:
        return f"{self.name} {self.tokens:,}"


@dataclass(frozen=True, slots=True)
class Marked:
    """The messages of a request with their markers.

    Attributes:
        messages: dicts without a marker of ours are shared with the view: read only.
        blocks: of the request, with `point` where a marker stands.
        points: the markers, those of the caller among them.
    """

    messages: Messages
    blocks: tuple[Block, ...]
    points: tuple[Point, ...]


def marked_request(
    view: View,
    rendering: Rendering,
    around: Mapping[str, Any],
    counter: RequestCounter,
    limit: int,
    *,
    fixed: int | None = None,
    made: Made | None = None,
) -> Marked:
    """The request that shows a view, with the markers that its cache is asked for by.

    Args:
        view: what it shows.
        rendering: what else it has.
        around: its other parameters that are counted, such as `tools`.
        counter: counts.
        limit: the most tokens that it may have.
        fixed: tokens of everything around view and documents.
        made: blocks that were made for other requests.
    """
    messages = rendering.messages(len(view.system), view.messages)
    tokens = view.counts
    tokens[len(view.system) : len(view.system)] = rendering.counts
    # Text has the same block in either form; as it came it is the same object in every request.
    request = {**around, "messages": rendering.with_documents(len(view.system), view.messages)}
    blocks = blocks_of(request, counter, fixed=fixed, tokens=tokens, made=made)
    return _marked(view, rendering, messages, blocks, limit)


def _marked(
    view: View, rendering: Rendering, messages: Messages, blocks: Sequence[Block], limit: int
) -> Marked:
    rules = rendering.rules
    if rules is None and not any([block.point for block in blocks]):  # noqa: C419 - quicker
        return Marked(messages, tuple(blocks), ())
    room = limit - sum(block.tokens for block in blocks)
    places = _places(messages, blocks)
    outlook = _outlook(view, rendering, messages, places, room)
    planned: tuple[int, ...] = ()
    if rules is not None:
        more = max(0, rendering.marked_tools - 1)  # the tools are one block, whatever they carry
        left = replace(rules, points=rules.points - more) if more else rules
        planned = plan_points(blocks, left, outlook)
    sent = list(messages)
    for position in planned:
        assert rules is not None  # noqa: S101 - else nothing is planned
        number, place = places[position]
        sent[number] = with_marker(sent[number], place, rules.marked())
    upto = list(accumulate(block.tokens for block in blocks))
    points = [
        Point("", position, places[position][0], block.role, upto[position])
        for position, block in enumerate(blocks)
        if position in planned or (block.point and position in places)
    ]
    newest = points[-1].block if points else -1
    named = (replace(point, name=_name(point.block, planned, outlook, newest)) for point in points)
    with_points = (
        replace(block, point=True) if position in planned else block
        for position, block in enumerate(blocks)
    )
    return Marked(sent, tuple(with_points), tuple(named))


def marked_for_reading(view: View, messages: Messages) -> Messages:
    """A summarizer's request with markers where earlier requests of the view had theirs.

    Args:
        messages: the messages of the view up to some place, rendered, and an instruction.
    """
    rules = view.rendering.rules
    if rules is None or not rules.marker:
        return messages
    head = len(view.system) + len(view.rendering.documents)
    before = _before_reply(messages[:-1], head)
    sent = list(messages)
    left = rules.points - view.rendering.marked_tools - _own(messages)
    for end in [head, before][: max(0, left)]:
        for number in range(end - 1, -1, -1):
            place = len(_parts(sent[number])) - 1
            fit = sent[number]["role"] in rules.carriers and can_carry(sent[number], place)
            if fit and not carries_marker(_parts(sent[number])[place]):
                sent[number] = with_marker(sent[number], place, rules.marked())
            if fit:
                break
    return sent


def marker_warnings(view: View, rendering: Rendering) -> tuple[str, ...]:
    """What is to be said about the markers that a caller has put into messages itself."""
    rules = rendering.rules
    if rules is None:
        return ()
    messages = rendering.messages(len(view.system), view.messages)
    said = [
        f"the marker beside the content of messages[{number}] does nothing: it belongs into a "
        "content block"
        for number, message in enumerate(messages)
        if carries_marker(message)
    ]
    own = rendering.marked_tools + _own(messages)
    if own and rules.points:
        more = f", of which only the last {rules.points} count" if own > rules.points else ""
        said.append(
            f"{own} tools and content blocks came with a cache marker{more}: they count "
            f"towards the {rules.points} that a request may have. Without them all are placed here"
        )
    return tuple(said)


def check_own(view: View, rendering: Rendering) -> None:
    """That a caller has not put more markers into messages than the provider takes.

    Raises:
        InputError: when the provider would refuse the request.
    """
    rules = rendering.rules
    if rules is None or rules.overflow != "error" or not rules.points:
        return
    own = rendering.marked_tools + _own((*rendering.documents, *view.messages))
    if own > rules.points:
        raise InputError(
            f"{own} tools and content blocks have a cache marker, and the provider refuses a "
            f"request with more than {rules.points}. Leave them out: they are placed here",
            place="messages",
        )


def _own(messages: Sequence[dict[str, Any]]) -> int:
    return sum(carries_marker(part) for message in messages for part in _parts(message))


def _parts(message: dict[str, Any]) -> list[Any]:
    """The content parts, one block each: also one where there is no content, or only text."""
    content = message.get("content")
    return content if isinstance(content, list) and content else [content]


def _places(messages: Messages, blocks: Sequence[Block]) -> dict[int, tuple[int, int]]:
    """By position of a block: the message and the part that it is."""
    position = 1 if blocks and blocks[0].role == "tools" else 0
    places = {}
    for number, message in enumerate(messages):
        for place in range(len(_parts(message))):
            places[position] = (number, place)
            position += 1
    return places


def _outlook(
    view: View,
    rendering: Rendering,
    messages: Messages,
    places: dict[int, tuple[int, int]],
    room: int,
) -> Outlook:
    """What the view tells of the requests to come."""
    system = len(view.system)
    head = system + len(rendering.documents)
    standing = head
    for group in view.groups:
        if group.kind != "summary" and not group.pinned:
            break
        standing += len(group.entries)
    stable = len(messages)
    last = messages[-1] if messages else {}
    if last.get("role") == "assistant":  # a reply that is to be continued
        stable -= 1
    first = min(places, default=0)
    # Blocks up to the end of so many messages.
    ends = list(accumulate((len(_parts(message)) for message in messages), initial=first))
    return Outlook(
        system=ends[system],
        documents=ends[head],
        standing=ends[standing],
        previous=ends[_before_reply(messages, head)],
        stable=ends[stable],
        cut=cut_probability(room, view.body_tokens / (view.steps + 1)),
        fit=frozenset(
            position
            for position, (number, place) in places.items()
            if can_carry(messages[number], place)
        ),
    )


def _before_reply(messages: Messages, head: int) -> int:
    """How many messages the request had to which the last reply came; 0 without a reply."""
    for number in range(len(messages) - 1, head - 1, -1):
        if messages[number]["role"] == "assistant":
            return number
    return 0


def _name(position: int, planned: Sequence[int], outlook: Outlook, newest: int) -> str:
    """What ends at a point."""
    if position not in planned:
        return "own"
    for name, end in (
        ("system", outlook.system),
        ("documents", outlook.documents),
        ("summaries", outlook.standing),
        ("last request", outlook.previous),
    ):
        if position < end:
            return name
    return "newest" if position == newest else "spare"
