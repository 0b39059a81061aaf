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
    for line in text.split("\n"):
        marks = _FENCE.match(line)
        if marks and (not fence or (marks[1][0] == fence[0] and len(marks[1]) >= len(fence))):
            fence = "" if fence else marks[1]
        heading = None if fence else _HEADING.match(line)
        if heading and (title := _title(heading[2])):
            if said:
                yield tuple(name for _, name in levels), "\n".join(lines)
                lines, said = [], False
            level = len(heading[1])
            levels = [(depth, name) for depth, name in levels if depth < level]
            levels.append((level, title))
        elif line.strip():
            said = True
        lines.append(line)
    if lines:
        yield tuple(name for _, name in levels), "\n".join(lines)
