"""Mention: one place at which a text states something; a fact: what such places have in common."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

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
        label: whether a colon follows, as behind the name of a field.
    """

    start: int
    kind: FactKind
    text: str
    key: str
    words: tuple[str, ...] = ()
    first: bool = False
    label: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a text states, word for word.

    Attributes:
        kind: what sort of fact.
        text: as it stands where it was first said; of a date or an amount in its fullest form,
            with the year or the unit where some mention has it.
        key: what two mentions of it have in common.
        mentions: how often it is said.
        by_user: whether a user message says it.
        messages: how many messages say it.
        last: the last of them, counted from 0.
    """

    kind: FactKind
    text: str
    key: str
    mentions: int = 1
    by_user: bool = False
    messages: int = 1
    last: int = 0

    @property
    def needed(self) -> bool:
        """Whether a summary must carry it: said twice, or said by the user."""
        return self.mentions > 1 or self.by_user


BLANK = "\x00"
"""Stands where a mention was found already."""
# Letters and digits of the scripts that put spaces between words.
LETTER = re.compile(r"[A-Za-z0-9_\u00c0-\u024f\u0370-\u052f]")


def stands_alone(text: str, start: int, end: int, apart: str = "") -> bool:
    """Whether no letter or digit of the same script touches a match.

    A pattern that ends or begins with a sign, or with a letter of a script that is written without
    spaces, stands alone anyway.
    """
    if start and LETTER.match(text[start]):
        before = text[start - 1]
        if LETTER.match(before) or (
            apart and before in apart and text[start - 2 : start - 1].isdigit()
        ):
            return False
    after = text[end : end + 1]
    if not after or not LETTER.match(text[end - 1]):
        return True
    return not (LETTER.match(after) or (after in apart and text[end + 1 : end + 2].isdigit()))
