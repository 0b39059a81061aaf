"""The measured tables of README.md and of pages in docs: `make figures` measures and writes them.

python -m benchmarks.figures          write the tables from benchmarks/results/*.json
python -m benchmarks.figures --check  fail where a table is not what the results say
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import build_time, policy_cost, schedule, wrap_overhead
from benchmarks.peers import tables as peers

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", ROOT / "docs" / "costs.md", ROOT / "docs" / "peers.md")


def demo_table(result: dict[str, Any]) -> str:
    """The two runs of `contextkit demo --json` side by side."""
    from contextkit.cli.demo import markdown

    return markdown(result)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "demo": demo_table,
    "build_time": build_time.table,
    "wrap_overhead": wrap_overhead.table,
    "schedule": schedule.table,
    "policy_cost": policy_cost.table,
    "policy_cost: summary": policy_cost.summary,
    **{f"peers: {name}": table for name, table in peers.ALL.items()},
}


def written(text: str) -> str:
    """A page with every table as the results say."""
    for name, table in TABLES.items():
        result = json.loads(
            (RESULTS / f"{name.partition(':')[0]}.json").read_text(encoding="utf-8")
        )
        block = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- /figures -->)", re.DOTALL)
        lines = table(result)
        text = block.sub(lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text)
    return text


def main() -> int:
    """Write the tables, or check them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = False
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = written(before)
        if check and before != after:
            sys.stderr.write(f"{page.name} has other figures than benchmarks/results\n")
            stale = True
        elif not check:
            page.write_text(after, encoding="utf-8")
    return int(stale)


if __name__ == "__main__":
    sys.exit(main())
