"""Trials: what all probes of a cache have in common: requests, hits, repeats, and doubts.

A hit proves: nobody else has sent the prefix. A miss proves nothing, since a provider may miss at
will. So what missed is asked again, as often as the share of misses so far among prefixes that were
in the cache, as a hit showed, makes it needed for an error of at most 0.1 %, but no more than eight
times. The share is taken by Laplace's rule: one more miss and one more hit than were seen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import ceil, log, prod
from typing import Any

from contextkit.analysis.probes.asking import Asker, Message, Seen
from contextkit.analysis.probes.findings import Finding, Findings
from contextkit.profiles import CacheRules

LARGE = 2_600, 6_000
"""Tokens of the first prefixes where the minimum is not known."""

TAIL = 12
"""Words behind a prefix."""

_ERROR = 0.001  # of taking for absent what is in the cache


class Trials:
    """What is known so far, and the requests by which more is found out.

    Attributes:
        asker: sends the requests.
        findings: what was found.
        rules: what the profile says; None where there is none.
        marker: the keys that make a content block a cache point; empty where there are none.
        marked: whether requests need one to be cached.
        ttl: seconds that are waited for at most; None does not wait.
        pause: seconds between a request and the one that looks for what it left.
        least_reply: tokens of a reply, where it does not matter.
        cold: tokens read of a prompt that was never sent: the template's own.
        match: how prefixes are found: as rules say it; or only at `ends` of messages and parts, or
            only where a `whole` request is the same.
        enough: tokens of a prefix that is surely cached.
        block, minimum: as far as they are known.
        reads: tokens read of requests that were sent twice as they were.
        behind: tokens of such a request that were not read, at the least.
        there: how often what was in the cache was missed, and read.
        doubts: the chances that what was not found in the present probe was there.
    """

    def __init__(
        self,
        asker: Asker,
        findings: Findings,
        *,
        marker: Mapping[str, Any],
        ttl: float | None,
        pause: float,
        least_reply: int,
    ) -> None:
        self.asker = asker
        self.findings = findings
        self.rules: CacheRules | None = findings.rules
        self.marker = dict(marker)
        self.marked = findings.mode == "explicit" and bool(marker)
        self.ttl = ttl
        self.pause = pause
        self.least_reply = least_reply
        self.cold = 0
        self.match = "blocks"
        self.enough = 0
        self.block = self.rules.block if self.rules else 1
        self.minimum = self.rules.minimum if self.rules else 0
        self.reads: set[int] = set()
        self.behind = sys.maxsize
        self.there = [0, 0]
        self.doubts: list[float] = []

    def ask(self, messages: Sequence[Message], **more: Any) -> Seen:
        """Send a request, with the shortest reply unless another is asked for."""
        more.setdefault("reply", self.least_reply)
        return self.asker.ask(messages, **more)

    def part(self, text: str, *, mark: bool = False) -> Message:
        """A content part; with a marker if it is to be a cache point."""
        return {"type": "text", "text": text, **(self.marker if mark else {})}

    def user(self, *texts: str) -> Message:
        """A user message; where points are asked for, with one at its end."""
        *before, last = texts
        found = [*map(self.part, before), self.part(last, mark=self.marked)]
        return {"role": "user", "content": found}

    def prefix(self, tokens: float | None = None) -> str:
        """A fresh text that makes a prompt of so many tokens; by default, enough."""
        return self.asker.words(self.asker.words_for(tokens or self.enough))

    def tail(self) -> str:
        """A fresh text that ends a prompt."""
        return self.asker.words(TAIL)

    def settle(self) -> None:
        """A moment, for a provider that stores an entry after it has answered."""
        if self.pause:
            self.asker.sleep(self.pause)

    def hit(self, seen: Seen, share: float = 0.4) -> bool:
        """Whether a share of the input was read, beyond what every prompt reads."""
        return seen.read - self.cold > share * (seen.tokens - self.cold)

    def was_read(self, seen: Seen) -> None:
        """Note what was read of a request that was sent before as it is."""
        self.reads.add(seen.read)
        self.behind = min(self.behind, seen.tokens - seen.read)

    def ever(self, trial: Callable[[], bool]) -> bool:
        """Whether a trial succeeds once; that it never does is noted as a doubt."""
        repeats = self.repeats
        for number in range(repeats):
            if trial():
                self.there[0] += number
                self.there[1] += 1
                return True
        self.doubts.append(self.chance**repeats)
        return False

    @property
    def chance(self) -> float:
        """Of a miss of what is in the cache."""
        missed, read = self.there
        return (missed + 1) / (missed + read + 2)

    @property
    def repeats(self) -> int:
        """How often it is asked before it is believed that something is not in the cache."""
        return min(8, max(2, ceil(log(_ERROR) / log(self.chance))))

    def finding(self, field: str, value: Any, seen: str, sure: float = 1.0) -> Finding:
        """A finding of the present probe, less sure for each doubt."""
        sure *= prod(1 - doubt for doubt in self.doubts)
        known = getattr(self.rules, field, None) if self.rules else None
        return Finding(field, value, seen, round(sure, 4), known)
