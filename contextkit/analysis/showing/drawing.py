"""Drawing: the plots of a result as matplotlib figures, as PNG and as SVG."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from contextkit.analysis.results import Frontier, Plot
from contextkit.analysis.showing.panels import drawn_alike

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LONG = re.compile(rb"(\d\.\d\d)\d+")


def draw(plot: Plot, *, narrow: bool = False, titled: bool = True) -> Figure:
    """A plot as a figure.

    Args:
        plot: as data.
        narrow: panels one below the other, in 360 CSS pixels with text that can be read there.
        titled: with the plot's title; without it where the title stands beside the figure.

    Raises:
        MissingExtra: without matplotlib.
    """
    title = plot.title if titled else ""
    with drawn_alike():
        if isinstance(plot, Frontier):
            from contextkit.analysis.showing.frontier_plot import frontier_figure

            return frontier_figure(plot, title=title, narrow=narrow)
        from contextkit.analysis.showing.split_plot import split_figure

        return split_figure(plot, title=title, narrow=narrow)


def as_png(figure: Figure) -> bytes:
    """A figure as a PNG; equal bytes for equal figures."""
    file = io.BytesIO()
    with drawn_alike():
        figure.savefig(file, format="png", dpi=120, metadata={"Software": None})
    return file.getvalue()


def as_svg(figure: Figure) -> bytes:
    """A figure as an SVG; equal bytes for equal figures."""
    file = io.BytesIO()
    with drawn_alike():
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    # A hundredth of a point is enough, and half the file.
    return re.sub(rb' d="[^"]*"', lambda path: _LONG.sub(rb"\1", path[0]), file.getvalue())
