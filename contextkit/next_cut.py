"""Next cut: when it will be, and the figures behind it, in words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace

from contextkit.figures import Figures, Verdict, figures_at
from contextkit.view import View


def requests_until_cut(due: Callable[[Figures], bool], figures: Figures, limit: int) -> int | None:
    """About how many more requests there will be until one is cut; None where they add nothing.

    Each is taken to add what the requests held have added on average, with a warm cache.
    """
    rate = figures.held / max(1, figures.requests)
    if rate <= 0:
        return None
    room = limit - figures.fixed - figures.held
    keep = max(figures.keep, figures.target - round(rate / 2))  # whole turns leave half a one
    last = max(1, int(room // rate) + 1)

    def is_cut(coming: int) -> bool:
        held = figures.held + round(coming * rate)
        then = replace(
            figures,
            held=held,
            keep=min(held, keep),
            newest=round(rate),
            requests=figures.requests + coming,
            idle=None,
        )
        return due(then)

    # What pays once keeps paying while the history grows: halving, not one request after another.
    coming = 1
    while coming < last and not is_cut(coming):
        coming *= 2
    candidates = range(coming // 2 + 1, min(coming, last))
    return candidates.start + bisect_left(candidates, 1, key=lambda c: int(is_cut(c)))


def next_cut(due: Callable[[Figures], bool], view: View) -> list[str]:
    """How far the limit and the next cut are away, in words."""
    figures = figures_at(view)
    limit = view.bounds.limit if view.bounds else 0
    whole = figures.fixed + figures.held
    words = [f"limit: {limit:,} tokens; this request has {whole:,}, {limit - whole:,} less"]
    coming = requests_until_cut(due, figures, limit)
    if coming is None:
        return [*words, "next cut: not in sight, requests add nothing"]
    rate = figures.held / max(1, figures.requests)
    more = "request" if coming == 1 else "requests"
    why = "at the limit" if coming > (limit - whole) // rate else "when it will pay"
    return [
        *words,
        f"next cut: in about {coming:,} more {more}, {why}, at {rate:,.0f} tokens a request",
    ]


def compared(what: str, figures: Figures, verdict: Verdict | None) -> list[str]:
    """What a cut costs and saves, in words."""
    if verdict is None:
        return [f"{what}: there is nothing to cut"]
    taken = figures.held - figures.keep - figures.summary
    calls = f", {verdict.fee:,.0f} of it for the summarizer" if verdict.fee else ""
    step = f" (at {verdict.factor:g} times the price)" if verdict.factor != 1 else ""
    pays = "a cut pays" if verdict.extra <= verdict.saving else "a cut does not pay yet"
    costs = (
        f"{what}: costs {verdict.uncut:,.0f} tokens' worth uncut{step}, {verdict.cut:,.0f} cut"
        f"{calls}: {verdict.extra:+,.0f}"
    )
    saves = (
        f"{what}: without the {taken:,} tokens that go, later requests save "
        f"{max(0.0, verdict.saving):,.0f}: {pays}"
    )
    return [costs, saves]


def cache_words(figures: Figures, ttl: float | None) -> str:
    """Whether the cache is taken to be warm, and why."""
    if figures.idle is None:
        return "cache: taken to be warm (no clock, or no request before)"
    if ttl is None:
        return f"cache: taken to be warm; idle for {figures.idle:,.0f} s, the TTL is not known"
    state = "cold" if figures.idle > ttl else "warm"
    return f"cache: {state}; idle for {figures.idle:,.0f} s of a TTL of {ttl:,.0f} s"


def tier_words(whole: int, tiers: Sequence[tuple[int, float]]) -> str:
    """Where the next step of the price is."""
    for above, factor in tiers:
        if whole <= above:
            return (
                f"price step: above {above:,} tokens a request costs {factor:g} times the lowest "
                f"price; {above - whole:,} away"
            )
    above, factor = tiers[-1]
    return f"price step: above the last one, at {above:,} tokens; {factor:g} times the lowest price"
