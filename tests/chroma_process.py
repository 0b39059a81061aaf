"""A real Chroma server, `chroma run`, on a free port here, to be killed and restarted."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any, Self

# What the command `chroma` does, without the second that importing chromadb takes.
_START = "import sys, chromadb_rust_bindings as rust; rust.cli(['chroma', *sys.argv[1:]])"


class ChromaProcess:
    """A server over one directory; its port stays the same."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it takes requests."""
        where = ["--path", str(self.path), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", _START, "run", *where],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.path,
            text=True,
        )
        listens = Event()
        said: list[str] = []

        def read() -> None:  # all the time, or the pipe would fill and stop it
            for line in self.process.stdout:
                if not listens.is_set():
                    said.append(line)
                if "listening on address" in line:
                    listens.set()
            listens.set()

        self._reader = Thread(target=read)
        self._reader.start()
        assert listens.wait(120), "".join(said)
        deadline = monotonic() + 120
        while True:  # it says so a moment before it is true
            assert self.process.poll() is None, "".join(said)
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert monotonic() < deadline
                sleep(0.01)
            else:
                return

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        self._reader.join()
        self.process.stdout.close()

    def client(self, **headers: str) -> Any:
        import chromadb

        return chromadb.HttpClient("127.0.0.1", self.port, headers=headers)

    async def async_client(self) -> Any:
        import chromadb

        # So that no connection outlives the event loop of its test.
        headers = {"Connection": "close"}
        return await chromadb.AsyncHttpClient("127.0.0.1", self.port, headers=headers)

    def pause(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
