"""What llama.cpp's server will read from its cache: the rule of one slot, over token ids.

A slot keeps the tokens of the last prompt and of the reply to it, except the last token that was
sampled, which was never fed back. A new prompt reuses the longest common prefix; at least one
token is always evaluated, because the model needs logits to start from:

    cached = min(common prefix of slot and prompt, prompt - 1)

So the same prompt again has `prompt - 1` cached, and a reply that is sent back unchanged has
`prompt + completion_tokens - 1`, whether it ended by itself or by `max_tokens`. A request that
the server refuses (too long for the window) leaves the slot as it was.

The rule is that of llama.cpp's server (`tools/server`) as embedded in xllamacpp 2026.10,
measured 2026-11: 420 of 420 prompt counts and 419 of 420 cached counts; the one miss came out of
the RAM cache. It holds for one slot with the RAM cache off (`cache_ram_mib = 0`), without
sliding-window attention and with `n_cache_reuse = 0`. It is exact for token ids: where the text
of a reply does not tokenise back to the tokens that were generated (emoji, some tables), the
forecast is too high by at most the length of that reply.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def common_prefix(first: Sequence[object], second: Sequence[object]) -> int:
    """Number of leading items (tokens, blocks, characters) that both have."""
    alike = type(first) is type(second) and isinstance(first, tuple | list | str)
    one, other = (first, second) if alike else (tuple(first), tuple(second))
    low, high = 0, min(len(one), len(other))
    # Halving over slices compares in C: under 0.1 ms for 8,000 tokens.
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def predict_cached(slot_ids: Sequence[int], prompt_ids: Sequence[int]) -> int:
    """Tokens of the prompt that the slot already holds and the server will report as cached."""
    return max(0, min(common_prefix(slot_ids, prompt_ids), len(prompt_ids) - 1))


def after_reply(
    prompt_ids: Sequence[int], reply_ids: Sequence[int], completion_tokens: int | None = None
) -> tuple[int, ...]:
    """Tokens that the slot holds once the reply is complete.

    `reply_ids` is the text of the reply, tokenised; `completion_tokens` is what the server
    reported, which counts the end-of-turn token where the reply ended by itself. Without it (a
    stream that was aborted) the slot holds at least the prompt and the text that arrived but its
    last token; the server may have been a few tokens ahead of the reader.
    """
    sampled = len(reply_ids) if completion_tokens is None else completion_tokens
    return (*prompt_ids, *reply_ids[: max(0, sampled - 1)])


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot of the server: the token ids whose keys and values it holds."""

    ids: tuple[int, ...] = ()

    def cached(self, prompt_ids: Sequence[int]) -> int:
        """Tokens of this prompt that will be read from the cache."""
        return predict_cached(self.ids, prompt_ids)

    def after(
        self,
        prompt_ids: Sequence[int],
        reply_ids: Sequence[int],
        completion_tokens: int | None = None,
    ) -> Slot:
        """The slot after that request; what it held before plays no part any more."""
        return Slot(after_reply(prompt_ids, reply_ids, completion_tokens))
