"""Bounded: what was read or made, by whose it is, up to a size; what was used last stays."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

Held = TypeVar("Held")


@dataclass(slots=True)
class _Weighed(Generic[Held]):
    held: Held
    size: int


class Bounded(Generic[Held]):
    """Things by key, made when they are asked for. Threads may share it.

    What was evicted may be in use still: whoever has it goes on with it, and nobody else gets it.

    Args:
        make: makes what belongs to a key.
        most: bound on the sizes of all together.
        size: of one that was just made.
        least: so many of those used last stay, whatever their size.
    """

    def __init__(
        self, make: Callable[[Hashable], Held], most: int, *, size: int = 1, least: int = 0
    ) -> None:
        self.most, self.least = most, least
        self.size = 0
        self._first = size
        self._make = make
        self._held: OrderedDict[Hashable, _Weighed[Held]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[Hashable]:
        """The keys, the one used last at the end."""
        with self._lock:
            return iter(list(self._held))

    def values(self) -> list[Held]:
        """All that is held, the one used last at the end."""
        with self._lock:
            return [weighed.held for weighed in self._held.values()]

    def get(self, key: Hashable) -> Held | None:
        """What a key has; None where there is none. That is no use of it."""
        with self._lock:
            weighed = self._held.get(key)
            return weighed.held if weighed else None

    def of(self, key: Hashable) -> Held:
        """What a key has, made where there is none yet."""
        with self._lock:
            weighed = self._held.get(key)
            if weighed is None:
                weighed = self._held[key] = _Weighed(self._make(key), self._first)
                self.size += self._first
            self._held.move_to_end(key)
            self._evict()
            return weighed.held

    def weigh(self, key: Hashable, held: Held, size: int) -> None:
        """Say how large something is now; costs what has to go for it."""
        with self._lock:
            weighed = self._held.get(key)
            if weighed is None or weighed.held is not held:
                return
            self.size += size - weighed.size
            weighed.size = size
            self._evict()

    def _evict(self) -> None:
        while self.size > self.most and len(self._held) > self.least:
            _, gone = self._held.popitem(last=False)
            self.size -= gone.size
