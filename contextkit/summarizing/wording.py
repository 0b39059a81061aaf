"""Wording: whether a text has words and script in common with messages, or only repeats itself."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise

from contextkit.errors import SummaryRejected

_WORD = re.compile(r"[^\W\d_]{3,}")
_SIGN = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# Signs of scripts that put no spaces between words; Thai, Lao, Burmese and Khmer too.
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
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
# Of scripts without spaces: a text is cut at every sign.
_PIECES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")

_SENTENCE_ENDS = re.compile(r"(?<=[.!?…؟।])\s+|(?<=[。！？])|\n")  # noqa: RUF001 - other scripts
_WORDS = re.compile(r"[^\W_]")

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


def check_words(text: str, source: str, instruction: str = "", *, shared: int) -> None:
    """That a text is in the script of the messages, and about them.

    Args:
        text: what a summarizer gave.
        source: what the messages say.
        instruction: what the summarizer was told.
        shared: how many facts of the messages the text states.

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
    if instruction and _is_echo(text, instruction, source):
        raise SummaryRejected("the summary is what the instruction says", again=True)
    words, about = content_words(text), content_words(source)
    if not shared and len(about) >= LONG_TEXT and about.isdisjoint(words - _ANYWHERE):
        raise SummaryRejected("the summary says nothing of what the messages say", again=True)
    if len(words) < LONG_TEXT:
        return
    common = len(words & about) / len(words)
    if len(about) >= LONG_TEXT and common < LEAST_IN_COMMON:
        raise SummaryRejected(
            "the summary has hardly a word in common with the messages: it is in another "
            "language, or about something else",
            again=True,
        )
    if common < 0.5 and _other_language(text, source):
        raise SummaryRejected("the summary is in another language than the messages", again=True)


def _is_echo(text: str, instruction: str, source: str) -> bool:
    """Whether most of a text is what the instruction says and the messages do not."""
    runs = _runs(_PIECES.findall(text.casefold()))
    told = runs & _runs(_PIECES.findall(instruction.casefold()))
    return len(told) * 2 > len(runs) and (
        len(told - _runs(_PIECES.findall(source.casefold()))) * 2 > len(runs)
    )


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
    signs = _UNSPACED.findall(folded)
    return words | set(map("".join, pairwise(signs)))


_ANYWHERE = content_words(
    "about above after again also another anything apologize assist assistance available based "
    "been before below both cannot certainly chat comply content continue conversation could "
    "course decline does done each else every first following from given glad good great happy "
    "have hello help here history however include information instructions into just know last "
    "least less like made make many message might more most much must need next none note nothing "
    "okay only other over please previous provide provided question ready regarding request "
    "response same shall share short should since some something sorry still such sufficient "
    "summary sure tell text than thank that their them then there these they thing this those "
    "unable unfortunately until very want was were what whatever when where which while will with "
    "within without would write written your"
)
"""What a text can say of any conversation, in greetings, announcements, refusals."""


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has; one sign of Chinese counts as two letters."""
    if text.isascii():
        return Counter({"Latin": len(_LATIN.findall(text))})
    counts = {name: len(pattern.findall(text)) for name, pattern in _SCRIPTS.items()}
    counts["Chinese, Japanese or Korean"] *= 2
    return Counter(counts)


def is_loop(text: str, source: str = "") -> bool:
    """Whether a text says the same sentence or phrase again and again.

    Lines that differ, in a number at least, are a list; a sentence may have a phrase several times,
    and as often as in the messages where it is quoted whole, behind the name of who said it.
    """
    lines = [line for line in _SENTENCE_ENDS.split(text.casefold()) if _WORDS.search(line)]
    if _recurs(lines) or _recurs(lines[-max(12, len(lines) // 3) :]):
        return True
    loops = [line for line in dict.fromkeys(lines) if _runs_into_loop(_PIECES.findall(line))]
    if not loops:
        return False
    said = _spaced(source.casefold())
    return any(_spaced(line.partition(": ")[2] or line) not in said for line in loops)


def _spaced(text: str) -> str:
    """The words of a text, or its signs, each between two spaces."""
    return f" {' '.join(_PIECES.findall(text))} "


def _recurs(lines: list[str]) -> bool:
    """Whether few of some lines or sentences are different ones."""
    different = Counter(" ".join(_PIECES.findall(line)) for line in lines)
    if len(lines) < 8:
        return False
    often = different.most_common(1)[0][1]
    return (often > 5 and often * 2 > len(lines)) or len(different) < 0.3 * len(lines)


def _runs_into_loop(pieces: list[str]) -> bool:
    """Whether one sentence repeats a phrase; a good beginning may run into a loop."""
    tail = pieces[-max(48, len(pieces) // 3) :]
    return len(pieces) > 15 and (
        len(_runs(pieces)) < (0.3 if len(pieces) > 47 else 0.2) * len(pieces)
        or len(_runs(tail)) < 0.2 * len(tail)
    )


def _runs(pieces: list[str]) -> set[tuple[str, ...]]:
    return set(zip(pieces, pieces[1:], pieces[2:], strict=False))
