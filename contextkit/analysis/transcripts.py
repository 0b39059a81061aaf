"""Transcripts: conversations that were held, as an OpenAI-form list of messages each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation.

    Attributes:
        source: where it comes from: `file.jsonl:12`, or a name that was given.
        messages: in OpenAI chat form, the system message first where there is one. Shared: read
            only.
        tools: that it was held with, in OpenAI form.
        times: when each message was sent, in seconds of any clock; empty where that is not known.
    """

    source: str
    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] = field(default_factory=list)
    times: tuple[float, ...] = ()


TranscriptLike = Transcript | Mapping[str, Any] | list[dict[str, Any]]
"""What is taken for one in Python: messages, or a dict with `messages` and perhaps `tools`."""


def read_transcripts(
    paths: Iterable[str | Path], *, tools: list[dict[str, Any]] | None = None
) -> Iterator[Transcript | Problem]:
    """The conversations of files and folders, and what could not be read or carried over."""
    raise NotImplementedError


def as_transcript(given: TranscriptLike, number: int = 0) -> Transcript:
    """What was given in Python, as a transcript."""
    raise NotImplementedError
