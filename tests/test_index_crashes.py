"""Indexes and processes that die: nothing acknowledged is lost, nothing is there twice or half."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

if not hasattr(os, "fork"):
    pytest.skip("there is no fork here", allow_module_level=True)

KILLS = 200 if "CONTEXTKIT_SOAK" in os.environ else 20


def run(*arguments: Any) -> Any:
    command = [sys.executable, "-W", "error", "-m", "tests.index_processes", *map(str, arguments)]
    root = Path(__file__).parents[1]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.parametrize("kind", ["sqlite", "chroma"])
def test_kill_9_loses_nothing_acknowledged(kind: str, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        found = list(
            pool.map(lambda seed: run("kill", kind, tmp_path / str(seed), seed, KILLS // 2), (1, 2))
        )
    for each in found:
        assert each["rounds"] == KILLS // 2  # each added something before it was killed
        # An add that was not acknowledged is there whole, or not at all; and one row for "same".
        unacknowledged = each["rows"] - 1 - 5 * each["acknowledged"]
        assert unacknowledged % 5 == 0
        assert 0 <= unacknowledged <= 5 * KILLS // 2


def test_damaged_chroma_gives_no_wrong_vector_and_crashes_twice_at_most(tmp_path: Path) -> None:
    found = run("damage", "chroma", tmp_path)
    assert found.pop("nothing") == found.pop("all is deleted") == ["right"]
    for what, uses in found.items():
        assert uses[-1] in ("told", "crashes", "right", "missing"), (what, uses)
        # What a probe of the directory survives by chance is told after the next crash.
        assert len(uses) == 1 or uses[-1] == "crashes", (what, uses)

    assert any(len(uses) > 1 for uses in found.values())  # else nothing crashes any more
    assert found["the database is empty"] == ["missing"]
    for what in ("the database is cut", "the database is flipped", "the header is empty"):
        assert found[what] == ["told"]
