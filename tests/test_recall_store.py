"""What the SQLite store keeps for retrieval: outbox, conversations of a user, documents."""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit import Scope, SQLiteStore
from contextkit.errors import InputError, StoreConflict, StoreCorrupt, StoreUnreadable
from contextkit.scope import ScopeKey
from contextkit.storage import outbox
from contextkit.store import Pending, needs_documents, needs_outbox, needs_recall
from contextkit.testing import check_store
from tests.recall_stores import Four
from tests.test_store import raw

SCOPE = Scope("acme", "u1", "42")
OTHER = Scope("acme", "u1", "43")
SHELF = ("acme", "u1", "")
SAID = {"type": "message", "message": {"role": "user", "content": "one"}}
SETTINGS = {"type": "settings"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore(path) as opened:
        yield opened


# -- the contract finds what breaks it -------------------------------------------------------


class Broken(SQLiteStore):
    """A store that breaks one promise of those that recall and documents rest on."""

    def __init__(self, fault: str) -> None:
        super().__init__(":memory:")
        self.fault = fault

    def conversations(self, scope: Scope) -> list[tuple[str, int]]:
        if self.fault == "another user" and isinstance(scope, Scope):
            scope = Scope(scope.tenant, scope.user.strip(), scope.conversation)
        found = super().conversations(scope)
        return sorted(found) if self.fault == "order" else found

    def load_since(self, scope: Scope, version: int) -> list[dict[str, Any]]:
        return super().load_since(scope, version - (self.fault == "one more" and version > 0))

    def pending(self, limit: int, after: Pending | None = None) -> list[Pending]:
        return super().pending(limit, None if self.fault == "always the first" else after)

    def done(self, entry: Pending) -> None:
        if self.fault == "done for good":
            entry = Pending(entry.scope, 2**40, entry.since, entry.document)
        super().done(entry)

    def pend_all(self, tenant: str | None = None) -> int:
        if self.fault == "nothing again":
            return 0
        return super().pend_all(None if self.fault == "all tenants" else tenant)

    def documents(self, shelf: ScopeKey) -> list[tuple[str, int]]:
        found = super().documents(shelf)
        return [(name, at + 1) for at, (name, _) in enumerate(found)] if self.places else found

    @property
    def places(self) -> bool:
        return self.fault == "versions again"

    def document(self, shelf: ScopeKey, source: str) -> dict[str, Any] | None:
        if self.fault == "another shelf" and isinstance(shelf, tuple) and len(shelf) == 3:
            return super().document(shelf, source) or super().document((shelf[0], "", ""), source)
        return super().document(shelf, source)

    def put_document(self, shelf: ScopeKey, source: str, document: Any) -> bool:
        there = super().put_document(shelf, source, document)
        return True if self.fault == "always there" else there


@pytest.mark.parametrize(
    "fault",
    [
        "another user",
        "order",
        "one more",
        "always the first",
        "done for good",
        "nothing again",
        "all tenants",
        "versions again",
        "another shelf",
        "always there",
    ],
)
def test_the_contract_finds_a_store_that_breaks_it(fault: str) -> None:
    check_store(lambda: Broken(""))
    with pytest.raises(AssertionError):
        check_store(lambda: Broken(fault))


@pytest.mark.parametrize("broken", ["enter", "leave", "entries"])
def test_the_contract_finds_an_outbox_that_does_not_work(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, broken, lambda *_: [])
    with pytest.raises((AssertionError, ValueError)):
        check_store(lambda: SQLiteStore(":memory:"))


# -- the outbox ------------------------------------------------------------------------------


def test_what_is_refused_or_taken_back_is_not_pending(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StoreConflict):
        store.append(SCOPE, [SAID], expected=3)
    with pytest.raises(InputError):
        store.append(SCOPE, [SAID, {"at": float("nan")}], expected=0)
    with monkeypatch.context() as patched:
        patched.setattr("contextkit.storage.sqlite._insert_decision", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(SCOPE, [SAID], expected=0, decisions={("main", "h"): {}})
        # And where the outbox cannot be written, neither is the message.
        patched.setattr(outbox, "enter", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.append(SCOPE, [SAID], expected=0)
    assert store.pending(9) == []
    assert store.load(SCOPE) == []


def _interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_settings_and_decisions_alone_are_not_pending(store: SQLiteStore) -> None:
    store.append(SCOPE, [SETTINGS, {"type": "decision"}], expected=0)
    store.decide(SCOPE, "main", "h", {"point": 1})
    assert store.pending(9) == []
    store.append(SCOPE, [SETTINGS, SAID, SETTINGS], expected=2)
    assert store.pending(9) == [Pending(SCOPE.key, 5, 2)]


def test_a_message_that_comes_while_it_is_indexed_stays_pending(store: SQLiteStore) -> None:
    store.append(SCOPE, [SAID], expected=0)
    (entry,) = store.pending(9)
    store.append(SCOPE, [SAID, SETTINGS], expected=1)
    store.done(entry)
    assert store.pending(9) == [Pending(SCOPE.key, 3, 1)]
    # A slow worker that comes late with what it has seen takes nothing back.
    (later,) = store.pending(9)
    store.append(SCOPE, [SAID], expected=3)
    store.done(later)
    store.done(entry)
    assert store.pending(9) == [Pending(SCOPE.key, 4, 3)]


def test_a_document_that_was_replaced_while_it_is_indexed_stays_pending(
    store: SQLiteStore,
) -> None:
    store.put_document(SHELF, "a", {"n": 1})
    (entry,) = store.pending(9)
    assert entry.scope == SHELF
    assert entry.document == "a"
    store.put_document(SHELF, "a", {"n": 2})
    store.done(entry)
    (again,) = store.pending(9)
    assert again.version > entry.version
    store.done(again)
    assert store.pending(9) == []
    store.put_document(SHELF, "a", {"n": 3})
    store.put_document(SHELF, "a", None)
    assert store.pending(9) == [], "what is gone needs no vectors"
    assert store.pend_all() == 0


def test_pending_goes_on_behind_an_entry(store: SQLiteStore) -> None:
    scopes = [Scope("acme", f"u{n % 3}", f"{n}") for n in range(20)]
    for scope in scopes:
        store.append(scope, [SAID], expected=0)
    for number in range(5):
        store.put_document(("acme", f"u{number}", ""), "a", {})
        store.put_document(("acme", "", ""), f"{number}", {})
    seen: list[Pending] = []
    while part := store.pending(4, seen[-1] if seen else None):
        assert len(part) <= 4
        seen += part
    assert len(seen) == 30
    assert len({(entry.scope, entry.document) for entry in seen}) == 30
    for bad in (0, -1, True, 1.5, None, "9", {"$gt": 0}):
        with pytest.raises(InputError):
            store.pending(bad)  # type: ignore[arg-type]
    for nothing in (SCOPE, SCOPE.key, None, {}):
        with pytest.raises(InputError):
            store.done(nothing)  # type: ignore[arg-type]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2),
            st.lists(st.booleans(), max_size=3) | st.sampled_from(["pend", "done"]),
        ),
        max_size=30,
    )
)
def test_what_is_pending_is_what_was_not_done(moves: Sequence[tuple[int, Any]]) -> None:
    """Against a model: the set of messages by their place, of which some are done."""
    undone: dict[str, set[int]] = {}
    lengths: dict[str, int] = {}
    taken: list[Pending] = []
    with SQLiteStore(":memory:") as store:
        for number, move in moves:
            scope = Scope("acme", "u1", f"{number}")
            if move == "pend":
                taken = store.pending(9)
            elif move == "done":
                for entry in taken:
                    store.done(entry)
                    left = undone.get(entry.scope[2], set())
                    undone[entry.scope[2]] = {at for at in left if at >= entry.version}
            else:
                start = lengths.get(scope.conversation, 0)
                store.append(scope, [SAID if said else SETTINGS for said in move], expected=start)
                lengths[scope.conversation] = start + len(move)
                new = {start + at for at, said in enumerate(move) if said}
                undone.setdefault(scope.conversation, set()).update(new)
            held = {entry.scope[2]: entry for entry in store.pending(9)}
            assert held.keys() == {name for name, left in undone.items() if left}
            for name, entry in held.items():
                assert entry.since <= min(undone[name])
                assert max(undone[name]) < entry.version <= lengths[name]


# -- what is new, and what somebody else did to the file -------------------------------------


@given(st.lists(st.integers(0, 3), max_size=6), st.integers(0, 20))
def test_what_is_new_is_the_end_of_the_whole(appends: list[int], since: int) -> None:
    with SQLiteStore(":memory:") as store:
        for count in appends:
            start = len(store.load(SCOPE))
            records = [{**SAID, "n": start + at} for at in range(count)]
            store.append(SCOPE, records, expected=start)
        assert store.load_since(SCOPE, since) == store.load(SCOPE)[since:]


@pytest.mark.parametrize("bad", [-1, True, 1.0, None, "1", {"$gt": 0}])
def test_a_version_is_a_number(store: SQLiteStore, bad: Any) -> None:
    with pytest.raises(InputError):
        store.load_since(SCOPE, bad)


@pytest.mark.parametrize(
    ("statement", "since", "position"),
    [
        ("UPDATE records SET body = '{}' WHERE position = 3", 2, 3),
        ("UPDATE records SET body = '{}' WHERE position = 3", 4, None),
        ("DELETE FROM records WHERE position = 2", 2, 2),
        ("DELETE FROM records WHERE position = 1", 2, 1),
        ("DELETE FROM records WHERE position = 4", 2, 4),
        ("DELETE FROM records", 2, 1),
        ("UPDATE records SET hash = x'00' WHERE position = 1", 2, 2),
        ("UPDATE conversations SET version = 4", 2, 4),
        ("UPDATE conversations SET hash = x'00'", 5, 4),
    ],
)
def test_what_was_changed_is_found_behind_what_is_known(
    store: SQLiteStore, path: Path, statement: str, since: int, position: int | None
) -> None:
    store.append(SCOPE, [{**SAID, "n": n} for n in range(5)], expected=0)
    raw(path, statement)
    if position is None:
        assert len(store.load_since(SCOPE, since)) == 1, "the caller knows what stands before"
        return
    with pytest.raises(StoreCorrupt) as caught:
        store.load_since(SCOPE, since)
    assert caught.value.position == position


def test_a_changed_document_is_found(store: SQLiteStore, path: Path) -> None:
    store.put_document(SHELF, "a", {"n": 1})
    store.put_document(("acme", "", ""), "b", {"n": 2})
    raw(path, "UPDATE documents SET user = 'u1'")
    with pytest.raises(StoreUnreadable):
        store.document(SHELF, "b")
    assert store.document(SHELF, "a") == {"n": 1}


def test_only_the_changed_conversation_is_read(store: SQLiteStore) -> None:
    """The cost of what is new: SQLite's own count of the rows it visited."""
    store.append(SCOPE, [SAID] * 2_000, expected=0)
    seen = []
    with store._connection.held() as db:
        db.set_progress_handler(lambda: seen.append(1), 100)
    store.load_since(SCOPE, 1_999)
    few = len(seen)
    seen.clear()
    store.load_since(SCOPE, 0)
    assert len(seen) > 20 * max(1, few)


# -- older files -----------------------------------------------------------------------------


def older(path: Path) -> None:
    """Make the file one of the first schema."""
    db = sqlite3.connect(path, isolation_level=None)
    for statement in (
        "DROP TABLE outbox",
        "DROP TABLE documents",
        "DROP INDEX conversations_changed",
        "ALTER TABLE conversations DROP COLUMN changed",
        "PRAGMA user_version = 1",
    ):
        db.execute(statement)
    db.close()


def test_an_older_file_is_brought_up_to_date_and_all_of_it_is_pending(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.append(SCOPE, [SAID, SETTINGS], expected=0, decisions={("main", "h"): {"n": 1}})
        store.append(OTHER, [SAID], expected=0)
        store.decide(Scope("acme", "u1", "decided"), "main", "h", {})
    older(path)

    with SQLiteStore(path) as store:
        assert store.pending(9) == [Pending(SCOPE.key, 2), Pending(OTHER.key, 1)]
        assert store.load(SCOPE) == [SAID, SETTINGS]
        assert store.decisions(SCOPE, "main", ["h"]) == {"h": {"n": 1}}
        assert store.conversations(SCOPE) == [("42", 2), ("43", 1)]
        assert store.append(SCOPE, [SAID], expected=2) == 3
        assert store.conversations(SCOPE) == [("43", 1), ("42", 3)]
        store.put_document(SHELF, "a", {})
    assert raw(path, "PRAGMA user_version") == [(2,)]
    with SQLiteStore(path) as store:
        assert len(store.pending(9)) == 3, "it is done once"


def test_a_process_of_before_cannot_append_past_the_outbox(path: Path) -> None:
    SQLiteStore(path).close()
    with pytest.raises(sqlite3.OperationalError):
        raw(path, "INSERT INTO conversations VALUES ('a', 'b', 'c', 0, x'00')")


def test_a_migration_that_breaks_off_leaves_the_older_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextkit.storage import schema

    with SQLiteStore(path) as store:
        store.append(SCOPE, [SAID], expected=0)
    older(path)
    steps = (schema._CONVERSATIONS, (*schema._RETRIEVAL[:-1], "INSERT INTO nowhere VALUES (1)"))
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_STEPS", steps)
        with pytest.raises(Exception, match="nowhere"):
            SQLiteStore(path)
    assert raw(path, "PRAGMA user_version") == [(1,)]
    assert raw(path, "SELECT name FROM sqlite_schema WHERE name = 'outbox'") == []
    with SQLiteStore(path) as store:
        assert store.pending(9) == [Pending(SCOPE.key, 1)]


# -- a store of one's own with four methods --------------------------------------------------


def test_a_store_of_four_methods_is_told_what_recall_lacks() -> None:
    with pytest.raises(InputError, match=r"Four has no conversations\(\), load_since\(\), which"):
        needs_recall(Four(), "Recall")
    with pytest.raises(InputError, match=r"load_since\(\), pending\(\), done\(\), pend_all"):
        needs_outbox(Four(), "feed")
    with pytest.raises(InputError, match=r"Four has no documents\(\).*SQLiteStore has all"):
        needs_documents(Four(), "Documents")
    with pytest.raises(InputError):
        needs_recall(SQLiteStore, "Recall")  # the class, not a store
    with SQLiteStore(":memory:") as store:
        assert needs_recall(store, "Recall") is store
