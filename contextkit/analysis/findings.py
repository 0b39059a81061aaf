"""What a probe found out about a provider's cache: as rows, as JSON, as lines for a profile."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from contextkit.profiles import CacheRules, Profile

SOURCE = "measured with contextkit probe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact.

    Attributes:
        field: of `CacheRules`; or `string form` (whether a string is the same prefix as one text
            part) and `marker on …` (what a marker at a place does), which are no fields.
        value: what was found; None where it could not be told.
        seen: what was seen, in words.
        sure: probability that what was seen is no accident of a provider that may miss at will,
            with the share of misses that this run saw; 1 where a hit proves it.
        known: what the profile says; None where there is no profile, or it says nothing.
    """

    field: str
    value: Any
    seen: str
    sure: float = 1.0
    known: Any = None

    @property
    def agrees(self) -> bool | None:
        """Whether it is what the profile says; None where there is nothing to compare."""
        if self.value is None or self.known is None:
            return None
        return bool(self.value == self.known)


@dataclass(slots=True)
class Findings:
    """All that one probe found.

    Attributes:
        model: that was asked.
        mode: `implicit`, `explicit` or `session`.
        rules: of the cache as the profile has it; None where the model has no profile.
        found: in the order in which it was found.
        tokens: of input and output that were sent and received.
        requests: that were sent.
        stopped: why it ended before all was asked; empty where it did not.
    """

    model: str
    mode: str
    rules: CacheRules | None = None
    found: list[Finding] = field(default_factory=list)
    tokens: int = 0
    requests: int = 0
    stopped: str = ""

    def __getitem__(self, name: str) -> Any:
        """The value that was found for a field; None where none was."""
        return next((one.value for one in self.found if one.field == name), None)

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "model": self.model,
            "mode": self.mode,
            "cache": self.rules.name if self.rules else None,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "tokens": self.tokens,
            "requests": self.requests,
            "stopped": self.stopped or None,
            "findings": [{**asdict(one), "agrees": one.agrees} for one in self.found],
            "toml": self.toml(),
        }

    def rows(self) -> list[tuple[str, str, str, str, str]]:
        """Field, found, profile, sure, seen: as text."""
        return [
            (one.field, shown(one.value), shown(one.known), f"{one.sure:.1%}", one.seen)
            for one in self.found
        ]

    def toml(self, profile: Profile | None = None, *, today: date | None = None) -> str:
        """What was found as lines of a profile file, for `load_profiles`; empty for nothing.

        Args:
            profile: that the model has; the lines then make one like it, with this cache.
            today: the date of the measurement; by default the present one.
        """
        figures = self._figures()
        if not figures:
            return ""
        name = f"{self.rules.name if self.rules else f'{self.model} {self.mode}'}, measured"
        lines = [f"[cache.{json.dumps(name)}]"]
        if self.rules is not None:
            lines.append(f"like = {json.dumps(self.rules.name)}")
        else:
            lines.append(f"mode = {json.dumps(self.mode)}")
            figures = {"match": "blocks", **figures}
        lines += [f"{key} = {_toml(value)}" for key, value in figures.items()]
        known = self.rules.unverified if self.rules else ()
        left = [name for name in known if name not in figures]
        if known:
            lines.append(f"unverified = {_toml(left)}")
        lines.append(f"sources = {_toml([SOURCE])}")
        lines.append(f"checked = {today or datetime.now(UTC).date()}")
        return "\n".join(lines) + "\n"

    def _figures(self) -> dict[str, Any]:
        """The fields of `CacheRules` that were found."""
        values = {
            one.field: one.value
            for one in self.found
            if one.value is not None and one.field in CacheRules.__dataclass_fields__
        }
        if (ttl := self["ttl"]) is not None:
            first = self.rules.lifetimes[0] if self.rules else None
            lifetime: dict[str, Any] = {"name": first.name} if first and first.name else {}
            lifetime["seconds"] = ttl
            if first is not None and first.write is not None:
                lifetime["write"] = first.write
            values["lifetimes"] = [lifetime]
        return values


def shown(value: Any) -> str:
    """A value as a table has it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,g}" if isinstance(value, float) else f"{value:,}"
    if isinstance(value, str):
        return value
    return ", ".join(map(str, value)) or "none"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)  # texts, numbers, true and false are the same
