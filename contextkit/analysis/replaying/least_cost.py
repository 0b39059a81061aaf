"""The least that dropping the oldest turns can cost a real conversation, by a provider's rules.

What the requests behind a cut cost, and the cut itself, for `cheapest_cuts`: each request finds in
the cache what the one before it left, and a cut one what it has in common with an earlier one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

from contextkit.analysis.policies import Setting
from contextkit.analysis.replaying.charged import Moment
from contextkit.analysis.replaying.droppable import NOTHING_DROPPED, Droppable, Left
from contextkit.analysis.replaying.optimum import START, cheapest_cuts
from contextkit.profiles import CacheRules, Profile

if TYPE_CHECKING:
    from contextkit.analysis.replaying.optimum import Floats


@dataclass(frozen=True, slots=True)
class Bound:
    """What dropping the oldest turns costs at least.

    Attributes:
        units: of the input of all requests, in price units.
        cuts: the numbers of the requests that are cut for it.
    """

    units: float
    cuts: tuple[int, ...]


def least_cost(talk: Droppable, setting: Setting, moments: Sequence[Moment]) -> Bound | None:
    """The least that the requests of a conversation can cost, over all choices of times for cuts.

    A cut drops the oldest turns down to the target, and is there at the latest where the limit
    forces it. Charged as by the `Simulator`, under what holds where requests of one conversation
    follow each other: each finds what the last one left, unless that has expired; a cut one finds
    what it has in common with an earlier one. Where what it finds depends on more than the last
    cut, the most that can be is taken, so that no choice of times costs less than what is found.
    It is exact where a conversation that is cut at `cuts` is charged just that.

    Returns:
        None where prices are not known, the cache is not one whose rules are followed here, or no
        choice keeps the limit.
    """
    charge = _Charge(talk, setting, moments)
    if not charge.known:
        return None
    units, cuts = cheapest_cuts(len(talk.body), charge.behind, charge.cutting)
    return None if units == inf else Bound(units, cuts)


def cost_at(
    talk: Droppable, setting: Setting, moments: Sequence[Moment], cuts: Sequence[int]
) -> float | None:
    """What the requests of a conversation cost that is cut at given requests; None as above."""
    charge = _Charge(talk, setting, moments)
    if not charge.known:
        return None
    total, last = 0.0, START
    for cut in (*cuts, len(talk.body)):
        uncut = charge.behind(last)[: cut - last - 1]
        if len(uncut) < cut - last - 1:
            return None
        total += float(uncut.sum())
        if cut < len(talk.body):
            total += float(charge.cutting(last, cut - last)[-1])
        last = cut
    return total


class _Charge:
    """What the requests of a conversation are charged, behind a cut and at it."""

    def __init__(self, talk: Droppable, setting: Setting, moments: Sequence[Moment]) -> None:
        import numpy as np

        self.talk, self.rules = talk, setting.rules
        self.body = np.array(talk.body, dtype=float)
        self.unmarked = np.array(talk.unmarked, dtype=float)
        rules = setting.rules
        keeps = rules is not None and rules.replies
        self.replies = np.array(talk.replies if keeps else [0] * len(talk.body), dtype=float)
        self.cold = np.array(_cold(moments, rules), dtype=bool)
        self.tiers = _tiers(setting.profile)
        # By what a request says first the cuts, ascending, behind which requests begin with that;
        # by first group and tokens the first cut behind which a prefix ends there; by request what
        # it has in common by chance with requests behind earlier cuts, as pairs; by cut what the
        # requests behind it may say that was said word for word before.
        self.starts: dict[int, list[int]] = {}
        self.ends: dict[tuple[int, int], int] = {}
        self.again: dict[int, list[tuple[int, int]]] = {}
        self.said: dict[int, int] = {}
        self._note_places()
        # By request, its tokens when it is cut.
        self.heads = np.array([self._cut_tokens(u) for u in range(len(talk.body))], dtype=float)

    @property
    def known(self) -> bool:
        """Whether all prices are, and what happens is among what is followed here."""
        rules = self.rules
        if rules is None:
            return True
        prices = (rules.read, rules.write)
        return None not in prices and (rules.ttl is None or rules.renewed_by == "hit")

    def behind(self, cut: int) -> Floats:
        """What the requests behind a cut cost uncut, up to the first over the limit."""
        import numpy as np

        talk = self.talk
        tokens = talk.head + self._left(cut).tokens + self.body[cut + 1 :]
        tokens = tokens - (self.body[cut] if cut != START else 0.0)
        fitting = int(np.searchsorted(tokens, talk.limit, side="right"))
        tokens = tokens[:fitting]
        before = np.concatenate([[self.heads[cut] if cut != START else 0.0], tokens])[:-1]
        at = slice(cut, cut + len(tokens)) if cut != START else slice(0, max(0, len(tokens) - 1))
        ends, replies = self.unmarked[at], self.replies[at]
        if cut == START and len(tokens):
            ends, replies = np.concatenate([[0.0], ends]), np.concatenate([[0.0], replies])
        held = before - talk.opening + replies
        if self.rules is not None and self.rules.match == "points":
            held = before - talk.opening - ends
        elif self.rules is not None and self.rules.replies:
            held = np.where(replies > 0, held - self.rules.rest, held)
        if cut == START and len(held):
            held[0] = 0.0
        if cut in self.said:
            held = np.maximum(held, talk.head - talk.opening + self.said[cut])
            held = np.minimum(held, tokens - talk.opening)
        here = slice(cut + 1, cut + 1 + len(tokens))
        return self._price(tokens, held, here)

    def cutting(self, cut: int, count: int) -> Floats:
        """What requests behind a cut cost when they are cut; infinite where nothing can go."""
        import numpy as np

        talk, here = self.talk, slice(cut + 1, cut + 1 + count)
        held = np.array([self._common(cut, u) for u in range(cut + 1, cut + 1 + count)], float)
        before = self._left(cut).tokens + self.body[here]
        before = before - (self.body[cut] if cut != START else 0.0)
        tokens = self.heads[here]
        units = self._price(tokens, held, here)
        return np.where((before > talk.target) & (tokens <= talk.limit), units, inf)

    def _left(self, cut: int) -> Left:
        return (self.talk.left[cut] if cut != START else None) or NOTHING_DROPPED

    def _cut_tokens(self, request: int) -> float:
        left = self.talk.left[request]
        # Where nothing can go: more than any request may have.
        return self.talk.limit + 1.0 if left is None else float(self.talk.head + left.tokens)

    def _common(self, cut: int, request: int) -> float:
        """Tokens that a request finds which is cut, where the last cut was at another.

        Where it depends on cuts before the last one, the most that can be.
        """
        talk, rules, left = self.talk, self.rules, self.talk.left[request]
        if rules is None or left is None or request == 0:
            return 0.0
        head = talk.head - talk.opening
        tokens, same = self._shared(cut, request)
        if rules.match == "slots":
            return head + (tokens[-1] if tokens else 0)
        # What an earlier cut's requests said word for word may have been said again since.
        again = self._said_again(cut, request)
        if rules.match == "blocks":
            return head + max(again, tokens[-1] if tokens else 0)
        if not same:
            again = max(again, tokens[-1])
            tokens = []
        # Prefixes that end where a request did or, at points, its last reply began, or pins did
        # that stand first; as units, where two requests parted.
        place = talk.position(left, 0)
        pins = sum(1 for one, other in zip(left.first, talk.pins, strict=False) if one == other)
        ended = [
            one
            for number, one in enumerate(tokens)
            if number < pins or self.ends.get((place, one), cut + 1) <= cut
        ]
        least = talk.marked if rules.match == "points" else head * (cut > 0)
        return max([least, *(head + one for one in ended), head + again if again else 0])

    def _shared(self, cut: int, request: int) -> tuple[list[int], bool]:
        """What a cut request has in common with those behind an earlier cut; see `common`."""
        talk, left = self.talk, self.talk.left[request] or NOTHING_DROPPED
        ends = talk.ends
        return talk.common(self._left(cut), ends[request - 1], left, ends[request])

    def _said_again(self, cut: int, request: int) -> int:
        """Tokens that a cut request has in common with requests before the last cut by chance."""
        talk, left = self.talk, self.talk.left[request]
        if left is None:
            return 0
        if request not in self.again:
            first = talk.position(left, 0)
            found = [(START - 1, 0)]
            for earlier in self.starts.get(talk.alike[first], ()):
                if earlier >= request:
                    break
                if talk.position(self._left(earlier), 0) != first:
                    tokens, _ = self._shared(earlier, request)
                    found.append((earlier, max(found[-1][1], tokens[-1] if tokens else 0)))
            self.again[request] = found
        # Of the cuts before the last one.
        return self.again[request][bisect_left(self.again[request], (cut, 0)) - 1][1]

    def _note_places(self) -> None:
        """Where requests begin behind each cut, and where prefixes end that may be found again."""
        talk, rules = self.talk, self.rules
        units = rules is not None and rules.match == "units"
        for cut in range(START, len(talk.body)):
            left = self._left(cut)
            if cut != START and talk.left[cut] is None:
                continue
            place = talk.position(left, 0)
            self.starts.setdefault(talk.alike[place], []).append(cut)
            whole = talk.body[0] if cut == START else left.tokens
            self.ends.setdefault((place, whole), cut)
            if rules is not None and rules.points:
                self.ends.setdefault((place, whole - talk.newest[max(cut, 0)]), cut)
            for earlier in self.starts[talk.alike[place]]:
                if cut <= 0 or earlier == cut:
                    continue
                tokens, same = self._shared(earlier, cut)
                if units and tokens:
                    self.ends.setdefault((place, tokens[-1]), cut)
                if not same and tokens[-1] == left.tokens:
                    # All of it was said before: what comes then may have been, too.
                    count = len(talk.alike)
                    tokens, _ = talk.common(self._left(earlier), count, left, count)
                    self.said[cut] = max(self.said.get(cut, 0), tokens[-1])

    def _price(self, tokens: Floats, held: Floats, here: slice) -> Floats:
        """What requests cost of which the cache holds so many tokens."""
        import numpy as np

        rules = self.rules
        units = tokens
        if rules is not None:
            read = np.minimum(np.where(self.cold[here], 0.0, held), tokens - rules.rest)
            read = read - read % rules.block
            read = np.where(read < rules.minimum, 0.0, np.maximum(read, 0.0))
            written = np.zeros_like(read)
            if rules.match == "points":
                end = tokens - self.talk.opening - self.unmarked[here]
                written = np.where(end >= rules.minimum, np.maximum(0.0, end - read), 0.0)
            units = tokens - read - written + read * rules.read + written * (rules.write or 0.0)
        factor = np.ones_like(tokens)
        for above, times in self.tiers:
            factor = np.where(tokens > above, times, factor)
        return units * factor


def _cold(moments: Sequence[Moment], rules: CacheRules | None) -> list[bool]:
    """Whether what the request before left has expired."""
    ttl = None if rules is None else rules.ttl
    cold = [True] * len(moments[:1])
    for before, now in pairwise(moments):
        since = before.at + (0.0 if rules and rules.timed_from == "sent" else before.took)
        cold.append(ttl is not None and now.at > since + ttl)
    return cold


def _tiers(profile: Profile) -> list[tuple[int, float]]:
    """From how many tokens on input costs how many times the lowest price."""
    return [(price.above, price.input / profile.prices[0].input) for price in profile.prices[1:]]
