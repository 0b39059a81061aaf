"""Plain retrieval, to measure ours beside: last turns, BM25, Chroma, and the fusion of the two.

Each gives the passages of a dialogue in the order in which it would take them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.labelled import Dialogue
from contextkit.retrieval.lexical import Postings

Order = Callable[[str], list[int]]
"""A question -> numbers of passages, best first."""

FUSION = 60
"""The constant of reciprocal rank fusion, as everybody takes it."""


def last(dialogue: Dialogue) -> Order:
    """The newest turns, whatever is asked."""
    newest = list(reversed(range(len(dialogue.passages))))
    return lambda _question: newest


def bm25(dialogue: Dialogue) -> Order:
    """BM25 of the words in lower case: no stems, no stop words; k1 = 1.2, b = 0.75."""
    postings = Postings(1.2, 0.75)
    for passage in dialogue.passages:
        postings.append(_words(passage.text))

    def order(question: str) -> list[int]:
        scores = np.zeros(len(postings))
        for word in dict.fromkeys(_words(question)):
            numbers, weights = postings.weights(word)
            scores[numbers] += weights
        return _best_first(scores)

    return order


def chroma(dialogue: Dialogue, embed: Callable[[list[str]], Any]) -> Order:
    """A Chroma collection of the plain texts, by cosine."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.EphemeralClient(Settings(anonymized_telemetry=False))
    name = f"dialogue-{dialogue.name}"
    if name in {one.name for one in client.list_collections()}:
        client.delete_collection(name)
    collection = client.create_collection(name, configuration={"hnsw": {"space": "cosine"}})
    texts = [passage.text for passage in dialogue.passages]
    vectors = embed(texts)
    for begin in range(0, len(texts), 1_000):
        part = slice(begin, begin + 1_000)
        collection.add(
            ids=[str(number) for number in range(len(texts))[part]], embeddings=vectors[part]
        )

    def order(question: str) -> list[int]:
        hits = collection.query(
            query_embeddings=embed([question]), n_results=len(texts), include=["distances"]
        )
        return [int(number) for number in hits["ids"][0]]

    return order


def fusion(*orders: Order) -> Order:
    """Reciprocal rank fusion of several."""

    def order(question: str) -> list[int]:
        ranked = [one(question) for one in orders]
        scores = np.zeros(max(map(len, ranked)))
        for numbers in ranked:
            scores[numbers] += 1 / (FUSION + 1 + np.arange(len(numbers)))
        return _best_first(scores)

    return order


def _best_first(scores: np.ndarray) -> list[int]:
    return [int(number) for number in np.argsort(-np.round(scores, 6), kind="stable")]


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
