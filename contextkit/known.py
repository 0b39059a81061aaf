"""Known: the histories behind plain lists, found again by comparison and bounded by bytes.

A caller without state sends the whole list each time. The list is compared with the library's own
snapshots, which costs one comparison of lists; nothing of what is known is hashed again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import RLock
from typing import Any, Literal

from contextkit.history import History
from contextkit.messages import (
    SYSTEM_ROLES,
    Message,
    call_ids,
    canonical_json,
    has_reasoning,
    same_message,
    without_reasoning,
)
from contextkit.scope import Scope

_DEPTHS = (32, 16, 8, 4, 2, 1)
"""Histories are filed under a fingerprint of their first 1, 2, 4, … messages."""

_CANDIDATES = 64
"""The most histories of one file that are compared, newest first."""


_HEARD = 10_000
"""Replies to lists without a scope whose reasoning can be put back; a hash of it for each."""

_OVERHEAD = 5_000
_OVERHEAD_OF_MESSAGE = 1_000
"""Bytes that a history and its fold take besides the messages themselves, as measured."""


class Known:
    """Histories that lists were built from, least recently used first out.

    Args:
        max_bytes: rough bound on what the messages take together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        self.lock = RLock()
        self._histories: OrderedDict[int, tuple[Scope | None, History, int]] = OrderedDict()
        self._files: dict[tuple[Any, ...], OrderedDict[int, History]] = {}
        self._keys: dict[int, list[tuple[Any, ...]]] = {}
        self._heard: OrderedDict[tuple[str, ...], int | None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._histories)

    def find(self, scope: Scope | None, messages: Sequence[Any]) -> tuple[History | None, int]:
        """The history that shares the longest beginning with a list, and how much they share."""
        best: tuple[History | None, int] = (None, 0)
        with self.lock:
            for depth in _DEPTHS:
                if depth > len(messages):
                    continue
                file = self._files.get((scope, depth, _fingerprint(messages, depth)))
                for history in list(reversed((file or {}).values()))[:_CANDIDATES]:
                    shared = shared_beginning(messages, history, self.trusts_ids)
                    if shared > best[1]:
                        best = (history, shared)
                    if shared == len(messages):
                        break
                if best[0] is not None:
                    break
            if best[0] is not None and id(best[0]) in self._histories:
                self._histories.move_to_end(id(best[0]))
        return best

    def heard(self, ids: tuple[str, ...], said: Mapping[str, Any]) -> None:
        """Note what a reply to a list without a scope said, by the ids of its tool calls.

        Some servers number their calls, so that everybody has the same ids: those that came with
        other words before, or with none, tell nothing about whose reply it was.
        """
        digest = hash(canonical_json(said)) if said else None
        with self.lock:
            if self._heard.setdefault(ids, digest) != digest:
                self._heard[ids] = None
            self._heard.move_to_end(ids)
            while len(self._heard) > _HEARD:
                self._heard.popitem(last=False)

    def trusts_ids(self, scope: Scope | None, ids: tuple[str, ...]) -> bool:
        """Whether the ids of tool calls tell which reply a message was: always within a scope."""
        return scope is not None or self._heard.get(ids) is not None

    def position_of(
        self, scope: Scope | None, messages: Sequence[dict[str, Any]]
    ) -> Literal["start", "middle"] | None:
        """Where in a known history the list begins, leaving system messages aside.

        `middle`: it was cut before it came. `start`: it is the same conversation with another
        system block.
        """
        body = [message for message in messages[:32] if message["role"] not in SYSTEM_ROLES]
        if len(body) < 2:  # without a scope, one message alone may be anybody's
            return None
        with self.lock:
            for owner, history, _ in list(reversed(self._histories.values()))[:_CANDIDATES]:
                if owner != scope or body[0] not in history.data:
                    continue
                position = history.data.index(body[0])
                following = history.data[position + 1 : position + 2]
                if following == body[1:2] or (scope is not None and not following):
                    before = history.data[:position]
                    return "start" if all(m["role"] in SYSTEM_ROLES for m in before) else "middle"
        return None

    def keep(self, scope: Scope | None, history: History) -> None:
        """File a history, or file it again after it has grown; the oldest ones make room."""
        with self.lock:
            key = id(history)
            if key in self._histories:
                self.bytes -= self._histories[key][2]
            size = history.size + _OVERHEAD + _OVERHEAD_OF_MESSAGE * len(history)
            self._histories[key] = (scope, history, size)
            self._histories.move_to_end(key)
            self.bytes += size
            filed = self._keys.setdefault(key, [])
            for depth in reversed(_DEPTHS[: len(_DEPTHS) - len(filed)]):
                if depth > len(history):
                    break
                file = (scope, depth, _fingerprint(history.data, depth))
                filed.append(file)
                self._files.setdefault(file, OrderedDict())[key] = history
            while self.bytes > self.max_bytes and len(self._histories) > 1:
                self._forget(next(iter(self._histories)))

    def _forget(self, key: int) -> None:
        _, history, size = self._histories.pop(key)
        history.folds.clear()  # they refer back to it, and would keep it until the next collection
        self.bytes -= size
        for file in self._keys.pop(key):
            del self._files[file][key]
            if not self._files[file]:
                del self._files[file]


Trust = Callable[[Scope | None, tuple[str, ...]], bool]


def shared_beginning(messages: Sequence[Any], history: History, trusts_ids: Trust) -> int:
    """How many messages of a list are those of the history, from the first on.

    A message that came back with other key order, with null for absent or as one text part is the
    same one.
    """
    data = history.data
    length = min(len(messages), len(data))
    start = 0
    # The comparison is the whole cost of a known list: no slice of what is compared whole.
    try:
        if messages[:length] == (data if length == len(data) else data[:length]):
            start = length
    except RecursionError:  # a cyclic or very deep message; it is refused where it is copied
        pass
    for number in range(start, length):
        if not _same(messages[number], number, history, trusts_ids):
            length = number
            break
    # == takes 1, 1.0 and True for the same, which they are not to a provider.
    for number in history.loose:
        if number >= length:
            break
        if not _means(messages[number], number, history, trusts_ids):
            return number
    return length


def _same(value: Any, number: int, history: History, trusts_ids: Trust) -> bool:
    try:
        return bool(value == history.data[number]) or _means(value, number, history, trusts_ids)
    except RecursionError:
        return False


def _means(value: Any, number: int, history: History, trusts_ids: Trust) -> bool:
    """Whether a caller's message stands for a known one, perhaps without its reasoning.

    Callers that carry messages as plain dicts lose the reasoning of tool calls; the known message,
    which has it, is then sent again.
    """
    message = history.messages[number]
    if same_message(value, message):
        return True
    if not message.data.get("tool_calls") or not has_reasoning(message.data):
        return False
    if not trusts_ids(history.scope, call_ids(message.data)):
        return False
    bare = without_reasoning(message.data)
    return same_message(value, Message(bare, flat=False, size=0, pinned=False))


def _fingerprint(messages: Sequence[Any], depth: int) -> int:
    """A cheap hash of the first messages, equal for equal normal forms; verified afterwards."""
    return hash(tuple(_mark(message) for message in messages[:depth]))


def _mark(message: Any) -> str | None:
    """The text of a message that is only text; None for any other."""
    if isinstance(message, str):
        return message
    content = (
        message.get("content")
        if isinstance(message, Mapping)
        else getattr(message, "content", None)
    )
    if isinstance(content, list | tuple) and len(content) == 1 and isinstance(content[0], Mapping):
        content = content[0].get("text")
    return content if isinstance(content, str) else None
