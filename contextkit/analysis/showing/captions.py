"""Captions: what a plot shows, in words and figures, for those who do not see it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from contextkit.analysis.results import Frontier, Plot, Point, Split
from contextkit.analysis.showing.forms import places_for, shown


def caption(plot: Plot) -> str:
    """The figures of a plot as sentences, one for each panel."""
    says = _frontier(plot) if isinstance(plot, Frontier) else _split(plot)
    return " ".join([f"{plot.title}.", *says])


def best(points: Sequence[Point], plot: Frontier) -> list[Point]:
    """The points that no other is at least as good as in both ways, and better in one; by x."""
    x_sign, y_sign = (1 if better == "more" else -1 for better in (plot.x_better, plot.y_better))
    finite = [point for point in points if isfinite(point.x) and isfinite(point.y)]
    kept: list[Point] = []
    for point in sorted(finite, key=lambda point: (-x_sign * point.x, -y_sign * point.y)):
        same = kept and (point.x, point.y) == (kept[-1].x, kept[-1].y)
        if same or not kept or y_sign * point.y > y_sign * kept[-1].y:
            kept.append(point)
    return sorted(kept, key=lambda point: point.x)


def _frontier(plot: Frontier) -> list[str]:
    says = [
        f"Across: {plot.x}, {plot.x_better} is better; up: {plot.y}, {plot.y_better} is better."
    ]
    for name, points in plot.panels.items():
        places = [places_for([getattr(p, axis) for p in points], "number") for axis in ("x", "y")]
        line = best(points, plot)
        listed = "; ".join(
            f"{shown(point.name, 'text')} {shown(point.x, 'number', places[0])}, "
            f"{shown(point.y, 'number', places[1])}"
            for point in line
        )
        others = len(points) - len(line)
        beaten = f"; {others:,} beaten by one of these" if others else ""
        says.append(f"{shown(name, 'text')}: {listed or 'no points'}{beaten}.")
    return says


def _split(plot: Split) -> list[str]:
    says = [] if plot.limit is None else [f"The limit is {plot.limit:,} tokens."]
    for name, parts in plot.panels.items():
        sums = [sum(values) for values in zip(*parts.values(), strict=True)]
        total = sum(sums)
        listed = ", ".join(
            f"{shown(sum(values) / total, 'share', 1)} {shown(part, 'text')}"
            for part, values in parts.items()
            if total and any(values)
        )
        largest = f", the largest of {max(sums):,.0f} tokens" if sums else ""
        what = f"{len(sums):,} {plot.x}{'' if len(sums) == 1 else 's'}{largest}"
        says.append(f"{shown(name, 'text')}: {what}{f'; {listed}' if listed else ''}.")
    return says
