"""Sentences and words of a text in any script; of code, tables and JSON their lines and members.

A sentence ends where the punctuation of its script says so, and at the end of a line. What is
longer than a sentence should be is cut at its clauses, JSON at the commas of its outermost level,
and what has none of those anywhere: no piece is longer than `LONGEST`, and the time taken is linear
in the length, whatever the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from contextkit.summarizing import calendar

LONGEST = 400
"""Characters of a sentence. Prose seldom has longer ones; lists and minified data have."""

_SHORT = 160
"""Characters up to which neighbouring members of JSON, or clauses, are left together."""

Place = tuple[int, int]
"""Start and end of a piece in its text."""

# ruff: noqa: RUF001  (the punctuation of many scripts is what this is about)

# What stands between a full stop and the space behind it: quotes, brackets, emphasis, emoji.
_QUOTES = "\"'»”’"
_CLOSING = r"[\"'»”’)\]}*_~`\u2600-\u27bf\ufe0f\U0001f000-\U0001faff]"
_END = re.compile(
    # Chinese, Japanese, Indian, Armenian, Ethiopic, Burmese, Khmer, Tibetan, Arabic, Urdu: no
    # number and no abbreviation has these, so that no space is needed behind them.
    r"[。！？｡．।॥։፧።။།؟۔]++[」』）》”’\"')\]]*+\s*"
    rf"|(?<![.!?…])(?P<mark>[.!?…]++)(?P<closing>(?:[ \u00a0\u202f]?»|{_CLOSING})*+)\s+"
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff]);\s+"  # the Greek question mark
    r"|(?P<gap>(?<=[\u0e00-\u0eff])[ \t]+(?=[\u0e00-\u0eff]))"  # Thai and Lao have nothing else
)
_LINE = re.compile(r"[^\n\r\v\f\u0085\u2028\u2029]+")
_MONTH_BEFORE = re.compile(rf"(?:{calendar.MONTH})\.? \Z")
_LAST_WORD = re.compile(r"[^\W_]+(?:\.[^\W_]+)*$")

# Behind these a sentence goes on, whatever follows.
_TITLES = """
mr mrs ms mx dr prof st mt rev hon gen col capt lt sgt sr vs cf approx dept e.g i.e viz tel z.b d.h
u.a bzw evtl ggf inkl vgl mme mlle sra srta dra ud uds г ул им стр рис тыс млн млрд т.е т.к проф
""".split()  # noqa: SIM905  (a list of them would take a screen)
# These end one where a capital letter follows.
_SHORTENED = """
etc inc ltd co corp a.m p.m al fig eq sec ch vol pp no nos nr art ext abs usw u.s u.k u.s.a ph.d jan
feb mar apr jun jul aug sep sept oct nov dec гг т.д т.п др см
""".split()  # noqa: SIM905
_GOES_ON = frozenset(_TITLES)
_MAY_GO_ON = frozenset(_SHORTENED)

_JSON = re.compile(r"""\s*(?:[\[{]\s*["'\[{]|\[\s*-?\d[\d.]*\s*,)""")
_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{},]', re.DOTALL)
_DEEPEST = 8  # levels of JSON that are looked into for commas
_CLAUSE_ENDS = (
    re.compile(r"\\n|[;:；：]\s|；|\s[—–-]\s|\s\|\s?"),
    re.compile(r"[,،]\s|[，、]"),
    re.compile(r"\s"),
)

# Written without spaces between the words; and Korean, whose words change with their endings.
_UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3041-\u3096\u30a1-\u30ff"
    r"\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
# Marks that belong to a letter, which Python does not count among the letters.
MARKS = (
    r"\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u0900-\u0903"
    r"\u093a-\u094f\u0951-\u0963\u0981-\u0983\u09bc-\u09cd\u0a3c-\u0a4d\u0abc-\u0acd\u0b3c-\u0b4d"
    r"\u0bbe-\u0bcd\u0c3e-\u0c4d\u0cbc-\u0ccd\u0d3e-\u0d4d\u200c\u200d"
)
_WORD = re.compile(
    rf"[{_UNSPACED}]+"
    r"|\d{1,20}(?:[.,:/-]\d{1,20}){0,6}(?![^\W_])"  # 12.50, 2024-05-18, 23:00
    rf"|[^\W_{_UNSPACED}][^\W_{_UNSPACED}{MARKS}]*(?:[{MARKS}]+[^\W_{_UNSPACED}]*)*"
)
_RUN = re.compile(rf"[{_UNSPACED}]")


def sentences(text: str) -> list[str]:
    """The sentences of a text, in order, each as it stands there; lines of code, members of JSON.

    Nothing but white space is left out, and none is longer than `LONGEST` characters.
    """
    return [text[start:end] for start, end in sentence_places(text)]


def words(text: str) -> list[str]:
    """The words and numbers of a text, in order, in lower case.

    Of scripts that put no spaces between words, and of Korean, the pairs of neighbouring
    characters: they stand for words well enough where texts are compared.
    """
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        if word.isascii() or len(word) < 3 or not _RUN.match(word):
            found.append(word)
        else:
            found += [word[i : i + 2] for i in range(len(word) - 1)]
    return found


def sentence_places(text: str) -> Iterator[Place]:
    """Where the sentences of a text stand, in order."""
    for line in _LINE.finditer(text):
        start, end = line.span()
        pieces = [(start, end)] if _JSON.match(text, start, end) else line_places(text, start, end)
        for piece in pieces:
            for place in _bounded(text, piece):
                if trimmed := _trimmed(text, place):
                    yield trimmed


def line_places(text: str, start: int, end: int) -> Iterator[Place]:
    """Where the sentences of one line of prose stand, however long, with the space behind them."""
    at = start
    for found in _END.finditer(text, start, end):
        if found.end() < end and _is_end(text, at, found):
            yield at, found.end()
            at = found.end()
    yield at, end


def _is_end(text: str, start: int, found: re.Match[str]) -> bool:
    """Whether a sentence that began at `start` ends with this punctuation."""
    if found["gap"]:
        return found.start() - start >= 20  # a space parts clauses too; sentences are longer
    mark, following = found["mark"], text[found.end()]
    if not mark:
        return True
    if following.islower() and any(character in _QUOTES for character in found["closing"]):
        return False  # "Stop!" he said
    if "!" in mark or "?" in mark:
        return True
    if mark != ".":
        return not following.islower()  # Well... perhaps
    last = _LAST_WORD.search(text[max(start, found.start() - 40) : found.start()])
    if last and last[0].isdecimal() and _MONTH_BEFORE.search(last.string[: last.start()]):
        return True  # on May 22.
    return last is None or _ends(last[0], following)


def _ends(word: str, following: str) -> bool:
    """Whether a sentence ends with a word that has a full stop, by the character that follows."""
    small = word.lower()
    if small in _GOES_ON or (len(word) == 1 and word.isalpha() and word != "I"):
        return False  # J. Smith
    if word.isdecimal():
        return len(word) > 2 or int(word) > 31  # 3. Mai; the number of an item
    if small in _MAY_GO_ON:
        return following.isupper()
    return len(word) > 3 or not following.islower()  # an abbreviation that is not known


def _bounded(text: str, place: Place) -> Iterator[Place]:
    """A piece, or where it is too long its parts."""
    start, end = place
    if end - start <= LONGEST:
        yield place
        return
    if not _JSON.match(text, start, end):
        yield from _clauses(text, place)
        return
    for member in _members(text, place):
        if member[1] - member[0] <= LONGEST:
            yield member
        else:  # a long string
            for piece in line_places(text, *member):
                yield from _clauses(text, piece)


def _members(text: str, place: Place) -> list[Place]:
    """Parts of JSON, cut at the outermost commas that make them short enough."""
    commas: list[list[int]] = [[] for _ in range(_DEEPEST)]
    depth = 0
    for found in _JSON_MARK.finditer(text, *place):
        mark = found[0]
        if mark in "[{":
            depth += 1
        elif mark in "]}":
            depth -= 1
        elif mark == ",":
            commas[min(max(depth, 0), _DEEPEST - 1)].append(found.end())
    pieces = [place]
    for cuts in commas:
        if cuts:
            pieces = _cut_longer(pieces, cuts)
    return pieces


def _clauses(text: str, place: Place) -> Iterator[Place]:
    """Parts of a long sentence: cut at the strongest signs that make them short enough."""
    pieces = [place]
    for ends in _CLAUSE_ENDS:
        if all(end - start <= LONGEST for start, end in pieces):
            break
        pieces = _cut_longer(pieces, [found.end() for found in ends.finditer(text, *place)])
    for start, end in pieces:
        for at in range(start, end, LONGEST):
            yield at, min(at + LONGEST, end)


def _cut_longer(pieces: Iterable[Place], cuts: list[int]) -> list[Place]:
    """Those pieces that are too long cut at some places, which are in order."""
    result: list[Place] = []
    at = 0
    for start, end in pieces:
        while at < len(cuts) and cuts[at] <= start:
            at += 1
        if end - start <= LONGEST:
            result.append((start, end))
            continue
        last = begun = start
        while at < len(cuts) and cuts[at] < end:
            if cuts[at] - begun > _SHORT and last > begun:
                result.append((begun, last))
                begun = last
            last = cuts[at]
            at += 1
        if end - begun > _SHORT and last > begun:
            result.append((begun, last))
            begun = last
        result.append((begun, end))
    return result


def _trimmed(text: str, place: Place) -> Place | None:
    """A piece without the white space around it; None where there is nothing else."""
    piece = text[place[0] : place[1]]
    left = len(piece) - len(piece.lstrip())
    right = len(piece.rstrip())
    return (place[0] + left, place[0] + right) if right > left else None
