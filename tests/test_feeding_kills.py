"""kill -9 between message, outbox and vector: afterwards nothing is missing, and nothing twice."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chroma_process import ChromaProcess
from tests.killed import POINTS

KILLS = 200 if "CONTEXTKIT_SOAK" in os.environ else 20

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


def killed(folder: Path, kind: str) -> dict[str, Any]:
    """What became of a worker that was killed so often; it is looked at in between, there."""
    command = [sys.executable, "-m", "tests.killed", str(folder), kind, str(KILLS), "7"]
    root = str(Path(__file__).parents[1])
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr[-3_000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def check(told: dict[str, Any]) -> None:
    assert told["kills"] == KILLS
    # How many come where is a matter of the machine; that each came somewhere is not.
    assert told["points"].pop("at a random moment") >= 1
    assert told["points"].keys() == POINTS.keys(), "each point of the code had its turn"
    assert told["acknowledged"] >= 1
    assert told["interrupted"] >= 1, "kills came where something was left to do"
    assert told["vectors"] > KILLS


def test_files_of_sqlite(tmp_path: Path) -> None:
    check(killed(tmp_path, "sqlite"))


def test_an_embedded_chroma(tmp_path: Path) -> None:
    check(killed(tmp_path, "chroma"))


def test_a_chroma_server(tmp_path: Path) -> None:
    with ChromaProcess(tmp_path / "data") as server:
        check(killed(tmp_path, f"server:{server.port}"))
