"""Layout: a result as lines of text, for terminals of any width, for pipes and for `print`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple
from unicodedata import category, east_asian_width

from contextkit.analysis.results import Result, Table
from contextkit.analysis.showing.forms import cells, heading, visible
from contextkit.caching.prefix import printable

_GAP = "  "
_WIDEST, _NARROWEST = 60, 16  # a column of text is wrapped between these
_UNTITLED = 100  # notes are wrapped there, where nobody says how wide it may be


class Line(NamedTuple):
    """A line of text, and what it is."""

    role: Literal["title", "finding", "head", "rule", "row", "note", "problems", "space"]
    text: str


def lines(result: Result, width: int | None = None) -> Iterator[Line]:
    """A whole result: the main table first, then the others, notes, and how many problems.

    Args:
        result: what is shown.
        width: letters that fit into a line; None where that does not matter: then no row is broken
            but for texts over 60 letters.
    """
    yield Line("title", printable(result.title))
    for said in result.finding.splitlines():
        yield from _text("finding", said, width)
    for table in result.tables:
        yield Line("space", "")
        yield Line("title", printable(table.title))
        yield from table_lines(table, width)
        if table.note:
            yield from _text("note", table.note, width)
        for column in visible(table).columns if table.rows else ():
            if column.puzzling:
                told = f"{heading(column)}: {column.meaning}"
                yield from _text("note", told, width, indent="    ", mark="  ")
    if result.notes:
        yield Line("space", "")
        for note in result.notes:
            yield from _text("note", note, width, indent="  ", mark="* ")
    if result.problems:
        yield Line("space", "")
        yield from _text("problems", counted(result), width)


def counted(result: Result) -> str:
    """How many problems there were, in words."""
    kinds: Counter[str] = Counter()
    for problem in result.problems:
        kinds[problem.kind] += problem.times
    total = sum(kinds.values())
    said = ", ".join(f"{number:,} {kind}" for kind, number in kinds.items())
    where = "" if "left out" in kinds else " in the input"
    return f"{total:,} problem{'' if total == 1 else 's'}{where}: {said}"


def table_lines(table: Table, width: int | None = None) -> Iterator[Line]:
    """A table as text, aligned; broken into several below each other where it is too wide."""
    table = visible(table)
    if not table.rows or not table.columns:
        yield Line("row", "(no rows)")
        return
    heads = [heading(column) for column in table.columns]
    texts = [column.kind == "text" for column in table.columns]
    body = cells(table)
    wide = [
        _column_width(head, [row[at] for row in body], text=texts[at])
        for at, head in enumerate(heads)
    ]
    for number, chosen in enumerate(_blocks(wide, texts, width)):
        if number:
            yield Line("space", "")
        sizes = [wide[at] for at in chosen]
        left = [texts[at] for at in chosen]
        for text in _row([heads[at] for at in chosen], sizes, left, bottom=True):
            yield Line("head", text)
        yield Line("rule", _GAP.join("-" * size for size in sizes))
        for row in body:
            for text in _row([row[at] for at in chosen], sizes, left):
                yield Line("row", text)


def letters(text: str) -> int:
    """How many places of a terminal a text takes: two for each wide letter, none for accents."""
    if text.isascii():
        return len(text)
    return sum(
        0 if category(letter) in ("Mn", "Me") else 2 if east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def wrapped(text: str, width: int) -> list[str]:
    """A text in lines of at most so many places, broken between words where that can be."""
    found: list[str] = []
    line = ""
    for word in text.split():
        if line and letters(line) + 1 + letters(word) <= width:
            line += f" {word}"
            continue
        if line:
            found.append(line)
        line = word
        while letters(line) > width:
            head = _breaking(_fitting(line, width))
            found.append(head)
            line = line[len(head) :]
    return [*found, line] if line or not found else found


def _fitting(text: str, width: int) -> str:
    taken = 0
    for at, letter in enumerate(text):
        taken += letters(letter)
        if taken > width:
            return text[: max(at, 1)]
    return text


def _breaking(text: str) -> str:
    """As much of a long word as ends where a word may: behind a mark, if one is near the end."""
    at = max(text.rfind(mark) for mark in "/-_:;,.@+=|&") + 1
    return text[:at] if at > len(text) // 2 else text


def _column_width(head: str, values: Sequence[str], *, text: bool) -> int:
    """Of the widest value; of the longest word of the heading where that is wider."""
    values_wide = max(map(letters, values))
    words = max(map(letters, head.split()), default=1)
    # A heading in more than three lines is harder to read than a wide column.
    third = -(-letters(head) // 3)
    wide = max(values_wide, words, third)
    return min(wide, max(_WIDEST, words)) if text else wide


def _blocks(wide: list[int], texts: Sequence[bool], width: int | None) -> Iterator[list[int]]:
    """Which columns stand side by side; `wide` is made smaller where that makes them fit."""
    everything = list(range(len(wide)))
    if width is None:
        yield everything
        return
    gap = len(_GAP)
    narrowest = min(_NARROWEST, width // 3)
    smaller = wide.copy()
    while sum(smaller) + gap * (len(wide) - 1) > width:
        widest = max((at for at in everything if texts[at]), key=smaller.__getitem__, default=None)
        if widest is None or smaller[widest] <= narrowest:
            break
        smaller[widest] -= 1
    else:
        wide[:] = smaller
        yield everything
        return
    third = max(width // 3, narrowest)
    for at, size in enumerate(wide):
        wide[at] = min(size, third if texts[at] else width)
    # What says what a row is stands in every block, where there is room beside it.
    lead: list[int] = []
    for at in everything[:-1]:
        room = width - sum(wide[one] + gap for one in [*lead, at])
        if (at and not texts[at]) or room < max(0.4 * width, *wide[at + 1 :]):
            break
        lead.append(at)
    taken = sum(wide[at] + gap for at in lead)
    block: list[int] = []
    for at in everything[len(lead) :]:
        if block and taken + sum(wide[one] + gap for one in block) + wide[at] > width:
            yield [*lead, *block]
            block = []
        block.append(at)
    yield [*lead, *block]


def _row(
    values: Sequence[str], sizes: Sequence[int], left: Sequence[bool], *, bottom: bool = False
) -> Iterator[str]:
    """The lines of one row; `bottom` sets what has fewer lines at the last of them."""
    parts = [wrapped(value, size) for value, size in zip(values, sizes, strict=True)]
    height = max(map(len, parts))
    for at in range(height):
        line = []
        for part, size, is_left in zip(parts, sizes, left, strict=True):
            number = at - (height - len(part)) if bottom else at
            text = part[number] if 0 <= number < len(part) else ""
            space = " " * (size - letters(text))
            line.append(text + space if is_left else space + text)
        yield _GAP.join(line).rstrip()


def _text(
    role: Literal["finding", "note", "problems"],
    text: str,
    width: int | None,
    *,
    indent: str = "",
    mark: str = "",
) -> Iterator[Line]:
    within = max((width or _UNTITLED) - len(indent), _NARROWEST)
    for number, line in enumerate(wrapped(printable(text), within)):
        yield Line(role, (indent if number else mark) + line)
