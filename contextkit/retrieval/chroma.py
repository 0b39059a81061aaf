"""ChromaIndex: vectors that outlive the process, in an embedded Chroma."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from contextkit.retrieval.chroma_rows import ChromaRows, collection_name, run
from contextkit.retrieval.directory import ChromaDirectory
from contextkit.retrieval.index import Embed
from contextkit.retrieval.index_inputs import check_embed, scope_key
from contextkit.retrieval.paths import directory_path
from contextkit.scope import Scope, ScopeKey

if TYPE_CHECKING:
    import numpy as np


class ChromaIndex:
    """Vectors in a directory, which belongs to one process at a time.

    Make one and share it between threads. Chroma has no lock of its own, and two processes on one
    directory corrupt it silently: so it is locked from here to `close()`, or to the end of the
    process, whatever end that is. What was added is kept when the process is killed.

    There is a collection for each tenant, and one for all histories without a scope. Of a message
    it holds the vector, a hash of scope and address, and a hash of the scope: no text, no names.
    Texts stay in the history, so the directory may be deleted at any time: what is missing is
    embedded again. Vectors are not harmless, though: texts can be guessed from them.

    Chroma keeps the vectors and gives them by their ids, some 40 ms per 1,000 (384 dimensions, two
    cores, measured 2026-11-22); what is near to what is not asked of it. An add waits for the disk.

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
        check_embed(embed, "ChromaIndex.embed")
        self.embed = embed
        self._directory = ChromaDirectory(directory_path(path, "ChromaIndex.path"))

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

    def vectors(self, scope: Scope | ScopeKey, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        """Those that are held, of some addresses, in their order.

        Raises:
            EmbeddingError: another embedder made the vectors of this tenant.
            IndexCorrupt: what is found is of another scope, or was not stored here; nothing of it
                is given.
            IndexUnusable: the directory cannot be read.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        with self._rows(key) as rows:
            return run(rows.vectors(key, addresses))

    def add(self, scope: Scope | ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors, or another embedder than
                that of the tenant's other vectors; nothing was stored.
            IndexUnusable: the directory cannot be written. Of many vectors some may be stored;
                adding them again completes it.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        with self._rows(key) as rows:
            run(rows.add(key, addresses, vectors))
        self._directory.survived()

    def forget(self, scope: Scope | ScopeKey) -> int:
        """Delete the vectors of one conversation, and give how many there were.

        They are not found again. Their bytes stay in Chroma's files until it reuses the space; it
        cannot erase them while it runs. Where they must be gone, close the index and delete the
        directory: the other conversations are embedded again when they next need it.

        Raises:
            IndexUnusable: the directory cannot be written.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        with self._rows(key) as rows:
            return run(rows.forget(key))

    def reindex(self) -> int:
        """Delete, of all tenants, what embedders of other names made; give how many vectors.

        Raises:
            IndexUnusable: the directory cannot be written.
        """
        with self._rows() as rows:
            return run(rows.reindex())

    @contextmanager
    def _rows(self, scope: ScopeKey | None = None) -> Iterator[ChromaRows]:
        with self._directory.client() as client:
            if scope is not None:
                self._directory.touched.add(collection_name(scope))
            yield ChromaRows(client, self.path, self.embed, alone=True)
