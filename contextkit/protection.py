"""Protection: which edits a strategy may make in which phase; checked before any is folded in."""

from __future__ import annotations

import json
from dataclasses import replace

from contextkit.edits import ONE_TO_ONE, Edit
from contextkit.errors import EditError, MessageError
from contextkit.grammar import says_nothing
from contextkit.groups import Entry
from contextkit.messages import Message, canonical_json, copy_json
from contextkit.view import View


def check_free(view: View, edit: Edit) -> Edit:
    """The edit as it will be recorded, if a strategy may make it in the compaction phase.

    Raises:
        EditError: when it touches what is protected, or is not an edit for this phase.
    """
    if edit.kind not in ("drop", "summary", "clear"):
        raise EditError(f"an edit of kind {edit.kind!r} is not for the compaction phase")
    if not all(type(number) is int for number in edit.covers):
        raise EditError(f"messages are named by their numbers, not {edit.covers!r:.80}")
    if list(edit.covers) != sorted(set(edit.covers)):
        raise EditError(f"the messages that a {edit.kind} covers are not ascending")
    free = view.free_numbers
    hidden = {number for held in view.overlapping(edit.covers) for number in held.covers}
    for number in edit.covers:
        if number not in free and number not in hidden:
            raise EditError(
                f"{edit.kind} by {edit.by or 'a strategy'} touches message {number}, which is "
                "protected or not in the view; view.free has what may be touched"
            )
    if edit.kind == "summary" and not any(number in free for number in edit.covers):
        raise EditError("a summary stands for at least one message of the view")
    return _checked_shows(view, edit)


def check_new(view: View, edit: Edit) -> Edit:
    """The edit, if a strategy may make it on arrival: one to one, on what was never sent."""
    if edit.kind != "clamp" or len(edit.covers) != 1 or edit.covers[0] < view.point:
        raise EditError("on arrival a strategy may only clamp one message not yet sent")
    return _checked_shows(view, edit)


def check_tail(view: View, edit: Edit) -> Edit:
    """The edit, if a strategy may make it in the tail phase."""
    if edit.kind != "insert" or edit.covers or edit.at is None or edit.at != view.last_user:
        raise EditError("in the tail phase a strategy may only insert at the last user message")
    if len(edit.shows) != 1 or not isinstance(edit.shows[0].get("text"), str):
        raise EditError("an insert shows one text part")
    try:
        Message.of({"role": "user", "content": [edit.shows[0]]}, place="insert")
    except MessageError as error:
        raise EditError(str(error)) from error
    return _storable(edit)


def _checked_shows(view: View, edit: Edit) -> Edit:
    """That what is shown is a good message, and in a one-to-one edit still the same one."""
    wanted = 0 if edit.kind == "drop" else 1
    if len(edit.shows) != wanted:
        raise EditError(f"a {edit.kind} shows {wanted} messages, not {len(edit.shows)}")
    if not wanted:
        return _storable(edit)
    try:
        shown = Message.of(edit.shows[0], place=edit.kind)
    except MessageError as error:
        raise EditError(str(error)) from error
    if shown.role == "assistant" and says_nothing(shown.data):
        raise EditError(f"what the {edit.kind} shows says nothing, which providers refuse")
    if edit.kind in ONE_TO_ONE:
        before = _entry(view, edit.covers[0]).data
        for key in ("role", "tool_call_id", "tool_calls"):
            if before.get(key) != shown.data.get(key):
                raise EditError(f"a {edit.kind} may not change {key!r} of a message")
    elif shown.role not in ("user", "assistant") or shown.data.get("tool_calls"):
        raise EditError(f"a {edit.kind} shows a user or assistant message without tool calls")
    return _storable(replace(edit, shows=(shown.data,)))


def _storable(edit: Edit) -> Edit:
    """That the edit can be written down and read again."""
    try:
        (edit.reason + edit.by).encode()
        canonical_json(edit.to_json()).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EditError(f"a {edit.kind} that is not JSON cannot be recorded: {error}") from error
    shows = tuple(copy_json(shown) for shown in edit.shows)
    return replace(edit, shows=shows, provenance=json.loads(canonical_json(dict(edit.provenance))))


def _entry(view: View, number: int) -> Entry:
    group = view.groups[view.group_of(number)]
    return next(entry for entry in group.entries if number in entry.numbers)
