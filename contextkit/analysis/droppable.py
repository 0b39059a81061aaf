"""Droppable: what dropping the oldest turns would leave of a conversation, at each of its requests.

The same cut as `DropOldest` makes in a builder, by arithmetic on token counts. What a cut leaves
depends on its request alone and not on the cuts before it, as long as there was anything to drop:
turns go whole and from the oldest on, down to the same target.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from contextkit.analysis.policies import Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.caching.places import OPENING
from contextkit.groups import Group
from contextkit.history import MAIN, History
from contextkit.phases import Phases
from contextkit.profiles import CacheRules
from contextkit.rendering import can_carry
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
        replies: by request, of its reply where the next request repeats it unchanged, else 0.
        left: by request, what a cut leaves; None where there is nothing to drop.
        sums: of the first 0, 1, 2, … groups.
        ends: by request, how many groups it has uncut.
    """

    limit: int
    target: int
    opening: int
    head: int
    marked: int
    body: list[int] = field(default_factory=list)
    unmarked: list[int] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)
    left: list[Left | None] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def common(self, before: Left, after: Left) -> int:
        """Tokens behind the system block that requests behind two cuts begin with alike."""
        tokens = 0
        for number, position in enumerate(after.first):
            held = len(before.first)
            other = before.first[number] if number < held else before.rest + number - held
            if other != position:
                break
            tokens += self.sums[position + 1] - self.sums[position]
        return tokens


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
    )
    starts = [group.start for group in groups]
    pins = [position for position, group in enumerate(groups) if group.pinned]
    for point in points:
        end = bisect_left(starts, point)
        found.ends.append(end)
        found.body.append(found.sums[end])
        found.unmarked.append(_unmarked(groups[:end], rules))
        found.left.append(_left(found, groups, pins, end))
        reply = groups[end].entries[0] if end < len(groups) else None
        kept = reply is not None and reply.numbers == (point,) and reply.edit is None
        found.replies.append(reply.tokens if reply is not None and kept else 0)
    return found


def _left(found: Droppable, groups: Sequence[Group], pins: list[int], end: int) -> Left | None:
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
    held.update(pins[: bisect_left(pins, end)])
    room = found.target - sum(groups[n].tokens for n in held)
    rest = _back(held, end)
    steps = [(n, n + 1) for n in reversed(own) if n not in held]
    for start, stop in (*steps, *_turns(groups, running)):
        tokens = sum(groups[n].tokens for n in range(start, stop) if not groups[n].pinned)
        if tokens > room:
            break
        room -= tokens
        rest = _back(held, start)
    else:
        return None
    if room < 0:
        _drop_last_turn(found, groups, held, running, end)
        rest = _back(held, end)
    first = tuple(sorted(n for n in held if n < rest))
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
