"""Whether Chroma crashes on a directory, found out in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_SOUND, _FAILED = 0, 3  # what the probe ends with by itself
_ROWS = 1_000  # read of each collection
_SECONDS = 60.0


def crashes(path: str) -> bool:
    """Whether a process that uses the directory dies of it. Nobody else may have it open.

    Flipped bytes in the files of Chroma's graph can end the process with SIGSEGV (in 20 of 150
    damaged directories, measured 2026-11-22), which no `except` catches. So where the process that
    had the directory last died inside of Chroma, killed or crashed, another one goes first.
    """
    if "python" not in Path(sys.executable or "").name.lower():
        return False  # an embedded interpreter: nobody knows what would be started
    found = [*filter(None, sys.path), str(Path(__file__).parents[2])]
    try:
        ended = subprocess.run(  # noqa: S603 - this very interpreter
            [sys.executable, "-P", "-m", "contextkit.retrieval.chroma_probe", path],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False  # not known: then it is tried
    return ended.returncode not in (_SOUND, _FAILED)


def _use(path: str) -> None:
    """What an index does with each collection: reads, adds what is new, replaces, deletes."""
    from contextkit.retrieval.directory import opened

    client = opened(path)
    for collection in client.list_collections():
        held: Any = collection.get(limit=_ROWS, include=["embeddings"])
        step = max(1, len(held["ids"]) // 20)
        vectors = held["embeddings"][::step]
        if len(vectors):
            rows = [f"probe {number}" for number in range(len(vectors))]
            for _ in range(2):
                collection.upsert(rows, vectors)
            collection.query(query_embeddings=vectors, n_results=10)
            collection.delete(rows)
    client.close()


if __name__ == "__main__":
    try:
        _use(sys.argv[1])
    except BaseException:  # noqa: BLE001 - Chroma says so to the index itself, which can tell it
        os._exit(_FAILED)
    os._exit(_SOUND)
