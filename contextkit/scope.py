"""Scope: whose content it is. Nothing is looked up outside of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contextkit.errors import InputError

ScopeKey = tuple[str, ...]
"""A scope as a key: (tenant, user, conversation); (history.id,) of a history without a scope; of
documents (tenant, user, ""), or (tenant, "", "") where all users of the tenant have them."""


def check_name(value: Any, place: str) -> None:
    """That a value can name a tenant, a user or a conversation.

    Raises:
        InputError: when it cannot.
    """
    if not isinstance(value, str) or not value:
        raise InputError(
            f"must be a non-empty string, not {value!r}: str(…) makes one of a number or a UUID",
            place=place,
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InputError("holds a lone surrogate", place=place) from error


@dataclass(frozen=True, slots=True)
class Scope:
    """Tenant, user and conversation that content belongs to.

    All three are needed: content that is looked up by address (summaries, passages, stored
    conversations) is looked up under all three and never outside.
    """

    tenant: str
    user: str
    conversation: str

    def __post_init__(self) -> None:
        for name in ("tenant", "user", "conversation"):
            check_name(getattr(self, name), f"Scope.{name}")

    @property
    def key(self) -> tuple[str, str, str]:
        """The three parts, for use as a key."""
        return (self.tenant, self.user, self.conversation)
