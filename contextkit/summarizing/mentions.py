"""Mentions: where a text states an identifier, a path, a date, a number or a name.

Each pass looks for one sort and blanks what it found, so that the next does not find parts of it.
Every pattern is bounded and is searched once, so the time is linear in the text.
"""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re
from collections.abc import Callable
from unicodedata import decimal

from contextkit.summarizing import calendar
from contextkit.summarizing.amounts import NUMBER, amount
from contextkit.summarizing.mention import BLANK, LETTER, LONGEST, FactKind, Mention, stands_alone
from contextkit.summarizing.names import codes_in, names_in

# Encoded data, rules and the like: no word is so long.
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{161,}")
_DATE_TIME = re.compile(r"T(?<=[0-9]T)(?=[0-9]{2}:[0-9]{2})")
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`|\\^{}\x00-\x1f，。、；：「」『』（）《》]{2,2048}"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}")
# Of JSON that stands within other text.
_ESCAPED = re.compile(r"\\(?:[nrt]|u[0-9a-fA-F]{4})")
_NAME = r"[\w.+@%~-]"
_EXTENSIONS = (
    "bash|bat|c|cc|cfg|cjs|cpp|cs|css|csv|dart|db|dll|docx?|env|exe|gif|go|gz|h|hpp|html?|ini|"
    "ipynb|jar|java|jpe?g|jsx?|jsonl?|kt|lock|log|lua|md|mjs|mov|mp[34]|odt|parquet|pdf|php|pl|"
    "png|pptx?|ps1|py[ci]?|r|rb|rst?|rtf|scala|sh|so|sql|sqlite|svg|swift|tar|tex|tf|tgz|toml|"
    "tsv|tsx?|txt|vue|wav|webp|xlsx?|xml|ya?ml|zip"
)
_PATH = re.compile(
    rf"[A-Za-z]:\\(?:{_NAME}{{1,80}}\\){{0,20}}{_NAME}{{0,80}}"
    rf"|(?:~|\.\.?)?/(?:{_NAME}{{1,120}}/){{0,24}}{_NAME}{{0,120}}"
    rf"|(?:{_NAME}{{1,120}}/){{1,24}}{_NAME}{{0,120}}"
)
_FILE = re.compile(rf"\.(?:{_EXTENSIONS})\b(?![.-]?\w)")
_STEM = re.compile(r"[\w][\w.-]{0,119}\Z", re.ASCII)
_INDEX = re.compile(
    r"^[ \t]{0,12}\(?[0-9]{1,6}(?:[.)\]](?=\s)|:(?![0-9]{2}\b)|[ \t]?\||\t)", re.MULTILINE
)
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,64}(?:[-._][A-Za-z0-9_]{1,64}){0,12}")
_HUMPS = re.compile(r"[a-z]{2}[A-Z]|[a-z]_[a-z]|^_[a-z]{2}")
# A sentence that ends without a space behind it: `in line 12.The`, `the step.2`.
_RUN_ON = re.compile(r"[0-9]+\.[A-Z]?[a-z]+|[a-z]{2,}\.[0-9]+")
_NUMBERED = re.compile(r"[#№] ?[0-9]{1,20}(?![\w])")
_PHONE = re.compile(r"\+[0-9]{1,3}(?:[ -]?\(?[0-9]{2,5}\)?){2,5}(?![0-9])")
# Digits of other scripts, and the signs that are as wide as Chinese ones.
_DIGITS = {
    code: str(value) for code in range(128, 0xFFFF) if (value := decimal(chr(code), -1)) >= 0
}
_SIGNS = zip("％：／＃＄٪٫٬", "%:/#$%.,", strict=True)
_PLAIN = {**_DIGITS, **{ord(wide): plain for wide, plain in _SIGNS}}
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_ORDINAL = re.compile(r"[0-9]+(?:st|nd|rd|th|s|x|e|er|º)", re.IGNORECASE)


def mentions_of(text: str) -> list[Mention]:
    """What a text states, in the order in which it does; every text of a mention stands in it."""
    found: list[Mention] = []
    rest = text.translate(_PLAIN) if _OTHER_DIGIT.search(text) else text

    def search(
        pattern: re.Pattern[str],
        kind: FactKind,
        key: Callable[[re.Match[str]], str],
        *,
        apart: str = "",
    ) -> None:
        nonlocal rest

        def take(match: re.Match[str]) -> str:
            start, end = match.span()
            if not stands_alone(match.string, start, end, apart):
                return match[0]
            said = key(match)
            if not said:
                return match[0]
            length = len(said) if kind in ("path", "identifier") else end - start
            piece = text[start : start + length].rstrip()
            if len(piece) <= LONGEST:
                found.append(Mention(start, kind, piece, said.casefold()))
            return BLANK * length + match[0][length:]

        rest = pattern.sub(take, rest)

    if "://" in rest or "www." in rest:
        search(_URL, "identifier", _trimmed)
    rest = _DATE_TIME.sub(" ", rest)
    if len(rest) > LONGEST:
        rest = _BLOB.sub(lambda match: _blob(match[0]), rest)
    if "@" in rest:
        search(_EMAIL, "identifier", _trimmed)
    if "/" in rest or "\\" in rest:
        search(_PATH, "path", _path)
    if "\\" in rest:
        rest = _ESCAPED.sub(lambda match: " " * len(match[0]), rest)
    if "." in rest:
        rest = _files(text, rest, found)
    rest = _INDEX.sub(lambda match: "\n" * len(match[0]), rest)
    search(calendar.NUMERIC_DATE, "date", calendar.numeric_date, apart="-./:")
    search(calendar.DAY_MONTH, "date", calendar.day_month, apart="-./:")
    search(calendar.MONTH_DAY, "date", calendar.month_day)
    search(calendar.WEEKDAY, "date", calendar.weekday)
    search(calendar.TIME, "date", calendar.time_of_day, apart="-./:")
    if "#" in rest or "№" in rest:
        search(_NUMBERED, "identifier", lambda match: match[0])
    if "+" in rest:
        search(_PHONE, "identifier", lambda match: match[0])
    rest = _tokens(text, rest, found)
    search(NUMBER, "number", amount, apart=".,")
    found += names_in(text, rest)
    found.sort(key=lambda mention: mention.start)
    return found


def _trimmed(match: re.Match[str]) -> str:
    return match[0].rstrip(".,;:!?)]*_~-")


def _blob(piece: str) -> str:
    # A rule between sections ends a sentence; encoded data is a word.
    return ("\n" if len(set(piece[:200])) < 3 else BLANK) * len(piece)


def _path(match: re.Match[str]) -> str:
    """The path that was found; empty where the slash means something else."""
    text = match.string
    start = match.start()
    before = text[start - 1] if start else " "
    piece = match[0].rstrip(".,;:!?~%+-") or match[0]
    if before in "<.~/\\&" or not re.search(r"[^\W\d_]", piece):
        return ""
    parts = [part for part in re.split(r"[/\\]", piece) if part]
    if piece[0] in "/~.":
        return piece if parts and (len(parts) > 1 or len(parts[0]) > 1) else ""
    if piece[1:2] == ":":
        return piece
    # `and/or`, `km/h`, `24/7` are no paths; three parts, or an extension, make one.
    if re.search(r"\.[A-Za-z][A-Za-z0-9]{0,7}\Z", piece) or (
        len(parts) > 2 and not all(part[0].isupper() or part[0].isdigit() for part in parts)
    ):
        return piece
    return piece if len(parts) == 2 and re.search(r"[\w]_[\w]|[A-Za-z]-[A-Za-z]", piece) else ""


def _files(text: str, rest: str, found: list[Mention]) -> str:
    """Names of files without a folder, known by their extension."""
    pieces = []
    done = 0
    for match in _FILE.finditer(rest):
        stem = _STEM.search(rest, max(done, match.start() - 120), match.start())
        if stem is None:
            continue
        # The longest run of name characters that ends here.
        start, end = stem.start(), match.end()
        if start and (LETTER.match(rest[start - 1]) or rest[start - 1] == "@"):
            continue
        found.append(Mention(start, "path", text[start:end], rest[start:end].casefold()))
        pieces += [rest[done:start], BLANK * (end - start)]
        done = end
    return "".join([*pieces, rest[done:]])


def _tokens(text: str, rest: str, found: list[Mention]) -> str:
    """Identifiers that are one token; words and plain numbers are left for the next passes."""
    pieces = []
    done = 0
    capitals: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(rest):
        token = match[0]
        if token.isalpha():
            if token.isupper():
                capitals.append(match.span())
                continue
            if not _HUMPS.search(token):
                continue
        if token.isdigit():
            continue
        start, end = match.span()
        if (start and LETTER.match(rest[start - 1])) or LETTER.match(rest[end : end + 1]):
            continue
        token = (
            token.strip("_") if token.strip("_").isalnum() and not token.startswith("__") else token
        )
        if not _is_identifier(token) or _RUN_ON.fullmatch(token):
            continue
        start = rest.index(token, start)
        end = start + len(token)
        found.append(Mention(start, "identifier", text[start:end], token.casefold()))
        pieces += [rest[done:start], BLANK * (end - start)]
        done = end
    rest = "".join([*pieces, rest[done:]])
    found += codes_in(rest, capitals)
    return rest


def _is_identifier(token: str) -> bool:
    digits = any(map(str.isdigit, token))
    letters = any(map(str.isalpha, token))
    if digits and letters:
        return not _ORDINAL.fullmatch(token) and len(token) > 1
    if digits:  # signs between digits: a version, an address, a number of parts
        return len(re.findall(r"[.]", token)) > 1 or len(re.findall(r"-", token)) > 1
    return bool(_HUMPS.search(token))
