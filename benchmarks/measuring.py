"""What all benchmarks have in common: the head of a result, the command line, the data folder.

A result is JSON data: what was made, when and with what under `made`, and the figures. Its table
and plots are made of it alone, so that a stored result gives them again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contextkit.analysis.results import versions_of
from contextkit.analysis.showing.drawing import as_png

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Outcome = dict[str, Any]
Plots = Callable[[Outcome], Mapping[str, "Figure"]]

WRITTEN = "conversations written for the purpose"
FOLDER = "a data folder"


def made(seed: int, *packages: str, **more: Any) -> dict[str, Any]:
    """The head of a result: date, machine, versions, seed, and what else says how it was made."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}",
        **versions_of(*packages),
        "seed": seed,
        **more,
    }


def below(result: Outcome) -> str:
    """The line below a table that says when and with what it was made."""
    head = dict(result["made"])
    date, machine, seed = (head.pop(key) for key in ("date", "machine", "seed"))
    short = " (short form)" if head.pop("quick", False) else ""
    calls = f"{head.pop('calls')} calls each" if "calls" in head else None
    data = head.pop("data", None)
    versions = ", ".join(f"{name} {value}" for name, value in head.items())
    return ", ".join(
        part
        for part in (f"{date}{short}", versions, machine, f"seed {seed}", calls, data)
        if part is not None
    )


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def data_folder(given: str | None) -> Path | None:
    """The data folder that is given, or else named by the environment."""
    name = given or os.environ.get("CONTEXTKIT_DATA")
    return Path(name) if name else None


def command(
    doc: str | None,
    measure: Callable[[argparse.Namespace], Outcome],
    table: Callable[[Outcome], str],
    *,
    plots: Plots | None = None,
    data: bool = False,
    quick: str = "",
    options: Callable[[argparse.ArgumentParser], object] = lambda _parser: None,
) -> int:
    """Measure, and print a table or JSON; with `--png` the plots as well.

    Args:
        doc: what is measured.
        measure: gives the result.
        table: of a result.
        plots: of a result, by name.
        data: whether it can be measured on a data folder.
        quick: what the short form is; empty where there is none.
        options: adds more.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    if quick:
        parser.add_argument("--quick", action="store_true", help=quick)
    if data:
        parser.add_argument("--data", help="a folder with conversations (or CONTEXTKIT_DATA)")
    if plots is not None:
        parser.add_argument("--png", type=Path, metavar="FOLDER", help="write the plots there")
    options(parser)
    given = parser.parse_args()
    result = measure(given)
    sys.stdout.write(json.dumps(result, indent=1) if given.json else table(result))
    sys.stdout.write("\n")
    if plots is not None and given.png is not None:
        draw(plots(result), given.png)
    return 0


def draw(figures: Mapping[str, Figure], folder: Path) -> None:
    """Write figures as PNG, each under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        path = folder / f"{name}.png"
        path.write_bytes(as_png(figure))
        sys.stderr.write(f"wrote {path}\n")
