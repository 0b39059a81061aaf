"""Stored decisions: what other processes have decided on the same messages, from a store."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contextkit.edits import Decision
from contextkit.errors import EditError, InputError, StoreUnreadable
from contextkit.history import History
from contextkit.records import Settings, record_from_json
from contextkit.store import Store
from contextkit.view import fold

_EVERY_VIEW, _IDENTITY = "*", "id"
"""Where the store keeps what the delimiters of a conversation are made from: never guessable."""

log = logging.getLogger("contextkit")


def recall(history: History, store: Store, view: str) -> int:
    """Give a history what a store has decided on its messages beyond what it knows; how much."""
    if history.scope is None:
        return 0
    identify(history, store)
    known = history.decisions(view)
    first = known[-1].point + 1 if known else 0
    points = {history.prefix_hash(point, view): point for point in range(first, len(history) + 1)}
    stored = store.decisions(history.scope, view, [*points])
    found = [_read(data, address, points[address]) for address, data in stored.items()]
    found.sort(key=lambda decision: decision.point)
    found = _fitting(history, view, found)
    for decision in found:
        known_settings = history.settings.get(decision.settings)
        if known_settings is not None:
            history.change_settings(replace(known_settings, point=decision.point))
        elif decision.settings:
            address = f"settings {decision.settings}"
            for data in store.decisions(history.scope, view, [address]).values():
                history.change_settings(_settings(view, decision.point, data))
    history.commit(view, len(known), found)
    return len(found)


def identify(history: History, store: Store) -> None:
    """Give a history the identity that its conversation has in a store, or the store its own.

    What delimits text from elsewhere is made from it, and must be the same in every process.
    """
    if history.scope is None or history.identified:
        return
    identity = store.decisions(history.scope, _EVERY_VIEW, [_IDENTITY]).get(_IDENTITY)
    if identity is None:
        identity = store.decide(history.scope, _EVERY_VIEW, _IDENTITY, {"id": history.id})
    history.id, history.identified = identity["id"], True


def _fitting(history: History, view: str, found: list[Decision]) -> list[Decision]:
    """Those that fold in one after the other; two who knew nothing of each other may contradict."""
    if not found:
        return []
    known = history.decisions(view)
    scratch = fold(history, view, at=known[-1].point if known else 0, count=lambda _: 0)
    fitting = []
    for decision in found:
        tried = scratch.copy()
        try:
            tried.extend(decision.point)
            tried.apply_decision(decision)
        except EditError:
            log.warning("a stored decision contradicts earlier ones and was left out")
            continue
        scratch = tried
        fitting.append(decision)
    return fitting


def first_written(
    store: Store, history: History, view: str, decisions: list[Decision], *, weighed: int | None
) -> list[Decision]:
    """Store what was decided; up to the first point where another process was first.

    The last one given is then the other's, which stands.

    Args:
        weighed: the last point at which the plan of a cut was weighed, and not carried out.
    """
    if history.scope is None:
        return decisions
    standing: list[Decision] = []
    for decision in decisions:
        if decision.point != weighed and _comes_out_the_same(decision, history):
            standing.append(decision)
            continue
        ours = decision.to_json()
        address = history.prefix_hash(decision.point, view)
        stands = store.decide(history.scope, view, address, ours)
        if stands != ours:
            theirs = _read(stands, address, decision.point)
            if theirs in _fitting(history, view, [*standing, theirs]):
                standing.append(theirs)
                break
        standing.append(decision)
    return standing


def _comes_out_the_same(decision: Decision, history: History) -> bool:
    """Whether nothing was tried, for a reason that holds everywhere.

    A moment does not come again; a cut that was put off for a preparation is made elsewhere, and
    one that was weighed may pay there, where its summary is at hand.
    """
    tried = decision.edits or decision.tail is not None or decision.failures
    return not tried and decision.time is None and decision.view not in history.preparing


def _read(data: Mapping[str, Any], address: str, point: int) -> Decision:
    """A stored decision, which stands behind `point` messages here.

    Raises:
        StoreUnreadable: when it is none.
    """
    try:
        return Decision.from_json({**data, "point": point})
    except (EditError, TypeError) as error:
        raise StoreUnreadable(f"the decision at {address} cannot be read: {error}") from error


def _settings(view: str, point: int, data: Mapping[str, Any]) -> Settings:
    line = {"type": "settings", "view": view, "point": point, "settings": data}
    try:
        record = record_from_json(line)
    except InputError as error:
        raise StoreUnreadable(f"stored settings cannot be read: {error}") from error
    assert isinstance(record, Settings)  # noqa: S101 - by its type
    return record
