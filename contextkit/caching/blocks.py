"""Blocks: a request as a provider's cache sees it: what stands in a row, and how long each is."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from typing import Any

from contextkit.caching.parameters import is_rendered
from contextkit.caching.prefix import canonical_tool_blocks, placed_dicts
from contextkit.errors import InputError
from contextkit.messages import canonical_json, without_nulls
from contextkit.rendering import MARKERS, tool_markers
from contextkit.tokens import RequestCounter

REPLY = "reply"
"""Role of the block that opens the reply and holds what the service appends: it stands last, and
is in no cache, because the next request has something else there."""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of a request that a cache takes as one: a content block of a message, or the tools.

    For engines that match token by token, a block is one token and its key the token's id.

    Attributes:
        key: equal for blocks whose bytes are equal, and for no others.
        tokens: what it adds to the input, the template's frame around it included.
        role: `tools`, the role of its message, or `reply` for what stands behind all messages.
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
        at: when it was sent, in seconds of any clock.
        begun, ended: how long it then took until the response began, and ended: 2.0 for a response
            of two seconds, whatever `at` is.
        reply: what was generated, as blocks that a later request repeats if it sends it back
            unchanged; only for caches that keep replies.
    """

    blocks: tuple[Block, ...]
    at: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    reply: tuple[Block, ...] = ()

    def __post_init__(self) -> None:
        for name in ("at", "begun", "ended"):
            value = getattr(self, name)
            known = isinstance(value, int | float) and isfinite(value)
            if not known or (value < 0 and name != "at"):
                raise InputError(f"is a number of seconds, not {value!r:.60}", place=f"Sent.{name}")

    @property
    def tokens(self) -> int:
        """Tokens of the input."""
        return sum(block.tokens for block in self.blocks)


def token_blocks(ids: Iterable[int]) -> tuple[Block, ...]:
    """A block for each token of a prompt or of a reply, for engines that match token by token."""
    return tuple(map(_token, ids))


@lru_cache(maxsize=1 << 17)
def _token(number: int) -> Block:
    return Block(number, 1)


Made = dict[int, tuple[Mapping[str, Any], tuple[Block, ...]]]


def blocks_of(
    request: Mapping[str, Any],
    counter: RequestCounter,
    *,
    fixed: int | None = None,
    tokens: Sequence[int] | None = None,
    made: Made | None = None,
) -> tuple[Block, ...]:
    """A request in cache order: tools, then a block for each content part of each message.

    Keys are hashes of canonical bytes: without cache markers and nulls, a string as one text part.
    The tools block holds the response format too, which providers put before the messages. The
    last block has the role `reply`. The tokens of all blocks are those of the request.

    Args:
        request: a dict with `messages`, and perhaps `tools` and `response_format`.
        counter: counts what is not given.
        fixed: tokens of everything around the messages.
        tokens: of each message.
        made: keeps the blocks of messages that stand in several requests, by the message's `id`;
            for messages of a view, which are dicts and stay the same ones.

    Raises:
        InputError: `messages` or `tools` is no list of dicts, or holds what is not JSON.
    """
    tools, response_format = request.get("tools") or (), request.get("response_format")
    if not is_rendered(counter.profile):
        response_format = None
    opening = counter.fixed()
    if fixed is None:
        fixed = counter.fixed(tools, response_format)
    blocks = []
    if tools or fixed > opening:
        blocks.append(
            Block(
                _key(canonical_tool_blocks(request), response_format),
                fixed - opening,
                "tools",
                point=tool_markers(tools) > 0,
            )
        )
    if made is None:
        messages = [message for _, message in placed_dicts(request, "messages")]
    else:
        messages = request["messages"]  # of a view, which has checked them
    for number, message in enumerate(messages):
        if made is not None and (known := made.get(id(message))) is not None:
            blocks += known[1]
            continue
        whole = counter.message(message) if tokens is None else tokens[number]
        found = tuple(_message_blocks(message, whole, counter))
        blocks += found
        if made is not None:
            made[id(message)] = (message, found)
    return (*blocks, Block(REPLY, opening, REPLY))


_BESIDE = frozenset({"content", *MARKERS})


def _message_blocks(
    message: Mapping[str, Any], tokens: int, counter: RequestCounter
) -> Iterator[Block]:
    role, content = str(message.get("role")), message.get("content")
    around = {key: value for key, value in message.items() if key not in _BESIDE}
    more = {key: value for key, value in around.items() if key != "role" and value is not None}
    parts = content if isinstance(content, list | tuple) and content else [content]
    last, before = len(parts) - 1, 0
    for place, part in enumerate(parts):
        upto = tokens
        if place < last:
            # What the calls of a message add comes behind its content.
            shorter = {**around, "content": parts[: place + 1], "tool_calls": None}
            upto = counter.message(shorter)
        marker, bare = _bare(part)
        ends = place == last
        text_alone = place == last == 0 and type(bare) is str and not more
        yield Block(
            # Most messages are nothing but text: JSON would take three times as long.
            _hash(f"{role}\n{bare}")
            if text_alone
            else _key(role, place, bare, around if ends else None),
            upto - before,
            role,
            ends,
            point=marker is not None,
            lifetime=str(marker.get("ttl") or "") if isinstance(marker, Mapping) else "",
        )
        before = upto


def _bare(part: Any) -> tuple[Any, Any]:
    """The marker of a content part, and the part without it: a text part as its text."""
    if not isinstance(part, Mapping):
        return None, part
    marker = next((part[key] for key in part if key in MARKERS and part[key] is not None), None)
    bare = {key: value for key, value in part.items() if key not in MARKERS and value is not None}
    plain = bare.keys() == {"type", "text"} and bare["type"] == "text"
    return marker, bare["text"] if plain else bare


def _key(*parts: Any) -> str:
    return _hash(canonical_json(without_nulls(list(parts))))


def _hash(text: str) -> str:
    return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
