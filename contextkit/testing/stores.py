"""What a store must do, to be tried on one's own: conversations; recall, the outbox, documents."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from contextkit.errors import ContextKitError, StoreConflict
from contextkit.scope import Scope
from contextkit.store import (
    DocumentStore,
    OutboxStore,
    Pending,
    RecallStore,
    Store,
    needs_documents,
    needs_outbox,
    needs_recall,
)
from contextkit.testing.promising import promise, refuses, said

_SCOPE = Scope("tenant", "user", "conversation")
_SAID = {"type": "message", "message": {"role": "user", "content": "one"}}

# Key order, numbers that Python takes for equal, text that is cut or changed where it is not bound.
_RECORDS: list[dict[str, Any]] = [
    {
        "type": "message",
        "message": {"role": "user", "content": "a\0b \u2028 \u00e9 e\u0301 \U0001f600"},
    },
    {"b": [1, 1.0, True, None, 2**60, 1e-9], "a": {"z": {}, "y": []}, "": "'); DROP TABLE records"},
]


def check_store(make_store: Callable[[], Store]) -> None:
    """A store keeps what the `Store` protocol promises; for stores of your own.

    Args:
        make_store: gives a new store with nothing in it. What a `RecallStore`, an
            `OutboxStore` and a `DocumentStore` promise is looked at where it has `conversations`,
            `pending` or `documents`.

    Raises:
        AssertionError: says what the store does not do.
    """
    for check in (_keeps_records, _refuses_others, _separates_scopes, _decides_once, _shares_work):
        check(make_store())
    if hasattr(make_store(), "conversations"):
        check_recall_store(lambda: needs_recall(make_store(), "the contract"))
    if hasattr(make_store(), "pending"):
        check_outbox_store(lambda: needs_outbox(make_store(), "the contract"))
    if hasattr(make_store(), "documents"):
        check_document_store(lambda: needs_documents(make_store(), "the contract"))


def check_recall_store(make_store: Callable[[], RecallStore]) -> None:
    """The conversations of a user, and what is new of them.

    Raises:
        AssertionError: says what the store does not do.
    """
    for check in (_lists_conversations, _loads_what_is_new):
        check(make_store())


def check_outbox_store(make_store: Callable[[], OutboxStore]) -> None:
    """What of a store no index has yet.

    Raises:
        AssertionError: says what the store does not do.
    """
    _keeps_an_outbox(make_store())


def check_document_store(make_store: Callable[[], DocumentStore]) -> None:
    """Documents on their shelves.

    Raises:
        AssertionError: says what the store does not do.
    """
    for check in (_keeps_documents, _separates_shelves):
        check(make_store())


def _keeps_records(store: Store) -> None:
    promise(store.load(_SCOPE) == [], what="a conversation that is not there is empty")
    promise(
        store.append(_SCOPE, _RECORDS, expected=0) == 2, what="the version is the number of records"
    )
    promise(said(store.load(_SCOPE)) == said(_RECORDS), what="records come back as they were")
    store.load(_SCOPE)[0].clear()
    promise(
        store.append(_SCOPE, _RECORDS[:1], expected=None) == 3, what="None appends to what is there"
    )
    promise(store.append(_SCOPE, [], expected=3) == 3, what="no records are no new version")
    expected = [*_RECORDS, _RECORDS[0]]
    promise(said(store.load(_SCOPE)) == said(expected), what="what load gave is the caller's own")


def _refuses_others(store: Store) -> None:
    store.append(_SCOPE, _RECORDS, expected=0)
    for expected in (0, 1, 3):
        try:
            store.append(_SCOPE, _RECORDS, expected=expected, decisions={("main", "h"): {}})
        except StoreConflict as conflict:
            found = (conflict.expected, conflict.found)
            promise(found == (expected, 2), what="a conflict says both versions")
        else:
            raise AssertionError("another version than the expected one is a StoreConflict")
    for bad in ({"at": float("nan")}, {"at": object()}, {"at": "\ud800"}):
        try:
            store.append(_SCOPE, [_RECORDS[0], bad], expected=2, decisions={("main", "h"): {}})
        except ContextKitError:
            continue
        raise AssertionError(f"a record that is not JSON is refused: {bad}")
    promise(said(store.load(_SCOPE)) == said(_RECORDS), what="what is refused leaves no records")
    promise(
        store.decisions(_SCOPE, "main", ["h"]) == {}, what="what is refused leaves no decisions"
    )
    for nobody in (None, "conversation", ("tenant", "user", "conversation")):
        try:
            store.load(nobody)  # type: ignore[arg-type]  # it is what is tested
        except ContextKitError:
            continue
        raise AssertionError(f"{nobody!r} is not a scope, and nothing is looked up without one")


def _separates_scopes(store: Store) -> None:
    scopes = [
        Scope(*parts)
        for parts in (
            ("t", "u", "c"), ("T", "u", "c"), ("t ", "u", "c"), ("t", "uc", "c"), ("tu", "c", "c"),
            ("t", "u", "c\0"), ("t", "u", "%"), ("t", "u", "_"), ("t", "%", "c"), ("t", "u", "C"),
        )
    ]  # fmt: skip
    for number, scope in enumerate(scopes):
        promise(store.load(scope) == [], what=f"{scope} sees another scope")
        promise(store.decisions(scope, "main", ["h"]) == {}, what=f"{scope} sees another scope")
        store.append(scope, [{"n": number}], expected=0, decisions={("main", "h"): {"n": number}})
    for number, scope in enumerate(scopes):
        promise(store.load(scope) == [{"n": number}], what=f"{scope} sees another scope")
        promise(
            store.decisions(scope, "main", ["h"]) == {"h": {"n": number}},
            what=f"{scope}: decisions",
        )


def _decides_once(store: Store) -> None:
    first, later = _RECORDS
    promise(store.decisions(_SCOPE, "main", []) == {}, what="no hashes have no decisions")
    stands = store.decide(_SCOPE, "main", "h1", first)
    promise(said(stands) == said(first), what="decide gives the decision that stands")
    promise(store.decide(_SCOPE, "main", "h1", later) == first, what="the first writer wins")
    made = {("main", "h1"): later, ("main", "h2"): later, ("other", "h1"): later}
    store.append(_SCOPE, [], expected=0, decisions=made)
    found = store.decisions(_SCOPE, "main", ["h0", "h2", "h1"])
    promise(found == {"h1": first, "h2": later}, what="the first writer wins, by view and hash")
    promise(store.decisions(_SCOPE, "other", ["h1", "h2"]) == {"h1": later}, what="views are apart")
    promise(store.load(_SCOPE) == [], what="decisions are no records")


def _shares_work(store: Store) -> None:
    def write(worker: int) -> None:
        for turn in range(10):
            while True:
                try:
                    version = len(store.load(_SCOPE))
                    pair = [{"worker": worker, "turn": turn, "half": half} for half in (0, 1)]
                    store.append(_SCOPE, pair, expected=version)
                    break
                except StoreConflict:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = store.load(_SCOPE)
    promise(len(found) == 80, what="threads lose no records and double none")
    whole = all(b == {**a, "half": 1} for a, b in zip(found[::2], found[1::2], strict=True))
    promise(whole, what="what is appended together stands together")


def _lists_conversations(store: RecallStore) -> None:
    promise(store.conversations(_SCOPE) == [], what="nobody has conversations at first")
    of_user = [Scope("tenant", "user", name) for name in ("b", "a", "conversation")]
    for scope in of_user:
        store.append(scope, [_SAID], expected=0)
    for stranger in (
        Scope("tenant", "user2", "b"), Scope("tenant2", "user", "b"), Scope("user", "tenant", "b"),
        Scope("tenant", "User", "b"), Scope("tenant", "%", "b"), Scope("*", "user", "b"),
        Scope("tenan", "tuser", "b"), Scope("tenant", "user ", "b"), Scope("tenant", "user\0", "b"),
    ):  # fmt: skip
        promise(store.conversations(stranger) == [], what=f"{stranger} sees another's")
        store.append(stranger, [_SAID] * 3, expected=0)
        promise(store.conversations(stranger) == [("b", 3)], what=f"{stranger} sees its own")
    store.decide(Scope("tenant", "user", "decided"), "main", "h", {})
    promise(
        store.conversations(_SCOPE) == [("b", 1), ("a", 1), ("conversation", 1)],
        what="a user's conversations come as they were appended to, those without records do not",
    )
    store.append(of_user[0], [_SAID], expected=1)
    promise(
        store.conversations(_SCOPE)[-1] == ("b", 2), what="what was appended to last comes last"
    )
    nobodies: list[Any] = [None, "user", ("tenant", "user"), {"tenant": {"$ne": ""}}]
    for nobody in nobodies:
        refuses(partial(store.conversations, nobody), ContextKitError, f"{nobody!r} is no scope")


def _loads_what_is_new(store: RecallStore) -> None:
    records = [{**_SAID, "number": number} for number in range(5)]
    store.append(_SCOPE, records, expected=0)
    for version in range(7):
        promise(
            store.load_since(_SCOPE, version) == records[version:],
            what=f"load_since({version}) gives the records behind the first {version}",
        )
    promise(
        store.load_since(Scope("tenant", "user", "other"), 2) == [],
        what="of a conversation that is not there nothing is new",
    )
    nobody: Any = None
    refuses(partial(store.load_since, nobody, 0), ContextKitError, "None is no scope")


def _keeps_an_outbox(store: OutboxStore) -> None:
    other = Scope("tenant", "user", "other")
    promise(store.pending(9) == [], what="nothing is pending at first")
    store.append(_SCOPE, [{"type": "settings"}], expected=0)
    promise(store.pending(9) == [], what="what holds no message is not pending")
    store.append(_SCOPE, [_SAID], expected=1)
    store.append(other, [_SAID, _SAID], expected=0)
    with suppress(StoreConflict):
        store.append(other, [_SAID], expected=0)
    first, second = store.pending(9)
    promise(
        (first, second) == (Pending(_SCOPE.key, 2, 1), Pending(other.key, 2)),
        what="pending are the conversations with messages, from the version that is indexed",
    )
    promise(store.pending(1) == [first], what="no more are given than asked for")
    promise(store.pending(9, first) == [second], what="those after an entry are given")
    store.append(_SCOPE, [_SAID], expected=2)
    store.done(first)
    store.done(second)
    left = [Pending(_SCOPE.key, 3, 2)]
    promise(store.pending(9) == left, what="done leaves what came after the entry's version")
    store.done(first)
    promise(store.pending(9) == left, what="what is done twice is done once")
    store.done(left[0])
    promise(store.pending(9) == [], what="what is done is pending no more")
    promise(store.pend_all() == 2, what="pend_all says how much is pending then")
    promise(
        store.pending(9) == [Pending(_SCOPE.key, 3), Pending(other.key, 2)],
        what="pend_all enters everything from its beginning",
    )
    stranger = Scope("tenant2", "user", "other")
    store.append(stranger, [_SAID], expected=0)
    for entry in store.pending(9):
        store.done(entry)
    promise(store.pend_all("tenant2") == 1, what="pend_all says how much of a tenant is pending")
    promise(
        store.pending(9) == [Pending(stranger.key, 1)], what="pend_all enters one tenant's alone"
    )
    promise(store.pend_all("%") == 0, what="pend_all of nobody enters nothing")


def _keeps_documents(store: DocumentStore) -> None:
    shelf = ("tenant", "user", "")
    body = {"parts": [{"text": "a\0b \u2028 \u00e9"}], "n": [1, 1.0, True, None]}
    promise(store.documents(shelf) == [], what="no document is there at first")
    promise(store.document(shelf, "a") is None, what="what is not there is None")
    promise(not store.put_document(shelf, "b", body), what="nothing was there before")
    store.put_document(shelf, "a", {"n": 2})
    promise(said(store.document(shelf, "b")) == said(body), what="documents come as they were")
    seen = store.documents(shelf)
    promise([source for source, _ in seen] == ["b", "a"], what="they are listed as they came")
    promise(store.put_document(shelf, "b", {"n": 3}), what="put_document says what was there")
    promise(store.document(shelf, "b") == {"n": 3}, what="a document is replaced whole")
    now = store.documents(shelf)
    promise([source for source, _ in now] == ["a", "b"], what="what was replaced comes last")
    promise(now[0] == seen[1] and now[1] != seen[0], what="what was replaced has another version")
    promise(store.put_document(shelf, "b", None), what="what is taken away was there")
    promise(not store.put_document(shelf, "b", None), what="and is not there any more")
    promise(store.document(shelf, "b") is None, what="what is taken away is gone")
    store.put_document(shelf, "b", {"n": 3})
    again = dict(store.documents(shelf))
    promise(again["b"] not in (seen[0][1], now[1][1]), what="no version is given twice")


def _separates_shelves(store: DocumentStore) -> None:
    shelves = [
        ("tenant", "user", ""), ("tenant", "", ""), ("tenant", "User", ""), ("user", "tenant", ""),
        ("tenan", "tuser", ""), ("tenant", "%", ""), ("tenant", "user\0", ""), ("*", "", ""),
    ]  # fmt: skip
    for number, shelf in enumerate(shelves):
        promise(store.documents(shelf) == [], what=f"{shelf} sees what others have")
        promise(store.document(shelf, "a") is None, what=f"{shelf} reads what others have")
        store.put_document(shelf, "a", {"n": number})
    for number, shelf in enumerate(shelves):
        promise(store.document(shelf, "a") == {"n": number}, what=f"{shelf} has its own")
    store.put_document(shelves[0], "a", None)
    promise(len(store.documents(shelves[1])) == 1, what="others keep theirs")
    nobodies: list[Any] = [
        None, "tenant", ("tenant",), ("tenant", "user"), ("", "user", ""), ("", "", ""),
        ("tenant", None, ""), ("tenant", "user", "c"), ("tenant", {"$ne": ""}, ""), ["t", "u", ""],
        ("tenant", "\ud800", ""),
    ]  # fmt: skip
    for nobody in nobodies:
        what = f"{nobody!r} is no shelf"
        refuses(partial(store.documents, nobody), ContextKitError, what)
        refuses(partial(store.document, nobody, "a"), ContextKitError, what)
        refuses(partial(store.put_document, nobody, "a", {}), ContextKitError, what)
    no_sources: list[Any] = [None, "", 7, "\ud800", {"$gt": ""}]
    for bad in no_sources:
        what = f"{bad!r} is no source"
        refuses(partial(store.put_document, shelves[1], bad, {}), ContextKitError, what)
