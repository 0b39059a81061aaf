"""What a probe found out about a provider's cache: as rows, as JSON, as lines for a profile."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Any

from contextkit.profiles import CacheRules, Lifetime, Profile
from contextkit.profiles.reading import UNKNOWN, shipped

SOURCE = "measured with contextkit probe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact.

    Attributes:
        field: of `CacheRules`; or `hits`, `ttl`, `string form` (whether a string is the same prefix
            as one text part) and `marker on …` (what a marker at a place does).
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
        profile: of the model; None where it has none.
        marker: the keys that made a cache point in the requests; empty where none were used.
        found: in the order in which it was found.
        tokens: of input and output that were sent and received.
        requests: that were sent.
        stopped: why it ended before all was asked; empty where it did not.
    """

    model: str
    mode: str
    rules: CacheRules | None = None
    profile: Profile | None = None
    marker: Mapping[str, Any] = field(default_factory=dict)
    found: list[Finding] = field(default_factory=list)
    tokens: int = 0
    requests: int = 0
    stopped: str = ""

    def __getitem__(self, name: str) -> Any:
        """The value that was found for a field; None where none was."""
        return next((one.value for one in self.found if one.field == name), None)

    def add(self, finding: Finding) -> None:
        """Take in a finding; one of the same field gives way to it."""
        for at, one in enumerate(self.found):
            if one.field == finding.field:
                self.found[at] = finding
                return
        self.found.append(finding)

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

    def toml(self, *, today: date | None = None) -> str:
        """What was found as lines of a file for `load_profiles`; empty where nothing was.

        A cache with the measured figures, like the one that is known, and a profile that has it,
        like that of the model, or `generic` where the model has none.

        Args:
            today: the date of the measurement; by default the present one.
        """
        figures = self._figures()
        if not figures:
            return ""
        name = f"{self.rules.name if self.rules else f'{self.model} {self.mode}'}, measured"
        if self.rules is None:
            figures = {"mode": self.mode, "match": "blocks", **figures}
        else:
            left = [known for known in self.rules.unverified if known not in figures]
            figures = {**_like(self.rules), **figures, "unverified": left}
            figures |= {"conflicts": []} if self.rules.conflicts else {}
        figures |= {"sources": [SOURCE], "checked": today or datetime.now(UTC).date()}
        lines = _cache(name, figures)
        others = (
            [one for one in self.profile.caches if one.mode != self.mode] if self.profile else []
        )
        for one in others:
            if one.name not in shipped().caches:
                lines += ["", *_cache(one.name, _like(one))]
        like = self.profile.name if self.profile else "generic"
        known = like in shipped().profiles
        lines += [
            "",
            "[[profile]]",
            f"name = {_toml(f'{like if self.profile else self.model}, measured')}",
            f"like = {_toml(like if known else 'generic')}",
            f"models = {_toml([self.model.removeprefix('ft:')])}",
            f"caches = {_toml([name, *map(_named, others)])}",
        ]
        return "\n".join(lines) + "\n"

    def _figures(self) -> dict[str, Any]:
        """The fields of `CacheRules` that were found; none where no rules can say the match."""
        if any(one.field == "match" and one.value is None for one in self.found):
            return {}
        values = {
            one.field: one.value
            for one in self.found
            if one.value is not None and one.field in CacheRules.__dataclass_fields__
        }
        if (ttl := self["ttl"]) is not None:
            first = self.rules.lifetimes[0] if self.rules else Lifetime()
            rest = self.rules.lifetimes[1:] if self.rules else ()
            values["lifetimes"] = [_plain(replace(first, seconds=ttl)), *map(_plain, rest)]
        if self.rules is None and self.mode == "implicit" and "lookback" in values:
            values["lookback_of"] = "messages"
        return values | self._points(values) if values else values

    def _points(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Points, marker and carriers: all three of them, or none."""
        if not {"points", "carriers"} & values.keys():
            return {}
        known = self.rules
        points = values.get("points", known.points if known else 0)
        # Where the budget ended before the places: the markers that counted stood in user messages.
        carriers = values.get("carriers", known.carriers if known else ("user",))
        marker = known.marker if known and known.marker else self.marker
        if points and carriers and marker:
            return {"points": points, "marker": marker, "carriers": carriers}
        return {"points": 0, "marker": {}, "carriers": []}


def own_figures(rules: CacheRules) -> dict[str, Any]:
    """The figures in which the rules of a model's cache differ from those of its name."""
    return _differing(rules, shipped().caches.get(rules.name, rules))


def _differing(rules: CacheRules, others: CacheRules) -> dict[str, Any]:
    told = ("name", "sources", "checked", "conflicts")
    own = {
        one.name: getattr(rules, one.name)
        for one in fields(rules)
        if one.name not in told and getattr(rules, one.name) != getattr(others, one.name)
    }
    if "lifetimes" in own:
        own["lifetimes"] = [_plain(lifetime) for lifetime in rules.lifetimes]
    return own


def _named(rules: CacheRules) -> str | dict[str, Any]:
    """A cache as a profile names it: with the figures that the model has of its own."""
    own = own_figures(rules)
    return {"rules": rules.name, **own} if own else rules.name


def _like(rules: CacheRules) -> dict[str, Any]:
    """The entry of a cache that has these rules: like the shipped one, if there is one."""
    if rules.name in shipped().caches:
        return {"like": rules.name, **own_figures(rules)}
    plain = CacheRules(name=rules.name, mode=rules.mode, match=rules.match)
    return {"mode": rules.mode, "match": rules.match, **_differing(rules, plain)}


def _cache(name: str, figures: Mapping[str, Any]) -> list[str]:
    return [f"[cache.{_toml(name)}]", *(f"{key} = {_toml(to)}" for key, to in figures.items())]


def _plain(lifetime: Lifetime) -> dict[str, Any]:
    named = {"name": lifetime.name, "seconds": lifetime.seconds, "write": lifetime.write}
    return {key: value for key, value in named.items() if value not in (None, "")}


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


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        items = ", ".join(f"{_key(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {items} }}" if items else "{}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return json.dumps(UNKNOWN)
    if isinstance(value, date):
        return value.isoformat()
    # Texts, numbers, true and false are the same as in JSON, but for one control character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
