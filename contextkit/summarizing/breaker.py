"""Breaker: after repeated failures nothing is asked for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

from contextkit.errors import SummarizerPaused


@dataclass(slots=True)
class Breaker:
    """Opens after some failures in a row, and closes again by itself.

    Attributes:
        failures: in a row, after which it opens.
        reset: seconds for which it then stays open; after them one call is let through, whose
            outcome decides.
        clock: gives seconds.
    """

    failures: int = 3
    reset: float = 60.0
    clock: Callable[[], float] = monotonic
    _failed: int = field(default=0, init=False, repr=False)
    _until: float = field(default=0.0, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def check(self) -> None:
        """That it is closed.

        Raises:
            SummarizerPaused: with the seconds until it closes.
        """
        with self._lock:
            if self._failed < self.failures:
                return
            now = self.clock()
            if now < self._until:
                raise SummarizerPaused(self._failed, self._until - now)
            self._until = now + self.reset  # this call alone is let through

    def succeeded(self) -> None:
        """Tell of a good outcome."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """Tell of a bad one."""
        with self._lock:
            self._failed += 1
            if self._failed >= self.failures:
                self._until = self.clock() + self.reset
