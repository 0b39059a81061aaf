"""Log lines: the text form of a log: JSON Lines, each chained to the one before, with an end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any

from contextkit.errors import StoreCorrupt


def chained(lines: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The lines, each with the hash that chains it to those before."""
    digest = ""
    for line in lines:
        digest = _digest(digest, line)
        yield {**line, "hash": digest}


def write_lines(lines: Iterable[Mapping[str, Any]]) -> str:
    """The text of a log. Without its end line a log was cut off, and is not read."""
    given = list(lines)
    whole = chained([*given, {"end": len(given)}])
    return "".join(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n" for line in whole)


def read_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines that were written, with their positions, the end line left out.

    Raises:
        StoreCorrupt: with the position of the first line that is not JSON, is not what was written
            there, or is missing at the end.
    """
    digest = ""
    ended = False
    # Not splitlines(): a message may hold U+2028 and other characters that it splits at.
    text_lines = text.removesuffix("\n").split("\n")
    for position, text_line in enumerate(text_lines):
        if ended:
            raise StoreCorrupt("stands behind the end of the log", position=position)
        line = _parse(text_line, position)
        recorded = line.pop("hash", None)
        try:
            digest = _digest(digest, line)
        except (ValueError, RecursionError) as error:
            raise StoreCorrupt(f"is not JSON: {error}", position=position) from error
        if recorded != digest:
            raise StoreCorrupt("is not what was written here", position=position)
        ended = position > 0 and "end" in line
        if not ended:
            yield position, line
    if not ended:
        raise StoreCorrupt(
            "is missing: the log was cut off before its end", position=len(text_lines)
        )


def _parse(text: str, position: int) -> dict[str, Any]:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StoreCorrupt(f"is not JSON: {error}", position=position) from error
    if not isinstance(line, dict):
        raise StoreCorrupt("is not a JSON object", position=position)
    return line


def _digest(previous: str, line: Mapping[str, Any]) -> str:
    # Not canonical: the order of keys in a message is part of what must not change.
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return blake2b((previous + text).encode(), digest_size=16).hexdigest()
