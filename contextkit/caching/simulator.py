"""Simulator: what a provider reads from its cache and writes to it, for requests with their times.

It follows the `CacheRules` of a profile and knows nothing of one provider. Requests may come from
any number of conversations, as the provider's cache serves them all. They are given in the order
in which they were sent; two that overlap in time are told apart by when their responses begin and
end, and do not see what the other has not finished writing.

Where a provider's documentation leaves something open, the simulator takes what gives fewer hits:

- a prefix is renewed when it, or more, is read; being sent again without a hit writes it anew;
- nothing is read at a point that is not yet visible, so that concurrent first requests all miss.
"""

from __future__ import annotations

from typing import Any

from contextkit.caching.blocks import Sent
from contextkit.caching.matching import Found, cache_of
from contextkit.caching.paths import Path, Shared
from contextkit.errors import InputError
from contextkit.profiles import CacheRules
from contextkit.usage import Usage


class Simulator:
    """A provider's cache: what it has, and what it would report.

    Args:
        rules: how it matches and keeps; from `profile.cache(…)`.
        slots: of a llama.cpp server.
        capacity: tokens that a local engine can hold; what was used least recently is dropped. For
            slots: of the windows of all of them together.
        shared: leading tokens that two different blocks have in common; none by default. Where
            blocks are single tokens it is not needed.

    Raises:
        InputError: less than one slot or token.
    """

    def __init__(
        self,
        rules: CacheRules,
        *,
        slots: int = 1,
        capacity: int | None = None,
        shared: Shared | None = None,
    ) -> None:
        given: Any = rules
        if not isinstance(given, CacheRules):
            raise InputError(
                f"are CacheRules, not {given!r:.60}: profile_for(model).cache() has them",
                place="rules",
            )
        for name, value in (("slots", slots), ("capacity", capacity)):
            if value is not None and value < 1:
                raise InputError(f"is 1 at least, not {value}", place=name)
        self.rules = rules
        self._cache = cache_of(rules, slots, capacity, shared)

    def send(self, sent: Sent) -> Usage:
        """What the provider reports for a request, which leaves its traces in the cache.

        `cache_write_tokens` is a number where the cache is written at points, as only such caches
        report it and charge for it; elsewhere it is None.

        Raises:
            InputError: the provider would refuse the request; the cache holds what it held.
        """
        path = Path.of(sent)
        found = self._cache.find(path)
        self._cache.keep(path, found, sent)
        return self._usage(path, found)

    def peek(self, sent: Sent) -> Usage:
        """What `send` would give, without effect.

        Raises:
            InputError: the provider would refuse the request.
        """
        path = Path.of(sent)
        return self._usage(path, self._cache.find(path))

    def _usage(self, path: Path, found: Found) -> Usage:
        if found.refusal is not None:
            raise found.refusal
        rules = self.rules
        read = min(found.tokens, path.tokens - rules.rest)
        read -= read % rules.block
        if read < rules.minimum:
            read = 0
        if rules.match != "points":
            return Usage(input_tokens=path.tokens, cache_read_tokens=max(read, 0))
        writes: dict[str, int] = {}
        start = read
        for place, lifetime in found.places.items():
            if path.sums[place] > start:
                added = path.sums[place] - start
                writes[lifetime.name] = writes.get(lifetime.name, 0) + added
                start = path.sums[place]
        return Usage(
            input_tokens=path.tokens,
            cache_read_tokens=read,
            cache_write_tokens=sum(writes.values()),
            cache_writes=writes,
        )
