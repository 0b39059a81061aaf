"""SQLiteIndex: vectors that outlive the process, in files that several processes may share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contextkit.errors import IndexUnusable, InputError
from contextkit.retrieval.index import Embed
from contextkit.retrieval.index_inputs import (
    check_addresses,
    check_dimension,
    check_embed,
    check_model,
    model_of,
    scope_key,
    still_of,
    unit_rows,
)
from contextkit.retrieval.paths import directory_path
from contextkit.retrieval.row_ids import row_ids, scope_id, tenant_id
from contextkit.retrieval.vector_file import VectorFile, VectorTables
from contextkit.scope import Scope, ScopeKey

if TYPE_CHECKING:
    import numpy as np

_FILE = re.compile(r"[0-9a-f]{64}\.vectors")
_LONGEST = 86_400  # seconds to wait


class SQLiteIndex:
    """Vectors in a directory, one SQLite file for each tenant.

    Any number of threads and processes of one machine may share a directory. An add is written
    whole or not at all, also where the process is killed in the middle of it. A file is open only
    while something is read or written, so there is nothing to close, and a fork does no harm.

    It holds vectors, hashes of scopes and addresses, and the name of the embedder: no text, no
    names of users. Each row has a checksum; a damaged file is IndexCorrupt, and concerns its tenant
    alone. The directory, or any file in it, may be deleted at any time: what is missing is embedded
    again. Vectors are not harmless, though: texts can be guessed from them, so the files are for
    their owner alone.

    Args:
        embed: gives the vectors of texts; sync or async. Vectors of an embedder with another `name`
            are refused.
        path: the directory; it is made where there is none. One of its own, on a local disk.
        timeout: seconds to wait for another thread or process.

    Example:
        >>> import contextkit as ck
        >>> index = ck.SQLiteIndex(embed, "vectors")  # doctest: +SKIP
        >>> ck.ContextBuilder("qwen-plus", limit=8_000, tail=[ck.Retrieve(index)])  # doctest: +SKIP
    """

    def __init__(self, embed: Embed, path: str | Path, *, timeout: float = 5.0) -> None:
        check_embed(embed, "SQLiteIndex.embed")
        if not (type(timeout) in (int, float) and 0 <= timeout <= _LONGEST):
            raise InputError(
                f"is seconds, 0 to {_LONGEST:,}, not {timeout!r:.60}", place="SQLiteIndex.timeout"
            )
        self.embed = embed
        self.path = directory_path(path, "SQLiteIndex.path")
        self.timeout = timeout

    def __repr__(self) -> str:
        return f"SQLiteIndex({self.path!r})"

    def vectors(self, scope: Scope | ScopeKey, addresses: Sequence[str]) -> dict[str, np.ndarray]:
        """Those that are held, of some addresses, in their order.

        Raises:
            EmbeddingError: another embedder made the vectors of this tenant.
            IndexCorrupt: the tenant's file is damaged.
            IndexUnusable: the file cannot be read.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        wanted = check_addresses(addresses)
        rows = dict(zip(map(bytes.fromhex, row_ids(key, wanted)), wanted, strict=True))
        file = self._file(key)
        if not file.path.exists():
            return {}
        with file.reading() as tables:
            if tables is None or (dimension := self._dimension(tables)) is None:
                return {}
            held = dict(tables.get(bytes.fromhex(scope_id(key)), list(rows), dimension))
        return {address: held[row] for row, address in rows.items() if row in held}

    def add(self, scope: Scope | ScopeKey, addresses: Sequence[str], vectors: Any) -> None:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors, or another embedder than
                that of the tenant's other vectors; nothing was stored.
            IndexCorrupt: the tenant's file is damaged.
            IndexUnusable: the file cannot be written; nothing was stored.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        check_addresses(addresses)
        if not addresses:
            return
        units = unit_rows(vectors, len(addresses), None)
        file = self._file(key)
        file.make()
        with file.writing() as tables:
            if (dimension := self._dimension(tables)) is None:
                tables.made_by(model_of(self.embed), units.shape[1])
            check_dimension(units.shape[1], dimension)
            rows = map(bytes.fromhex, row_ids(key, addresses))
            tables.put(bytes.fromhex(scope_id(key)), rows, units)

    def forget(self, scope: Scope | ScopeKey) -> int:
        """Delete the vectors of one scope, and give how many there were.

        Their bytes are overwritten. The file stays as large as it was; its space is used again.

        Raises:
            IndexUnusable: the file cannot be written.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        file = self._file(key)
        if not file.path.exists():
            return 0
        with file.writing() as tables:
            return tables.delete(bytes.fromhex(scope_id(key)))

    def reindex(self) -> int:
        """Delete, of all tenants, what embedders of other names made; give how many vectors.

        Raises:
            IndexUnusable: a file cannot be written (IndexCorrupt: is damaged); the first such, once
                the others are done.
        """
        deleted = 0
        failed: IndexUnusable | None = None
        for path in sorted(Path(self.path).glob("*.vectors")):
            if not _FILE.fullmatch(path.name):
                continue
            try:
                with VectorFile(path, self.timeout).writing() as tables:
                    made_by = tables.model()
                    if made_by is not None and not still_of(made_by[0], self.embed):
                        deleted += tables.clear()
            except IndexUnusable as error:  # is its tenant's trouble alone
                failed = failed or error
        if failed is not None:
            raise failed
        return deleted

    def _file(self, scope: ScopeKey) -> VectorFile:
        return VectorFile(Path(self.path, f"{tenant_id(scope)}.vectors"), self.timeout)

    def _dimension(self, tables: VectorTables) -> int | None:
        """That of the vectors of a tenant, if they are of our embedder; None where it has none."""
        if (made_by := tables.model()) is None:
            return None
        check_model(made_by[0], self.embed, str(tables.path))
        return made_by[1]
