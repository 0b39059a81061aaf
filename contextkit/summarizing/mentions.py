"""Mentions: where a text states an identifier, a path, a date, a number or a name.

Each pass looks for one sort and blanks what it found, so that the next does not find parts of it.
Every pattern is bounded and is searched once, so the time is linear in the text.
"""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from contextkit.summarizing import calendar
from contextkit.summarizing.amounts import NUMBER, amount

FactKind = Literal["constraint", "identifier", "path", "date", "number", "name"]

LONGEST = 160
"""Characters of the longest identifier, path or name that is a fact; a longer one is data."""


class Mention(NamedTuple):
    """One place at which a text states something.

    Attributes:
        start: where, in characters.
        kind: what sort of fact.
        text: as it stands there.
        key: what two mentions of it have in common.
        words: of a name, and of a code that is a word in capitals; one that is also written small
            is neither.
        first: whether it begins a sentence, where any word has a capital.
    """

    start: int
    kind: FactKind
    text: str
    key: str
    words: tuple[str, ...] = ()
    first: bool = False


_BLANK = "\x00"
# Encoded data, rules and the like: no word is so long.
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{161,}")
_DATE_TIME = re.compile(r"T(?<=[0-9]T)(?=[0-9]{2}:[0-9]{2})")
_URL = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'`|\\^{}\x00-\x1f，。、；：「」『』（）《》]{2,2048}"
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}")
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
_TOKEN = re.compile(r"[A-Za-z0-9_]{1,64}(?:[-._:+][A-Za-z0-9_]{1,64}){0,12}")
_HUMPS = re.compile(r"[a-z]{2}[A-Z]|[a-z]_[a-z]|^_[a-z]{2}")
_NUMBERED = re.compile(r"[#№] ?[0-9]{1,20}(?![\w])")
_PHONE = re.compile(r"\+[0-9]{1,3}(?:[ -]?\(?[0-9]{2,5}\)?){2,5}(?![0-9])")
_WORD = re.compile(r"[^\W\d_]{1,64}(?:['’-][^\W\d_]{1,64}){0,4}")
_QUOTED = re.compile(r"[「『《“]([^「」『』《》“”\s]{2,20})[」』》”]")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_WIDE = str.maketrans("０１２３４５６７８９％：／＃＄", "0123456789%:/#$")
_WIDE_ONE = re.compile(r"[０-９]")
_ORDINAL = re.compile(r"[0-9]+(?:st|nd|rd|th|s|x|e|er|º)", re.IGNORECASE)
# What may stand between the parts of a name.
_BETWEEN = frozenset(
    (
        "da",
        "de",
        "del",
        "della",
        "den",
        "der",
        "di",
        "do",
        "dos",
        "du",
        "la",
        "le",
        "of",
        "van",
        "von",
        "bin",
        "al",
    )
)
_ENDS = frozenset('.!?:;…。！？：；•*#>|=\n\r-–—[{"“«„')
_LABEL = re.compile(r"\*{0,2} ?[:：]")
_NO_NAME = re.compile(r"[A-Z]{2,}\Z|I['’]")
_SCRIPTS = re.compile(r"[A-Za-z0-9_\u00c0-\u024f\u0370-\u052f]")


def mentions_of(text: str) -> list[Mention]:
    """What a text states, in the order in which it does; every text of a mention stands in it."""
    found: list[Mention] = []
    rest = text.translate(_WIDE) if _WIDE_ONE.search(text) else text

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
            return _BLANK * length + match[0][length:]

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
    _names(text, rest, found)
    found.sort(key=lambda mention: mention.start)
    return found


def stands_alone(text: str, start: int, end: int, apart: str) -> bool:
    """Whether no letter or digit of the same script touches a match.

    A pattern that ends or begins with a sign, or with a letter of a script that is written without
    spaces, stands alone anyway.
    """
    if start and _SCRIPTS.match(text[start]):
        before = text[start - 1]
        if _SCRIPTS.match(before) or (
            apart and before in apart and text[start - 2 : start - 1].isdigit()
        ):
            return False
    after = text[end : end + 1]
    if not after or not _SCRIPTS.match(text[end - 1]):
        return True
    return not (_SCRIPTS.match(after) or (after in apart and text[end + 1 : end + 2].isdigit()))


def _trimmed(match: re.Match[str]) -> str:
    return match[0].rstrip(".,;:!?)]*_~-")


def _blob(piece: str) -> str:
    # A rule between sections ends a sentence; encoded data is a word.
    return ("\n" if len(set(piece[:200])) < 3 else _BLANK) * len(piece)


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
        if start and (_SCRIPTS.match(rest[start - 1]) or rest[start - 1] == "@"):
            continue
        found.append(Mention(start, "path", text[start:end], rest[start:end].casefold()))
        pieces += [rest[done:start], _BLANK * (end - start)]
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
                if 2 < len(token) < 9:
                    capitals.append(match.span())
                continue
            if not _HUMPS.search(token):
                continue
        if token.isdigit():
            continue
        start, end = match.span()
        if (start and _SCRIPTS.match(rest[start - 1])) or _SCRIPTS.match(rest[end : end + 1]):
            continue
        token = (
            token.strip("_") if token.strip("_").isalnum() and not token.startswith("__") else token
        )
        if not _is_identifier(token):
            continue
        start = rest.index(token, start)
        end = start + len(token)
        found.append(Mention(start, "identifier", text[start:end], token.casefold()))
        pieces += [rest[done:start], _BLANK * (end - start)]
        done = end
    rest = "".join([*pieces, rest[done:]])
    _codes(text, rest, capitals, found)
    return rest


def _is_identifier(token: str) -> bool:
    digits = any(map(str.isdigit, token))
    letters = any(map(str.isalpha, token))
    if digits and letters:
        return not _ORDINAL.fullmatch(token) and len(token) > 1
    if digits:  # signs between digits: a version, an address, a number of parts
        return len(re.findall(r"[.]", token)) > 1 or len(re.findall(r"[-:]", token)) > 1
    return bool(_HUMPS.search(token))


def _codes(text: str, rest: str, spans: list[tuple[int, int]], found: list[Mention]) -> None:
    """Words in capitals, such as the code of an airport; three in a row are loud, not codes."""
    runs: list[list[tuple[int, int]]] = []
    for start, end in spans:
        if (start and _SCRIPTS.match(rest[start - 1])) or _SCRIPTS.match(rest[end : end + 1]):
            continue
        if runs and rest[runs[-1][-1][1] : start] == " ":
            runs[-1].append((start, end))
        else:
            runs.append([(start, end)])
    for run in runs:
        if len(run) > 2 or rest[run[-1][1] : run[-1][1] + 1] == ":":
            continue
        for start, end in run:
            word = text[start:end]
            if end - start <= 16:
                found.append(Mention(start, "identifier", word, word.casefold(), (word,)))


def _names(text: str, rest: str, found: list[Mention]) -> None:
    """Runs of words with capitals; in scripts without capitals, what is quoted."""
    run: list[re.Match[str]] = []
    small = large = 0
    names: list[Mention] = []
    between: list[re.Match[str]] = []
    last = 0

    def close() -> None:
        if run:
            start, end = run[0].start(), run[-1].end()
            words = tuple(match[0] for match in run)
            if end - start <= LONGEST:
                first = _begins(rest, start) or bool(_LABEL.match(rest, end))
                names.append(Mention(start, "name", text[start:end], " ".join(words), words, first))
            run.clear()
        between.clear()

    for match in _WORD.finditer(rest):
        word = match[0]
        start = match.start()
        if run and (start - last != 1 or rest[last] not in " \u00a0"):
            close()
        if word[0].isupper() and not _NO_NAME.match(word):
            large += 1
            if len(word) > 1:
                if len(run) + len(between) > 5:
                    close()
                run += between
                between.clear()
                run.append(match)
            else:
                close()
        else:
            small += 1
            if run and word in _BETWEEN and len(between) < 2:
                between.append(match)
            else:
                close()
        last = match.end()
    close()
    # Where nouns have capitals (German), or every word has one, only runs are names.
    loud = large > 20 and large * 4 > small
    found.extend(name for name in names if not loud or len(name.words) > 1)
    if _CJK.search(rest):
        found.extend(
            Mention(match.start(1), "name", text[match.start(1) : match.end(1)], match[1])
            for match in _QUOTED.finditer(rest)
            if _BLANK not in match[1]
        )


def _begins(text: str, start: int) -> bool:
    """Whether a word stands where a sentence, a line, a label or a quotation begins."""
    for position in range(start - 1, max(start - 12, -1), -1):
        char = text[position]
        if char in " \t\u00a0('‘’":
            continue
        return char in _ENDS
    return True
