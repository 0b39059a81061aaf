"""Plots of benchmarks: curves over a size, and bars with how far the worst cases reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contextkit.analysis.showing.panels import INK, drawn_alike, sheet, short_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Distinguishable with every common colour blindness, and by their markers.
STYLES = (
    ("#0072b2", "o"),
    ("#d55e00", "s"),
    ("#009e73", "^"),
    ("#cc79a7", "D"),
    ("#555555", "v"),
    ("#e69f00", "P"),
)

Curves = Mapping[str, Sequence[tuple[float, float]]]


def curves(
    title: str, panels: Mapping[str, Curves], *, x: str, y: str, share_y: bool = False
) -> Figure:
    """A panel for each name, a curve for each way; both axes are logarithmic.

    Args:
        title: of the whole.
        panels: by name and way, the points.
        x, y: what the axes show, with units.
        share_y: whether all panels have one vertical scale.
    """
    with drawn_alike():
        page = sheet(title, list(panels), narrow=False, height=3.2, share_y=share_y)
        known: dict[str, Any] = {}
        for panel, axes in page.axes.items():
            page.name(panel, axes, y)
            page.below(axes, x)
            for way, points in panels[panel].items():
                place = list(known).index(way) if way in known else len(known)
                colour, marker = STYLES[place % len(STYLES)]
                [line] = axes.plot(
                    [size for size, _ in points],
                    [value for _, value in points],
                    color=colour,
                    marker=marker,
                    markersize=5,
                    linewidth=1.5,
                )
                known.setdefault(way, line)
            _logarithmic(axes)
        page.key(known, columns=3)
    return page.figure


def _logarithmic(axes: Any) -> None:
    """Both axes, with plain figures; at least a decade of values, or noise looks like growth."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 10 * low:
        middle = (low * high) ** 0.5
        low, high = middle / 10**0.5, middle * 10**0.5
        axes.set_ylim(low, high)
    steps = (1.0,) if high > 1_000 * low else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=steps))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(short_figure))
        axis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True, alpha=0.3)


def bars(
    title: str,
    panels: Mapping[str, Mapping[str, tuple[float, float | None]]],
    *,
    x: str,
    mark: float | None = None,
) -> Figure:
    """A panel for each name, a bar for each case, and a thin line to what its worst reach.

    Args:
        title: of the whole.
        panels: by name and case, the value and how far the worst ones reach; None for no line.
        x: what the bars show, with the unit.
        mark: a value at which a line stands across all bars.
    """
    most = max(map(len, panels.values()), default=1)
    with drawn_alike():
        page = sheet(title, list(panels), narrow=False, height=0.9 + 0.3 * most, share_y=False)
        beside: list[str] = []
        for number, (panel, axes) in enumerate(page.axes.items()):
            cases = panels[panel]
            places = range(len(cases))
            page.name(panel, axes, "")
            page.below(axes, x)
            values = [value for value, _ in cases.values()]
            reach = [value if worst is None else worst for value, worst in cases.values()]
            axes.barh(places, values, color=STYLES[0][0], height=0.6)
            axes.hlines(places, values, reach, color=STYLES[1][0], linewidth=2)
            axes.set_yticks(places, list(cases))
            for place, value, worst in zip(places, values, reach, strict=True):
                said = f" {value:.2f}" if worst == value else f" {value:.2f} to {worst:.2f}"
                axes.annotate(said, (worst, place), va="center", fontsize=page.font - 1)
            axes.invert_yaxis()
            axes.margins(x=0.3 if reach != values else 0.14)  # room for the figures
            if mark is not None:
                axes.axvline(mark, color=INK, linewidth=1, linestyle=(0, (5, 3)))
            if number % page.columns and list(cases) == beside:
                axes.tick_params(labelleft=False)
            beside = list(cases)
    return page.figure
