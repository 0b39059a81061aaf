"""Generated identifiers in a text: UUIDs, tokens, ids of sessions and requests.

One render cannot prove that an id changes. Reported are those that are made anew for a request, a
session or a user; not those that a text calls an example, that stand in an example, in code or
beside a date long past, that name something lasting (a project, a commit), or that are computed
from a name (UUID versions 3 and 5, digests).
"""

# ruff: noqa: RUF001 - colons as they are written

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property

from contextkit.caching.moments import PRESENT, long_past, says_example

UUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")

_PER_REQUEST = (
    r"session|sess|request|req|trace|trc|span|correlation|corr|conversation|conv|chat|chatcmpl"
    r"|thread|message|msg|run|user|usr|visitor|nonce|txn|transaction"
)
_PER_CUSTOMER = r"customer|member|guest|patient|ticket|job|invocation|execution"  # if it is an id
_CANDIDATES = re.compile(
    rf"(?P<uuid>{UUID.pattern})"
    r"|(?<![\w.-])(?P<jwt>eyJ[\w-]{8,2000}\.[\w-]{8,4000}\.[\w-]{4,1000})"
    r"|(?<![\w-])(?P<ulid>[0-7][0-9A-HJKMNP-TV-Z]{25})(?![\w-])"
    r"|(?<![\w-])(?P<hex>[0-9a-f]{32}|[0-9A-F]{32})(?![\w-])"
    # "Session ID: 3f2b", "request_id=8812": named, so a few letters and digits are enough.
    rf"|(?<![a-zA-Z])(?:{_PER_REQUEST}|{_PER_CUSTOMER})[ _-]?"
    r"(?:id|identifier|key|token|no\.|number|#)[\"'`*_]*"
    r"(?: ?[:=]\s?| (?:is )?| ?(?:→|->) ?|>)[\"'`*#<]{0,4}"
    r"(?P<named>(?=[A-Za-z_-]{0,24}\d)[\w-]{4,200})(?![\w-])"
    # "user u_8812ab", "Session: 3f2b81": the word alone, so the id has to look like one.
    rf"|(?<![a-zA-Z])(?:{_PER_REQUEST})(?: ?[:=#]\s?| )[\"'`*#<]{{0,4}}"
    r"(?P<after>(?=[A-Za-z_-]{0,24}\d)[\w-]{6,200})(?![\w-])"
    rf"|(?<![\w-])(?P<prefixed>(?:{_PER_REQUEST})[_-](?=[A-Za-z_-]{{0,24}}\d)[\w-]{{6,200}})(?![\w-])",
    re.IGNORECASE,
)
_LASTING = re.compile(
    r"\b(?:commit|sha\d*|git|hash|digest|checksum|integrity|md5|project|tenant|workspace|product"
    r"|organi[sz]ation|template|polic(?:y|ies)|dataset|index|collection|model|application|app|plan"
    r"|price|licen[cs]e|namespace|store|knowledge[ _-]base|assistant|schema|version|build|repo"
    r"|repository|deployment|directory|subscription)\b[^\n]{0,40}$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"https?://\S*$", re.IGNORECASE)  # of a page or a picture
_QUERY = re.compile(r"\b(?:select|where|insert into|values|update|delete from|join)\b|>>> |^\s*\$ ")
_EXAMPLES = re.compile(
    r"(?:few[- ]shot|(?:worked |good |bad )?(?:example|sample)s?|beispiele?|exemples?|ejemplos?"
    r"|示例|例)"
    r"\b[^\n]{0,40}$",
    re.IGNORECASE,
)
_LINE_LABEL = re.compile(r"^[ \t]*[-*]?[ \t]*([^\W\d][\w ]{0,20}?)[ \t]*[:：]", re.MULTILINE)
_EDGES = re.compile(r"[a-z][0-9]|[0-9][a-z]")


class Lines:
    """A text by lines: the number and the column of a place, and whether it is in an example."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins."""
        return [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, position: int) -> tuple[int, int]:
        """Line and character of a position, both counted from 1."""
        line = bisect_right(self.starts, position)
        return line, position - self.starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, counted from 1."""
        end = self.starts[number] - 1 if number < len(self.starts) else len(self.text)
        return self.text[self.starts[number - 1] : end]

    @cached_property
    def in_example(self) -> list[bool]:
        """For each line, whether it belongs to an example or to code.

        Examples stand in fences and <example> tags, under a heading or behind a line that says
        so, and in paragraphs whose first words repeat ("Question:", "Question:").
        """
        counted = Counter(found[1].lower() for found in _LINE_LABEL.finditer(self.text))
        marked = []
        fence = tag = heading = paragraph = False
        for line in self.text.split("\n"):
            bare = line.strip()
            lowered = bare[:80].lower()
            label = _LINE_LABEL.match(line[:80])
            says = _EXAMPLES.match(bare.lstrip("#*_<= \t0123456789.)")) if len(bare) < 80 else None
            if not bare and not fence:
                paragraph = False
            elif bare.startswith(("```", "~~~")):
                fence = not fence
            elif bare.startswith("#"):
                heading = says is not None
            elif lowered.startswith(("<example", "<sample")):
                tag = True
            elif says or (label and counted[label[1].lower()] > 1):
                paragraph = True
            marked.append(bool(fence or tag or heading or paragraph))
            if "</example" in lowered or "</sample" in lowered:
                tag = False
        return marked


def generated_ids(lines: Lines, clock: datetime) -> Iterator[tuple[int, int]]:
    """Where identifiers stand that are made anew for a request, a session or a user."""
    text = lines.text
    fixed: tuple[int, bool] = (0, False)  # of the line looked at last, which can be long
    for found in _CANDIDATES.finditer(text):
        kind = str(found.lastgroup)
        start, end = found.span(kind)
        value = found[kind]
        if not _generated(kind, value, clock):
            continue
        before = text[max(0, start - 80) : start]
        number, _ = lines.place(start)
        if says_example(_sentence(before)) or lines.in_example[number - 1]:
            continue
        if kind in ("uuid", "ulid", "hex", "jwt") and (
            _LASTING.search(before) or _ADDRESS.search(before)
        ):
            continue
        if fixed[0] != number:
            here = lines.line(number)[:2000]
            fixed = number, bool(_QUERY.search(here.lower())) or long_past(here, clock)
        if not fixed[1]:
            yield start, end


def _sentence(before: str) -> str:
    """The words before something on its own line, and on the last where that goes on."""
    earlier, _, here = before.rpartition("\n")
    last = earlier.rpartition("\n")[2].rstrip()
    goes_on = last and (last[-1].isalnum() or last[-1] in ",:") and not last.startswith("#")
    return f"{last} {here}" if goes_on else here


def _generated(kind: str, value: str, clock: datetime) -> bool:
    """Whether this looks like a value that a program made, and not long ago."""
    if kind == "uuid":
        made = _uuid_time(value)
        placeholder = len(set(value.replace("-", "").lower())) <= 4
        recent = made is None or abs(made - clock) <= PRESENT
        return not placeholder and value[14] not in "358" and recent
    if kind == "ulid":
        made = _from_milliseconds(_crockford(value[:10]))
        return made is not None and abs(made - clock) <= PRESENT
    if kind == "hex":
        return len(set(value)) > 4 and not value.isdigit()
    if kind in ("after", "prefixed"):
        return _looks_random(value)
    return True


def _looks_random(value: str) -> bool:
    """Whether letters and digits are mixed as nobody mixes them by hand."""
    core = re.sub(r"^(?:[A-Za-z]+[_-])+", "", value)
    if len(core) < 6 or not re.fullmatch(r"[A-Za-z0-9-]+", core):
        return False
    bare = core.replace("-", "")
    if bare.isdigit():
        return len(core) >= 8 and core == bare  # with hyphens it may be a date
    hexadecimal = re.fullmatch(r"[0-9a-f]+|[0-9A-F]+", bare) is not None
    mixed = any(letter.isdigit() for letter in bare) and not bare.isdigit()
    return (hexadecimal and mixed) or len(_EDGES.findall(bare.lower())) >= 3


def _uuid_time(value: str) -> datetime | None:
    """When a UUID of version 1, 6 or 7 was made (RFC 9562, May 2024); None for the others."""
    digits = value.replace("-", "")
    if digits[12] == "7":
        return _from_milliseconds(int(digits[:12], 16))
    if digits[12] in "16":
        low, middle, high = digits[:8], digits[8:12], digits[13:16]
        ticks = high + middle + low if digits[12] == "1" else low + middle + high
        # 100 ns since the Gregorian reform of 1582-10-15, 12,219,292,800 s before 1970.
        return _from_milliseconds(int(ticks, 16) // 10_000 - 12_219_292_800_000)
    return None


def _crockford(text: str) -> int:
    """The number that ten characters of a ULID stand for."""
    value = 0
    for letter in text.lower().upper():  # the sign of kelvin is K only then
        value = value * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    return value


def _from_milliseconds(value: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=value)
    except OverflowError:
        return None
