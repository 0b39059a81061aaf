"""Source: passages from outside of the conversation: a user's other conversations, documents.

A source gives its passages in one order, and from then on only what changed of them, so that a
corpus of them is advanced instead of made anew: cut back to those that still stand, then grown.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Protocol

from contextkit.errors import InputError, ScopeError, StoreCorrupt
from contextkit.retrieval.passages import Passage
from contextkit.scope import Scope, ScopeKey

log = logging.getLogger("contextkit")

Mark = tuple[Hashable, ...]
"""What a reader knows of a source already, as the source notes it; nobody else looks inside."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of the passages that a reader knew.

    Attributes:
        kept: so many of them still stand, from the first on; those behind are gone.
        added: what follows the kept ones now.
        mark: to be given with the next reading.
    """

    kept: int
    added: Sequence[Passage]
    mark: Mark


class Source(Protocol):
    """Gives passages from outside of the conversation that asks. Safe to share between threads.

    What it gives may hang on how it was made, such as whose documents it reads: a mapping of texts
    or numbers in an attribute `settings`, if it has one, is recorded with the settings of a view.

    Attributes:
        name: what the block of its passages is called, such as `documents`.
    """

    @property
    def name(self) -> str:
        """What the block of its passages is called."""

    def owner(self, scope: Scope) -> ScopeKey:
        """Whose passages are read for a conversation: equal owners have one corpus in common.

        All that is read for an owner has to be for the eyes of each conversation of it.
        """

    def read(self, scope: Scope, since: Mark | None = None) -> Change:
        """What changed for an owner since a reading; blocks for as long as its store does.

        It is called in a thread, and is not async. Every passage says under which scope its
        vector is kept (`Passage.scope`): one of the tenant that asks, and where it names a user,
        of that user. Those whose scope is that of the conversation that asks are not shown to
        it, and it is to it as if they were not there.

        Args:
            scope: the conversation that asks.
            since: the mark of the last reading for the same owner; None reads everything.

        Raises:
            ScopeError: it is no scope.
            StoreError: the store cannot be read.
        """


def changed_of(source: Source, scope: Scope, since: Mark | None) -> Change:
    """What a source gives for a conversation, checked to be for its eyes.

    Raises:
        InputError: it gives something else.
        ScopeError: some of it is of another tenant or user.
    """
    change: Any = source.read(scope, since)
    if not isinstance(change, Change):
        if inspect.iscoroutine(change):
            change.close()
        raise InputError(f"gives a Change, not {type(change).__name__}", place="Source.read")
    check_scopes({passage.scope for passage in change.added}, scope.key)
    return change


def check_scopes(scopes: Iterable[ScopeKey], asking: ScopeKey) -> None:
    """That passages of some scopes are for the eyes of a conversation.

    Args:
        scopes: of the passages.
        asking: the scope of the conversation.

    Raises:
        ScopeError: one is of another tenant, or names another user, or names nobody.
    """
    for scope in scopes:
        if scope[:1] != asking[:1] or scope[1:2] not in ((), ("",), asking[1:2]):
            raise ScopeError(
                "holds passages that are not of the tenant and user that ask, and nothing of it is "
                "used: Passage.scope says whose each is, and Source.owner whose are read together"
            )


def check_blocking(source: Any, place: str) -> None:
    """That what a source does is done when it returns.

    Raises:
        InputError: it is async.
    """
    for name in ("owner", "read"):
        called = getattr(source, name, None)
        for function in (called, getattr(called, "__call__", None)):  # noqa: B004 - of an object
            if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
                raise InputError(
                    "is async: it blocks, and is called in a thread, by build and abuild alike; "
                    "asyncio.run(…) inside of it waits for what is async",
                    place=f"{place}.{name}",
                )


def changed(
    before: Sequence[tuple[Hashable, int]], now: Sequence[tuple[Hashable, Sequence[Passage]]]
) -> Change:
    """What became of passages that stand under names, of which each only gets more.

    Args:
        before: the names in their order, and how many passages each had: a mark.
        now: the names in their order, with all their passages.
    """
    kept = same = 0
    added: list[Passage] = []
    for (old, count), (name, passages) in zip(before, now, strict=False):
        if old != name or count > len(passages):
            break
        kept += count
        same += 1
        if count < len(passages):
            added += passages[count:]
            break
    for _, passages in now[same:]:
        added += passages
    return Change(kept, added, tuple((name, len(passages)) for name, passages in now))


def warn_of_damage(what: str, name: str, error: StoreCorrupt) -> None:
    """Log what is left out; by the hash of its name, which may tell of what is in it.

    Args:
        what: is damaged.
        name: of it.
        error: says how.
    """
    log.warning(
        "%s cannot be read and is left out (blake2b of its name %s, %s, record %d)",
        what,
        blake2b(name.encode(), digest_size=8).hexdigest(),
        type(error).__name__,
        error.position,
    )
