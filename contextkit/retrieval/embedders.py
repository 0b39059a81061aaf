"""Embedders: what gives the vectors of texts; `Embed` of the index is all that they must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from contextkit.errors import InputError


def readable(texts: Any) -> list[str]:
    """Texts as an embedder can read them: a lone surrogate, which has no bytes, becomes a "?".

    Raises:
        InputError: not a list of texts; a single text would be taken for its characters.
    """
    if isinstance(texts, str | bytes) or not isinstance(texts, Sequence):
        raise InputError(f"is a list of texts, not {type(texts).__name__}", place="texts")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"is a text, not {type(text).__name__}", place=f"texts[{number}]")
    return [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
