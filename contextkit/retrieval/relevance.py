"""Relevance: whether anything in a corpus answers a question at all; else nothing is inserted.

Measured on LoCoMo (5 dialogues, 760 questions with labelled evidence, 2026-11-22; `python -m
benchmarks.evidence`), with MiniLM's vectors | by words alone: 99.6 % | 96.6 % of the questions are
let through; of the questions of another dialogue 15 % | 31 %, of small talk next to none. Where
those are asked under the names of those who speak here, 91 % | 59 %: that something was never said,
nobody knows from words and cosines.
"""

from __future__ import annotations

from math import log, log10
from typing import TYPE_CHECKING, Any

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.questions import is_small_talk
from contextkit.retrieval.ranking import dense_scores, echoes

if TYPE_CHECKING:
    import numpy as np

SHARE, SHARE_WITH_VECTORS = 0.25, 0.35
"""The least share of the question's terms, by their inverse document frequency, in one passage."""

MASS = 0.5
"""The least that the terms found weigh, in terms that were said once only."""

WIDEST = 8
"""The most that a question weighs, in terms said once: of a pasted page little is asked."""

FEWEST = 20
"""Passages that there are at least, where it is about how rare a word is: in two or three, those
that are there would count as common. Chosen, not measured."""

MIN_COSINE, MORE_COSINE = 0.3, 0.06
"""The least cosine of the nearest of some passages: of one, and more for every ten times as many,
since the nearest of many is near by chance. Of all-MiniLM-L6-v2; other models have others. It lets
93 to 98 % of LoCoMo's questions through whose answer is among 3 to 600 passages, and 3 to 7 % of
those of another dialogue (760 questions, 2026-11-22)."""


def is_relevant(
    corpus: Corpus,
    question: str,
    vector: Any = None,
    *,
    among: np.ndarray | None = None,
    min_cosine: float = MIN_COSINE,
) -> bool:
    """Whether a passage has enough of a question: of its words, or by its vector.

    Args:
        corpus: the passages.
        question: what is asked.
        vector: its unit vector; None for words alone.
        among: which of them count, a mask: where what answers is shown already, the others need
            not be; all where None.
        min_cosine: at which a single passage counts as relevant; more are asked for more.
    """
    import numpy as np

    with corpus.lock:
        counting = corpus.telling.values if among is None else among & corpus.telling.values
        if not counting.any() or is_small_talk(question):
            return False
        dense = vector is not None and corpus.vectors is not None
        share, mass = matched(corpus, question, counting)
        if share >= (SHARE_WITH_VECTORS if dense else SHARE) and mass >= MASS:
            return True
        if not dense:
            return False
        near, known = dense_scores(corpus, np.asarray(vector, np.float32))
        near = near[known & counting]
        least = min_cosine + MORE_COSINE * log10(max(1, len(near)))
        return bool(len(near)) and round(float(near.max()), 6) >= least


def matched(corpus: Corpus, question: str, among: np.ndarray | None = None) -> tuple[float, float]:
    """What the best of some passages has of a question's terms.

    Returns:
        Their share by inverse document frequency, 0 to 1; their weight, in terms said once.
    """
    import numpy as np

    # Asked often, a word is not common for that.
    asked_before = echoes(corpus, question)
    others = len(corpus.postings) - len(asked_before)
    found = np.zeros(len(corpus))
    weights = {}
    for term in corpus.term_weights(question):
        numbers = corpus.postings.numbers(term)
        holding = len(numbers) - int(np.isin(numbers, asked_before, assume_unique=True).sum())
        weights[term] = _idf(others, holding)
        found[numbers] += weights[term]
    best = float((found if among is None else found[among]).max(initial=0.0))
    once = _idf(others, 1)
    asked = min(sum(weights.values()), WIDEST * once)
    return best / max(asked, 1e-9), best / max(once, 1e-9)


def _idf(passages: int, holding: int) -> float:
    """Inverse document frequency, as `Postings.idf` has it, in a corpus of some size."""
    return log(1 + (max(FEWEST, passages) - holding + 0.5) / (holding + 0.5))
