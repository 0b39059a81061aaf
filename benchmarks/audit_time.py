"""What an audit of a log takes: CPU seconds and memory by its length; and that it finds all.

    python -m benchmarks.audit_time [--json] [--quick]

A log of agents is written to a temporary file: requests of about 8,000 tokens in conversations that
are held at the same time, with ids or without. A tenth of them belongs to each of ten applications
with a breaker, or to none. Each length is audited in a process of its own: CPU seconds, and the
most memory that it held, with that of the imports beside it.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import planted_logs as planted
from benchmarks.measuring import Outcome, below, command, made, markdown

SEED = 0  # conversations are drawn from their numbers
SIZES = 1_000, 3_000, 10_000
QUICK = 300, 900
TURNS, STEPS = 14, 2  # requests of a conversation: 42
EVERY = 50.0  # seconds between the beginnings of two conversations
BREAKERS = {
    "system time": planted.clock,
    "system id": planted.session_id,
    "system passages": planted.passages,
    "tools order": planted.tools_order,
    "tools set": planted.tool_added,
    "history slides": planted.slide,
    "history cleared": planted.cleared,
    "history rewritten": planted.old_message,
    "history image": planted.image,
    "settings": planted.response_format,
}
SHARE = 20  # one in so many conversations has a given breaker


def talks(requests: int) -> Iterator[planted.Talk]:
    """Conversations with at least so many requests in all."""
    changes = list(BREAKERS.values())
    for number in range(requests // (TURNS * (STEPS + 1)) + 2):
        kind = number % SHARE
        yield planted.Talk(
            number,
            turns=TURNS,
            steps=STEPS,
            app=kind,
            change=changes[kind] if kind < len(changes) else planted.clean,
            start=number * EVERY,
            gap=20.0,
            named=bool(number // SHARE % 2),
            lively=kind >= len(changes),
            rules=16_000,
            size=1_100,
        )


def write(path: Path, requests: int) -> None:
    """Write a log of so many requests."""
    with path.open("w", encoding="utf-8") as file:
        for recorded in islice(planted.log(talks(requests)), requests):
            file.write(json.dumps(planted.to_json(recorded)) + "\n")


def audited(path: Path) -> dict[str, Any]:
    """Audit a log in this process."""
    from contextkit.analysis.audit import audit

    before = _peak()
    start = time.process_time()
    result = audit([path])
    seconds = time.process_time() - start
    [total, *_] = result.tables[1].rows
    return {
        "requests": total["requests"],
        "tokens": total["input"],
        "bytes": path.stat().st_size,
        "cpu_seconds": round(seconds, 2),
        "imports_mib": round(before, 1),
        "peak_mib": round(_peak(), 1),
        "findings": [row["kind"] for row in result.rows],
    }


def _peak() -> float:
    """The most memory that this process has held, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():  # what getrusage says begins with what the parent process held
        [line] = [one for one in status.read_text().splitlines() if one.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(sizes: tuple[int, ...]) -> list[dict[str, Any]]:
    """Write and audit a log of each size."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            path = Path(folder) / f"{size}.jsonl"
            write(path, size)
            command = [sys.executable, "-m", "benchmarks.audit_time", "--of", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            found.append(json.loads(done.stdout))
            path.unlink()
    return found


def table(result: Outcome) -> str:
    """The figures as Markdown."""
    heads = ["requests", "tokens each", "KB a line", "CPU s", "peak MiB", "of them imports"]
    rows = []
    for row in result["rows"]:
        n = row["requests"]
        found, planted_there = len(row["findings"]), len(result["planted"])
        known = sorted(row["findings"]) == sorted(result["planted"])
        rows.append(
            [
                f"{n:,}",
                f"{row['tokens'] / n:,.0f}",
                f"{row['bytes'] / n / 1_000:.1f}",
                f"{row['cpu_seconds']:.1f}",
                f"{row['peak_mib']:,.0f}",
                f"{row['imports_mib']:,.0f}",
                f"{found} of {planted_there}{', no other' if known else ''}",
            ]
        )
    return "\n".join([markdown([*heads, "breakers found"], rows), "", below(result)])


def outcome(sizes: tuple[int, ...], *, quick: bool) -> Outcome:
    """All figures, as JSON data."""
    return {
        "benchmark": "audit_time",
        "made": made(SEED, "tiktoken", quick=quick),
        "planted": list(BREAKERS),
        "rows": measure(sizes),
    }


def main() -> int:
    """Measure and print."""
    if sys.argv[1:2] == ["--of"]:
        print(json.dumps(audited(Path(sys.argv[2]))))
        return 0
    return command(
        __doc__,
        lambda given: outcome(QUICK if given.quick else SIZES, quick=given.quick),
        table,
        quick=f"{QUICK[-1]:,} requests",
    )


if __name__ == "__main__":
    sys.exit(main())
