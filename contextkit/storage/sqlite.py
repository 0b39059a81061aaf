"""SQLiteStore: conversations in one SQLite file; everything is written whole or not at all."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

from contextkit.errors import (
    InputError,
    ScopeError,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreSchemaError,
    StoreUnreadable,
)
from contextkit.scope import Scope
from contextkit.storage.connection import Connection

JSON = Mapping[str, Any]

_SCHEMA = 1
_APPLICATION = 0x636B6974  # marks a file as ours: "ckit"
_LONGEST = 86_400  # seconds to wait for another writer
_OLDEST = (3, 37, 0)  # the first SQLite with STRICT tables

_TABLES = (
    """CREATE TABLE conversations(
        tenant TEXT NOT NULL, user TEXT NOT NULL, conversation TEXT NOT NULL,
        version INTEGER NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (tenant, user, conversation)) STRICT""",
    """CREATE TABLE records(
        tenant TEXT NOT NULL, user TEXT NOT NULL, conversation TEXT NOT NULL,
        position INTEGER NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (tenant, user, conversation, position),
        FOREIGN KEY (tenant, user, conversation) REFERENCES conversations) STRICT""",
    """CREATE TABLE decisions(
        tenant TEXT NOT NULL, user TEXT NOT NULL, conversation TEXT NOT NULL,
        view TEXT NOT NULL, address TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL,
        PRIMARY KEY (tenant, user, conversation, view, address),
        FOREIGN KEY (tenant, user, conversation) REFERENCES conversations) STRICT""",
    "PRAGMA application_id = 0x636B6974",
    "PRAGMA user_version = 1",
)


class SQLiteStore:
    """A `Store` in one SQLite file, or in memory under the name `:memory:`.

    Make one per process and share it between threads. Other processes may use the same file. Each
    record is chained to the one before it by a hash that begins with the scope, so that a record
    that was changed, moved or removed is found when the conversation is loaded; whoever can write
    to the file can also write new hashes.

    Args:
        path: the file; it is made where there is none. Give it a file of its own.
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
        self._connection = Connection(self.path, timeout, partial(_prepare, self.path))
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
        key = _key(scope)
        with self._connection.transaction("BEGIN") as db:
            head = db.execute(
                "SELECT version, hash FROM conversations"
                " WHERE tenant = ? AND user = ? AND conversation = ?",
                key,
            ).fetchone()
            rows = db.execute(
                "SELECT position, CAST(body AS BLOB), hash FROM records"
                " WHERE tenant = ? AND user = ? AND conversation = ? ORDER BY position",
                key,
            ).fetchall()
        version, last = head or (0, _start(key))
        digest = _start(key)
        records = []
        for expected, (position, body, recorded) in enumerate(rows):
            if position != expected:
                raise StoreCorrupt("is missing", position=expected)
            digest = _chain(digest, body)
            if digest != recorded:
                raise StoreCorrupt("is not what was written here", position=position)
            records.append(_read(body, position))
        if len(rows) != version:
            missing = f"is missing: the conversation had {version:,} records"
            surplus = f"was not written by a store: the conversation has {version:,} records"
            raise StoreCorrupt(
                missing if len(rows) < version else surplus, position=min(len(rows), version)
            )
        if digest != last:
            raise StoreCorrupt("is not what was written here", position=max(0, version - 1))
        return records

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
        bodies = [_body(record, f"records[{at}]") for at, record in enumerate(records)]
        made = [
            (_name(view), _name(address), _body(data, f"decisions[{address}]"))
            for (view, address), data in (decisions or {}).items()
        ]
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            version, digest = _head(db, key)
            if expected is not None and expected != version:
                raise StoreConflict(expected, version)
            rows = []
            for position, body in enumerate(bodies, start=version):
                digest = _chain(digest, body)
                rows.append((*key, position, body.decode(), digest))
            db.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.execute(
                "UPDATE conversations SET version = ?, hash = ?"
                " WHERE tenant = ? AND user = ? AND conversation = ?",
                (version + len(rows), digest, *key),
            )
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
        body = _body(decision, "decision")
        with self._connection.transaction("BEGIN IMMEDIATE") as db:
            _head(db, key[:3])
            _insert_decision(db, key, body)
            row = db.execute(
                "SELECT CAST(body AS BLOB), hash FROM decisions"
                " WHERE tenant = ? AND user = ? AND conversation = ? AND view = ? AND address = ?",
                key,
            ).fetchone()
        return _decision(key, *row)


# -- the schema ------------------------------------------------------------------------------


def _prepare(path: str, db: sqlite3.Connection) -> None:
    """Make the tables in an empty file; refuse a file that is not ours to write to."""
    for begin in ("BEGIN", "BEGIN IMMEDIATE"):  # the second where something is to be done
        db.execute(begin)
        found = _found(path, db)
        if begin == "BEGIN IMMEDIATE" and found != _SCHEMA:
            for statement in _TABLES:
                db.execute(statement)
        db.execute("COMMIT")
        if found == _SCHEMA:
            return


def _found(path: str, db: sqlite3.Connection) -> int:
    """The schema version of the file, 0 for an empty one."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION and (tables or version or application):
        raise StoreError(f"{path} belongs to another program: give the store its own file")
    if version > _SCHEMA:
        raise StoreSchemaError(path, version, _SCHEMA)
    return int(version)


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


def _body(record: Any, place: str) -> bytes:
    if not isinstance(record, Mapping):
        raise InputError(f"is a JSON object, not {type(record).__name__}", place=place)
    try:
        text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", place=place) from error


def _read(body: bytes, position: int) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StoreCorrupt(f"is not JSON: {error}", position=position) from error
    if not isinstance(record, dict):
        raise StoreCorrupt("is not a JSON object", position=position)
    return record


def _decision(key: tuple[str, ...], body: bytes, recorded: bytes) -> dict[str, Any]:
    if _chain(_start(key), body) != recorded:
        raise StoreUnreadable(
            f"the decision at {key[-1]} of view {key[-2]!r} is not what was written there"
        )
    decision: dict[str, Any] = json.loads(body)
    return decision


def _head(db: sqlite3.Connection, key: tuple[str, ...]) -> tuple[int, bytes]:
    """The version and the last hash of a conversation; it is there afterwards."""
    db.execute(
        "INSERT INTO conversations VALUES (?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
        (*key, _start(key)),
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
        (*key, body.decode(), _chain(_start(key), body)),
    )


def _start(key: tuple[str, ...]) -> bytes:
    return blake2b(json.dumps([_SCHEMA, *key]).encode(), digest_size=16).digest()


def _chain(previous: bytes, body: bytes) -> bytes:
    return blake2b(previous + body, digest_size=16).digest()
