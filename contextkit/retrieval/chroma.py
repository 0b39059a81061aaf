"""ChromaIndex: an index that outlives the process, in an embedded Chroma."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from contextkit.errors import EmbeddingError, IndexCorrupt, InputError, ScopeError
from contextkit.retrieval.directory import ChromaDirectory
from contextkit.retrieval.index import Embed, ScopeKey, nearest, unit_rows
from contextkit.scope import Scope

if TYPE_CHECKING:
    from chromadb import Collection as ChromaCollection
    from chromadb.api.client import Client


class ChromaIndex:
    """An exact index in a directory, which belongs to one process at a time.

    Make one and share it between threads. Chroma has no lock of its own, and two processes on one
    directory corrupt it silently: so it is locked from here to `close()`, or to the end of the
    process, whatever end that is. What was added is kept when the process is killed.

    There is a collection for each tenant, and one for all histories without a scope. Of a message
    it holds the vector, a hash of scope and address, and a hash of the scope: no text, no names.
    Texts stay in the history, so the directory may be deleted at any time: what is missing is
    embedded again. Vectors are not harmless, though: texts can be guessed from them.

    Chroma keeps the vectors and finds them by their ids. What is nearest is computed here, over
    those asked for, with the scores and the order of `VectorIndex`; some 40 ms per 1,000 messages
    that the view hides (384 dimensions, two cores, measured 2026-11-22). An add waits for the disk.

    Args:
        embed: gives the vectors of texts; sync or async. Its `name`, if it has one, is kept, so
            that vectors of another model are refused.
        path: the directory; it is made where there is none. One of its own, on a local disk.

    Raises:
        MissingExtra: chromadb or filelock is not installed.
        IndexLocked: another process, or another index of this one, has the directory open.
        IndexUnusable: the directory cannot be opened.

    Example:
        >>> import contextkit as ck
        >>> with ck.ChromaIndex(embed, "vectors") as index:  # doctest: +SKIP
        ...     builder = ck.ContextBuilder("qwen-plus", limit=8_000, tail=[ck.Retrieve(index)])
    """

    def __init__(self, embed: Embed, path: str | Path) -> None:
        if not callable(embed):
            raise InputError(
                f"is a callable, texts in and an array out, not {embed!r:.60}",
                place="ChromaIndex.embed",
            )
        self.embed = embed
        name = getattr(embed, "name", "")
        self._embedder = name if isinstance(name, str) else ""
        self._directory = ChromaDirectory(_path(path))

    def __repr__(self) -> str:
        return f"ChromaIndex({self.path!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The directory, absolute."""
        return self._directory.path

    def close(self) -> None:
        """Close the directory and let others have it. May be called again."""
        self._directory.close()

    def missing(self, scope: ScopeKey, addresses: Sequence[str]) -> list[str]:
        """Those of some addresses that the index does not hold in this scope.

        Raises:
            EmbeddingError: another embedder made the vectors of this tenant.
            IndexUnusable: the directory cannot be read.
        """
        ids = _ids(scope, addresses)
        held: set[str] = set()
        with self._directory.client() as client:
            if (collection := self._collection(client, scope)) is not None:
                for part in _parts(client, list(ids)):
                    held.update(collection.get(ids=part, include=[])["ids"])
        known = {address for row, address in ids.items() if row in held}
        return [address for address in addresses if address not in known]

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors, or another embedder than
                that of the tenant's other vectors; nothing was stored.
            IndexUnusable: the directory cannot be written. Of many vectors some may be stored;
                adding them again completes it.
        """
        if not addresses:
            return
        rows = {row: at for at, row in enumerate(_id(scope, address) for address in addresses)}
        with self._directory.client() as client:
            collection = self._collection(client, scope)
            dimension = None if collection is None else self._dimension(collection)
            units = unit_rows(vectors, len(addresses), dimension)
            if collection is None:
                collection = self._create(client, scope, units.shape[1])
            owner = _owner(scope)
            for part in _parts(client, list(rows)):
                collection.upsert(
                    ids=part,
                    embeddings=units[[rows[row] for row in part]],
                    metadatas=[{"scope": owner} for _ in part],
                )

    def search(
        self, scope: ScopeKey, vector: Any, among: Collection[str], count: int
    ) -> list[tuple[str, float]]:
        """The nearest of some addresses with their cosine, nearest first; ties by address.

        Raises:
            EmbeddingError: the vector cannot be used, or another embedder made the others.
            IndexCorrupt: what is found is of another scope, or was not stored here; nothing of it
                is given.
            IndexUnusable: the directory cannot be read.
        """
        import numpy as np

        ids = _ids(scope, among)
        owner = _owner(scope)
        found: dict[str, Any] = {}
        with self._directory.client() as client:
            if (collection := self._collection(client, scope)) is None:
                return []
            query = unit_rows([vector], 1, self._dimension(collection))[0]
            for part in _parts(client, list(ids)):
                # Not by `query`, which among 40,000 rows takes 37 ms for 100 given ids, misses
                # some of the nearest, and fails where an id is not held; this takes 3 ms.
                hits: Any = collection.get(ids=part, include=["embeddings", "metadatas"])
                for row, vectors, metadata in zip(
                    hits["ids"], hits["embeddings"], hits["metadatas"], strict=True
                ):
                    if row not in ids or not metadata or metadata.get("scope") != owner:
                        raise IndexCorrupt(self.path, "holds what is of another scope")
                    found[ids[row]] = vectors
        if not found:
            return []
        held = [address for address in ids.values() if address in found]
        matrix = np.array([found[address] for address in held], np.float32)
        if not np.allclose(np.linalg.norm(matrix, axis=1), 1, rtol=0, atol=1e-3):
            raise IndexCorrupt(self.path, "holds a vector that was not stored here")
        return nearest(held, matrix, query, count)

    def forget(self, scope: Scope | ScopeKey) -> int:
        """Delete the vectors of one conversation, and give how many there were.

        They are not found again. Their bytes stay in Chroma's files until it reuses the space; it
        cannot erase them while it runs. Where they must be gone, close the index and delete the
        directory: the other conversations are embedded again when they next need it.

        Raises:
            IndexUnusable: the directory cannot be written.
        """
        key = scope.key if isinstance(scope, Scope) else scope
        owner = _owner(key)
        with self._directory.client() as client:
            if (collection := self._find(client, key)) is None:
                return 0
            deleted = int(collection.delete(where={"scope": owner})["deleted"])
            if not collection.count():  # its tenant may then take another embedder
                client.delete_collection(collection.name)
            return deleted

    # -- the collection of a tenant ----------------------------------------------------------

    def _find(self, client: Client, scope: ScopeKey) -> ChromaCollection | None:
        from chromadb.errors import NotFoundError

        name = _collection_name(scope)
        try:
            found = client.get_collection(name, embedding_function=None)
        except NotFoundError:
            return None
        self._directory.touched.add(name)
        return found

    def _collection(self, client: Client, scope: ScopeKey) -> ChromaCollection | None:
        """The collection, if its vectors are of our embedder."""
        if (found := self._find(client, scope)) is None:
            return None
        made_by = (found.metadata or {}).get("embedder")
        if self._embedder and made_by and made_by != self._embedder:
            raise EmbeddingError(
                f"the vectors in {self.path} were made by {made_by!r}, and the embedder is now "
                f"{self._embedder!r}: they cannot be compared. Give it a directory of its own."
            )
        return found

    def _create(self, client: Client, scope: ScopeKey, dimension: int) -> ChromaCollection:
        name = _collection_name(scope)
        self._directory.touched.add(name)
        return client.create_collection(
            name,
            metadata={"dimension": dimension, "embedder": self._embedder},
            # Of unit vectors the inner product is the cosine. Under `cosine` Chroma would scale
            # them once more, and change their last bits.
            configuration={"hnsw": {"space": "ip"}},
            embedding_function=None,  # the default one downloads a model
        )

    def _dimension(self, collection: ChromaCollection) -> int:
        dimension = (collection.metadata or {}).get("dimension")
        if not isinstance(dimension, int):
            raise IndexCorrupt(self.path, "holds a collection that was not made here")
        return dimension


def _path(value: Any) -> str:
    if isinstance(value, str | Path) and str(value):
        with suppress(ValueError):  # NUL, lone surrogates
            return os.path.realpath(value)  # two names of one directory share the lock
    raise InputError(f"is the path of a directory, not {value!r:.60}", place="ChromaIndex.path")


def _digest(*parts: str) -> str:
    """A name for some texts, whatever they are; no two lists of texts share one."""
    digest = blake2b(digest_size=32)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8))
        digest.update(data)
    return digest.hexdigest()


def _owner(scope: Any) -> str:
    """Raises ScopeError for what is no scope, such as a filter that came in as JSON."""
    parts = scope if isinstance(scope, tuple) else ()
    if not parts or not all(isinstance(part, str) for part in parts):
        raise ScopeError(f"a scope is a tuple of texts, not {scope!r:.60}")
    return _digest("scope", *parts)


def _collection_name(scope: ScopeKey) -> str:
    tenant = ("tenant", scope[0]) if len(scope) > 1 else ("no tenant",)
    return f"contextkit-1-{_digest(*tenant)}"  # 1: the layout of what is in it


def _id(scope: ScopeKey, address: str) -> str:
    return _digest("row", _owner(scope), address)


def _ids(scope: ScopeKey, addresses: Collection[str]) -> dict[str, str]:
    """Addresses by the ids of their rows, in their order."""
    return {_id(scope, address): address for address in addresses}


def _parts(client: Client, ids: list[str]) -> Iterator[list[str]]:
    """No more at once than Chroma takes."""
    most = client.get_max_batch_size()
    for start in range(0, len(ids), most):
        yield ids[start : start + most]
