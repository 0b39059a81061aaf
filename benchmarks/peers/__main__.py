"""contextkit beside other libraries, in one run.

    python -m benchmarks.peers [--json] [--quick] [--data FOLDER] [--only PART …]

Prints tables (or JSON), and writes benchmarks/results/peers.json, docs/peers-cost.png and the
tables of docs/peers.md; the short form writes nothing. `make peers` sets up what it needs. Parts:
correctness, costs, server, times; what is measured in seconds comes last. With some parts alone,
the others stay in the results as they were measured before, with their own dates.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import figures
from benchmarks.measuring import FOLDER, WRITTEN, Outcome, data_folder, draw, made
from benchmarks.peers import correctness, costs, server, tables, times
from benchmarks.peers.libraries import OURS, OURS_SUMMARIZING, PEERS, ROOT
from benchmarks.peers.plots import plots
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong
from benchmarks.workloads import reaching

PARTS = ("correctness", "costs", "server", "times")
PROVIDERS = (("gpt-5", "implicit"), ("qwen-plus", "explicit"), ("qwen-plus", "implicit"))
LIMITS = (8_000, 32_000)
LONG = ("tau, 20 joined", "dialogues, 5 joined", "written dialogue")
"""Workloads of the second limit, which is measured for the first provider alone."""
SESSIONS = 2
"""Of a workload at most: some libraries take half a second for a request."""


def measure(
    parts: tuple[str, ...], folder: Path | None, *, quick: bool, say: Callable[[str], None]
) -> Outcome:
    """All figures of some parts, as JSON data."""
    with ExitStack() as stack:
        processes = []
        versions: dict[str, str] = {}
        for peer in PEERS:
            process = stack.enter_context(Process(peer))
            try:
                found = process.ask({"do": "version"}, 120.0)["version"]
            except (Failed, NotInstalled, TookTooLong) as error:
                say(f"left out: {error}")
                continue
            processes.append(process)
            if found:
                versions[peer.package] = found
        present = [process.peer for process in processes]
        versions.pop("contextkit", None)
        head = made(costs.SEED, "tiktoken", **versions, quick=quick)
        data = {"data": FOLDER if folder else WRITTEN}
        heads = {part: {**head, **(data if part == "costs" else {})} for part in parts}
        result: Outcome = {"benchmark": "peers", "made": heads}
        if "correctness" in parts:
            result["correctness"] = correctness.measure(processes, seeds=1 if quick else 3, say=say)
        if "costs" in parts:
            result |= _costs(processes, folder, quick=quick, say=say)
    if "server" in parts:
        chosen = present[:4] if quick else present
        result["server"] = server.measure(chosen, turns=8 if quick else 36, say=say)
    if "times" in parts:
        lengths = times.LENGTHS[:2] if quick else times.LENGTHS
        result["times"] = times.measure(
            present, lengths, turns=40 if quick else 200, seconds=0.5 if quick else 2.0, say=say
        )
    return result


def _costs(
    processes: list[Process], folder: Path | None, *, quick: bool, say: Callable[[str], None]
) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    sessions = []
    theirs = [one for one in processes if one.peer.name not in (OURS, OURS_SUMMARIZING)]
    for limit in LIMITS[:1] if quick else LIMITS:
        for one in costs.workloads(folder, limit, quick=quick):
            if limit > LIMITS[0] and one.name not in LONG:
                continue
            workload = replace(one, sessions=one.sessions[:SESSIONS])
            sessions.append(
                {"workload": workload.name, "limit": limit, **reaching(workload, limit)}
            )
            policies = [costs.PeerPolicy(one.peer, one) for one in theirs]
            for model, cache in PROVIDERS[:1] if quick or limit > LIMITS[0] else PROVIDERS:
                rows += costs.rows(workload, policies, (model, cache, limit), say=say)
    return {"costs": rows, "sessions": sessions}


def write(result: Outcome) -> None:
    """Put what was measured into the results, the plot and the page."""
    path = figures.RESULTS / "peers.json"
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        result = {**before, **result, "made": {**before["made"], **result["made"]}}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    draw(plots(result), ROOT / "docs")
    page = ROOT / "docs" / "peers.md"
    page.write_text(figures.written(page.read_text(encoding="utf-8")), encoding="utf-8")


def main() -> int:
    """Measure, print, and write what was asked for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--quick", action="store_true", help="a little of everything; writes nothing"
    )
    parser.add_argument("--data", help="a folder with conversations (or CONTEXTKIT_DATA)")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="parts")
    given = parser.parse_args()
    begun = time.monotonic()

    def say(what: str) -> None:
        sys.stderr.write(f"{time.monotonic() - begun:7.0f} s  {what}\n")

    folder = None if given.quick else data_folder(given.data)
    result = measure(tuple(given.only or PARTS), folder, quick=given.quick, say=say)
    if not given.quick:
        write(result)
    sys.stdout.write(json.dumps(result, indent=1) if given.json else tables.whole(result))
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
