"""Outputs: a result on the terminal, as JSON, and in files, the same for every command."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from logging import NullHandler, getLogger
from pathlib import Path
from tempfile import NamedTemporaryFile

from contextkit.analysis.results import Result
from contextkit.analysis.showing.layout import counted, lines, wrapped
from contextkit.caching.prefix import printable
from contextkit.cli import FAILED, PROBLEMS, require, say
from contextkit.errors import ContextKitError, InputError

_PROBLEMS = 20  # that are named on stderr
_EXPLAINED = "Every column is explained on the page of --html, and by `definitions` of --json."
_STYLES = {
    "title": "bold",
    "finding": "bold",
    "head": "bold cyan",
    "rule": "dim",
    "note": "dim",
    "problems": "yellow",
}


def check(*, csv: Path | None, png: Path | None, html: Path | None) -> None:
    """Find out before long work whether its outputs can be written.

    Raises:
        InputError: a folder that is not there, a path that is something else.
        MissingExtra: plots are asked for, and there is no matplotlib.
    """
    getLogger("contextkit").addHandler(NullHandler())  # of single builds nobody asked
    require("rich", "the tables on the terminal")
    if png is not None or html is not None:
        require("matplotlib", "plots")
    for option, path in (("--csv", csv), ("--html", html)):
        if path is None:
            continue
        if not path.parent.is_dir():
            raise InputError(f"there is no folder {path.parent}", place=option)
        if path.is_dir():
            raise InputError(f"{path} is a folder; a file is asked for", place=option)
    if png is not None and png.exists() and not png.is_dir():
        raise InputError(f"{png} is a file; a folder is asked for", place="--png")


def show(
    result: Result, *, as_json: bool, csv: Path | None, png: Path | None, html: Path | None
) -> int:
    """Print a result, write the files asked for, and give the exit code.

    Tables are broken to the width of a terminal; in a pipe a row is a line. A file that cannot be
    written costs neither what is printed nor the other files; none is ever half written.

    Args:
        result: what is shown.
        as_json: one JSON object on stdout, and nothing else there.
        csv: the file for the main table.
        png: the folder for the plots, made where it is missing.
        html: the file for the page.

    Returns:
        0; 8 where something in the input could not be read; 1 where a file could not be written.
    """
    printed = True
    try:
        if as_json:
            sys.stdout.write(json.dumps(result.to_json(), indent=1, allow_nan=False) + "\n")
        else:
            _print(result)
        sys.stdout.flush()
    except OSError as error:  # the files are written all the same
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):  # then whoever reads it has seen enough
            say(f"what was found cannot be printed: {error.strerror or error}")
            printed = False
    failed = not all([printed, *_files(result, csv=csv, png=png, html=html)])
    _say_problems(result)
    return FAILED if failed else PROBLEMS if result.problems else 0


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; what was there stays where it cannot be written.

    Raises:
        OSError: where it cannot be written.
    """
    if path.exists() and not path.is_file():  # a pipe or a device: nothing to put in its place
        path.write_bytes(content)
        return
    target = Path(os.path.realpath(path))  # of a link, the file it leads to
    with NamedTemporaryFile(dir=target.parent, prefix=f".{target.name[:40]}.", delete=False) as new:
        temporary = Path(new.name)
        try:
            new.write(content)
            new.flush()
            temporary.chmod(_mode(target))
            new.close()
            temporary.replace(target)
        except BaseException:
            new.close()
            with suppress(OSError):
                temporary.unlink()
            raise


def _mode(target: Path) -> int:
    """The permissions that the file has, or that a new one would get."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _files(
    result: Result, *, csv: Path | None, png: Path | None, html: Path | None
) -> Iterator[bool]:
    """Write what was asked for, one after the other: whether each could be."""
    if csv is not None:
        yield _written(csv, lambda: result.csv().encode())
    if png is not None:
        yield from _plots(result, png)
    if html is not None:
        yield _written(html, lambda: result.html().encode())


def _plots(result: Result, folder: Path) -> Iterator[bool]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        say(f"{folder} cannot be made: {error.strerror or error}")
        yield False
        return
    for plot in result.plots:
        name = re.sub(r"[^\w-]+", "-", plot.name) or "plot"
        yield _written(folder / f"{name}.png", partial(result.png, plot.name))


def _written(path: Path, make: Callable[[], bytes]) -> bool:
    """Whether a file could be written; says where it is, or why it is not."""
    try:
        write_whole(path, make())
    except OSError as error:
        say(f"{path} cannot be written: {error.strerror or error}")
    except ContextKitError as error:
        say(f"{path} cannot be written: {error}")
    else:
        say(f"wrote {path}")
        return True
    return False


def _print(result: Result) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:  # whatever reads it does better with whole rows
        sys.stdout.write(f"{result}\n")
        return
    for line in lines(result, console.width):
        console.print(Text(line.text, style=_STYLES.get(line.role, "")), soft_wrap=True)
    for text in wrapped(_EXPLAINED, console.width):
        console.print(Text(text, style="dim"), soft_wrap=True)


def _say_problems(result: Result) -> None:
    for problem in result.problems[:_PROBLEMS]:
        say(printable(str(problem)))
    if len(result.problems) > _PROBLEMS:
        more = sum(problem.times for problem in result.problems[_PROBLEMS:])
        say(f"... and {more:,} more; --json has them")
    if result.problems:
        say(counted(result))
