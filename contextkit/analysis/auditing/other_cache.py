"""Other cache: what the requests of a log would cost with the explicit cache of the same model.

For models that have a cache that works by itself and promises nothing, and beside it one with cache
points that does. The same requests, as they are, go through a simulator of that one, with the
points that contextkit sets by itself: behind the system prompt and at the end of each request.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from contextkit.analysis.auditing.lines import Related
from contextkit.analysis.auditing.requests import Logged, cache_of
from contextkit.analysis.auditing.tally import Sum
from contextkit.caching.blocks import Block, Sent
from contextkit.caching.costs import cost_of
from contextkit.caching.lenient import tolerant
from contextkit.caching.points import LEAST_CUT, Outlook, plan_points
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Profile
from contextkit.usage import Usage

HELD = 4_000_000
"""Tokens that are held of each model's cache."""

LEAST = 0.01
"""Savings below this share of the cost are not told."""

_FEWEST = 3  # requests of which something can be told


@dataclass(frozen=True, slots=True)
class Saving:
    """What another cache would have saved.

    Attributes:
        model: that the requests were sent to.
        mode: of the other cache.
        requests: how many.
        units, units_before: cost in price units with it, and as it was.
        money, money_before: the same in `currency`; None where prices are not known.
    """

    model: str
    mode: str
    requests: int
    units: float
    units_before: float
    money: float | None
    money_before: float | None
    currency: str

    @property
    def share(self) -> float:
        """Of the cost of these requests."""
        if self.money is not None and self.money_before:
            return 1 - self.money / self.money_before
        return 1 - self.units / self.units_before


@dataclass(slots=True)
class _Other:
    rules: CacheRules
    simulator: Simulator
    paid: Sum = field(default_factory=Sum)
    would: Sum = field(default_factory=Sum)
    sure: bool = True


class OtherCaches:
    """The requests of a log once more, with the other cache of their model."""

    def __init__(self) -> None:
        self._others: dict[str, _Other | None] = {}
        self._clock = 0.0

    def add(self, now: Logged, related: Related, simulated: Usage) -> None:
        """Take the next request."""
        profile = now.counter.profile
        if now.model not in self._others:
            rules = _other(profile)
            simulator = rules and Simulator(tolerant(rules), capacity=HELD)
            self._others[now.model] = _Other(rules, simulator) if rules and simulator else None
        other = self._others[now.model]
        if other is None or now.rules.mode != "implicit":
            return
        if now.at is None:  # nothing is known of what would have expired
            other.sure = False
        if not other.sure:
            return
        self._clock = max(self._clock, now.at or 0.0)
        usage = now.usage or simulated
        paid = replace(usage, output_tokens=None, reasoning_tokens=None)
        try:
            found = other.simulator.send(_sent(now, related, other.rules, self._clock))
        except InputError:
            other.sure = False
            return
        other.paid.add(0, cost_of(paid, profile, now.rules))
        other.would.add(0, cost_of(_scaled(found, usage.input_tokens), profile, other.rules))

    def savings(self) -> list[Saving]:
        """What would be saved, the most first; nothing of models where that is not sure."""
        found = []
        for model, other in self._others.items():
            if other is None or not other.sure or other.paid.requests < _FEWEST:
                continue
            paid, would = other.paid, other.would
            if paid.unknown or would.unknown or not paid.units:
                continue
            [currency] = list(paid.money) if paid.money.keys() == would.money.keys() else [""]
            one = Saving(
                model,
                other.rules.mode,
                paid.requests,
                would.units,
                paid.units,
                would.money.get(currency),
                paid.money.get(currency),
                currency,
            )
            if one.share >= LEAST:
                found.append(one)
        return sorted(found, key=lambda one: one.units - one.units_before)


def _other(profile: Profile) -> CacheRules | None:
    """The cache with points beside the one that works by itself, if what it costs is known."""
    usual = profile.cache()
    if usual is None or usual.guaranteed:
        return None
    for rules in profile.caches:
        priced = rules.read is not None and rules.write is not None
        if rules.mode == "explicit" and rules.guaranteed and priced and not rules.api:
            return rules
    return None


def _sent(now: Logged, related: Related, rules: CacheRules, at: float) -> Sent:
    """The request with cache points."""
    salt = Block(("cache", cache_of(now)), 0, "tools")
    blocks = [salt, *now.blocks]
    first = 1 + len(now.tools.blocks)
    system = first + sum(len(one.blocks) for one in now.held[: now.leading])
    before = related.before if related.how == "goes on" else None
    had = 0 if before is None else len(before.held)
    previous = first + sum(len(one.blocks) for one in now.held[:had]) if had else 0
    end = len(blocks) - 1  # before what opens the reply
    fit = frozenset(range(first, end))
    outlook = Outlook(system, system, system, previous, end, LEAST_CUT, fit)
    for place in plan_points(blocks, rules, outlook):
        blocks[place] = replace(blocks[place], point=True)
    took = now.took or 0.0
    return Sent(tuple(blocks), at=at, begun=took, ended=took)


def _scaled(found: Usage, tokens: int | None) -> Usage:
    """What was simulated, for as many tokens as the provider counted."""
    if not tokens or not found.input_tokens:
        return found
    factor = tokens / found.input_tokens
    writes = {name: round(n * factor) for name, n in (found.cache_writes or {}).items()}
    return Usage(
        input_tokens=tokens,
        cache_read_tokens=round((found.cache_read_tokens or 0) * factor),
        cache_write_tokens=sum(writes.values()),
        cache_writes=writes,
    )
