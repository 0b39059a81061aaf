"""A library in a process of its own, with time-outs that end what it does."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from types import TracebackType
from typing import Any, Self

from benchmarks.peers.libraries import ROOT, Peer

# Nothing is fetched and nothing is sent: what libraries would do by themselves is switched off.
QUIET = {
    "ANONYMIZED_TELEMETRY": "False",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "LANGCHAIN_TRACING_V2": "false",
    "LANGSMITH_TRACING": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "CRITICAL",
    "OPENAI_AGENTS_DISABLE_TRACING": "1",
    "OTEL_SDK_DISABLED": "true",
    "PYTHONHASHSEED": "0",
}


class TookTooLong(Exception):
    """A job was ended at its time-out.

    Attributes:
        seconds: that it was given.
        told: what it had told by then.
    """

    def __init__(self, seconds: float, told: list[dict[str, Any]]) -> None:
        super().__init__(f"ended after {seconds:g} s")
        self.seconds, self.told = seconds, told


class NotInstalled(Exception):
    """The environment of a library is not there."""


class Failed(Exception):
    """A job could not be done at all."""


class Process:
    """Runs jobs of one peer; starts anew after a job that was ended.

    Args:
        peer: whose library.
        path: a folder with packages that its environment has not got.
    """

    def __init__(self, peer: Peer, *, path: str = "") -> None:
        self.peer, self.path = peer, path
        self._child: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def ask(
        self, job: dict[str, Any], seconds: float, *, first: float | None = None
    ) -> dict[str, Any]:
        """Do a job.

        Args:
            job: as `child` takes it.
            seconds: until the next sign of life, at most.
            first: until the first one, where that may take another time.

        Raises:
            TookTooLong: there was none.
            Failed: the child ended, or could not do it.
            NotInstalled: its environment is not there.
        """
        child = self._running()
        assert child.stdin is not None  # noqa: S101 - opened as a pipe below
        child.stdin.write(json.dumps(job).encode() + b"\n")
        child.stdin.flush()
        told: list[dict[str, Any]] = []
        while True:
            most = seconds if told or first is None else first
            line = self._line(child, most)
            if line is None:
                self.end()
                raise TookTooLong(most, told)
            said = json.loads(line)
            if "done" not in said:
                told.append(said)
                continue
            done: dict[str, Any] = said["done"]
            if "failed" in done:
                raise Failed(f"{self.peer.name}: {done['failed']}")
            return done

    def end(self) -> None:
        """End the process."""
        child, self._child, self._rest = self._child, None, b""
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            python = self.peer.python or sys.executable
            if not os.access(python, os.X_OK):
                where = self.peer.environment
                raise NotInstalled(f"environment {where!r} is not there; `make peers` sets it up")
            self._child = subprocess.Popen(  # noqa: S603 - this module's own child
                [str(python), "-m", "benchmarks.peers.child", self.peer.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
                env={
                    **os.environ,
                    **QUIET,
                    "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), self.path))),
                },
            )
        return self._child

    def _line(self, child: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """The next line; None where there is none in time."""
        assert child.stdout is not None  # noqa: S101 - opened as a pipe above
        ends = time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while b"\n" not in self._rest:
                if not selector.select(max(0.0, ends - time.monotonic())):
                    return None
                read = os.read(child.stdout.fileno(), 1 << 20)
                if not read:
                    self.end()
                    raise Failed(f"{self.peer.name}: its process ended; what it said is above")
                self._rest += read
        line, _, self._rest = self._rest.partition(b"\n")
        return line
