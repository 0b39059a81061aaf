"""Notebook form: a result as light HTML, for the output of a notebook's cell."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from contextkit.analysis.results import Plot, Result, Table
from contextkit.analysis.showing.captions import caption
from contextkit.analysis.showing.forms import cells, heading, visible
from contextkit.analysis.showing.layout import counted
from contextkit.analysis.showing.page import as_html
from contextkit.errors import MissingExtra

_ROWS = 50  # of a table


def fragment(result: Result) -> str:
    """A result as HTML for a notebook: tables and plots; without matplotlib only tables."""
    parts = [f"<h3>{as_html(result.title)}</h3>"]
    parts += [f"<p><b>{as_html(said)}</b></p>" for said in result.finding.splitlines()]
    for one in (*result.tables[:1], *result.plots, *result.tables[1:]):
        if isinstance(one, Table):
            parts += _light_table(one)
        else:
            parts.append(_light_plot(one))
    if result.notes:
        parts.append(f"<ul>{''.join(f'<li>{as_html(note)}</li>' for note in result.notes)}</ul>")
    if result.problems:
        parts.append(f"<p>{as_html(counted(result))}</p>")
    return "<div>" + "\n".join(parts) + "</div>"


def _light_table(table: Table) -> Iterator[str]:
    table = visible(table)
    sides = ["left" if column.kind == "text" else "right" for column in table.columns]
    head = "".join(
        f'<th style="text-align:{side}" title="{as_html(column.meaning)}">'
        f"{as_html(heading(column))}</th>"
        for column, side in zip(table.columns, sides, strict=True)
    )
    body = cells(table)
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:{side}">{as_html(cell)}</td>'
            for cell, side in zip(row, sides, strict=True)
        )
        + "</tr>"
        for row in body[:_ROWS]
    )
    yield f"<h4>{as_html(table.title)}</h4>"
    yield (
        '<div style="overflow-x:auto"><table style="font-variant-numeric:tabular-nums">'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
    if len(body) > _ROWS:
        yield f"<p>… and {len(body) - _ROWS:,} more rows.</p>"
    if table.note:
        yield f"<p>{as_html(table.note)}</p>"


def _light_plot(plot: Plot) -> str:
    from contextkit.analysis.showing.drawing import as_png, draw

    try:
        data = base64.b64encode(as_png(draw(plot))).decode()
    except MissingExtra as error:
        return f"<p>{as_html(error)}</p>"
    return (
        f'<img style="max-width:100%" alt="{as_html(caption(plot))}" '
        f'src="data:image/png;base64,{data}">'
    )
