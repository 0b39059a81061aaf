"""Rules of a cache with something left out, to see what that alone does.

Each is made once: rules check themselves when they are made, which takes longer than a forecast.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from contextkit.profiles import CacheRules


@lru_cache(maxsize=64)
def tolerant(rules: CacheRules) -> CacheRules:
    """The rules without what makes a provider refuse a request: that is not asked here."""
    return replace(rules, overflow="last", longest_first=False)


@lru_cache(maxsize=64)
def with_any_length(rules: CacheRules) -> CacheRules:
    """The rules as if no prefix were too short."""
    return replace(rules, minimum=0)


@lru_cache(maxsize=64)
def searched(rules: CacheRules) -> CacheRules:
    """The rules as if every point were written, and looked for from the end to the start."""
    return replace(rules, minimum=0, lookback=None, lookback_of="blocks")


@lru_cache(maxsize=64)
def dense(rules: CacheRules, *, points: bool = False) -> CacheRules:
    """The rules as if every prefix of what was sent could be read."""
    sparse = ("units", "points") if points else ("units",)
    return replace(rules, match="blocks") if rules.match in sparse else rules
