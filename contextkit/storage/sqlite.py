"""SQLiteStore: conversations in one SQLite file; everything is written whole or not at all."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any, Self
from weakref import WeakSet

from contextkit.errors import (
    InputError,
    ScopeError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreSchemaError,
    StoreUnreadable,
)
from contextkit.scope import Scope

JSON = Mapping[str, Any]

log = logging.getLogger("contextkit")

_SCHEMA = 1
_APPLICATION = 0x636B6974  # marks a file as ours: "ckit"
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

# By SQLite's primary result code; the codes are a part of its stable interface.
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_WHAT_TO_DO = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written: check the rights on the file and its folder",
    sqlite3.SQLITE_PERM: "it cannot be written: check the rights on the file and its folder",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: its folder must exist and be writable",
    sqlite3.SQLITE_IOERR: "reading or writing failed: check the disk and the space left on it",
    sqlite3.SQLITE_TOOBIG: "a record is larger than SQLite takes: shorten it",
}


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
        self.timeout = timeout
        self.closed = False
        self._lock = Lock()
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        _open_stores.add(self)
        with self._held():
            pass

    def __repr__(self) -> str:
        return f"SQLiteStore({self.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_pid", None) == os.getpid():
            self._disconnect()

    def close(self) -> None:
        """Close the file. What is in memory is gone then. May be called again."""
        with self._lock:
            self.closed = True
            self._disconnect()

    # -- the four methods of a store ---------------------------------------------------------

    def load(self, scope: Scope) -> list[dict[str, Any]]:
        """All records of a conversation in order; empty for one that is not there.

        Raises:
            StoreCorrupt: with the number of the first record that is not what was written.
        """
        key = _key(scope)
        with self._transaction("BEGIN") as db:
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
        bodies = [_body(record, f"records[{at}]") for at, record in enumerate(records)]
        made = [
            (_name(view), _name(address), _body(data, f"decisions[{address}]"))
            for (view, address), data in (decisions or {}).items()
        ]
        with self._transaction("BEGIN IMMEDIATE") as db:
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
        with self._transaction("BEGIN") as db:
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
        with self._transaction("BEGIN IMMEDIATE") as db:
            _head(db, key[:3])
            _insert_decision(db, key, body)
            row = db.execute(
                "SELECT CAST(body AS BLOB), hash FROM decisions"
                " WHERE tenant = ? AND user = ? AND conversation = ? AND view = ? AND address = ?",
                key,
            ).fetchone()
        return _decision(key, *row)

    # -- the connection ----------------------------------------------------------------------

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """All or nothing, whatever goes wrong inside: an error, Ctrl-C, a full disk."""
        with self._held() as db:
            try:
                db.execute(begin)
                yield db
                db.execute("COMMIT")
            except BaseException:
                self._roll_back(db)
                raise

    @contextmanager
    def _held(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time; SQLite's errors become ours."""
        lock = self._lock
        if not lock.acquire(timeout=self.timeout):
            raise StoreBusy(self.path, self.timeout)
        try:
            yield self._connection()
        except sqlite3.Error as error:
            raise self._typed(error) from error
        finally:
            lock.release()

    def _connection(self) -> sqlite3.Connection:
        if self.closed:
            raise StoreError(f"{self.path} was closed: make another SQLiteStore")
        if self._db is not None and self._pid != os.getpid():
            # In memory, or forked without Python's knowledge: SQLite forbids to use, and even to
            # close, a connection on the other side of a fork.
            raise StoreError(
                f"{self.path} was opened before this process was forked: "
                "use a file, and make the store after the fork"
            )
        deadline = monotonic() + self.timeout
        while self._db is None:
            try:
                self._db = self._connect()
                self._pid = os.getpid()
            except sqlite3.Error as error:
                # Changing to WAL and recovering one do not wait by themselves.
                if _code(error) not in _BUSY or monotonic() > deadline:
                    raise
                sleep(0.01)
        return self._db

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA mmap_size = 0")
            self._prepare(db)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA foreign_keys = ON")
            db.execute("PRAGMA secure_delete = ON")
        except BaseException:
            db.close()
            raise
        if self.path != ":memory:":
            _say_what_sqlite_lacks()
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        """Make the tables in an empty file; refuse a file that is not ours to write to."""
        if self._found(db) == _SCHEMA:
            return
        db.execute("BEGIN IMMEDIATE")
        try:
            if self._found(db) != _SCHEMA:  # nobody else was first
                for statement in _TABLES:
                    db.execute(statement)
            db.execute("COMMIT")
        except BaseException:
            self._roll_back(db)
            raise

    def _found(self, db: sqlite3.Connection) -> int:
        """The schema version of the file, 0 for an empty one."""
        (version,) = db.execute("PRAGMA user_version").fetchone()
        (application,) = db.execute("PRAGMA application_id").fetchone()
        (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application != _APPLICATION and (tables or version or application):
            raise StoreError(f"{self.path} belongs to another program: give the store its own file")
        if version > _SCHEMA:
            raise StoreSchemaError(self.path, version, _SCHEMA)
        return int(version)

    def _roll_back(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            # What SQLite could not take back is taken back when the file is next opened.
            if self.path != ":memory:":
                self._disconnect()

    def _disconnect(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _typed(self, error: sqlite3.Error) -> StoreError:
        code = _code(error)
        if code in _BUSY:
            return StoreBusy(self.path, self.timeout)
        if code in _DAMAGED:
            return StoreUnreadable(
                f"{self.path} is damaged or no SQLite file ({error}): restore it from a backup, or "
                "save what can be read with `sqlite3 FILE .recover`"
            )
        what = _WHAT_TO_DO.get(code, "SQLite refused")
        return StoreError(
            f"{self.path}: {what} ({error}). Nothing was written; it may be repeated."
        )


# -- forking ---------------------------------------------------------------------------------

# SQLite forbids to carry an open connection across a fork. So it is closed before one, with no
# thread inside, and both sides open their own when they next need one.

_open_stores: WeakSet[SQLiteStore] = WeakSet()
_locks_at_fork: list[Lock] = []


def _before_fork() -> None:
    for store in list(_open_stores):
        if store.path != ":memory:" and store._lock.acquire(timeout=store.timeout):  # noqa: SLF001
            _locks_at_fork.append(store._lock)  # noqa: SLF001
            store._disconnect()  # noqa: SLF001


def _after_fork() -> None:
    while _locks_at_fork:
        _locks_at_fork.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


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
    return str(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():  # not printable: lone surrogates
        raise InputError(f"is a printable string, not {value!r}", place="view or prefix hash")
    return value


def _body(record: JSON, place: str) -> bytes:
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", place=place) from error


def _read(body: bytes, position: int) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except ValueError as error:
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


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


@cache
def _say_what_sqlite_lacks() -> None:
    """Once: SQLite 3.7.0 to 3.51.2 has a race between several writers of a WAL (sqlite.org/wal)."""
    version = sqlite3.sqlite_version_info
    mended = version >= (3, 51, 3) or any(
        version[:2] == fixed[:2] and version >= fixed for fixed in ((3, 50, 7), (3, 44, 6))
    )
    if not mended:
        log.info(
            "SQLite %s can, very rarely, damage a file that several processes write to at once "
            "(mended in 3.51.3); one writing process is safe",
            sqlite3.sqlite_version,
        )
