"""Plots of measured runs, as matplotlib figures. matplotlib is imported when one is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from contextkit.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Distinguishable with every common colour blindness, and in grey (Okabe and Ito's palette). The
# marker tells runs apart as well.
_CACHED, _EVALUATED = "#a9cce3", "#d55e00"
_RUNS = (
    ("#0072b2", "o"),
    ("#555555", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#e69f00", "v"),
    ("#56b4e9", "P"),
)


@dataclass(frozen=True, slots=True)
class RunSeries:
    """One run, a value for each request.

    Attributes:
        name: of the run, for titles and legend.
        cached: prompt tokens read from the cache.
        evaluated: the other prompt tokens.
        seconds: time to the first token.
        cuts: turns, counted from 1, at which a request was cut; None where nobody looked.
    """

    name: str
    cached: Sequence[int]
    evaluated: Sequence[int]
    seconds: Sequence[float]
    cuts: Sequence[int] | None = None

    @property
    def hit_ratio(self) -> float:
        """Cache hit ratio of the run: cached tokens over prompt tokens, sum over sum."""
        return _ratio(sum(self.cached), sum(self.evaluated))

    @property
    def hit_ratios(self) -> list[float]:
        """Cache hit ratio of each request."""
        return [_ratio(*both) for both in zip(self.cached, self.evaluated, strict=True)]


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
    figure = turns_figure(runs, title=title, limit=limit)
    figure.savefig(path, format="png", dpi=120)


def turns_figure(
    runs: Sequence[RunSeries],
    *,
    title: str = "",
    limit: int | None = None,
    below: Literal["seconds", "hit ratio"] = "seconds",
) -> Figure:
    """Tokens of each request above, a panel for each run; one value of each request below.

    Args:
        runs: one or more.
        title: of the whole.
        limit: of tokens, drawn as a line.
        below: time to first token, or cache hit ratio.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = _figure(7.5 if title else 7.0, title)
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
    lower = figure.add_subplot(grid[1, :])
    (_draw_seconds if below == "seconds" else _draw_hit_ratios)(lower, runs)
    # Above the axes: anywhere inside it could cover a point.
    lower.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=len(runs), frameon=False)
    for axes in figure.axes:
        _turns_below(axes)
    return figure


def comparison_figure(runs: Sequence[RunSeries], *, title: str = "") -> Figure:
    """Cache hit ratio of each request above; below, sums over each run, a bar for each.

    Args:
        runs: two or more, of equally many requests, or the sums say little.
        title: of the whole.

    Raises:
        MissingExtra: without matplotlib.
    """
    figure = _figure(8.0, title)
    grid = figure.add_gridspec(2, 2, height_ratios=(3, 2))
    above = figure.add_subplot(grid[0, :])
    _draw_hit_ratios(above, runs)
    above.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    _turns_below(above)
    tokens, seconds = (figure.add_subplot(grid[1, column]) for column in (0, 1))
    _draw_sums(tokens, runs, [sum(run.evaluated) for run in runs], "{:,.0f}")
    tokens.set_xlabel("prompt tokens evaluated, in sum")
    _draw_sums(seconds, runs, [sum(run.seconds) for run in runs], "{:,.1f} s")
    seconds.set_xlabel("seconds to first token, in sum")
    seconds.tick_params(labelleft=False)
    return figure


def _figure(height: float, title: str) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", "cli", "a plot") from None
    figure = Figure(figsize=(11, height), layout="constrained")
    if title:
        figure.suptitle(title, fontsize=13)
    return figure


def _draw_tokens(axes: Any, run: RunSeries, limit: int | None) -> None:
    turns = range(1, len(run.cached) + 1)
    axes.bar(turns, run.cached, color=_CACHED, label="read from the cache")
    axes.bar(turns, run.evaluated, bottom=run.cached, color=_EVALUATED, label="evaluated")
    if limit is not None:
        axes.axhline(limit, color="#555555", linewidth=1, linestyle="--", label=f"limit {limit:,}")
    axes.margins(y=0.22)  # room for the legend above the bars
    title = f"{run.name}: {run.hit_ratio:.1%} from the cache"
    if run.cuts is not None:
        title += f", {len(run.cuts)} cut{'' if len(run.cuts) == 1 else 's'}"
    axes.set_title(title, fontsize=11)
    axes.set_xlabel("turn")
    axes.legend(loc="upper left", ncols=3, frameon=False, fontsize=8)


def _draw_seconds(axes: Any, runs: Sequence[RunSeries]) -> None:
    _draw_lines(axes, runs, [run.seconds for run in runs])
    axes.set_title("Time to first token", fontsize=11)
    axes.set_ylabel("seconds")
    axes.set_ylim(bottom=0)


def _draw_hit_ratios(axes: Any, runs: Sequence[RunSeries]) -> None:
    _draw_lines(axes, runs, [[100 * ratio for ratio in run.hit_ratios] for run in runs])
    axes.set_title("Cache hit ratio", fontsize=11)
    axes.set_ylabel("% of the prompt tokens")
    axes.set_ylim(-3, 103)  # so that a point at 0 or 100 is whole


def _draw_sums(axes: Any, runs: Sequence[RunSeries], values: Sequence[float], form: str) -> None:
    colours = [colour for _, (colour, _) in zip(runs, cycle(_RUNS), strict=False)]
    bars = axes.barh([run.name for run in runs], values, color=colours)
    axes.bar_label(bars, fmt=form, padding=3)
    axes.invert_yaxis()  # the first run on top, as in the legend
    axes.margins(x=0.18)  # room for the figures at the ends of the bars
    axes.spines[["top", "right"]].set_visible(False)


def _draw_lines(axes: Any, runs: Sequence[RunSeries], values: Sequence[Sequence[float]]) -> None:
    for number, (run, line, style) in enumerate(zip(runs, values, cycle(_RUNS), strict=False)):
        under = len(runs) - 1 - number  # thicker, or where lines are one the last would hide it
        axes.plot(
            range(1, len(line) + 1),
            line,
            color=style[0],
            marker=style[1],
            linewidth=1.5 + 0.6 * under,
            markersize=5 + 0.8 * under,
            label=run.name,
        )
    axes.set_xlabel("turn")
    axes.grid(visible=True, axis="y", alpha=0.3)


def _turns_below(axes: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.spines[["top", "right"]].set_visible(False)


def _ratio(cached: int, evaluated: int) -> float:
    total = cached + evaluated
    return cached / total if total else 0.0
