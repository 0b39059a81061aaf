"""Asking: the terms of a question's words, as those who are asked have said them."""

from __future__ import annotations

from collections.abc import Iterable

from contextkit.retrieval.lexical import Postings
from contextkit.retrieval.terms import DEFAULT, Term, is_numbered, is_same_within, terms_of

_LOOKED_UP, _FEW, _KEYS = 20, 5, 1_000
"""Identifiers of a question that are looked up, passages in which each is, and terms of each."""


def said_of(
    words: list[str], spoken: str, postings: Postings, languages: Iterable[str]
) -> list[Term]:
    """The terms of a question's words, in order.

    Of an identifier that nobody has said its letters are left out where they were said in
    others only: in a log of requests "req" says nothing of req-9999.

    Args:
        words: of the question.
        spoken: its language.
        postings: what has been said.
        languages: those that have been spoken.
    """
    asked: list[Term] = []
    looked = 0
    for word in words:
        parts = _as_said(word, list(dict.fromkeys(terms_of([word], spoken))), postings, languages)
        if len(parts) > 1 and is_numbered(whole := parts[0].key) and looked < _LOOKED_UP:
            looked += 1
            if whole not in postings:
                some, rest = parts[:_LOOKED_UP], parts[_LOOKED_UP:]
                parts = [part for part in some if not _in_others(part.key, whole, postings)] + rest
        asked += parts
    return asked


def _as_said(
    word: str, parts: list[Term], postings: Postings, languages: Iterable[str]
) -> list[Term]:
    """The terms of a word that nobody has said in its language, as somebody has in another."""
    if not parts or any(part.key in postings for part in parts):
        return parts
    for language in sorted({*languages, DEFAULT}):
        others = terms_of([word], language)
        if any(other.key in postings for other in others):
            return others
    return parts


def _in_others(part: str, whole: str, postings: Postings) -> bool:
    """Whether letters of an identifier stand, where they were said last, in others only."""
    if part == whole or part.isdecimal() or part not in postings:
        return False
    others = (
        [key for key in held[:_KEYS] if part in key and key != part and is_numbered(key)]
        for held in postings.last_held(part, _FEW)
    )
    return all(found and not any(is_same_within(whole, key) for key in found) for found in others)
