"""`contextkit replay`: transcripts, and what they would cost and keep under each policy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.analysis.problems import Problem
from contextkit.analysis.replay import GAP, replay
from contextkit.analysis.replaying.settings import DEFAULT_POLICIES, combined
from contextkit.analysis.transcripts import Transcript, read_transcripts
from contextkit.cli import outputs
from contextkit.cli.progress import progress
from contextkit.errors import InputError
from contextkit.profiles import load_profiles


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for on the command line; None and empty for what was not."""

    transcripts: Sequence[Path]
    compactions: Sequence[str] = ()
    schedules: Sequence[str] = ()
    models: Sequence[str] = ()
    profiles: Path | None = None
    limit: int | None = None
    target: int | None = None
    gap: float | None = None
    join: int = 1
    tools: Path | None = None
    as_json: bool = False
    csv: Path | None = None
    png: Path | None = None
    html: Path | None = None

    @property
    def policies(self) -> Sequence[str]:
        """The names of the policies."""
        if self.compactions:
            return combined(self.compactions, self.schedules)
        if self.schedules:
            return combined(["drop", "clear+drop", "window", "all"], self.schedules)
        return DEFAULT_POLICIES


def run(settings: Settings) -> int:
    """Replay the transcripts, show the result, and give the exit code.

    Raises:
        ContextKitError: an option that cannot be; nothing that could be replayed.
    """
    outputs.check(csv=settings.csv, png=settings.png, html=settings.html)
    tools = None if settings.tools is None else tools_of(settings.tools)
    known = None if settings.profiles is None else load_profiles(settings.profiles)
    with progress("replaying") as told:
        result = replay(
            Files(settings.transcripts, tools),
            policies=settings.policies,
            profiles=settings.models or ("qwen-plus",),
            limit=settings.limit,
            target=settings.target,
            gap=GAP if settings.gap is None else settings.gap,
            join=settings.join,
            known=known,
            progress=told,
        )
    return outputs.show(
        result,
        as_json=settings.as_json,
        csv=settings.csv,
        png=settings.png,
        html=settings.html,
    )


@dataclass(frozen=True, slots=True)
class Files:
    """The transcripts of files, read one at a time: not all requests of a log need be held."""

    paths: Sequence[Path]
    tools: Any

    def __iter__(self) -> Iterator[Transcript | Problem]:
        return read_transcripts(self.paths, tools=self.tools)


def tools_of(path: Path) -> Any:
    """The tools of a file: a list, or what has one under `tools`."""
    try:
        given = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise InputError("is not JSON", place=str(path)) from error
    return given["tools"] if isinstance(given, dict) and "tools" in given else given
