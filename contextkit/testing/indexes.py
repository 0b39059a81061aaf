"""What an index must do, to be tried on one's own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from contextkit.errors import EmbeddingError, ScopeError
from contextkit.retrieval.index import Embed, Index, ScopeKey
from contextkit.testing.promising import promise as _promise
from contextkit.testing.promising import refuses as _refuses
from contextkit.testing.promising import told_by_name as _told_by_name


def check_index(make_index: Callable[[], Index | Awaitable[Index]]) -> None:
    """An index gives back what was added, in one scope only, and refuses bad vectors whole.

    It is given what the library gives an index: addresses in a list, none twice, at least one; as
    many vectors in a list, float32; scopes as tuples.

    Args:
        make_index: gives a new index with nothing in it, or an awaitable of one. It is used in one
            event loop, where it is async.

    Raises:
        AssertionError: says what the index does not do.
    """
    with asyncio.Runner() as runner:
        for check in (_keeps_vectors, _keeps_scopes_apart, _refuses_vectors, _refuses_models):
            index = _Awaited(_wait(runner, make_index()), runner)
            with _told_by_name(index.takes):
                check(index)


_MINE, _YOURS, _HISTORY = ("t", "me", "c"), ("t", "you", "c"), ("0123456789abcdef",)
_NAMES = ["b", "a", "c"]
_ROWS = [[1.0, 0.0], [0.5**0.5, 0.5**0.5], [0.0, 1.0]]


def _held(index: Index, scope: tuple[str, ...] = _MINE, names: Sequence[str] = ()) -> Any:
    """What an index holds, as lists, with one digit."""
    found = index.vectors(scope, [*(names or _NAMES), "x", "y"])
    for vector in found.values():
        _promise(abs(float(vector @ vector) - 1) < 1e-5, what="vectors come in unit length")
        _promise(str(vector.dtype) == "float32", what="vectors come as float32")
    return [(name, [round(float(value), 1) for value in row]) for name, row in found.items()]


def _keeps_vectors(index: Index) -> None:
    _promise(index.vectors(_MINE, _NAMES) == {}, what="nothing is held at first")
    index.add(_MINE, _NAMES, _ROWS)
    all_three = [("b", [1.0, 0.0]), ("a", [0.7, 0.7]), ("c", [0.0, 1.0])]
    _promise(_held(index) == all_three, what="vectors come back in the order asked for")
    before = index.vectors(_MINE, ["b"])
    index.add(_MINE, ["d", "b"], [[1.0, 0.0], [0.0, -1.0]])
    _promise(_held(index, names=["b"]) == [("b", [0.0, -1.0])], what="what is new is replaced")
    _promise(list(before["b"]) == [1.0, 0.0], what="what was given does not change")
    _promise(index.forget(_MINE) == 4, what="forget says how many vectors it deleted")
    _promise(index.forget(_MINE) == 0, what="what is forgotten is gone")
    _promise(_held(index) == [], what="what is forgotten is not given")
    index.add(_MINE, ["c"], [[0.0, 1.0]])
    _promise(_held(index) == [("c", [0.0, 1.0])], what="what was forgotten may come again")


def _keeps_scopes_apart(index: Index) -> None:
    index.add(_MINE, _NAMES, _ROWS)
    index.add(_YOURS, ["a"], [[0.0, 1.0]])
    _promise(_held(index, _YOURS) == [("a", [0.0, 1.0])], what="a scope sees another scope")
    for stranger in _STRANGERS:
        _promise(_held(index, stranger) == [], what=f"{stranger} sees another scope")
        _promise(index.forget(stranger) == 0, what=f"{stranger} deletes in another scope")
    for nobody in _NOBODIES:
        for what in (
            partial(index.vectors, nobody, _NAMES),
            partial(index.add, nobody, ["z"], [[1.0, 0.0]]),
            partial(index.forget, nobody),
        ):
            _refuses(what, ScopeError, f"{nobody!r} is no scope")
    _promise(index.forget(_YOURS) == 1, what="forget deletes in its scope alone")
    _promise(len(_held(index)) == 3, what="forget deletes in its scope alone")


def _refuses_vectors(index: Index) -> None:
    nan, inf = float("nan"), float("inf")
    rows: list[list[list[float]]] = [
        [[1.0, 0.0], [nan, 1.0]], [[1.0, 0.0], [0.0, inf]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]],
        [[1.0, 0.0], [1.0]],
    ]  # fmt: skip
    for bad in rows:
        _refuses(partial(index.add, _MINE, ["x", "y"], bad), EmbeddingError, f"{bad}")
    _promise(_held(index) == [], what="what is refused is refused whole")
    index.add(_MINE, _NAMES, _ROWS)
    for bad in (*rows, [[1.0] * 3] * 2, [[1.0]] * 2):
        _refuses(partial(index.add, _MINE, ["x", "b"], bad), EmbeddingError, f"{bad}")
    kept = [("b", [1.0, 0.0]), ("a", [0.7, 0.7]), ("c", [0.0, 1.0])]
    _promise(_held(index) == kept, what="what is refused is refused whole, and replaces nothing")


def _refuses_models(index: Index) -> None:
    first, second, nameless = _Named("model one"), _Named("model two"), _Named("")
    index.embed = first
    index.add(_MINE, _NAMES, _ROWS)
    index.add(_HISTORY, ["a"], [[1.0, 0.0]])
    for other in (second, nameless):
        index.embed = other
        for what in (
            partial(index.vectors, _MINE, _NAMES),
            partial(index.add, _MINE, ["x"], [[1.0, 0.0]]),
            partial(index.vectors, _HISTORY, ["a"]),
        ):
            error = _refuses(what, EmbeddingError, "vectors of another model")
            _promise("model one" in error, what="the error names the model of the vectors")
            _promise(other.name in error, what="the error names the model of the embedder")
    index.embed = first
    _promise(index.reindex() == 0, what="reindex deletes nothing of the same model")
    _promise(len(_held(index)) == 3, what="what is refused is not touched")
    index.embed = second
    _promise(index.reindex() == 4, what="reindex deletes what another model made, in all scopes")
    _promise(_held(index) == [], what="what reindex deleted is gone")
    index.add(_MINE, ["x"], [[0.6, 0.8, 0.0]])
    _promise(len(_held(index)) == 1, what="after reindex another dimension is taken")
    index.embed = nameless
    _promise(index.reindex() == 1, what="where the embedder has no name, reindex deletes all")
    index.add(_MINE, ["y"], [[1.0, 0.0]])
    _promise(len(_held(index)) == 1, what="an embedder needs no name")


@dataclass(frozen=True)
class _Named:
    name: str

    def __call__(self, texts: Sequence[str]) -> Any:
        raise AssertionError("an index embeds nothing by itself")


class _Awaited:
    """An index of which every result is waited for, and the last call known."""

    def __init__(self, index: Any, runner: asyncio.Runner) -> None:
        self.called = "no arguments"
        self._index = index
        self._runner = runner

    def takes(self) -> str:
        """What was asked of it last."""
        return f"an index takes {self.called}"

    @property
    def embed(self) -> Embed:
        embed: Embed = self._index.embed
        return embed

    @embed.setter
    def embed(self, embed: Embed) -> None:
        self._index.embed = embed

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Any:
        self.called = f"vectors({scope!r}, a list of {len(addresses)} texts)"
        return _wait(self._runner, self._index.vectors(scope, list(addresses)))

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        import numpy as np

        rows = [np.array(vector, np.float32) for vector in vectors]
        self.called = f"add({scope!r}, a list of {len(addresses)} texts, a list of {len(rows)} rows"
        self.called += ", float32)"
        return _wait(self._runner, self._index.add(scope, list(addresses), rows))

    def forget(self, scope: ScopeKey) -> Any:
        self.called = f"forget({scope!r})"
        return _wait(self._runner, self._index.forget(scope))

    def reindex(self) -> Any:
        self.called = "reindex()"
        return _wait(self._runner, self._index.reindex())


def _wait(runner: asyncio.Runner, given: Any) -> Any:
    async def waited() -> Any:
        return await given

    return runner.run(waited()) if inspect.isawaitable(given) else given


# None of them is ("t", "me", "c"), however its parts are joined or compared.
_STRANGERS = [
    ("t", "me", "C"), ("t", "mec", ""), ("tm", "e", "c"), ("t", "me", ""), ("t", "", ""),
    ("t", "me", "c\0"), ("t", "me", "%"), ("t", "me", "*"), ("T", "me", "c"), ("t",), ("tmec",),
    ("t", "", "fed"),
]  # fmt: skip
_NOBODIES: list[Any] = [
    None, (), "", "t", [], ["t", "me", "c"], {}, {"$ne": "x"}, ("t", None, "c"), (None,), ("t", 1),
    ({"$ne": "x"}, "me", "c"), ("t", ["me"], "c"), ("t", b"me", "c"), True, 0, frozenset({"t"}),
    ("",), ("t", "me"), ("", "me", "c"), ("t", "", "c"), ("", "", ""),
    ("t", "me", "c", ""), ("t", "me", "\ud800"),
]  # fmt: skip
