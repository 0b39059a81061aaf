"""Passages of messages: how they are made from a log, what the view shows of them, their labels."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import replace
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from contextkit.groups import Entry
from contextkit.history import History
from contextkit.retrieval.passages import PAUSE, Key, Passage, passage_of
from contextkit.scope import ScopeKey
from contextkit.strategies.blocks import blocks, label_of
from contextkit.view import View


def next_passage(history: History, number: int, last: Passage | None) -> Passage | None:
    """The passage of a message; None where it has no text.

    Args:
        history: of the message.
        number: of the message.
        last: the passage before.
    """
    session = last.session if last else 0
    if last is not None and _gap(history, last.number, number) > PAUSE:
        session += 1
    return passage_of(history.messages[number], number, session=session)


def hashes_of(view: View, end: int) -> Callable[[int], Hashable]:
    """What tells the messages before one from others: their prefix hashes, and their times."""
    history = view.history
    with _lock:
        chain = _times.setdefault(history, [])
        # No prefix hash holds the times. A log only grows, so that only new ones are read.
        for message in history.messages[len(chain) : end]:
            chain.append(hash((chain[-1] if chain else 0, message.time)))
    return lambda number: (history.prefix_hash(number + 1, view.name), chain[number])


_times: WeakKeyDictionary[History, list[int]] = WeakKeyDictionary()
_lock = Lock()


def counted(view: View, passage: Passage) -> Passage:
    """A passage with the tokens that it takes in a block of others."""
    frame = view.count({"role": "user", "content": ""})
    shown = f"[12345678 {label(passage)}]\n{passage.text}\n"
    return replace(passage, tokens=view.count({"role": "user", "content": shown}) - frame)


def label(passage: Passage) -> str:
    """What stands above a passage: where it is from, who said it, and when."""
    if passage.role == "document":
        # Of a document the speaker is its name with the headings above the part.
        named = passage.source if passage.speaker == "user" else passage.speaker
        parts = [label_of(named) or "document", f"part {passage.number}"]
    else:
        own = passage.speaker in (passage.role, passage.source)
        name = "" if own else label_of(passage.speaker)
        parts = [f"message {passage.number}", f"{label_of(passage.role)} {name}".rstrip()]
        if passage.source:
            parts.insert(0, f"conversation {label_of(passage.source)}".rstrip())
    if date := label_of(passage.date):
        parts.append(date)
    return ", ".join(parts)


def block_of(view: View, name: str, passages: list[Passage]) -> str:
    """One delimited block with passages."""
    return blocks(view.history, name, ((label(passage), passage.text) for passage in passages))


def shown_keys(view: View) -> set[Key]:
    """The passages that stand in the view: as messages, or frozen into an earlier one."""
    shown: set[Key] = {("", (), number, "") for number in shown_numbers(view)}
    for entry in view.entries:
        for edit in entry.inserts:
            shown.update(_keys(edit.provenance.get("passages")))
    return shown


def own_key(view: View) -> ScopeKey | None:
    """The scope of the conversation that asks."""
    return view.history.scope.key if view.history.scope is not None else None


def shown_numbers(view: View) -> Iterator[int]:
    """The messages of the conversation whose text the view shows."""
    for entry in view.entries:
        if (
            entry.edit is None
            or entry.edit.kind in ("move", "reasoning", "mend")
            or (entry.edit.kind == "clear" and _texts_stay(view, entry))
        ):
            yield from entry.numbers


def _keys(given: Any) -> Iterator[Key]:
    """The keys that an edit names; a log that was read may hold anything there."""
    for key in given if isinstance(given, list | tuple) else ():
        if isinstance(key, list | tuple) and len(key) == 4:
            source, scope, number, text = key
            if isinstance(scope, list | tuple) and isinstance(number, int):
                yield str(source), tuple(map(str, scope)), number, str(text)


def _gap(history: History, before: int, number: int) -> float:
    times = history.messages[before].time, history.messages[number].time
    return 0.0 if times[0] is None or times[1] is None else times[1] - times[0]


def _texts_stay(view: View, entry: Entry) -> bool:
    """Whether nothing but media was cleared: each text part is shown as it was."""
    content = view.history.data[entry.number].get("content")
    if not isinstance(content, list) or not isinstance(entry.data.get("content"), list):
        return False
    return all(part in entry.data["content"] for part in content if part.get("type") == "text")


def name_of_asker(message: Mapping[str, Any]) -> str:
    """The name of the participant who asks; empty without one."""
    name = message.get("name")
    return name if isinstance(name, str) else ""
