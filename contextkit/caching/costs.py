"""Costs: what a request was charged, by a profile's prices; hit ratios, as sum over sum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Profile
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """What one or more requests cost. Costs are added with `+`, or with `total_cost`.

    Attributes:
        input: in price units: 1 is the price of an uncached input token of the lowest tier.
        output: the same for the reply; None where its price or its tokens are not known.
        money: both in `currency`; None where prices are not known.
        currency: of `money`.
        notes: what is not in it, and what else decides on the prices.
        unknown: requests whose cost is not known; they are not in it.
    """

    input: float
    output: float | None = None
    money: float | None = None
    currency: str = ""
    notes: tuple[str, ...] = ()
    unknown: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Both together. What is not known of one is not known of both; currencies do not mix."""
        money, notes = None, (*self.notes, *other.notes)
        if self.money is not None and other.money is not None:
            if self.currency == other.currency:
                money = self.money + other.money
            else:
                notes += (f"{self.currency} and {other.currency} are not added up",)
        outputs = (self.output, other.output)
        return Cost(
            self.input + other.input,
            None if outputs[0] is None or outputs[1] is None else outputs[0] + outputs[1],
            money,
            self.currency if money is not None else "",
            tuple(dict.fromkeys(notes)),
            self.unknown + other.unknown,
        )


def total_cost(costs: Iterable[Cost | None]) -> Cost | None:
    """The sum of costs; None where not one is known. Those that are not are counted in `unknown`.

    Of one model, or of models whose price units are compared: a unit is the price of an input token
    of the model that a request was made to.
    """
    known: Cost | None = None
    unknown = 0
    for cost in costs:
        if cost is None:
            unknown += 1
        else:
            known = cost if known is None else known + cost
    return None if known is None else known + Cost(0, 0, 0, known.currency, unknown=unknown)


def cost_of(usage: Usage | None, profile: Profile, rules: CacheRules | None = None) -> Cost | None:
    """What a request cost by its usage; None where the input, or a price it needs, is not known.

    Every input token is charged once: as read, as written (by the lifetime it was written with), or
    in full. What was not reported as read or written is charged in full. The tier that the input
    falls in prices the whole request. Keeping a cache is not in it, where a provider charges that.

    Args:
        usage: what was reported, or what was forecast.
        profile: whose prices hold.
        rules: of the cache that was in use. By default the explicit one where the usage names a
            kind of cache (`cache_type`), else the one that works by itself, else the only one.

    Raises:
        InputError: when it is no usage.
    """
    given: Any = usage
    if not isinstance(given, Usage | None):
        raise InputError(
            f"is a Usage, not {type(given).__name__}: Usage.of(…) makes one of what was reported",
            place="usage",
        )
    if usage is None or usage.input_tokens is None:
        return None
    rules = rules or _rules(usage, profile)
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    charged: list[tuple[int, float | None]] = [(max(0, usage.input_tokens - read - written), 1.0)]
    by_lifetime = dict(usage.cache_writes or {})
    if rules is not None:
        charged.append((read, rules.read))
        prices = {lifetime.name: lifetime.write for lifetime in rules.lifetimes}
        charged += [(n, prices.get(name, rules.write)) for name, n in by_lifetime.items()]
        charged.append((max(0, written - sum(by_lifetime.values())), rules.write))
    elif read or written:
        return None
    units = 0.0
    for tokens, ratio in charged:
        if ratio is not None:
            units += tokens * ratio
        elif tokens:
            return None
    return _priced(units, usage, profile, rules)


def hit_ratio(usages: Iterable[Usage]) -> float | None:
    """Tokens read from the cache by input tokens, sum over sum, where both were reported."""
    known = [
        (usage.cache_read_tokens, usage.input_tokens)
        for usage in usages
        if usage.cache_read_tokens is not None and usage.input_tokens is not None
    ]
    total = sum(tokens for _, tokens in known)
    return sum(read for read, _ in known) / total if total else None


def _rules(usage: Usage, profile: Profile) -> CacheRules | None:
    """The cache that was at work, as far as the usage tells."""
    caches = [rules for rules in profile.caches if rules.mode != "resource"]
    wanted = "explicit" if usage.cache_type is not None else "implicit"
    return next((rules for rules in caches if rules.mode == wanted), None) or (
        caches[0] if len(caches) == 1 else None
    )


def _priced(units: float, usage: Usage, profile: Profile, rules: CacheRules | None) -> Cost:
    """Units of the lowest tier, and money, for the units of a request in its own tier."""
    notes = ["keeping the cache is not in it"] if rules and rules.storage is not None else []
    tier = profile.price(usage.input_tokens or 0)
    if tier is None:
        return Cost(units, notes=tuple(notes))
    lowest = profile.prices[0].input
    factor = tier.input / lowest
    output = None
    if tier.output is not None and usage.output_tokens is not None:
        output = usage.output_tokens * tier.output / lowest
    else:
        notes.append("the output is not in it")
    if tier.note:
        notes.append(tier.note)
    money = (units * factor + (output or 0)) * lowest / 1e6
    return Cost(units * factor, output, money, tier.currency, tuple(notes))
