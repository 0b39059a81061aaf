"""Wording: whether a text has words and script in common with messages, or only repeats itself."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from contextkit.errors import SummaryRejected

_WORD = re.compile(r"[^\W\d_]{3,}")
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_SCRIPTS = {
    "Latin": _LATIN,
    "Chinese, Japanese or Korean": _SIGN,
    "Cyrillic": re.compile(r"[\u0400-\u052f]"),
    "Greek": re.compile(r"[\u0370-\u03ff]"),
    "Arabic": re.compile(r"[\u0600-\u06ff]"),
    "Hebrew": re.compile(r"[\u0590-\u05ff]"),
    "Devanagari": re.compile(r"[\u0900-\u097f]"),
    "Thai": re.compile(r"[\u0e00-\u0e7f]"),
}
# Words of scripts with spaces.
_LETTERS = re.compile(r"[^\W\d_\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_PIECES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")

LONG_TEXT = 24
"""Distinct content words from which on a text is held against the words of the messages."""
LEAST_IN_COMMON = 0.12
"""Share of a text's content words that must occur in the messages.

Measured: the later answers of agents have 0.21 to 1.0 in common with what was said before them,
half of them 0.73 or more; a recipe, or a text in Finnish, has 0.05 or less with a talk about
flights.
"""
LEAST_SHORT_IN_COMMON = 0.2
"""Share of a text's short words that must occur in the messages.

Measured: the later answers of agents have 0.38 to 1.0 in common with what was said before them;
a summary in French, German or Spanish of a talk in English about flights has 0.1 or less.
"""
_SHORT = 4


def check_words(text: str, source: str) -> None:
    """That a text is in the script of the messages, and about them.

    Raises:
        SummaryRejected: with `again`, as another attempt can help.
    """
    ours = _scripts(text)
    letters = sum(ours.values())
    if letters >= 24:
        script, most = ours.most_common(1)[0]
        if most * 2 > letters and not (script == "Latin" and source.isascii()):
            theirs = _scripts(source)
            if theirs[script] * 20 < sum(theirs.values()):
                raise SummaryRejected(
                    f"the summary is in {script} script, and the messages are not", again=True
                )
    words = content_words(text)
    if len(words) < LONG_TEXT:
        return
    about = content_words(source)
    common = len(words & about) / len(words)
    if len(about) >= LONG_TEXT and common < LEAST_IN_COMMON:
        raise SummaryRejected(
            "the summary has hardly a word in common with the messages: it is in another "
            "language, or about something else",
            again=True,
        )
    if common < 0.5 and _other_language(text, source):
        raise SummaryRejected("the summary is in another language than the messages", again=True)


def _other_language(text: str, source: str) -> bool:
    """Whether hardly any of a text's short words occurs in the messages.

    Short words are mostly articles, prepositions, pronouns: a text in the language of the messages
    has most of them in common with these, whatever it is about, and one in another has few.
    """
    ours = [word for word in _LETTERS.findall(text.casefold()) if len(word) <= _SHORT]
    theirs = {word for word in _LETTERS.findall(source.casefold()) if len(word) <= _SHORT}
    if len(ours) < 12 or len(theirs) < 30:
        return False
    return sum(word in theirs for word in ours) < LEAST_SHORT_IN_COMMON * len(ours)


def content_words(text: str) -> set[str]:
    """The words of a text but for short ones, by their first five letters; signs in pairs."""
    folded = text.casefold()
    words = {word[:5] for word in _WORD.findall(folded) if len(word) > 3}
    if folded.isascii():
        return words
    signs = _SIGN.findall(folded)
    return words | set(map("".join, pairwise(signs)))


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has; one sign of Chinese counts as two letters."""
    if text.isascii():
        return Counter({"Latin": len(_LATIN.findall(text))})
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    counts["Chinese, Japanese or Korean"] *= 2
    return Counter(counts)


def is_loop(text: str, source: str = "") -> bool:
    """Whether a text says the same line or phrase again and again, and its source does not."""
    lines = [line.strip().casefold() for line in text.splitlines() if line.strip()]
    often = Counter(lines).most_common(1)[0][1] if lines else 0
    pieces = _PIECES.findall(text.casefold())
    runs = _runs(pieces)
    # A good beginning may run into a loop.
    tail = pieces[-max(48, len(pieces) // 3) :]
    loops = (often > 5 and often * 2 > len(lines) > 7) or (
        len(pieces) > 47 and (len(runs) < 0.3 * len(pieces) or len(_runs(tail)) < 0.2 * len(tail))
    )
    if not loops or not source:
        return loops
    theirs = _runs(_PIECES.findall(source.casefold()))
    return not is_loop(source) or len(runs & theirs) < 0.8 * len(runs)


def _runs(pieces: list[str]) -> set[tuple[str, ...]]:
    return set(zip(pieces, pieces[1:], pieces[2:], strict=False))
