"""Drawing: the plots of a result as matplotlib figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contextkit.analysis.results import Plot

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw(plot: Plot, *, narrow: bool = False) -> Figure:
    """A plot as a figure."""
    raise NotImplementedError


def as_png(figure: Figure) -> bytes:
    """A figure as a PNG."""
    raise NotImplementedError
