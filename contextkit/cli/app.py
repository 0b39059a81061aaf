"""The command line as an application: what every command belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from contextkit import __version__
from contextkit.cli import EXIT_CODES, INTERRUPTED, say

app = typer.Typer(
    name="contextkit",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: quick, and brackets stay brackets
    pretty_exceptions_enable=False,  # a traceback with local variables could show a key
    epilog=EXIT_CODES,
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"contextkit {__version__}")
        raise typer.Exit


@app.callback()
def contextkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Build LLM chat requests within a token budget, with a prefix that stays put."""


@contextmanager
def ctrl_c() -> Iterator[None]:
    """Ctrl-C where a command has nothing more to say about it."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        raise typer.Exit(INTERRUPTED) from None
