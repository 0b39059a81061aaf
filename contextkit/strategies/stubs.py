"""Stubs: what stands in place of cleared content: what it was, its size, who has the original."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from contextkit.edits import Edit
from contextkit.groups import Entry
from contextkit.messages import called
from contextkit.originals import media_kind, original_number
from contextkit.view import View

ORIGINAL_TOKENS = "tokens"
"""Under which the provenance of a clamp has the tokens of the original."""


def result_stub(view: View, entry: Entry, name: str) -> str:
    """What stands in place of a tool result.

    Where the result is a page of another message, the stub names that one, so that whoever asks
    for it again gets the text and no stub of a page.
    """
    tokens = entry.tokens
    if entry.edit is not None:
        recorded = entry.edit.provenance.get(ORIGINAL_TOKENS)
        tokens = recorded if type(recorded) is int else tokens
    parts = view.history.data[entry.number].get("content")
    held = [f"{tokens:,} tokens", *_counted(parts if isinstance(parts, list) else ())]
    number = original_number(view.history.messages, entry.number)
    return f"[result of {name or 'a tool'} cleared: {', '.join(held)}; message {number} has it]"


def media_stub(number: int, kind: str, tokens: int) -> dict[str, Any]:
    """What stands in place of an image, sound, video or file: a text part.

    It invites no model to ask for the original: a page of the message has only text.
    """
    return {
        "type": "text",
        "text": f"[{kind} cleared: {tokens:,} tokens; it was in message {number}, and is not text]",
    }


def tool_names(view: View) -> dict[tuple[int, ...], str]:
    """The name of the tool behind each result in the view."""
    names: dict[tuple[int, ...], str] = {}
    for group in view.groups:
        if len(group.entries) == 1:
            continue
        calls = {
            call["id"]: called(call)[0] for call in group.entries[0].data.get("tool_calls") or ()
        }
        for entry in group.entries[1:]:
            if entry.numbers:
                names[entry.numbers] = calls.get(entry.data.get("tool_call_id", ""), "")
    return names


def is_cleared(entry: Entry) -> bool:
    """Whether it was rewritten once already."""
    return entry.edit is not None and entry.edit.kind == "clear"


def batch(view: View, proposed: Iterable[tuple[Entry, Edit]], goal: int, least: int) -> list[Edit]:
    """As many edits as free `goal` tokens, and `least` in any case; none where all free fewer.

    An edit that frees nothing is left out.
    """
    edits: list[Edit] = []
    freed = 0
    for entry, edit in proposed:
        saved = entry.tokens - view.count(edit.shows[0])
        if saved > 0:
            freed += saved
            edits.append(edit)
        if freed >= max(goal, least):
            break
    return edits if freed >= least else []


def _counted(parts: Iterable[Mapping[str, Any]]) -> list[str]:
    """How many of each kind of media there are: `2 images`."""
    kinds = Counter(kind for part in parts if (kind := media_kind(part)))
    return [
        f"{count} {kind}{'s' if count > 1 and kind in ('image', 'video', 'file') else ''}"
        for kind, count in kinds.items()
    ]
