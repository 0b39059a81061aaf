"""Answers: which requests of a log were sent and answered, and what is known of their replies.

A decision was made for a request that was sent if the very next message is the reply to it. What a
view catches up on, and what is decided on an imported history, stands behind those messages: it was
never sent.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import Any

from contextkit.caching.consecutive import Answered
from contextkit.edits import Decision, Edit
from contextkit.history import History
from contextkit.messages import Message
from contextkit.records import Record
from contextkit.usage import Usage


def answered(records: Iterable[Record]) -> Iterator[tuple[Decision, int]]:
    """The decisions for which requests were sent and answered, each with its reply's number."""
    count, last = 0, None
    for record in records:
        if isinstance(record, Decision):
            last = record
        elif isinstance(record, Message):
            if last is not None and last.point == count and record.role == "assistant":
                yield last, count
            count, last = count + 1, None


def last_answered(history: History, view: str, point: int) -> Decision | None:
    """The newest of them before a point: in the same view, else in any."""
    newest = None
    for decision in _answered_backwards(history):
        if decision.point >= point:
            continue
        if decision.view == view:
            return decision
        newest = newest or decision
    return newest


def _answered_backwards(history: History) -> Iterator[Decision]:
    """The same decisions as `answered`, the newest first: of a long log only the end is read."""
    with history.lock:
        records, size, count = history.records, len(history.records), len(history)
    reply = None
    for place in range(size - 1, -1, -1):  # it only grows: no copy of a long log
        record = records[place]
        if isinstance(record, Message):
            count -= 1
            reply = count if record.role == "assistant" else None
        elif isinstance(record, Decision):
            if record.point == reply:
                yield record
            reply = None


def edits_since(
    history: History, last: Decision, decision: Decision, made: Iterable[Edit] = ()
) -> tuple[Edit, ...]:
    """The edits of a view behind one request, up to those of a later one.

    Args:
        history: the log.
        last: of the earlier request.
        decision: of the later one.
        made: edits of the build that made the later one, recorded or not.
    """
    if last.view != decision.view:
        return ()
    decisions, point = history.decisions(decision.view), attrgetter("point")
    behind = bisect_right(decisions, last.point, key=point)
    upto = bisect_left(decisions, decision.point, key=point)
    found = [edit for one in decisions[behind:upto] for edit in one.edits]
    known = set(map(_named, found))
    fresh = tuple(made) or decision.edits
    return (*found, *(edit for edit in fresh if _named(edit) not in known))


def _named(edit: Edit) -> tuple[Any, ...]:
    return edit.kind, edit.covers, edit.at, edit.by, edit.reason


def reply_at(history: History, number: int) -> Answered:
    """What is known of the reply of a number."""
    message = history.data[number] if number < len(history) else None
    if message is None or message["role"] != "assistant":
        return Answered()
    usage = history.usages.get(number) or history.heard.get(number) or Usage()
    return Answered(message, usage.output_tokens, usage.reasoning_tokens)


def seconds_between(
    history: History, last: Decision, decision: Decision, time: float | None = None
) -> float | None:
    """Seconds between two requests; None where that is not known.

    By the schedule's clock where it has one, else by when they were built.

    Args:
        history: the log.
        last, decision: of the requests.
        time: when the later one was built; by default as the log has it.
    """
    first, second = last.time, decision.time
    if first is None or second is None:
        first = history.times.get(last.point)
        second = history.times.get(decision.point) if time is None else time
    return elapsed_between(first, second)


def elapsed_between(first: float | None, second: float | None) -> float | None:
    """Seconds from one time to another; None where one is not known."""
    return None if first is None or second is None else max(0.0, second - first)
