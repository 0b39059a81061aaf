"""The schema of the SQLite file: its tables, and the steps by which an older file gets them.

A process with an older version of contextkit that still has the file open cannot append to it any
more once it is newer (its statement does not fit the table): it fails, and nothing is written, so
that no message comes in without its entry in the outbox.
"""

from __future__ import annotations

import sqlite3

from contextkit.errors import StoreError, StoreSchemaError

SCHEMA = 2
_APPLICATION = 0x636B6974  # marks a file as ours: "ckit"

_CONVERSATIONS = (
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
_RETRIEVAL = (
    # Counts the appends of a user: which of the conversations was appended to last.
    "ALTER TABLE conversations ADD COLUMN changed INTEGER NOT NULL DEFAULT 0",
    "CREATE INDEX conversations_changed ON conversations(tenant, user, changed)",
    # Of a conversation the document is empty, of a document the conversation.
    """CREATE TABLE outbox(
        tenant TEXT NOT NULL, user TEXT NOT NULL, conversation TEXT NOT NULL,
        document TEXT NOT NULL, since INTEGER NOT NULL, version INTEGER NOT NULL,
        PRIMARY KEY (tenant, user, conversation, document)) STRICT""",
    # Numbers of rows that were deleted are not given again: a version names one content for ever.
    """CREATE TABLE documents(
        version INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant TEXT NOT NULL, user TEXT NOT NULL, source TEXT NOT NULL,
        body TEXT NOT NULL, hash BLOB NOT NULL,
        UNIQUE (tenant, user, source)) STRICT""",
    """INSERT INTO outbox SELECT tenant, user, conversation, '', 0, version
        FROM conversations WHERE version > 0""",
    "PRAGMA user_version = 2",
)
_STEPS = (_CONVERSATIONS, _RETRIEVAL)
"""What makes each schema of the one before it."""


def prepare(path: str, db: sqlite3.Connection) -> None:
    """Make the tables in an empty or older file; refuse a file that is not ours to write to."""
    for begin in ("BEGIN", "BEGIN IMMEDIATE"):  # the second where something is to be done
        db.execute(begin)
        found = _found(path, db)
        if begin == "BEGIN IMMEDIATE":
            for step in _STEPS[found:]:
                for statement in step:
                    db.execute(statement)
        db.execute("COMMIT")
        if found == SCHEMA:
            return


def _found(path: str, db: sqlite3.Connection) -> int:
    """The schema version of the file, 0 for an empty one."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != _APPLICATION and (tables or version or application):
        raise StoreError(f"{path} belongs to another program: give the store its own file")
    if version > SCHEMA:
        raise StoreSchemaError(path, version, SCHEMA)
    return int(version)
