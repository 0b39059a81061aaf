"""Prefix tree: the prefixes that a cache holds, each with the time in which it can be read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Iterator
from itertools import islice
from math import inf

from contextkit.caching.blocks import Block
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.paths import Path, Shared

SIBLINGS = 32
"""Of blocks that follow the same prefix, how many are compared with a new one, the newest first."""


class Node:
    """What follows the prefix that ends at its parent, up to where requests part or entries end.

    Attributes:
        entry: whether the prefix that ends here can be read.
        since, until: when it can be.
        seconds: its lifetime.
        unread: tokens at its end that were generated and never evaluated.
    """

    __slots__ = (
        "blocks",
        "children",
        "entry",
        "keys",
        "parent",
        "seconds",
        "since",
        "tokens",
        "unread",
        "until",
    )

    def __init__(
        self,
        parent: Node | None = None,
        keys: tuple[Hashable, ...] = (),
        blocks: tuple[Block, ...] = (),
        tokens: int = 0,
    ) -> None:
        self.parent, self.keys, self.blocks, self.tokens = parent, keys, blocks, tokens
        self.children: dict[Hashable, Node] = {}
        self.entry = False
        self.since, self.until, self.seconds = inf, -inf, inf
        self.unread = 0

    def alive(self, at: float) -> bool:
        """Whether it is held at that time, or being written."""
        return self.entry and at <= self.until

    def readable(self, at: float) -> bool:
        """Whether it can be read at that time."""
        return self.alive(at) and self.since <= at

    def write(self, at: float, since: float, until: float, seconds: float) -> None:
        """Make it an entry; one that another request is still writing is the same entry."""
        if self.alive(at):
            self.since, self.until = min(self.since, since), max(self.until, until)
        else:
            self.entry, self.since, self.until, self.seconds = True, since, until, seconds


class Tree:
    """All prefixes that were sent and may still be read; the least recently used are dropped.

    A walk costs the blocks of the request, however many requests were sent before.

    Args:
        capacity: tokens that it can hold; None for any number.
        shared: leading tokens that two different blocks have in common.
        dense: whether every prefix of an entry is one too.
    """

    def __init__(
        self,
        capacity: int | None = None,
        shared: Shared | None = None,
        *,
        dense: bool = True,
    ) -> None:
        self.capacity, self.shared, self.dense = capacity, shared, dense
        self.root = Node()
        self.tokens = 0
        self._order: OrderedDict[Node, None] = OrderedDict()  # the least recently used first
        self._now = -inf

    def __len__(self) -> int:
        return len(self._order)

    def walk(self, path: Path) -> Iterator[tuple[Node, int]]:
        """The nodes that the request goes through, each with how many of its blocks do.

        It may go through the last one in part.
        """
        node, place, keys = self.root, 0, path.keys
        while place < len(keys) and (child := node.children.get(keys[place])):
            alike = common_prefix(child.keys, keys[place : place + len(child.keys)])
            place += alike
            yield child, alike
            if alike < len(child.keys):
                return
            node = child

    def beyond(self, path: Path, node: Node, inside: int, place: int) -> int:
        """Tokens in common behind a place, where the request and all others part.

        Args:
            path: the request.
            node: the last that it goes through; the root for none.
            inside: blocks of the node that it goes through.
            place: all blocks that it goes through.
        """
        if self.shared is None or place == len(path.blocks):
            return 0
        block = path.blocks[place]
        if inside < len(node.keys):
            return self.shared(block, node.blocks[inside])
        siblings = islice(reversed(node.children.values()), SIBLINGS)
        readable = (child for child in siblings if child.readable(path.at))
        return max((self.shared(block, child.blocks[0]) for child in readable), default=0)

    def grow(self, path: Path, ends: Iterable[int]) -> list[tuple[Node, int]]:
        """Hold the request up to the last of the ends, with a node that ends at each of them.

        Args:
            path: the request.
            ends: numbers of its blocks, ascending.

        Returns:
            All nodes that it goes through, and the number of its blocks up to the end of each.
        """
        node, place, grown = self.root, 0, []
        for end in ends:
            while place < end:
                node = self._step(node, path, place, end)
                place += len(node.keys)
                grown.append((node, place))
        for node, _ in reversed(grown):  # so that a node is always newer than those below it
            self._order[node] = None
            self._order.move_to_end(node)
        return grown

    def _step(self, node: Node, path: Path, start: int, end: int) -> Node:
        """The child through which the request goes on, with no block behind the end."""
        child = node.children.pop(path.keys[start], None)
        if child is None:
            keeps_blocks = self.shared is not None or self.capacity is not None
            blocks = path.blocks[start:end] if keeps_blocks else ()
            tokens = path.sums[end] - path.sums[start]
            child = Node(node, path.keys[start:end], blocks, tokens)
            self.tokens += tokens
        else:
            keys = path.keys[start : min(end, start + len(child.keys))]
            size = common_prefix(child.keys, keys)
            if size < len(child.keys):
                child = self._split(child, size, path.sums[start + size] - path.sums[start])
        node.children[path.keys[start]] = child  # the newest stands last
        return child

    def _split(self, lower: Node, size: int, tokens: int) -> Node:
        """A node for the first blocks of another, which goes below it."""
        upper = Node(lower.parent, lower.keys[:size], lower.blocks[:size], tokens)
        if self.dense:
            upper.entry, upper.since, upper.until = lower.entry, lower.since, lower.until
            upper.seconds = lower.seconds
        upper.children[lower.keys[size]] = lower
        lower.parent, lower.keys, lower.blocks = upper, lower.keys[size:], lower.blocks[size:]
        lower.tokens -= tokens
        return upper

    def evict(self, now: float) -> None:
        """Drop what nobody can read any more, then what was used least recently."""
        self._now = max(self._now, now)
        while self._order and (oldest := next(iter(self._order))).until < self._now:
            self._remove(oldest)
        while self.capacity is not None and self.tokens > self.capacity:
            self._trim(next(iter(self._order)), self.tokens - self.capacity)

    def _trim(self, leaf: Node, surplus: int) -> None:
        """Drop blocks from the end of a leaf until so many tokens are gone, or all of it."""
        size, gone = len(leaf.blocks), 0
        while size and (gone < surplus or not self.dense):
            size -= 1
            gone += leaf.blocks[size].tokens
        if not size:
            self._remove(leaf)
            return
        leaf.keys, leaf.blocks, leaf.unread = leaf.keys[:size], leaf.blocks[:size], 0
        leaf.tokens -= gone
        self.tokens -= gone

    def _remove(self, leaf: Node) -> None:
        del self._order[leaf]
        self.tokens -= leaf.tokens
        if leaf.parent is not None:
            del leaf.parent.children[leaf.keys[0]]
