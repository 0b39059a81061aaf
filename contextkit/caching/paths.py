"""Path: the blocks of a request laid out for walking: keys, sums of tokens, the time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import accumulate

from contextkit.caching.blocks import REPLY, Block, Sent

Shared = Callable[[Block, Block], int]
"""Leading tokens that two different blocks have in common."""


@dataclass(frozen=True, slots=True)
class Path:
    """A request as a walk through the tree.

    Attributes:
        blocks: of the input; what opens the reply is left out, since no cache holds it.
        keys: of the blocks.
        sums: tokens of the first 0, 1, 2, … blocks.
        tokens: of the whole input.
        at: when it was sent.
    """

    blocks: tuple[Block, ...]
    keys: tuple[Hashable, ...]
    sums: tuple[int, ...]
    tokens: int
    at: float

    @classmethod
    def of(cls, sent: Sent) -> Path:
        """The input of a request."""
        size = len(sent.blocks)
        while size and sent.blocks[size - 1].role == REPLY:
            size -= 1
        return cls._of(sent.blocks[:size], sent.tokens, sent.at)

    def with_reply(self, reply: tuple[Block, ...]) -> Path:
        """The same with what was generated behind it."""
        return self._of((*self.blocks, *reply), self.tokens, self.at)

    @classmethod
    def _of(cls, blocks: tuple[Block, ...], tokens: int, at: float) -> Path:
        keys = tuple([block.key for block in blocks])
        sums = tuple(accumulate([block.tokens for block in blocks], initial=0))
        return cls(blocks, keys, sums, tokens, at)
