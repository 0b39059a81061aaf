"""What is known of embedding models: how much they take in one call, and what they give."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What a model takes, and what it gives unless told otherwise.

    Attributes:
        texts: most texts in one call.
        tokens: most tokens of one text.
        vocabulary: that counts them; `unknown` for an estimate.
        dimension: of its vectors; None where that is not known.
    """

    texts: int
    tokens: int
    vocabulary: str
    dimension: int | None


# Qwen: docs.qwencloud.com/api-reference/text-embedding/openai-embedding and, for qwen3.7,
# alibabacloud.com/help/…/text-embedding-synchronous-api (of 2026-10-12); which vocabulary qwen3.7
# has is not said. OpenAI: the API reference of `embeddings.create`, as in openai 3.54: 2,048 texts,
# 8,192 tokens; several pages on its models say 8,191. All as read 2026-11-22.
_QWEN = EmbeddingModel(texts=10, tokens=8_192, vocabulary="qwen", dimension=1_024)
_SMALL = EmbeddingModel(texts=2_048, tokens=8_191, vocabulary="cl100k_base", dimension=1_536)
_MODELS = {
    "text-embedding-v4": _QWEN,
    "text-embedding-v3": _QWEN,
    "qwen3.7-text-embedding": EmbeddingModel(20, 128_000, "unknown", 1_024),
    "text-embedding-3-small": _SMALL,
    "text-embedding-3-large": EmbeddingModel(2_048, 8_191, "cl100k_base", 3_072),
    "text-embedding-ada-002": _SMALL,
}
_UNKNOWN = EmbeddingModel(texts=10, tokens=8_191, vocabulary="unknown", dimension=None)


def embedding_model(name: str) -> EmbeddingModel:
    """What is known of the model of a name; behind a router its maker's stands in front of it."""
    return _MODELS.get(name.rsplit("/", 1)[-1].lower(), _UNKNOWN)
