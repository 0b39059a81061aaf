"""Droppable: what dropping the oldest turns would leave of a conversation, at each of its requests.

The same cut as `DropOldest` makes in a builder, by arithmetic on token counts. What a cut leaves
depends on its request alone and not on the cuts before it, as long as there was anything to drop:
turns go whole and from the oldest on, down to the same target.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from contextkit.analysis.policies import Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.caching.blocks import blocks_of
from contextkit.caching.places import OPENING
from contextkit.groups import Group
from contextkit.history import MAIN, History
from contextkit.phases import Phases
from contextkit.profiles import CacheRules
from contextkit.rendering import can_carry
from contextkit.tokens import RequestCounter
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Left:
    """What a cut leaves behind the system block.

    Attributes:
        first: positions of groups that stay although later ones go: pins, the running turn's task.
        rest: from this position on all stay.
        tokens: of both.
    """

    first: tuple[int, ...]
    rest: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Droppable:
    """A conversation as it is cut. Tokens; requests by number, groups by position.

    Attributes:
        limit: of a request.
        target: behind the system block, that a cut comes down to.
        opening: that the request ends with, in no cache.
        head: of the whole request but for what stands behind the system block.
        marked: of the request up to where a cache point can stand in its head; 0 for nowhere.
        body: by request, behind the system block where nothing was ever dropped.
        unmarked: by request, at its end, behind the last place where a cache point can stand.
        newest: by request, from its last assistant message on.
        replies: by request, of its reply where the next request repeats it unchanged, else 0.
        left: by request, what a cut leaves; None where there is nothing to drop.
        ends: by request, how many groups it has uncut.
        sums: of the first 0, 1, 2, … groups.
        alike: by group, a number that is the same for groups that say the same.
        pins: the groups that never go.
    """

    limit: int
    target: int
    opening: int
    head: int
    marked: int
    body: list[int] = field(default_factory=list)
    unmarked: list[int] = field(default_factory=list)
    newest: list[int] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)
    left: list[Left | None] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    alike: list[int] = field(default_factory=list)
    pins: list[int] = field(default_factory=list)

    def position(self, left: Left, number: int) -> int:
        """The group that stands in a place behind the system block, after a cut."""
        first = left.first
        return first[number] if number < len(first) else left.rest + number - len(first)

    def common(self, before: Left, until: int, after: Left, end: int) -> tuple[list[int], bool]:
        """What requests behind two cuts have in common behind the system block.

        Args:
            before: what the earlier cut left, with all that came until the later one.
            until: how many groups there were by then.
            after: what the later cut leaves.
            end: how many groups there are with those of its request.

        Returns:
            Tokens of the first 1, 2, … groups in common, and whether they are the same groups; else
            some only say the same.
        """
        tokens: list[int] = []
        total, same = 0, True
        for number in range(end):
            mine, other = self.position(after, number), self.position(before, number)
            if mine >= end or other >= until or self.alike[mine] != self.alike[other]:
                break
            same = same and mine == other
            total += self.sums[mine + 1] - self.sums[mine]
            tokens.append(total)
        return tokens, same


NOTHING_DROPPED = Left((), 0, 0)


def droppable(transcript: Transcript, setting: Setting) -> Droppable:
    """Lay out what can be dropped of a conversation.

    Raises:
        ContextKitError: when a message can be sent to nobody.
    """
    counter, profile, rules = setting.counter, setting.profile, setting.rules
    builder = ContextBuilder(
        profile.name, profile=profile, tools=transcript.tools, counter=counter.counter
    )
    plan = builder.plans.first
    phases = Phases.of((), (), (), profile.reasoning)
    history = History(transcript.messages)
    view = View(history, MAIN, counter.message)
    points = points_of(transcript)
    for point in points:
        view.extend(point)
        phases.arrive(view, [])
        view.pass_point(point)
    groups = view.groups
    head = plan.fixed + view.system_tokens
    opening = counter.fixed()
    found = Droppable(
        limit=setting.limit,
        target=Budget(setting.limit, setting.target).goal_tokens(head, 0),
        opening=opening,
        head=head,
        marked=_marked(view, rules, plan.fixed - opening),
        sums=[0, *accumulate(group.tokens for group in groups)],
        alike=_alike(groups, counter),
        pins=[position for position, group in enumerate(groups) if group.pinned],
    )
    starts = [group.start for group in groups]
    for point in points:
        end = bisect_left(starts, point)
        found.ends.append(end)
        found.body.append(found.sums[end])
        found.unmarked.append(_unmarked(groups[:end], rules))
        found.left.append(_left(found, groups, end))
        step = next((n for n in range(end - 1, -1, -1) if groups[n].kind == "step"), end)
        found.newest.append(found.sums[end] - found.sums[step])
        reply = groups[end].entries[0] if end < len(groups) else None
        kept = reply is not None and reply.numbers == (point,) and reply.edit is None
        found.replies.append(reply.tokens if reply is not None and kept else 0)
    return found


def _alike(groups: Sequence[Group], counter: RequestCounter) -> list[int]:
    numbers: dict[tuple[Hashable, ...], int] = {}
    return [
        numbers.setdefault(
            tuple(
                block.key
                for entry in group.entries
                for block in blocks_of({"messages": [entry.data]}, counter, tokens=[0])[:-1]
            ),
            len(numbers),
        )
        for group in groups
    ]


def _left(found: Droppable, groups: Sequence[Group], end: int) -> Left | None:
    """What a cut leaves of the first groups."""
    if found.sums[end] <= found.target:
        return None
    last_step = next((n for n in range(end - 1, -1, -1) if groups[n].kind == "step"), -1)
    turn = groups[last_step if last_step >= 0 else end - 1].turn
    running = end
    while running and groups[running - 1].turn >= turn:
        running -= 1
    own = [n for n in range(running, end) if not groups[n].pinned]
    held = {n for n in own if groups[n].kind == "user" or n == last_step}
    held.update(found.pins[: bisect_left(found.pins, end)])
    room = found.target - sum(groups[n].tokens for n in held)
    rest = _back(held, end)
    steps = [(n, n + 1) for n in reversed(own) if n not in held]
    for start, stop in (*steps, *_turns(groups, running)):
        tokens = sum(groups[n].tokens for n in range(start, stop) if not groups[n].pinned)
        if tokens > room:
            break
        room -= tokens
        rest = _back(held, start)
    if room < 0:
        _drop_last_turn(found, groups, held, running, end)
        rest = _back(held, end)
    if len(held) == end:
        return None
    first = tuple(sorted(n for n in held if n < rest))
    if len(first) == rest:
        return None
    return Left(
        first, rest, sum(groups[n].tokens for n in first) + found.sums[end] - found.sums[rest]
    )


def _back(held: set[int], start: int) -> int:
    """Where the stretch of groups begins that ends before a position and stays in any case."""
    while start - 1 in held:
        start -= 1
    return start


def _turns(groups: Sequence[Group], end: int) -> Iterator[tuple[int, int]]:
    """Where finished turns begin and end, the newest first."""
    while end:
        start = end - 1
        while start and groups[start - 1].turn == groups[end - 1].turn:
            start -= 1
        yield start, end
        end = start


def _drop_last_turn(
    found: Droppable, groups: Sequence[Group], held: set[int], running: int, end: int
) -> None:
    """What goes besides before a request is refused: the turns before the newest."""
    newest = next((n for n in range(end - 1, -1, -1) if groups[n].kind == "user"), 0)
    over = found.head + sum(groups[n].tokens for n in held) - found.limit
    before = [n for n in range(running, newest) if n in held and not groups[n].pinned]
    for turn in dict.fromkeys(groups[n].turn for n in before):
        if over <= 0:
            return
        going = [n for n in before if groups[n].turn == turn]
        over -= sum(groups[n].tokens for n in going)
        held.difference_update(going)


def _marked(view: View, rules: CacheRules | None, tools: int) -> int:
    """Tokens of tools and system block up to where a cache point can stand."""
    marked, tokens = 0, tools
    for entry in view.system:
        tokens += entry.tokens
        if rules is not None and entry.role in rules.carriers and can_carry(entry.data, 0):
            marked = tokens
    return marked


def _unmarked(groups: Sequence[Group], rules: CacheRules | None) -> int:
    """Tokens behind the last message that can carry a cache point."""
    tokens = 0
    for group in reversed(groups):
        for entry in reversed(group.entries):
            if rules is None or _carries(entry.role, entry.data, rules):
                return tokens
            tokens += entry.tokens
    return tokens


def _carries(role: str, data: dict[str, Any], rules: CacheRules) -> bool:
    if rules.carriers and role not in rules.carriers:
        return False
    if rules.automatic:  # placed by the provider, on empty text as well
        return role not in OPENING
    content = data.get("content")
    last = len(content) - 1 if isinstance(content, list) and content else 0
    return can_carry(data, last)
