"""Lexical scores: which passages hold a term, and with what weight (BM25), kept incrementally."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain, islice
from math import log
from typing import TYPE_CHECKING

from contextkit.retrieval.columns import Column

if TYPE_CHECKING:
    import numpy as np

SATURATION, LENGTH = 1.6, 0.6
"""BM25's k1 and b. Searched on LoCoMo and BEAM-100K, other halves kept for checking (2026-11-22);
no other choice moved the evidence found by more than 0.2 points."""


@dataclass(slots=True)
class _Posting:
    """The passages that hold a term, ascending, and how often."""

    numbers: array[int] = field(default_factory=lambda: array("i"))
    counts: array[int] = field(default_factory=lambda: array("i"))


class Postings:
    """An inverted index: adding a passage costs what that passage costs.

    Args:
        saturation: BM25's k1.
        length: BM25's b.

    Attributes:
        entries: how many terms all passages hold, each counted in each passage.
    """

    def __init__(self, saturation: float = SATURATION, length: float = LENGTH) -> None:
        self._saturation, self._length = saturation, length
        self._postings: dict[str, _Posting] = {}
        self._held: list[tuple[str, ...]] = []
        self._lengths = Column("int32")
        self._total = 0
        self.entries = 0
        self._counting: np.ndarray | None = None
        self._count = 0

    def __len__(self) -> int:
        return len(self._held) if self._counting is None else self._count

    def __contains__(self, term: object) -> bool:
        return isinstance(term, str) and self.first(term) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._postings)

    @property
    def terms(self) -> int:
        """How many terms there are."""
        return len(self._postings)

    def append(self, terms: Iterable[str], also: Iterable[str] = ()) -> set[str]:
        """Add a passage by its terms; those that no passage held before.

        Args:
            terms: of its text.
            also: terms by which it is found too, but which make it no longer, such as its date's.
        """
        counts = Counter(terms)
        length = counts.total()
        counts.update(also)
        number, postings = len(self._held), self._postings
        new = set()
        for term, count in counts.items():
            posting = postings.get(term)
            if posting is None:
                posting = postings[term] = _Posting()
                new.add(term)
            posting.numbers.append(number)
            posting.counts.append(count)
        self._held.append(tuple(counts))
        self.entries += len(counts)
        self._lengths.append(length)
        self._total += length
        return new

    def truncate(self, count: int) -> list[str]:
        """Keep the first passages; the terms that none of them holds."""
        gone = []
        while len(self._held) > count:
            held = self._held.pop()
            self.entries -= len(held)
            for term in held:
                posting = self._postings[term]
                posting.numbers.pop()
                posting.counts.pop()
                if not posting.numbers:
                    del self._postings[term]
                    gone.append(term)
        self._total -= int(self._lengths.values[count:].sum())
        self._lengths.truncate(count)
        return gone

    def among(self, counting: np.ndarray) -> Postings:
        """The postings of some passages, as if there were no others; to be asked, not changed.

        Args:
            counting: which count: a mask. The others keep their numbers.
        """
        seen = copy(self)
        lengths = self._lengths.values[counting]
        seen._counting, seen._count = counting, len(lengths)  # noqa: SLF001 - its own kind
        seen._total = int(lengths.sum())  # noqa: SLF001 - its own kind
        return seen

    def only_in(self, numbers: Sequence[int]) -> list[str]:
        """The terms that no other passages hold than these."""
        held = Counter(chain.from_iterable(self._held[number] for number in numbers))
        return [term for term, count in held.items() if count == len(self._postings[term].numbers)]

    def frequency(self, term: str) -> int:
        """How many passages hold a term."""
        posting = self._postings.get(term)
        if posting is None or self._counting is None:
            return len(posting.numbers) if posting else 0
        return int(self._counting[_array(posting.numbers)].sum())

    def first(self, term: str) -> int | None:
        """The number of the first passage that holds a term; None where none does."""
        posting = self._postings.get(term)
        return next(filter(self._counts, posting.numbers), None) if posting else None

    def numbers(self, term: str) -> np.ndarray:
        """The passages that hold a term, ascending."""
        posting = self._postings.get(term)
        numbers = _array(posting.numbers if posting else array("i"))
        return numbers if self._counting is None else numbers[self._counting[numbers]]

    def last_held(self, term: str, count: int) -> list[tuple[str, ...]]:
        """The terms of the last few passages that hold a term."""
        posting = self._postings.get(term)
        if posting is None:
            return []
        last = [*islice(filter(self._counts, reversed(posting.numbers)), count)]
        return [self._held[number] for number in reversed(last)]

    def idf(self, term: str) -> float:
        """Inverse document frequency: ln(1 + (n - df + 1/2) / (df + 1/2)), as in Lucene's BM25."""
        holding = self.frequency(term)
        return log(1 + (len(self) - holding + 0.5) / (holding + 0.5))

    def weights(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        """The passages that hold a term, ascending, and its BM25 weight in each."""
        import numpy as np

        posting = self._postings.get(term)
        if posting is None:
            return np.empty(0, np.int32), np.empty(0)
        numbers = _array(posting.numbers)
        counts = np.array(posting.counts, np.float64)
        if self._counting is not None:
            counting = self._counting[numbers]
            numbers, counts = numbers[counting], counts[counting]
        lengths = self._lengths.values[numbers] * (len(self) / max(1, self._total))
        norm = self._saturation * (1 - self._length + self._length * lengths)
        return numbers, self.idf(term) * counts * (self._saturation + 1) / (counts + norm)

    def _counts(self, number: int) -> bool:
        return self._counting is None or bool(self._counting[number])


def _array(numbers: array[int]) -> np.ndarray:
    import numpy as np

    return np.array(numbers, np.int32)  # a copy: an array whose buffer is in use cannot grow
