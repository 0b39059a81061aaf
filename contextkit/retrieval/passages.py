"""Passage: what retrieval finds: a message, or a part of a document, with what ranking looks at."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Passage:
    """What can be found.

    Attributes:
        text: what it says.
        speaker: who says it: the name of a participant, else the role.
        role: `user`, `assistant`, `tool` or `document`.
        tokens: what it takes where it is shown, its label included.
        date: when it was said, as it is shown; empty where nobody knows.
        session: passages of one sitting have it in common; neighbours are of one session.
    """

    text: str
    speaker: str = "user"
    role: str = "user"
    tokens: int = 0
    date: str = ""
    session: int = 0


def address_of(text: str) -> str:
    """What the vector of a text is kept under: inside a scope, the same text is embedded once."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
