"""Edit: one recorded change of what the model sees. Decision: the edits of one decision point.

An edit hides some messages and shows something in their place; either may be empty:

    kind        covers             shows             where
    drop        whole groups       nothing
    summary     whole groups       one message       where the first covered message stood
    clear       one message        a shorter one     where it stood
    clamp       one tool result    a shorter one     where it stood (before it was ever sent)
    reasoning   one assistant      the same, less    where it stood (before it was ever sent)
    mend        one assistant      the same, less    where it stood (before it was ever sent)
    move        one late result    the same          behind its call, `at`
    set aside   one message        nothing
    stub        nothing            a tool result     behind its call, `at`
    insert      nothing            one text part     at the end of the user message `at`

Messages are named by their number in the conversation, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from contextkit.errors import EditError, MessageError
from contextkit.messages import Message, copy_json

ONE_TO_ONE = frozenset({"clear", "clamp", "reasoning", "mend", "move"})


KINDS = ONE_TO_ONE | {"drop", "summary", "set aside", "stub", "insert"}

_PLURALS = {
    "summary": "summaries",
    "reasoning": "reasoning",
    "set aside": "set aside",
}


def kind_words(kinds: Iterable[str]) -> str:
    """How many edits of each kind, in words: `1 drop, 2 summaries`."""
    given = list(kinds)
    counted = {kind: given.count(kind) for kind in dict.fromkeys(given)}
    return ", ".join(
        f"{count:,} {kind if count == 1 else _PLURALS.get(kind, f'{kind}s')}"
        for kind, count in counted.items()
    )


def last_words(count: int, what: str) -> str:
    """`the last turn`, `the last 3 turns`."""
    return f"the last {what}" if count == 1 else f"the last {count:,} {what}s"


_MOST_COVERED = 1_000_000
"""Messages; more would be a range made up to fill the memory."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One change of what the model sees.

    Attributes:
        kind: what sort of change; the table above.
        covers: numbers of the messages it hides, ascending.
        shows: message dicts shown in their place (an insert: a text part). Read, never write.
        at: the message that an edit without `covers` belongs to; for a `move`, the call.
        reason: why, in words, for the report.
        by: the strategy that proposed it.
        provenance: where shown content comes from (sources, model, hashes), as JSON data.
    """

    kind: str
    covers: tuple[int, ...] = ()
    shows: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    at: int | None = None
    reason: str = ""
    by: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def to_json(self) -> dict[str, Any]:
        """As JSON data; covered numbers as ranges `[first, last]`."""
        data: dict[str, Any] = {"kind": self.kind}
        if self.covers:
            data["covers"] = _ranges(self.covers)
        if self.shows:
            data["shows"] = [copy_json(shown) for shown in self.shows]
        if self.at is not None:
            data["at"] = self.at
        for key in ("reason", "by"):
            if getattr(self, key):
                data[key] = getattr(self, key)
        if self.provenance:
            data["provenance"] = copy_json(dict(self.provenance))
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Edit:
        """Read what `to_json` wrote.

        Raises:
            EditError: when it is not an edit.
        """
        try:
            kind, covers, shows = data["kind"], data.get("covers", []), data.get("shows", [])
            texts, at = [data.get(key, "") for key in ("reason", "by")], data.get("at")
            provenance = data.get("provenance", {})
            if kind not in KINDS or not all(isinstance(text, str) for text in texts):
                raise EditError(f"not an edit: of kind {kind!r:.60}")
            if not isinstance(shows, list) or not isinstance(provenance, Mapping):
                raise EditError(f"not an edit: a {kind} shows {shows!r:.60}")
            if not (at is None or type(at) is int) or not all(
                type(first) is type(last) is int and 0 <= first <= last for first, last in covers
            ):
                raise EditError(f"not an edit: a {kind} names messages by their numbers")
            if sum(last - first for first, last in covers) > _MOST_COVERED:
                raise EditError(f"not an edit: a {kind} covers more than a conversation can hold")
            for shown in shows:
                part = kind == "insert"
                Message.of({"role": "user", "content": [shown]} if part else shown, place=kind)
                if part and not isinstance(shown.get("text"), str):
                    raise EditError("not an edit: an insert shows a text part")
            if len(shows) != (kind not in ("drop", "set aside")):
                raise EditError(f"not an edit: a {kind} shows {len(shows)} messages")
            return cls(
                kind=kind,
                covers=tuple(n for first, last in covers for n in range(first, last + 1)),
                shows=tuple(shows),
                at=at,
                reason=texts[0],
                by=texts[1],
                provenance=provenance,
            )
        except (KeyError, TypeError, ValueError, AttributeError, MessageError) as error:
            raise EditError(f"not an edit: {error!r}") from error


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at one decision point: the edits, in the order they apply.

    Attributes:
        view: the name of the view that it belongs to.
        point: how many messages there were; it stands before the message of that number.
        edits: may be empty: that nothing was changed is a decision too.
        settings: the hash of the settings that it was made with.
        tail: the number of the user message whose tail was decided here, if one was.
        time: seconds since the epoch, where the schedule has a clock.
        failures: what was passed over, and why, in words.
    """

    view: str
    point: int
    edits: tuple[Edit, ...] = ()
    settings: str = ""
    tail: int | None = None
    time: float | None = None
    failures: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON data, without what is absent."""
        data: dict[str, Any] = {"view": self.view, "point": self.point}
        if self.edits:
            data["edits"] = [edit.to_json() for edit in self.edits]
        for key in ("settings", "tail", "time"):
            if getattr(self, key) not in (None, ""):
                data[key] = getattr(self, key)
        if self.failures:
            data["failures"] = list(self.failures)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Decision:
        """Read what `to_json` wrote.

        Raises:
            EditError: when it is not a decision.
        """
        try:
            point, time, tail = data["point"], data.get("time"), data.get("tail")
            if type(point) is not int or not (tail is None or type(tail) is int):
                raise EditError("not a decision: messages are named by their numbers")
            if not (time is None or (type(time) in (int, float) and isfinite(time))):
                raise EditError(f"not a decision: time {time!r:.60}")
            for text in (data["view"], data.get("settings", ""), *data.get("failures", ())):
                if not isinstance(text, str):
                    raise EditError(f"not a decision: {text!r:.60} is no text")
            return cls(
                view=data["view"],
                point=point,
                edits=tuple(Edit.from_json(edit) for edit in data.get("edits", ())),
                settings=data.get("settings", ""),
                tail=tail,
                time=time,
                failures=tuple(data.get("failures", ())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise EditError(f"not a decision: {error!r}") from error


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
