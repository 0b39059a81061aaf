"""Plots of a frontier: named points, those that none beats in both ways joined by a line."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from contextkit.analysis.results import Frontier, Point
from contextkit.analysis.showing.captions import best
from contextkit.analysis.showing.labels import Crowd
from contextkit.analysis.showing.panels import GREY, INK, Sheet, figure_axis, fitted, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMED = {False: 14, True: 10}  # points of a panel, wide and narrow, that are all named
_BEST, _OTHER = "#0072b2", "#5f5f5f"


def frontier_figure(frontier: Frontier, *, title: str, narrow: bool) -> Figure:
    """A panel for each condition; each point has its name beside it.

    Panels have one scale where that leaves each of them readable.
    """
    panels = {
        name: [point for point in points if isfinite(point.x) and isfinite(point.y)]
        for name, points in frontier.panels.items()
    }
    most = max(map(len, panels.values()), default=0)
    height = max(3.0, 0.2 * most) if narrow else max(3.4, 0.17 * most)
    share_x = _alike([[point.x for point in points] for points in panels.values()])
    share_y = _alike([[point.y for point in points] for points in panels.values()])
    if len(panels) > 1 and not (share_x and share_y):
        title = f"{title} (scales differ between panels)" if title else ""
    page = sheet(title, list(panels), narrow=narrow, height=height, share_y=share_y)
    axes = list(page.axes.values())
    for name, one in page.axes.items():
        if share_x and one is not axes[0]:
            one.sharex(axes[0])
        _draw(page, one, name, panels[name], frontier)
    _limits(page, panels)
    _label(page, panels, frontier)
    return page.figure


def _alike(values: Sequence[Sequence[float]]) -> bool:
    """Whether one scale shows each of them over at least a quarter of it."""
    every = [one for some in values for one in some]
    whole = max(every, default=0) - min(every, default=0)
    return all(max(some) - min(some) >= 0.25 * whole for some in values if len(set(some)) > 1)


def _draw(page: Sheet, axes: Any, name: str, points: list[Point], frontier: Frontier) -> None:
    page.name(name, axes, frontier.y, _up(frontier))
    page.below(axes, frontier.x, "(better →)" if frontier.x_better == "more" else "(← better)")
    figure_axis(axes.xaxis, 4 if page.narrow or page.columns == 3 else 7)
    figure_axis(axes.yaxis, 5)
    axes.grid(visible=True, color="#e6e6e6", linewidth=0.7)
    axes.set_axisbelow(True)
    if not points:
        axes.text(0.5, 0.5, "no points", transform=axes.transAxes, ha="center", color=GREY)
        return
    line = best(points, frontier)
    axes.plot([p.x for p in line], [p.y for p in line], color=_BEST, linewidth=1.4, zorder=2)
    rest = [point for point in points if point not in line]
    for some, face, edge in ((rest, "white", _OTHER), (line, _BEST, _BEST)):
        if not some:
            continue
        axes.plot(
            [p.x for p in some],
            [p.y for p in some],
            linestyle="none",
            marker="o",
            markersize=6,
            markerfacecolor=face,
            markeredgecolor=edge,
            clip_on=False,
            zorder=4,
        )


def _up(frontier: Frontier) -> str:
    return f"({'↑' if frontier.y_better == 'more' else '↓'} better)"


def _limits(page: Sheet, panels: dict[str, list[Point]]) -> None:
    """Room for labels at all sides, but none for figures below zero where there are none."""
    for name, axes in page.axes.items():
        if not panels[name]:
            continue
        axes.margins(x=0.14, y=0.14)
        axes.autoscale_view()
    for name, axes in page.axes.items():
        for which, values in (
            ("x", [point.x for point in panels[name]]),
            ("y", [point.y for point in panels[name]]),
        ):
            low, high = getattr(axes, f"get_{which}lim")()
            if values and min(values) >= 0 > low:
                getattr(axes, f"set_{which}lim")(max(low, -0.04 * (high or 1)), high)


def _label(page: Sheet, panels: dict[str, list[Point]], frontier: Frontier) -> None:
    """Write each name beside its point; the best first, so that they get the best places."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    numbers = _numbered(page, panels)
    canvas: Any = FigureCanvasAgg(page.figure)
    page.figure.draw_without_rendering()  # now it is known where the panels are
    page.figure.set_layout_engine("none")  # and there they stay
    across = 20 if page.narrow else 26
    for name, axes in page.axes.items():
        points = panels[name]
        line = best(points, frontier)
        crowd = Crowd(
            axes, [(p.x, p.y) for p in points], [(p.x, p.y) for p in line], canvas.get_renderer()
        )
        unnamed = 0
        for point in [*line, *(point for point in points if point not in line)]:
            colour = INK if point in line else _OTHER
            whole = fitted(point.name, across, 2)
            if point.name not in numbers:
                tries = [
                    (whole, inf),
                    (fitted(point.name, across, 1), inf),
                    (fitted(point.name, 12, 1), inf),
                ]
            else:
                tries = [(str(numbers[point.name]), inf)]
                if point in line:  # by name, if there is a place near by
                    tries.insert(0, (whole, 70))
            place, size = (point.x, point.y), page.font - 0.5
            if not any(
                crowd.seat(label, place, colour=colour, size=size, worst=worst)
                for label, worst in tries
            ):
                unnamed += 1
        if unnamed:
            page.name(f"{name} ({unnamed} not named)", axes, frontier.y, _up(frontier))


def _numbered(page: Sheet, panels: dict[str, list[Point]]) -> dict[str, int]:
    """Numbers for names, where there are too many for all to stand beside their points."""
    from matplotlib.lines import Line2D

    if max((len(panels[name]) for name in page.axes), default=0) <= _NAMED[page.narrow]:
        return {}
    names = dict.fromkeys(point.name for name in page.axes for point in panels[name])
    numbers = {name: number for number, name in enumerate(names, 1)}
    columns = 1 if page.narrow else 3
    width = 36
    page.key(
        {
            f"{number}  {fitted(name, width, 1)}": Line2D([], [], linestyle="none")
            for name, number in numbers.items()
        },
        columns=columns,
        lower=True,
    )
    return numbers
