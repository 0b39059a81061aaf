"""What an embedder can read of texts: real characters, and no more than a model takes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from contextkit.errors import InputError, MissingExtra
from contextkit.estimate import EstimateCounter
from contextkit.exact import TiktokenCounter
from contextkit.tokens import TokenCounter

# No text of usual words or signs has so many characters to a token; only these are looked at.
_CHARACTERS_PER_TOKEN = 16
_ENDS = (" ", "\n", "\t", ".", ",", ";", "!", "?", "\u3001", "\u3002", "\uff0c", "\uff01", "\uff1f")


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


def beginning(text: str, tokens: int, vocabulary: str) -> str:
    """As much of a text as has at most so many tokens; the text itself where all of it has.

    Where the vocabulary is not on this machine tokens are estimated, and kept below the bound by
    the error of the estimate. The cut is behind white space or a punctuation mark, if there is one
    in the last tenth.
    """
    # A token is a byte at least, and a character four bytes at most.
    if 4 * len(text) <= tokens or len(text.encode("utf-8", "replace")) <= tokens:
        return text
    counter = _counter(vocabulary)
    most = int(tokens / (1 + counter.error))
    low, high = 0, min(len(text), _CHARACTERS_PER_TOKEN * tokens)
    if counter.count(text[:high]) <= most:
        low = high
    while low < high - 1:  # text[:low] is within the bound, text[:high] is not
        middle = (low + high) // 2
        low, high = (middle, high) if counter.count(text[:middle]) <= most else (low, middle)
    if low == len(text):
        return text
    ends = (text.rfind(mark, low - low // 10, low) + 1 for mark in _ENDS)
    return text[: max(ends) or low]


@lru_cache(maxsize=8)
def _counter(vocabulary: str) -> TokenCounter:
    if vocabulary == "unknown":
        return EstimateCounter()
    try:
        return TiktokenCounter(vocabulary)
    except MissingExtra:
        return EstimateCounter(vocabulary)
