"""SQLiteStore: conversations in one SQLite file; everything is written whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

from contextkit.errors import (
    InputError,
    ScopeError,
    StoreConflict,
    StoreError,
    StoreUnreadable,
)
from contextkit.scope import Scope, ScopeKey, check_name
from contextkit.storage import outbox
from contextkit.storage.connection import Connection
from contextkit.storage.rows import body_of, chain_start, chained, checked_records
from contextkit.storage.schema import prepare
from contextkit.store import Pending, shelf_key

JSON = Mapping[str, Any]

_LONGEST = 86_400  # seconds to wait for another writer
_OLDEST = (3, 37, 0)  # the first SQLite with STRICT tables


class SQLiteStore:
    """A `Store` in one SQLite file, or in memory under the name `:memory:`.

    Make one per process and share it between threads. Other processes may use the same file. Each
    record is chained to the one before it by a hash that begins with the scope, so that a record
    that was changed, moved or removed is found when the conversation is loaded; whoever can write
    to the file can also write new hashes.

    Args:
        path: the file; it is made where there is none, for its owner alone. Give it a file of its
            own.
        timeout: seconds to wait for another writer.

    Raises:
        StoreSchemaError: when a newer version of contextkit wrote the file.
        StoreUnreadable: when the file is damaged, or no SQLite file.
        StoreError: when it cannot be opened.

    Example:
        >>> from contextkit import Scope, SQLiteStore
        >>> scope = Scope(tenant="acme", user="u1", conversation="42")
        >>> with SQLiteStore(":memory:") as store:
        ...     store.append(scope, [{"type": "note"}], expected=0)
        ...     store.load(scope)
        1
        [{'type': 'note'}]
    """

    def __init__(self, path: str | Path, *, timeout: float = 10.0) -> None:
        self.path = _path(path)
        if sqlite3.sqlite_version_info < _OLDEST:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old: 3.37 or newer is needed")
        if not (type(timeout) in (int, float) and 0 <= timeout <= _LONGEST):
            raise InputError(
                f"is seconds, 0 to {_LONGEST:,}, not {timeout!r:.60}", place="SQLiteStore.timeout"
            )
        self._connection = Connection(self.path, timeout, partial(prepare, self.path))
        with self._connection.held():  # says now what is wrong with the file
            pass

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What is in memory is gone then. May be called again."""
        self._connection.close()

    # -- the four methods of a store ---------------------------------------------------------

    def load(self, scope: Scope) -> list[dict[str, Any]]:
        """All records of a conversation in order; empty for one that is not there.

        Raises:
            StoreCorrupt: with the number of the first record that is not what was written.
        """
        return self.load_since(scope, 0)

    def append(
        self,
        scope: Scope,
        records: Sequence[JSON],
        *,
        expected: int | None,
        decisions: Mapping[tuple[str, str], JSON] | None = None,
    ) -> int:
        """Append records and decisions in one transaction, and give the new version.

        Args:
            scope: whose conversation.
            records: JSON records.
            expected: the version the caller has seen; None appends after whatever is there.
            decisions: by (view, prefix hash); one that is there already stays as it is.

        Raises:
            StoreConflict: when the log is not at the expected version; nothing was written.
            StoreBusy: when others kept the file locked.
            InputError: when a record is not JSON.
        """
        key = _key(scope)
        if isinstance(records, str | bytes | Mapping) or not isinstance(records, Sequence):
            raise InputError(f"are a list, not {type(records).__name__}", place="records")
        if not (expected is None or type(expected) is int):
            raise InputError(f"is a version, or None, not {expected!r:.60}", place="expected")
        bodies = [body_of(record, f"records[{at}]") for at, record in enumerate(records)]
        made = [
            (_name(view), _name(address), body_of(data, f"decisions[{address}]"))
            for (view, address), data in (decisions or {}).items()
        ]
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            version, digest = _head(db, key)
            if expected is not None and expected != version:
                raise StoreConflict(expected, version)
            rows = []
            for position, body in enumerate(bodies, start=version):
                digest = chained(digest, body)
                rows.append((*key, position, body.decode(), digest))
            db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "UPDATE conversations SET version = ?, hash = ?, changed ="
                " (SELECT max(changed) + 1 FROM conversations WHERE tenant = ? AND user = ?)"
                " WHERE tenant = ? AND user = ? AND conversation = ?",
                (version + len(rows), digest, *key[:2], *key),
            )
            outbox.enter(db, key, records, version)
            for view, address, body in made:
                _insert_decision(db, (*key, view, address), body)
        return version + len(rows)

    def decisions(
        self, scope: Scope, view: str, hashes: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """The decisions recorded at any of these prefix hashes.

        Raises:
            StoreUnreadable: when one of them is not what was written.
        """
        key = (*_key(scope), _name(view))
        wanted = json.dumps([_name(address) for address in hashes])
        with self._connection.transaction("BEGIN") as db:
            rows = db.execute(
                "SELECT address, CAST(body AS BLOB), hash FROM decisions"
                " WHERE tenant = ? AND user = ? AND conversation = ? AND view = ?"
                " AND address IN (SELECT value FROM json_each(?))",
                (*key, wanted),
            ).fetchall()
        return {address: _decision((*key, address), *row) for address, *row in rows}

    def decide(self, scope: Scope, view: str, prefix_hash: str, decision: JSON) -> dict[str, Any]:
        """Record a decision if there is none at this hash yet, and give the one that stands."""
        key = (*_key(scope), _name(view), _name(prefix_hash))
        body = body_of(decision, "decision")
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            _head(db, key[:3])
            _insert_decision(db, key, body)
            row = db.execute(
                "SELECT CAST(body AS BLOB), hash FROM decisions"
                " WHERE tenant = ? AND user = ? AND conversation = ? AND view = ? AND address = ?",
                key,
            ).fetchone()
        return _decision(key, *row)

    # -- what recall and the feeding of an index need ----------------------------------------

    def load_since(self, scope: Scope, version: int) -> list[dict[str, Any]]:
        """The records of a conversation behind the first `version` ones, in order.

        Costs what those records cost.

        Raises:
            StoreCorrupt: with the number of the first record that is not what was written.
        """
        key = _key(scope)
        if type(version) is not int or version < 0:
            raise InputError(f"is a version, not {version!r:.60}", place="version")
        of_conversation = " WHERE tenant = ? AND user = ? AND conversation = ?"
        with self._connection.transaction("BEGIN") as db:
            head = db.execute(
                f"SELECT version, hash FROM conversations{of_conversation}",  # noqa: S608 - constant
                key,
            ).fetchone()
            rows = db.execute(
                "SELECT position, CAST(body AS BLOB), hash FROM records"  # noqa: S608 - the same
                f"{of_conversation} AND position >= ? ORDER BY position",
                (*key, max(0, version - 1)),
            ).fetchall()
        return checked_records(key, head or (0, chain_start(key)), rows, version)

    def conversations(self, scope: Scope) -> list[tuple[str, int]]:
        """All conversations of the user of a scope with their versions, the scope's own too.

        Those of the same tenant and user alone, the one that was appended to last at the end.
        """
        tenant, user, _ = _key(scope)
        with self._connection.transaction("BEGIN") as db:
            return db.execute(
                "SELECT conversation, version FROM conversations"
                " WHERE tenant = ? AND user = ? AND version > 0 ORDER BY changed, rowid",
                (tenant, user),
            ).fetchall()

    def pending(self, limit: int, after: Pending | None = None) -> list[Pending]:
        """What of conversations and documents is not indexed yet, in the order of their keys.

        Args:
            limit: the most entries.
            after: the last entry of those before.
        """
        if type(limit) is not int or limit < 1:
            raise InputError(f"is 1 at least, not {limit!r:.60}", place="limit")
        if not isinstance(after, Pending | None):
            raise InputError(f"is an entry of pending(), not {after!r:.60}", place="after")
        with self._connection.transaction("BEGIN") as db:
            return outbox.entries(db, limit, after)

    def done(self, entry: Pending) -> None:
        """Take an entry out of the outbox, up to its version: what came since stays there."""
        if not isinstance(entry, Pending):
            raise InputError(f"is an entry of pending(), not {entry!r:.60}", place="entry")
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            outbox.leave(db, entry.scope, entry.document, entry.version)

    def pend_all(self, tenant: str | None = None) -> int:
        """Enter all that is kept again, of one tenant or of all; how much is entered then."""
        if tenant is not None:
            check_name(tenant, "tenant")
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            return outbox.enter_all(db, tenant)

    # -- documents ---------------------------------------------------------------------------

    def documents(self, shelf: ScopeKey) -> list[tuple[str, int]]:
        """The sources of all documents on a shelf with their versions, as they were put there."""
        tenant, user, _ = shelf_key(shelf)
        with self._connection.transaction("BEGIN") as db:
            return db.execute(
                "SELECT source, version FROM documents WHERE tenant = ? AND user = ?"
                " ORDER BY version",
                (tenant, user),
            ).fetchall()

    def document(self, shelf: ScopeKey, source: str) -> dict[str, Any] | None:
        """One document; None where there is none.

        Raises:
            StoreUnreadable: when it is not what was put there.
        """
        key = (*shelf_key(shelf), source)
        check_name(source, "source")
        with self._connection.transaction("BEGIN") as db:
            row = db.execute(
                "SELECT CAST(body AS BLOB), hash FROM documents"
                " WHERE tenant = ? AND user = ? AND source = ?",
                (*key[:2], source),
            ).fetchone()
        if row is None:
            return None
        body, recorded = row
        if chained(chain_start(key), body) != recorded:
            raise StoreUnreadable("a document is not what was written there")
        found: dict[str, Any] = json.loads(body)
        return found

    def put_document(self, shelf: ScopeKey, source: str, document: JSON | None) -> bool:
        """Put a document in place of what is there, or take it away; whether any was there."""
        key = (*shelf_key(shelf), source)
        check_name(source, "source")
        body = None if document is None else body_of(document, "document")
        where = (*key[:2], source)
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            deleted = db.execute(
                "DELETE FROM documents WHERE tenant = ? AND user = ? AND source = ?", where
            ).rowcount
            outbox.leave(db, key[:3], source, None)
            if body is not None:
                added = db.execute(
                    "INSERT INTO documents(tenant, user, source, body, hash)"
                    " VALUES (?, ?, ?, ?, ?)",
                    (*where, body.decode(), chained(chain_start(key), body)),
                )
                outbox.enter_document(db, key[:3], source, int(added.lastrowid or 0))
        return bool(deleted)


# -- rows ------------------------------------------------------------------------------------


def _key(scope: Scope) -> tuple[str, str, str]:
    if not isinstance(scope, Scope):
        raise ScopeError(
            f"a store needs to know whose conversation it is: a Scope, not {type(scope).__name__}"
        )
    return scope.key


def _path(value: Any) -> str:
    if not isinstance(value, str | Path) or not str(value) or "\0" in str(value):
        raise InputError(f"is the path of a file, not {value!r}", place="SQLiteStore.path")
    try:
        str(value).encode()
    except UnicodeEncodeError as error:
        raise InputError("holds a lone surrogate", place="SQLiteStore.path") from error
    return str(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():  # not printable: lone surrogates
        raise InputError(f"is a printable string, not {value!r}", place="view or prefix hash")
    return value


def _decision(key: tuple[str, ...], body: bytes, recorded: bytes) -> dict[str, Any]:
    if chained(chain_start(key), body) != recorded:
        raise StoreUnreadable(
            f"the decision at {key[-1]} of view {key[-2]!r} is not what was written there"
        )
    decision: dict[str, Any] = json.loads(body)
    return decision


def _head(db: sqlite3.Connection, key: tuple[str, ...]) -> tuple[int, bytes]:
    """The version and the last hash of a conversation; it is there afterwards."""
    db.execute(
        "INSERT INTO conversations VALUES (?, ?, ?, 0, ?, 0) ON CONFLICT DO NOTHING",
        (*key, chain_start(key)),
    )
    version, digest = db.execute(
        "SELECT version, hash FROM conversations"
        " WHERE tenant = ? AND user = ? AND conversation = ?",
        key,
    ).fetchone()
    return version, digest


def _insert_decision(db: sqlite3.Connection, key: tuple[str, ...], body: bytes) -> None:
    db.execute(
        "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (*key, body.decode(), chained(chain_start(key), body)),
    )
