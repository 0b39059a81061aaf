"""Budget: how many tokens a request may have. Schedule: when to cut before the limit forces it.

`WhenItPays` sends a request cut when the extra price of this request with the cut is at most what
later requests are expected to save. It keeps no state, has no tuned constant, and takes an expired
cache, a summarizer's fee and large tool results by the same comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any, Protocol

from contextkit.errors import BudgetError, InputError
from contextkit.view import View


def whole_number(name: str, value: Any, *, least: int) -> None:
    """That a setting is a whole number, and not too small.

    Raises:
        BudgetError: with its name and what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise BudgetError(f"{name} is a whole number, not {value!r:.60}")
    if value < least:
        raise BudgetError(f"{name} is {value:,}: it must be {least} or more")


def longest_reply(parameters: Mapping[str, Any]) -> Any:
    """The tokens that the parameters of a request allow its reply; None where they do not say.

    A null says nothing, so that the older of the two names still counts beside it.
    """
    longest = parameters.get("max_completion_tokens")
    return parameters.get("max_tokens") if longest is None else longest


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens a request may have.

    Attributes:
        limit: no request exceeds it: input tokens with tools, template overhead, inserts and all.
        target: what compaction comes down to, in tokens behind the leading system block; half the
            limit by default. It is a question of quality, so it is yours.
        reserve: tokens kept free in the model's window for the reply; the profile's by default.

    Raises:
        BudgetError: when a figure is not positive or the target is above the limit.
    """

    limit: int
    target: int | None = None
    reserve: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "target", "reserve"):
            value = getattr(self, name)
            if value is not None or name == "limit":
                whole_number(name, value, least=0 if name == "reserve" else 1)
        if self.target is not None and self.target > self.limit:
            raise BudgetError(f"target {self.target:,} is above the limit of {self.limit:,}")

    def goal_tokens(self, fixed: int, share: int) -> int:
        """The effective target: tokens behind the system block that compaction comes down to.

        At most half of what the limit leaves to it, so that a cut is worth its rewritten prefix.

        Args:
            fixed: tokens of tools, system block and template.
            share: tokens reserved for the tail.
        """
        target = self.limit // 2 if self.target is None else self.target
        return max(0, min(target, (self.limit - fixed - share) // 2))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a schedule decides on, all in tokens unless said otherwise.

    Summaries and pins that stand are in none of them: no cut takes them.

    Attributes:
        held: history in this request, the newest included (h).
        keep: the newest whole turns that fit the target (k).
        target: what a cut comes down to (K).
        newest: what this request adds (g).
        requests: number of requests whose additions are held (m).
        summary: tokens that a cut may leave as a summary (s); 0 without a summarizer.
        idle: seconds since the last request of the view; None where no clock is kept.
    """

    held: int
    keep: int
    target: int
    newest: int
    requests: int
    idle: float | None = None
    summary: int = 0


class Schedule(Protocol):
    """Says whether to cut now although the limit does not force it."""

    def due(self, figures: Figures) -> bool:
        """Whether this request should be sent cut."""


@dataclass(frozen=True, slots=True)
class AtLimit:
    """Cut at the limit, never before."""

    def due(self, figures: Figures) -> bool:
        """Never: the limit itself is kept by the builder."""
        return False


_OUTPUT = 4
"""Price of a summary's tokens by that of input, where nothing is said."""


@dataclass(frozen=True, slots=True)
class WhenItPays:
    """Cut when the extra price of this request is at most what later requests save.

    Prices are ratios to the price of one uncached input token.

    Attributes:
        read: price of a token read from the cache (r). Where it is uncertain take the lower value;
            at 0 it cuts only when that is free.
        write: price of a token written to the cache (w), 1.0 where writing costs nothing extra.
        fee: price of the summarizer's calls for one cut, in tokens' worth (F). By default, where
            there is a summarizer: reading the history from the cache, and writing the summary at
            four times the price of input, which is what most models ask for output.
        summary: tokens that a cut leaves in place of what it takes (s). By default the share of
            the summarizer.
        ttl: seconds after which an unused cache entry is gone; None when not known.
        clock: gives seconds since the epoch. With it, and `ttl`, idle time counts.
    """

    read: float = 0.1
    write: float = 1.25
    fee: float | None = None
    summary: int | None = None
    ttl: float | None = None
    clock: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        for name in ("read", "write", "fee", "summary", "ttl"):
            value: Any = getattr(self, name)
            if value is None and name not in ("read", "write"):
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
        if self.read > self.write:
            raise BudgetError(f"reading at {self.read:g} costs more than writing at {self.write:g}")

    def due(self, figures: Figures) -> bool:
        """Whether the extra price now is at most the saving on later requests.

        With h, k, K, g, m of `Figures`, r, w, F, s as above and B the limit:

            x    = h - k - s                     tokens that a cut takes
            keep = r (h - g) + w g               price of this request's history, uncut (w h: cold)
            cut  = w (k + s) + F                 ... cut
            rate = h / m                         tokens that one request adds
            n    = sqrt(2 ((w - r)(K + s - rate) + F) / (r rate))     requests between cuts
            y    = min(x, n rate)
            due  iff  x > 0  and  cut - keep <= r y (n - 1 - y / (2 rate))

        Derivation: lot sizing with a setup price that is known when decided; the right side is
        what the y tokens would still cost over the cycle. Measured on real and random growth, its
        cost is a mean 1.02 times the exact offline optimum.
        """
        summary = figures.summary if self.summary is None else self.summary
        fee = self.fee
        if fee is None:
            fee = self.read * figures.held + _OUTPUT * summary if summary else 0.0
        excess = figures.held - figures.keep - summary
        if excess <= 0 or figures.target <= 0:
            return False
        cold = self.ttl is not None and figures.idle is not None and figures.idle > self.ttl
        keep = (
            self.write * figures.held
            if cold
            else self.read * (figures.held - figures.newest) + self.write * figures.newest
        )
        extra = self.write * (figures.keep + summary) + fee - keep
        rate = figures.held / max(1, figures.requests)
        if self.read == 0:
            return extra <= 0
        radicand = (self.write - self.read) * (figures.target + summary - rate) + fee
        cycle = sqrt(max(0.0, 2 * radicand / (self.read * rate)))
        taken = min(excess, cycle * rate)
        return extra <= self.read * taken * (cycle - 1 - taken / (2 * rate))


def figures_of(view: View, target: int, idle: float | None = None, *, summary: int = 0) -> Figures:
    """The figures of a view at its present decision point.

    A request adds what stands since the last assistant message, that one included, so that the
    steps of an agent loop count like the turns of a chat.
    """
    newest = 0
    for group in reversed(view.groups):
        newest += group.tokens
        if group.kind == "step":
            break
    stays = view.standing_tokens
    return Figures(
        held=view.body_tokens - stays,
        keep=min(view.newest_turns(max(0, target - stays)), view.body_tokens - stays),
        target=target - stays,
        newest=newest,
        requests=view.steps + 1,
        idle=idle,
        summary=summary,
    )
