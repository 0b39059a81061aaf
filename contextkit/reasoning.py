"""Reasoning that a caller's list lost: kept with the reply, put back by the ids of its tool calls.

Some providers want the reasoning of an assistant message with tool calls back for good; callers
that carry messages as plain dicts often drop it. What a reply said is kept at the place of the
conversation where it was said, so that nobody else can get it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contextkit.errors import MessageError
from contextkit.history import History
from contextkit.known import Known
from contextkit.messages import REASONING_FIELDS, MessageLike, has_reasoning, plain
from contextkit.scope import Scope
from contextkit.store import Store


def remember_reasoning(
    history: History,
    point: int,
    reply: Mapping[str, Any],
    *,
    known: Known,
    store: Store | None,
    view: str,
) -> None:
    """Keep the reasoning of a reply that calls tools, for the place where it was asked for.

    Args:
        history: begins with the messages that the reply answers.
        point: how many those are.
        reply: the assistant message.
        known: the histories among which the next list will be looked for.
        store: keeps it for other processes, too, where the history has a scope.
        view: the name under which the store keeps it.
    """
    said = {field: reply[field] for field in REASONING_FIELDS if reply.get(field)}
    ids = _call_ids(reply)
    if not ids:
        return
    if history.scope is None:
        known.heard(ids, said)
    if not said:
        return
    with history.lock:  # others may be forking it
        history.reasoning[point, ids] = said
    if store is not None and history.scope is not None:
        store.decide(history.scope, view, _address(point, ids), said)


def with_reasoning(
    messages: Sequence[MessageLike],
    shared: int,
    history: History | None,
    *,
    scope: Scope | None,
    known: Known,
    store: Store | None,
    view: str,
) -> list[MessageLike]:
    """The messages, with the reasoning that those behind the first `shared` ones have lost."""
    found = list(messages)
    lost: dict[tuple[int, tuple[str, ...]], Mapping[str, Any]] = {}
    for number in range(shared, len(found)):
        if message := _without_reasoning(found[number]):
            lost[number, _call_ids(message)] = message
    if not lost:
        return found
    # Only at the first unknown message is what stands before it known to be what was answered.
    noted = {} if history is None else history.reasoning
    kept = {
        key: noted[key]
        for key in lost
        if key[0] == shared and key in noted and known.trusts_ids(scope, key[1])
    }
    if store is not None and scope is not None:
        addresses = {_address(*key): key for key in lost if key not in kept}
        stored = store.decisions(scope, view, list(addresses)) if addresses else {}
        kept |= {addresses[address]: said for address, said in stored.items()}
    for key, message in lost.items():
        if key in kept:
            found[key[0]] = {**message, **kept[key]}
    return found


def _without_reasoning(value: MessageLike) -> Mapping[str, Any] | None:
    """The dict form of a message that calls tools and says no reasoning; None for any other."""
    if isinstance(value, str) or (isinstance(value, Mapping) and not value.get("tool_calls")):
        return None
    try:
        message = plain(value)
    except MessageError:  # it is refused where it joins the history, with its place
        return None
    if not _call_ids(message) or has_reasoning(message):
        return None
    return message


def _call_ids(message: Mapping[str, Any]) -> tuple[str, ...]:
    calls = message.get("tool_calls")
    if not isinstance(calls, list | tuple):
        return ()
    ids = [
        call.get("id") if isinstance(call, Mapping) else getattr(call, "id", None) for call in calls
    ]
    named = tuple(one for one in ids if isinstance(one, str))
    return named if len(named) == len(ids) else ()


def _address(point: int, ids: tuple[str, ...]) -> str:
    return f"reasoning {point} {json.dumps(ids)}"
