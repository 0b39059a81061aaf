"""The command line, `contextkit`: what its commands have in common.

Exit codes, the same for every command:

    0    done
    1    what was asked for cannot be done: an input, a budget, a file that cannot be written
    2    the command was called in a wrong way
    3    the port asked for cannot be had
    4    a package is missing; the message says what installs it
    5    the model server, or the provider, failed
    6    the store cannot be read or written, or somebody else wrote first
    7    the linter found something
    8    something in the input could not be read; the rest was done
    9    what was measured is below what was asked for
    130  Ctrl-C ended it before it was done

What goes wrong is one line on stderr, and for the embedded server the end of its log. The server
never outlives the command.
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module
from pathlib import Path

from contextkit.errors import ContextKitError, MissingExtra, ReplyError, ServerError, StoreError

FAILED, PORT, MISSING, SERVER, STORE, FOUND, PROBLEMS, BELOW = 1, 3, 4, 5, 6, 7, 8, 9
INTERRUPTED = 130

EXIT_CODES = (
    "Exit codes: 0 done, 1 cannot be done as asked, 2 wrong usage, 3 the port cannot be had, "
    "4 a package is missing, 5 the model server or provider failed, 6 the store failed, "
    "7 the linter found something, 8 something in the input could not be read and the rest was "
    "done, 9 what was measured is below what was asked for, 130 Ctrl-C."
)


def main() -> None:
    """Run the command line; the console script `contextkit`."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows "?"
    try:
        require("typer", "the command line")
        for module in ("commands", "analysis_commands"):  # in the order of the help
            import_module(f"contextkit.cli.{module}")
        from contextkit.cli.app import app

        app(prog_name="contextkit")
    except ContextKitError as error:
        say(error)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        sys.exit(INTERRUPTED)


def exit_code(error: BaseException) -> int:
    """The exit code that an error stands for."""
    if isinstance(error, ServerError):
        return PORT if error.port else SERVER
    for kind, code in ((MissingExtra, MISSING), (StoreError, STORE), (ReplyError, SERVER)):
        if isinstance(error, kind):
            return code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED


def say(what: object) -> None:
    """One line on stderr."""
    sys.stderr.write(f"contextkit: {what}\n")
    sys.stderr.flush()


def require(package: str, purpose: str) -> None:
    """Raise MissingExtra unless a package of the extra `cli` is there; nothing is imported."""
    from importlib.util import find_spec

    if find_spec(package) is None:
        raise MissingExtra(package, "cli", purpose)
