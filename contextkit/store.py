"""Store: where conversations and decisions are kept; a protocol of four methods.

A store keeps two things under a scope: the *log*, records in order with a version, and the
*decisions*, each addressed by the prefix hash of its decision point, where the first writer wins.
Records and decisions are JSON data, as `records.record_to_json` and `Decision.to_json` make them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from contextkit.scope import Scope

JSON = Mapping[str, Any]


class Store(Protocol):
    """Keeps conversations. Everything is done whole or not at all, and only inside the scope."""

    def load(self, scope: Scope) -> list[dict[str, Any]]:
        """All records of the log in order; empty for a conversation that is not there.

        The length of the list is the version.
        """

    def append(
        self,
        scope: Scope,
        records: Sequence[JSON],
        *,
        expected: int | None,
        decisions: Mapping[tuple[str, str], JSON] | None = None,
    ) -> int:
        """Append records and decisions in one transaction, and give the new version.

        Args:
            scope: whose conversation.
            records: JSON records.
            expected: the version the caller has seen; None appends after whatever is there.
            decisions: by (view, prefix hash); one that is there already stays as it is.

        Raises:
            StoreConflict: when the log is not at the expected version; nothing was written.
        """

    def decisions(
        self, scope: Scope, view: str, hashes: Sequence[str]
    ) -> dict[str, dict[str, Any]]:
        """The decisions recorded at any of these prefix hashes."""

    def decide(self, scope: Scope, view: str, prefix_hash: str, decision: JSON) -> dict[str, Any]:
        """Record a decision if there is none at this hash yet, and give the one that stands."""
