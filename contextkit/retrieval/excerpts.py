"""Excerpts: a long text in passages of a few sentences, and the best of them for a question.

A sentence model reads some 128 to 256 tokens, and one vector of a long text is near to nothing in
particular; so each passage gets a vector of its own, and the text counts as its best one does.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Mapping

from contextkit.retrieval.terms import terms

PASSAGE = 60
"""Words of a passage at most; of Chinese and the like, characters. Measured on BEAM-100K
(2026-11-22): the best of passages of 60 tokens finds more than a vector of the whole message."""

_FEWEST = 8
"""Words below which nothing is cut."""

_FITS = 40
"""Characters a token of a text that may fit whole: prose has 4, and a text of more is not counted
to find out."""

_MISFITS = 20
"""Passages that do not fit any more, after which no other is tried."""

GAP = " […] "
"""What stands between excerpts of one text."""

_UNIT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\U00020000-\U0003ffff]|[^\\W]+|[^\\w\\s]{1,4}"
)
_ASCII_UNIT = re.compile(r"\w+|[^\w\s]{1,4}")
"""The same of ASCII, in half the time."""
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’)\]]*+(?=\s)|[。！？]+[”’」』）]*|\n+"  # noqa: RUF001 - as written
)


def passages_of(text: str, words: int = PASSAGE) -> list[str]:
    """A text in passages of whole sentences, as far as they fit; a long sentence is cut.

    Args:
        text: any text; one that is short enough is its own only passage.
        words: the most in a passage; a character of Chinese and the like counts as one.
    """
    if len(text) <= words:
        return [text]
    unit_of = _ASCII_UNIT if text.isascii() else _UNIT
    if len(unit_of.findall(text)) <= words:
        return [text]
    starts = [found.start() for found in unit_of.finditer(text)]
    ends = [found.end() for found in _END.finditer(text)]
    passages, begin, unit, mark = [], 0, 0, 0
    while len(starts) - unit > words:
        limit = starts[unit + words]
        cut = limit
        while mark < len(ends) and ends[mark] <= limit:
            # An end soon after the beginning would make many short passages.
            if ends[mark] > starts[min(unit + words // 4, len(starts) - 1)]:
                cut = ends[mark]
            mark += 1
        passages.append(text[begin:cut].strip())
        begin = cut
        while unit < len(starts) and starts[unit] < cut:
            unit += 1
    passages.append(text[begin:].strip())
    return [passage for passage in passages if passage]


class Pieces:
    """A long text in its passages, with those that hold each term: made once, asked often.

    Args:
        text: the whole.
        language: as for `terms`.
        words: the most in a passage.
    """

    def __init__(self, text: str, language: str | None = None, words: int = PASSAGE) -> None:
        self.text, self.language, self.words = text, language, words
        self.passages = passages_of(text, words)
        self._holding: dict[str, array[int]] = {}
        for number, passage in enumerate(self.passages):
            for term in {term.key for term in terms(passage, language)}:
                self._holding.setdefault(term, array("i")).append(number)

    def best(self, weights: Mapping[str, float]) -> list[int]:
        """The passages that hold any of some terms, the heaviest first; the first without any."""
        scores: defaultdict[int, float] = defaultdict(float)
        for term, weight in weights.items():
            for number in self._holding.get(term, ()):
                scores[number] += weight
        order = sorted(scores, key=lambda number: (-scores[number], number))
        return [number for number in order if scores[number] > 0] or [0]


def excerpt(
    text: str | Pieces,
    weights: Mapping[str, float],
    share: int,
    count: Callable[[str], int],
    *,
    language: str | None = None,
) -> str:
    """What of a long text answers a question best within a share; empty where nothing fits.

    Its passages are taken by the weight of the question's terms in them, and stand in their order.
    Tokens are counted of those that may be shown only.

    Args:
        text: the whole; its pieces, where they are kept.
        weights: of the question's terms, as `Corpus.term_weights` gives them.
        share: tokens at most.
        count: the tokens of a text.
        language: as for `terms`.
    """
    whole = text.text if isinstance(text, Pieces) else text
    if len(whole) <= _FITS * share and count(whole) <= share:
        return whole
    pieces = text if isinstance(text, Pieces) else Pieces(text, language)
    order, gap = pieces.best(weights), count(GAP)
    best = pieces.passages[order[0]]
    if count(best) + gap > share:  # a part of it
        if pieces.words <= _FEWEST:
            return ""
        return excerpt(Pieces(best, pieces.language, pieces.words // 2), weights, share, count)
    chosen: list[int] = []
    left, misfits = share, 0
    for number in order:
        cost = count(pieces.passages[number]) + gap
        if cost <= left:
            chosen.append(number)
            left -= cost
        else:
            misfits += 1
        if misfits >= _MISFITS or left <= gap:
            break
    return _joined(pieces.passages, sorted(chosen))


def _joined(passages: list[str], numbers: list[int]) -> str:
    text, before = "", -1
    for number in numbers:
        text += (" " if number == before + 1 else GAP) + passages[number]
        before = number
    return text.strip()
