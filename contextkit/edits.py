"""Edit: one recorded change of what the model sees. Decision: the edits of one decision point.

An edit hides some messages and shows something in their place; either may be empty:

    kind        covers             shows             where
    drop        whole groups       nothing
    summary     whole groups       one message       where the first covered message stood
    clear       one tool result    a shorter one     where it stood
    clamp       one tool result    a shorter one     where it stood (before it was ever sent)
    reasoning   one assistant      the same, less    where it stood (before it was ever sent)
    move        one late result    the same          behind its call, `at`
    set aside   one message        nothing
    stub        nothing            a tool result     behind its call, `at`
    insert      nothing            one text part     at the end of the user message `at`

Messages are named by their number in the conversation, counted from 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contextkit.errors import EditError
from contextkit.messages import copy_json

ONE_TO_ONE = frozenset({"clear", "clamp", "reasoning", "move"})


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
            return cls(
                kind=data["kind"],
                covers=tuple(
                    number
                    for first, last in data.get("covers", ())
                    for number in range(first, last + 1)
                ),
                shows=tuple(data.get("shows", ())),
                at=data.get("at"),
                reason=data.get("reason", ""),
                by=data.get("by", ""),
                provenance=data.get("provenance", {}),
            )
        except (KeyError, TypeError, ValueError) as error:
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
            return cls(
                view=data["view"],
                point=data["point"],
                edits=tuple(Edit.from_json(edit) for edit in data.get("edits", ())),
                settings=data.get("settings", ""),
                tail=data.get("tail"),
                time=data.get("time"),
                failures=tuple(data.get("failures", ())),
            )
        except (KeyError, TypeError) as error:
            raise EditError(f"not a decision: {error!r}") from error


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ranges
