"""`contextkit demo`: the same conversation with contextkit and with a sliding window, measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

from contextkit.analysis.plots import plot_runs
from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.cli import exit_code, require, say
from contextkit.cli.hold import hold
from contextkit.cli.measured import Run
from contextkit.cli.result import OURS, THEIRS, markdown, result_of, series
from contextkit.cli.ways import SlidingWindow, Way, WithContextKit, script
from contextkit.errors import ContextKitError, InputError
from contextkit.providers.local import MODEL, LocalServer, bundled_model
from contextkit.strategies.truncation import DropOldest

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Settings", "markdown", "run"]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a demo is run with; tokens, unless said otherwise.

    Attributes:
        turns: user messages.
        limit: of every request of both runs.
        target: what contextkit's cuts come down to, behind the system prompt.
        reply: of a reply at most.
        seed: of the model's sampling, which at temperature 0 plays no part.
        port: of the server; 0 is any free one.
        threads: that the server computes with.
    """

    turns: int
    limit: int
    target: int
    reply: int
    seed: int
    port: int
    threads: int

    @classmethod
    def of(
        cls,
        *,
        turns: int | None = None,
        limit: int | None = None,
        target: int | None = None,
        seed: int = 1,
        port: int = 0,
        threads: int = 2,
        quick: bool = False,
    ) -> Self:
        """The settings asked for, and the usual ones for the rest."""
        usual = (7, 400, 120, 8) if quick else (36, 1_400, 500, 40)
        return cls(
            turns or usual[0], limit or usual[1], target or usual[2], usual[3], seed, port, threads
        )


def run(settings: Settings, png: Path, *, as_json: bool = False) -> int:
    """Run the demo and give the exit code. Whatever ends it, what was measured is shown.

    Raises:
        ContextKitError: when it cannot begin.
    """
    for package, purpose in (("rich", "the demo's table"), ("matplotlib", "the demo's plot")):
        require(package, purpose)
    from rich.console import Console

    from contextkit.cli.table import how_far, show_summary

    system, texts = script()
    if settings.turns > len(texts):
        raise InputError(f"{settings.turns:,}, but the script has {len(texts)}", place="--turns")
    if not png.parent.is_dir():
        raise InputError(f"there is no folder {png.parent}", place="--png")
    bundled_model()  # without it tokens would be estimated, before the server says what is missing
    builder = ContextBuilder(
        MODEL,
        budget=Budget(settings.limit, settings.target, reserve=settings.reply),
        compaction=[DropOldest()],
    )
    settings = replace(settings, limit=builder.budget.limit)  # the window may allow less
    console = Console(stderr=as_json, highlight=False)
    for note in builder.notes:
        console.print(note, soft_wrap=True, markup=False)
    runs = [Run(OURS, settings.turns), Run(THEIRS, settings.turns)]
    ways: list[Way] = [
        WithContextKit(builder, system),
        SlidingWindow(builder.counter, system, settings.limit),
    ]
    stopped: BaseException | None = None
    try:
        for kept, way in zip(runs, ways, strict=True):
            _hold(console, settings, kept, way, texts[: settings.turns])
        plot_runs(series(runs), png, title=_title(settings), limit=settings.limit)
    except (ContextKitError, KeyboardInterrupt, OSError) as error:
        if not any(kept.requests for kept in runs):
            raise
        stopped = error
    result = result_of(settings, builder, runs, None if stopped else png)
    if as_json:
        json.dump(result, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        show_summary(console, result)
    if stopped is not None:
        what = "stopped by Ctrl-C" if isinstance(stopped, KeyboardInterrupt) else stopped
        say(f"measured before the end: {how_far(runs)}; no plot was written")
        say(what)
        return exit_code(stopped)
    return 0


def _hold(console: Console, settings: Settings, kept: Run, way: Way, texts: Sequence[str]) -> None:
    """One run on a server of its own, shown as it goes."""
    from contextkit.cli.table import LiveTable

    options = {"temperature": 0, "seed": settings.seed, "max_tokens": settings.reply}
    title = f"{kept.name}: {settings.turns} turns, limit {settings.limit:,} tokens"
    if kept.name == OURS:
        title += f", target {settings.target:,}"
    console.print("Starting the model server on this machine ...", style="dim")
    with (
        LocalServer(port=settings.port, threads=settings.threads) as server,
        LiveTable(console, kept, title) as table,
    ):
        for request in hold(server, way, texts, options):
            kept.requests.append(request)
            table.add(request)


def _title(settings: Settings) -> str:
    return (
        f"One conversation, {settings.turns} turns, limit {settings.limit:,} tokens, "
        f"on {MODEL} in llama.cpp's server"
    )
