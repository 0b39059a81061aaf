"""CacheRules: how a provider's prompt cache matches, keeps and charges; Price: of its tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from contextkit.errors import ProfileError
from contextkit.profiles.checks import MOST, check_names, check_number, check_types

Mode = Literal["implicit", "explicit", "session", "resource"]


@dataclass(frozen=True, slots=True)
class Lifetime:
    """A TTL that an entry of the cache can have.

    Attributes:
        name: as markers and usage say it, such as `5m`; empty where there is only one.
        seconds: how long an unused entry surely lives; None where that is not stated.
        write: price of a token written with it, by that of an uncached input token; None where
            unknown.
    """

    name: str = ""
    seconds: float | None = None
    write: float | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_number(self, "seconds", above=True)
        check_number(self, "write", most=MOST)


@dataclass(frozen=True, slots=True)
class Conflict:
    """Another value of a fact that a source states.

    Attributes:
        field: of the rules, such as `minimum`.
        value: what that source says.
        source: where it stands.
        checked: when it was read there, or the date of the text.
    """

    field: str
    value: Any
    source: str
    checked: date

    def __post_init__(self) -> None:
        check_types(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """One kind of prompt cache that a provider has. Tokens are those of the input, from its start.

    What a request can read is decided by `match`:

        blocks   the longest prefix that an earlier request had too, in whole blocks of `block`
        points   a prefix that ends where a cache point (marker) was placed and written, at most
                 `lookback` content blocks before a point of the present request
        units    whole stored units: the end of an earlier input, of a reply, of a prefix that
                 two earlier requests had in common
        slots    what a slot of a local engine holds: the last prompt that it was given

    Attributes:
        name: of the entry in the data file.
        mode: how it is switched on: `implicit` is always on; `explicit` is asked for with markers
            in a request; `session` with a header; a `resource` is made beforehand and named in
            requests, which contextkit does not do.
        match: see above.
        read: price of a token read, by that of an uncached input token; None where unknown.
        lifetimes: the TTLs to choose from; the first is the one that holds where none is asked for.
        renewed_by: what starts the lifetime again: `hit` or `nothing`.
        renewed_as_asked: whether a hit gives an entry the lifetime that the present request asks
            for, instead of its own again.
        longest_first: whether points of a longer lifetime must stand before those of a shorter.
        timed_from: when a lifetime begins: as a request is `sent`, or as its response `ends`.
        minimum: a prefix of fewer tokens is neither written nor read.
        block: what is read is a multiple of this (tokens); 1 where it is exact.
        rest: tokens at the end of the input that are never read: engines compute the last one.
        lookback: how far before a point an entry is searched for; None: to the start.
        lookback_of: what `lookback` counts: content `blocks` from each point backwards, its own
            counted; or the ends of `messages` before the automatic point.
        runs_as_one: whether tool results in a row count as one place of the look-back.
        looked_up: how many of the newest markers are looked up, where that is more than are
            written; None where it is the same.
        looked_up_first: how many of the first markers are looked up besides.
        points: the most markers in a request; 0 where there are none.
        overflow: what more markers do: the `last` ones count, or the request is an `error`.
        automatic: whether the provider places a point at the end of the newest input by itself.
        marker: the keys that make a content block a cache point.
        marker_ttl: the key inside a marker that asks for a lifetime; empty where none does.
        ttl_parameter: the parameter of a request that asks for one, with dots between levels.
        parameters: those of a request that switch it on.
        carriers: the roles of messages whose content blocks may carry one.
        visible: when an entry can be read: once the response that wrote it `begins`, or `ends`.
        replies: whether the tokens of replies are cached as they are generated.
        headers: request headers that switch it on.
        api: the one that it works in, such as `responses`, where it is not all.
        guaranteed: whether the provider promises a hit on what it has; else it may miss at will.
        storage: price of keeping a million tokens for an hour, in the currency of the profile's
            prices; None where keeping costs nothing.
        sources: where the facts stand.
        checked: when they were read there.
        unverified: names of fields whose value is a careful guess.
        conflicts: other values that are stated elsewhere.
    """

    name: str
    mode: Mode
    match: Literal["blocks", "points", "units", "slots"]
    read: float | None = None
    lifetimes: tuple[Lifetime, ...] = (Lifetime(),)
    renewed_by: Literal["hit", "nothing"] = "hit"
    renewed_as_asked: bool = False
    longest_first: bool = False
    timed_from: Literal["sent", "ends"] = "ends"
    minimum: int = 0
    block: int = 1
    rest: int = 0
    lookback: int | None = None
    lookback_of: Literal["blocks", "messages"] = "blocks"
    runs_as_one: bool = False
    looked_up: int | None = None
    looked_up_first: int = 0
    points: int = 0
    overflow: Literal["last", "error"] = "last"
    automatic: bool = False
    marker: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    marker_ttl: str = ""
    ttl_parameter: str = ""
    parameters: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    carriers: tuple[str, ...] = ()
    visible: Literal["begins", "ends"] = "ends"
    replies: bool = False
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    api: str = ""
    guaranteed: bool = True
    storage: float | None = None
    sources: tuple[str, ...] = ()
    checked: date | None = None
    unverified: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        check_names(self)
        check_number(self, "read", most=MOST)
        check_number(self, "storage")
        for name in ("minimum", "points", "rest", "looked_up_first"):
            check_number(self, name)
        for name in ("block", "lookback", "looked_up"):
            check_number(self, name, least=1)
        if not self.lifetimes:
            raise ProfileError(f"CacheRules.lifetimes of {self.name!r} is empty: one is the least")
        if bool(self.marker) != bool(self.points) or bool(self.points) != bool(self.carriers):
            raise ProfileError(
                f"CacheRules of {self.name!r}: points, marker and carriers go together, all or none"
            )

    @property
    def write(self) -> float | None:
        """Price of a token written with the default lifetime; None where unknown."""
        return self.lifetimes[0].write

    @property
    def ttl(self) -> float | None:
        """Seconds of the default lifetime; None where not stated."""
        return self.lifetimes[0].seconds

    def lifetime(self, name: str = "") -> Lifetime:
        """The lifetime of a name; the default one for the empty name.

        Raises:
            KeyError: when there is none of that name.
        """
        if not name:
            return self.lifetimes[0]
        return {lifetime.name: lifetime for lifetime in self.lifetimes}[name]

    def marked(self, lifetime: str = "") -> dict[str, Any]:
        """The keys that make a content block a cache point of a lifetime; the default for none.

        Raises:
            ProfileError: when there are no markers, no such lifetime, or markers cannot ask for it.
        """
        if not self.marker:
            raise ProfileError(f"{self.name} has no markers")
        [(key, marker)] = self.marker.items()
        marker = dict(marker)
        if lifetime:
            known = [one.name for one in self.lifetimes]
            if lifetime not in known or not self.marker_ttl:
                raise ProfileError(
                    f"a marker of {self.name} cannot ask for {lifetime!r}; it has "
                    + (", ".join(known) if self.marker_ttl else "no lifetimes to ask for")
                )
            marker[self.marker_ttl] = lifetime
        return {key: marker}

    def changed(self, **figures: Any) -> CacheRules:
        """A copy with other figures: fields, or `write` and `ttl` of the default lifetime.

        Raises:
            ProfileError: when there is no such field, or its value cannot be.
        """
        own = {"write": "write", "ttl": "seconds"}
        first = {own[name]: figures.pop(name) for name in own if name in figures}
        for name in figures:
            if name not in self.__dataclass_fields__:
                raise ProfileError(f"a cache has no {name!r}; it has {', '.join(self.__slots__)}")
        rules = replace(self, **figures)
        if not first:
            return rules
        return replace(
            rules, lifetimes=(replace(rules.lifetimes[0], **first), *rules.lifetimes[1:])
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens cost, for requests of more than `above` input tokens.

    The tier that a request falls in prices the whole of it.

    Attributes:
        input, output: a million uncached input tokens, and of output; None where unknown.
        above: input tokens from which on it holds; 0 for the lowest tier.
        currency: such as `USD`.
        note: what else decides on it, such as the region or the time of day.
        source: where it stands.
        checked: when it was read there.
    """

    input: float
    output: float | None = None
    above: int = 0
    currency: str = "USD"
    note: str = ""
    source: str = ""
    checked: date | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_number(self, "input", above=True)
        check_number(self, "output")
        check_number(self, "above")
