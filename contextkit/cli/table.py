"""What the demo shows on a terminal: a row for each request as it comes, then the two sums."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.live import Live
from rich.table import Table
from rich.text import Text

from contextkit.cli.measured import DEFINITIONS, Measured, Run
from contextkit.cli.result import checked, rows

if TYPE_CHECKING:
    from rich.console import Console

_FRAME = 9  # lines that the live table needs besides its rows


class LiveTable:
    """The requests of one run as they come: a live table, or plain lines without a terminal."""

    def __init__(self, console: Console, run: Run, title: str) -> None:
        self.console = console
        self.run = run
        self.title = title
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._live = Live(self._table(), console=self.console, transient=True)
            self._live.start()
        else:
            self.line(self.title)
            self.line(
                "turn   prompt: predicted reported   cached: predicted reported   first token"
                "  messages edited"
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self.console.print(self._table(whole=True))

    def add(self, request: Measured) -> None:
        """Show one more request, which is the last of the run's."""
        if self._live is not None:
            self._live.update(self._table())
            return
        predicted = request.predicted_prompt_tokens, request.predicted_cached_tokens
        self.line(
            f"{request.turn:>4} {predicted[0]:>19,} {request.prompt_tokens:>8,}"
            f" {predicted[1]:>19,} {request.cached_tokens:>8,}"
            f" {request.first_token_seconds:>11.2f} s  {_edits(request)}".rstrip()
        )

    def line(self, text: str) -> None:
        """One plain line."""
        self.console.print(Text(text), soft_wrap=True)

    def _table(self, *, whole: bool = False) -> Table:
        table = Table(title=self.title, title_justify="left")
        for name in (
            "turn",
            "prompt tokens\npredicted",
            "\nreported",
            "cached tokens\npredicted",
            "\nreported",
            "first\ntoken, s",
        ):
            table.add_column(name, justify="right")
        table.add_column("messages\nedited")
        room = len(self.run.requests) if whole else max(1, self.console.height - _FRAME)
        for request in self.run.requests[-room:]:
            table.add_row(
                str(request.turn),
                f"{request.predicted_prompt_tokens:,}",
                _equal(request.predicted_prompt_tokens, request.prompt_tokens),
                f"{request.predicted_cached_tokens:,}",
                _equal(request.predicted_cached_tokens, request.cached_tokens),
                f"{request.first_token_seconds:.2f}",
                _edits(request),
            )
        if len(self.run.requests) < self.run.planned and not whole:
            table.caption = f"turn {len(self.run.requests) + 1} of {self.run.planned} ..."
        return table


def show_summary(console: Console, result: dict[str, Any]) -> None:
    """The predictions and the sums of a result that `contextkit.cli.result` made."""

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    line(f"\n{checked(result)}")
    for found in result["predictions"]["exceptions"]:
        line(
            f"  {found['run']}, turn {found['turn']}: prompt {found['predicted_prompt_tokens']:,} "
            f"predicted, {found['prompt_tokens']:,} reported; cached "
            f"{found['predicted_cached_tokens']:,} predicted, {found['cached_tokens']:,} reported: "
            f"{found['cause']}",
            "yellow",
        )
    line("")
    table = Table(title=f"Totals (ratio: {result['definitions']['ratio']})", title_justify="left")
    table.add_column("")
    for name in (*result["runs"], "ratio"):
        table.add_column(name, justify="right")
    for cells in rows(result):
        table.add_row(*cells)
    console.print(table)
    line("")
    for key, words in _WORDS.items():
        line(f"{words}: {DEFINITIONS[key]}.", "dim")
    if result["png"] is not None:
        line(f"\nPlot of both runs: {result['png']}")


_WORDS = {
    "first_sent_tokens": "sent for the first time",
    "evaluated_tokens": "evaluated",
    "cuts": "requests cut",
    "first_token_seconds": "time to first token",
}


def _equal(predicted: int, reported: int) -> Text:
    return Text(f"{reported:,}", style="" if predicted == reported else "bold red")


def _edits(request: Measured) -> str:
    return ", ".join(f"{kind} {count}" for kind, count in request.edits.items())


def how_far(runs: Sequence[Run]) -> str:
    """How far each run has come."""
    return ", ".join(f"{run.name} {len(run.requests)} of {run.planned} turns" for run in runs)
