"""Results: what an analysis found, as data: one object that tables, plots and pages are made from.

Whatever is shown of an analysis, on a terminal, as JSON, CSV, PNG or HTML, is made from a `Result`
and from nothing else. Holds no content of conversations.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from contextkit.analysis.problems import Problem

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
    """

    key: str
    title: str
    kind: Kind = "text"
    meaning: str = ""
    unit: str = ""


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
    """

    name: str
    title: str
    x: str
    y: str
    panels: Mapping[str, Sequence[Point]]


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

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The rows of the main table, for `pandas.DataFrame(result.rows)` and the like."""
        return [dict(row) for row in self.tables[0].rows] if self.tables else []

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Plots are in it as the data they are drawn from."""
        return {
            "command": self.command,
            "title": self.title,
            "date": self.date,
            "versions": dict(self.versions),
            "settings": dict(self.settings),
            "tables": {table.name: [dict(row) for row in table.rows] for table in self.tables},
            "definitions": {
                f"{table.name}.{column.key}": column.meaning
                for table in self.tables
                for column in table.columns
                if column.meaning
            },
            "plots": [asdict(plot) for plot in self.plots],
            "notes": list(self.notes),
            "problems": [problem.to_json() for problem in self.problems],
            "details": dict(self.details),
        }


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
