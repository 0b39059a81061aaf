"""Intervals: how far a share could be off, by drawing the sample again and again (bootstrap).

Of many conversations, whole ones are drawn, since facts of one conversation hang together; of few,
single facts or questions within each. 2,000 draws, percentiles, from a fixed seed (Efron, Bootstrap
methods: another look at the jackknife, 1979).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Interval = tuple[float, float]

MANY = 10
"""Conversations from which on whole ones are drawn."""

DRAWS = 2_000
_SEED = 20_261_122


def share_interval(counts: Sequence[tuple[int, int]]) -> Interval | None:
    """The 95 % interval of a share; None where there is nothing to draw.

    Args:
        counts: for each conversation how many are kept, and of how many.
    """
    cells = [(kept, of - kept) for kept, of in counts if of]
    return _interval(cells, lambda drawn: drawn[:, 0] / drawn.sum(axis=1))


def ratio_interval(pairs: Sequence[Sequence[tuple[bool, bool]]]) -> Interval | None:
    """The 95 % interval of how many times as much one way keeps as another does.

    Args:
        pairs: for each conversation and each question, whether the one and the other keeps it.
    """
    cells = [
        tuple(
            sum((mine, theirs) == case for mine, theirs in one)
            for case in ((True, True), (True, False), (False, True), (False, False))
        )
        for one in pairs
        if one
    ]
    return _interval(cells, _ratio)


def drawn_by(count: int) -> str:
    """What is drawn where there are so many conversations, in words."""
    return "whole conversations" if count >= MANY else "facts and questions within each"


def _ratio(drawn: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    import numpy as np

    mine, theirs = drawn[:, 0] + drawn[:, 1], drawn[:, 0] + drawn[:, 2]
    found: np.ndarray[Any, Any] = np.full(len(drawn), np.inf)
    np.divide(mine, theirs, out=found, where=theirs > 0)
    return found


def _interval(
    cells: Sequence[Sequence[int]],
    figure: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]],
) -> Interval | None:
    import numpy as np

    if not cells:
        return None
    random = np.random.default_rng(_SEED)
    counts = np.asarray(cells, dtype=np.int64)
    if len(counts) >= MANY:
        drawn = counts[random.integers(0, len(counts), (DRAWS, len(counts)))].sum(axis=1)
    else:
        drawn = np.zeros((DRAWS, counts.shape[1]), dtype=np.int64)
        for one in counts:
            drawn += random.multinomial(one.sum(), one / one.sum(), size=DRAWS)
    low, high = np.quantile(figure(drawn), [0.025, 0.975], method="nearest")
    return float(low), float(high)
