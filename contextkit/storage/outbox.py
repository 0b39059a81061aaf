"""The outbox of the SQLite store: what no index has yet; every function in a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from contextkit.scope import ScopeKey
from contextkit.store import Pending


def enter(
    db: sqlite3.Connection,
    key: tuple[str, str, str],
    records: Sequence[Mapping[str, Any]],
    since: int,
) -> None:
    """Enter a conversation to which these records came behind the first `since` ones.

    An entry that is there keeps where it begins, and grows. Without messages nothing is entered.
    """
    if any(record.get("type") == "message" for record in records):
        db.execute(
            "INSERT INTO outbox VALUES (?, ?, ?, '', ?, ?)"
            " ON CONFLICT DO UPDATE SET version = excluded.version",
            (*key, since, since + len(records)),
        )


def enter_document(db: sqlite3.Connection, key: tuple[str, str, str], name: str, at: int) -> None:
    """Enter a document with its version, in place of an earlier one."""
    db.execute(
        "INSERT INTO outbox VALUES (?, ?, ?, ?, 0, ?)"
        " ON CONFLICT DO UPDATE SET version = excluded.version",
        (*key, name, at),
    )


def leave(db: sqlite3.Connection, key: ScopeKey, document: str, version: int | None) -> None:
    """Take an entry out up to a version; None for the whole."""
    where = "WHERE tenant = ? AND user = ? AND conversation = ? AND document = ?"
    db.execute(
        f"DELETE FROM outbox {where} AND version <= coalesce(?, version)",  # noqa: S608 - a constant
        (*key, document, version),
    )
    if version is not None and not document:
        db.execute(
            f"UPDATE outbox SET since = max(since, ?) {where}",  # noqa: S608 - a constant
            (version, *key, document),
        )


def entries(db: sqlite3.Connection, limit: int, after: Pending | None) -> list[Pending]:
    """What is in the outbox, in the order of its keys."""
    last = (*after.scope, after.document) if after else ("", "", "", "")
    rows = db.execute(
        "SELECT tenant, user, conversation, document, since, version FROM outbox"
        " WHERE (tenant, user, conversation, document) > (?, ?, ?, ?)"
        " ORDER BY tenant, user, conversation, document LIMIT ?",
        (*last, limit),
    ).fetchall()
    return [
        Pending((tenant, user, conversation), version, since, document)
        for tenant, user, conversation, document, since, version in rows
    ]


def enter_all(db: sqlite3.Connection, tenant: str | None) -> int:
    """Enter all conversations and documents from their beginning, and give how many there are."""
    of = (tenant, tenant)
    db.execute("DELETE FROM outbox WHERE ? IS NULL OR tenant = ?", of)
    db.execute(
        "INSERT INTO outbox SELECT tenant, user, conversation, '', 0, version FROM conversations"
        " WHERE version > 0 AND (? IS NULL OR tenant = ?)",
        of,
    )
    db.execute(
        "INSERT INTO outbox SELECT tenant, user, '', source, 0, version FROM documents"
        " WHERE ? IS NULL OR tenant = ?",
        of,
    )
    (count,) = db.execute(
        "SELECT count(*) FROM outbox WHERE ? IS NULL OR tenant = ?", of
    ).fetchone()
    return int(count)
