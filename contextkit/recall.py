"""Recall: what other processes have decided on the same messages comes back from a store."""

from __future__ import annotations

from dataclasses import replace

from contextkit.edits import Decision
from contextkit.history import History
from contextkit.records import Settings
from contextkit.store import Store


def recall(history: History, store: Store, view: str) -> int:
    """Give a history what a store has decided on its messages beyond what it knows; how much."""
    if history.scope is None:
        return 0
    known = history.decisions(view)
    first = known[-1].point + 1 if known else 0
    points = {history.prefix_hash(point, view): point for point in range(first, len(history) + 1)}
    found = [
        replace(Decision.from_json(data), point=points[address])
        for address, data in store.decisions(history.scope, view, list(points)).items()
    ]
    found.sort(key=lambda decision: decision.point)
    for decision in found:
        if decision.settings and decision.settings not in history.settings:
            address = f"settings {decision.settings}"
            for data in store.decisions(history.scope, view, [address]).values():
                history.change_settings(Settings(view, decision.point, data))
    history.commit(view, len(known), found)
    return len(found)


def first_written(
    store: Store, history: History, view: str, decisions: list[Decision]
) -> list[Decision]:
    """Store what was decided; up to the first point where another process was first.

    The last one given is then the other's, which stands.
    """
    if history.scope is None:
        return decisions
    standing: list[Decision] = []
    for decision in decisions:
        if not decision.edits and decision.tail is None and not decision.failures:
            standing.append(decision)  # nothing was tried: it comes out the same everywhere
            continue
        ours = decision.to_json()
        address = history.prefix_hash(decision.point, view)
        stands = store.decide(history.scope, view, address, ours)
        if stands != ours:
            standing.append(replace(Decision.from_json(stands), point=decision.point))
            break
        standing.append(decision)
    return standing
