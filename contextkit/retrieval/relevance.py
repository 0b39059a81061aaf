"""Relevance: whether anything in a corpus answers a question at all; else nothing is inserted.

Measured on LoCoMo (5 dialogues, 760 questions with labelled evidence, 2026-11-22), with MiniLM's
vectors | by words alone: 99.5 % | 96.7 % of the questions are let through; of the questions of
another dialogue 11 % | 31 %, of small talk next to none. Of another dialogue's questions asked
under the names of those who speak here, 82 % | 59 %: that something was never said, nobody knows
from words and cosines.
"""

from __future__ import annotations

from math import log
from typing import Any

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.questions import is_small_talk
from contextkit.retrieval.ranking import dense_scores

SHARE, SHARE_WITH_VECTORS = 0.25, 0.35
"""The least share of the question's terms, by their inverse document frequency, in one passage."""

MASS = 0.5
"""The least that the terms found weigh, in terms that were said once only."""

WIDEST = 8
"""The most that a question weighs, in terms said once: of a pasted page little is asked."""

FEWEST = 20
"""Passages that there are at least, where it is about how rare a word is: in two or three, those
that are there would count as common. Chosen, not measured."""

MIN_COSINE = 0.5
"""The least cosine of the nearest passage. Of all-MiniLM-L6-v2; other models have another."""


def is_relevant(
    corpus: Corpus, question: str, vector: Any = None, *, min_cosine: float = MIN_COSINE
) -> bool:
    """Whether a passage has enough of a question: of its words, or by its vector.

    Args:
        corpus: the passages.
        question: what is asked.
        vector: its unit vector; None for words alone.
        min_cosine: at which the nearest passage counts as relevant.
    """
    import numpy as np

    with corpus.lock:
        if not len(corpus) or is_small_talk(question):
            return False
        dense = vector is not None and corpus.vectors is not None
        share, mass = matched(corpus, question)
        if share >= (SHARE_WITH_VECTORS if dense else SHARE) and mass >= MASS:
            return True
        if not dense:
            return False
        near, _ = dense_scores(corpus, np.asarray(vector, np.float32))
        return round(float(near.max()), 6) >= min_cosine


def matched(corpus: Corpus, question: str) -> tuple[float, float]:
    """What the best passage has of a question's terms.

    Returns:
        Their share by inverse document frequency, 0 to 1; their weight, in terms said once.
    """
    import numpy as np

    weights = {
        term: _idf(corpus, corpus.postings.frequency(term))
        for term in corpus.term_weights(question)
    }
    found = np.zeros(len(corpus))
    for term, weight in weights.items():
        found[corpus.postings.weights(term)[0]] += weight
    best = float(found.max(initial=0.0))
    once = _idf(corpus, 1)
    asked = min(sum(weights.values()), WIDEST * once)
    return best / max(asked, 1e-9), best / max(once, 1e-9)


def _idf(corpus: Corpus, holding: int) -> float:
    """Inverse document frequency, as `Postings.idf` has it, in a corpus of some size."""
    return log(1 + (max(FEWEST, len(corpus)) - holding + 0.5) / (holding + 0.5))
