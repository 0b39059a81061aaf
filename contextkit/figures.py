"""Figures: what a schedule decides on, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from contextkit.errors import InputError
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Calls:
    """Tokens of the model calls that a cut needs.

    Attributes:
        read: input that the model has just seen, so that a warm cache has it.
        fresh: other input.
        output: what is generated.
        elsewhere: what calls to other models cost, in the price of an uncached input token of
            this one.
    """

    read: int = 0
    fresh: int = 0
    output: int = 0
    elsewhere: float = 0.0

    def __add__(self, other: Calls) -> Calls:
        return Calls(
            self.read + other.read,
            self.fresh + other.fresh,
            self.output + other.output,
            self.elsewhere + other.elsewhere,
        )


NO_CALLS = Calls()


@dataclass(frozen=True, slots=True)
class Figures:
    """What a schedule decides on, all in tokens unless said otherwise.

    Summaries and pins that stand are in `fixed`: they stay through a cut.

    Attributes:
        held: history in this request, the newest included (h).
        keep: the newest whole turns that fit the target (k).
        target: what a cut comes down to (K).
        newest: what this request adds (g).
        requests: number of requests whose additions are held (m).
        summary: tokens that a cut may leave as a summary (s); 0 without a summarizer.
        idle: seconds since the last request of the view; None where no clock is kept.
        fixed: the rest of the request, which stays as it is: tools, system block, and the like.
        rewritten: what a cut request has behind the first byte that the cut changes (W); None
            before the plan is made, when it is taken to be all that the cut leaves of the history.
        calls: of the summarizer, for one cut.
    """

    held: int
    keep: int
    target: int
    newest: int
    requests: int
    idle: float | None = None
    summary: int = 0
    fixed: int = 0
    rewritten: int | None = None
    calls: Calls = NO_CALLS


class Verdict(NamedTuple):
    """What a cut costs now and saves later, in the price of uncached input tokens.

    Attributes:
        uncut, cut: prices of this request's input; `cut` with the summarizer's calls.
        fee: of those calls.
        saving: what later requests save.
        factor: how many times the price of the cut request's tier the uncut one's tier has.
        cold: whether the cache is known to have expired.
    """

    uncut: float
    cut: float
    fee: float
    saving: float
    factor: float
    cold: bool

    @property
    def extra(self) -> float:
        """What this request costs more when it is sent cut."""
        return self.cut - self.uncut


def figures_of(
    view: View,
    target: int,
    idle: float | None = None,
    *,
    summary: int = 0,
    fixed: int = 0,
    asked: bool = True,
) -> Figures:
    """The figures of a view at its present decision point, for what a cut comes to as a rule.

    A request adds what stands since the last assistant message, that one included, so that the
    steps of an agent loop count like the turns of a chat. A summarizer is taken to read the request
    as far as the cut takes it, and to write what it may leave.

    Args:
        target: tokens behind the system block that a cut comes down to.
        idle: seconds since the last request.
        summary: tokens that a cut may leave as summaries; they count in the target.
        fixed: tokens of tools, options and template.
        asked: whether a model is called for the summaries.
    """
    newest = 0
    for group in reversed(view.groups):
        newest += group.tokens
        if group.kind == "step":
            break
    stays = view.standing_tokens
    held = view.body_tokens - stays
    rest = fixed + view.system_tokens + stays
    kept = min(view.newest_turns(max(0, target - stays - summary)), held)
    return Figures(
        held=held,
        keep=kept,
        target=target - stays - summary,
        newest=newest,
        requests=view.steps + 1,
        idle=idle,
        summary=summary,
        fixed=rest,
        calls=Calls(read=rest + held - kept, output=summary) if summary and asked else NO_CALLS,
    )


def figures_at(view: View) -> Figures:
    """The figures of a view that was built, for the request that it is.

    Raises:
        InputError: when the view was not built.
    """
    bounds = getattr(view, "bounds", None)
    if bounds is None:
        raise InputError("was not built: pass the view of a Context, context.view", place="view")
    return figures_of(
        view,
        bounds.target,
        bounds.idle,
        summary=bounds.summary,
        fixed=bounds.fixed,
        asked=bounds.asked,
    )
