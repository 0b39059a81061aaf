"""Store: where conversations and decisions are kept: four methods, and protocols beyond them.

A store keeps two things under a scope: the *log*, records in order with a version, and the
*decisions*, each addressed by the prefix hash of its decision point, where the first writer wins.
Records and decisions are JSON data, as `records.record_to_json` and `Decision.to_json` make them.

That is all that conversations need. A `RecallStore` says besides which conversations a user has, an
`OutboxStore` what of them is not in an index yet; a `DocumentStore` keeps documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from contextkit.errors import InputError, ScopeError
from contextkit.scope import Scope, ScopeKey, check_name

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


@dataclass(frozen=True, slots=True)
class Pending:
    """What of a conversation, or which document, is not in an index yet.

    Attributes:
        scope: (tenant, user, conversation), or that of documents: (tenant, user, "").
        version: of the conversation, or of the document, when this was asked.
        since: the version of the conversation that is indexed.
        document: the source of the document; empty for a conversation.
    """

    scope: ScopeKey
    version: int
    since: int = 0
    document: str = ""


class RecallStore(Store, Protocol):
    """A store that long-term recall can work with."""

    def conversations(self, scope: Scope) -> list[tuple[str, int]]:
        """All conversations of the user of a scope with their versions, the scope's own too.

        Those of the same tenant and user alone, the one that was appended to last at the end;
        without those that have no records.
        """

    def load_since(self, scope: Scope, version: int) -> list[dict[str, Any]]:
        """The records behind the first `version` ones; empty where there are no more."""


class OutboxStore(RecallStore, Protocol):
    """A store that an index can be fed from.

    Each `append` that holds messages (records of type `message`) enters its conversation into the
    *outbox*, in the same transaction, so that no crash can come between the two.
    """

    def pending(self, limit: int, after: Pending | None = None) -> list[Pending]:
        """What the outbox holds, in one order, at most `limit`; those behind `after`, if given."""

    def done(self, entry: Pending) -> None:
        """Take an entry out of the outbox, up to its version: what came since stays there."""

    def pend_all(self, tenant: str | None = None) -> int:
        """Enter all that is kept again, of one tenant or of all; how much is entered then.

        For an index that was deleted. `feed` does it where it finds that a tenant's vectors went.
        """


class DocumentStore(Protocol):
    """Keeps documents, which are JSON data, on shelves: of a user, or of a whole tenant.

    A shelf is the scope key that no conversation has: (tenant, user, "") or (tenant, "", "").
    """

    def documents(self, shelf: ScopeKey) -> list[tuple[str, int]]:
        """The sources of all documents on a shelf with their versions, as they were put there.

        A version is never given twice: one that was put there again has another one, and comes
        last.
        """

    def document(self, shelf: ScopeKey, source: str) -> dict[str, Any] | None:
        """One document; None where there is none."""

    def put_document(self, shelf: ScopeKey, source: str, document: JSON | None) -> bool:
        """Put a document in place of what is there, or take it away; whether any was there.

        In the same transaction it is entered into the outbox, where the store has one.
        """


def needs_recall(store: Any, purpose: str) -> RecallStore:
    """The store, if it says which conversations a user has.

    Raises:
        InputError: names what it lacks.
    """
    return _with_methods(store, ("conversations", "load_since"), purpose)  # type: ignore[no-any-return]  # has the methods


def needs_outbox(store: Any, purpose: str) -> OutboxStore:
    """The store, if it says what no index has yet.

    Raises:
        InputError: names what it lacks.
    """
    names = ("conversations", "load_since", "pending", "done", "pend_all")
    return _with_methods(store, names, purpose)  # type: ignore[no-any-return]  # has the methods


def needs_documents(store: Any, purpose: str) -> DocumentStore:
    """The store, if it keeps documents.

    Raises:
        InputError: names what it lacks.
    """
    names = ("documents", "document", "put_document")
    return _with_methods(store, names, purpose)  # type: ignore[no-any-return]  # has the methods


def _with_methods(store: Any, names: Sequence[str], purpose: str) -> Any:
    lacking = [
        f"{name}()"
        for name in names
        if isinstance(store, type) or not callable(getattr(store, name, None))
    ]
    if lacking:
        raise InputError(
            f"{type(store).__name__} has no {', '.join(lacking)}, which {purpose} needs besides "
            "what keeps conversations: SQLiteStore has all; contextkit.store says what each does",
            place="store",
        )
    return store


def shelf_key(shelf: Any) -> tuple[str, str, str]:
    """The scope key of a shelf of documents.

    Raises:
        InputError, ScopeError: when it is none.
    """
    if not isinstance(shelf, tuple) or len(shelf) != 3 or shelf[2] != "":
        raise ScopeError(f"documents stand under (tenant, user, ''), not {type(shelf).__name__}")
    tenant, user, _ = shelf
    check_name(tenant, "tenant")
    if user != "":
        check_name(user, "user")
    return tenant, user, ""
