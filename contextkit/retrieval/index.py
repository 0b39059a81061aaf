"""Index: keeps vectors, inside one scope each; VectorIndex keeps them in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from contextkit.errors import EmbeddingError, InputError, ScopeError
from contextkit.scope import Scope

if TYPE_CHECKING:
    import numpy as np

Embed = Callable[[Sequence[str]], Any]
"""Texts in, an array of shape (len(texts), dimension) out, or an awaitable of it.

Its attribute `name`, where it has one, says which model and dimension it is.
"""

ScopeKey = tuple[str, ...]


class Index(Protocol):
    """Keeps vectors under the addresses of their texts, and gives them back in their scope alone.

    It is a cache: what it does not hold is embedded again, so it may be deleted at any time. What
    is near to what is not its business. Every method may give an awaitable of what it says here,
    which only the async calls of a builder accept.

    `vectors` and `add` refuse to touch what an embedder of another `name` made (EmbeddingError),
    until `reindex` is called.
    """

    embed: Embed

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Any:
        """Those that are held, of some addresses: `dict[str, np.ndarray]`, in their order.

        Each is float32, of unit length and shape (dimension,).
        """

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        """Hold vectors, shape (len(addresses), dimension), under their addresses.

        One that is there already is replaced; of an address that is given twice, the last counts.

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


def nearest(
    addresses: Sequence[str], rows: Sequence[np.ndarray], query: np.ndarray, count: int
) -> list[tuple[str, float]]:
    """The nearest of some unit rows with their cosine, nearest first; ties by address."""
    import numpy as np

    # Rounded, so that the order does not hang on the last bits of a dot product.
    scores = [round(float(score), 6) for score in np.stack(rows) @ query] if rows else []
    scored = sorted(zip(addresses, scores, strict=True), key=lambda hit: (-hit[1], hit[0]))
    return scored[:count]


def unit_rows(vectors: Any, count: int, dimension: int | None) -> np.ndarray:
    """Vectors as rows of unit length, float32, checked.

    Raises:
        EmbeddingError: not `count` rows of numbers, another dimension, NaN, or a zero vector,
            which is equally near to everything.
    """
    import numpy as np

    try:
        rows = np.asarray(vectors, dtype=np.float64)  # squares of float32 may not fit in float32
    except (TypeError, ValueError):  # whose words may quote what came
        raise EmbeddingError(
            f"the embedder gave no array of numbers for {count} texts", texts=count
        ) from None
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
        raise EmbeddingError(
            f"the embedder gave shape {rows.shape} for {count} texts",
            texts=count,
            rows=len(rows) if rows.ndim else None,
        )
    check_dimension(rows.shape[1], dimension)
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
    units: np.ndarray = (rows / lengths[:, None]).astype(np.float32)
    return units


def check_dimension(given: int, held: int | None) -> None:
    """That vectors have the dimension of those that are held, if any are.

    Raises:
        EmbeddingError: names both.
    """
    if held is not None and given != held:
        raise EmbeddingError(
            f"the embedder gives {given} dimensions, the index has {held}: it was made with "
            "another model. Give each model and dimension a `name` of its own and call reindex(), "
            "or use an index for each.",
            dimension=given,
            expected=held,
        )


def model_of(embed: Embed) -> str:
    """Which model and dimension an embedder says it is; empty where it does not."""
    name = getattr(embed, "name", "")
    if not isinstance(name, str):
        return ""
    return name.encode("utf-8", "backslashreplace").decode()  # it is kept: no lone surrogates


def still_of(model: str, embed: Embed) -> bool:
    """Whether vectors stay in a reindex."""
    return bool(model) and model == model_of(embed)


def check_model(model: str, embed: Embed, where: str) -> None:
    """That vectors can be compared with those of an embedder.

    Raises:
        EmbeddingError: names both models.
    """
    now = model_of(embed)
    if model != now:
        raise EmbeddingError(
            f"the vectors in {where} were made by {_told(model)}, and the embedder is now "
            f"{_told(now)}: they cannot be compared. Call reindex(), which deletes them, so that "
            "they are embedded again when they are needed; or use an index for each."
        )


def _told(model: str) -> str:
    return repr(model) if model else "one without a name"


def scope_key(scope: Any) -> ScopeKey:
    """A scope as the tuple that it is looked up by.

    Raises:
        ScopeError: for what is no scope, such as a filter that came in as JSON.
    """
    if isinstance(scope, Scope):
        return scope.key
    if not isinstance(scope, tuple) or not scope or not all(isinstance(p, str) for p in scope):
        raise ScopeError(f"a scope is a Scope or a tuple of texts, not {_kind(scope)}")
    return scope


def check_addresses(addresses: Any) -> Sequence[str]:
    """Each address once, in their order.

    Raises:
        InputError: for what is no list of texts, such as a filter that came in as JSON.
    """
    if isinstance(addresses, list | tuple) and all(isinstance(a, str) for a in addresses):
        return list(dict.fromkeys(addresses))
    raise InputError(f"are a list of texts, not {_kind(addresses)}", place="addresses")


def check_embed(embed: Any, place: str) -> None:
    """That an embedder can be called.

    Raises:
        InputError: when it cannot.
    """
    if not callable(embed):
        raise InputError(
            f"is a callable, texts in and an array out, not {embed!r:.60}", place=place
        )


def _kind(value: Any) -> str:
    """What a value is, without what it holds, which may be of somebody."""
    kind = type(value).__name__
    if not isinstance(value, tuple | list):
        return kind
    inside = sorted({type(part).__name__ for part in value})
    return f"{kind} of {', '.join(inside)}" if inside else f"empty {kind}"
