"""The measured tables and plots of the pages: `make figures` measures and writes them.

python -m benchmarks.figures          write them from benchmarks/results/*.json
python -m benchmarks.figures --check  fail where a table is not what the results say

On a page a table stands between `<!-- figures: NAME -->` and `<!-- /figures -->`.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import (
    build_time,
    evidence,
    evidence_cost,
    frontier,
    growth,
    policy_cost,
    retrieval_latency,
    schedule,
    summaries,
    tool_loop,
    wrap_overhead,
)
from benchmarks.measuring import draw
from benchmarks.peers import tables as peers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (
    ROOT / "README.md",
    DOCS / "costs.md",
    DOCS / "peers.md",
    DOCS / "summaries.md",
    DOCS / "retrieval.md",
)


def demo_table(result: dict[str, Any]) -> str:
    """The two runs of `contextkit demo --json` side by side."""
    from contextkit.cli.demo import markdown

    return markdown(result)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo_table,
    "build_time": build_time.table,
    "wrap_overhead": wrap_overhead.table,
    "growth": growth.table,
    "schedule": schedule.table,
    "policy_cost": policy_cost.table,
    "policy_cost: summary": policy_cost.summary,
    "frontier": frontier.short,
    "evidence": evidence.short,
    "evidence: ablations": evidence.ablations,
    "evidence: gate": evidence.gate,
    "evidence: whole": evidence.table,
    "evidence_cost": evidence_cost.short,
    "evidence_cost: providers": evidence_cost.by_profile,
    "evidence_cost: settings": evidence_cost.others,
    "retrieval_latency": retrieval_latency.table,
    "tool_loop": tool_loop.short,
    "summaries: server": summaries.table,
    **{f"peers: {name}": table for name, table in peers.ALL.items()},
}

PLOTS: dict[str, Callable[[dict[str, Any]], Mapping[str, Figure]]] = {
    "growth": growth.plots,
    "schedule": schedule.plots,
    "frontier": frontier.plots,
}
"""Those of which at least one is shown on a page."""


def result_of(name: str) -> dict[str, Any] | None:
    """A stored result; None where it was never measured."""
    path = RESULTS / f"{name.partition(':')[0]}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def written(text: str) -> str:
    """A page with every table as the results say."""
    for name, table in TABLES.items():
        block = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- /figures -->)", re.DOTALL)
        if block.search(text) and (result := result_of(name)) is not None:
            lines = table(result)
            text = block.sub(lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text)
    return text


def shown(text: str) -> set[str]:
    """The names of the plots that a page shows."""
    return set(re.findall(r"!\[[^\]]*\]\((?:docs/)?([\w-]+)\.png\)", text))


def main() -> int:
    """Write tables and plots, or check the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = False
    plots: set[str] = set()
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = written(before)
        plots |= shown(after)
        if check and before != after:
            sys.stderr.write(f"{page.name} has other figures than benchmarks/results\n")
            stale = True
        elif not check:
            page.write_text(after, encoding="utf-8")
    if not check:
        for name, figures in PLOTS.items():
            drawn = figures(result) if (result := result_of(name)) is not None else {}
            draw({one: figure for one, figure in drawn.items() if one in plots}, DOCS)
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
