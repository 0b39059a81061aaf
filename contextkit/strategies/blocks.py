"""Delimited blocks: how text from elsewhere stands in a message, as data that cannot break out."""

from __future__ import annotations

import re
from hashlib import blake2b

from contextkit.errors import InputError
from contextkit.history import History

_NAME = re.compile(r"[A-Za-z][\w .:-]{0,79}")


def block(history: History, name: str, text: str) -> str:
    """Text between two delimiters that are the same bytes for a whole conversation.

    The delimiter carries a mark derived from the conversation; where the text holds the mark, it
    is broken up, so that no text can end its own block or begin another.

    Raises:
        InputError: when the name cannot stand in a delimiter.
    """
    if not _NAME.fullmatch(name):
        raise InputError("is a word or a few words", place=f"name {name!r}")
    mark = delimiter_mark(history)
    # The second space keeps the halves of two broken marks from forming a third.
    harmless = text.replace(mark, f"{mark[:4]} {mark[4:]} ")
    return f'<data name="{name}" mark="{mark}">\n{harmless}\n</data {mark}>'


def delimiter_mark(history: History) -> str:
    """The mark of a conversation's delimiters: eight hex digits."""
    owner = "\x00".join(history.scope.key) if history.scope else history.id
    return blake2b(owner.encode(), digest_size=4, person=b"ck delimiter").hexdigest()
