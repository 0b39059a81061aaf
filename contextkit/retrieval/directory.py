"""The directory of an embedded Chroma: one process at a time, its errors become ours."""

from __future__ import annotations

import atexit
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakSet

from contextkit.errors import (
    ContextKitError,
    IndexCorrupt,
    IndexLocked,
    IndexUnusable,
    MissingExtra,
)
from contextkit.retrieval.chroma_probe import crashes

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from filelock import BaseFileLock

_LOCK, _HOLDER, _INSIDE = "contextkit.lock", "contextkit.pid", "contextkit.inside"
_TRIED = "contextkit.tried"  # opened after a probe, and nothing was written since

# Chroma 1.5.9 does not let go of a collection that it has touched: some 2.6 MB and 4 open files
# each (384 dimensions, measured 2026-11-22). At so many its client is opened anew, in some 10 ms,
# and as much again for each collection that is next used.
_MOST_TOUCHED = 100


class ChromaDirectory:
    """An open Chroma client, locked against every other process and every other client.

    Args:
        path: its one true name; made where it is not there, for its owner alone.

    Attributes:
        touched: names of the collections that were used since the client was opened.

    Raises:
        MissingExtra, IndexLocked, IndexUnusable: as `ChromaIndex` says.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.touched: set[str] = set()
        self._thread = Lock()
        self._pid = os.getpid()
        self._client: Client | None = None
        self._guard: BaseFileLock | None = None
        try:
            import chromadb  # noqa: F401 - before anything is made
            import filelock  # noqa: F401
        except ImportError as error:
            raise MissingExtra(error.name or "chromadb", "chroma", "ChromaIndex") from error
        _all.add(self)
        self._guard = _locked(self.path)
        try:
            if Path(self.path, _INSIDE).exists():
                # What a probe survives may still crash: then whoever came after it has died, too.
                tried = Path(self.path, _TRIED)
                if tried.exists() or crashes(self.path):
                    raise IndexCorrupt(self.path, "makes Chroma crash")
                tried.touch()
            with _typed_errors(self.path), _marked(self.path):
                self._client = opened(self.path)
        except BaseException:
            self.close()
            raise

    def __del__(self) -> None:
        self.close()  # a client without its lock would see another process write

    def close(self) -> None:
        """Close the client, then let others have the directory. May be called again."""
        if self._pid != os.getpid():
            return  # both belong to the process that forked this one
        with self._thread:
            client, self._client = self._client, None
            guard, self._guard = self._guard, None
            try:
                if client is not None:
                    with _typed_errors(self.path):
                        client.close()
            finally:
                if guard is not None:
                    with suppress(OSError):
                        Path(self.path, _HOLDER).unlink()
                    guard.release()

    @contextmanager
    def client(self) -> Iterator[Client]:
        """The client, for this thread alone.

        Raises:
            IndexUnusable: for whatever goes wrong in Chroma; closed; or forked.
        """
        if self._pid != os.getpid():  # before the lock, which a fork may inherit locked
            raise IndexUnusable(
                self.path,
                "was opened before this process was forked: make the index after the fork",
            )
        with self._thread:
            if self._guard is None:
                raise IndexUnusable(self.path, "was closed: make another ChromaIndex")
            with _typed_errors(self.path), _marked(self.path):
                if self._client is not None and len(self.touched) >= _MOST_TOUCHED:
                    client, self._client = self._client, None
                    self.touched.clear()
                    client.close()
                    _give_back()
                if self._client is None:  # also where opening it anew has failed before
                    self._client = opened(self.path)
                yield self._client

    def survived(self) -> None:
        """Say that something was written, which touches the whole graph: a probe was right."""
        with suppress(OSError):
            Path(self.path, _TRIED).unlink()


def _locked(path: str) -> BaseFileLock:
    from filelock import FileLock, Timeout

    try:
        Path(path).mkdir(mode=0o700, parents=True, exist_ok=True)
        # Any thread may close, so the lock is not one thread's.
        guard = FileLock(Path(path, _LOCK), timeout=0, thread_local=False)
        guard.acquire()
        Path(path, _HOLDER).write_text(str(os.getpid()), "ascii")
    except Timeout as error:
        raise IndexLocked(path, _holder(path)) from error
    except OSError as error:
        raise IndexUnusable(
            path, f"cannot be made or locked ({error}): check its rights"
        ) from error
    return guard


@contextmanager
def _marked(path: str) -> Iterator[None]:
    """A mark that stays where the process dies inside of Chroma, maybe of it."""
    mark = Path(path, _INSIDE)
    mark.touch()
    try:
        yield
    finally:
        with suppress(OSError):
            mark.unlink()


def _holder(path: str) -> int | None:
    try:
        return int(Path(path, _HOLDER).read_text("ascii"))
    except (OSError, ValueError):
        return None


def opened(path: str) -> Client:
    """A client, whose directory is locked."""
    import chromadb
    from chromadb.config import Settings

    # What is said here goes before the environment and an .env file, which Chroma reads.
    settings = Settings(
        anonymized_telemetry=False,
        chroma_api_impl="chromadb.api.rust.RustBindingsAPI",
        chroma_otel_collection_endpoint="",
        migrations="apply",
    )
    client: Client = chromadb.PersistentClient(path, settings)  # type: ignore[assignment]  # is one
    return client


def _give_back() -> None:
    """Let the system have the memory of a closed client, which glibc would keep.

    Measured 2026-11-22: 600 tenants, one after the other, take 380 MB at most, and 1.4 GB without.
    """
    with suppress(OSError, AttributeError, TypeError):  # there is another C library
        ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def _typed_errors(path: str) -> Iterator[None]:
    try:
        yield
    except ContextKitError:
        raise
    except BaseException as error:
        # A panic of Chroma's Rust part is no Exception, and must not end the program.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise IndexUnusable(
            path,
            f"cannot be used: Chroma says {type(error).__name__}: {error}. Try again; if it stays "
            "so, delete the directory: what is missing is embedded again",
        ) from error


# A fork has the client, but not the threads that it needs: it would wait for them for ever where
# the client is destroyed, at the end of the forked process. So there it is never destroyed.

_all: WeakSet[ChromaDirectory] = WeakSet()


def _after_fork() -> None:
    for directory in list(_all):
        if directory._client is not None:  # noqa: SLF001 - of this module
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(directory._client))  # noqa: SLF001


@atexit.register
def _at_exit() -> None:
    for directory in list(_all):
        with suppress(ContextKitError):
            directory.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
