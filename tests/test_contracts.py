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
from contextkit.errors import EmbeddingError, ScopeError
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


@pytest.fixture(params=["memory", "sqlite", "chroma"])
def make_index(request: Any, chroma: Any, tmp_path: Path) -> Any:
    return {
        "memory": lambda: ck.VectorIndex(embed),
        "sqlite": lambda: ck.SQLiteIndex(embed, tmp_path / uuid4().hex),
        "chroma": chroma,
    }[request.param]


def test_the_indexes_keep_the_contract(make_index: Any) -> None:
    check_index(make_index)


SCOPE = ("t", "u", "c")


def test_the_indexes_take_more_than_the_contract_asks_for(make_index: Any) -> None:
    """What is called by hand: lists of numbers of any length, addresses of any text, twice."""
    index = make_index()
    index.add(SCOPE, [], [])
    assert index.vectors(SCOPE, []) == {}
    index.add(SCOPE, ["b", "\u00e9\0", "b"], [[1.0, 1.0], [0.0, 5.0], [0.0, -2.0]])
    asked = ["e\u0301\0", "\u00e9", "\u00e9\0", "b", "b", "\u00e9\0"]
    found = index.vectors(SCOPE, asked)
    assert [(name, list(row)) for name, row in found.items()] == [
        ("\u00e9\0", [0.0, 1.0]),
        ("b", [0.0, -1.0]),
    ]
    for bad in ([[], []], [1.0, 0.0], [], None, "ab", [["a", "b"]] * 2):
        with pytest.raises(EmbeddingError):
            index.add(SCOPE, ["x", "b"], bad)
    assert index.forget(SCOPE) == 2


@pytest.mark.parametrize("user", ["*", "%", "None"])
def test_a_wildcard_is_a_name_like_any_other(make_index: Any, user: str) -> None:
    index = make_index()
    for scope in (("acme", "u1", "42"), ("acme", user, "42"), (user, "u1", "42")):
        index.add(scope, ["a"], [[1.0, 0.0]])

    assert index.forget(("acme", user, "42")) == 1
    assert list(index.vectors(("acme", "u1", "42"), ["a"])) == ["a"]
    assert list(index.vectors((user, "u1", "42"), ["a"])) == ["a"]


@pytest.mark.parametrize(
    "scope", [("acme", "u1"), ("",), ("acme", "", "42"), ("", "", ""), ("acme", "u1", "", "")]
)
def test_who_forgets_a_user_or_a_tenant_is_told_that_it_does_not(
    make_index: Any, scope: Any
) -> None:
    index = make_index()
    index.add(("acme", "u1", "42"), ["a"], [[1.0, 0.0]])

    with pytest.raises(ScopeError, match=r"for each conversation") as caught:
        index.forget(scope)
    assert "acme" not in str(caught.value)
    for kept in (("acme", "u1", "42"), ("acme", "u1", ""), ("acme", "", ""), (ck.History().id,)):
        index.add(kept, ["a"], [[1.0, 0.0]])
        assert index.forget(ck.Scope(*kept) if all(kept[2:]) and kept[1:] else kept) == 1


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
        held = self.vectors(scope, addresses)
        for address, vector in zip(addresses, vectors, strict=True):
            if address not in held:
                super().add(scope, [address], [vector])


class Joined(ck.VectorIndex):
    """Takes the parts of a scope together."""

    def vectors(self, scope: Any, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        return super().vectors(("".join(scope_key(scope)), "", ""), addresses)

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        super().add(("".join(scope_key(scope)), "", ""), addresses, vectors)

    def forget(self, scope: Any) -> int:
        return super().forget(("".join(scope_key(scope)), "", ""))


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
        return len(self.vectors(scope, ["a", "b", "c", "d"]))


class Loose(ck.VectorIndex):
    """Takes any tuple of texts for a scope."""

    def forget(self, scope: Any) -> int:
        try:
            return super().forget(scope)
        except ScopeError:
            if isinstance(scope, tuple) and scope and all(isinstance(p, str) for p in scope):
                return 0
            raise


class Arrays(ck.VectorIndex):
    """Takes one array of vectors, where they come in a list."""

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        super().add(scope, addresses, vectors.astype("float64"))


class Raw(ck.VectorIndex):
    """Divides by a length without looking at it."""

    def add(self, scope: Any, addresses: Sequence[str], vectors: Any) -> None:
        units = [[float(part) / sum(map(abs, map(float, v))) for part in v] for v in vectors]
        super().add(scope, addresses, units)


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
        (Loose, r"\('',\) is no scope"),
        (Arrays, r"takes add\(.*a list of 3 rows, float32\), not AttributeError"),
        (Raw, r"EmbeddingError, not ZeroDivisionError, is: \[\[1.0, 0.0\], \[0.0, 0.0\]\]"),
    ],
)
def test_the_contract_of_indexes_catches(index: Any, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        check_index(lambda: index(embed))
