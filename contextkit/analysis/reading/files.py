"""Reading: files, folders and standard input as JSON values, each with the place where it stands.

A file of JSON Lines is read line by line and never held; a file of one JSON value is held whole.
What cannot be read is a `Problem`, and the rest goes on. The content says which of the two a file
is, since logs of lines are often called `.json`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from contextkit.analysis.problems import Problem
from contextkit.analysis.reading.strict_json import parse, parse_with_lines

ENDINGS = (".json", ".jsonl", ".ndjson")
"""Of the files that are read in a folder. A file that is given by name is read whatever its end."""

_LOOKS_LIKE_ONE = re.compile(r"\.(json|jsonl|ndjson)\.", re.IGNORECASE)
_BOM = b"\xef\xbb\xbf"
_FOREIGN = {  # how files begin that hold no text
    b"\x1f\x8b": "is compressed with gzip: decompress it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: decompress it first",
    b"BZh": "is compressed with bzip2: decompress it first",
    b"\xfd7zXZ": "is compressed with xz: decompress it first",
    b"PK\x03\x04": "is a zip archive: unpack it first",
    b"PAR1": "is a Parquet file: write its rows as JSON Lines first",
    b"\xff\xfe": "is UTF-16, not UTF-8",
    b"\xfe\xff": "is UTF-16, not UTF-8",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A JSON value of a file.

    Attributes:
        source: the name of the file.
        value: what was read.
        line: where it begins, counted from 1; None where the file is one value.
        item: its number in the list that it stands in, if it does.
        lines: where the items begin, if the value is a list that is a whole file.
    """

    source: str
    value: Any
    line: int | None = None
    item: int | None = None
    lines: tuple[int, ...] = ()
    whole: bool = False

    @property
    def name(self) -> str:
        """Names the value: `log.jsonl:12`, `all.json[3]`, `one.json`."""
        line = "" if self.whole or self.line is None else f":{self.line}"
        return f"{self.source}{line}" + ("" if self.item is None else f"[{self.item}]")

    def problem(
        self, reason: str, kind: Literal["not read", "not carried over"] = "not read"
    ) -> Problem:
        """Something about this value that is not in the analysis."""
        item = "" if self.item is None else f"item {self.item}: "
        return Problem(self.source, item + reason, self.line, kind)

    def items(self) -> Iterator[Piece]:
        """The values of a list, each with its place."""
        for number, value in enumerate(self.value):
            line = self.lines[number] if self.lines else self.line
            yield Piece(self.source, value, line, number, whole=self.whole)


def read_files(paths: Iterable[str | Path]) -> Iterator[Iterator[Piece | Problem]]:
    """The values of each file; `-` is standard input, and folders are read with those below them.

    In a folder, files are read by the name's ending; those of a hidden name are passed over.
    """
    for path in [paths] if isinstance(paths, str | Path) else paths:
        if str(path) == "-":
            yield _values("standard input", sys.stdin.buffer)
        elif Path(path).is_dir():
            yield from _folder(Path(path))
        else:
            yield _values(str(path), Path(path))


def _folder(folder: Path) -> Iterator[Iterator[Piece | Problem]]:
    read = 0
    refused: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=refused.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in names if not name.startswith(".")):
            file = Path(place, name)
            if name.lower().endswith(ENDINGS):
                read += 1
                yield _values(str(file), file)
            elif _LOOKS_LIKE_ONE.search(name):
                reason = (
                    "passed over for the end of its name: give the file by name to have it read"
                )
                yield iter([Problem(str(file), reason)])
    for error in refused:
        reason = f"cannot be read: {error.strerror}"
        yield iter([Problem(str(error.filename or folder), reason)])
    if not read and not refused:
        yield iter([Problem(str(folder), f"holds no file that ends in {', '.join(ENDINGS)}")])


def _values(name: str, file: Path | IO[bytes]) -> Iterator[Piece | Problem]:
    """The values of one file."""
    try:
        with file.open("rb") if isinstance(file, Path) else nullcontext(file) as stream:
            yield from _of_stream(name, stream)
    except OSError as error:
        yield Problem(name, f"cannot be read: {error.strerror or type(error).__name__}")
    except ValueError as error:  # a NUL in the name, a closed stream
        yield Problem(name, f"cannot be read: {error}")


def _of_stream(name: str, stream: IO[bytes]) -> Iterator[Piece | Problem]:
    head = stream.readline(1 << 16)
    for magic, reason in _FOREIGN.items():
        if head.startswith(magic):
            yield Problem(name, reason)
            return
    if b"\0" in head:
        yield Problem(name, "is binary: a NUL byte stands in its first line")
        return
    head = head.removeprefix(_BOM)
    if not head.endswith(b"\n"):
        head += stream.readline()
    lines = ((n, line) for n, line in enumerate(chain([head], stream), 1) if line.strip())
    number, first = next(lines, (1, b""))
    if not first:
        yield Problem(name, "is empty")
        return
    named_lines = name.lower().endswith((".jsonl", ".ndjson"))
    if (named_lines and first.strip() not in (b"[", b"{")) or _alone(first):
        following = next(lines, None)
        several = named_lines or following is not None
        rest = chain([(number, first)], [following] if following else [], lines)
        yield from _by_line(name, rest) if several else _whole(name, b"\n" * (number - 1) + first)
        return
    data = b"\n" * (number - 1) + first + stream.read()
    value = next(_whole(name, data))
    if isinstance(value, Problem) and _alone(data.split(b"\n", number + 1)[number : number + 1]):
        yield from _by_line(name, enumerate(data.split(b"\n"), 1))  # a log whose first line broke
    else:
        yield value


def _alone(lines: bytes | list[bytes]) -> bool:
    """Whether a line is an object or a list by itself."""
    line = lines if isinstance(lines, bytes) else b"".join(lines)
    try:
        return isinstance(parse(line.decode()), dict | list)
    except ValueError:
        return False


def _by_line(name: str, lines: Iterable[tuple[int, bytes]]) -> Iterator[Piece | Problem]:
    for number, line in lines:
        if not line.strip():
            continue
        try:
            yield Piece(name, parse(line.rstrip(b"\r\n").decode()), number)
        except UnicodeDecodeError as error:
            yield Problem(name, f"is not UTF-8 at byte {error.start:,} of the line", number)
        except ValueError as error:
            half = "" if line.endswith(b"\n") else "; the file ends in this line"
            yield Problem(name, f"{_said(error)}{half}", number)


def _whole(name: str, data: bytes) -> Iterator[Piece | Problem]:
    try:
        value, lines = parse_with_lines(data.decode())
        yield Piece(name, value, lines=tuple(lines), whole=True)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield Problem(name, f"is not UTF-8 at byte {error.start:,}", line)
    except json.JSONDecodeError as error:
        yield Problem(name, _said(error), error.lineno)
    except ValueError as error:
        yield Problem(name, _said(error))


def _said(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON at character {error.colno:,}: {error.msg}"
    return f"is not JSON that can be read: {error}"


# -- problems ------------------------------------------------------------------------------

_SAME = 20
"""Problems of one file with one reason that are each named."""

Found = TypeVar("Found")


def limited(found: Iterable[Found | Problem]) -> Iterator[Found | Problem]:
    """What was found, with the problems that come again and again in a file counted at its end.

    A file of another kind has the same one on each line.
    """
    times: Counter[tuple[str, ...]] = Counter()
    last: dict[tuple[str, ...], Problem] = {}
    for one in found:
        if isinstance(one, Problem):
            reason = re.sub(r"^item \d+: ", "", one.reason)
            key: tuple[str, ...] = (one.source, one.kind, reason)
            times[key] += 1
            if times[key] > _SAME:
                last[key] = Problem(one.source, reason, one.line, one.kind)
                continue
        yield one
    for repeated, problem in last.items():
        more = times[repeated] - _SAME
        reason = f"{problem.reason} ({more:,} times more; here the last)"
        yield Problem(problem.source, reason, problem.line, problem.kind, more)
