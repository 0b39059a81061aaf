"""Feeding: an index is given what a store has and it has not, by a worker beside the application.

A build would notice what is missing, too, and embed it then; what was fed is there already. The
store's outbox says what there is to do, and keeps saying it until the vectors are stored: a crash
at any moment leaves an entry that is done again, which finds what is there and adds the rest.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from functools import partial
from random import SystemRandom
from typing import Any

from contextkit.budget import whole_number
from contextkit.errors import ContextKitError, EmbeddingError, IndexUnusable, InputError
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.documents import passages_of_document
from contextkit.retrieval.index import Index
from contextkit.retrieval.index_inputs import MARK, has_method, unit_rows
from contextkit.retrieval.passages import ROLES, Passage, checked_roles, passage_of
from contextkit.retrieval.recall import message_of
from contextkit.scope import Scope, ScopeKey
from contextkit.store import OutboxStore, Pending, needs_documents, needs_outbox

log = logging.getLogger("contextkit")

BATCH = 64
"""Texts that are embedded and stored at once: so much is done again after a crash, at most."""

FAILURES = 5
"""Entries that fail one after the other before embedder and index are tried with a text of our own:
if that fails, too, they are down, and the rest is left for another time."""

_PAGE = 1_000  # entries that are asked for at once

Steps = Generator[Callable[[], Any], Any, None]
"""Yields what is to be called, and is sent what came, or has thrown into it what was raised."""


Marked = dict[str, bool | Exception]
"""By tenant, whether its mark is there, or why that cannot be said."""


@dataclass(slots=True)
class Fed:
    """What one feeding came to.

    Attributes:
        entries: conversations and documents that the index now holds, up to what they were.
        vectors: that were embedded and stored.
        left: entries that stay in the outbox: they failed, or were left for the next time.
        failures: how many of them failed, by the kind of error, such as `APIConnectionError`.
        refused: texts that the embedder refuses for good, by the kind of error. They are left out,
            and their entry is done with all the others.
        error: the last failure or refusal; not in the `repr`, since it may quote what it failed on.
    """

    entries: int = 0
    vectors: int = 0
    left: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    error: Exception | None = field(default=None, repr=False)

    def failed(self, error: Exception) -> None:
        """Count an entry that failed."""
        self.left, self.error = self.left + 1, error
        kind = type(error).__name__
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def leave_out(self, error: EmbeddingError) -> None:
        """Count a text that is refused."""
        self.error = error
        kind = type(error).__name__
        self.refused[kind] = self.refused.get(kind, 0) + 1


def feed(
    store: OutboxStore,
    index: Index,
    *,
    roles: Collection[str] = ROLES,
    language: str | None = None,
    words: bool = True,
    batch: int = BATCH,
    limit: int | None = None,
) -> Fed:
    """Embed what the store's outbox names and the index does not hold, and take it out there.

    Call it again and again, in a worker beside the application, after turns or every few seconds;
    with nothing to do it costs one question to the store. Several workers do no harm: what two of
    them do at once is there once. An entry that fails stays, and the others go on; a text that the
    embedder refuses for what it says (`EmbeddingError` that is not `retryable`) is left out.

    Vectors of a tenant that went with a deleted index are noticed when something new is fed for
    it; `store.pend_all()` enters everything again at once.

    Args:
        store: keeps the conversations, and documents if it can: `SQLiteStore`.
        index: keeps the vectors; `index.embed` makes them.
        roles: whose messages, as `Retrieve` has them.
        language: of the texts, as `Retrieve` has it.
        words: also the single words, by which `Retrieve` finds what is said in other words.
        batch: texts that are embedded and stored at once.
        limit: the most entries that are done, without those that fail; None for all.

    Raises:
        InputError: the store has no outbox, or embedder or index are async: `afeed` takes them.
        StoreError: the outbox cannot be read.
    """
    fed = Fed()
    steps = _Feeding(store, index, roles, language, words, batch, limit).steps(fed)
    try:
        call = next(steps)
        while True:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                call = steps.throw(error)
                continue
            if inspect.isawaitable(result):
                if inspect.iscoroutine(result):
                    result.close()
                raise InputError("is async: use afeed, not feed", place="index")
            call = steps.send(result)
    except StopIteration:
        return fed
    finally:
        steps.close()


async def afeed(
    store: OutboxStore,
    index: Index,
    *,
    roles: Collection[str] = ROLES,
    language: str | None = None,
    words: bool = True,
    batch: int = BATCH,
    limit: int | None = None,
) -> Fed:
    """Same as `feed`, with an embedder and an index that may be async; what blocks has a thread."""
    fed = Fed()
    steps = _Feeding(store, index, roles, language, words, batch, limit).steps(fed)
    try:
        call = next(steps)
        while True:
            try:
                result = await asyncio.to_thread(call)
                if inspect.isawaitable(result):
                    result = await result
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                call = steps.throw(error)
                continue
            call = steps.send(result)
    except StopIteration:
        return fed
    finally:
        steps.close()


@dataclass(frozen=True, slots=True)
class _Feeding:
    """What `feed` was given, checked; the steps that are completed in sync and async code."""

    store: OutboxStore
    index: Index
    roles: Collection[str]
    language: str | None
    words: bool
    batch: int
    limit: int | None

    def __post_init__(self) -> None:
        needs_outbox(self.store, "feed")
        if not has_method(self.index, "vectors"):
            raise InputError(f"is an index, not {self.index!r:.60}", place="index")
        checked_roles(self.roles, "feed.roles")
        whole_number("feed.batch", self.batch, least=1)
        if self.limit is not None:
            whole_number("feed.limit", self.limit, least=1)

    def steps(self, fed: Fed) -> Steps:
        """All entries of the outbox, or as many as are asked for; what stays there is counted."""
        last, in_a_row, stopped = None, 0, False
        marked: Marked = {}
        counted: set[tuple[ScopeKey, str]] = set()
        while page := (yield partial(self.store.pending, _PAGE, last)):
            end = page[-1]
            # In no order: so several workers share the work.
            SystemRandom().shuffle(page)
            for entry in page:
                tenant, name = entry.scope[0], (entry.scope, entry.document)
                if name in counted:
                    continue
                if stopped or fed.entries == self.limit:
                    fed.left += 1
                    continue
                if isinstance(known := marked.get(tenant), Exception):
                    fed.failed(known)
                    counted.add(name)
                    continue
                try:
                    if tenant not in marked and (yield from self._entered(tenant, marked)):
                        break  # more is pending now: this page is asked for again
                    yield from self._entry(fed, entry, marked)
                except Exception as error:  # noqa: BLE001 - it stays in the outbox, and is told
                    told = error if isinstance(error, ContextKitError) else type(error).__name__
                    log.warning("an entry of the outbox stays there: %s", told)
                    fed.failed(error)
                    counted.add(name)
                    if isinstance(error, IndexUnusable) or tenant not in marked:
                        marked[tenant] = error  # the others of the tenant need not be tried
                    in_a_row += 1
                    if in_a_row == FAILURES:
                        in_a_row, stopped = 0, not (yield from self._answers())
                else:
                    fed.entries, in_a_row = fed.entries + 1, 0
            else:
                last = end
                counted.clear()

    def _entered(self, tenant: str, marked: Marked) -> Generator[Any, Any, bool]:
        """Whether all of a tenant is pending now, since its vectors are gone or were never there.

        A tenant's mark lies with its vectors, and goes where they go: with a directory that was
        deleted, or vectors of another model. It is put there after all of the tenant was entered.
        """
        held = yield partial(self.index.vectors, _mark_scope(tenant), [MARK])
        if MARK not in held:
            yield partial(self.store.pend_all, tenant)
        marked[tenant] = MARK in held
        return not marked[tenant]

    def _answers(self) -> Generator[Any, Any, bool]:
        """Whether embedder and index do their work for what is nobody's."""
        try:
            vector = yield from self._mark()
            yield partial(self.index.add, _mark_scope(""), [MARK], [vector])
        except Exception:  # noqa: BLE001 - told by what failed before
            return False
        return True

    def _mark(self) -> Generator[Any, Any, Any]:
        """The vector of a text that no embedder refuses for what it says."""
        given = yield partial(self.index.embed, [MARK])
        return unit_rows(given, 1, None)[0]

    def _entry(self, fed: Fed, entry: Pending, marked: Marked) -> Steps:
        """One conversation or document: what is missing is embedded and stored; then it is done."""
        tenant = entry.scope[0]
        passages: list[Passage] = yield partial(self._passages, entry)
        corpus = Corpus(self.language)
        for passage in passages:
            corpus.append(passage)
        vector = yield from self._given(fed, entry.scope, corpus.wanted())
        if not marked[tenant]:
            if vector is None:  # no text in it, such as an image
                vector = yield from self._mark()
            yield partial(self.index.add, _mark_scope(tenant), [MARK], [vector])
            marked[tenant] = True
        if self.words:
            yield from self._given(fed, entry.scope, corpus.wanted_words())
        yield partial(self.store.done, entry)

    def _given(
        self, fed: Fed, scope: ScopeKey, texts: Mapping[str, str]
    ) -> Generator[Callable[[], Any], Any, Any]:
        """Texts by address are in the index afterwards, but for those that are refused.

        Gives one of their vectors, if there is any.
        """
        addresses, vector = list(texts), None
        for start in range(0, len(addresses), self.batch):
            part = addresses[start : start + self.batch]
            held = yield partial(self.index.vectors, scope, part)
            vector = next(iter(held.values()), vector)
            missing = {address: texts[address] for address in part if address not in held}
            if missing and (rows := (yield from self._embedded(fed, missing))):
                yield partial(self.index.add, scope, list(rows), list(rows.values()))
                fed.vectors += len(rows)
                vector = next(iter(rows.values()))
        return vector

    def _embedded(
        self, fed: Fed, texts: Mapping[str, str]
    ) -> Generator[Callable[[], Any], Any, dict[str, Any]]:
        """Vectors by address, without those of texts that the embedder refuses.

        What is refused is halved until the text is alone. That it is the text, and not a wrong key
        or model, is sure when the embedder takes another one.
        """
        try:
            given = yield partial(self.index.embed, list(texts.values()))
            return dict(zip(texts, unit_rows(given, len(texts), None), strict=True))
        except EmbeddingError as error:
            if error.retryable:
                raise
            refusal = error
        if len(texts) == 1:
            yield from self._mark()
            log.warning("a text is left out, which the embedder refuses: %s", refusal)
            fed.leave_out(refusal)
            return {}
        every, half = list(texts.items()), len(texts) // 2
        rows = yield from self._embedded(fed, dict(every[:half]))
        return rows | (yield from self._embedded(fed, dict(every[half:])))

    def _passages(self, entry: Pending) -> list[Passage]:
        """What of an entry is not indexed yet."""
        if entry.document:
            kept = needs_documents(self.store, "feed").document(entry.scope, entry.document)
            if kept is None:
                return []
            return passages_of_document(kept, entry.scope, entry.document)
        records = self.store.load_since(Scope(*entry.scope), entry.since)
        passages = []
        # No more than what is taken out of the outbox afterwards.
        for position, record in enumerate(records[: entry.version - entry.since], entry.since):
            if record.get("type") == "message":
                message = message_of(record, position)
                found = passage_of(message, position) if message.role in self.roles else None
                passages += [found] if found else []
        return passages


def _mark_scope(tenant: str) -> ScopeKey:
    """Where a tenant's mark lies: with its vectors, where neither messages nor documents are."""
    return tenant, "", MARK
