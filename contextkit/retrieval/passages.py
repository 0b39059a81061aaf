"""Passage: what retrieval finds: a message, or a part of a document, with what ranking looks at."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

from contextkit.errors import InputError
from contextkit.messages import SYSTEM_ROLES, Message, text_of
from contextkit.scope import ScopeKey

PAUSE = 4 * 3_600
"""Seconds without a message behind which another session begins. Chosen, not measured."""

Key = tuple[str, ScopeKey, int, str]
"""Names a passage: where it is from, in whose scope, and its number there; of a document, which
may be replaced, the address of its text as well."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What can be found.

    Attributes:
        text: what it says.
        speaker: who says it: the name of a participant, else the role.
        role: `user`, `assistant`, `tool` or `document`.
        tokens: what it takes where it is shown, its label included.
        date: when it was said, as it is shown; empty where nobody knows.
        session: passages of one sitting have it in common; neighbours are of one session. Any
            whole number: that of a passage from elsewhere is no count.
        scope: the scope that its vector is kept in, where it is not that of the conversation that
            asks: of another conversation its (tenant, user, conversation); of a document
            (tenant, user, ""), or (tenant, "", "") where all users of the tenant have it. What a
            source gives always has one.
        source: where it is from: the name of a document, or the conversation.
        number: its place there: the number of the message, or of the part of a document.
    """

    text: str
    speaker: str = "user"
    role: str = "user"
    tokens: int = 0
    date: str = ""
    session: int = 0
    scope: ScopeKey = ()
    source: str = ""
    number: int = 0

    @property
    def key(self) -> Key:
        """Names it: what has the same key was shown where this was shown."""
        text = address_of(self.text) if self.role == "document" else ""
        return self.source, self.scope, self.number, text


def address_of(text: str) -> str:
    """What the vector of a text is kept under: inside a scope, the same text is embedded once."""
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def passage_of(
    message: Message, number: int, *, session: int = 0, scope: ScopeKey = (), source: str = ""
) -> Passage | None:
    """What can be found of a message; None of a system message, and of one without text.

    Args:
        message: of a log.
        number: its number there.
        session, scope, source: as `Passage` has them.
    """
    text = text_of(message.data)
    if message.role in SYSTEM_ROLES or not text.strip():
        return None
    name = message.data.get("name")
    return Passage(
        text,
        speaker=name if isinstance(name, str) and name and message.role != "tool" else message.role,
        role=message.role,
        date="" if message.time is None else date_of(message.time),
        session=session,
        scope=scope,
        source=source,
        number=number,
    )


ROLES = frozenset({"user", "assistant"})
"""Whose messages come back by default: what tools said is data from elsewhere."""


def checked_roles(roles: Any, place: str) -> frozenset[str]:
    """Whose messages are meant: some of `user`, `assistant` and `tool`.

    Raises:
        InputError: what was given is something else, or nothing.
    """
    given = isinstance(roles, Collection) and not isinstance(roles, str) and bool(roles)
    if not given or not {"user", "assistant", "tool"}.issuperset(map(str, roles)):
        raise InputError(f"are some of user, assistant and tool, not {roles!r:.60}", place=place)
    return frozenset(roles)


def date_of(time: float) -> str:
    """A time as it is shown: the minute in UTC, the same on every machine; empty in no calendar.

    Args:
        time: seconds since the epoch.
    """
    try:
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, OSError, ValueError):
        return ""
