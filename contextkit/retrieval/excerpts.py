"""Excerpts: a long text in passages of a few sentences, and the best of them for a question.

A sentence model reads some 128 to 256 tokens, and one vector of a long text is near to nothing in
particular; so each passage gets a vector of its own, and the text counts as its best one does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from contextkit.retrieval.terms import terms

PASSAGE = 60
"""Words of a passage at most; of Chinese and the like, characters. Measured on BEAM-100K
(2026-11-22): the best of passages of 60 tokens finds more than a vector of the whole message."""

_FEWEST = 8
"""Words below which nothing is cut."""

GAP = " […] "
"""What stands between excerpts of one text."""

_UNIT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
    "\U00020000-\U0003ffff]|[^\\W]+|[^\\w\\s]{1,4}"
)
_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+[”’」』）]*|\n+")  # noqa: RUF001 - as written


def passages_of(text: str, words: int = PASSAGE) -> list[str]:
    """A text in passages of whole sentences, as far as they fit; a long sentence is cut.

    Args:
        text: any text; one that is short enough is its own only passage.
        words: the most in a passage; a character of Chinese and the like counts as one.
    """
    if len(text) <= words:
        return [text]
    starts = [found.start() for found in _UNIT.finditer(text)]
    if len(starts) <= words:
        return [text]
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


def excerpt(
    text: str,
    weights: Mapping[str, float],
    share: int,
    count: Callable[[str], int],
    *,
    language: str | None = None,
) -> str:
    """What of a long text answers a question best within a share; empty where nothing fits.

    Its passages are taken by the weight of the question's terms in them, and stand in their order.

    Args:
        text: the whole.
        weights: of the question's terms, as `Corpus.term_weights` gives them.
        share: tokens at most.
        count: the tokens of a text.
        language: as for `terms`.
    """
    if count(text) <= share:
        return text
    words = PASSAGE
    while True:
        passages = passages_of(text, words)
        held = [{term.key for term in terms(passage, language)} for passage in passages]
        scores = [sum(weights.get(term, 0.0) for term in keys) for keys in held]
        order = sorted(range(len(passages)), key=lambda number: (-scores[number], number))
        if words <= _FEWEST or count(passages[order[0]]) + count(GAP) <= share:
            break
        words //= 2  # where the best does not fit, a part of it
    chosen: list[int] = []
    left = share
    for number in order:
        cost = count(passages[number]) + count(GAP)
        if cost <= left and (scores[number] > 0 or number == order[0]):
            chosen.append(number)
            left -= cost
    return _joined(passages, sorted(chosen))


def _joined(passages: list[str], numbers: list[int]) -> str:
    text, before = "", -1
    for number in numbers:
        text += (" " if number == before + 1 else GAP) + passages[number]
        before = number
    return text.strip()
