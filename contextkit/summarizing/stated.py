"""Stated: what a text states, to be asked for facts, however it writes them."""

# ruff: noqa: RUF001  (the quotes that texts have)

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from contextkit.summarizing import calendar
from contextkit.summarizing.constraints import constraint_key
from contextkit.summarizing.mention import LETTER, Fact, stands_alone
from contextkit.summarizing.mentions import mentions_of

_PLAIN_WORD = re.compile(r"\w+")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
_RUN = re.compile(f"{LETTER.pattern}+")


class Stated:
    """What a text states, to be asked for facts."""

    def __init__(self, text: str) -> None:
        self._keys: set[str] = set()
        self._dates: set[str] = set()
        self._numbers: dict[str, set[str]] = {}
        for mention in mentions_of(text):
            if mention.kind == "date":
                self._dates.update(calendar.also_said(mention.key))
            elif mention.kind == "number":
                value, _, unit = mention.key.partition(" ")
                self._numbers.setdefault(value, set()).add(unit)
                for other in _other_readings(mention.text):
                    self._numbers.setdefault(other, set()).add(unit)
            elif mention.kind == "path":
                self._keys.update(_ends(mention.key))
            else:
                self._keys.add(mention.key)
        words = _WORD.findall(text)
        self._runs = set(words)
        for length in range(2, 7):
            self._runs.update(map(" ".join, zip(*(words[i:] for i in range(length)), strict=False)))
        self._lower = {word.casefold() for word in words}
        self._text = text
        self._folded = text.casefold()
        self._parts = {*_RUN.findall(text), *_RUN.findall(self._folded)}
        self._flat = f" {constraint_key(text)} "

    def has(self, fact: Fact) -> bool:
        """Whether the text states a fact."""
        if fact.kind == "constraint":
            return f" {fact.key} " in self._flat
        return self._stated(fact) or self._word_for_word(fact)

    def _stated(self, fact: Fact) -> bool:
        """Whether it is there in some form."""
        if fact.kind == "date":
            return any(reading in self._dates for reading in fact.key.split("|"))
        if fact.kind == "number":
            value, _, unit = fact.key.partition(" ")
            units = self._numbers.get(value, ())
            return bool(units) and (not unit or unit in units or "" in units)
        if fact.kind == "name":
            return fact.key in self._runs or fact.key in self._keys
        if fact.key in self._keys or (fact.key.isalpha() and fact.key in self._lower):
            return True
        bare = fact.key.lstrip("#№ ")
        return bare != fact.key and bare in self._numbers

    def _word_for_word(self, fact: Fact) -> bool:
        """Whether it is there as it was said, where what is around it has it read otherwise."""
        piece = fact.text if fact.kind == "name" else fact.text.casefold()
        begins = _RUN.match(piece)
        if begins and begins[0] not in self._parts:  # so that not all facts are looked for
            return False
        if fact.kind == "name":
            return _occurs(piece, self._text, "-")
        if fact.kind == "number" and f"-{piece}" in self._folded:
            return False
        return _occurs(piece, self._folded, "-−._/@:,+#")


def not_in(stated: Iterable[Fact], facts: Iterable[Fact], source: str) -> list[Fact]:
    """Those of some stated facts that a source has in no form: neither as a fact nor as words.

    In doubt it has them: a date with another date's day and month, a number with another unit, a
    name all of whose words occur.
    """
    said: set[str] = set()
    for fact in facts:
        if fact.kind == "date":
            said.update(calendar.also_said(fact.key))
        elif fact.kind == "number":
            said.add(fact.key.partition(" ")[0])
        elif fact.kind == "path":
            said.update(_ends(fact.key))
    folded = source.casefold()
    words = set(_PLAIN_WORD.findall(folded))

    def has(fact: Fact) -> bool:
        if fact.kind == "date":
            forms = [form for key in fact.key.split("|") for form in (key, f"-{key[4:]}")]
            return any(form in said for form in forms) or _occurs(fact.text.casefold(), folded)
        if fact.kind == "number":
            value = fact.key.partition(" ")[0]
            return value in said or (value in folded if len(value) > 3 else _occurs(value, folded))
        if fact.kind == "name":
            return all(word in words for word in _PLAIN_WORD.findall(fact.text.casefold()))
        key = fact.key.lstrip("#№ ")
        return key in said or (key in folded if len(key) > 3 else _occurs(key, folded))

    return [fact for fact in stated if fact.kind != "constraint" and not has(fact)]


def _occurs(piece: str, text: str, apart: str = "") -> bool:
    """Whether a piece stands in a text by itself.

    That is: with no letter or digit of its script beside it, nor one behind a sign of `apart`.
    """
    start = text.find(piece) if piece else -1
    while start >= 0:
        end = start + len(piece)
        if stands_alone(text, start, end) and not (
            (start > 1 and text[start - 1] in apart and LETTER.match(text[start - 2 : start - 1]))
            or (text[end : end + 1] in apart and LETTER.match(text[end + 1 : end + 2]))
        ):
            return True
        start = text.find(piece, start + 1)
    return False


def _ends(path: str) -> Iterator[str]:
    """A path, and what of it stands behind each of its slashes."""
    yield path
    if "@" in path or "://" in path:
        return
    for position, char in enumerate(path):
        if char in "/\\" and position + 1 < len(path):
            yield path[position + 1 :]


def _other_readings(text: str) -> list[str]:
    """`1.234` is 1234 in some languages, and `1,234` is 1.234."""
    return [re.sub(r"[^0-9]", "", text)] if re.search(r"[0-9][.,][0-9]{3}(?![0-9])", text) else []
