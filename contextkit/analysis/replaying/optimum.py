"""Optimum: the least that any choice of times for cutting can cost, found exactly, offline.

A dynamic programme over the times of the cuts: what requests cost behind a cut depends on the last
cut alone, so that the least up to each cut is enough to go on from it.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, np.dtype[np.float64]]

START = -1
"""The cut before the first request: nothing has been dropped."""


def cheapest_cuts(
    count: int, behind: Callable[[int], Floats], cutting: Callable[[int, int], Floats]
) -> tuple[float, tuple[int, ...]]:
    """The least cost of some requests, and the requests that are cut for it.

    With U(s, u) for what request u costs uncut behind a cut at s, and C(s, u) for what it costs
    cut, where the last cut was at s:

        best(u) = min over s < u of best(s) + U(s, s + 1) + … + U(s, u - 1) + C(s, u)

    O(n²) for n requests, less where the limit allows few requests between two cuts. Wagner and
    Whitin's programme for lot sizes (Management Science 5, 1958), with prices that depend on both
    ends of an interval.

    Args:
        count: of the requests.
        behind: for a cut, what the requests behind it cost uncut, up to the first that may not be
            sent uncut; `START` stands for no cut.
        cutting: for a cut and a number of requests behind it, what each costs when it is cut;
            infinite where that cannot be.

    Returns:
        The least cost, infinite where there is none, and the numbers of the requests.
    """
    import numpy as np

    best = np.full(count, inf)
    came = np.full(count, START)
    total, last = inf, START
    for cut in range(START, count):
        spent = 0.0 if cut == START else best[cut]
        if spent == inf:
            continue
        uncut = behind(cut)
        run = spent + np.concatenate([[0.0], np.cumsum(uncut)])
        if cut + 1 + len(uncut) == count and run[-1] < total:
            total, last = float(run[-1]), cut
        open_to = slice(cut + 1, min(cut + 2 + len(uncut), count))
        width = open_to.stop - open_to.start
        there = run[:width] + cutting(cut, width)
        better = there < best[open_to]
        best[open_to] = np.where(better, there, best[open_to])
        came[open_to] = np.where(better, cut, came[open_to])
    cuts: list[int] = []
    while last != START:
        cuts.append(last)
        last = int(came[last])
    return total, tuple(reversed(cuts))
