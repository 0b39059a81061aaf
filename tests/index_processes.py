"""Indexes in processes that are killed, or that crash: forked from one that has imported all.

Run as `python -m tests.index_processes kill|damage INDEX PATH …`; prints JSON. Importing chromadb
takes a second, a fork some milliseconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep
from typing import Any

import numpy as np

import contextkit as ck
from contextkit.errors import IndexUnusable

SCOPE = ("tenant", "user", "conversation")


def opened(kind: str, path: Path) -> Any:
    return ck.ChromaIndex(len, path) if kind == "chroma" else ck.SQLiteIndex(len, path)


def vector(number: int, part: int) -> list[float]:
    return [1.0, number % 13, part, *[number % 3] * 61]


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """A process that does something and ends; its id and what it writes to."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        os.close(reading)
        code = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # Rust says much where it panics
            work(writing)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    return pid, reading


# -- kill -9 ---------------------------------------------------------------------------------


def kill(kind: str, path: Path, seed: int, kills: int) -> dict[str, int]:
    """Add in a loop, be killed, look whether all is there that was acknowledged; and so on."""
    rng = random.Random(seed)
    acknowledged, rounds = 0, 0
    for _ in range(kills):
        first = acknowledged

        def write(out: int, first: int = first) -> None:
            index = opened(kind, path)
            look(index, first)
            number = first
            while True:
                names = [f"{number}-{part}" for part in range(5)]
                index.add(SCOPE, [*names, "same"], [vector(number, part) for part in range(6)])
                number += 1
                os.write(out, number.to_bytes(4))

        pid, reading = forked(write)
        for _ in range(rng.randrange(1, 4)):
            acknowledged = int.from_bytes(os.read(reading, 4)) or acknowledged
        sleep(rng.random() * 0.03)
        os.kill(pid, signal.SIGKILL)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert ended == -signal.SIGKILL, f"it ended with {ended} before it was killed"
        while data := os.read(reading, 4):
            acknowledged = int.from_bytes(data)
        os.close(reading)
        rounds += acknowledged > first

    pid, reading = forked(lambda out: os.write(out, count(kind, path, acknowledged).to_bytes(4)))
    rows = int.from_bytes(os.read(reading, 4))
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert ended == 0, "what was acknowledged is not there"
    return {"acknowledged": acknowledged, "rounds": rounds, "rows": rows}


def look(index: Any, acknowledged: int) -> None:
    """All that was acknowledged is there, and every row is whole."""
    names = [f"{number}-{part}" for number in range(acknowledged + 2) for part in range(5)]
    found = index.vectors(SCOPE, names)
    assert list(found)[: 5 * acknowledged] == names[: 5 * acknowledged]
    for name, unit in found.items():
        row = np.array(vector(*map(int, name.split("-"))))
        assert np.allclose(unit, row / np.linalg.norm(row), atol=1e-6)


def count(kind: str, path: Path, acknowledged: int) -> int:
    index = opened(kind, path)
    look(index, acknowledged)
    rows: int = index.forget(SCOPE)
    if kind == "chroma":
        index.close()
    return rows


# -- damage ----------------------------------------------------------------------------------


def flipped(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A if number % 997 == 5 else byte for number, byte in enumerate(data))


DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes] | None]] = {
    "the database is empty": ("chroma.sqlite3", lambda data: b""),
    "the database is cut": ("chroma.sqlite3", lambda data: data[: len(data) // 2]),
    "the database is flipped": ("chroma.sqlite3", flipped),
    "the header is empty": ("header.bin", lambda data: b""),
    "the header is cut": ("header.bin", lambda data: data[:50]),
    "the vectors are empty": ("data_level0.bin", lambda data: b""),
    "the vectors are flipped": ("data_level0.bin", flipped),
    "the links are flipped": ("link_lists.bin", flipped),
    "the lengths are flipped": ("length.bin", flipped),
    "the ids are flipped": ("index_metadata.pickle", flipped),
    "the ids are gone": ("index_metadata.pickle", None),
}


def damage(kind: str, path: Path) -> dict[str, list[str]]:
    """What comes of damaged files, use by use, until a process ends by itself."""
    names = [f"n{number}" for number in range(1_200)]
    rows = np.random.default_rng(1).normal(size=(1_200, 16))
    units = (rows / np.linalg.norm(rows, axis=1)[:, None]).astype(np.float32)

    def use(out: int, where: Path, *, make: bool = False) -> None:
        try:
            index = opened(kind, where)
            if make:
                index.add(SCOPE, names, rows)
            found = index.vectors(SCOPE, names)
            index.add(SCOPE, ["x"], rows[:1])
            index.close()
        except IndexUnusable as error:
            told = "elete the directory" in str(error)
            crashes = "makes Chroma crash" in str(error)
            os.write(out, b"crashes" if crashes else b"told" if told else b"nothing to do is told")
            return
        right = all(np.array_equal(found[name], units[int(name[1:])]) for name in found)
        missing = b"missing" if len(found) < len(names) else b"right"
        os.write(out, missing if right else b"wrong")

    def used(where: Path, *, make: bool = False) -> str:
        pid, reading = forked(lambda out: use(out, where, make=make))
        said = os.read(reading, 99).decode()
        os.close(reading)
        ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return said if ended == 0 else signal.Signals(-ended).name if ended < 0 else "an error"

    whole = path / "whole"
    found = {"nothing": [used(whole, make=True)]}
    for what, (name, change) in DAMAGES.items():
        where = path / "damaged"
        shutil.copytree(whole, where)
        file = next(where.rglob(name))
        if change is None:
            file.unlink()
        else:
            file.write_bytes(change(file.read_bytes()))
        found[what] = [used(where)]
        while found[what][-1].startswith("SIG") and len(found[what]) < 3:
            found[what].append(used(where))
        shutil.rmtree(where)  # as the errors say
    found["all is deleted"] = [used(where, make=True)]
    return found


if __name__ == "__main__":
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)  # forks of a process that has threads
    command, which, folder, *numbers = sys.argv[1:]
    if which == "chroma":
        import chromadb  # noqa: F401 - once, for all forks
        import filelock  # noqa: F401

        if command == "kill" and "CONTEXTKIT_SOAK" not in os.environ:
            # Nearly all are killed inside of Chroma; trying that out takes two seconds each time.
            from contextkit.retrieval import directory

            directory.crashes = lambda path: False
    run: Any = {"kill": kill, "damage": damage}[command]
    sys.stdout.write(json.dumps(run(which, Path(folder), *map(int, numbers))))
