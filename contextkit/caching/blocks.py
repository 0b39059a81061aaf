"""Blocks: a request as a provider's cache sees it: what stands in a row, and how long each is."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a request that a cache takes as one: a content block of a message, or the tools.

    For engines that match token by token, a block is one token and its key the token's id.

    Attributes:
        key: equal for blocks whose bytes are equal, and for no others.
        tokens: what it adds to the input, the template's frame around it included.
        role: `tools`, or the role of its message.
        ends: whether it is the last of its message.
        point: whether a cache marker stands at its end.
        lifetime: the lifetime that the marker asks for; empty for the default.
    """

    key: Hashable
    tokens: int
    role: str = ""
    ends: bool = True
    point: bool = False
    lifetime: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent, or will be: in cache order, with the time.

    Attributes:
        blocks: tools, system, messages.
        at: seconds, by any clock, when it was sent.
        begun, ended: seconds from then until the response began, and ended.
        reply: what was generated, as blocks that a later request repeats if it sends it back
            unchanged; only for caches that keep replies.
    """

    blocks: tuple[Block, ...]
    at: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    reply: tuple[Block, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of the input."""
        return sum(block.tokens for block in self.blocks)
