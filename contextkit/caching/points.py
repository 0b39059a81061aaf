"""Cache points: where the markers of a request are worth most, and which cache is the cheapest.

Let T_i be the tokens of a request up to the end of block i, and Q_i the probability that the next
request begins with them all (Q never rises with i). A request with points p1 < p2 < … leaves
entries of T_p1, T_p2, … tokens, of which the next one reads the longest that it shares:

    expected tokens read = sum over j of (T_pj - T_pj-1) Q_pj

which is the area of a staircase of so many steps under Q. `best_points` finds the best staircase,
`survival` says what Q is, and `plan_points` adds what a provider's rules ask for. Written down here
first, 2026-11; the look-back of 20 content blocks is that of Anthropic and Qwen.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal, get_args

from contextkit.caching.blocks import Block
from contextkit.caching.places import OPENING
from contextkit.errors import InputError
from contextkit.profiles import CacheRules, Profile

CacheChoice = Literal["implicit", "explicit", "session", "auto"]
"""What can be said of a cache: a mode, or the one that costs least."""

EXPECTED_READS = 5
"""Requests that read a prefix again, where nobody says it: half of a conversation of ten."""

DOCUMENTS_STAY = 0.98
"""Of requests with the same system block, those that also have the same documents."""

SUMMARIES_STAY = 0.9
"""Of cuts, those that leave the summaries that stand: a merge or a drop takes them."""

NEWEST_STAYS = 0.95
"""Of requests, those whose newest part is repeated: it is not edited, nor taken back."""

LEAST_CUT, MOST_CUT = 0.01, 0.9
"""The estimate of when a cut will come is never taken for certainty."""

_MARGIN = 2
"""Blocks by which points stand closer than the look-back: the provider may count more than we."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is known of the requests to come. Positions are numbers of blocks from the start.

    Attributes:
        system: blocks of the tools and the system block.
        documents: with the documents and examples behind it.
        standing: with the summaries and pins that a cut leaves where they are.
        previous: with everything that the last request had; 0 where there was none.
        stable: with everything that the next request will repeat; behind it stands what it will
            not, such as a reply that is to be continued.
        cut: the probability that the next request makes a cut.
        fit: positions of the blocks that can carry a marker, if their role may: content parts,
            but for empty text.
    """

    system: int
    documents: int
    standing: int
    previous: int
    stable: int
    cut: float
    fit: frozenset[int]


def cut_probability(room: float, growth: float) -> float:
    """The probability that the next request makes a cut: 1 / requests that still fit.

    Args:
        room: tokens up to the limit.
        growth: tokens that one request adds.
    """
    fitting = room / growth if growth > 0 else 1 / LEAST_CUT
    return min(MOST_CUT, max(LEAST_CUT, 1 / fitting if fitting > 0 else 1.0))


def survival(count: int, outlook: Outlook) -> list[float]:
    """Q: for each of so many blocks, how probably the next request begins with all up to there.

    The reasoning, from the front to the back. Every request of every conversation has the tools
    and the system block. Nearly all have the documents. A cut takes the history from its front, so
    behind the summaries everything goes with it; it hardly ever takes summaries. What the last
    request had goes with a cut only. What is new now may also be edited, or taken back.
    """
    documents = DOCUMENTS_STAY
    standing = documents * (1 - outlook.cut * (1 - SUMMARIES_STAY))
    previous = documents * (1 - outlook.cut)
    levels = (
        (outlook.system, 1.0),
        (outlook.documents, documents),
        (outlook.standing, standing),
        (outlook.previous, previous),
        (outlook.stable, previous * NEWEST_STAYS),
        (count, 0.0),
    )
    shared: list[float] = []
    for end, value in levels:
        shared += [value] * (min(end, count) - len(shared))
    return shared


def best_points(
    tokens: Sequence[int],
    shared: Sequence[float],
    most: int,
    minimum: int = 0,
    given: Collection[int] = (),
) -> tuple[int, ...]:
    """The positions whose points let the next request expect to read most; few where it is equal.

    Dynamic programme over the number of points j and the last position i:

        best[1][i] = T_i Q_i        best[j][i] = max over h < i of best[j-1][h] + (T_i - T_h) Q_i

    O(k n^2) for k points and n different values of Q: of positions with the same Q, the last is
    the best.

    Args:
        tokens: up to the end of each block, ascending.
        shared: the probability that the next request shares so much, not ascending.
        most: the most points.
        minimum: tokens below which nothing is cached.
        given: positions that have a point in any case, and count.

    Returns:
        Positions in ascending order, those of the given ones that reach the minimum among them.
    """
    fixed = sorted({position for position in given if tokens[position] >= minimum})
    most -= len(set(given)) - len(fixed)
    last = len(tokens) - 1
    open_to = [
        i
        for i in range(len(tokens))
        if tokens[i] >= minimum and (i == last or shared[i] > shared[i + 1] or i in fixed)
    ]
    if len(fixed) >= most:
        return tuple(fixed)
    # By position: what a staircase that ends there is worth, and its points.
    stairs: dict[int, _Stairs] = {
        i: (tokens[i] * shared[i], (i,))
        for i in open_to
        if (shared[i] > 0 or i in fixed) and (not fixed or i <= fixed[0])
    }
    best = _finished(stairs, fixed, (0.0, ()))
    for _ in range(1, most):
        longer: dict[int, _Stairs] = {}
        for i in open_to:
            before = [h for h in stairs if h < i and not any(h < held < i for held in fixed)]
            if before:
                worth = {h: stairs[h][0] + (tokens[i] - tokens[h]) * shared[i] for h in before}
                h = max(before, key=lambda h: worth[h])
                longer[i] = (worth[h], (*stairs[h][1], i))
        stairs = longer
        best = _finished(stairs, fixed, best)
    return best[1]


_Stairs = tuple[float, tuple[int, ...]]


def _finished(stairs: dict[int, _Stairs], fixed: Sequence[int], best: _Stairs) -> _Stairs:
    """The better of a staircase and those that have all fixed points."""
    for i, found in stairs.items():
        if (not fixed or i >= fixed[-1]) and (found[0] > best[0] or len(best[1]) < len(fixed)):
            best = found
    return best


def plan_points(blocks: Sequence[Block], rules: CacheRules, outlook: Outlook) -> tuple[int, ...]:
    """The positions of the blocks of a request that should get a marker, besides those that have.

    Ordinarily they are the end of the system block or of the documents, of the last summary, of
    the last request (where its entry is) and of this one. Where the last two are further apart
    than the provider looks back, the point of the last request is given, and what is left are
    spare points between them. A point that the provider places by itself, at the end of the
    newest input, counts as given, and is not among those returned.

    Args:
        blocks: of the request, from its start; `point` where the caller has placed a marker.
        rules: how many points there may be, where, and from how many tokens on.
        outlook: what is known of the requests to come.
    """
    own = {
        position
        for position, block in enumerate(blocks)
        if block.point and (block.role != "tools" or "tools" in rules.carriers)
    }
    most = rules.points - len(own)
    upto = list(accumulate(block.tokens for block in blocks))
    shared = survival(len(blocks), outlook)
    fit = [
        position
        for position, block in enumerate(blocks)
        if position in own
        or (
            block.role in rules.carriers
            and position in outlook.fit
            and upto[position] >= rules.minimum
            and shared[position] > 0
        )
    ]
    if most < 1 or not rules.marker or not fit:
        return ()
    placed, automatic = set(own), set[int]()
    if rules.automatic:
        # Providers place none at instructions behind the first turn.
        automatic = {
            position
            for position in fit
            if position < outlook.documents or blocks[position].role not in OPENING
        }
        automatic = {max(automatic)} if automatic else set()
        most += len(automatic - own)
        placed |= automatic
    tail = fit[-1]
    spacing = _reach(rules, len(blocks))
    previous = max((position for position in fit if position < outlook.previous), default=None)
    far = previous is not None and tail - previous > spacing
    if far and previous is not None and most > 1:
        placed.add(previous)
    chosen = best_points(
        [upto[position] for position in fit],
        [shared[position] for position in fit],
        most + len(own),
        rules.minimum,
        [fit.index(position) for position in placed],
    )
    points = {*placed, *(fit[position] for position in chosen)}
    if far and previous is not None and tail in points:
        points |= _spares(fit, previous, tail, spacing, most + len(own) - len(points))
    return tuple(sorted(points - own - automatic))


def _reach(rules: CacheRules, count: int) -> int:
    """Blocks before the newest point in which an entry is surely found without a point there."""
    if rules.lookback_of == "messages" and not rules.automatic:
        return 0
    return count if rules.lookback is None else max(0, rules.lookback - _MARGIN)


def _spares(fit: Sequence[int], first: int, last: int, spacing: int, most: int) -> set[int]:
    """Points between two others, from the last one back, each within sight of the next."""
    spares: set[int] = set()
    at = last
    while len(spares) < most and at - first > spacing:
        inside = [position for position in fit if max(first, at - spacing - 1) < position < at]
        if not inside:
            break
        at = inside[0]
        spares.add(at)
    return spares


def chosen_cache(profile: Profile, choice: CacheChoice | None) -> CacheRules | None:
    """The rules of the cache that a setting asks for; None where nothing is asked for.

    Raises:
        InputError: when the choice is not known.
        ProfileError: when the model has no such cache.
    """
    checked_choice(choice)
    if choice is None:
        return None
    return cheapest_cache(profile) if choice == "auto" else profile.cache(choice)


def cache_notes(profile: Profile, asked: CacheRules | None) -> list[str]:
    """What is to be said about the cache that was asked for, or about none."""
    if asked is not None:
        return [f"the {asked.mode} cache works in the {asked.api} API only"] if asked.api else []
    usual = profile.cache()
    if usual is None or usual.match != "points" or not usual.points:
        return []
    note = (
        "other conversations cannot read this one's system block: this model's cache ends at "
        "breakpoints. cache='implicit' puts one behind it"
    )
    return [note]


def checked_choice(choice: Any) -> None:
    """That a setting can be one of a cache.

    Raises:
        InputError: when it is not known.
    """
    known = get_args(CacheChoice)
    if choice is not None and choice not in known:
        raise InputError(
            f"is None, {', '.join(map(repr, known))}, not {choice!r:.60}", place="cache"
        )


def cheapest_cache(
    profile: Profile, *, reads: float = EXPECTED_READS, hits: float = 1.0
) -> CacheRules | None:
    """The kind of cache with the least price of a prefix that is sent again; None without any.

    A prefix costs w when it is first sent. Each of k requests that have it again then reads it at
    r, or where the cache misses, which happens with 1 - p, pays w once more:

        w + k (r p + w (1 - p))

    p is 1 for a cache that promises a hit. For Qwen that makes explicit win over implicit where
    1.25 + 0.1 k < 1 + k (0.2 p + 1 - p): from 3 reads on at p = 1, from 1 on at p <= 0.8. Those
    that work in another API, or are made beforehand, are never chosen; of equals the first.

    Args:
        profile: of the model.
        reads: how often a prefix is expected to be read (k).
        hits: how probably a cache hits that promises nothing (p).

    Raises:
        InputError: when the figures make no sense.
    """
    if not reads >= 0 or not 0 <= hits <= 1:
        raise InputError(
            f"reads is not below 0, hits from 0 to 1, not {reads!r:.20} and {hits!r:.20}",
            place="cheapest_cache",
        )

    def price(rules: CacheRules) -> float:
        if rules.read is None or rules.write is None:
            return float("inf")
        sure = 1.0 if rules.guaranteed else hits
        return rules.write + reads * (rules.read * sure + rules.write * (1 - sure))

    usable = [
        rules
        for rules in profile.caches
        if rules.mode in ("implicit", "explicit") and not rules.api
    ]
    return min(usable, key=price, default=None)
