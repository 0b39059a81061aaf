"""Schedules: when to cut before the limit forces it.

`WhenItPays` sends a request cut when the extra price of this request with the cut is at most what
later requests are expected to save. It keeps no state, has no tuned constant, and takes an expired
cache, a summarizer's calls, large tool results and steps of the price by the same comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, sqrt
from typing import Any, Protocol

from contextkit.errors import BudgetError, InputError
from contextkit.figures import Calls, Figures, Verdict, figures_at
from contextkit.next_cut import cache_words, compared, next_cut, tier_words
from contextkit.profiles import CacheRules, Profile
from contextkit.view import View


class Schedule(Protocol):
    """Says whether to cut now although the limit does not force it.

    A schedule may also have `at(profile, rules)`, which gives the schedule that holds for a model,
    a `clock` that gives seconds, and `explain(view)`.
    """

    def due(self, figures: Figures) -> bool:
        """Whether this request should be sent cut.

        A pure function of the figures. It is asked with what a cut comes to as a rule, then, where
        that is due, with what its plan comes to, made dry (`figures.rewritten`, `figures.calls`);
        and with figures such as the request before may have had, to tell whether a plan is new.
        """


@dataclass(frozen=True, slots=True)
class AtLimit:
    """Cut at the limit, never before."""

    def due(self, figures: Figures) -> bool:
        """Never: the limit itself is kept by the builder."""
        return False

    def explain(self, view: View) -> str:
        """The figures behind the next cut of a view that was built (`context.view`), in words.

        Raises:
            InputError: when the view was not built.
        """
        return "\n".join(["AtLimit: a cut is made at the limit", *next_cut(self.due, view)])


OUTPUT = 4.0
"""Price of an output token by that of input where it is not known: what most models ask."""


@dataclass(frozen=True, slots=True)
class WhenItPays:
    """Cut when the extra price of this request is at most what later requests save.

    What is not given is taken from the profile of the builder's model. Prices are ratios to the
    price of one uncached input token.

    Attributes:
        read: price of a token read from the cache (r). Where it is uncertain take the lower value;
            at 0 it cuts only when that is free.
        write: price of a token written to the cache (w), 1.0 where writing costs nothing extra.
        fee: price of the summarizer's calls for one cut, in tokens' worth (F). By default what
            the strategy says that it reads and writes, at the prices here: say it where the
            summarizer is another model.
        ttl: seconds after which an unused cache entry is gone; None when not known.
        clock: gives seconds since the epoch. With it, and a TTL, idle time counts.
        output: price of an output token; where the profile does not know it either, 4.
        tiers: where the price of input steps up with the length of the request: pairs of the input
            tokens above which a tier holds, and how many times the lowest price it costs.
    """

    read: float | None = None
    write: float | None = None
    fee: float | None = None
    ttl: float | None = None
    clock: Callable[[], float] | None = None
    output: float | None = None
    tiers: tuple[tuple[int, float], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("read", "write", "fee", "ttl", "output"):
            value: Any = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise BudgetError(f"WhenItPays.{name} is a number, not {value!r:.60}")
            if not value >= 0 or (value == inf and name != "ttl"):
                raise BudgetError(f"WhenItPays.{name} is {value!r}: not below 0, and finite")
        if self.clock is not None and not callable(self.clock):
            raise InputError(
                f"is a callable that gives seconds, not {self.clock!r:.60}",
                place="WhenItPays.clock",
            )
        if self.tiers is not None:
            object.__setattr__(self, "tiers", _checked_tiers(self.tiers))
        if self.read is not None and self.write is not None and self.read > self.write:
            raise BudgetError(f"reading at {self.read:g} costs more than writing at {self.write:g}")

    def at(self, profile: Profile, rules: CacheRules | None) -> WhenItPays:
        """The schedule with what is not given taken from a profile and the rules of its cache.

        Prices that are not known there stay None; it is then never due.
        """
        lowest = profile.prices[0] if profile.prices else None
        output = lowest.output / lowest.input if lowest and lowest.output else OUTPUT
        steps = tuple(
            (price.above, price.input / lowest.input) for price in profile.prices if lowest
        )
        read, write, ttl = (rules.read, rules.write, rules.ttl) if rules else (None, None, None)
        return replace(
            self,
            read=read if self.read is None else self.read,
            write=write if self.write is None else self.write,
            ttl=ttl if self.ttl is None else self.ttl,
            output=output if self.output is None else self.output,
            tiers=steps[1:] if self.tiers is None else self.tiers,
        )

    def due(self, figures: Figures) -> bool:
        """Whether the extra price now is at most the saving on later requests."""
        verdict = self.verdict(figures)
        return verdict is not None and verdict.extra <= verdict.saving

    def verdict(self, figures: Figures) -> Verdict | None:
        """What a cut costs and saves; None where there is none to make, or prices are unknown.

        With S for `fixed`, h, k, s, K, g, m, W of `Figures`, r and w as above:

            x     = h - k - s                    tokens that a cut takes
            uncut = r (S + h - g) + w g          price of this request as it is (cold: w (S + h))
            cut   = r (S + h - x - W) + w W + F  ... cut, with the summarizer's calls
            rate  = h / m                        tokens that one request adds
            n     = sqrt(2 ((w - r)(K + W - k - rate) + F) / (r rate))   requests between cuts
            y     = min(x, n rate)
            saves = r y (n - 1 - y / (2 rate))   what the y tokens would cost over the cycle

        A cut is due where x > 0 and cut - uncut <= saves. As a rule W is k + s; then S cancels out.
        Derivation: lot sizing with a setup price that is known when decided. Measured on real and
        random growth (`make bench`), its cost is a mean 1.02 to 1.03 times the exact offline
        optimum.

        Where this request stands above a step of the price, and would stand below it when cut,
        its uncut price is higher by D. Requests that go on above the step pay D and r x more each
        than the newest turns alone; cycles that end at the step, after n' = x' / rate requests,
        with x' the tokens that fit below it, pay A / n' + r x' / 2 more each, with A the price of
        a cut. The lesser of the two is taken: a cut is then also due where A <= n' (D + r x -
        r x' / 2).
        """
        read, write = self.read, self.write
        if read is None or write is None:
            return None
        taken = figures.held - figures.keep - figures.summary
        if taken <= 0 or figures.target <= 0:
            return None
        cold = self.ttl is not None and figures.idle is not None and figures.idle > self.ttl
        before = write if cold else read
        written = figures.rewritten
        if written is None:
            written = figures.keep + figures.summary
        whole = figures.fixed + figures.held
        edge, factor = self._step(whole, whole - taken) if self.tiers else (0, 1.0)
        fee = factor * self._fee(figures.calls, before)
        if self.fee is None:
            fee += figures.calls.elsewhere
        uncut = factor * (before * (whole - figures.newest) + write * figures.newest)
        cut = before * (whole - taken - written) + write * written + fee
        rate = figures.held / max(1, figures.requests)
        saving = 0.0
        if read > 0:
            radicand = (write - read) * (figures.target + written - figures.keep - rate) + fee
            cycle = sqrt(max(0.0, 2 * radicand / (read * rate)))
            gone = min(taken, cycle * rate)
            saving = read * gone * (cycle - 1 - gone / (2 * rate))
        if factor > 1:
            below = edge - (whole - taken)
            more = uncut - uncut / factor + read * taken
            saving = max(saving, below / rate * (more - read * below / 2) - more)
        return Verdict(uncut, cut, fee, saving, factor, cold)

    def _fee(self, calls: Calls, before: float) -> float:
        if self.fee is not None:
            return self.fee
        output = OUTPUT if self.output is None else self.output
        return before * calls.read + (self.write or 0.0) * calls.fresh + output * calls.output

    def _step(self, whole: int, cut: int) -> tuple[int, float]:
        """The lowest step of the price between two lengths of a request, and its factor."""
        low = high = 1.0
        edge = 0
        for above, factor in self.tiers or ():
            if cut > above:
                low = high = factor
            elif whole > above:
                high = factor
                edge = edge or above
        return edge, high / low

    def explain(self, view: View) -> str:
        """The figures behind the next cut of a view that was built (`context.view`), in words.

        They are those of the request that the view is; where a plan was made dry for it and did
        not pay, with the figures of that plan.

        Raises:
            InputError: when the view was not built.
        """
        figures = figures_at(view)
        if self.read is None or self.write is None:
            return "WhenItPays: prices are not known, so that it never cuts before the limit"
        whole = figures.fixed + figures.held
        prices = f"a token read from the cache costs {self.read:g}, a written one {self.write:g}"
        keeps = f"a cut would keep {figures.keep:,} of a target of {figures.target:,}"
        if view.bounds is not None and (stays := view.bounds.target - figures.target):
            keeps += f" ({view.bounds.target:,} less {stays:,} of summaries and pins that stay)"
        lines = [
            f"WhenItPays: by the price of an uncached input token, {prices}",
            f"held: {figures.held:,} tokens of history in a request of {whole:,}; {keeps}",
            *compared("this request", figures, self.verdict(figures)),
        ]
        if view.planned is not None and view.planned[0] == view.seen:
            lines += compared("by the plan", view.planned[1], self.verdict(view.planned[1]))
        lines.append(cache_words(figures, self.ttl))
        if self.tiers:
            lines.append(tier_words(whole, self.tiers))
        return "\n".join([*lines, *next_cut(self.due, view)])


def _checked_tiers(given: Any) -> tuple[tuple[int, float], ...]:
    """Tiers as pairs, ascending.

    Raises:
        BudgetError: when they are not.
    """
    try:
        tiers = tuple((int(above), float(factor)) for above, factor in given)
    except (TypeError, ValueError, OverflowError) as error:
        raise BudgetError(
            f"WhenItPays.tiers are pairs of tokens and a factor, not {given!r:.60}"
        ) from error
    edges = [above for above, _ in tiers]
    if edges != sorted(set(edges)) or any(not 0 < factor < inf for _, factor in tiers):
        raise BudgetError(f"WhenItPays.tiers ascend, with positive factors, unlike {given!r:.60}")
    return tiers
