"""Rows: records as the SQLite store writes and reads them, each chained to the one before it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from contextkit.errors import InputError, StoreCorrupt

_CHAIN = 1  # the form of the hashes; a part of the first one


def body_of(record: Any, place: str) -> bytes:
    """A record as it is written.

    Raises:
        InputError: it is not JSON.
    """
    if not isinstance(record, Mapping):
        raise InputError(f"is a JSON object, not {type(record).__name__}", place=place)
    try:
        text = json.dumps(dict(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"is not JSON: {error}", place=place) from error


def checked_records(
    key: tuple[str, str, str],
    head: tuple[int, bytes],
    rows: Sequence[tuple[int, bytes, bytes]],
    since: int,
) -> list[dict[str, Any]]:
    """The records behind the first `since` ones, of rows that begin with the one before them.

    Raises:
        StoreCorrupt: they are not what was written.
    """
    version, last = head
    if since > version:
        return []
    digest = chain_start(key)
    if since:  # the caller knows the record before; its hash stands for all up to it
        if not rows or rows[0][0] != since - 1:
            raise StoreCorrupt("is missing", position=since - 1)
        digest, rows = rows[0][2], rows[1:]
    records = []
    for expected, (position, body, recorded) in enumerate(rows, start=since):
        if position != expected:
            raise StoreCorrupt("is missing", position=expected)
        digest = chained(digest, body)
        if digest != recorded:
            raise StoreCorrupt("is not what was written here", position=position)
        records.append(read_body(body, position))
    found = since + len(records)
    if found != version:
        missing = f"is missing: the conversation had {version:,} records"
        surplus = f"was not written by a store: the conversation has {version:,} records"
        raise StoreCorrupt(missing if found < version else surplus, position=min(found, version))
    if digest != last:
        raise StoreCorrupt("is not what was written here", position=max(0, version - 1))
    return records


def read_body(body: bytes, position: int) -> dict[str, Any]:
    """A record of what was written.

    Raises:
        StoreCorrupt: it is none.
    """
    try:
        record = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise StoreCorrupt(f"is not JSON: {error}", position=position) from error
    if not isinstance(record, dict):
        raise StoreCorrupt("is not a JSON object", position=position)
    return record


def chain_start(key: tuple[str, ...]) -> bytes:
    """The hash that the first record under a key is chained to."""
    return blake2b(json.dumps([_CHAIN, *key]).encode(), digest_size=16).digest()


def chained(previous: bytes, body: bytes) -> bytes:
    """The hash of a record behind another one."""
    return blake2b(previous + body, digest_size=16).digest()
