"""TiktokenCounter: tokens counted exactly, by a vocabulary, for texts of any length."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal

from contextkit.errors import CounterError
from contextkit.vocabularies import load_vocabulary

# Long texts are cut: tiktoken panics on a million spaces, and takes time that grows faster than the
# length for one letter repeated. A cut at a seam (between a letter or digit and a mark that starts
# a new piece in every pattern in use) changes no count. Where no seam is within reach the text is
# torn, and a token is added: tearing mostly splits a token, but it may also join what the greedy
# merges keep apart.
_CHUNK = 8_192
_REACH = 512
_MARKS = (
    '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'
    "\u3001\u3002\u300c\u300d\u300e\u300f\uff01\uff08\uff09\uff0c\uff0e\uff1a\uff1b\uff1f"
)
_SEAM = re.compile(rf"(?<=[^\W_])(?=[ \n{re.escape(_MARKS)}])")

# Sorting a run of combining marks takes a time that grows with its square.
_NORMAL_SLICE = 512


class TiktokenCounter:
    """Counts exactly, with one of the vocabularies of `contextkit.vocabularies`.

    With `special_tokens="control"`, strings such as `<|im_end|>` in a text count as the control
    tokens that they become; with `"text"` they are text like any other.

    Raises MissingExtra where the vocabulary is not on this machine.
    """

    error = 0.0

    def __init__(
        self, vocabulary: str, *, special_tokens: Literal["text", "control"] = "text"
    ) -> None:
        loaded = load_vocabulary(vocabulary)
        self.name = f"{vocabulary} ({special_tokens})" if special_tokens != "text" else vocabulary
        self._encode = loaded.encoding.encode_ordinary
        self._control = loaded.control
        self._control_pattern = re.compile(f"({'|'.join(map(re.escape, loaded.control))})")
        self._obeys = special_tokens == "control"
        self._normal_form = loaded.normal_form
        self._size = loaded.size

    def count(self, text: str) -> int:
        """The tokens of a text. Raises CounterError for a lone surrogate."""
        if len(text) > _CHUNK or not text.isascii() or (self._obeys and "<" in text):
            pieces = self._pieces(text, obey=self._obeys)
            return sum(len(ids) + torn for ids, torn in pieces)
        ids = self._encode(text)
        return len(ids) if self._size is None else len(self._seen(ids))

    def encode(self, text: str) -> list[int]:
        """The token ids of a rendered prompt; its control tokens are always taken as such."""
        return [number for ids, _ in self._pieces(text, obey=True) for number in ids]

    def special_tokens_in(self, text: str) -> tuple[str, ...]:
        """The strings in a text that act as control tokens; none where they are plain text."""
        if not self._obeys or "<" not in text:
            return ()
        return tuple(self._control_pattern.findall(text))

    def _pieces(self, text: str, *, obey: bool) -> Iterator[tuple[list[int], bool]]:
        """Ids, piece by piece, and whether a piece was torn off what follows it."""
        ascii_only = text.isascii()
        if not ascii_only:
            _check(text)
        parts = self._control_pattern.split(text) if obey and "<" in text else [text]
        for number, part in enumerate(parts):
            if number % 2:
                yield [self._control[part]], False
                continue
            for chunk, torn in split_long(part):
                normal = chunk if ascii_only or not self._normal_form else _normal_form(chunk)
                yield self._seen(self._encode(normal)), torn

    def _seen(self, ids: list[int]) -> list[int]:
        """Without the ids that stand for bytes the vocabulary lacks."""
        if self._size is None or max(ids, default=0) < self._size:
            return ids
        return [number for number in ids if number < self._size]


def split_long(text: str) -> Iterator[tuple[str, bool]]:
    """A text in chunks of at most some 8,700 characters, each with whether it was torn off."""
    start, end = 0, len(text)
    while end - start > _CHUNK:
        cut = start + _CHUNK
        seam = _SEAM.search(text, cut, min(cut + _REACH, end))
        if seam:
            cut = seam.start()
        yield text[start:cut], seam is None
        start = cut
    if start < end:
        yield text[start:], False


def _check(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise CounterError(
            f"character {error.start} is a lone surrogate, which is in no text that can be sent"
        ) from None


def _normal_form(text: str) -> str:
    if len(text) <= _NORMAL_SLICE:
        return unicodedata.normalize("NFC", text)
    starts = range(0, len(text), _NORMAL_SLICE)
    slices = (text[start : start + _NORMAL_SLICE] for start in starts)
    return "".join(unicodedata.normalize("NFC", part) for part in slices)
