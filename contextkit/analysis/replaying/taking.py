"""Taking: the transcripts of whatever was handed in, and why one was left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Any, Protocol

from contextkit.analysis.policies import NoRequest
from contextkit.analysis.problems import Problem
from contextkit.analysis.replaying.growing import WAITING, Taken, longest
from contextkit.analysis.replaying.joining import joined
from contextkit.analysis.transcripts import Transcript, as_transcript, read_transcripts
from contextkit.errors import BudgetError, BudgetExceeded, GrammarError, InputError, MessageError

Progress = Callable[[int, int | None], None]


class Run(Protocol):
    """What a run has been handed.

    Attributes:
        problems: of conversations that were left out, and what was handed in.
        taken: transcripts that were found to be of one conversation.
    """

    problems: list[Problem]
    taken: Taken


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


def each_held(
    transcripts: Any,
    run: Run,
    join: int,
    *,
    steps: int,
    hold: Callable[[Transcript], Iterator[int]],
    progress: Progress | None,
) -> None:
    """Hold each conversation that was handed in, and tell how much is done.

    Args:
        transcripts: whatever was handed in.
        run: gets what could not be read.
        join: how many conversations in a row are joined into one.
        steps: that holding one takes.
        hold: gives how many of them are done.
        progress: is told how many steps are done, and of how many; None for unknown.

    Raises:
        InputError: they are neither conversations nor paths.
    """
    given, count = given_transcripts(transcripts, run.taken)
    of = None if count is None else ceil(count / join) * steps
    done = 0
    for one in joined(given, join):
        if isinstance(one, Problem):
            run.problems.append(one)
            continue
        for step in hold(one):
            if progress is not None:
                progress(done + step, of)
        done += steps
        if progress is not None:
            progress(done, of)


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
