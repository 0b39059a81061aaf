"""Progress of long work, on stderr: a bar on a terminal, else a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec

Progress = Callable[[int, int | None], None]
"""Told how much is done, and of how much; None where nobody knows."""

_EVERY = 5.0  # seconds between two lines where there is no terminal
_REFRESH = 0.05  # seconds between two movements of a bar


@contextmanager
def progress(title: str, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """Give the callable that long work reports to; whatever ends the work, the bar goes away.

    Nothing is written for work that reports nothing, nor, without a terminal, for work that is
    done within a few seconds.

    Args:
        title: what is being done, such as `replaying`.
        clock: seconds.
    """
    with ExitStack() as stack:
        bar = _bar(title, stack) if sys.stderr.isatty() and find_spec("rich") else None
        show, every = (bar, _REFRESH) if bar else (_line(title), _EVERY)
        # A bar is there at once; a line only where there is something to wait for.
        last = float("-inf") if bar else clock()

        def told(done: int, total: int | None) -> None:
            nonlocal last
            now = clock()
            if now - last >= every or (bar and done == total):
                last = now
                show(done, total)

        yield told


def _line(title: str) -> Progress:
    def show(done: int, total: int | None) -> None:
        of = "" if total is None else f" of {total:,}"
        sys.stderr.write(f"{title}: {done:,}{of}\n")
        sys.stderr.flush()

    return show


def _bar(title: str, stack: ExitStack) -> Progress | None:
    """A bar that begins when it is first told something; None on a terminal that has no bars."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        return None
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        redirect_stdout=False,  # results go to stdout as they are
    )
    task = None

    def show(done: int, total: int | None) -> None:
        nonlocal task
        if task is None:
            stack.enter_context(bars)
            task = bars.add_task(escape(title), total=total)
        bars.update(task, completed=done, total=total)

    return show
