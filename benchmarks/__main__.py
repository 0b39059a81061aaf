"""The short form of all benchmarks, one after the other, each in a process of its own.

    python -m benchmarks [--json] [--png FOLDER] [--only NAME ...]

What needs something that is not installed is skipped, and the reason said.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Benchmark:
    """A benchmark in its short form.

    Attributes:
        name: of the module.
        what: it measures.
        plots: whether it has any.
        needs: a package that not everybody has, with how to get it; None for none.
    """

    name: str
    what: str
    plots: bool = False
    needs: tuple[str, str] | None = None


SERVER = ("xllamacpp", "pip install 'contextkit[local]'")

BENCHMARKS = (
    Benchmark("build_time", "building the next request", plots=True),
    Benchmark("wrap_overhead", "what a wrapped client takes beyond the bare one"),
    Benchmark("growth", "times and memory, by messages and by conversations", plots=True),
    Benchmark("schedule", "what cuts cost by the least possible", plots=True),
    Benchmark("policy_cost", "whole conversations by a sliding window", plots=True),
    Benchmark("frontier", "kept context and its cost", plots=True),
    Benchmark("tool_loop", "a long tool loop whose results are cleared"),
    Benchmark("summaries", "what summaries cost on the embedded server", needs=SERVER),
    Benchmark("evidence", "what share of labelled evidence a context holds"),
    Benchmark("evidence_cost", "what conversations with questions cost, and show"),
    Benchmark("retrieval_latency", "what a turn added and a question take"),
    Benchmark("simulator_time", "what the cache simulator takes"),
    Benchmark("audit_time", "what an audit takes, and whether it finds all"),
    Benchmark("simulator_exact", "the simulator against the embedded server", needs=SERVER),
    Benchmark("forecast_exact", "forecasts against the embedded server", needs=SERVER),
    Benchmark("peers", "other libraries beside contextkit"),
)


def main() -> int:
    """Run them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object by name")
    parser.add_argument("--png", type=Path, metavar="FOLDER", help="write the plots there")
    parser.add_argument(
        "--only", nargs="+", choices=[one.name for one in BENCHMARKS], help="these alone"
    )
    given = parser.parse_args()
    results, failed = {}, []
    for one in BENCHMARKS:
        if given.only and one.name not in given.only:
            continue
        missing = lacking(one)
        sys.stderr.write(f"{one.name}: {one.what}{f': skipped: {missing}' if missing else ''}\n")
        sys.stderr.flush()
        if missing:
            continue
        begun = time.monotonic()
        done = run(one, as_json=given.json, png=given.png)
        sys.stderr.write(f"{one.name}: {time.monotonic() - begun:.0f} s\n")
        if done.returncode:
            failed.append(one.name)
        if given.json:
            results[one.name] = json.loads(done.stdout) if done.stdout.strip() else None
        else:
            sys.stdout.write(f"## {one.name}: {one.what}\n\n{done.stdout}\n")
            sys.stdout.flush()
    if given.json:
        json.dump(results, sys.stdout, indent=1)
        sys.stdout.write("\n")
    if failed:
        sys.stderr.write(f"failed: {', '.join(failed)}\n")
    return int(bool(failed))


def lacking(one: Benchmark) -> str:
    """What a benchmark lacks here, and how to get it; empty where it lacks nothing."""
    if one.name == "peers":
        return _peers()
    if one.needs is not None and find_spec(one.needs[0]) is None:
        return f"{one.needs[0]} is not installed; {one.needs[1]}"
    return ""


def _peers() -> str:
    """The other libraries live in an environment of their own."""
    ready = [ROOT / ".venv-peers" / name / ".ready" for name in ("current", "held-back")]
    if find_spec("benchmarks.peers.__main__") is None:
        return "there is no benchmark of them here"
    if not all(one.exists() for one in ready):
        return "the other libraries are not installed; make peers gets them, and measures all"
    return ""


def run(one: Benchmark, *, as_json: bool, png: Path | None) -> subprocess.CompletedProcess[str]:
    """Run the short form of one; what it says on the way is shown."""
    command = [sys.executable, "-m", f"benchmarks.{one.name}", "--quick"]
    if as_json:
        command.append("--json")
    if png is not None and one.plots:
        command += ["--png", str(png)]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - our own modules


if __name__ == "__main__":
    sys.exit(main())
