"""What tests of ranking and relevance share: small corpora, vectors that hang on a text."""

from __future__ import annotations

from typing import Any

import numpy as np

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage, address_of
from contextkit.retrieval.ranking import rank

DIMENSION = 16


def corpus_of(*texts: str, **more: Any) -> Corpus:
    corpus = Corpus()
    for text in texts:
        corpus.append(Passage(text, tokens=len(text) // 4 + 1, **more))
    return corpus


def best(corpus: Corpus, question: str, **more: Any) -> int:
    return int(np.argmax(rank(corpus, question, **more)))


def vector_of(text: str) -> np.ndarray:
    """A vector that hangs on the text alone."""
    drawn = np.random.default_rng(int(address_of(text)[:8], 16)).normal(size=DIMENSION)
    return (drawn / np.linalg.norm(drawn)).astype(np.float32)


def with_vectors(corpus: Corpus) -> Corpus:
    corpus.hold({address: vector_of(text) for address, text in corpus.wanted().items()})
    corpus.hold({address: vector_of(word) for address, word in corpus.wanted_words().items()})
    return corpus


def unit(*numbers: float) -> np.ndarray:
    vector = np.zeros(DIMENSION, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)
