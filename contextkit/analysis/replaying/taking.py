"""Taking: the transcripts of whatever was handed in, and why one was left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from contextkit.analysis.policies import NoRequest
from contextkit.analysis.problems import Problem
from contextkit.analysis.replaying.growing import WAITING, Taken, longest
from contextkit.analysis.transcripts import Transcript, as_transcript, read_transcripts
from contextkit.errors import BudgetError, BudgetExceeded, GrammarError, InputError, MessageError


def given_transcripts(
    transcripts: Any, taken: Taken
) -> tuple[Iterable[Transcript | Problem], int | None]:
    """Transcripts of whatever was handed in, and how many there are, if that is known.

    Raises:
        InputError: it is neither conversations nor paths.
    """
    if isinstance(transcripts, str | Path):
        transcripts = [transcripts]
    if not isinstance(transcripts, Iterable) or isinstance(transcripts, Mapping):
        raise InputError(
            f"are conversations or paths, not {type(transcripts).__name__}", place="transcripts"
        )
    found: Iterable[Transcript | Problem]
    if isinstance(transcripts, list | tuple) and _are_paths(transcripts):
        found = read_transcripts(transcripts)
    else:
        found = (_one(one, number) for number, one in enumerate(transcripts))
        if isinstance(transcripts, Iterator):  # may be longer than memory; all else is read first
            return longest(found, taken, WAITING), None
    read = list(longest(found, taken))
    return read, sum(isinstance(one, Transcript) for one in read)


def check_some(sources: Sequence[str], problems: Sequence[Problem], what: str) -> None:
    """That some conversation was held.

    Raises:
        InputError: with the first reason why none was.
    """
    if sources:
        return
    # What was read and failed says more than what could not be read.
    told = [one for one in problems if one.kind == "left out"] or list(problems)
    first = f": {told[0]}" if told else ""
    others = sum(problem.times for problem in problems) - (told[0].times if told else 0)
    more = f", and {others:,} more" if others else ""
    if told and told[0].kind == "left out":
        raise InputError(f"none of the conversations could be {what}{first}{more}")
    raise InputError(f"hold nothing that could be {what}{first}{more}", place="transcripts")


def reason_of(error: Exception) -> str:
    """What went wrong, without anything that a message says."""
    if isinstance(error, BudgetExceeded):
        said = str(error).partition(". Raise")[0]
        return f"{said}: try a limit of {error.needed:,} or more"
    if isinstance(error, BudgetError | MessageError | GrammarError | NoRequest):
        return str(error)
    place = f" at {error.place}" if isinstance(error, InputError) and error.place else ""
    return f"{type(error).__name__}{place}"


def _are_paths(given: Sequence[Any]) -> bool:
    return bool(given) and all(isinstance(one, str | Path) for one in given)


def _one(given: Any, number: int) -> Transcript | Problem:
    if isinstance(given, Transcript | Problem):
        return given
    try:
        return as_transcript(given, number)
    except InputError as error:  # of its form, and says nothing of content
        return Problem(error.place, str(error).removeprefix(f"{error.place}: "))
