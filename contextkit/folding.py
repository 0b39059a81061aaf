"""Fold: the state that messages and recorded edits fold into, kept incrementally.

One rule folds an edit: what it covers goes, with every earlier edit that it covers whole; what it
shows stands where the first covered message stood, or at the message `at`. A fold is advanced
message by message and never looks back, so that it costs what is new.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Self

from contextkit.edits import ONE_TO_ONE, Decision, Edit
from contextkit.errors import EditError
from contextkit.grammar import is_leading_system, needs_mending
from contextkit.groups import Entry, Group, Span
from contextkit.history import History
from contextkit.messages import REASONING_FIELDS, SYSTEM_ROLES, Message, call_ids
from contextkit.rendering import Rendering

CountMessage = Callable[[Mapping[str, Any]], int]
Pin = Callable[[Mapping[str, Any]], bool]
"""Whether a message inside the history is protected; it gets the message as a dict."""


def pin_system(message: Mapping[str, Any]) -> bool:
    """The default: system messages inside the history are pinned."""
    return message["role"] in SYSTEM_ROLES


class Fold:
    """What messages and recorded edits amount to at one point of a history.

    Attributes:
        name: the name of the view.
        seen: how many messages are folded in.
        applied: how many recorded decisions are folded in.
        point: the last decision point that was passed, recorded or not.
        system: the leading system block, one entry a message.
        groups: everything behind it, in order.
        system_tokens, body_tokens: tokens of the two.
        turn: the number of the newest turn; -1 before the first.
        steps: how many steps the view holds.
        standing_tokens: the part of `body_tokens` that stays through a cut: summaries and pins.
        summarized: the last message that a summary was made of; -1 before the first.
        last_user: the number of the last user message.
        tail: the last user message whose tail was decided.
        hidden: the live edits that show nothing.
        interrupted: starts of steps with open calls behind which something stands, since `point`.
        unplaced: results that do not stand behind their call.
        attention: assistant messages since `point` that arrival has to look at.
        tools: the tools that the request carries.
        rendering: what else it has that the view has not.
        sent: the array as it is sent; None when it has to be made again.
        kept: by target, where `View.newest_turns` stopped, and the tokens before.
        spans: what `View.free` found; None when it has to look again.
        open_numbers: the numbers of the messages in it; the same while edits are one to one.
        room: the most tokens that the messages of a summarizer's request may take.
        formatted: whether requests have a response format that is a part of the prefix.
    """

    def __init__(
        self, history: History, name: str, count: CountMessage, pin: Pin = pin_system
    ) -> None:
        self.history = history
        self.name = name
        self.count = count
        self.pin = pin
        self.seen = 0
        self.applied = 0
        self.point = 0
        self.system: list[Entry] = []
        self.groups: list[Group] = []
        self.system_tokens = 0
        self.body_tokens = 0
        self.turn = -1
        self.steps = 0
        self.standing_tokens = 0
        self.tools: tuple[dict[str, Any], ...] = ()
        self.rendering = Rendering()
        self.room: int | None = None
        self.formatted = False
        self.summarized = -1
        self.last_user: int | None = None
        self.tail: int | None = None
        self.hidden: list[Edit] = []
        self.interrupted: list[int] = []
        self.unplaced: list[int] = []
        self.attention: list[int] = []
        self.sent: list[dict[str, Any]] | None = []
        self.spans: tuple[Span, ...] | None = None
        self.open_numbers: frozenset[int] | None = None
        self.kept: dict[int, tuple[int, int]] = {}

    # -- reading ---------------------------------------------------------------------------

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The array as it is sent. The view's own list of shared dicts: read only."""
        if self.sent is None:
            self.sent = [entry.data for entry in self.entries]
        return self.sent

    @property
    def entries(self) -> list[Entry]:
        """All messages of the array, the system block included."""
        return [*self.system, *(entry for group in self.groups for entry in group.entries)]

    @property
    def counts(self) -> list[int]:
        """Tokens of each message of the array."""
        counts = [entry.tokens for entry in self.system]
        counts += [entry.tokens for group in self.groups for entry in group.entries]
        return counts

    @property
    def tokens(self) -> int:
        """Tokens of the messages, without tools and what else stands around them."""
        return self.system_tokens + self.body_tokens

    def group_of(self, number: int) -> int:
        """The position of the group that stands for a message.

        Raises:
            EditError: when no group does.
        """
        position = bisect_right(self.groups, number, key=lambda group: group.start) - 1
        if position >= 0 and number in self.groups[position].numbers:
            return position
        for position, group in enumerate(self.groups):
            if number in group.numbers:
                return position
        raise EditError(f"message {number} is not in the view {self.name!r}")

    # -- folding ---------------------------------------------------------------------------

    def advance(self, to: int) -> None:
        """Fold in the messages up to number `to`, and the decisions that stand before them."""
        decisions = self.history.decisions(self.name)
        while self.applied < len(decisions) and decisions[self.applied].point <= to:
            decision = decisions[self.applied]
            self.extend(decision.point)
            self.apply_decision(decision)
        self.extend(to)

    def extend(self, to: int) -> None:
        """Fold in the messages up to number `to`, as they are."""
        messages = self.history.messages
        for number in range(self.seen, to):
            self._take(number, messages[number])

    def _take(self, number: int, message: Message) -> None:
        role = message.role
        if role == "tool":
            self._take_result(number, message)
            self.seen = number + 1
            return
        # What is asked of the user's own callables comes first: where one fails, nothing is taken.
        tokens = self.count(message.data)
        if is_leading_system(role, bool(self.groups)):
            self.system.append(Entry((number,), message.data, tokens))
            self.system_tokens += tokens
            if self.sent is not None:
                self.sent.append(message.data)
            self.seen = number + 1
            return
        pinned = message.pinned or self.pin(message.data)
        self.seen = number + 1
        groups = self.groups
        if groups and groups[-1].open:
            self.interrupted.append(groups[-1].start)
        if role == "user":
            self.turn += 1
            self.last_user = number
        elif role == "assistant":
            self.steps += 1
            data = message.data
            if needs_mending(data) or any(key in data for key in REASONING_FIELDS):
                self.attention.append(number)
        groups.append(Group.of(number, message, tokens, self.turn, pinned=pinned))
        self.body_tokens += tokens
        if pinned:
            self.standing_tokens += tokens
        if self.sent is not None:
            self.sent.append(message.data)
        self.spans = self.open_numbers = None

    def _take_result(self, number: int, message: Message) -> None:
        last = self.groups[-1] if self.groups else None
        if last is None or message.data["tool_call_id"] not in last.open:
            self.unplaced.append(number)
            return
        entry = Entry((number,), message.data, self.count(message.data))
        pinned = message.pinned or self.pin(message.data)
        self._put(len(self.groups) - 1, last.with_result(entry, pinned=pinned))
        if self.sent is not None:
            self.sent.append(message.data)
        self.spans = self.open_numbers = None

    def apply_decision(self, decision: Decision) -> None:
        """Fold in one recorded decision."""
        for edit in decision.edits:
            self.apply(edit)
        if decision.tail is not None:
            self.tail = decision.tail
        self.pass_point(decision.point)
        self.applied += 1

    def pass_point(self, point: int) -> None:
        """Go beyond a decision point: what stands there now counts as sent."""
        self.point = point
        if self.attention:
            self.attention = []
        if self.interrupted:
            self.interrupted = []

    def apply(self, edit: Edit) -> list[Edit]:
        """Fold in one edit, and give the earlier edits that it replaces.

        Raises:
            EditError: when it would break an invariant; the view is as it was.
        """
        replaced = self._check_cover(edit)
        if edit.kind == "stub":
            self._place_result(edit, Entry((), edit.shows[0], self.count(edit.shows[0]), edit))
        elif edit.kind == "move":
            number = edit.covers[0]
            self._place_result(
                edit, Entry((number,), edit.shows[0], self.count(edit.shows[0]), edit)
            )
            self.unplaced.remove(number)
        elif edit.kind == "insert":
            self._insert(edit)
        elif edit.kind in ONE_TO_ONE:
            position, place = self._find(edit)
            entry = self.groups[position].entries[place]
            shown = Entry(
                entry.numbers, edit.shows[0], self.count(edit.shows[0]), edit, entry.inserts
            )
            self._put(position, self.groups[position].with_entry(place, shown))
        else:
            self._remove(edit)
        self.sent = None
        self.spans = None
        if edit.kind not in ONE_TO_ONE or edit.kind == "move":
            self.open_numbers = None
        self.kept = {}
        return replaced

    def _check_cover(self, edit: Edit) -> list[Edit]:
        """That the edit covers the whole of what it touches; the earlier edits that it replaces."""
        covers = set(edit.covers)
        if any(not 0 <= number < self.seen for number in edit.covers):
            raise EditError(f"{edit.kind} covers messages beyond the {self.seen} of the view")
        replaced = []
        for hidden in self.overlapping(edit.covers):
            if not covers.issuperset(hidden.covers):
                raise EditError(f"{edit.kind} covers half of an earlier {hidden.kind}")
            replaced.append(hidden)
        if edit.kind in ONE_TO_ONE and (len(edit.covers) != 1 or len(edit.shows) != 1):
            raise EditError(f"a {edit.kind} is one to one")
        if edit.kind in ("drop", "summary"):
            if not covers:
                raise EditError(f"a {edit.kind} covers at least one message")
            for group in self.groups:
                if covers.isdisjoint(group.numbers):
                    continue
                if not covers.issuperset(group.numbers):
                    raise EditError(
                        f"{edit.kind} covers {sorted(covers & set(group.numbers))}, only a part of "
                        f"the group {list(group.numbers)}"
                    )
                for entry in group.entries:
                    replaced += [entry.edit] if entry.edit else []
                    replaced += entry.inserts
        elif edit.kind in ONE_TO_ONE and edit.kind != "move":
            position, place = self._find(edit)
            earlier = self.groups[position].entries[place].edit
            replaced += [earlier] if earlier else []
        return replaced

    def _find(self, edit: Edit) -> tuple[int, int]:
        """Where the message that a one-to-one edit covers stands: group, entry."""
        position = self.group_of(edit.covers[0])
        for place, entry in enumerate(self.groups[position].entries):
            if entry.numbers == edit.covers:
                return position, place
        raise EditError(f"a {edit.kind} cannot touch a part of a summary")

    def overlapping(self, numbers: Sequence[int]) -> list[Edit]:
        """The live edits that hide any of some messages (ascending)."""
        if not numbers:
            return []
        first, last, wanted = numbers[0], numbers[-1], set(numbers)
        # The ends tell most apart, so that a cut does not cost what was ever dropped before.
        return [
            held
            for held in self.hidden
            if held.covers[0] <= last
            and held.covers[-1] >= first
            and not wanted.isdisjoint(held.covers)
        ]

    def _place_result(self, edit: Edit, entry: Entry) -> None:
        position = self.group_of(-1 if edit.at is None else edit.at)
        if self.groups[position].kind != "step":
            raise EditError(f"a {edit.kind} belongs behind a tool call")
        if entry.data["tool_call_id"] not in self.groups[position].open:
            raise EditError(f"a {edit.kind} for a call that has its result")
        pinned = self._pinned(entry)
        self._put(position, self.groups[position].with_result(entry, pinned=pinned))

    def _insert(self, edit: Edit) -> None:
        position = self.group_of(-1 if edit.at is None else edit.at)
        group = self.groups[position]
        entry = group.entries[0]
        if group.kind != "user":
            raise EditError("an insert belongs to a user message")
        data = with_part(entry.data, edit.shows[0])
        shown = Entry(entry.numbers, data, self.count(data), entry.edit, (*entry.inserts, edit))
        self._put(position, group.with_entry(0, shown))

    def _put(self, position: int, group: Group) -> None:
        self._count_in(self.groups[position], -1)
        self._count_in(group, 1)
        self.groups[position] = group

    def _count_in(self, group: Group, sign: int) -> None:
        """Count a group in (1), or out (-1)."""
        tokens = sign * group.tokens
        self.body_tokens += tokens
        if group.pinned or group.kind == "summary":
            self.standing_tokens += tokens

    def _remove(self, edit: Edit) -> None:
        """Take out whole groups (or a result that stands nowhere), and show a summary if any."""
        covers = set(edit.covers)
        self.unplaced = [number for number in self.unplaced if number not in covers]
        for held in self.overlapping(edit.covers):
            self.hidden.remove(held)
        kept = []
        for group in self.groups:
            if covers.isdisjoint(group.numbers):
                kept.append(group)
            else:
                self._count_in(group, -1)
                self.steps -= group.kind == "step"
        if edit.shows:
            self.summarized = max(self.summarized, edit.covers[-1])
            start = edit.covers[0]
            position = bisect_left(kept, start, key=lambda group: group.start)
            entry = Entry(edit.covers, edit.shows[0], self.count(edit.shows[0]), edit)
            turn = kept[position - 1].turn if position else -1
            kept.insert(position, Group("summary", start, turn, (entry,), entry.tokens))
            self._count_in(kept[position], 1)
        else:
            self.hidden.append(edit)
        self.groups = kept

    # -- copies ----------------------------------------------------------------------------

    def copy(self, history: History | None = None) -> Self:
        """A fold of its own at the same point; groups and entries are shared."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.history = self.history if history is None else history
        other.sent = None if self.sent is None else self.sent[:]
        other.system, other.groups = self.system[:], self.groups[:]
        other.hidden, other.interrupted = self.hidden[:], self.interrupted[:]
        other.unplaced, other.attention = self.unplaced[:], self.attention[:]
        other.kept = dict(self.kept)
        return other

    def forked(self, history: History, at: int) -> Self | None:
        """The fold over the first `at` messages, where nothing but plain messages lies behind."""
        decisions = self.history.decisions(self.name)
        point = attrgetter("point")
        applied = bisect_right(decisions, at, hi=self.applied, key=point)
        if (
            any(decision.edits for decision in decisions[applied : self.applied])
            or at < len(self.system)
            or (self.groups and at <= self.groups[0].start < self.seen)
            or self.unplaced
            or self.interrupted
            or self.attention
        ):
            return None
        other = self.copy(history)
        other.applied = applied
        if at < self.seen:
            other.rewind(at)
            tails = (d.tail for d in reversed(decisions[:applied]) if d.tail is not None)
            other.tail = next(tails, None)
            other.point = min(self.point, at)
            # Back to a point that was passed: one stands before each assistant message.
            recorded = {decision.point for decision in decisions[:applied]}
            messages = self.history.messages
            while other.point and not (
                messages[other.point].role == "assistant" or other.point in recorded
            ):
                other.point -= 1
        return other

    def _pinned(self, entry: Entry) -> bool:
        held = (self.history.messages[number] for number in entry.numbers)
        return any(message.pinned or self.pin(message.data) for message in held)

    def rewind(self, at: int) -> None:
        """Take back the messages from number `at` on, none of which an edit has touched."""
        groups = self.groups
        while groups and groups[-1].start >= at:
            self._count_in(groups[-1], -1)
            self.steps -= groups[-1].kind == "step"
            groups.pop()
        if groups and any(entry.number >= at for entry in groups[-1].entries):
            last = groups.pop()
            call = last.entries[0]
            pinned = self._pinned(call)
            step = replace(
                last, entries=(call,), tokens=call.tokens, pinned=pinned, open=call_ids(call.data)
            )
            for entry in last.entries[1:]:
                if entry.number < at:
                    step = step.with_result(entry, pinned=self._pinned(entry))
            groups.append(step)
            self._count_in(last, -1)
            self._count_in(step, 1)
        self.seen = at
        users = (group for group in reversed(groups) if group.kind == "user")
        newest = next(users, None)
        self.last_user = newest.start if newest else None
        self.turn = groups[-1].turn if groups else -1
        if self.tail is not None and self.tail >= at:
            self.tail = None
        self.sent = None
        self.spans = self.open_numbers = None
        self.kept = {}


def with_part(data: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The message with a text part at its end: as text where the content is text."""
    content = data.get("content")
    if isinstance(content, str):
        return {**data, "content": f"{content}\n\n{part['text']}"}
    return {**data, "content": [*(content or ()), dict(part)]}
