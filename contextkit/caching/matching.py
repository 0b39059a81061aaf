"""Matching: the four ways in which prompt caches match, each as what it has and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Protocol

from contextkit.caching.blocks import Sent
from contextkit.caching.paths import Path, Shared
from contextkit.caching.places import looked_up_places, written_places
from contextkit.caching.slots import Held, Slots
from contextkit.caching.tree import Node, Tree
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Lifetime


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


def cache_of(rules: CacheRules, slots: int, capacity: int | None, shared: Shared | None) -> Cache:
    """An empty cache that matches by the rules."""
    if rules.match == "slots":
        return _SlotCache(Slots(slots, capacity, shared))
    if rules.match == "blocks":
        return _BlockCache(rules, Tree(capacity, shared))
    tree = Tree(capacity, dense=False)
    return _PointCache(rules, tree) if rules.match == "points" else _UnitCache(rules, tree)


def seconds_of(lifetime: Lifetime) -> float:
    """How long an entry is surely kept; where that is not stated, until it is dropped for room."""
    return inf if lifetime.seconds is None else lifetime.seconds


class _SlotCache:
    """A prefix can be read where a slot of the server holds it."""

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
