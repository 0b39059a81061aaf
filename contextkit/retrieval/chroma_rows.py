"""How vectors lie in Chroma, embedded or on a server: a collection for each tenant, hashes only.

What is done is a generator of Chroma's calls, which `run` completes for a client and `run_async`
for an async one.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from contextkit.errors import IndexCorrupt
from contextkit.retrieval.index import Embed
from contextkit.retrieval.index_inputs import (
    check_addresses,
    check_dimension,
    check_model,
    model_of,
    still_of,
    unit_rows,
)
from contextkit.retrieval.row_ids import row_ids, scope_id, tenant_id
from contextkit.scope import ScopeKey

if TYPE_CHECKING:
    import numpy as np

Result = TypeVar("Result")
Calls = Generator[Any, Any, Result]
"""Yields what a call of a client gave, which an async client has to be awaited for."""

PREFIX = "contextkit-2-"  # 2: the layout of what is in a collection
_PAGE = 100  # collections listed at once
_BYTES = 4_000_000  # of vectors at once: a server takes bodies of 40 MiB, and JSON is longer


def run(calls: Calls[Result]) -> Result:
    """Complete the calls of a client."""
    try:
        given = next(calls)
        while True:
            given = calls.send(given)
    except StopIteration as stop:
        result: Result = stop.value
        return result


async def run_async(calls: Calls[Result]) -> Result:
    """Complete the calls of an async client."""
    try:
        given = next(calls)
        while True:
            try:
                value = await given
            except BaseException as error:  # noqa: BLE001 - it belongs where the call was made
                given = calls.throw(error)
            else:
                given = calls.send(value)
    except StopIteration as stop:
        result: Result = stop.value
        return result


@dataclass(frozen=True, slots=True)
class ChromaRows:
    """What an index does with a client.

    Attributes:
        client: of Chroma, sync or async.
        where: the place of the index, for error messages.
        embed: the embedder; only its name is asked for.
        alone: nobody else can add to a collection between finding it empty and deleting it.
    """

    client: Any
    where: str
    embed: Embed
    alone: bool

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Calls[dict[str, np.ndarray]]:
        """Those that are held, of some addresses, in their order."""
        import numpy as np

        wanted = check_addresses(addresses)
        ids = dict(zip(row_ids(scope, wanted), wanted, strict=True))
        owner = scope_id(scope)
        found: dict[str, np.ndarray] = {}
        collection = yield from self._collection(scope)
        if collection is None or not ids:
            return found
        dimension = self._dimension(collection)
        for part in _parts((yield self.client.get_max_batch_size()), dimension, list(ids)):
            # Not by `query`, which among 40,000 rows takes 37 ms for 100 given ids, misses some of
            # the nearest, and fails where an id is not held; this takes 3 ms.
            hits = yield collection.get(ids=part, include=["embeddings", "metadatas"])
            for row, given, metadata in zip(
                hits["ids"], hits["embeddings"], hits["metadatas"], strict=True
            ):
                if row not in ids or not metadata or metadata.get("scope") != owner:
                    raise self._corrupt(collection, "holds what is of another scope")
                vector = np.asarray(given, np.float32)
                if vector.shape != (dimension,) or metadata.get("checksum") != _sum(row, vector):
                    raise self._corrupt(collection, "holds a vector that was not stored here")
                found[ids[row]] = vector
        return {address: found[address] for address in ids.values() if address in found}

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Calls[None]:
        """Hold vectors under their addresses; one that is there already is replaced."""
        check_addresses(addresses)
        if not addresses:
            return
        rows = {row: at for at, row in enumerate(row_ids(scope, addresses))}
        units = unit_rows(vectors, len(addresses), None)
        collection = yield from self._collection(scope, units.shape[1])
        if collection is not None:
            check_dimension(units.shape[1], self._dimension(collection))
        else:
            collection = yield from self._created(scope, units.shape[1])
        owner = scope_id(scope)
        most = yield self.client.get_max_batch_size()
        for part in _parts(most, units.shape[1], list(rows)):
            embeddings = units[[rows[row] for row in part]]
            yield collection.upsert(
                ids=part,
                embeddings=embeddings,
                metadatas=[
                    {"scope": owner, "checksum": _sum(row, unit)}
                    for row, unit in zip(part, embeddings, strict=True)
                ],
            )

    def forget(self, scope: ScopeKey) -> Calls[int]:
        """Delete the vectors of one scope."""
        if (collection := (yield from self._found(scope))) is None:
            return 0
        deleted = yield collection.delete(where={"scope": scope_id(scope)})
        if self.alone and not (yield collection.count()):  # another embedder may then come
            yield self.client.delete_collection(collection.name)
        return int(deleted["deleted"])

    def reindex(self) -> Calls[int]:
        """Delete the collections that an embedder of another name made."""
        ours: list[Any] = []
        offset, page = 0, [None]
        while page:
            page = yield self.client.list_collections(limit=_PAGE, offset=offset)
            offset += len(page)
            ours += [collection for collection in page if collection.name.startswith(PREFIX)]
        deleted = 0
        for collection in ours:
            if not still_of(_model(collection), self.embed):
                deleted += yield collection.count()
                yield self.client.delete_collection(collection.name)
        return deleted

    def _found(self, scope: ScopeKey) -> Calls[Any]:
        from chromadb.errors import NotFoundError

        name = collection_name(scope)
        try:
            return (yield self.client.get_collection(name, embedding_function=None))
        except NotFoundError:
            return None

    def _collection(self, scope: ScopeKey, given: int | None = None) -> Calls[Any]:
        """The collection, if its vectors are of our embedder; none, where it has none of any.

        Args:
            given: the dimension of vectors that are to be added.
        """
        if (collection := (yield from self._found(scope))) is None:
            return None
        other = given is not None and given != self._dimension(collection)
        if other or _model(collection) != model_of(self.embed):
            if not (yield collection.count()):  # what another embedder had here is forgotten
                yield self.client.delete_collection(collection.name)
                return None
            check_model(_model(collection), self.embed, self.where)
        return collection

    def _created(self, scope: ScopeKey, dimension: int) -> Calls[Any]:
        from chromadb.errors import ChromaError

        try:
            return (
                yield self.client.create_collection(
                    collection_name(scope),
                    metadata={"dimension": dimension, "embedder": model_of(self.embed)},
                    # Of unit vectors the inner product is the cosine. Under `cosine` Chroma would
                    # scale them once more, and change their last bits.
                    configuration={"hnsw": {"space": "ip"}},
                    embedding_function=None,  # the default one downloads a model
                )
            )
        except ChromaError:  # "already exists" has no class of its own
            if (collection := (yield from self._collection(scope))) is None:
                raise
            check_dimension(dimension, self._dimension(collection))
            return collection

    def _corrupt(self, collection: Any, what: str) -> IndexCorrupt:
        delete = "the directory" if self.alone else f"the collection {collection.name}"
        return IndexCorrupt(self.where, what, delete=delete)

    def _dimension(self, collection: Any) -> int:
        dimension = (collection.metadata or {}).get("dimension")
        if not isinstance(dimension, int) or dimension < 1:
            raise self._corrupt(collection, "holds a collection that was not made here")
        return dimension


def collection_name(scope: ScopeKey) -> str:
    """The collection of a tenant, or of all histories without a scope."""
    return f"{PREFIX}{tenant_id(scope)}"


def _model(collection: Any) -> str:
    return str((collection.metadata or {}).get("embedder", ""))


def _sum(row: str, vector: np.ndarray) -> int:
    """A checksum: damaged files of Chroma's graph may give another vector, as if it were right."""
    return crc32(vector.astype("<f4", copy=False).tobytes(), crc32(row.encode()))


def _parts(most: int, dimension: int, ids: list[str]) -> Iterator[list[str]]:
    """No more at once than Chroma takes."""
    room = max(1, _BYTES // (4 * dimension))
    most = min(most, room) if most > 0 else room  # a server may know no limit
    for start in range(0, len(ids), most):
        yield ids[start : start + most]
