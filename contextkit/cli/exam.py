"""`contextkit exam`: transcripts, and what the contexts of each policy keep of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contextkit.analysis.exam import exam
from contextkit.analysis.examining.wording import FEW, too_few
from contextkit.cli import BELOW, FAILED, outputs, say
from contextkit.cli.progress import progress
from contextkit.cli.replay import Files, tools_of
from contextkit.profiles import load_profiles


@dataclass(frozen=True, slots=True)
class Settings:
    """What was asked for on the command line; None and empty for what was not."""

    transcripts: Sequence[Path]
    compactions: Sequence[str] = ()
    share: float | None = None
    model: str | None = None
    profiles: Path | None = None
    limit: int | None = None
    target: int | None = None
    join: int = 1
    tools: Path | None = None
    min_kept: float | None = None
    min_any_kept: float | None = None
    min_precision: float | None = None
    as_json: bool = False
    csv: Path | None = None
    png: Path | None = None
    html: Path | None = None


def run(settings: Settings) -> int:
    """Examine the transcripts, show the result, and give the exit code.

    Raises:
        ContextKitError: an option that cannot be; nothing that could be examined.
    """
    outputs.check(csv=settings.csv, png=settings.png, html=settings.html)
    tools = None if settings.tools is None else tools_of(settings.tools)
    known = None if settings.profiles is None else load_profiles(settings.profiles)
    with progress("examining") as told:
        result = exam(
            Files(settings.transcripts, tools),
            policies=settings.compactions or None,
            profile=settings.model or "qwen-plus",
            limit=settings.limit,
            target=settings.target,
            share=settings.share,
            join=settings.join,
            known=known,
            progress=told,
        )
    code = outputs.show(
        result,
        as_json=settings.as_json,
        csv=settings.csv,
        png=settings.png,
        html=settings.html,
    )
    below = [
        line
        for row in result.rows
        if not row["beside"]  # of what stands beside nothing is asked
        for line in _below(row, settings)
    ]
    for line in below:
        say(line)
    return BELOW if below and code != FAILED else code


def _below(row: dict[str, Any], settings: Settings) -> Iterator[str]:
    """What of a policy is below what was asked for, in words."""
    kept, every = settings.min_kept, settings.min_any_kept
    for key, what, least in (
        ("needed", "facts kept", kept),
        ("stood", "any kept", every),
        ("precision", "precision", settings.min_precision),
    ):
        if least is not None and (found := _missing(row, key, what, least)):
            yield found
    if kept is not None and every is None and row["needed"] is not None and too_few(row):
        yield (
            f"{row['policy']}: facts kept: too few to tell: {row['needed_facts']:,} of "
            f"{row['hidden_facts']:,} hidden facts are needed ones (under {FEW:.0%}), and of all "
            f"{row['stood']:.1%} are kept; say with --min-any-kept how many must be"
        )


def _missing(row: dict[str, Any], key: str, what: str, least: float) -> str:
    value = row[key]
    if value is None:
        return f"{row['policy']}: {what}: nothing to measure, and {least:.1%} asked for"
    if value >= least:
        return ""
    return (
        f"{row['policy']}: {what} {_per_cent(value, least)}, which is "
        f"{_per_cent(least - value, 0)} below the {least:.1%} asked for"
    )


def _per_cent(value: float, other: float) -> str:
    """A share in per cent, with as many places as tell it from another one."""
    told = (1, 2, 3)
    places = next((n for n in told if f"{value:.{n}%}" != f"{other:.{n}%}"), 4)
    return f"{value:.{places}%}"
