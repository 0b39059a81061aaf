"""`contextkit lint`: prompts and requests from files, and what the linter finds in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from contextkit.caching.linter import RULES, Finding, as_render, lint
from contextkit.caching.prefix import printable
from contextkit.caching.renders import Render
from contextkit.cli import FOUND
from contextkit.errors import InputError


def run(
    files: Sequence[Path], clock: datetime | None, ignore: Sequence[str], *, as_json: bool
) -> int:
    """Check the files as renders of one prompt, print what was found, and give the exit code.

    Raises:
        InputError: a file, or a line of one, that cannot be read; a rule that there is not.
    """
    for rule in ignore:
        if rule not in RULES:
            raise InputError(f"is no rule; rules are {', '.join(RULES)}", place=f"--ignore {rule}")
    read = [render for file in files for render in _renders(file)]
    found = lint(*(render for _, render in read), clock=clock)
    found = tuple(finding for finding in found if finding.rule not in ignore)
    sources = [source for source, _ in read]
    if as_json:
        result = {
            "renders": len(read),
            "findings": [{"source": sources[one.render], **one.to_json()} for one in found],
        }
        sys.stdout.write(json.dumps(result, indent=2) + "\n")
    else:
        for finding in found:
            sys.stdout.write(_shown(finding, sources[finding.render]))
        what = "1 finding" if len(found) == 1 else f"{len(found)} findings"
        where = sources[0] if len(read) == 1 else f"{len(read)} renders"
        sys.stdout.write(f"{what if found else 'nothing found'} in {where}\n")
    return FOUND if found else 0


def _shown(finding: Finding, source: str) -> str:
    text = finding.text.replace("' became '", "'\n    became '", 1)
    return (
        f"{source}: {finding.place}: {finding.rule}\n"
        f"    {text}\n    why: {finding.why}\n    do:  {finding.advice}\n\n"
    )


def _renders(file: Path) -> Iterator[tuple[str, Render]]:
    """The renders of a file, each with its name, and the number of its line where it has many."""
    name = "standard input" if str(file) == "-" else printable(str(file))
    text = _text(file, name)
    if not text.strip():
        raise InputError("is empty", place=name)
    lines = [(at, line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
    many = file.suffix in (".jsonl", ".ndjson")
    if not many and file.suffix != ".json":
        if text.lstrip()[0] not in "{[":
            yield name, as_render(text, name)
            return
        # No name says what it is: JSON if it can be read as that, else a prompt.
        if not _is_json(text):
            many = len(lines) > 1 and all(_is_json(line) for _, line in lines)
            if not many:
                yield name, as_render(text, name)
                return
    if many:
        for at, line in lines:
            place = f"{name}:{at}"
            yield place, as_render(_json(line, place, at), place)
    else:
        given = _json(text, name)
        if isinstance(given, list) and any(_is_request(item) for item in given):
            for at, item in enumerate(given):
                yield f"{name}[{at}]", as_render(item, f"{name}[{at}]")
        else:
            yield name, as_render(given, name)


def _is_request(item: Any) -> bool:
    return isinstance(item, dict) and any(key in item for key in ("messages", "body", "request"))


def _text(file: Path, name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", place=name) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError(f"is not UTF-8 at byte {error.start:,}", place=f"{name}:{line}") from error


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False


def _json(text: str, place: str, line: int | None = None) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        here = place if line else f"{place}:{error.lineno}"
        raise InputError(
            f"is not JSON at character {error.colno}: {error.msg}", place=here
        ) from error
    except (ValueError, RecursionError) as error:  # digits without end, nested without end
        raise InputError(f"is not JSON that can be read: {error}", place=place) from error
