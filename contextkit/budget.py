"""Budget: how many tokens a request may have, and what a cut comes down to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contextkit.errors import BudgetError


def whole_number(name: str, value: Any, *, least: int) -> None:
    """That a setting is a whole number, and not too small.

    Raises:
        BudgetError: with its name and what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise BudgetError(f"{name} is a whole number, not {value!r:.60}")
    if value < least:
        raise BudgetError(f"{name} is {value:,}: it must be {least} or more")


def longest_reply(parameters: Mapping[str, Any]) -> Any:
    """The tokens that the parameters of a request allow its reply; None where they do not say.

    A null says nothing, so that the older of the two names still counts beside it.
    """
    longest = parameters.get("max_completion_tokens")
    return parameters.get("max_tokens") if longest is None else longest


@dataclass(frozen=True, slots=True)
class Budget:
    """How many tokens a request may have.

    Attributes:
        limit: no request exceeds it: input tokens with tools, template overhead, inserts and all.
        target: what compaction comes down to, in tokens behind the leading system block; half the
            limit by default. It is a question of quality, so it is yours.
        reserve: tokens kept free in the model's window for the reply; the profile's by default.

    Raises:
        BudgetError: when a figure is not positive or the target is above the limit.
    """

    limit: int
    target: int | None = None
    reserve: int | None = None

    def __post_init__(self) -> None:
        for name in ("limit", "target", "reserve"):
            value = getattr(self, name)
            if value is not None or name == "limit":
                whole_number(name, value, least=0 if name == "reserve" else 1)
        if self.target is not None and self.target > self.limit:
            raise BudgetError(f"target {self.target:,} is above the limit of {self.limit:,}")

    def goal_tokens(self, fixed: int, share: int) -> int:
        """The effective target: tokens behind the system block that compaction comes down to.

        At most half of what the limit leaves to it, so that a cut is worth its rewritten prefix.

        Args:
            fixed: tokens of tools, system block and template.
            share: tokens reserved for the tail.
        """
        target = self.limit // 2 if self.target is None else self.target
        return max(0, min(target, (self.limit - fixed - share) // 2))
