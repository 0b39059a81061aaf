"""VectorFile: the vectors of one tenant, in one SQLite file with a checksum for each row."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from contextkit.errors import IndexBusy, IndexCorrupt, IndexUnusable

if TYPE_CHECKING:
    import numpy as np

_FORMAT = 1
_APPLICATION = int.from_bytes(b"ckvx")
_AT_ONCE = 500  # rows asked for in one statement

# Rows are found by an index beside them. Where scope and row are the key of the table itself,
# SQLite keeps long rows on pages of their own, and 10,000 rows of 384 dimensions take twice the
# time to be added and read (measured 2026-11-22).
_TABLES = """
CREATE TABLE model (name TEXT NOT NULL, dimension INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE TABLE rows (
    scope BLOB NOT NULL, row BLOB NOT NULL, checksum INTEGER NOT NULL, vector BLOB NOT NULL,
    UNIQUE (scope, row)
);
"""
_PUT = """
INSERT INTO rows (scope, row, checksum, vector) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET checksum = excluded.checksum, vector = excluded.vector
"""

# No WAL: with a rollback journal, the versions of SQLite that can damage a WAL which several
# processes write to (before 3.51.3, https://www.sqlite.org/wal.html#walresetbug) do no harm.
# On one page is room for 4,000 dimensions.
_SETTINGS = """
PRAGMA page_size = 16384;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA mmap_size = 0;
PRAGMA secure_delete = ON;
PRAGMA synchronous = NORMAL;
"""

_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_WHAT_TO_DO = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written: check its rights",
    sqlite3.SQLITE_PERM: "it cannot be opened: check its rights",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: check its rights",
    sqlite3.SQLITE_IOERR: "reading or writing failed: check the disk and the space left on it",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}


@dataclass(frozen=True, slots=True)
class VectorFile:
    """A file, which is open only while something is read or written.

    Attributes:
        path: where it is.
        timeout: seconds to wait for another thread or process.
    """

    path: Path
    timeout: float

    def make(self) -> None:
        """Make it where it is not there, for its owner alone: its journal gets the same rights.

        Raises:
            IndexUnusable: it cannot be made.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except OSError as error:
            what = f"cannot be made ({error}): check the rights"
            raise IndexUnusable(str(self.path), what) from error

    @contextmanager
    def reading(self) -> Iterator[VectorTables | None]:
        """What it holds, at one moment; None where it is empty.

        Raises:
            IndexCorrupt, IndexUnusable: it cannot be read.
        """
        with self._transaction("BEGIN") as db:
            yield None if _is_empty(db, self.path) else VectorTables(self.path, db)

    @contextmanager
    def writing(self) -> Iterator[VectorTables]:
        """What it holds, to be changed: wholly, or not at all where anything goes wrong inside.

        Raises:
            IndexCorrupt, IndexUnusable: it cannot be written.
        """
        with self._transaction("BEGIN IMMEDIATE") as db:
            if _is_empty(db, self.path):
                for statement in _TABLES.split(";"):
                    db.execute(statement)
                db.execute(f"PRAGMA application_id = {_APPLICATION}")
                db.execute(f"PRAGMA user_version = {_FORMAT}")
            yield VectorTables(self.path, db)

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            opened = sqlite3.connect(
                f"{self.path.as_uri()}?mode=rw",
                uri=True,
                timeout=self.timeout,
                isolation_level=None,
            )
            with closing(opened) as db:
                db.executescript(_SETTINGS)
                db.execute(begin)
                yield db
                db.execute("COMMIT")  # where it is not reached, closing takes all back
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter for damaged names
            code = int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF  # the primary one
            if code in _BUSY:
                raise IndexBusy(str(self.path), self.timeout) from error
            if what := _WHAT_TO_DO.get(code):
                raise IndexUnusable(str(self.path), f"cannot be used: {what} ({error})") from error
            raise _corrupt(self.path, f"cannot be read ({error})") from error


@dataclass(frozen=True, slots=True)
class VectorTables:
    """What an open file holds."""

    path: Path
    db: sqlite3.Connection

    def model(self) -> tuple[str, int] | None:
        """Name and dimension of what made the vectors; None where nothing is held.

        Raises:
            IndexCorrupt: it is damaged.
        """
        found = self.db.execute("SELECT name, dimension, checksum FROM model").fetchone()
        if found is None:
            return None
        name, dimension, checksum = found
        if checksum != _sum(repr((name, dimension)).encode()):
            raise _corrupt(self.path, "is damaged")
        return name, dimension

    def made_by(self, name: str, dimension: int) -> None:
        """Say what makes the vectors."""
        checksum = _sum(repr((name, dimension)).encode())
        self.db.execute("INSERT INTO model VALUES (?, ?, ?)", [name, dimension, checksum])

    def put(self, scope: bytes, rows: Iterable[bytes], units: np.ndarray) -> None:
        """Hold vectors, one for each row; one that is there already is replaced."""
        blobs = (unit.tobytes() for unit in units.astype("<f4", copy=False))
        pairs = zip(rows, blobs, strict=True)
        self.db.executemany(_PUT, ((scope, r, _sum(scope, r, blob), blob) for r, blob in pairs))

    def get(
        self, scope: bytes, rows: Sequence[bytes], dimension: int
    ) -> Iterator[tuple[bytes, np.ndarray]]:
        """Those of some rows that are held, in no order.

        Raises:
            IndexCorrupt: one of them is damaged.
        """
        import numpy as np

        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            found = self.db.execute(
                "SELECT row, checksum, vector FROM rows WHERE scope = ? AND row IN "  # noqa: S608
                f"({', '.join('?' * len(part))})",  # marks alone
                [scope, *part],
            ).fetchall()
            for row, checksum, blob in found:
                right = isinstance(blob, bytes) and len(blob) == 4 * dimension
                if not right or checksum != _sum(scope, row, blob):
                    raise _corrupt(self.path, "is damaged")
            block = np.frombuffer(b"".join(blob for _, _, blob in found), "<f4")
            units = block.astype(np.float32).reshape(len(found), dimension)
            yield from zip([row for row, _, _ in found], units, strict=True)

    def delete(self, scope: bytes) -> int:
        """Delete the vectors of a scope; with the last of all, what is said of their model."""
        deleted = self.db.execute("DELETE FROM rows WHERE scope = ?", [scope]).rowcount
        if self.db.execute("SELECT 1 FROM rows LIMIT 1").fetchone() is None:
            self.db.execute("DELETE FROM model")
        return deleted

    def clear(self) -> int:
        """Delete all vectors, and what is said of their model."""
        self.db.execute("DELETE FROM model")
        return self.db.execute("DELETE FROM rows").rowcount


def _is_empty(db: sqlite3.Connection, path: Path) -> bool:
    """Whether a file has no tables yet; where it has any, they are checked to be ours."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if (application, version) == (_APPLICATION, _FORMAT):
        return False
    if application == _APPLICATION and version > _FORMAT:
        raise IndexUnusable(
            str(path),
            f"has format {version}, and this version of contextkit knows them up to {_FORMAT}: "
            "upgrade contextkit, or delete the file; what is missing is embedded again",
        )
    if application or version or db.execute("SELECT 1 FROM sqlite_schema").fetchone():
        raise _corrupt(path, "was not made here")
    return True


def _corrupt(path: Path, what: str) -> IndexCorrupt:
    return IndexCorrupt(str(path), what, delete="the file")


def _sum(*parts: bytes) -> int:
    checksum = 0
    for part in parts:
        checksum = crc32(part, checksum)
    return checksum
