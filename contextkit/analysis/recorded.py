"""Recorded: requests as an application logged them, with the usage that was reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request of a log.

    Attributes:
        source: where it stands: `log.jsonl:12`.
        request: parameters of `chat.completions.create`: `model`, `messages`, `tools`, … .
        usage: what the provider reported; None where nothing was logged.
        at: when it was sent, in seconds since the epoch; None where that was not logged.
        took: seconds until its response had come; None where that was not logged.
        conversation: the id that the log gives it; None where there is none.
        reply: the assistant message that came back; None where that was not logged.
    """

    source: str
    request: Mapping[str, Any]
    usage: Usage | None = None
    at: float | None = None
    took: float | None = None
    conversation: str | None = None
    reply: Mapping[str, Any] | None = None


def read_recorded(paths: Iterable[str | Path]) -> Iterator[Recorded | Problem]:
    """The requests of logs, one at a time, and what could not be read or carried over."""
    raise NotImplementedError


def as_recorded(given: Recorded | Mapping[str, Any], number: int = 0) -> Recorded:
    """A record of a log as it was given in Python."""
    raise NotImplementedError
