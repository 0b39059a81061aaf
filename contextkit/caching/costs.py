"""Costs: what a request was charged, by a profile's prices; hit ratios, as sum over sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from contextkit.profiles import CacheRules, Profile
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """What one or more requests cost.

    Attributes:
        input: in price units: 1 is the price of an uncached input token of the lowest tier.
        output: the same for the reply; None where its price or its tokens are not known.
        money: both in `currency`; None where prices are not known.
        currency: of `money`.
    """

    input: float
    output: float | None = None
    money: float | None = None
    currency: str = ""


def cost_of(usage: Usage, profile: Profile, rules: CacheRules | None = None) -> Cost | None:
    """What a request cost by its usage; None where the input or its prices are not known.

    Args:
        usage: what was reported, or what was forecast.
        profile: whose prices hold.
        rules: of the cache that was in use; by default the one that works by itself.
    """
    rules = rules or profile.cache()
    if usage.input_tokens is None or rules is None or rules.read is None or rules.write is None:
        return None
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    plain = usage.input_tokens - read - written
    units = plain + rules.read * read
    by_lifetime = dict(usage.cache_writes or {})
    for name, tokens in by_lifetime.items():
        units += (rules.lifetime(name).write or rules.write) * tokens
    units += rules.write * (written - sum(by_lifetime.values()))
    tier = profile.price(usage.input_tokens)
    if tier is None:
        return Cost(units)
    lowest = profile.prices[0]
    factor = tier.input / lowest.input
    output = None
    if tier.output is not None and usage.output_tokens is not None:
        output = usage.output_tokens * tier.output / lowest.input
    money = (units * factor + (output or 0)) * lowest.input / 1e6
    return Cost(units * factor, output, money, tier.currency)


def hit_ratio(usages: Iterable[Usage]) -> float | None:
    """Tokens read from the cache by input tokens, sum over sum, where both were reported."""
    known = [
        (usage.cache_read_tokens, usage.input_tokens)
        for usage in usages
        if usage.cache_read_tokens is not None and usage.input_tokens is not None
    ]
    total = sum(tokens for _, tokens in known)
    return sum(read for read, _ in known) / total if total else None
