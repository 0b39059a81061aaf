"""ChromaServerIndex: vectors on a Chroma server, for several processes and machines."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from contextkit.errors import ContextKitError, IndexUnreachable, IndexUnusable, InputError
from contextkit.retrieval.chroma_rows import Calls, ChromaRows, run, run_async
from contextkit.retrieval.index import Embed, ScopeKey
from contextkit.retrieval.index_inputs import check_embed, scope_key
from contextkit.scope import Scope

Result = TypeVar("Result")


class ChromaServerIndex:
    """Vectors on a Chroma server, which any number of processes and machines may share.

    They lie there as in `ChromaIndex`: a collection for each tenant, hashes of scopes and
    addresses, no text. With an async client every method gives an awaitable, which only the async
    calls of a builder accept.

    What is done can be done twice without harm, so it is tried once more, at once, where a
    connection is lost: after a restart of the server the connections that a client has kept are
    dead. If that fails too it is IndexUnreachable, which a later build may survive.

    Run the server as `chroma run`, behind TLS and a login of your own, and never as the Python
    server `chromadb.server.fastapi`: from 1.0.0 to 1.5.9, the newest on 2026-11-21, it lets anybody
    who reaches it run code before they log in (CVE-2026-45829).

    Args:
        embed: gives the vectors of texts; sync or async. Vectors of an embedder with another `name`
            are refused.
        client: `chromadb.HttpClient(…)` or `await chromadb.AsyncHttpClient(…)`. The async one does
            not verify certificates unless its settings say `chroma_server_ssl_verify=True`.
        timeout: seconds to wait for an answer; Chroma's clients have no such limit.

    Raises:
        InputError: the client is not that of a server.

    Example:
        >>> import chromadb, contextkit as ck
        >>> client = chromadb.HttpClient("localhost", 8000)  # doctest: +SKIP
        >>> index = ck.ChromaServerIndex(embed, client)  # doctest: +SKIP
    """

    def __init__(self, embed: Embed, client: Any, *, timeout: float = 10.0) -> None:
        check_embed(embed, "ChromaServerIndex.embed")
        if not (type(timeout) in (int, float) and timeout > 0):
            raise InputError(
                f"is seconds, more than 0, not {timeout!r:.60}", place="ChromaServerIndex.timeout"
            )
        self.embed = embed
        self.timeout = timeout
        self._client = client
        self._where = _address(client)
        self.is_async = inspect.iscoroutinefunction(client.get_collection)
        # The session of a sync client has timeout None, and no parameter for it.
        session = getattr(getattr(client, "_server", None), "_session", None)
        if session is not None and not any(session.timeout.as_dict().values()):
            session.timeout = timeout

    def __repr__(self) -> str:
        return f"ChromaServerIndex({self._where!r})"

    def vectors(self, scope: Scope | ScopeKey, addresses: Sequence[str]) -> Any:
        """Those that are held, of some addresses, in their order: `dict[str, np.ndarray]`.

        Raises:
            EmbeddingError: another embedder made the vectors of this tenant.
            IndexCorrupt: what is found is of another scope, or was not stored here; nothing of it
                is given.
            IndexUnreachable: the server does not answer.
            IndexUnusable: it refuses.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        return self._completed(lambda: self._rows().vectors(key, addresses))

    def add(self, scope: Scope | ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        """Hold vectors under their addresses; one that is there already is replaced.

        Raises:
            EmbeddingError: wrong shape or dimension, NaN or zero vectors, or another embedder than
                that of the tenant's other vectors; nothing was stored.
            IndexUnreachable, IndexUnusable: the server does not answer, or refuses. Of many vectors
                some may be stored; adding them again completes it.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        return self._completed(lambda: self._rows().add(key, addresses, vectors))

    def forget(self, scope: Scope | ScopeKey) -> Any:
        """Delete the vectors of one conversation, and give how many there were: `int`.

        They are not found again; their bytes stay in the server's files until it reuses the space.

        Raises:
            IndexUnreachable, IndexUnusable: the server does not answer, or refuses.
            ScopeError: what was given is no scope.
        """
        key = scope_key(scope)
        return self._completed(lambda: self._rows().forget(key))

    def reindex(self) -> Any:
        """Delete, of all tenants, what embedders of other names made; give how many: `int`.

        Where several processes share the server, call it when all of them have the new embedder:
        one that has the old one makes its vectors anew.

        Raises:
            IndexUnreachable, IndexUnusable: the server does not answer, or refuses.
        """
        return self._completed(lambda: self._rows().reindex())

    def _rows(self) -> ChromaRows:
        return ChromaRows(self._client, self._where, self.embed, alone=False)

    def _completed(self, calls: Callable[[], Calls[Result]]) -> Any:
        if self.is_async:
            return self._completed_async(calls)
        with self._typed_errors():
            try:
                return run(calls())
            except _worth_another_try():
                return run(calls())

    async def _completed_async(self, calls: Callable[[], Calls[Result]]) -> Result:
        from asyncio import timeout

        with self._typed_errors():
            async with timeout(self.timeout):
                try:
                    return await run_async(calls())
                except _worth_another_try():
                    return await run_async(calls())

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        import httpx  # Chroma's own

        try:
            yield
        except ContextKitError:
            raise
        except (TimeoutError, httpx.TimeoutException) as error:
            what = f"did not answer within {self.timeout:g} s: try again"
            raise IndexUnreachable(self._where, what) from error
        except httpx.TransportError as error:
            what = f"cannot be reached ({type(error).__name__}: {error}): is it running?"
            raise IndexUnreachable(self._where, what) from error
        except Exception as error:
            raise IndexUnusable(
                self._where,
                f"cannot be used: Chroma says {type(error).__name__}: {error}. Clients and server "
                "should be of the same version",
            ) from error


def _worth_another_try() -> tuple[type[Exception], ...]:
    """A connection that was lost, or a collection that somebody deleted just now."""
    import httpx
    from chromadb.errors import NotFoundError

    return (httpx.NetworkError, httpx.RemoteProtocolError, NotFoundError)


def _address(client: Any) -> str:
    """Where the server of a client is.

    Raises:
        InputError: it is no client of a server.
    """
    try:
        settings = client.get_settings()
        over_http = "fastapi" in settings.chroma_api_impl
    except AttributeError:
        over_http = False
    if not over_http:
        raise InputError(
            "is a client of a Chroma server, chromadb.HttpClient(…) or await "
            f"chromadb.AsyncHttpClient(…), not {type(client).__name__}. For a directory there is "
            "ChromaIndex, which locks it",
            place="ChromaServerIndex.client",
        )
    host = str(settings.chroma_server_host).rsplit("@", 1)[-1]  # without a password
    return f"the Chroma server {host}:{settings.chroma_server_http_port}"
