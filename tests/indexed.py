"""What tests of indexes share: an embedder of words, something to find, processes, threads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

import contextkit as ck
from tests.support import SCOPE, answer, builder, chat, user, wire

KEY = SCOPE.key
OTHER = ("tenant", "other", "conversation")
NAMES = ["a", "b", "c"]
ROWS = [[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]


class Embedder:
    """Words that two texts share make them near; counts what it was asked for."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        rows = np.full((len(texts), 32), 0.001)
        for row, text in zip(rows, texts, strict=True):
            for word in text.split():
                row[sum(map(ord, word)) % 32] += 1
        return rows


def vault() -> list[dict[str, Any]]:
    messages = [user("the code of the vault is 4711"), answer("noted")]
    for number in range(14):
        messages += [user(f"filler{number} " * 8), answer(f"other{number} " * 8)]
    return [*messages, user("what was the code of the vault ?")]


def held(index: Any, scope: tuple[str, ...] = KEY, names: Sequence[str] = NAMES) -> list[str]:
    """Which addresses it holds."""
    return list(index.vectors(scope, names))


def same(index: Any, other: Any, scope: tuple[str, ...], names: Sequence[str]) -> bool:
    """Whether two indexes give the same bytes, in the same order."""
    one, two = index.vectors(scope, names), other.vectors(scope, names)
    return [(n, v.tobytes()) for n, v in one.items()] == [(n, v.tobytes()) for n, v in two.items()]


def python(source: str, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", source, *map(str, arguments)]
    pipe = subprocess.PIPE
    root = Path(__file__).parents[1]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root)


def ends(source: str, *arguments: Any) -> str:
    """What a process prints that must end well."""
    process = python(source, *arguments)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0
    return said


def check_threads(index: Any, *, turns: int, conversations: int) -> None:
    """Threads that share an index find what was said in their own conversations, and no other."""

    def converse(number: int) -> list[str]:
        history = ck.History(scope=ck.Scope(f"tenant {number % 3}", "u", str(number)))
        history.extend([user(f"secret{number} of the vault"), answer("noted"), *chat(14)[1:-1]])
        shown = []
        for turn in range(turns):
            history.append(f"the vault ? {turn}")
            strategy = ck.Retrieve(index, share=120, seconds=60)
            context = builder(500, tail=[strategy]).build(history)
            assert not context.report.failures
            shown.append(wire(context))
            history.append(answer("so"))
        return shown

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(converse, range(conversations)))

    for number, shown in enumerate(found):
        text = "".join(shown)
        assert f"secret{number} " in text
        assert text.count("secret") == text.count(f"secret{number} ")
