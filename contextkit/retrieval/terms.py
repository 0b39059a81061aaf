"""Terms: what of a text is looked up: stems of its words, identifiers whole and in parts, n-grams.

A text is cut into words. A word is lower-cased, dropped where it is a stop word, and stemmed by the
Snowball stemmer of its language; Chinese, Japanese, Korean, Thai and the like, which are written
without spaces or with few, give character bigrams. What is joined (`ORD-1234`, `src/app.py`,
`ann@example.org`, `userName`) is found by its parts and, where it is more than hyphenated words,
whole as well.

The stemmers are those of `snowballstemmer` (3.0 of 2025, BSD): the Snowball project's own, pure
Python, which takes PyStemmer's compiled ones where that is installed. Each word is analysed once.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import groupby
from threading import Lock
from typing import Any, NamedTuple

from contextkit.errors import InputError
from contextkit.retrieval.stop_words import STOP_WORDS

DEFAULT = "english"

_LONGEST = 64
"""Characters of a word that count; a longer one is no word, and is told from others by them."""

_SHORT = 2
"""Digits of a number that is found only where it stands alone, or before letters, as in "10km"."""

_JOINTS = r"[-'’._/\\@:+#&]"  # noqa: RUF001 - the apostrophe that phones write
_ASCII_WORD = re.compile(f"[A-Za-z0-9]+(?:{_JOINTS}[A-Za-z0-9]+)*(?:\\+\\+|#)?")
"""What `_word` finds in ASCII, in a third of the time."""
_RUN = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Written without spaces, or with few: Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean."""
_RUNS = re.compile(f"([{_RUN}]+)")
_HAN = re.compile("[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_DIGITS = re.compile(r"(\d+)")
_VERSION = re.compile(r"(?<![0-9])[0-9]++(?:\.[0-9]++)+")
_LETTER = re.compile(r"[^\W\d_]")
_HUMPS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_WHOLE = re.compile(r"[\d@/\\_.:+#&]")
"""What makes of joined words an identifier, which is looked up whole as well."""

_SCRIPTS = (
    ("russian", "\u0400", "\u052f"),
    ("greek", "\u0370", "\u03ff"),
    ("armenian", "\u0530", "\u058f"),
    ("arabic", "\u0600", "\u06ff"),
    ("hindi", "\u0900", "\u097f"),
    ("tamil", "\u0b80", "\u0bff"),
)
"""Scripts that say which stemmer to take, whatever the language of the text around."""

_CODES = {
    "da": "danish",
    "de": "german",
    "en": "english",
    "es": "spanish",
    "fr": "french",
    "id": "indonesian",
    "it": "italian",
    "nb": "norwegian",
    "nl": "dutch",
    "nn": "norwegian",
    "no": "norwegian",
    "pl": "polish",
    "pt": "portuguese",
    "ru": "russian",
    "sv": "swedish",
    "tr": "turkish",
}
"""ISO 639-1."""

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_CLOCK = re.compile(r"\d\d?:\d\d[:.\d]*(?:\s*[AaPp]\.?[Mm]\b\.?)?")
_DAY = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
_MOST_DAYS = 20  # of one text: in a table of dates none is what it is about
_DOTTED = re.compile(r"\b(\d\d?)\.\s?(\d\d?)\.\s?(\d{4})\b")

_ALL_STOP_WORDS = frozenset().union(*STOP_WORDS.values())

_lock = Lock()


class Term(NamedTuple):
    """What is looked up, with the word of which a single-word vector can be made.

    Attributes:
        key: the stem, identifier or n-gram.
        word: the word in lower case; empty for numbers, identifiers and n-grams.
    """

    key: str
    word: str = ""


def terms(text: str, language: str | None = None) -> list[Term]:
    """The terms of a text, in order, repeated as often as they occur; linear in its length.

    Args:
        text: any text.
        language: of its Latin words, a name of `STOP_WORDS`; by the words themselves where None.
    """
    words = words_of(text)
    return terms_of(words, language or language_of(words) or DEFAULT)


def terms_of(words: list[str], language: str) -> list[Term]:
    """The terms of a text that is cut into words already."""
    return [
        term
        for word in words
        for term in (_known(word, language) if len(word) <= _LONGEST else _analysed(word, language))
    ]


def check_language(language: str | None, place: str) -> str | None:
    """A language as `STOP_WORDS` calls it, of its name or code; None: each text says its own.

    Args:
        language: such as `german`, `German`, `de` or `de-AT`.
        place: where it was given, for the error.

    Raises:
        InputError: names those whose words are known.
    """
    if language is None:
        return None
    named = str(language).strip().lower()
    named = _CODES.get(re.split("[-_]", named)[0], named)
    if named not in STOP_WORDS:
        known = ", ".join(sorted(STOP_WORDS))
        raise InputError(
            f"is one of {known}, not {language!r:.60}. None for others: of Chinese, Japanese and "
            "the like, characters are taken in pairs",
            place=place,
        )
    return named


def words_of(text: str) -> list[str]:
    """The words of a text as they stand, joined ones in one piece."""
    if text.isascii():
        return _ASCII_WORD.findall(text)
    return _word().findall(unicodedata.normalize("NFKC", text))


def date_terms(date: str) -> list[Term]:
    """The terms of a date as it is shown; the month of one like 2026-05-08 by its name as well.

    The time of day is left out: its numbers would be found by any other number.
    """
    return list(_dated(_CLOCK.sub(" ", date)))


def dates_in(text: str) -> list[Term]:
    """The days that a text has in figures, as 2026-05-08 or 8.5.2026, by the names of their months.

    Months in English.
    """
    days = [(month, day) for _, month, day in _DAY.findall(text)]
    days += [(month, day) for day, month, _ in _DOTTED.findall(text)]
    named = " ".join(_of_month(month, day) for month, day in days[:_MOST_DAYS])
    return terms(named, DEFAULT) if named else []


@lru_cache(maxsize=1 << 12)
def _dated(date: str) -> tuple[Term, ...]:
    named = (_of_month(month, day) for _, month, day in _DAY.findall(date))
    return tuple(terms(" ".join([date, *named]), DEFAULT))


def _of_month(month: str, day: str) -> str:
    known = 1 <= int(month) <= len(_MONTHS)
    return f"{int(day)} {_MONTHS[int(month) - 1]}" if known else ""


def language_of(words: list[str]) -> str | None:
    """The language whose stop words are most among some words; None where none, or several, lead.

    English where it is as good as others: the words that languages share decide nothing.
    """
    best = leading_languages(words)
    if DEFAULT in best:
        return DEFAULT
    return best[0] if len(best) == 1 else None


def leading_languages(words: list[str]) -> list[str]:
    """The languages whose stop words are most among some words; several share many of them."""
    said = {word.lower() for word in words[:1_000]}
    if len(said) < 2:
        return []
    said &= _ALL_STOP_WORDS
    if not said:
        return []
    counts = {language: len(said & stops) for language, stops in STOP_WORDS.items()}
    most = max(counts.values())
    return [language for language, count in counts.items() if count == most] if most else []


def is_numbered(term: str) -> bool:
    """Whether a term is an identifier of letters and digits: `req-9999`, `T17`."""
    return bool(_DIGITS.search(term) and _LETTER.search(term))


def is_same_within(term: str, other: str) -> bool:
    """Whether an identifier is another, or a part of it, but for what joins: `gpt-4` and `gpt4`."""
    bare = re.sub(_JOINTS, "", term)
    return bool(re.search(f"{re.escape(bare)}(?![0-9])", re.sub(_JOINTS, "", other)))


def script_units(text: str) -> list[str]:
    """The words of a text, each character of what is written without spaces as one."""
    return _unit().findall(unicodedata.normalize("NFKC", text))


@lru_cache(maxsize=1 << 16)
def _known(word: str, language: str) -> tuple[Term, ...]:
    return tuple(_analysed(word, language))


def _analysed(word: str, language: str) -> Iterator[Term]:
    """The terms of a word, or of what is joined into one."""
    if word.isascii() and word.isalpha() and not _humped(word):
        yield from _single(word, language)
        return
    parts = re.split(_JOINTS, word)
    if (_WHOLE.search(word) or any(map(_humped, parts))) and not _RUNS.search(word):
        whole = word.lower()[:_LONGEST]
        # As it is found where somebody writes it without capitals.
        yield Term(sys.intern(_stem(whole, language) if whole.isalpha() else whole))
    named = False
    if (version := _VERSION.search(word)) and version[0] != word and not word[0].isdecimal():
        yield Term(sys.intern(version[0]))
    for part in parts:
        for piece in _pieces(part):
            if _RUNS.match(piece):
                yield from _grams(piece)
            elif named and len(piece) <= _SHORT and piece.isdecimal():
                continue  # the 17 of form T-17 is no number that is asked for
            # A number that stands alone is whole already.
            elif piece != word or not piece.isdecimal():
                yield from _single(piece, language)
                named |= not piece.isdecimal()


def _humped(word: str) -> bool:
    """Whether capitals stand inside a word, as in `userName`."""
    if not (word.isascii() and word.isalpha()):
        return False
    return not (word.islower() or word.isupper() or word[1:].islower())


def _pieces(part: str) -> list[str]:
    """Runs without spaces, letters, digits, and the humps of an ASCII name, each alone."""
    if part.isalpha() and part.isascii() and not _humped(part):
        return [part]
    pieces = [piece for run in _RUNS.split(part) for piece in _DIGITS.split(run) if piece]
    return [
        hump
        for piece in pieces
        for hump in (_HUMPS.findall(piece[:_LONGEST]) if _humped(piece) else [piece])
    ]


def _single(word: str, language: str) -> Iterator[Term]:
    """The term of a word without joints; none of a stop word."""
    lower = word.lower()[:_LONGEST]
    spoken = _by_script(lower[0]) or language
    if lower in STOP_WORDS.get(spoken, ()):
        return
    if lower.isdecimal():
        yield Term(sys.intern(lower))
    else:
        yield Term(sys.intern(_stem(lower, spoken)), lower if len(lower) > 1 else "")


def _grams(run: str) -> Iterator[Term]:
    """Bigrams; a Chinese character means something alone as well, and so does a run of one."""
    for han, characters in groupby(run, lambda character: bool(_HAN.match(character))):
        piece = "".join(characters)
        if han or len(piece) == 1:
            yield from (Term(sys.intern(character)) for character in piece)
        yield from (Term(sys.intern(piece[i : i + 2])) for i in range(len(piece) - 1))


def _by_script(character: str) -> str | None:
    if character < "\u0370":
        return None
    return next((name for name, low, high in _SCRIPTS if low <= character <= high), None)


def _stem(word: str, language: str) -> str:
    # A stemmer has a state of its own, so one word at a time.
    with _lock:
        stemmed: str = _stemmer(language).stemWord(word)
    return stemmed or word


@cache
def _stemmer(language: str) -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer(language)


@cache
def _word() -> re.Pattern[str]:
    """Letters, digits and the marks that belong to them, and what is joined of them."""
    # Of the marks, which `\w` leaves out, Indian and Thai vowels are.
    marks = "".join(
        chr(code) for code in range(0x300, 0xFE30) if unicodedata.category(chr(code))[0] == "M"
    )
    letter = f"(?:[^\\W_]|[{marks}])"
    return re.compile(f"{letter}+(?:{_JOINTS}{letter}+)*(?:\\+\\+|#)?")


@cache
def _unit() -> re.Pattern[str]:
    return re.compile(f"[{_RUN}]|[^\\W\\d_{_RUN}]+")
