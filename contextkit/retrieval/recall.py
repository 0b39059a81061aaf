"""Recall: long-term recall, from the other conversations of the same user."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import attrgetter
from threading import RLock
from typing import Any, cast

from contextkit.budget import whole_number
from contextkit.errors import InputError, ScopeError, StoreCorrupt
from contextkit.messages import Message
from contextkit.records import record_from_json
from contextkit.retrieval.bounded import Bounded
from contextkit.retrieval.passages import PAUSE, ROLES, Passage, checked_roles, passage_of
from contextkit.retrieval.sources import Change, Mark, changed, warn_of_damage
from contextkit.scope import Scope, ScopeKey
from contextkit.store import RecallStore, needs_recall

_OVERHEAD = 400  # bytes of a passage besides its texts

_Name = tuple[str, int, float | None]
"""Of a sitting: its conversation, its number there, and when it began, where that is known."""


@dataclass(slots=True)
class _Sitting:
    """The passages of one session; when the last was said, where that is known.

    Its name has when it began: another one, where a conversation was deleted and begun again.
    """

    name: _Name
    ended: float | None = None
    passages: list[Passage] = field(default_factory=list)


@dataclass(slots=True)
class _Known:
    """One conversation as far as it was read; `latest` is the latest time in it."""

    scope: Scope
    version: int = 0
    messages: int = 0
    session: int = 0
    time: float | None = None
    latest: float | None = None
    sittings: list[_Sitting] = field(default_factory=list)
    bytes: int = _OVERHEAD
    damaged: bool = False


@dataclass(slots=True)
class _User:
    """The conversations of one user that were read, and who reads them now."""

    lock: Any = field(default_factory=RLock)
    known: dict[str, _Known] = field(default_factory=dict)


class Recall:
    """Passages of the user's other conversations. A `Source`, for those who declare it.

    Of the same tenant and user alone, whatever the other conversations are called. What was said
    there is read once, and from then on what is new, when a conversation of that user asks. All
    of them have one corpus in common, in which the one that asks does not count: what it finds
    depends on what the store has of the user, and on nothing else.

    What tools gave is left out unless asked for: web pages and files that somebody else wrote
    would speak in all conversations of the user from then on.

    Args:
        store: keeps the conversations: a `RecallStore`, such as `SQLiteStore`.
        roles: whose messages are recalled, of `user`, `assistant` and `tool`.
        max_bytes: bound on what is remembered, in bytes of texts; the users who asked longest ago
            go first, and are read anew when they ask again. What is searched is made of it, and
            has a bound of its own: `corpora.MAX_BYTES`.

    Raises:
        InputError: when the store cannot say which conversations a user has.

    Example:
        >>> from contextkit import History, Recall, Scope, SQLiteStore
        >>> from contextkit.records import record_to_json
        >>> store = SQLiteStore(":memory:")
        >>> history = History(["My cat is called Mia."])
        >>> _ = store.append(Scope("acme", "u1", "41"), [record_to_json(history.records[0])],
        ...                  expected=0)
        >>> [found] = Recall(store).read(Scope("acme", "u1", "42")).added
        >>> found.text, found.source, found.number
        ('My cat is called Mia.', '41', 0)
    """

    name = "earlier conversations"

    def __init__(
        self,
        store: RecallStore,
        *,
        roles: Collection[str] = ROLES,
        max_bytes: int = 64_000_000,
    ) -> None:
        self.store = needs_recall(store, "Recall")
        whole_number("Recall.max_bytes", max_bytes, least=0)
        self.roles, self.max_bytes = checked_roles(roles, "Recall.roles"), max_bytes
        self._users = Bounded(lambda _: _User(), max_bytes, size=_OVERHEAD)

    def __repr__(self) -> str:
        return f"Recall({self.store!r})"

    @property
    def settings(self) -> dict[str, list[str]]:
        """What is recorded of it: whose messages are recalled."""
        return {"roles": sorted(self.roles)}

    def owner(self, scope: Scope) -> ScopeKey:
        """(tenant, user): all conversations of a user are searched in one corpus."""
        return _checked(scope).key[:2]

    def read(self, scope: Scope, since: Mark | None = None) -> Change:
        """What changed in the user's conversations since a reading, the one that asks among them.

        They come by sittings, in the order in which these ended, so that where conversations go
        on in turn no more moves than the sittings under way. Conversations without times come
        before them, each whole, those that were appended to last at their end, as the store says.
        Where the one that asks is the only one, it is read when another one asks. One that is
        damaged is left out, and logged.

        Raises:
            ScopeError: it is no scope.
            StoreError: the store cannot be read.
        """
        key = self.owner(scope)
        before = [cast("tuple[_Name, int]", entry) for entry in since or ()]
        user = self._users.of(key)
        with user.lock:
            versions = dict(self.store.conversations(scope))
            if not before and versions.keys() == {scope.conversation}:
                return Change(0, [], ())  # which nobody could be shown
            now = self._read(scope, user, versions)
            change = changed(before, [(one.name, one.passages) for one in now])
            size = _OVERHEAD + sum(one.bytes for one in user.known.values())
            self._users.weigh(key, user, size)
        return change

    def _read(self, scope: Scope, user: _User, versions: Mapping[str, int]) -> list[_Sitting]:
        """The sittings of a user in their order, up to date."""
        for gone in user.known.keys() - versions.keys():
            del user.known[gone]
        read = []
        for name, version in versions.items():
            known = user.known.get(name)
            if known is None or known.version > version:
                known = user.known[name] = _Known(Scope(scope.tenant, scope.user, name))
            if known.version < version:
                try:
                    self._advance(known)
                except StoreCorrupt as error:
                    # Tried again with each question, as a process does that has not read any of it.
                    user.known[name] = _Known(known.scope, damaged=True)
                    if not known.damaged:
                        warn_of_damage("a conversation", name, error)
                    continue
            read += known.sittings
        timed = [one for one in read if one.ended is not None]
        timed.sort(key=attrgetter("ended", "name"))
        return [*(one for one in read if one.ended is None), *timed]

    def _advance(self, known: _Known) -> None:
        """Read what is new of a conversation: all of it, or on an error nothing."""
        records = self.store.load_since(known.scope, known.version)
        messages = [
            message_of(record, position)
            for position, record in enumerate(records, start=known.version)
            if record.get("type") == "message"
        ]
        known.version += len(records)
        for message in messages:
            self._add(known, message)

    def _add(self, known: _Known, message: Message) -> None:
        number = known.messages
        known.messages += 1
        if message.role not in self.roles:
            return
        if message.time is not None:
            if known.time is None and known.sittings:
                # What was kept without times was said before, and stays where it is from now on.
                [first] = known.sittings
                first.name, first.ended = (*first.name[:2], message.time), message.time
                known.session += 1
            elif known.time is not None and message.time - known.time > PAUSE:
                known.session += 1
            known.time = message.time
            if known.latest is None or message.time > known.latest:
                known.latest = message.time
        passage = passage_of(
            message,
            number,
            session=_first_session(known.scope) + known.session,
            scope=known.scope.key,
            source=known.scope.conversation,
        )
        if passage is None:
            return
        if not known.sittings or known.sittings[-1].name[1] != known.session:
            name = known.scope.conversation, known.session, known.time
            known.sittings.append(_Sitting(name))
            known.bytes += _OVERHEAD
        sitting = known.sittings[-1]
        sitting.passages.append(passage)
        sitting.ended = known.latest  # with a clock that was set back, too, they keep their order
        known.bytes += _OVERHEAD + len(passage.text)


def _checked(scope: Any) -> Scope:
    if not isinstance(scope, Scope):
        raise ScopeError(f"whose conversations? A Scope says it, not {type(scope).__name__}")
    return scope


def message_of(record: Any, position: int) -> Message:
    """The message of a stored record.

    Raises:
        StoreCorrupt: it is none.
    """
    try:
        message = record_from_json(record)
    except (InputError, KeyError, TypeError, AttributeError) as error:
        raise StoreCorrupt(f"is no message: {error}", position=position) from error
    if not isinstance(message, Message):
        raise StoreCorrupt("is no message", position=position)
    return message


def _first_session(scope: Scope) -> int:
    """A number for the first session of a conversation: the same in every process."""
    digest = blake2b(scope.conversation.encode(), digest_size=4).digest()
    return int.from_bytes(digest) << 16
