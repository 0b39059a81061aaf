"""A store of one's own, with no more than conversations need."""

from typing import Any


class Four:
    """What the `Store` protocol asks for, and no more."""

    def load(self, scope: Any) -> list[Any]:
        return []

    def append(self, scope: Any, records: Any, **_: Any) -> int:
        return len(records)

    def decisions(self, *_: Any) -> dict[str, Any]:
        return {}

    def decide(self, scope: Any, view: str, prefix_hash: str, decision: Any) -> Any:
        return decision
