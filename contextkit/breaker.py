"""Breaker: after repeated failures nothing is asked for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from threading import Lock
from time import monotonic
from typing import Any

from contextkit.budget import whole_number
from contextkit.errors import BudgetError, CallsPaused


@dataclass(slots=True, eq=False)
class Breaker:
    """Opens after some failures in a row, and closes again by itself. Threads may share it.

    Whoever asks calls `check` before each call, and then `succeeded` or `failed`. A call whose
    outcome is never told (cancelled, or its thread died) counts as neither, and blocks nobody: the
    one that was let through to try makes the others wait for `reset` seconds at most.

    Attributes:
        failures: in a row, after which it opens.
        reset: seconds for which it then stays open, from the last failure on. After them one call
            is let through: its success closes, its failure opens again.
        clock: gives seconds; only their differences count.

    Raises:
        BudgetError: for figures that cannot be.

    Example:
        >>> from contextkit.breaker import Breaker
        >>> breaker = Breaker(failures=2, reset=30)
        >>> for _ in range(2):
        ...     breaker.check()
        ...     breaker.failed()
        >>> breaker.check()
        Traceback (most recent call last):
        ...
        contextkit.errors.CallsPaused: failed 2 times in a row: it is asked again in 30 s
    """

    failures: int = 3
    reset: float = 60.0
    clock: Callable[[], float] = field(default=monotonic, repr=False)
    _failed: int = field(default=0, init=False, repr=False)
    _until: float = field(default=0.0, init=False, repr=False)
    _lock: Lock = field(default_factory=Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        whole_number("Breaker.failures", self.failures, least=1)
        check_seconds("Breaker.reset", self.reset)

    @property
    def seconds(self) -> float:
        """Until a call is let through; 0 where that is now."""
        with self._lock:
            return self._seconds(self.clock())

    def check(self) -> None:
        """Ask whether a call may be made; where it was open, this call alone is the trial.

        Raises:
            CallsPaused: with the seconds until one may.
        """
        with self._lock:
            if self._failed < self.failures:
                return
            now = self.clock()
            if seconds := self._seconds(now):
                raise CallsPaused(self._failed, seconds)
            self._until = now + self.reset

    def succeeded(self) -> None:
        """Tell of a good outcome."""
        with self._lock:
            self._failed = 0

    def failed(self) -> None:
        """Tell of a bad one: the call raised, or what it gave could not be used."""
        with self._lock:
            self._failed += 1
            if self._failed >= self.failures:
                self._until = self.clock() + self.reset

    def _seconds(self, now: float) -> float:
        if self._failed < self.failures:
            return 0.0
        # A clock that was set back must not keep it open for longer than it was to be.
        self._until = min(self._until, now + self.reset)
        return max(0.0, self._until - now)


def check_seconds(place: str, value: Any) -> None:
    """That a setting is a positive number of seconds.

    Raises:
        BudgetError: with its name and what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BudgetError(f"{place} is a number of seconds, not {value!r:.60}")
    if not isfinite(value) or value <= 0:
        raise BudgetError(f"{place} is {value}: it must be a positive number of seconds")
