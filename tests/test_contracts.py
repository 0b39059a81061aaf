"""Every strategy and index of the library keeps the contract that one's own must keep."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest

import contextkit as ck
from contextkit.retrieval.index_inputs import model_of, scope_key
from contextkit.testing import check_index, check_strategy


def embed(texts: Sequence[str]) -> np.ndarray:
    return np.array([[len(text), text.count("e") + 0.1] for text in texts])


STRATEGIES = [
    (ck.DropOldest(), "compaction"),
    (ck.KeepLast(2), "compaction"),
    (ck.ClearToolResults(keep_last=2), "compaction"),
    (ck.ClearToolResults(keep_last=1, at_least=200), "compaction"),
    (ck.ClearMedia(keep_last=0), "compaction"),
    (ck.SummarizeOldest(lambda _: "They looked orders up."), "compaction"),
    (ck.ClampToolResults(50), "arrival"),
    (ck.Volatile("now", lambda: "12:01"), "tail"),
]


@pytest.mark.parametrize(("strategy", "phase"), STRATEGIES, ids=lambda value: repr(value)[:24])
def test_strategies_keep_the_contract(strategy: Any, phase: str) -> None:
    check_strategy(strategy, phase)


def test_retrieval_keeps_the_contract() -> None:
    check_strategy(ck.Retrieve(ck.VectorIndex(embed), share=200), "tail")


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[Any]:
    """Makes indexes in directories of their own."""
    made: list[ck.ChromaIndex] = []

    def make() -> ck.ChromaIndex:
        made.append(ck.ChromaIndex(embed, tmp_path / f"index {len(made)}"))
        return made[-1]

    yield make
    for index in made:
        index.close()


def test_retrieval_over_chroma_keeps_the_contract(chroma: Any) -> None:
    check_strategy(ck.Retrieve(chroma(), share=200), "tail")


def test_the_indexes_keep_the_contract(chroma: Any, tmp_path: Path) -> None:
    check_index(lambda: ck.VectorIndex(embed))
    check_index(lambda: ck.SQLiteIndex(embed, tmp_path / uuid4().hex))
    check_index(chroma)


@dataclass(frozen=True)
class DropNewest:
    """Touches what is protected."""

    def propose(self, view: ck.View, goal: int) -> Iterable[ck.Edit]:
        last = view.groups[-1].numbers
        return [ck.Edit("drop", covers=last, reason="no respect")]


@dataclass(frozen=True)
class DoNothing:
    def propose(self, view: ck.View, goal: int) -> Iterable[ck.Edit]:
        return []


@dataclass
class Fickle:
    turn: int = 0

    def propose(self, view: ck.View, goal: int) -> Iterable[ck.Edit]:
        self.turn += 1
        return [view.drop(view.free[0], reason=f"turn {self.turn}")]


@pytest.mark.parametrize(
    ("strategy", "says"),
    [(DropNewest(), "passed over"), (DoNothing(), "no edit"), (Fickle(), "the same")],
)
def test_the_contract_catches(strategy: Any, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_strategy(strategy)


class Deaf(ck.VectorIndex):
    """Keeps what it has first, as `add` of Chroma does."""

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        if fresh := len(addresses) == 3 and addresses[0] in self.vectors(scope, addresses):
            super().add(scope, addresses[1:2], vectors[1:2])
        if not fresh:
            super().add(scope, addresses, vectors)


class Joined(ck.VectorIndex):
    """Takes the parts of a scope together."""

    def vectors(self, scope: Any, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        return super().vectors(("".join(scope_key(scope)),), addresses)

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        super().add(("".join(scope_key(scope)),), addresses, vectors)

    def forget(self, scope: Any) -> int:
        return super().forget(("".join(scope_key(scope)),))


class Sorted(ck.VectorIndex):
    def vectors(self, scope: Any, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        return dict(sorted(super().vectors(scope, addresses).items()))


class Trusting(ck.VectorIndex):
    """Stores row by row, until one is bad."""

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        for address, vector in zip(addresses, vectors or (), strict=False):
            super().add(scope, [address], [vector])


class Widening(ck.VectorIndex):
    """Gives something where no scope is given."""

    def vectors(self, scope: Any, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        return super().vectors(scope or ("t", "me", "c"), addresses)


class Forgetful(ck.VectorIndex):
    """Does not know which model its vectors are of."""

    def vectors(self, scope: Any, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        if rows := self._rows.get(scope_key(scope)):
            rows.model = model_of(self.embed)
        return super().vectors(scope, addresses)


class Keeping(ck.VectorIndex):
    def forget(self, scope: Any) -> int:
        return len(self.vectors(scope, ["a", "b", "c", "\u00e9\0"]))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        (Deaf, "replaced"),
        (Joined, "another scope"),
        (Sorted, "order asked for"),
        (Trusting, "refused"),
        (Widening, "is no scope"),
        (Forgetful, "another model"),
        (Keeping, "forgotten"),
    ],
)
def test_the_contract_of_indexes_catches(index: Any, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_index(lambda: index(embed))
