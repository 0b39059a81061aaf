"""Plots of measured runs, written as PNG. Needs matplotlib, imported when a plot is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contextkit.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Distinguishable with every common colour blindness, and in grey (Okabe and Ito's palette).
_CACHED, _EVALUATED = "#a9cce3", "#d55e00"
_RUNS = ("#0072b2", "#555555", "#009e73", "#cc79a7")


@dataclass(frozen=True, slots=True)
class RunSeries:
    """One run, a value for each request.

    Attributes:
        name: of the run, for titles and legend.
        cached: prompt tokens read from the cache.
        evaluated: the other prompt tokens.
        seconds: time to the first token.
        cuts: turns, counted from 1, at which a request was cut.
    """

    name: str
    cached: Sequence[int]
    evaluated: Sequence[int]
    seconds: Sequence[float]
    cuts: Sequence[int] = ()


def plot_runs(
    runs: Sequence[RunSeries], path: str | Path, *, title: str, limit: int | None = None
) -> None:
    """Write a PNG: tokens of each request above, a panel for each run; time to first token below.

    Args:
        runs: one or more.
        path: the file, which is replaced.
        title: of the whole.
        limit: of tokens, drawn as a line.

    Raises:
        MissingExtra: without matplotlib.
        OSError: when the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise MissingExtra("matplotlib", "cli", "a plot") from None

    figure = Figure(figsize=(11, 7.5), layout="constrained")
    figure.suptitle(title, fontsize=13)
    grid = figure.add_gridspec(2, len(runs), height_ratios=(3, 2))
    first: Axes | None = None
    for column, run in enumerate(runs):
        axes = figure.add_subplot(grid[0, column], sharex=first, sharey=first)
        _draw_tokens(axes, run, limit)
        if first is None:
            first = axes
            axes.set_ylabel("prompt tokens")
        else:
            axes.tick_params(labelleft=False)
    below = figure.add_subplot(grid[1, :])
    for run, colour in zip(runs, _RUNS, strict=False):
        turns = range(1, len(run.seconds) + 1)
        below.plot(turns, run.seconds, "o-", color=colour, markersize=4, label=run.name)
    below.set_title("Time to first token", fontsize=11)
    below.set_xlabel("turn")
    below.set_ylabel("seconds")
    below.set_ylim(bottom=0)
    below.grid(visible=True, axis="y", alpha=0.3)
    # Above the axes: anywhere inside it could cover a point.
    below.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(runs), frameon=False)
    for axes in figure.axes:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png", dpi=120)


def _draw_tokens(axes: Any, run: RunSeries, limit: int | None) -> None:
    turns = range(1, len(run.cached) + 1)
    total = sum(run.cached) + sum(run.evaluated)
    share = sum(run.cached) / total if total else 0.0
    axes.bar(turns, run.cached, color=_CACHED, label="read from the cache")
    axes.bar(turns, run.evaluated, bottom=run.cached, color=_EVALUATED, label="evaluated")
    if limit is not None:
        axes.axhline(limit, color="#555555", linewidth=1, linestyle="--", label=f"limit {limit:,}")
    axes.margins(y=0.22)  # room for the legend above the bars
    cuts = f"{len(run.cuts)} cut{'' if len(run.cuts) == 1 else 's'}"
    axes.set_title(f"{run.name}: {share:.1%} from the cache, {cuts}", fontsize=11)
    axes.set_xlabel("turn")
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=8)
