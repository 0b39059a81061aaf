"""Labels: names beside points, none on top of another or outside of its panel."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import hypot, inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[np.float64]]

# All lengths are in pixels of the figure's own resolution.
_AWAY = (5, 9, 15, 23, 33, 45, 60, 76, 94, 116, 140, 170, 205, 245, 290)
_WAYS = 24  # directions that are tried at each distance
_FAR = 14  # a label further from its point has a line to it
_SPACE = 2  # around a label
_MARKER = 5  # half of a marker, with some space
_ON_LINE, _ON_LEADER, _LEADER_ON = 60, 40, 60  # as bad as so many pixels further away


class Crowd:
    """The points of one panel, and the labels that they have so far.

    Args:
        axes: of matplotlib, at its final place in the figure.
        points: all of them, each of which no label may cover.
        line: points that are joined by a line, which labels had better not cover.
        renderer: of matplotlib, that measures text.
    """

    def __init__(
        self,
        axes: Any,
        points: Sequence[tuple[float, float]],
        line: Sequence[tuple[float, float]],
        renderer: Any,
    ) -> None:
        import numpy as np

        self.axes, self.renderer = axes, renderer
        self.bounds = axes.get_window_extent(renderer).extents
        self.taken = _around(self._pixels(points), _MARKER)
        corners = self._pixels(line)
        along = [_between(*two) for two in pairwise(corners)]
        self.line = np.concatenate([np.empty((0, 2)), *along])
        self.leaders = np.empty((0, 2))
        self.labels = np.empty((0, 4))
        angles = np.arange(_WAYS) * 2 * np.pi / _WAYS
        angles = angles[
            np.argsort(np.abs(np.sin(2 * angles)), kind="stable")
        ]  # straight ones first
        self.ways = np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def seat(
        self,
        label: str,
        point: tuple[float, float],
        *,
        colour: str,
        size: float,
        worst: float = inf,
    ) -> bool:
        """Write a label at the best free place for it; False where there is none.

        Args:
            label: the text.
            point: that it is beside.
            colour, size: of the text.
            worst: how bad a place may be: its distance, and more for each thing that it covers.
        """
        import numpy as np

        text = self.axes.annotate(
            label,
            point,
            (0, 0),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=size,
            color=colour,
            zorder=6,
            annotation_clip=False,
            parse_math=False,
        )
        extent = text.get_window_extent(self.renderer)
        half = np.array([extent.width, extent.height]) / 2 + _SPACE
        away = np.repeat(np.array(_AWAY, dtype=float), _WAYS)
        ways = np.tile(self.ways, (len(_AWAY), 1))
        at = self._pixels([point])[0]
        centres = at + ways * (away[:, None] + half)
        boxes = np.concatenate([centres - half, centres + half], axis=1)
        left, bottom, right, top = self.bounds
        free = (
            (boxes[:, :2] >= (left, bottom)).all(axis=1)
            & (boxes[:, 2:] <= (right, top)).all(axis=1)
            & ~_meet(boxes, self.taken).any(axis=1)
            & ~_meet(boxes, self.labels).any(axis=1)
        )
        leads = away > _FAR
        steps = np.linspace(0.1, 0.9, 9)[None, :, None]
        ends = np.where(leads[:, None], centres, at)[:, None, :]
        paths = _around((at + steps * (ends - at)).reshape(-1, 2), 0)
        crossed = _meet(paths, self.labels).any(axis=1).reshape(len(boxes), -1).any(axis=1)
        cost = (
            away
            + _ON_LINE * _meet(boxes, _around(self.line, 1)).any(axis=1)
            + _ON_LEADER * _meet(boxes, _around(self.leaders, 1)).any(axis=1)
            + _LEADER_ON * crossed
        )
        cost = np.where(free & (cost <= worst), cost, np.inf)
        chosen = int(np.argmin(cost))
        if not np.isfinite(cost[chosen]):
            text.remove()
            return False
        scale = 72 / self.axes.figure.dpi
        text.set_position(tuple((centres[chosen] - at) * scale))
        self.labels = np.concatenate([self.labels, boxes[chosen : chosen + 1]])
        if leads[chosen]:
            self._lead(point, at, centres[chosen], half - _SPACE)
        return True

    def _lead(self, point: tuple[float, float], at: Array, centre: Array, half: Array) -> None:
        """Draw a line from the edge of a label to its point."""
        import numpy as np

        back = at - centre
        # Where the line leaves the box of the label.
        with np.errstate(divide="ignore"):
            start = centre + back * min(1.0, *(half / np.abs(back)))
        scale = 72 / self.axes.figure.dpi
        self.axes.annotate(
            "",
            point,
            tuple((start - at) * scale),
            textcoords="offset points",
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": "#9a9a9a",
                "linewidth": 0.6,
                "shrinkA": 1,
                "shrinkB": 3,
            },
        )
        self.leaders = np.concatenate([self.leaders, _between(start, at)])

    def _pixels(self, points: Sequence[tuple[float, float]]) -> Array:
        import numpy as np

        if not points:
            return np.empty((0, 2))
        found: Array = self.axes.transData.transform(np.array(points, dtype=float))
        return found


def _around(points: Array, half: float) -> Array:
    """A box around each point: left, bottom, right, top."""
    import numpy as np

    return np.concatenate([points - half, points + half], axis=1)


def _between(start: Array, end: Array) -> Array:
    """Points on the way from one to another, a few pixels apart."""
    import numpy as np

    count = max(2, int(hypot(*(end - start)) / 4))
    found: Array = start + np.linspace(0, 1, count)[:, None] * (end - start)
    return found


def _meet(some: Array, others: Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which boxes of one kind touch which of another."""
    import numpy as np

    one, two = some[:, None, :], others[None, :, :]
    left_below = (one[..., :2] < two[..., 2:]).all(axis=-1)
    right_above = (one[..., 2:] > two[..., :2]).all(axis=-1)
    return np.logical_and(left_below, right_above)
