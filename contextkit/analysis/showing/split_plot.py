"""Plots of a split: tokens of each request, cached, written and new on top of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan
from typing import TYPE_CHECKING, Any

from contextkit.analysis.results import Split
from contextkit.analysis.showing.panels import GREY, INK, Sheet, figure_axis, fitted, sheet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart in grey as well: light, dark, between.
_PARTS = {
    "cached": ("#a9cce3", "read from the cache"),
    "written": ("#1f4e79", "written to the cache"),
    "new": ("#d55e00", "new"),
}
_OTHERS = ("#009e73", "#cc79a7", "#555555", "#e69f00")
_STEPS = 150  # in a panel, more cannot be told apart
_BARS = 60  # up to so many, a gap is drawn between them

Parts = Mapping[str, Sequence[float]]


def split_figure(split: Split, *, title: str, narrow: bool) -> Figure:
    """A panel for each run, all with one scale of tokens; the share read from the cache in words.

    Of more than 150 requests, neighbours are taken together: the parts are then means, and a line
    shows the largest request of each step.
    """
    names = list(split.panels)
    page = sheet(title, names, narrow=narrow, height=2.5 if narrow else 2.6, share_y=True)
    shown = [split.panels[name] for name in page.axes]
    highest = max((max(_sums(parts), default=0.0) for parts in shown), default=0.0)
    limit = split.limit
    within = limit is not None and limit <= 3 * highest
    handles: dict[str, Any] = {}
    for name, axes in page.axes.items():
        _draw(page, axes, name, split, handles)
        if limit is not None and within:
            line = axes.axhline(limit, color=INK, linewidth=1, linestyle=(0, (5, 3)))
            handles.setdefault(f"limit {limit:,}", line)
    top = max(highest, limit if limit is not None and within else 0)
    for axes in page.axes.values():
        axes.set_ylim(0, 1.08 * top or 1)
    _legend(page, split, handles, beyond=limit is not None and not within)
    return page.figure


def colour(part: str, number: int) -> str:
    """Of a part, in every plot the same."""
    return _PARTS[part][0] if part in _PARTS else _OTHERS[number % len(_OTHERS)]


def _draw(page: Sheet, axes: Any, name: str, split: Split, handles: dict[str, Any]) -> None:
    parts = split.panels[name]
    totals = _sums(parts)
    count, total = len(totals), sum(totals)
    said = "tokens"
    if total and "cached" in parts:
        said += f"; {sum(parts['cached']) / total:.1%} read from the cache"
    page.name(name, axes, said)
    each = max(1, -(-count // _STEPS))
    page.below(axes, split.x if each == 1 else f"{split.x} (each step: the mean of {each:,})")
    figure_axis(axes.xaxis, 5 if page.narrow or page.columns == 3 else 9, whole=True)
    figure_axis(axes.yaxis, 5)
    axes.set_xlim(0.5, max(count, 1) + 0.5)
    if not count:
        axes.text(0.5, 0.5, "no requests", transform=axes.transAxes, ha="center", color=GREY)
        return
    edges = [0.5 + at for at in range(0, count, each)] + [count + 0.5]
    base = [0.0] * (len(edges) - 1)
    for number, (part, values) in enumerate(parts.items()):
        if not any(values):
            continue
        steps = [sum(some) / len(some) for some in _steps(values, each)]
        above = [low + step for low, step in zip(base, steps, strict=True)]
        area = axes.stairs(above, edges, baseline=base, fill=True, color=colour(part, number))
        area.set_linewidth(0)
        handles.setdefault(_words(part), area)
        base = above
    if each > 1:
        largest = [max(some) for some in _steps(totals, each)]
        line = axes.stairs(largest, edges, baseline=None, color=INK, linewidth=0.7)
        handles.setdefault("largest of each step", line)
    elif 1 < count <= _BARS:
        highest = max(base)
        gaps = [(edge, high) for edge in edges[1:-1] for high in (0.0, highest, nan)]
        axes.plot(*zip(*gaps, strict=True), color="white", linewidth=0.8)


def _words(part: str) -> str:
    # A legend leaves out what begins with _.
    return _PARTS[part][1] if part in _PARTS else fitted(part, 24, 1).lstrip("_") or "?"


def _legend(page: Sheet, split: Split, handles: dict[str, Any], *, beyond: bool) -> None:
    from matplotlib.lines import Line2D

    if beyond:
        handles[f"limit {split.limit:,}, above the scale"] = Line2D([], [], linestyle="none")
    # As they stand on top of each other, then the lines.
    order = [words for _, words in _PARTS.values() if words in handles]
    order += [words for words in handles if words not in order]
    if order:
        columns = 2 if page.narrow else 5
        page.key({words: handles[words] for words in order}, columns=columns)


def _sums(parts: Parts) -> list[float]:
    return [sum(values) for values in zip(*parts.values(), strict=True)]


def _steps(values: Sequence[float], each: int) -> list[Sequence[float]]:
    return [values[at : at + each] for at in range(0, len(values), each)]
