"""Forms of a table: how its values are written, as Markdown, and as CSV.

`shown` is the one place that says how a value of a `Kind` looks, wherever it is shown.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import floor, isfinite, isnan, log10
from numbers import Real
from typing import Any

from contextkit.analysis.results import Column, Kind, Table
from contextkit.caching.prefix import printable

UNKNOWN = "-"
"""Stands for what is not known."""

_ADAPTING = ("number", "units", "money", "seconds")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001 - wide forms
_MARKS = re.compile(r"[\\|`*\[\]~]|(?<![^\W_])_|_(?![^\W_])")


def shown(value: Any, kind: Kind, places: int = 2) -> str:
    """A value as it is shown: grouped digits, shares in per cent, `-` for what is not known.

    Args:
        value: anything; what is no figure in a column of figures is shown as text.
        kind: of its column.
        places: decimal places, for the kinds that have them.
    """
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if kind != "text" and isinstance(value, Real):
        figure = float(value)
        if not isfinite(figure):
            return UNKNOWN if isnan(figure) else f"{figure:+}"[:1].strip("+") + "∞"
        if kind == "share":
            return f"{100 * figure:,.{places}f}%"
        # No sign before a figure that is shown as zero.
        return f"{round(figure, places) + 0.0:,.{places}f}"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{shown(key, 'text')}: {shown(one, 'text')}" for key, one in value.items()
        )
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(shown(one, "text") for one in value)
    return printable(str(value))


def places_for(values: Iterable[Any], kind: Kind) -> int:
    """Decimal places with which all figures of a column can be read, one below the other.

    At least two significant digits of the smallest and three of the largest, and no more than six
    places; whole figures have none.
    """
    sizes = [
        abs(float(one)) for one in values if not isinstance(one, bool) and isinstance(one, Real)
    ]
    sizes = [size for size in sizes if size and isfinite(size)]
    if kind == "share":
        fine = any(size < 0.0005 or 0 < abs(1 - size) < 0.0005 for size in sizes)
        return 2 if fine else 1
    if kind == "ratio":
        return 3 if max(sizes, default=0) < 10 else 2
    if kind not in _ADAPTING or all(size == round(size) for size in sizes):
        return 0
    largest, smallest = (floor(log10(pick(sizes))) for pick in (max, min))
    return min(6, max(0, 2 - largest, 1 - smallest))


def visible(table: Table) -> Table:
    """The table without the columns that say nothing; the first one stays."""
    kept = [
        column
        for at, column in enumerate(table.columns)
        if not at or not table.rows or _is_shown(column, table.rows)
    ]
    return replace(table, columns=tuple(kept))


def _is_shown(column: Column, rows: Sequence[Mapping[str, Any]]) -> bool:
    if column.elsewhere:
        return False
    if column.unless and all(row.get(column.unless) is not None for row in rows):
        return False
    return any(_says(row.get(column.key), column) for row in rows)


def _says(value: Any, column: Column) -> bool:
    return bool(value) if column.quiet else value is not None and value != ""


def heading(column: Column) -> str:
    """What stands above a column: its title, and the unit where the title does not say it."""
    unit = column.unit or ("s" if column.kind == "seconds" else "")
    title = column.title or column.key
    named = re.search(rf"(?<!\w){re.escape(unit)}(?!\w)", title)
    return printable(title if not unit or named else f"{title} ({unit})")


def cells(table: Table) -> list[list[str]]:
    """The rows of a table, as they are shown."""
    columns = []
    for column in table.columns:
        values = [row.get(column.key) for row in table.rows]
        places = places_for(values, column.kind)
        columns.append([shown(value, column.kind, places) for value in values])
    return [list(row) for row in zip(*columns, strict=True)]


def markdown(table: Table) -> str:
    """The table in GitHub's Markdown, and its note below; the title is left to who shows it."""
    table = visible(table)
    head = [_marked(heading(column)) for column in table.columns]
    rule = ["---" if column.kind == "text" else "---:" for column in table.columns]
    rows = [[_marked(cell) for cell in row] for row in cells(table)]
    lines = ["| " + " | ".join(line) + " |" for line in (head, rule, *rows)]
    if table.note:
        lines += ["", _marked(printable(table.note))]
    return "\n".join(lines) + "\n"


def to_csv(table: Table) -> str:
    """The table as CSV (RFC 4180): the columns' keys, then the values as they are, not as shown.

    What is not known is empty; lists and the like are JSON. A text that a spreadsheet would take
    for a formula, because it begins with =, +, -, @ (also in their wide forms) or a control
    character that is passed over, has a ' before it, as OWASP advises ("CSV Injection", read in
    2026); figures never have.
    """
    file = io.StringIO(newline="")
    writer = csv.writer(file)  # its default dialect ends lines with CRLF and doubles quotes
    writer.writerow([_safe(column.key) for column in table.columns])
    for row in table.rows:
        writer.writerow([_raw(row.get(column.key)) for column in table.columns])
    return file.getvalue()


def _raw(value: Any) -> Any:
    if value is None or (isinstance(value, float) and not isfinite(value)):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        return _safe(json.dumps(value, ensure_ascii=False, default=str))
    return value if isinstance(value, Real) else _safe(str(value))


def _safe(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()  # names of files may not be UTF-8
    return f"'{text}" if text.startswith(_FORMULA) else text


def _marked(text: str) -> str:
    """A text with which Markdown and HTML do nothing."""
    text = _MARKS.sub(lambda mark: f"\\{mark[0]}", text)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
