"""One SQLite connection: for one thread at a time, never across a fork, with typed errors."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from threading import Lock
from time import monotonic, sleep
from weakref import WeakSet

from contextkit.errors import StoreBusy, StoreError, StoreUnreadable

log = logging.getLogger("contextkit")

MEMORY = ":memory:"

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


class Connection:
    """The connection of one process to one file, opened when it is first needed.

    Args:
        path: the file, or `:memory:`.
        timeout: seconds to wait for another thread or process.
        prepare: makes the tables, or refuses the file; called with each new connection.
    """

    def __init__(
        self, path: str, timeout: float, prepare: Callable[[sqlite3.Connection], None]
    ) -> None:
        self.path = path
        self.timeout = timeout
        self.closed = False
        self.lock = Lock()
        self._prepare = prepare
        self._db: sqlite3.Connection | None = None
        self._pid = 0
        _all.add(self)

    def __del__(self) -> None:
        if self._pid == os.getpid():
            self.disconnect()

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """All or nothing, whatever goes wrong inside: an error, Ctrl-C, a full disk."""
        with self.held() as db:
            try:
                db.execute(begin)
                yield db
                db.execute("COMMIT")
            except BaseException:
                self._roll_back(db)
                raise

    @contextmanager
    def held(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone; SQLite's errors become ours."""
        lock = self.lock
        if not lock.acquire(timeout=self.timeout):
            raise StoreBusy(self.path, self.timeout)
        try:
            yield self._opened()
        except sqlite3.Error as error:
            raise self._typed(error) from error
        finally:
            lock.release()

    def close(self) -> None:
        """Close it for good. May be called again."""
        with self.lock:
            self.closed = True
            self.disconnect()

    def disconnect(self) -> None:
        """Close it until it is next needed."""
        db, self._db = self._db, None
        if db is not None:
            db.close()

    def _opened(self) -> sqlite3.Connection:
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
        if self.path != MEMORY:
            # A new file is its owner's alone, and so are the -wal and -shm that SQLite puts beside
            # it. Why it cannot be made SQLite says.
            with suppress(OSError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
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
            db.close()  # takes back what was not committed
            raise
        if self.path != MEMORY:
            say_what_sqlite_lacks()
        return db

    def _roll_back(self, db: sqlite3.Connection) -> None:
        try:
            if db.in_transaction:
                db.execute("ROLLBACK")
        except sqlite3.Error:
            # What SQLite could not take back is taken back when the file is next opened.
            if self.path != MEMORY:
                self.disconnect()

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


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


# SQLite forbids to carry an open connection across a fork. So it is closed before one, with no
# thread inside, and both sides open their own when they next need one.

_all: WeakSet[Connection] = WeakSet()
_locks_at_fork: list[Lock] = []


def _before_fork() -> None:
    for connection in list(_all):
        if connection.path != MEMORY and connection.lock.acquire(timeout=connection.timeout):
            _locks_at_fork.append(connection.lock)
            connection.disconnect()


def _after_fork() -> None:
    while _locks_at_fork:
        _locks_at_fork.pop().release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )


@cache
def say_what_sqlite_lacks() -> None:
    """Once: SQLite 3.7.0 to 3.51.2 has a race between several writers of a WAL.

    Source: https://www.sqlite.org/wal.html#walresetbug, as of 2026-11-21.
    """
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
