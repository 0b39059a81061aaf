"""Audit: recorded requests of any application: where its cache broke, and what to change first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from heapq import heappop, heappush
from itertools import count, groupby
from pathlib import Path
from typing import Any, cast

from contextkit.analysis.auditing.lines import Line, Lines
from contextkit.analysis.auditing.losses import Losses
from contextkit.analysis.auditing.other_cache import OtherCaches
from contextkit.analysis.auditing.requests import Requests
from contextkit.analysis.auditing.tables import result_of
from contextkit.analysis.auditing.tally import Tally
from contextkit.analysis.problems import Problem
from contextkit.analysis.recorded import Recorded, as_recorded, read_recorded
from contextkit.analysis.results import Result
from contextkit.errors import InputError
from contextkit.profiles import Profile
from contextkit.tokens import TokenCounter

WAITING = 32
"""Records that are held back to be put in the order in which they were sent: a log that is written
when responses end has those that overlap in another one."""

Given = Recorded | Problem | Mapping[str, Any] | str | Path


def audit(
    records: Iterable[Given] | str | Path,
    *,
    profiles: Mapping[str, Profile] | None = None,
    counter: TokenCounter | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Result:
    """Where the prompt cache of an application broke, what that cost, and what to change first.

    Requests are sorted into conversations, by the log's own id and by the messages that they share.
    What each did not read that had been sent before is put down to its cause, and what has the same
    cause in the same place is one finding, however often it came. A history that is cut now and
    then is planned, and stands apart. Nothing is sent anywhere, and no text of a message is in the
    result.

    Args:
        records: requests with the usage that was reported: paths of logs, records as dicts, or
            `Recorded`. They are read one at a time; of each conversation the newest are held.
        profiles: more of them, by prefixes of model names, as `load_profiles` gives.
        counter: of text; by default the vocabulary of each model.
        progress: told how many requests are done.

    Returns:
        tables `changes`, the main one, `totals`, and where there are some `cuts` and
        `conversations`; what another cache of the same model would save, in its notes and under
        `other_caches` in its details; what could not be read, in its `problems`.

    Raises:
        InputError: `records` is nothing of that kind.

    Example:
        >>> import contextkit as ck
        >>> def sent(minute, said):
        ...     system = f"It is 12:{minute:02}. " + "Answer by the rules of the house. " * 300
        ...     messages = [{"role": "system", "content": system}, *said]
        ...     usage = {"prompt_tokens": 2110, "prompt_tokens_details": {"cached_tokens": 0}}
        ...     request = {"model": "gpt-4o", "messages": messages}
        ...     return {"request": request, "response": {"usage": usage}}
        >>> said = [{"role": "user", "content": "Hello"}]
        >>> reply = {"role": "assistant", "content": "Hi."}
        >>> more = [*said, reply, {"role": "user", "content": "So?"}]
        >>> [row] = ck.audit([sent(1, said), sent(2, more)]).rows
        >>> row["change"]
        'Move the clock out of the system prompt, behind the newest user message'
    """
    requests, lines, losses, tally = Requests(profiles, counter), Lines(), Losses(), Tally()
    others = OtherCaches()
    for number, item in enumerate(_in_order(_each(records))):
        if progress is not None and number % 20 == 0:
            progress(number, None)
        if isinstance(item, Problem):
            tally.problem(item)
            continue
        try:
            now = requests.of(number, item)
        except InputError as error:
            tally.problem(_problem(item.source, error))
            continue
        related = lines.add(now)
        simulated = losses.simulated(now)
        tally.add(now, related, simulated, losses.of(now, related, simulated))
        others.add(now, related, simulated)
        _settle(tally, lines.leaving())
    _settle(tally, lines.all())
    if progress is not None:
        progress(tally.requests, tally.requests)
    return result_of(tally, lines.count, tuple(requests.unknown), others.savings())


def _settle(tally: Tally, lines: Iterable[Line]) -> None:
    for line in lines:
        tally.settle(line)


def _each(records: Iterable[Given] | str | Path) -> Iterator[Recorded | Problem]:
    if isinstance(records, str | Path):
        records = [records]
    if isinstance(records, Mapping) or not isinstance(records, Iterable):
        raise InputError(
            f"are paths or an iterable of records, not {type(records).__name__}", place="records"
        )
    numbers = count()
    for are_paths, group in groupby(records, _is_path):
        if are_paths:  # all at once: the two files of a batch belong together
            yield from read_recorded(cast("Iterator[str | Path]", group))
        else:
            yield from (_one(given, next(numbers)) for given in group)


def _is_path(given: Given) -> bool:
    return isinstance(given, str | Path)


def _one(given: Any, number: int) -> Recorded | Problem:
    if isinstance(given, Problem):
        return given
    try:
        return as_recorded(given, number)
    except InputError as error:
        return _problem(f"record {number}", error)


def _in_order(records: Iterable[Recorded | Problem]) -> Iterator[Recorded | Problem]:
    """The records by the time at which they were sent, as far as they are not too far apart."""
    waiting: list[tuple[float, int, Recorded]] = []
    newest = float("-inf")
    for number, item in enumerate(records):
        if isinstance(item, Problem):
            yield item
            continue
        newest = newest if item.at is None else item.at
        heappush(waiting, (newest, number, item))
        if len(waiting) > WAITING:
            yield heappop(waiting)[2]
    while waiting:
        yield heappop(waiting)[2]


def _problem(source: str, error: InputError) -> Problem:
    name, _, line = source.rpartition(":")
    reason = str(error).removeprefix(f"{source}: ")
    if name and line.isdigit():
        return Problem(name, reason, int(line))
    return Problem(source, reason)
