"""Choosing: the passages that fill a share, whole; an excerpt of what is too large for it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.excerpts import excerpt
from contextkit.retrieval.passages import Key, Passage, address_of
from contextkit.retrieval.ranking import fill
from contextkit.strategies.passages import block_of
from contextkit.view import View

if TYPE_CHECKING:
    import numpy as np


FLOOR, FLOOR_WITH_VECTORS, FLOOR_SHARE = 0.25, 0.4, 1_000
"""Of the best score, what a passage has at least that takes room in a share of 1,000 tokens; in a
larger one, less. On LoCoMo (2026-11-22) that costs next to no evidence (85.0 % by words alone, as
without; 87.6 % with MiniLM, 87.8 without), and where one sentence answers, others stay away."""


@dataclass(frozen=True, slots=True)
class Share:
    """The tokens that a block of passages may take.

    Attributes:
        view: in which they are counted.
        name: of the block.
        tokens: at most, with what stands around the passages.
        vectors: whether the scores are of vectors, too.
    """

    view: View
    name: str
    tokens: int
    vectors: bool = False

    def choose(
        self,
        corpus: Corpus,
        scores: np.ndarray,
        allowed: np.ndarray,
        shown: Collection[Key],
        weights: Mapping[str, float],
    ) -> list[tuple[int, Passage]]:
        """The passages that are worth most, with their numbers in the corpus, in its order.

        Where the one that answers best is too large to be shown whole, it is there as an excerpt
        of what the others leave, who have half of the share.

        Args:
            corpus: the passages.
            scores: of all of them.
            allowed: which may be shown: a mask.
            shown: the keys of what is there already.
            weights: of the terms that excerpts are made for.
        """
        room = self.tokens - self.taken([])
        best = int((scores * allowed).argmax())
        if allowed[best] and scores[best] > 0 and corpus.tokens.values[best] > room:
            others = self._filled(corpus, scores, allowed, room // 2)
            found = self._excerpt(corpus, best, list(others.values()), weights)
            # What is shown of it is no reason against another part, for another question.
            if found is not None and excerpt_key(found) not in shown:
                return sorted({**others, best: found}.items())
        return sorted(self._filled(corpus, scores, allowed, room).items())

    def block(self, passages: list[Passage]) -> str:
        """Passages as they are shown."""
        return block_of(self.view, self.name, passages)

    def taken(self, passages: list[Passage]) -> int:
        """Tokens of a block, with what stands around it."""
        return self.view.count({"role": "user", "content": f"\n\n{self.block(passages)}"})

    def _filled(
        self, corpus: Corpus, scores: np.ndarray, allowed: np.ndarray, room: int
    ) -> dict[int, Passage]:
        floor = FLOOR_WITH_VECTORS if self.vectors else FLOOR
        floor *= min(1.0, FLOOR_SHARE / self.tokens)
        single = without_doubles(corpus.passages, scores, allowed, floor)
        # Parts of documents are cut to a size: the last one, which is shorter, is worth no more.
        parts = corpus.passages[0].role == "document"
        numbers = fill(scores, corpus.tokens.values, room, among=single, discount=not parts)
        chosen = {number: corpus.passages[number] for number in numbers}
        # Passages may count more together than one by one.
        while chosen and self.taken(list(chosen.values())) > self.tokens:
            del chosen[min(chosen, key=lambda number: (scores[number], -number))]
        return chosen

    def _excerpt(
        self, corpus: Corpus, number: int, others: list[Passage], weights: Mapping[str, float]
    ) -> Passage | None:
        passage, pieces = corpus.passages[number], corpus.pieces(number)
        room = self.tokens - self.taken([*others, replace(passage, text="")])
        frame = self.view.count({"role": "user", "content": ""})

        def count(text: str) -> int:
            return self.view.count({"role": "user", "content": text}) - frame

        while room > 0:
            text = excerpt(pieces, weights, room, count)
            found = replace(passage, text=text)
            if not text or self.taken([*others, found]) <= self.tokens:
                return found if text else None
            room = room * 3 // 4  # pieces may count more together than one by one
        return None


def without_doubles(
    passages: list[Passage], scores: np.ndarray, allowed: np.ndarray, floor: float
) -> np.ndarray:
    """Which of the passages above a floor may be shown, each text once: where it was said last."""
    import numpy as np

    single: np.ndarray = allowed & (scores > 0) & (scores >= floor * scores.max(initial=0.0))
    last: dict[str, int] = {}
    for number in np.flatnonzero(single).tolist():
        text = passages[number].text
        if (before := last.get(text)) is not None:
            single[before] = False
        last[text] = number
    return single


def excerpt_key(passage: Passage) -> Key:
    """Names an excerpt: it was shown where the same words of the same passage were."""
    return (*passage.key[:3], address_of(passage.text))
