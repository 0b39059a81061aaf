"""Chunks: a document in parts of whole paragraphs or sentences, each with the headings above it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from contextkit.estimate import EstimateCounter
from contextkit.retrieval.excerpts import passages_of

TOKENS = 200
"""Of a chunk at most, by an estimate. Chosen: some ten sentences, of which a share of 1,000 tokens
holds five; overlap between chunks is not needed, since neighbours lend each other their words."""

_count = EstimateCounter().count

_BLOCK = re.compile(r"\S[^\n]*(?:\n(?![^\S\n]*\n)[^\n]*)*")  # up to an empty line
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]++([^\n]*)$")
_UNDERLINE = re.compile(r" {0,3}(={2,}|-{3,})[ \t]*$")
_PARAGRAPH = re.compile(r" {0,3}(?!(?:[-*+]|\d+[.)])[ \t]|---|[>|=`~])\S")  # its first line
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a document.

    Attributes:
        text: as it stands there.
        headings: of Markdown, those that it stands under, outermost first.
    """

    text: str
    headings: tuple[str, ...] = ()


def chunks_of(text: str, tokens: int = TOKENS) -> list[Chunk]:
    """A document in chunks, in order; no word of it is lost but white space between them.

    Args:
        text: prose, Markdown or anything else; paragraphs end at an empty line.
        tokens: of a chunk at most, by an estimate; a single word may be longer.
    """
    chunks: list[Chunk] = []
    for headings, section in _sections(text.replace("\r\n", "\n").replace("\r", "\n")):
        start, end, used = 0, 0, 0
        for block in _BLOCK.finditer(section):
            cost = _count(block[0])
            if end > start and used + cost > tokens:
                chunks += _chunks(section[start:end], headings, tokens)
                start, used = block.start(), 0
            end, used = block.end(), used + cost
        chunks += _chunks(section[start:end], headings, tokens)
    return chunks


def _chunks(text: str, headings: tuple[str, ...], tokens: int) -> Iterator[Chunk]:
    """A text that may be too long, in chunks."""
    for piece in _pieces(text.strip(), tokens):
        yield Chunk(piece, headings)


def _pieces(text: str, tokens: int) -> list[str]:
    """Whole sentences as far as they fit; fewer words at once where words have many tokens."""
    if not text or _count(text) <= tokens:
        return [text] if text else []
    words = max(1, tokens * 3 // 4)
    pieces = passages_of(text, words)
    fitting: list[str] = []
    for piece in pieces:
        if _count(piece) <= tokens or len(piece) < 2:
            fitting.append(piece)
        elif len(pieces) > 1:
            fitting += _pieces(piece, tokens)
        else:  # one long line without words: base64, say
            middle = len(piece) // 2
            fitting += _pieces(piece[:middle], tokens) + _pieces(piece[middle:], tokens)
    return fitting


def _title(line: str) -> str:
    """What a heading says, without the marks that may close it."""
    line = line.rstrip(" \t")
    bare = line.rstrip("#")
    return bare.rstrip(" \t") if bare[-1:] in ("", " ", "\t") else line


def _sections(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """The text between headings, each with those above it; its own heading stands in it."""
    levels: list[tuple[int, str]] = []
    lines: list[str] = []
    fence = ""
    said = False  # whether the section has more than headings
    every = text.split("\n")
    underline = -1  # the number of the line below a heading
    for number, line in enumerate(every):
        marks = _FENCE.match(line)
        if marks and (not fence or (marks[1][0] == fence[0] and len(marks[1]) >= len(fence))):
            fence = "" if fence else marks[1]
        heading = None if fence else _heading(every, number)
        if heading:
            if said:
                yield tuple(name for _, name in levels), "\n".join(lines)
                lines, said = [], False
            levels = [(depth, name) for depth, name in levels if depth < heading[0]]
            levels.append(heading)
            underline = -1 if _HEADING.match(line) else number + 1
        elif line.strip() and number != underline:
            said = True
        lines.append(line)
    if lines:
        yield tuple(name for _, name in levels), "\n".join(lines)


def _heading(lines: list[str], number: int) -> tuple[int, str] | None:
    """Level and name of the heading that a line is: with # before it, or underlined.

    What is underlined is a paragraph of one line; of more lines, it may be a table or a rule.
    """
    marked = _HEADING.match(lines[number])
    if marked and (title := _title(marked[2])):
        return len(marked[1]), title
    below = _UNDERLINE.match(lines[number + 1]) if number + 1 < len(lines) else None
    if below and _PARAGRAPH.match(lines[number]):
        above = lines[number - 1] if number else ""
        if not above.strip() or _HEADING.match(above):
            return 1 if below[1][0] == "=" else 2, lines[number].strip()
    return None
