"""Index: keeps vectors, inside one scope each; VectorIndex keeps them in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from contextkit.retrieval.index_inputs import (
    check_addresses,
    check_embed,
    check_model,
    model_of,
    scope_key,
    still_of,
    unit_rows,
)
from contextkit.scope import Scope

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], Any]
"""A list of texts in, an array of shape (len(texts), dimension) out, or an awaitable of it.

There is at least one text, none is blank, and none has a lone surrogate.

Its attribute `name`, where it has one, says which model and dimension it is.
"""

ScopeKey = tuple[str, ...]


class Index(Protocol):
    """Keeps vectors under the addresses of their texts, and gives them back in their scope alone.

    It is a cache: what it does not hold is embedded again, so it may be deleted at any time. What
    is near to what is not its business. Every method may give an awaitable of what it says here,
    which only the async calls of a builder accept.

    A scope that nothing can have is a ScopeError (`contextkit.retrieval.index_inputs.scope_key`).
    `vectors` and `add` refuse to touch what an embedder of another `name` made (EmbeddingError),
    until `reindex` is called.
    """

    embed: Embed

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Any:
        """Those that are held, of some addresses: `dict[str, np.ndarray]`, in their order.

        Each is float32, of unit length and shape (dimension,). What is not, or was not asked for,
        is refused, with all that came beside it.
        """

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        """Hold vectors, shape (len(addresses), dimension), under their addresses.

        They come as a list of at least one float32 row of unit length, no address twice. One that
        is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors; nothing was stored.
        """

    def forget(self, scope: ScopeKey) -> Any:
        """Delete all vectors of one scope, and give how many there were: `int`."""

    def reindex(self) -> Any:
        """Delete, in all scopes, what embedders of other names made; give how many: `int`.

        All, where `embed` has no name: nobody can tell then. What is missing is embedded again
        when it is next needed.
        """


@dataclass(slots=True)
class _Rows:
    """The vectors of one scope: rows of unit length, grown by doubling."""

    matrix: np.ndarray
    model: str
    used: int = 0
    places: dict[str, int] = field(default_factory=dict)


class VectorIndex:
    """An index in the memory of this process.

    Args:
        embed: gives the vectors of texts; sync or async.
    """

    def __init__(self, embed: Embed) -> None:
        check_embed(embed, "VectorIndex.embed")
        self.embed = embed
        self._rows: dict[ScopeKey, _Rows] = {}
        self._lock = Lock()

    def vectors(self, scope: Scope | ScopeKey, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        """Those that are held, of some addresses, in their order.

        Raises:
            EmbeddingError: another embedder made them.
            ScopeError: what was given is no scope.
        """
        wanted = check_addresses(addresses)
        with self._lock:
            if (rows := self._of_scope(scope_key(scope))) is None:
                return {}
            held = [address for address in wanted if address in rows.places]
            # A copy: what is given does not change when a vector is replaced.
            found = rows.matrix[[rows.places[address] for address in held]]
        return dict(zip(held, found, strict=True))

    def add(self, scope: Scope | ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors, or of another embedder
                than the others of the scope; nothing was stored.
            ScopeError: what was given is no scope.
        """
        import numpy as np

        key = scope_key(scope)
        check_addresses(addresses)
        if not addresses:
            return
        with self._lock:
            rows = self._of_scope(key)
            wanted = rows.matrix.shape[1] if rows else None
            units = unit_rows(vectors, len(addresses), wanted)
            if rows is None:
                first = np.empty((64, units.shape[1]), np.float32)
                rows = self._rows[key] = _Rows(first, model_of(self.embed))
            for address, unit in zip(addresses, units, strict=True):
                place = rows.places.get(address, rows.used)
                if place == len(rows.matrix):
                    rows.matrix = np.concatenate([rows.matrix, np.empty_like(rows.matrix)])
                rows.matrix[place] = unit
                if place == rows.used:
                    rows.places[address] = place
                    rows.used += 1

    def forget(self, scope: Scope | ScopeKey) -> int:
        """Delete all vectors of one scope, and give how many there were.

        Raises:
            ScopeError: what was given is no scope.
        """
        with self._lock:
            rows = self._rows.pop(scope_key(scope), None)
        return rows.used if rows else 0

    def reindex(self) -> int:
        """Delete, in all scopes, what embedders of other names made; give how many."""
        with self._lock:
            of_others = [
                scope for scope, rows in self._rows.items() if not still_of(rows.model, self.embed)
            ]
            return sum(self._rows.pop(scope).used for scope in of_others)

    def _of_scope(self, scope: ScopeKey) -> _Rows | None:
        if (rows := self._rows.get(scope)) is not None:
            check_model(rows.model, self.embed, "this index")
        return rows
