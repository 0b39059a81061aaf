"""Corpora: the corpus of each conversation or source, kept in this process and brought up to date.

It is made from the log, and from it alone: another process makes the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from sys import getsizeof
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

from contextkit.retrieval.bounded import Bounded
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Key, Passage
from contextkit.retrieval.sources import Change, check_scopes
from contextkit.scope import ScopeKey

if TYPE_CHECKING:
    import numpy as np

MAX_BYTES = 400_000_000
"""What all corpora together take; those that were asked least recently go first. Of a chat these
are some 180,000 passages of twelve words, fewer with vectors, which count as they are held."""

_PASSAGE, _POSTING, _TERM = 600, 40, 900
"""Bytes of a passage besides its text, of each term that it holds, and of each term that is new:
no less than what tracemalloc says of words in Latin and Cyrillic letters, and up to twice that of
numbers and Chinese (2026-11-22: twelve words of a chat 2.0 KB, 15,000 words of which each is new
12 MB)."""

_EMPTY, _MESSAGE = 4_800, 180
"""Bytes of a corpus without passages, and of a message that was seen (tracemalloc, 2026-11-22)."""

BRANCHES = 4
"""Corpora of one conversation at most, where answers are regenerated and branches asked in turn."""

_AGAIN = 50
"""Messages that are rather taken away than that a corpus is begun for another branch. Chosen."""

HashOf = Callable[[int], Hashable]
"""Of a message of a conversation: equal where it and all before it are the same."""


@dataclass(slots=True)
class Kept:
    """A corpus, and how far it has come.

    Attributes:
        corpus: the passages.
        lock: held while it is brought up to date and asked.
        changing: held besides by those who prepare what a source has now, one after the other.
        seen: of a conversation, by message: its hash, and the passages up to it.
        mark: of a source, what was read of it.
        weigh: is told its size whenever that changed, in bytes.
    """

    corpus: Corpus
    lock: Any = field(default_factory=RLock)
    changing: Any = field(default_factory=Lock)
    seen: list[tuple[Hashable, int]] = field(default_factory=list)
    mark: Any = None
    weigh: Callable[[Kept, int], None] | None = None
    _places: dict[Key, int] = field(default_factory=dict)
    _texts: int = 0

    def advance(self, hash_of: HashOf, end: int, passage: Callable[[int], Passage | None]) -> None:
        """Hold the messages before `end`, and no other; costs what is new, or what has gone.

        Args:
            hash_of: of a message of the conversation: equal where all up to it are the same.
            end: how many messages.
            passage: that of a message; None where it is none.
        """
        known = self.common(hash_of, end)
        del self.seen[known:]
        self._truncate(self.seen[-1][1] if self.seen else 0)
        for number in range(known, end):
            found = passage(number)
            if found is not None:
                self._append(found)
            self.seen.append((hash_of(number), len(self.corpus)))
        self.weighed()

    def common(self, hash_of: HashOf, end: int) -> int:
        """How many messages a conversation has in common with what is held, from the first on."""
        least, most = 0, min(len(self.seen), end)
        middle = most  # mostly all of them
        while least < most:
            # Another thread may be taking some away.
            same = self.seen[middle - 1 : middle]
            if same and same[0][0] == hash_of(middle - 1):
                least = middle
            else:
                most = middle - 1
            middle = (least + most + 1) // 2
        return least

    def change(self, before: Any, change: Change, passage: Callable[[Passage], Passage]) -> bool:
        """Hold what a source has now, unless another build has read it meanwhile; whether it was.

        What takes its time is done before the lock is taken: nobody who asks waits for it.

        Args:
            before: the mark of what was held when it was read.
            change: what was read.
            passage: makes what is held of what was read.
        """
        with self.changing:
            if self.mark is not before:
                return False
            made = [passage(added) for added in change.added]
            with self.lock:
                self._truncate(change.kept)
                for added in made:
                    self._append(added)
                self.mark = change.mark
                self.weighed()
        return True

    def weighed(self) -> None:
        """Say what it takes now."""
        if self.weigh is not None:
            self.weigh(self, self.size)

    @property
    def size(self) -> int:
        """What it takes, in bytes; to know that costs the same whatever it holds."""
        postings, vectors = self.corpus.postings, self.corpus.vectors
        size = _EMPTY + _MESSAGE * len(self.seen) + self._texts
        size += _PASSAGE * len(postings) + _POSTING * postings.entries + _TERM * postings.terms
        if vectors is not None:
            size += vectors.nbytes + len(self.corpus.words) * vectors.itemsize * vectors.shape[1]
        return size

    def open(self, shown: Iterable[Key], scope: ScopeKey | None) -> np.ndarray:
        """Which passages may be shown: not those that are, nor those of a scope.

        Args:
            shown: already.
            scope: of the conversation that asks, which has its own messages.

        Returns:
            A mask, shape (len(corpus),).

        Raises:
            ScopeError: some are of another tenant or user than the one that asks.
        """
        import numpy as np

        if scope is not None:
            check_scopes((held for held in self.corpus.scopes if held), scope)
        mask = self.corpus.not_of(scope)
        if mask is None:
            mask = np.ones(len(self.corpus), bool)
        mask[[place for key in shown if (place := self._places.get(key)) is not None]] = False
        return mask

    def _append(self, passage: Passage) -> None:
        self._places[passage.key] = len(self.corpus)
        self._texts += getsizeof(passage.text)
        self.corpus.append(passage)

    def _truncate(self, count: int) -> None:
        for passage in self.corpus.passages[count:]:
            self._places.pop(passage.key, None)
            self._texts -= getsizeof(passage.text)
        self.corpus.truncate(count)


class Corpora:
    """Corpora by whose they are. Threads may share it.

    Args:
        language: of the texts, as for `Corpus`.
        max_bytes: what all of them together take.
    """

    def __init__(self, language: str | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.language = language
        # The one that is asked stays, however large: it would be made anew for each question.
        self._kept = Bounded(self._made, max_bytes, size=_EMPTY, least=1)

    def of(self, key: Hashable) -> Kept:
        """The corpus of a key, empty where there is none yet."""
        kept = self._kept.of(key)
        kept.weighed()
        return kept

    def of_branch(self, key: Hashable, hash_of: HashOf, end: int) -> Kept:
        """The corpus of a conversation that has most in common with these messages of it.

        Another one is begun where too much would be taken away from that, up to `BRANCHES`.

        Args:
            key: of the conversation.
            hash_of, end: as `Kept.advance` takes them.
        """
        begun = {
            number: (kept.common(hash_of, end), -len(kept.seen))
            for number in range(BRANCHES)
            if (kept := self._kept.get((key, number))) is not None
        }
        free = [number for number in range(BRANCHES) if number not in begun]
        best = max(begun, key=lambda number: begun[number], default=None)
        if best is None or (free and -sum(begun[best]) > _AGAIN):
            best = free[0]
        return self.of((key, best))

    def _made(self, key: Hashable) -> Kept:
        return Kept(Corpus(self.language), weigh=partial(self._kept.weigh, key))
