"""Panels: what the plots of a result have in common: sheets, fonts, titles, scales."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from contextkit.analysis.showing.layout import letters, wrapped
from contextkit.caching.prefix import printable
from contextkit.errors import MissingExtra

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 12
"""Panels of one plot; further ones are left out, and the title says so."""

INK, GREY = "#222222", "#6b6b6b"

_WIDE, _NARROW = 11.0, 3.75  # inches: 1,056 and 360 CSS pixels
_LETTER = 0.53  # of the font's size: the width of a letter, at the mean
_POINTS = 72  # to an inch

# Whatever of these is installed stands in for letters that the first does not have.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "WenQuanYi Zen Hei",
    "Noto Sans CJK JP",
    "Malgun Gothic",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
    "Arial Unicode MS",
)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A figure with a panel for each name, and what text in them may be like.

    Attributes:
        figure: of matplotlib.
        axes: of each panel that is shown.
        narrow: whether it is for a telephone.
        columns: panels side by side.
        font: size of text in panels, in points.
        title: of the whole, in lines.
        across: letters that fit across a panel.
    """

    figure: Figure
    axes: Mapping[str, Axes]
    narrow: bool
    columns: int
    font: float
    title: str
    across: int

    def name(self, panel: str, axes: Any, above: str, better: str = "") -> None:
        """Write a panel's name, below it what its vertical axis shows, and what is better there."""
        label = self._with(above, better)
        axes.set_ylabel(
            label, rotation=0, ha="left", va="bottom", color=GREY, fontsize=self.font, **_PLAIN
        )
        axes.yaxis.set_label_coords(0, 1.015)
        title = fitted(panel, int(self.across * 0.9), 2)
        pad = 7 + 1.25 * self.font * (label.count("\n") + 1)
        axes.set_title(
            title, loc="left", pad=pad, fontsize=self.font + 1, fontweight="bold", **_PLAIN
        )

    def key(self, entries: Mapping[str, Any], *, columns: int, lower: bool = False) -> None:
        """Write what is drawn how: above all panels, with the title, or it would cover that.

        Below all panels, the sheet becomes so much higher.
        """
        figure: Any = self.figure
        more: dict[str, Any] = {}
        if lower:
            width, height = figure.get_size_inches()
            lines = -(-len(entries) // columns)
            figure.set_size_inches(width, height + lines * 1.55 * self.font / _POINTS)
        elif self.title:
            figure.suptitle("")
            weight = {"size": self.font + 3, "weight": "bold"}
            more = {"title": self.title, "title_fontproperties": weight}
        legend = figure.legend(
            list(entries.values()),
            list(entries),
            loc=f"outside {'lower' if lower else 'upper'} left",
            ncols=columns,
            frameon=False,
            fontsize=self.font,
            handlelength=0 if lower else 1.4,
            columnspacing=1.2,
            alignment="left",
            **more,
        )
        for text in (legend.get_title(), *legend.get_texts()):
            text.set_parse_math(False)

    def below(self, axes: Any, text: str, better: str = "") -> None:
        """Write what a panel's horizontal axis shows, and what is better there."""
        label = self._with(text, better)
        axes.set_xlabel(label, color=GREY, fontsize=self.font, **_PLAIN)

    def _with(self, text: str, better: str) -> str:
        """Both in one line; in lines of their own where that is too long."""
        lines = fitted(text, self.across, 2)
        fits = "\n" not in lines and letters(f"{lines} {better}") <= self.across
        return f"{lines}{' ' if fits else chr(10)}{better}" if better else lines


_PLAIN: dict[str, Any] = {"parse_math": False}  # a $ in a name is a $


def sheet(
    title: str, panels: Sequence[str], *, narrow: bool, height: float, share_y: bool
) -> Sheet:
    """An empty figure with a panel for each of the first twelve names.

    Args:
        title: of the whole; empty for none.
        panels: their names.
        narrow: panels one below the other.
        height: of one panel, in inches.
        share_y: whether all have one vertical scale.

    Raises:
        MissingExtra: without matplotlib.
    """
    from matplotlib.figure import Figure

    chosen = list(panels[:MOST])
    count = max(len(chosen), 1)
    columns = 1 if narrow or count == 1 else 2 if count in (2, 4) else 3
    rows = -(-count // columns)
    font = 9.0 if narrow else 10.0
    width = _NARROW if narrow else _WIDE
    if len(panels) > MOST:
        title = f"{title} (the first {MOST} of {len(panels):,} panels)".strip()
    heading = fitted(title, int((width - 0.3) * _POINTS / (_LETTER * (font + 3))), 3)
    figure = Figure(figsize=(width, rows * height + 0.3 * (heading.count("\n") + 2)))
    figure.set_layout_engine("constrained", hspace=0.04, wspace=0.04)
    if heading:
        figure.suptitle(heading, x=0.01, ha="left", fontsize=font + 3, fontweight="bold", **_PLAIN)
    first: Any = None
    axes: dict[str, Axes] = {}
    for number, name in enumerate(chosen, 1):
        one: Any = figure.add_subplot(rows, columns, number, sharey=first if share_y else None)
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(GREY)
        one.tick_params(labelsize=font, color=GREY)
        first = first or one
        axes[name] = one
    panel_width = (width / columns - 0.75) * _POINTS
    return Sheet(figure, axes, narrow, columns, font, heading, int(panel_width / (_LETTER * font)))


@contextmanager
def drawn_alike() -> Iterator[None]:
    """Draw the same way whatever a user has set for plots of their own.

    Raises:
        MissingExtra: without matplotlib.
    """
    try:
        from matplotlib import style
    except ImportError:
        raise MissingExtra("matplotlib", "cli", "a plot") from None
    settings: dict[str, Any] = {
        "font.family": list(_families()),
        "svg.hashsalt": "contextkit",  # ids that are the same in every run
        "svg.fonttype": "path",
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with style.context(["default", settings]):
        yield


def fitted(text: str, width: int, most: int) -> str:
    """A text in at most so many lines of so many letters; what is too long loses its middle.

    The end of a name often tells it from others, so the end is kept.
    """
    text = legible(text)
    width = max(width, 4)
    lines = wrapped(text, width)
    room = width * most - 1
    while len(lines) > most and room > 2:
        head, tail = _first(text, (room + 1) // 2), _first(text[::-1], room // 2)[::-1]
        lines = wrapped(f"{head.rstrip()}…{tail.lstrip()}", width)
        room -= 1
    return "\n".join(lines[:most])


def legible(text: str) -> str:
    """The text with an empty box for each letter that no font at hand has."""
    text = printable(text)
    if text.isascii():
        return text
    known = _glyphs()
    return "".join(letter if ord(letter) in known else "□" for letter in text)


def short_figure(value: float, _: object = None) -> str:
    """A figure for an axis: 1.5M, 8,000, 0.25."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.10g}M"
    return f"{value:,.10g}"


def figure_axis(axis: Any, most: int, *, whole: bool = False) -> None:
    """A few round figures on an axis."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=most, integer=whole))
    show: Callable[[float, object], str] = short_figure
    axis.set_major_formatter(FuncFormatter(show))


def _first(text: str, width: int) -> str:
    taken = 0
    for at, letter in enumerate(text):
        taken += letters(letter)
        if taken > width:
            return text[:at]
    return text


@cache
def _families() -> tuple[str, ...]:
    from matplotlib.font_manager import get_font_names

    there = set(get_font_names())
    return tuple(name for name in _FONTS if name in there)


@cache
def _glyphs() -> frozenset[int]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    found: set[int] = set()
    for name in _families():
        found |= get_font(findfont(FontProperties(family=name))).get_charmap().keys()
    return frozenset(found)
