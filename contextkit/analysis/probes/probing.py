"""A probe: what a provider's cache does that its documentation leaves open, found by asking it.

Nothing that the profile says is taken for granted; it only says where to look first. What is found
is told with how sure it is, which is less where a provider misses what is in its cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from math import log2
from typing import Any

from contextkit.analysis.probes import (
    lifetime_probes,
    marker_probes,
    minimum_probe,
    prefix_probes,
    reply_probes,
)
from contextkit.analysis.probes.asking import Asker, Spent
from contextkit.analysis.probes.findings import Finding, Findings
from contextkit.analysis.probes.trials import LARGE, Trials
from contextkit.errors import InputError, ProfileError
from contextkit.profiles import CacheRules, Profile, profile_for

_MARGIN = 100_000  # tokens for a provider that is not as its profile says
_CACHE_CONTROL: Mapping[str, Any] = {"cache_control": {"type": "ephemeral"}}
_BREAKPOINT: Mapping[str, Any] = {"prompt_cache_breakpoint": {"mode": "explicit"}}


class Probing:
    """Finds out what a provider's prompt cache does, by requests with prefixes of its own.

    Args:
        client: with `chat.completions.create`, such as `openai.OpenAI()`; its retries are the
            only ones.
        model: the model's name; where no profile fits it, there is nothing to compare with.
        mode: which cache: `implicit`, `explicit` (by markers) or `session` (by a header). Requests
            are chat completions: a cache that only another API has is not reached.
        profile: facts about the model, where the name does not find them.
        budget: tokens of input and output that are not passed; by default twice
            `expected`, and some more. Where they end, what is known by then is given.
        ttl: seconds that an entry is waited for at most, to find out how long it lives; None does
            not wait. All in all that takes about three times as long.
        options: further parameters of each request.
        settle: seconds between a request and the one that looks for what it left.
        clock, sleep: the time, in seconds.
        seed: of the prefixes; None draws others in every run.

    Attributes:
        findings: what is known so far.
        profile: that the model has; None for none.
        expected: about how many tokens it will take.
        budget: how many it takes at most.

    Raises:
        InputError: when the mode is none.
        ProfileError: when it is not known how to ask for a session cache.
    """

    def __init__(
        self,
        client: Any,
        model: str,
        *,
        mode: str = "implicit",
        profile: Profile | None = None,
        budget: int | None = None,
        ttl: float | None = None,
        options: Mapping[str, Any] | None = None,
        settle: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
        seed: int | None = None,
    ) -> None:
        if mode not in ("implicit", "explicit", "session"):
            raise InputError(f"is implicit, explicit or session, not {mode!r:.60}", place="mode")
        self.profile = profile or _profile(model)
        rules = _rules(self.profile, mode)
        openai = self.profile is not None and self.profile.provider == "openai"
        usual = _BREAKPOINT if openai else _CACHE_CONTROL
        marker = usual if rules is None else rules.marker
        self.expected = _expected(rules, ttl, marker)
        self.budget = 2 * self.expected + _MARGIN if budget is None else budget
        self.findings = Findings(model, mode, rules, self.profile, marker)
        asker = Asker(
            client,
            model,
            budget=self.budget,
            options=_switches(rules, options or {}),
            reply="max_completion_tokens" if openai else "max_tokens",
            clock=clock,
            sleep=sleep,
            seed=seed,
        )
        self._trials = Trials(
            asker,
            self.findings,
            marker=marker,
            ttl=ttl,
            pause=settle,
            least_reply=16 if openai else 1,  # below that some models of OpenAI refuse
        )

    def complete(self) -> Findings:
        """Find out all that can be found out.

        Raises:
            Exception: the client's own errors.
        """
        for _ in self.run():
            pass
        return self.findings

    def run(self) -> Iterator[Finding]:
        """Ask, and give each finding as it is made."""
        asker = self._trials.asker
        try:
            for find_out in self._probes():
                self._trials.doubts = []
                for finding in find_out(self._trials):
                    self.findings.add(finding)
                    yield finding
        except Spent:
            self.findings.stopped = (
                f"the next request could have passed the {self.budget:,} tokens allowed"
            )
        finally:
            self.findings.tokens, self.findings.requests = asker.spent, asker.requests

    def _probes(self) -> Iterator[Callable[[Trials], Iterator[Finding]]]:
        """What is asked, the most important first; each knows what was found before."""
        trials = self._trials
        yield prefix_probes.hits
        if not trials.enough:
            return
        yield prefix_probes.matching
        if trials.match == "whole":
            return
        yield minimum_probe.minimum_of
        yield prefix_probes.block_of
        if trials.match == "blocks":
            yield prefix_probes.slots
        yield reply_probes.string_form
        yield reply_probes.replies
        if trials.match != "slots":
            yield reply_probes.visible
        if trials.marker and trials.match == "points":
            yield marker_probes.points
            yield marker_probes.lookback
            yield marker_probes.places
        if trials.ttl and trials.match != "slots":
            yield lifetime_probes.lifetime


def _switches(rules: CacheRules | None, options: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of each request: those asked for, and those that switch the cache on."""
    switches = dict(options)
    if rules is not None and rules.headers:
        switches["extra_headers"] = {**rules.headers, **switches.get("extra_headers", {})}
    if rules is not None and rules.parameters:
        switches["extra_body"] = {**rules.parameters, **switches.get("extra_body", {})}
    return switches


def _rules(profile: Profile | None, mode: str) -> CacheRules | None:
    """What the profile says of the cache; of a session it must, which is asked for by a header."""
    known = profile.caches if profile else ()
    rules = next((rules for rules in known if rules.mode == mode), None)
    if rules is None and mode == "session":
        raise ProfileError("no session cache is known for this model, nor how to ask for one")
    return rules


def _profile(model: str) -> Profile | None:
    try:
        return profile_for(model)
    except ProfileError:
        return None


def _expected(rules: CacheRules | None, ttl: float | None, marker: Mapping[str, Any]) -> int:
    """About how many tokens a probe takes where little is missed that was in the cache."""
    least = rules.minimum if rules else LARGE[0]
    block = rules.block if rules else 128
    size = max(least, block) + block + 120
    requests = 7 * 1.5  # is anything cached
    requests += 11 + (8 if least else 2) + 8  # match, minimum, block
    requests += 2 + 2 * 2 + 2 * 2  # string form, replies, visible
    if rules is None or rules.match in ("points", "units"):
        requests += 9  # prompts of other lengths, for the block
    if marker and (rules is None or rules.match == "points"):
        requests += 10 + 8 + 22  # points, look-back, places
    if ttl:
        requests += 2 * 3 * (4 + max(0.0, log2(max(ttl, 30) / 30)))
    return int(round(requests * size, -3)) + 1_000
