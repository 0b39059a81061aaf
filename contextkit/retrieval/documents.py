"""Documents: texts of a user, or of all users of a tenant, in parts that can be found."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from threading import Lock, RLock
from typing import Any, Literal, cast

from contextkit.budget import whole_number
from contextkit.errors import InputError, ScopeError, StoreCorrupt, StoreUnreadable
from contextkit.retrieval.bounded import Bounded
from contextkit.retrieval.chunks import TOKENS, chunks_of
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change, Mark, changed, warn_of_damage
from contextkit.scope import Scope, ScopeKey, check_name
from contextkit.store import JSON, DocumentStore, needs_documents, shelf_key

_OVERHEAD = 400  # bytes of a part besides its texts
_MOST_PARTS = 1_000_000


class Documents:
    r"""Documents of one kind: each user's own, or a tenant's for all of its users. A `Source`.

    Kept in parts of whole paragraphs, each with its source and the Markdown headings above it. A
    document belongs to whom it was added for, and nobody else is shown it: those of a user to that
    user alone, those of a tenant to the users of that tenant. Two objects over one store, each
    in a `Retrieve` of its own, have both.

    Args:
        store: keeps them: a `DocumentStore`, such as `SQLiteStore`; None for this process only.
        of: `user` or `tenant`.
        tokens: of a part at most, by an estimate.
        max_bytes: bound on what is remembered of the store, in bytes of texts; what was asked for
            longest ago goes first, and is read anew. What is searched is made of it, and has a
            bound of its own: `corpora.MAX_BYTES`.

    Raises:
        InputError: when the store keeps no documents.

    Example:
        >>> from contextkit import Documents, Scope
        >>> handbook = Documents(of="tenant")
        >>> handbook.add_document("# Leave\n\nThirty days.", source="leave.md", tenant="acme")
        1
        >>> [part] = handbook.read(Scope("acme", "u1", "42")).added
        >>> part.speaker, part.source, part.number
        ('leave.md / Leave', 'leave.md', 0)
        >>> handbook.read(Scope("globex", "u1", "42")).added
        []
    """

    name = "documents"

    def __init__(
        self,
        store: DocumentStore | None = None,
        *,
        of: Literal["user", "tenant"] = "user",
        tokens: int = TOKENS,
        max_bytes: int = 64_000_000,
    ) -> None:
        if of not in ("user", "tenant"):
            raise InputError(f"is user or tenant, not {of!r:.60}", place="Documents.of")
        whole_number("Documents.tokens", tokens, least=1)
        whole_number("Documents.max_bytes", max_bytes, least=0)
        self.store: DocumentStore = (
            InMemory() if store is None else needs_documents(store, "Documents")
        )
        self.of, self.tokens, self.max_bytes = of, tokens, max_bytes
        self._shelves = Bounded(lambda _: _Shelf(), max_bytes, size=_OVERHEAD)

    def __repr__(self) -> str:
        return f"Documents({self.store!r}, of={self.of!r})"

    @property
    def settings(self) -> dict[str, str]:
        """What is recorded of it: whose documents these are."""
        return {"of": self.of}

    def add_document(self, text: str, *, source: str, tenant: str, user: str | None = None) -> int:
        """Add a document, in place of an earlier one of the same source; in how many parts.

        Args:
            text: the whole document.
            source: what it is called: a file name, a title, an address. It is shown.
            tenant: whose it is.
            user: the user of the tenant; given for documents of users, and only for them.

        Raises:
            InputError: there is nothing in it, or the names cannot be used; nothing was changed.
            StoreError: it cannot be kept; nothing was changed.
        """
        shelf = self._shelf(tenant, user)
        check_source(source)
        if not isinstance(text, str):
            raise InputError(f"is the text of a document, not {type(text).__name__}", place="text")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError("holds a lone surrogate", place="text") from error
        parts = [
            {"text": chunk.text, "headings": list(chunk.headings)}
            for chunk in chunks_of(text, self.tokens)
        ]
        if not parts:
            raise InputError("has no text: remove_document takes one away", place="text")
        self.store.put_document(shelf, source, {"parts": parts})
        return len(parts)

    def remove_document(self, source: str, *, tenant: str, user: str | None = None) -> bool:
        """Take a document away; whether it was there.

        It is shown to nobody from then on. Vectors of it stay in an index until
        `index.forget((tenant, user or "", ""))`, after which the other documents are embedded
        again.

        Raises:
            InputError: the names cannot be used.
            StoreError: the store cannot be written.
        """
        check_source(source)
        return self.store.put_document(self._shelf(tenant, user), source, None)

    def sources(self, *, tenant: str, user: str | None = None) -> list[str]:
        """The sources of all documents of a user or a tenant, as they were added.

        Raises:
            InputError: the names cannot be used.
            StoreError: the store cannot be read.
        """
        return [source for source, _ in self.store.documents(self._shelf(tenant, user))]

    # -- as a source of passages -------------------------------------------------------------

    def owner(self, scope: Scope) -> ScopeKey:
        """(tenant, user, "") or (tenant, "", ""), as no conversation has it."""
        if not isinstance(scope, Scope):
            raise ScopeError(f"whose documents? A Scope says it, not {type(scope).__name__}")
        return scope.tenant, scope.user if self.of == "user" else "", ""

    def read(self, scope: Scope, since: Mark | None = None) -> Change:
        """What changed of the documents of a user or tenant since a reading.

        A document that is damaged is left out, and logged.

        Raises:
            ScopeError: it is no scope.
            StoreError: the store cannot be read.
        """
        key = self.owner(scope)
        before = [cast("tuple[tuple[str, int], int]", entry) for entry in since or ()]
        shelf = self._shelves.of(key)
        with shelf.lock:
            now = self.store.documents(key)
            if now == shelf.listed and since == shelf.mark:
                return Change(shelf.count, [], shelf.mark)
            shelf.damaged &= set(now)
            for gone in shelf.known.keys() - set(now):
                shelf.bytes -= _size(shelf.known.pop(gone))
            for document in now:
                if document not in shelf.known:
                    self._add(shelf, key, document)
            listed = [document for document in now if document in shelf.known]
            change = changed(before, [(document, shelf.known[document]) for document in listed])
            shelf.listed, shelf.mark = listed, change.mark
            shelf.count = change.kept + len(change.added)
            self._shelves.weigh(key, shelf, shelf.bytes)
        return change

    def _add(self, shelf: _Shelf, key: ScopeKey, document: tuple[str, int]) -> None:
        """Read a document; one that is damaged is left out, and tried again the next time."""
        try:
            parts = self._passages(key, *document)
        except StoreCorrupt as error:
            if document not in shelf.damaged:
                warn_of_damage("a document", document[0], error)
                shelf.damaged.add(document)
            return
        shelf.known[document] = parts
        shelf.bytes += _size(parts)

    def _passages(self, key: ScopeKey, source: str, version: int) -> list[Passage]:
        document = self.store.document(key, source)
        if document is None:  # taken away meanwhile
            return []
        return passages_of_document(document, key, source, version)

    def _shelf(self, tenant: Any, user: Any) -> ScopeKey:
        check_name(tenant, "tenant")
        if self.of == "tenant" and user is not None:
            raise InputError("is of no use: these documents are the tenant's", place="user")
        if self.of == "user":
            check_name(user, "user")
        return shelf_key((tenant, user or "", ""))


@dataclass(slots=True)
class _Shelf:
    """The documents of one owner that were read."""

    lock: Any = field(default_factory=RLock)
    known: dict[tuple[str, int], list[Passage]] = field(default_factory=dict)
    damaged: set[tuple[str, int]] = field(default_factory=set)
    listed: list[tuple[str, int]] = field(default_factory=list)
    mark: Mark = ()
    count: int = 0
    bytes: int = _OVERHEAD


def _size(parts: list[Passage]) -> int:
    return _OVERHEAD + sum(_OVERHEAD + len(part.text) for part in parts)


def passages_of_document(
    document: JSON, shelf: ScopeKey, source: str, version: int = 0
) -> list[Passage]:
    """The parts of a stored document, in order.

    Raises:
        StoreUnreadable: it is none.
    """
    try:
        parts = [(str(part["text"]), [*map(str, part["headings"])]) for part in document["parts"]]
    except (KeyError, TypeError) as error:
        raise StoreUnreadable(f"a document cannot be read: {error!r:.60}") from error
    return [
        Passage(
            text,
            speaker=" / ".join([source, *headings]),
            role="document",
            session=version * _MOST_PARTS + number,  # what stands beside it is no answer to it
            scope=shelf,
            source=source,
            number=number,
        )
        for number, (text, headings) in enumerate(parts)
    ]


def check_source(source: Any) -> None:
    """That a document can be called so.

    Raises:
        InputError: when it cannot.
    """
    check_name(source, "source")
    if not source.isprintable():
        raise InputError("is one line of printable text: it is shown", place="source")


class InMemory:
    """A `DocumentStore` for this process only."""

    def __init__(self) -> None:
        self._shelves: dict[ScopeKey, dict[str, tuple[int, JSON]]] = {}
        self._versions = count(1)
        self._lock = Lock()

    def documents(self, shelf: ScopeKey) -> list[tuple[str, int]]:
        """The sources of all documents on a shelf with their versions, as they were put there."""
        with self._lock:
            held = self._shelves.get(shelf_key(shelf), {})
            return [(source, version) for source, (version, _) in held.items()]

    def document(self, shelf: ScopeKey, source: str) -> dict[str, Any] | None:
        """One document; None where there is none."""
        with self._lock:
            held = self._shelves.get(shelf_key(shelf), {}).get(source)
            return None if held is None else dict(held[1])

    def put_document(self, shelf: ScopeKey, source: str, document: JSON | None) -> bool:
        """Put a document in place of what is there, or take it away; whether any was there."""
        key = shelf_key(shelf)
        check_name(source, "source")
        with self._lock:
            held = self._shelves.setdefault(key, {})
            there = held.pop(source, None) is not None
            if document is not None:
                held[source] = (next(self._versions), dict(document))
            if not held:
                del self._shelves[key]
            return there
