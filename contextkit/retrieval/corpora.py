"""Corpora: the corpus of each conversation or source, kept in this process and brought up to date.

It is made from the log, and from it alone: another process makes the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from functools import partial
from threading import Lock, RLock
from typing import TYPE_CHECKING, Any

from contextkit.retrieval.bounded import Bounded
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Key, Passage
from contextkit.retrieval.sources import Change, check_scopes
from contextkit.scope import ScopeKey

if TYPE_CHECKING:
    import numpy as np

MOST = 200_000
"""Passages in all corpora together; those that were asked least recently go first. A passage takes
some 2 KB, with vectors of 384 dimensions twice that (`python -m benchmarks.retrieval_latency`)."""

_EMPTY, _MESSAGES = 2, 10
"""A corpus without passages takes what two of them take, and ten messages that were seen what one
does: 3.6 KB and 180 bytes (tracemalloc, 2026-11-22)."""

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
        weigh: is told its size whenever that changed, in passages.
    """

    corpus: Corpus
    lock: Any = field(default_factory=RLock)
    changing: Any = field(default_factory=Lock)
    seen: list[tuple[Hashable, int]] = field(default_factory=list)
    mark: Any = None
    weigh: Callable[[Kept, int], None] | None = None
    _places: dict[Key, int] = field(default_factory=dict)

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
        """Say what it takes now, in passages."""
        if self.weigh is not None:
            self.weigh(self, _EMPTY + len(self.corpus) + len(self.seen) // _MESSAGES)

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
        self.corpus.append(passage)

    def _truncate(self, count: int) -> None:
        for passage in self.corpus.passages[count:]:
            self._places.pop(passage.key, None)
        self.corpus.truncate(count)


class Corpora:
    """Corpora by whose they are. Threads may share it.

    Args:
        language: of the texts, as for `Corpus`.
        most: passages in all of them together; what else they hold is counted as such.
    """

    def __init__(self, language: str | None = None, most: int = MOST) -> None:
        self.language = language
        # The one that is asked stays, however large: it would be made anew for each question.
        self._kept = Bounded(self._made, most, least=1)

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
