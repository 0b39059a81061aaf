"""Results: what an analysis found, as data: one object that tables, plots and pages are made from.

Whatever is shown of an analysis, on a terminal, as JSON, CSV, PNG or HTML, is made from a `Result`
and from nothing else. Holds no content of conversations.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from math import isfinite
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

from contextkit.analysis.problems import Problem
from contextkit.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["text", "count", "number", "share", "ratio", "units", "money", "seconds"]
"""What a column holds: `count` and `number` are plain figures, whole and not; `share` is shown in
per cent; `ratio` is a figure around 1; `units` are price units: 1 is the price of an uncached input
token of the lowest tier."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        key: of the value in a row.
        title: what stands above it.
        kind: of its values; None stands for what is not known, in every kind.
        meaning: what it is, in a sentence.
        unit: of the values where the kind does not say: `tokens`, a currency.
        quiet: left out of what is shown where no row has anything but zero in it; a column in
            which nothing is known always is. CSV and JSON have every column.
        puzzling: what it means stands below the table where there is no room for every column's.
        unless: key of a column that says the same better: where every row has a value there, this
            one is left out of what is shown.
        elsewhere: another table shows it; here it is in CSV and JSON alone.
    """

    key: str
    title: str
    kind: Kind = "text"
    meaning: str = ""
    unit: str = ""
    quiet: bool = False
    puzzling: bool = False
    unless: str = ""
    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of values, and what they are.

    Attributes:
        name: one word, for file names and JSON.
        title: what stands above it.
        columns: in order, the most important first.
        rows: a dict each, with a value for each column's key; more keys are for JSON alone.
        note: what stands below.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Mapping[str, Any], ...]
    note: str = ""


Better = Literal["less", "more"]


@dataclass(frozen=True, slots=True)
class Point:
    """A named point of a frontier."""

    name: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Frontier:
    """Points in the plane, in a panel for each of several conditions: what is bought at what price.

    Attributes:
        name: one word, for file names.
        title: of the whole.
        x, y: what the axes show, with units.
        panels: by name the points.
        x_better, y_better: which direction is better.
    """

    name: str
    title: str
    x: str
    y: str
    panels: Mapping[str, Sequence[Point]]
    x_better: Better = "less"
    y_better: Better = "more"


@dataclass(frozen=True, slots=True)
class Split:
    """Tokens of each request, in parts that stand on top of each other, in a panel for each run.

    Attributes:
        name: one word, for file names.
        title: of the whole.
        x: what counts the requests: `request`, `turn`.
        panels: by name of the run the parts, each with a value for each request, in the order from
            the bottom; the parts are `cached`, `written` and `new`.
        limit: of tokens, drawn as a line; None for none.
    """

    name: str
    title: str
    x: str
    panels: Mapping[str, Mapping[str, Sequence[float]]]
    limit: int | None = None


Plot = Frontier | Split


@dataclass(frozen=True, slots=True)
class Result:
    """What an analysis found.

    Attributes:
        command: that found it: `replay`, `audit`, the name of a benchmark.
        title: in words.
        settings: what it was asked for.
        tables: the main one first.
        plots: the most important first.
        notes: what a reader must know besides: assumptions, what was left out.
        problems: what could not be read, or not carried over.
        details: what only JSON shows: values of each request.
        date: when it was made, in UTC.
        versions: of what made it.
        finding: what a reader should take home, in a sentence or two, a line each; it stands above
            all tables.
    """

    command: str
    title: str
    settings: Mapping[str, Any]
    tables: tuple[Table, ...]
    plots: tuple[Plot, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    versions: Mapping[str, str | None] = field(default_factory=lambda: versions_of("tiktoken"))
    finding: str = ""

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the main table, for `pandas.DataFrame(result.rows)` and the like."""
        return [dict(row) for row in self.tables[0].rows] if self.tables else []

    def table(self, name: str | None = None) -> Table:
        """A table by its name; without one the main table.

        Raises:
            InputError: where there is no such table.
        """
        for table in self.tables:
            if name in (None, table.name):
                return table
        there = ", ".join(table.name for table in self.tables) or "none"
        raise InputError(f"is no table of this result; there are: {there}", place=str(name))

    def plot(self, name: str | None = None) -> Plot:
        """A plot, as data, by its name; without one the most important.

        Raises:
            InputError: where there is no such plot.
        """
        for plot in self.plots:
            if name in (None, plot.name):
                return plot
        there = ", ".join(plot.name for plot in self.plots) or "none"
        raise InputError(f"is no plot of this result; there are: {there}", place=str(name))

    def __str__(self) -> str:
        from contextkit.analysis.showing.layout import lines

        return "\n".join(line.text for line in lines(self))

    def markdown(self, table: str | None = None) -> str:
        """A table in GitHub's Markdown, with its note below; without a name the main table.

        Raises:
            InputError: where there is no such table.
        """
        from contextkit.analysis.showing.forms import markdown

        return markdown(self.table(table))

    def csv(self, table: str | None = None) -> str:
        """A table as CSV (RFC 4180), values as they are; without a name the main table.

        A text that a spreadsheet would take for a formula has a ' before it.

        Raises:
            InputError: where there is no such table.
        """
        from contextkit.analysis.showing.forms import to_csv

        return to_csv(self.table(table))

    def figure(self, plot: str | None = None, *, narrow: bool = False) -> Figure:
        """A plot as a matplotlib figure; without a name the most important.

        Args:
            plot: its name.
            narrow: panels one below the other, for a telephone.

        Raises:
            InputError: where there is no such plot.
            MissingExtra: without matplotlib.
        """
        from contextkit.analysis.showing.drawing import draw

        return draw(self.plot(plot), narrow=narrow)

    def png(self, plot: str | None = None, *, narrow: bool = False) -> bytes:
        """The same as a PNG; equal bytes for equal results.

        Raises:
            InputError: where there is no such plot.
            MissingExtra: without matplotlib.
        """
        from contextkit.analysis.showing.drawing import as_png

        return as_png(self.figure(plot, narrow=narrow))

    def html(self) -> str:
        """All of it as one page that needs nothing else: no network, no scripts.

        Raises:
            MissingExtra: where there are plots, without matplotlib.
        """
        from contextkit.analysis.showing.page import page

        return page(self)

    def _repr_html_(self) -> str:
        from contextkit.analysis.showing.notebook_form import fragment

        return fragment(self)

    def to_json(self) -> dict[str, Any]:
        """As JSON data, ready for `json.dumps`; None for a figure that is not finite.

        Plots are in it as the data they are drawn from.
        """
        found = {
            "command": self.command,
            "title": self.title,
            "finding": self.finding,
            "date": self.date,
            "versions": self.versions,
            "settings": self.settings,
            "tables": {table.name: table.rows for table in self.tables},
            "definitions": {
                f"{table.name}.{column.key}": column.meaning
                for table in self.tables
                for column in table.columns
                if column.meaning
            },
            "plots": [asdict(plot) for plot in self.plots],
            "notes": self.notes,
            "problems": [problem.to_json() for problem in self.problems],
            "details": self.details,
        }
        return {key: _plain(value) for key, value in found.items()}


def _plain(value: Any) -> Any:
    """The value as JSON has it: paths and the like as text."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Real):
        if isinstance(value, Integral):
            return int(value)
        return float(value) if isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [
            _plain(one) for one in (value if isinstance(value, list | tuple) else sorted(value))
        ]
    return str(value)


def versions_of(*packages: str) -> dict[str, str | None]:
    """Versions of contextkit, Python and packages; None for what is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    from contextkit import __version__

    found: dict[str, str | None] = {
        "contextkit": __version__,
        "python": platform.python_version(),
    }
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
