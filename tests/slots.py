"""The embedded server with one slot, as the simulator plays it, over token ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from contextkit.caching.blocks import Sent, token_blocks
from contextkit.caching.simulator import Simulator
from contextkit.caching.slots import reply_tokens
from contextkit.profiles import profile_for


def held(
    prompt: Iterable[int], reply: Sequence[int] | None = None, completion_tokens: int | None = None
) -> Simulator:
    """A server that has answered one request; without a reply it was asked for one token."""
    rules = profile_for("llama.cpp").cache()
    assert rules is not None
    server = Simulator(rules)
    answer(server, prompt, reply, completion_tokens)
    return server


def answer(
    server: Simulator,
    prompt: Iterable[int],
    reply: Sequence[int] | None = None,
    completion_tokens: int | None = None,
) -> None:
    """One more request is answered."""
    said = () if reply is None else reply_tokens(reply, completion_tokens)
    server.send(Sent(token_blocks(prompt), reply=said))


def foretold(server: Simulator, prompt: Iterable[int]) -> int:
    """Tokens of a prompt that the server will read from its cache."""
    read = server.peek(Sent(token_blocks(prompt))).cache_read_tokens
    assert read is not None
    return read
