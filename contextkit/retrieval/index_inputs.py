"""What is handed to an index, checked: vectors, models, scopes, addresses."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from contextkit.errors import EmbeddingError, InputError, ScopeError
from contextkit.scope import Scope

if TYPE_CHECKING:
    import numpy as np

    from contextkit.retrieval.index import Embed, ScopeKey

MARK = "fed"
"""In place of a conversation: where `feed` keeps the mark of a tenant, (tenant, "", MARK), and of
nobody, by which it sees that an index does its work. It is the address there, and the text, too."""


UNIT = 1e-3
"""By how much the length of a vector that an index held may differ from 1."""


def unit_rows(
    vectors: Any, count: int, dimension: int | None, giver: str = "the embedder"
) -> np.ndarray:
    """Vectors as rows of unit length, float32, checked.

    Args:
        giver: who gave them, in words.

    Raises:
        EmbeddingError: not `count` rows of numbers, another dimension, NaN, or a zero vector,
            which is equally near to everything.
    """
    import numpy as np

    try:
        rows = np.asarray(vectors, dtype=np.float64)  # squares of float32 may not fit in float32
    except (TypeError, ValueError):  # whose words may quote what came
        raise EmbeddingError(
            f"{giver} gave no array of numbers for {count} texts", texts=count
        ) from None
    if rows.ndim != 2 or len(rows) != count or not rows.shape[1]:
        raise EmbeddingError(
            f"{giver} gave shape {rows.shape} for {count} texts",
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
            f"{giver} gave a vector of zeros, NaN or infinity (number {bad} of {count})",
            texts=count,
            row=bad,
            dimension=rows.shape[1],
        )
    units: np.ndarray = (rows / lengths[:, None]).astype(np.float32)
    return units


def held_vectors(
    given: Any, addresses: Collection[str], dimension: int | None
) -> dict[str, np.ndarray]:
    """What an index gave of some addresses, checked as what an embedder gives.

    Raises:
        EmbeddingError: no vectors by address, one that was not asked for, or a vector that cannot
            be used: another dimension, NaN, or not of unit length.
    """
    import numpy as np

    if not isinstance(given, Mapping):
        raise EmbeddingError(f"the index gave {_kind(given)}, not vectors by their addresses")
    strange = sum(address not in addresses for address in given)
    if strange:
        raise EmbeddingError(f"the index gave {strange} vectors that it was not asked for")
    if not given:
        return {}
    rows = list(given.values())
    unit_rows(rows, len(rows), dimension, "the index")
    held = np.asarray(rows, np.float32)  # as they are: to the last bit what was added
    lengths = np.linalg.norm(held, axis=1)
    wrong = int(np.argmax(np.abs(lengths - 1)))
    if abs(lengths[wrong] - 1) > UNIT:
        raise EmbeddingError(
            f"the index gave a vector of length {lengths[wrong]:.3g}, not 1 (number {wrong} of "
            f"{len(rows)})",
            row=wrong,
        )
    return dict(zip(given, held, strict=True))


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
        ScopeError: for what is no scope, such as a filter that came in as JSON, and for one that
            nothing can have: what is asked to forget it would delete nothing.
    """
    if isinstance(scope, Scope):
        return scope.key
    if not isinstance(scope, tuple) or not scope or not all(isinstance(p, str) for p in scope):
        raise ScopeError(f"a scope is a Scope or a tuple of texts, not {_kind(scope)}")
    if not _can_be(scope):
        raise ScopeError(
            f"nothing has such a scope, a tuple of {len(scope)}: it is (tenant, user, "
            "conversation), of documents (tenant, user, '') or (tenant, '', ''), of a history "
            "without a scope (history.id,). What concerns a whole user is done for each "
            "conversation: store.conversations(scope) names them"
        )
    return scope


def _can_be(scope: ScopeKey) -> bool:
    """Whether a conversation, a history, a shelf of documents or the mark of `feed` can have it."""
    try:
        "".join(scope).encode()
    except UnicodeEncodeError:  # which no Scope takes
        return False
    match scope:
        case (history,):
            return bool(history)
        case (tenant, user, conversation):
            if not user:
                return conversation == MARK or (bool(tenant) and not conversation)
            return bool(tenant)
    return False


def check_addresses(addresses: Any) -> Sequence[str]:
    """Each address once, in their order.

    Raises:
        InputError: for what is no list of texts, such as a filter that came in as JSON.
    """
    if isinstance(addresses, list | tuple) and all(isinstance(a, str) for a in addresses):
        return list(dict.fromkeys(addresses))
    raise InputError(f"are a list of texts, not {_kind(addresses)}", place="addresses")


def has_method(given: Any, name: str) -> bool:
    """Whether it is an object with a method, and not the class of such objects."""
    return not isinstance(given, type) and hasattr(given, name)


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
