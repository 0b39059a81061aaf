"""Page: a result as one HTML file that needs nothing else: no network, no scripts, no fonts."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from contextkit.analysis.results import Column, Plot, Result, Table
from contextkit.analysis.showing.captions import caption
from contextkit.analysis.showing.forms import cells, heading, shown, visible
from contextkit.analysis.showing.layout import counted, letters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NARROW = "(max-width: 640px)"  # as in page.css
_LONG = 28  # letters: a column with longer texts gets a width of its own, and is wrapped
_PROBLEMS = 200  # that the page names


def page(result: Result) -> str:
    """A result as a page of HTML; equal text for equal results.

    Whatever comes from outside is text in it and nothing else: it is escaped, and the page's own
    policy lets a browser load and run nothing but what is written here.

    Raises:
        MissingExtra: where there are plots, without matplotlib.
    """
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            *_head(result, style),
            "<body>",
            *_body(result),
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(result: Result, style: str) -> list[str]:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return [
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{as_html(result.title)}</title>",
        f"<style>{style}</style>",
        "</head>",
    ]


def _body(result: Result) -> Iterator[str]:
    yield "<header>"
    yield f'<p class="command">contextkit {as_html(result.command)}</p>'
    yield f"<h1>{as_html(result.title)}</h1>"
    yield from (f'<p class="finding">{as_html(said)}</p>' for said in result.finding.splitlines())
    version = result.versions.get("contextkit")
    made = f"contextkit {as_html(version)}, " if version else ""
    yield f'<p class="made">{made}{_date(result.date)}</p>'
    if result.problems:
        yield f'<p class="warn">{as_html(counted(result))}: <a href="#problems">which</a>.</p>'
    yield "</header>"
    yield "<main>"
    for number, table in enumerate(result.tables[:1]):
        yield from _table(table, number)
    for plot in result.plots:
        yield from _plot(plot)
    for number, table in enumerate(result.tables[1:], 1):
        yield from _table(table, number)
    if result.notes:
        yield "<section><h2>Notes</h2><ul>"
        yield from (f"<li>{as_html(note)}</li>" for note in result.notes)
        yield "</ul></section>"
    yield from _meanings(result)
    yield from _problems(result)
    yield from _made_with(result)
    yield "</main>"


def _table(table: Table, number: int) -> Iterator[str]:
    table = visible(table)
    yield "<section>"
    yield (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="table-{number}"><table>'
        f'<caption><h2 id="table-{number}">{as_html(table.title)}</h2></caption>'
    )
    body = cells(table)
    kinds = [_kind(column, [row[at] for row in body]) for at, column in enumerate(table.columns)]
    yield "<thead><tr>"
    for column, kind in zip(table.columns, kinds, strict=True):
        title = f' title="{as_html(column.meaning)}"' if column.meaning else ""
        yield f'<th scope="col" class="{kind}"{title}>{as_html(heading(column))}</th>'
    yield "</tr></thead><tbody>"
    for row in body:
        line = []
        for at, (cell, kind) in enumerate(zip(row, kinds, strict=True)):
            tag, scope = ("td", "") if at else ("th", ' scope="row"')
            text = as_html(cell) if kind == "n" else _breaking(cell)
            line.append(f'<{tag}{scope} class="{kind}">{text}</{tag}>')
        yield f"<tr>{''.join(line)}</tr>"
    yield "</tbody></table></div>"
    if not body:
        yield '<p class="empty">No rows.</p>'
    if table.note:
        yield f'<p class="note">{as_html(table.note)}</p>'
    yield "</section>"


def _kind(column: Column, values: list[str]) -> str:
    if column.kind != "text":
        return "n"
    return "long" if max(map(letters, values), default=0) > _LONG else "short"


def _plot(plot: Plot) -> Iterator[str]:
    from contextkit.analysis.showing.drawing import draw

    wide, narrow = (draw(plot, narrow=narrow, titled=False) for narrow in (False, True))
    yield f"<figure><figcaption><h2>{as_html(plot.title)}</h2></figcaption><picture>"
    yield f'<source media="{_NARROW}" srcset="{_svg(narrow)}"{_size(narrow)}>'
    yield f'<img src="{_svg(wide)}"{_size(wide)} alt="{as_html(caption(plot))}">'
    yield "</picture></figure>"


def _svg(figure: Figure) -> str:
    from contextkit.analysis.showing.drawing import as_svg

    return f"data:image/svg+xml;base64,{base64.b64encode(as_svg(figure)).decode()}"


def _size(figure: Figure) -> str:
    width, height = (round(96 * float(inches)) for inches in figure.get_size_inches())
    return f' width="{width}" height="{height}"'


def _meanings(result: Result) -> Iterator[str]:
    told = [
        (table, [column for column in visible(table).columns if column.meaning])
        for table in result.tables
    ]
    told = [(table, columns) for table, columns in told if columns]
    if not told:
        return
    yield "<section><h2>What the columns mean</h2>"
    for table, columns in told:
        if len(told) > 1:
            yield f"<h3>{as_html(table.title)}</h3>"
        yield from _definitions({heading(column): as_html(column.meaning) for column in columns})
    yield "</section>"


def _problems(result: Result) -> Iterator[str]:
    if not result.problems:
        return
    yield f'<section id="problems"><h2>{as_html(counted(result))}</h2><ul>'
    for problem in result.problems[:_PROBLEMS]:
        where = problem.source if problem.line is None else f"{problem.source}:{problem.line}"
        said = f"{problem.kind}: {problem.reason}"
        yield f"<li><bdi><code>{_breaking(where)}</code></bdi> {as_html(said)}</li>"
    yield "</ul>"
    if len(result.problems) > _PROBLEMS:
        more = sum(problem.times for problem in result.problems[_PROBLEMS:])
        yield f'<p class="note">… and {more:,} more.</p>'
    yield "</section>"


def _made_with(result: Result) -> Iterator[str]:
    yield "<section><h2>How this was made</h2>"
    yield from _definitions(
        {
            **{key: as_html(_setting(value)) for key, value in result.settings.items()},
            **{key: as_html(found or "not installed") for key, found in result.versions.items()},
            "date": _date(result.date),
        }
    )
    yield "</section>"


def _definitions(told: Mapping[str, str]) -> Iterator[str]:
    yield "<dl>"
    yield from (
        f"<div><dt>{as_html(key)}</dt><dd>{value}</dd></div>" for key, value in told.items()
    )
    yield "</dl>"


def _setting(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return shown(value, "count", 0)
    return "none" if value is None else shown(value, "text")


def _date(date: str) -> str:
    said = date.replace("T", " ").replace("+00:00", " UTC")
    return f'<time datetime="{as_html(date)}">{as_html(said)}</time>'


def _breaking(text: str) -> str:
    """The same, with places within long names where a line may end."""
    return re.sub(r"[:/_@+=,.-](?=\w)", r"\g<0><wbr>", as_html(text))


def as_html(value: object) -> str:
    """Text as it stands in HTML, in elements and in quotes."""
    return escape(shown(str(value), "text"))
