"""Slots: what llama.cpp's server reads from its cache, by the rule of its slots.

A slot keeps the tokens of the last prompt and of the reply to it, except the last token that was
sampled, which was never fed back. A new prompt reuses the longest common prefix; at least one
token is always evaluated, because the model needs logits to start from:

    cached = min(common prefix of slot and prompt, prompt - 1)

So the same prompt again has `prompt - 1` cached, and a reply that is sent back unchanged has
`prompt + completion_tokens - 1`, whether it ended by itself or by `max_tokens`. A request goes to
the idle slot that holds the largest share of its prompt, if that is more than a tenth; else to
the one that was used least recently. One that the server refuses (too long for the window) leaves
what the slots hold as it was, though the one that it went to counts as used.

The rule is that of llama.cpp's server (`tools/server`) as embedded in xllamacpp 2026.10,
measured 2026-11: 420 of 420 prompt counts and 419 of 420 cached counts; the one miss came out of
the RAM cache. It holds with the RAM cache off (`cache_ram_mib = 0`), without sliding-window
attention and with `n_cache_reuse = 0`. It is exact for token ids: where the text of a reply does
not tokenise back to the tokens that were generated (emoji, some tables), the forecast is too high
by at most the length of that reply.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from math import inf

from contextkit.caching.blocks import Block, Sent, token_blocks
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.paths import Path, Shared
from contextkit.errors import InputError

SHARE = 0.1
"""Share of a prompt that a slot must hold more than, to be chosen for it."""


def reply_tokens(ids: Sequence[int], completion_tokens: int | None = None) -> tuple[Block, ...]:
    """The tokens of a reply as blocks, for `Sent.reply`.

    Args:
        ids: the text of the reply, tokenised.
        completion_tokens: what the server reported, which counts the end-of-turn token where the
            reply ended by itself. Without it (a stream that was aborted) the server had made at
            least the text that arrived, and may have been a few tokens ahead of the reader.
    """
    sampled = len(ids) if completion_tokens is None else completion_tokens
    end = (-1,) if sampled > len(ids) else ()
    return token_blocks((*ids[:sampled], *end))


@dataclass(slots=True)
class Held:
    """What a slot holds.

    Attributes:
        keys: of the blocks of the last prompt and its reply.
        blocks: the same.
        tokens: how many of their tokens it holds.
        busy_until: when it is idle again.
        turn: number of the request that it took last.
    """

    keys: tuple[Hashable, ...] = ()
    blocks: tuple[Block, ...] = field(default=(), repr=False)
    tokens: int = 0
    busy_until: float = -inf
    turn: int = 0

    def common(self, path: Path, shared: Shared | None = None) -> int:
        """Tokens of a prompt that it holds."""
        alike = common_prefix(self.keys, path.keys)
        common = path.sums[alike]
        if shared is not None and alike < min(len(self.keys), len(path.keys)):
            common += shared(path.blocks[alike], self.blocks[alike])
        return min(common, self.tokens)


class Slots:
    """The slots of a server.

    Args:
        count: how many there are.
        capacity: tokens of the windows of all together; None where that is of no interest.
        shared: leading tokens that two different blocks have in common.
    """

    def __init__(
        self, count: int = 1, capacity: int | None = None, shared: Shared | None = None
    ) -> None:
        self.slots = [Held() for _ in range(count)]
        self.window = None if capacity is None else capacity // count
        self.shared = shared
        self._turn = 0

    def choose(self, path: Path) -> tuple[Held, int]:
        """The slot that takes a request, and the tokens of it that it holds."""
        start = max(path.at, min(slot.busy_until for slot in self.slots))
        idle = [slot for slot in self.slots if slot.busy_until <= start]
        found = [(slot, slot.common(path, self.shared)) for slot in idle]
        best = max(found, key=lambda pair: pair[1])  # the first of equals
        if best[1] > SHARE * path.tokens:
            return best
        # The last of equals: slots that were never used are taken from the end.
        return min(reversed(found), key=lambda pair: (pair[0].busy_until, pair[0].turn))

    def refusal(self, path: Path) -> InputError | None:
        """Why the server refuses a request; None where it does not."""
        if self.window is None or path.tokens < self.window:
            return None
        return InputError(
            f"{path.tokens:,} tokens do not fit into the window of {self.window:,} tokens that "
            "each slot has: the server refuses the request",
            place="blocks",
        )

    def use(self, slot: Held, until: float) -> None:
        """A request has gone to the slot, and is answered or refused by then."""
        self._turn += 1
        slot.turn = self._turn
        slot.busy_until = max(slot.busy_until, until)

    def keep(self, path: Path, slot: Held, sent: Sent) -> None:
        """The slot has answered the request; what it held before plays no part any more."""
        self.use(slot, path.at + sent.ended)
        held = path.with_reply(sent.reply)
        slot.keys, slot.blocks = held.keys, held.blocks if self.shared else ()
        slot.tokens = held.sums[-1] - (1 if sent.reply else 0)
