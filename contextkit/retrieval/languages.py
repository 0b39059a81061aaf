"""Languages: which one a question is in, by its script and its words of grammar.

A model of sentences that was made for English gives cosines for other languages, too; they mean
nothing. An embedder that says its `language` is asked about questions in it only.
"""

from __future__ import annotations

import unicodedata
from collections import Counter

from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.terms import DEFAULT, leading_languages, script_units, words_of

_READ = 4_000
"""Characters of a text that are looked at."""

_BY_SCRIPT = {
    "cjk": "chinese",
    "ideographic": "chinese",
    "hiragana": "japanese",
    "katakana": "japanese",
    "hangul": "korean",
    "cyrillic": "russian",
    "devanagari": "hindi",
}
"""The first word of a character's name in Unicode, where the language is called otherwise."""


def language_spoken(text: str, corpus: Corpus | None = None) -> str | None:
    """The language of a question; None where nothing says it, as in "Project X?".

    By its script, where at least half of its words are not in Latin letters (a Chinese character
    counts as a word; Cyrillic passes for Russian, as with the stemmers); by its words of grammar,
    where among several languages that it may be, the corpus's counts; else that of the corpus.

    Args:
        text: a question.
        corpus: in which it is asked; None for none.
    """
    text = text[:_READ]
    if script := _script(text):
        return script
    if corpus is not None and corpus.language:
        return corpus.language
    held = corpus.spoken_most if corpus is not None else None
    best = leading_languages(words_of(text))
    if not best:
        return held
    if held in best:
        return held
    return DEFAULT if DEFAULT in best else best[0] if len(best) == 1 else None


def _script(text: str) -> str | None:
    """The language of the script that at least half of the words are in; None of Latin ones."""
    if text.isascii():
        return None
    names = Counter(
        unicodedata.name(unit[0], "latin").lower().split()[0].split("-")[0]
        for unit in script_units(text)
    )
    others = +Counter({name: count for name, count in names.items() if name != "latin"})
    if 2 * others.total() < names.total() or not others:
        return None
    if others["hiragana"] + others["katakana"]:
        return "japanese"  # whose Chinese characters may be more
    most = max(others, key=lambda name: (others[name], name))
    return _BY_SCRIPT.get(most, most)
