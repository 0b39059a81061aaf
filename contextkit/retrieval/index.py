"""VectorIndex: an exact index over numpy rows, one block of rows for each scope."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol

from contextkit.errors import EmbeddingError, InputError

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], Any]
"""Texts in, an array of shape (len(texts), dimension) out, or an awaitable of it."""

ScopeKey = tuple[str, ...]


class Index(Protocol):
    """Finds texts by the nearness of their vectors, inside one scope only."""

    embed: Embed

    def missing(self, scope: ScopeKey, addresses: Sequence[str]) -> list[str]:
        """Those of some addresses that the index does not hold in this scope."""

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors, shape (len(addresses), dimension), under their addresses."""

    def search(
        self, scope: ScopeKey, vector: Any, among: Collection[str], count: int
    ) -> list[tuple[str, float]]:
        """The nearest of some addresses with their cosine, nearest first."""


@dataclass(slots=True)
class _Rows:
    """The vectors of one scope: rows of unit length, grown by doubling."""

    matrix: np.ndarray
    used: int = 0
    places: dict[str, int] = field(default_factory=dict)


class VectorIndex:
    """An exact index in the memory of this process.

    Args:
        embed: gives the vectors of texts; sync or async.
    """

    def __init__(self, embed: Embed) -> None:
        if not callable(embed):
            raise InputError(
                f"is a callable, texts in and an array out, not {embed!r:.60}",
                place="VectorIndex.embed",
            )
        self.embed = embed
        self._rows: dict[ScopeKey, _Rows] = {}
        self._lock = RLock()

    def missing(self, scope: ScopeKey, addresses: Sequence[str]) -> list[str]:
        """Those of some addresses that the index does not hold in this scope."""
        places: Mapping[str, int] = self._rows[scope].places if scope in self._rows else {}
        return [address for address in addresses if address not in places]

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors; nothing was stored.
        """
        import numpy as np

        if not addresses:
            return
        with self._lock:
            rows = self._rows.get(scope)
            wanted = rows.matrix.shape[1] if rows else None
            units = unit_rows(vectors, len(addresses), wanted)
            if rows is None:
                rows = self._rows[scope] = _Rows(np.empty((64, units.shape[1]), np.float32))
            for address, unit in zip(addresses, units, strict=True):
                place = rows.places.get(address, rows.used)
                if place == len(rows.matrix):
                    rows.matrix = np.concatenate([rows.matrix, np.empty_like(rows.matrix)])
                rows.matrix[place] = unit
                if place == rows.used:
                    rows.places[address] = place
                    rows.used += 1

    def search(
        self, scope: ScopeKey, vector: Any, among: Collection[str], count: int
    ) -> list[tuple[str, float]]:
        """The nearest of some addresses with their cosine, nearest first; ties by address."""
        with self._lock:
            rows = self._rows.get(scope)
            held = [name for name in dict.fromkeys(among) if rows and name in rows.places]
            if rows is None or not held:
                return []
            query = unit_rows([vector], 1, rows.matrix.shape[1])[0]
            matrix = rows.matrix[[rows.places[address] for address in held]]
        return nearest(held, matrix, query, count)


def nearest(
    addresses: Sequence[str], matrix: np.ndarray, query: np.ndarray, count: int
) -> list[tuple[str, float]]:
    """The nearest of some unit rows with their cosine, nearest first; ties by address."""
    # Rounded, so that the order does not hang on the last bits of a dot product.
    scores = [round(float(score), 6) for score in matrix @ query]
    scored = sorted(zip(addresses, scores, strict=True), key=lambda hit: (-hit[1], hit[0]))
    return scored[:count]


def unit_rows(vectors: Any, count: int, dimension: int | None) -> np.ndarray:
    """Vectors as rows of unit length, checked.

    Raises:
        EmbeddingError: not `count` rows of numbers, another dimension, NaN, or a zero vector,
            which is equally near to everything.
    """
    import numpy as np

    try:
        with np.errstate(over="ignore"):  # it becomes an infinity, and is refused as such
            rows = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):  # whose words may quote what came
        raise EmbeddingError(
            f"the embedder gave no array of numbers for {count} texts", texts=count
        ) from None
    if rows.ndim != 2 or len(rows) != count:
        raise EmbeddingError(
            f"the embedder gave shape {rows.shape} for {count} texts",
            texts=count,
            rows=len(rows) if rows.ndim else None,
        )
    if dimension is not None and rows.shape[1] != dimension:
        raise EmbeddingError(
            f"the embedder gives {rows.shape[1]} dimensions, the index has {dimension}: "
            "it was made with another model. Use an index of its own.",
            texts=count,
            dimension=rows.shape[1],
            expected=dimension,
        )
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(rows, axis=1)
    usable = np.isfinite(lengths) & (lengths > 0)
    if not np.all(usable):
        bad = int(np.argmin(usable))
        raise EmbeddingError(
            f"the embedder gave a vector of zeros, NaN or infinity (number {bad} of {count})",
            texts=count,
            row=bad,
            dimension=rows.shape[1],
        )
    units: np.ndarray = rows / lengths[:, None]
    return units
