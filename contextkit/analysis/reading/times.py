"""Times and durations as logs write them: numbers of some unit, or ISO 8601."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import Any

_EARLIEST, _LATEST = 5e8, 1e11
"""Seconds since the epoch that are taken for a time: from 1985; above, units are smaller."""

_NUMBER_LENGTH = 40


def seconds_of(value: Any) -> float | None:
    """A moment in seconds since the epoch; None for what is none.

    Numbers are seconds, milliseconds, microseconds or nanoseconds, told by their size: they lie
    between 1985 and 5138 in exactly one of these. Text is such a number, or ISO 8601; without a
    zone it is taken for UTC.
    """
    if isinstance(value, str):
        return _of_text(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and value.bit_length() > 80:
        return None
    if not isfinite(value):
        return None
    for unit in (1, 1e3, 1e6, 1e9):
        if _EARLIEST <= value / unit < _LATEST:
            return value / unit
    return None


def _of_text(text: str) -> float | None:
    if len(text) > _NUMBER_LENGTH:
        return None
    try:
        return seconds_of(float(text))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
