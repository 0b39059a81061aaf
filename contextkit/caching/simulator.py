"""Simulator: what a provider reads from its cache and writes to it, for requests with their times.

It follows the `CacheRules` of a profile and knows nothing of one provider. Requests may come from
any number of conversations, as the provider's cache serves them all. They are given in the order
in which they were sent; two that overlap in time are told apart by when their responses begin and
end, and do not see what the other has not finished writing.

Where a provider's documentation leaves something open, the simulator takes what gives fewer hits:

- a prefix is renewed when it, or more, is read; being sent again without a hit writes it anew;
- nothing is read at a point that is not yet visible, so that concurrent first requests all miss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from contextkit.caching.blocks import Sent
from contextkit.caching.paths import Path, Shared
from contextkit.caching.places import looked_up_places, written_places
from contextkit.caching.slots import Held, Slots
from contextkit.caching.tree import Node, Tree
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Lifetime
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Found:
    """What the cache has for a request.

    Attributes:
        tokens: of the longest prefix that it has.
        places: where the request writes.
        slot: that takes it.
        refusal: why a server refuses it that has taken it in.
    """

    tokens: int
    places: Mapping[int, Lifetime] = field(default_factory=dict)
    slot: Held | None = None
    refusal: InputError | None = None


class Cache(Protocol):
    """One way in which caches match."""

    def find(self, path: Path) -> Found:
        """What it has for a request; without effect."""

    def keep(self, path: Path, found: Found, sent: Sent) -> None:
        """Hold what the request leaves there."""


class Simulator:
    """A provider's cache: what it has, and what it would report.

    Args:
        rules: how it matches and keeps; from `profile.cache(…)`.
        slots: of a llama.cpp server.
        capacity: tokens that a local engine can hold; what was used least recently is dropped. For
            slots: of the windows of all of them together.
        shared: leading tokens that two different blocks have in common; none by default. Where
            blocks are single tokens it is not needed.

    Raises:
        InputError: less than one slot or token.
    """

    def __init__(
        self,
        rules: CacheRules,
        *,
        slots: int = 1,
        capacity: int | None = None,
        shared: Shared | None = None,
    ) -> None:
        given: Any = rules
        if not isinstance(given, CacheRules):
            raise InputError(
                f"are CacheRules, not {given!r:.60}: profile_for(model).cache() has them",
                place="rules",
            )
        for name, value in (("slots", slots), ("capacity", capacity)):
            if value is not None and value < 1:
                raise InputError(f"is 1 at least, not {value}", place=name)
        self.rules = rules
        self._cache: Cache
        if rules.match == "slots":
            self._cache = _SlotCache(Slots(slots, capacity, shared))
        else:
            dense = rules.match == "blocks"
            tree = Tree(capacity, shared if dense else None, dense=dense)
            self._cache = _KINDS[rules.match](rules, tree)

    def send(self, sent: Sent) -> Usage:
        """What the provider reports for a request, which leaves its traces in the cache.

        `cache_write_tokens` is a number where the cache is written at points, as only such caches
        report it and charge for it; elsewhere it is None.

        Raises:
            InputError: the provider would refuse the request; the cache holds what it held.
        """
        path = Path.of(sent)
        found = self._cache.find(path)
        self._cache.keep(path, found, sent)
        return self._usage(path, found)

    def peek(self, sent: Sent) -> Usage:
        """What `send` would give, without effect.

        Raises:
            InputError: the provider would refuse the request.
        """
        path = Path.of(sent)
        return self._usage(path, self._cache.find(path))

    def _usage(self, path: Path, found: Found) -> Usage:
        if found.refusal is not None:
            raise found.refusal
        rules = self.rules
        read = min(found.tokens, path.tokens - rules.rest)
        read -= read % rules.block
        if read < rules.minimum:
            read = 0
        if rules.match != "points":
            return Usage(input_tokens=path.tokens, cache_read_tokens=max(read, 0))
        writes: dict[str, int] = {}
        start = read
        for place, lifetime in found.places.items():
            if path.sums[place] > start:
                added = path.sums[place] - start
                writes[lifetime.name] = writes.get(lifetime.name, 0) + added
                start = path.sums[place]
        return Usage(
            input_tokens=path.tokens,
            cache_read_tokens=read,
            cache_write_tokens=sum(writes.values()),
            cache_writes=writes,
        )


class _SlotCache:
    def __init__(self, slots: Slots) -> None:
        self.slots = slots

    def find(self, path: Path) -> Found:
        slot, tokens = self.slots.choose(path)
        return Found(tokens, slot=slot, refusal=self.slots.refusal(path))

    def keep(self, path: Path, found: Found, sent: Sent) -> None:
        if found.slot is None:
            return
        if found.refusal is not None:
            self.slots.use(found.slot, path.at)
        else:
            self.slots.keep(path, found.slot, sent)


class _TreeCache:
    """What the three others have in common: a tree, and the times of its entries."""

    def __init__(self, rules: CacheRules, tree: Tree) -> None:
        self.rules, self.tree = rules, tree

    def write(self, node: Node, sent: Sent, lifetime: Lifetime, *, generated: bool = False) -> None:
        """Let a prefix be an entry from when the response to this request has come so far."""
        ends = generated or self.rules.visible == "ends"
        since = sent.at + (sent.ended if ends else sent.begun)
        seconds = seconds_of(lifetime)
        node.write(sent.at, since, self.start(sent) + seconds, seconds)

    def renew(self, node: Node, sent: Sent) -> None:
        """A prefix is read: let it live on, if the rules say so."""
        if self.rules.renewed_by == "hit":
            node.until = max(node.until, self.start(sent) + node.seconds)

    def start(self, sent: Sent) -> float:
        """When the lifetime begins of what the request wrote or read."""
        return sent.at if self.rules.timed_from == "sent" else sent.at + sent.ended


class _BlockCache(_TreeCache):
    """Every prefix of what was sent can be read."""

    def find(self, path: Path) -> Found:
        last, through, place = self.tree.root, 0, 0
        for node, inside in self.tree.walk(path):
            if not node.readable(path.at):
                break
            last, through, place = node, inside, place + inside
            if node.unread and inside == len(node.keys):
                return Found(path.sums[place] - node.unread)
        return Found(path.sums[place] + self.tree.beyond(path, last, through, place))

    def keep(self, path: Path, found: Found, sent: Sent) -> None:
        size = len(path.blocks)
        whole = path.with_reply(sent.reply) if self.rules.replies else path
        readable = True
        for node, place in self.tree.grow(whole, (size, len(whole.blocks))):
            generated = place > size
            if not generated or place < len(whole.blocks):
                node.unread = 0
            elif not node.alive(path.at):
                node.unread = self.rules.rest
            readable = readable and node.readable(path.at)
            if readable:
                self.renew(node, sent)
            else:
                self.write(node, sent, self.rules.lifetimes[0], generated=generated)
        self.tree.evict(path.at)


class _PointCache(_TreeCache):
    """A prefix can be read where a request wrote it: at its points."""

    def find(self, path: Path) -> Found:
        rules = self.rules
        places = written_places(path.blocks, rules)
        looked_up = looked_up_places(path.blocks, rules, places)
        place = tokens = 0
        for node, inside in self.tree.walk(path):
            place += inside
            if inside == len(node.keys) and place in looked_up and node.readable(path.at):
                tokens = path.sums[place]
        long = {place: one for place, one in places.items() if path.sums[place] >= rules.minimum}
        return Found(tokens, long)

    def keep(self, path: Path, found: Found, sent: Sent) -> None:
        asked = next(reversed([*found.places.values()]), None)
        for node, place in self.tree.grow(path, found.places):
            if node.readable(path.at) and path.sums[place] <= found.tokens:
                if self.rules.renewed_as_asked and asked is not None:
                    node.seconds = seconds_of(found.places.get(place, asked))
                    node.until = self.start(sent) + node.seconds
                self.renew(node, sent)
            elif place in found.places:
                self.write(node, sent, found.places[place])
        self.tree.evict(path.at)


class _UnitCache(_TreeCache):
    """A prefix can be read where an input or a reply ended, or where two requests parted."""

    def find(self, path: Path) -> Found:
        place = tokens = 0
        for node, inside in self.tree.walk(path):
            place += inside
            if inside == len(node.keys) and node.readable(path.at):
                tokens = path.sums[place]
        return Found(tokens)

    def keep(self, path: Path, found: Found, sent: Sent) -> None:
        size = len(path.blocks)
        whole = path.with_reply(sent.reply) if self.rules.replies else path
        parted = sum(inside for _, inside in self.tree.walk(path))
        ends = (parted, size, len(whole.blocks))
        for node, place in self.tree.grow(whole, ends):
            if node.readable(path.at) and path.sums[min(place, size)] <= found.tokens:
                self.renew(node, sent)
            elif place in ends:
                self.write(node, sent, self.rules.lifetimes[0], generated=place > size)
        self.tree.evict(path.at)


def seconds_of(lifetime: Lifetime) -> float:
    """How long an entry is surely kept; where that is not stated, until it is dropped for room."""
    return inf if lifetime.seconds is None else lifetime.seconds


_KINDS: dict[str, Callable[[CacheRules, Tree], Cache]] = {
    "blocks": _BlockCache,
    "points": _PointCache,
    "units": _UnitCache,
}
