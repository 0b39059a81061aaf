"""What an index must do, to be tried on one's own."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from contextkit.errors import ContextKitError, EmbeddingError, ScopeError
from contextkit.retrieval.index import Embed, Index, ScopeKey
from contextkit.testing.promising import promise as _promise
from contextkit.testing.promising import refuses as _refuses


def check_index(make_index: Callable[[], Index | Awaitable[Index]]) -> None:
    """An index gives back what was added, in one scope only, and refuses bad vectors whole.

    Args:
        make_index: gives a new index with nothing in it, or an awaitable of one. It is used in one
            event loop, where it is async.

    Raises:
        AssertionError: says what the index does not do.
    """
    with asyncio.Runner() as runner:
        for check in (_keeps_vectors, _keeps_scopes_apart, _refuses_vectors, _refuses_models):
            check(_Awaited(_wait(runner, make_index()), runner))


_MINE, _YOURS = ("t", "me", "c"), ("t", "you", "c")
_NAMES = ["b", "a", "c"]
_ROWS = [[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]]


def _held(index: Index, scope: tuple[str, ...] = _MINE, names: Sequence[str] = ()) -> Any:
    """What an index holds, as lists, with one digit."""
    found = index.vectors(scope, [*(names or _NAMES), "x", "y"])
    for vector in found.values():
        _promise(abs(float(vector @ vector) - 1) < 1e-5, what="vectors come in unit length")
        _promise(str(vector.dtype) == "float32", what="vectors come as float32")
    return [(name, [round(float(value), 1) for value in row]) for name, row in found.items()]


def _keeps_vectors(index: Index) -> None:
    _promise(index.vectors(_MINE, _NAMES) == {}, what="nothing is held at first")
    index.add(_MINE, [], [])
    index.add(_MINE, _NAMES, _ROWS)
    all_three = [("b", [1.0, 0.0]), ("a", [0.7, 0.7]), ("c", [0.0, 1.0])]
    _promise(_held(index) == all_three, what="vectors come back in the order asked for")
    _promise(index.vectors(_MINE, []) == {}, what="nothing is given where nothing is asked for")
    twice = index.vectors(_MINE, ["c", "b", "c"])
    _promise(list(twice) == ["c", "b"], what="what is asked for twice is given once")
    index.add(_MINE, ["b", "\u00e9\0", "b"], [[1.0, 1.0], [0.0, 1.0], [0.0, -2.0]])
    _promise(_held(index, names=["b"]) == [("b", [0.0, -1.0])], what="what is new is replaced")
    _promise(
        _held(index, names=["e\u0301\0", "\u00e9", "\u00e9\0"]) == [("\u00e9\0", [0.0, 1.0])],
        what="addresses are compared as they are",
    )
    _promise(list(twice["b"]) == [1.0, 0.0], what="what was given does not change")
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
    for filters in _FILTERS:
        _refuses(partial(index.vectors, _MINE, filters), ContextKitError, f"addresses {filters}")
    _promise(index.forget(_YOURS) == 1, what="forget deletes in its scope alone")
    _promise(len(_held(index)) == 3, what="forget deletes in its scope alone")


def _refuses_vectors(index: Index) -> None:
    nan, inf = float("nan"), float("inf")
    rows: list[Any] = [
        [[1.0, 0.0], [nan, 1.0]], [[1.0, 0.0], [0.0, inf]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]],
        [[1.0, 0.0], [1.0]], [[], []], [1.0, 0.0], [], None, "ab", [["a", "b"]] * 2,
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
    index.add(("s",), ["a"], [[1.0, 0.0]])
    for other in (second, nameless):
        index.embed = other
        for what in (
            partial(index.vectors, _MINE, _NAMES),
            partial(index.add, _MINE, ["x"], [[1.0, 0.0]]),
            partial(index.vectors, ("s",), ["a"]),
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
    index.add(_MINE, ["x"], [[1.0] * 3])
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
    """An index of which every result is waited for."""

    def __init__(self, index: Any, runner: asyncio.Runner) -> None:
        self._index = index
        self._runner = runner

    @property
    def embed(self) -> Embed:
        embed: Embed = self._index.embed
        return embed

    @embed.setter
    def embed(self, embed: Embed) -> None:
        self._index.embed = embed

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Any:
        return _wait(self._runner, self._index.vectors(scope, addresses))

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        return _wait(self._runner, self._index.add(scope, addresses, vectors))

    def forget(self, scope: ScopeKey) -> Any:
        return _wait(self._runner, self._index.forget(scope))

    def reindex(self) -> Any:
        return _wait(self._runner, self._index.reindex())


def _wait(runner: asyncio.Runner, given: Any) -> Any:
    async def waited() -> Any:
        return await given

    return runner.run(waited()) if inspect.isawaitable(given) else given


# None of them is ("t", "me", "c"), however its parts are joined or compared.
_STRANGERS = [
    ("t",), ("t", "me"), ("t", "me", "C"), ("t", "mec", ""), ("tm", "e", "c"), ("", "tme", "c"),
    ("t", "me", "c", ""), ("t", "me", "c\0"), ("t", "me", "%"), ("t", "me", "*"), ("T", "me", "c"),
]  # fmt: skip
_NOBODIES: list[Any] = [
    None, (), "", "t", [], ["t", "me", "c"], {}, {"$ne": "x"}, ("t", None, "c"), (None,), ("t", 1),
    ({"$ne": "x"}, "me", "c"), ("t", ["me"], "c"), ("t", b"me", "c"), True, 0, frozenset({"t"}),
]  # fmt: skip
_FILTERS: list[Any] = [None, "a", {}, {"$ne": "x"}, {"a": 1}, [None], [{"$ne": "x"}], [1], b"a"]
