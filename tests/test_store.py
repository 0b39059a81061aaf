"""The SQLite store: whole turns or nothing, in its scope, whatever happens to the process."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from threading import Barrier, Event, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit import Scope, SQLiteStore
from contextkit.errors import (
    InputError,
    ScopeError,
    StoreBusy,
    StoreConflict,
    StoreCorrupt,
    StoreError,
    StoreSchemaError,
    StoreUnreadable,
)
from contextkit.storage import connection, sqlite
from contextkit.testing import check_store

SCOPE = Scope("acme", "u1", "42")
TURN = [{"type": "user", "text": "a\0b"}, {"type": "reply", "text": "żółw 🐢"}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "chat.db"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteStore]:
    with SQLiteStore(path) as opened:
        yield opened


def raw(path: Path, statement: str, *values: Any) -> list[Any]:
    """What somebody else does to the file."""
    other = sqlite3.connect(path, isolation_level=None)
    try:
        return other.execute(statement, values).fetchall()
    finally:
        other.close()


def python(source: str, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", source, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


# -- the contract ----------------------------------------------------------------------------


def test_a_file_keeps_the_contract(tmp_path: Path) -> None:
    names = count()
    made: list[SQLiteStore] = []

    def make() -> SQLiteStore:
        made.append(SQLiteStore(tmp_path / f"{next(names)}.db"))
        return made[-1]

    check_store(make)
    for one in made:
        one.close()


def test_memory_keeps_the_contract() -> None:
    check_store(lambda: SQLiteStore(":memory:"))
    check_store(lambda: Broken("nowhere"))


class Broken(SQLiteStore):
    """A store that breaks one promise."""

    def __init__(self, fault: str) -> None:
        super().__init__(":memory:")
        self.fault = fault

    def load(self, scope: Scope) -> list[dict[str, Any]]:
        found = super().load(self._seen(scope))
        return [dict(sorted(record.items())) for record in found] if self.fault == "keys" else found

    def append(self, scope: Scope, records: Any, *, expected: Any, decisions: Any = None) -> int:
        if self.fault == "version":
            expected = None
        if self.fault == "halves":
            for record in records:
                expected = super().append(self._seen(scope), [record], expected=expected)
            return super().append(self._seen(scope), [], expected=expected, decisions=decisions)
        return super().append(self._seen(scope), records, expected=expected, decisions=decisions)

    def decide(self, scope: Scope, view: str, prefix_hash: str, decision: Any) -> dict[str, Any]:
        stands = super().decide(scope, view, prefix_hash, decision)
        return dict(decision) if self.fault == "last writer" else stands

    def _seen(self, scope: Scope) -> Scope:
        if self.fault == "scope" and isinstance(scope, Scope):
            return Scope(scope.tenant.strip(), scope.user, scope.conversation)
        return scope


@pytest.mark.parametrize("fault", ["keys", "version", "halves", "last writer", "scope"])
def test_the_contract_finds_a_store_that_breaks_it(fault: str) -> None:
    with pytest.raises(AssertionError):
        check_store(lambda: Broken(fault))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(st.lists(st.lists(st.dictionaries(st.text(), json_values), max_size=3), max_size=4))
def test_any_records_come_back_in_order(turns: list[list[dict[str, Any]]]) -> None:
    with SQLiteStore(":memory:") as store:
        version = 0
        for turn in turns:
            version = store.append(SCOPE, turn, expected=version)

        assert repr(store.load(SCOPE)) == repr([record for turn in turns for record in turn])


# -- what is there and stays there -----------------------------------------------------------


def test_what_was_appended_is_there_after_reopening(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.append(SCOPE, TURN, expected=0, decisions={("main", "h"): {"point": 1}})
    with SQLiteStore(path) as store:
        assert store.load(SCOPE) == TURN
        assert store.decisions(SCOPE, "main", ["h"]) == {"h": {"point": 1}}
        assert store.append(SCOPE, TURN, expected=2) == 4


def test_another_connection_sees_a_turn_at_once(store: SQLiteStore, path: Path) -> None:
    with SQLiteStore(path) as other:
        store.append(SCOPE, TURN, expected=0)

        assert other.load(SCOPE) == TURN
        with pytest.raises(StoreConflict) as caught:
            other.append(SCOPE, TURN, expected=0)
        assert (caught.value.expected, caught.value.found) == (0, 2)
        assert caught.value.retryable


@pytest.mark.skipif(os.name == "nt", reason="there are no such rights")
def test_a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_rights(
    tmp_path: Path,
) -> None:
    old = os.umask(0)
    try:
        there = tmp_path / "there.db"
        there.touch(0o640)
        for path, rights in ((tmp_path / "new.db", 0o600), (there, 0o640)):
            with SQLiteStore(path) as store:
                store.append(SCOPE, [{"a": 1}], expected=0)
                files = sorted(tmp_path.glob(f"{path.name}*"))
                assert [file.name[len(path.name) :] for file in files] == ["", "-shm", "-wal"]
                assert {file.stat().st_mode & 0o777 for file in files} == {rights}
    finally:
        os.umask(old)


def test_the_file_is_set_up_for_safety(store: SQLiteStore, path: Path) -> None:
    with store._connection.held() as db:
        pragmas = {
            name: db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
        }
        tables = db.execute(
            "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        ).fetchall()
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "secure_delete": 1,
    }
    assert len(tables) == 5
    assert all(sql.endswith("STRICT") for (sql,) in tables)


@pytest.mark.parametrize("nobody", [None, "42", ("acme", "u1", "42"), {"tenant": "acme"}])
def test_nothing_is_done_without_a_scope(store: SQLiteStore, nobody: Any) -> None:
    for call in (
        lambda: store.load(nobody),
        lambda: store.append(nobody, TURN, expected=0),
        lambda: store.decisions(nobody, "main", ["h"]),
        lambda: store.decide(nobody, "main", "h", {}),
    ):
        with pytest.raises(ScopeError):
            call()


def test_a_bad_path_is_refused(tmp_path: Path) -> None:
    for bad in ("", None, 7, "a\0b"):
        with pytest.raises(InputError):
            SQLiteStore(bad)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match="folder"):
        SQLiteStore(tmp_path / "missing" / "chat.db")
    with pytest.raises(StoreError):
        SQLiteStore(tmp_path)


def test_a_closed_store_says_so(store: SQLiteStore) -> None:
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.load(SCOPE)


# -- what somebody else did to the file ------------------------------------------------------


@pytest.mark.parametrize(
    ("statements", "position"),
    [
        (["UPDATE records SET body = '{}' WHERE conversation = '42' AND position = 2"], 2),
        (["UPDATE records SET body = '{' WHERE conversation = '42' AND position = 1"], 1),
        (["UPDATE records SET body = CAST(x'ff' AS TEXT) WHERE conversation = '42'"], 0),
        (["UPDATE records SET hash = x'00' WHERE conversation = '42' AND position = 3"], 3),
        (
            [  # a swap
                "UPDATE records SET position = 9 WHERE conversation = '42' AND position = 1",
                "UPDATE records SET position = 1 WHERE conversation = '42' AND position = 2",
                "UPDATE records SET position = 2 WHERE conversation = '42' AND position = 9",
            ],
            1,
        ),
        (["DELETE FROM records WHERE conversation = '42' AND position = 0"], 0),
        (["DELETE FROM records WHERE conversation = '42' AND position = 2"], 2),
        (["DELETE FROM records WHERE conversation = '42' AND position = 3"], 3),
        (["DELETE FROM records WHERE conversation = '42'"], 0),
        (["UPDATE conversations SET hash = x'00' WHERE conversation = '42'"], 3),
        (["UPDATE conversations SET version = 5 WHERE conversation = '42'"], 4),
        (["UPDATE conversations SET version = 3 WHERE conversation = '42'"], 3),
    ],
)
def test_a_changed_moved_or_removed_row_is_found(
    store: SQLiteStore, path: Path, statements: list[str], position: int
) -> None:
    other = Scope("acme", "u1", "43")
    for scope in (SCOPE, other):
        for version in (0, 2):
            turn = [{**record, "version": version} for record in TURN]
            store.append(scope, turn, expected=version)
    for statement in statements:
        raw(path, statement)

    with pytest.raises(StoreCorrupt) as caught:
        store.load(SCOPE)
    assert caught.value.position == position
    assert len(store.load(other)) == 4, "its neighbours can be read"


def test_rows_of_another_conversation_are_not_taken_for_ones_own(
    store: SQLiteStore, path: Path
) -> None:
    stranger = Scope("evil", "u1", "42")
    store.append(stranger, TURN, expected=0)
    raw(path, "UPDATE conversations SET tenant = 'acme'")
    raw(path, "UPDATE records SET tenant = 'acme'")

    with pytest.raises(StoreCorrupt) as caught:
        store.load(SCOPE)
    assert caught.value.position == 0


def test_a_changed_decision_is_found(store: SQLiteStore, path: Path) -> None:
    store.decide(SCOPE, "main", "h1", {"point": 1})
    store.decide(SCOPE, "main", "h2", {"point": 2})
    raw(path, "UPDATE decisions SET body = '{\"point\":3}' WHERE address = 'h1'")

    for call in (
        lambda: store.decisions(SCOPE, "main", ["h1"]),
        lambda: store.decide(SCOPE, "main", "h1", {"point": 1}),
    ):
        with pytest.raises(StoreUnreadable, match="h1"):
            call()
    assert store.decisions(SCOPE, "main", ["h2"]) == {"h2": {"point": 2}}


def test_a_newer_schema_is_left_alone(path: Path) -> None:
    SQLiteStore(path).close()
    raw(path, "PRAGMA user_version = 7")

    with pytest.raises(StoreSchemaError, match="upgrade") as caught:
        SQLiteStore(path)
    assert (caught.value.found, caught.value.known) == (7, 2)


def test_the_file_of_another_program_is_left_alone(path: Path) -> None:
    raw(path, "CREATE TABLE records(body)")

    with pytest.raises(StoreError, match="another program"):
        SQLiteStore(path)
    assert raw(path, "SELECT count(*) FROM sqlite_schema") == [(1,)]


def test_no_sqlite_file_is_unreadable(path: Path) -> None:
    path.write_bytes(b"SQLite is not what this is. " * 100)
    with pytest.raises(StoreUnreadable):
        SQLiteStore(path)


def test_a_torn_page_is_unreadable(path: Path) -> None:
    with SQLiteStore(path) as store:
        for version in range(0, 200, 2):
            store.append(SCOPE, [{"text": "x" * 500}] * 2, expected=version)
    pages = bytearray(path.read_bytes())
    pages[4096 * 3 :] = b"\xee" * (len(pages) - 4096 * 3)
    path.write_bytes(pages)

    with SQLiteStore(path) as store, pytest.raises(StoreCorrupt):
        store.load(SCOPE)


# -- what goes wrong while writing -----------------------------------------------------------


def test_a_locked_file_is_busy_after_the_deadline_and_then_works(path: Path) -> None:
    with SQLiteStore(path, timeout=0.05) as store:
        store.append(SCOPE, TURN, expected=0)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(StoreBusy) as caught:
            store.append(SCOPE, TURN, expected=2)
        assert caught.value.retryable
        assert store.load(SCOPE) == TURN, "reading goes on"

        other.execute("ROLLBACK")
        other.close()
        assert store.append(SCOPE, TURN, expected=2) == 4


def test_a_busy_thread_is_busy_too(path: Path) -> None:
    with SQLiteStore(path, timeout=0.05) as store:
        inside, leave = Event(), Event()

        def hold() -> None:
            with store._connection.held():
                inside.set()
                leave.wait(10)

        thread = Thread(target=hold)
        thread.start()
        inside.wait(10)
        with pytest.raises(StoreBusy):
            store.load(SCOPE)
        leave.set()
        thread.join()
        assert store.load(SCOPE) == []


@pytest.mark.parametrize("memory", [True, False])
def test_a_full_disk_leaves_things_as_they_were(path: Path, memory: bool) -> None:
    with SQLiteStore(":memory:" if memory else path) as store:
        store.append(SCOPE, TURN, expected=0)
        with store._connection.held() as db:
            (pages,) = db.execute("PRAGMA page_count").fetchone()
            db.execute(f"PRAGMA max_page_count = {pages}")

        long = [TURN[0], {"text": "x" * 100_000}]
        with pytest.raises(StoreError, match="disk is full"):
            store.append(SCOPE, long, expected=2, decisions={("main", "h"): {"a": 1}})

        assert store.load(SCOPE) == TURN
        assert store.decisions(SCOPE, "main", ["h"]) == {}
        with store._connection.held() as db:
            db.execute("PRAGMA max_page_count = 1000000")
        assert store.append(SCOPE, long, expected=2) == 4


FULL_FOR_REAL = """
import resource, signal, sys
from contextkit import Scope, SQLiteStore
from contextkit.errors import StoreError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
scope, store = Scope("acme", "u1", "42"), SQLiteStore(sys.argv[1])
store.append(scope, [{"n": 0}], expected=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
try:
    store.append(scope, [{"n": 1}, {"text": "x" * 1_000_000}], expected=1)
except StoreError as error:
    print(type(error).__name__, store.load(scope))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(store.append(scope, [{"n": 1}], expected=1), store.load(scope))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits on Windows")
def test_a_write_that_the_system_refuses_leaves_things_as_they_were(path: Path) -> None:
    out, _ = python(FULL_FOR_REAL, path).communicate()
    assert out.splitlines() == ["StoreError [{'n': 0}]", "2 [{'n': 0}, {'n': 1}]"]


def test_a_file_that_cannot_be_written_says_what_to_do(store: SQLiteStore) -> None:
    with store._connection.held() as db:
        db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError, match="rights"):
        store.append(SCOPE, TURN, expected=0)


def test_an_interrupt_inside_leaves_no_transaction_behind(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "_insert_decision", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.append(SCOPE, TURN, expected=0, decisions={("main", "h"): {}})

    assert store.load(SCOPE) == []
    assert store.append(SCOPE, TURN, expected=0) == 2


def test_the_race_in_old_sqlite_is_mentioned_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, logger="contextkit")
    for version, said in (((3, 40, 1), 1), ((3, 51, 3), 0), ((3, 50, 7), 0), ((3, 50, 4), 1)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        connection.say_what_sqlite_lacks.cache_clear()
        caplog.clear()
        for name in "ab":
            SQLiteStore(tmp_path / f"{name}.db").close()
        assert len(caplog.records) == said


# -- processes -------------------------------------------------------------------------------

WRITER = """
import sys
from contextkit import Scope, SQLiteStore
from contextkit.errors import StoreConflict
path, name, turns = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
scope, store, lost = Scope("acme", "u1", "42"), SQLiteStore(path), 0
for turn in range(turns):
    while True:
        version = len(store.load(scope))
        pair = [{"by": name, "turn": turn, "half": half} for half in (0, 1)]
        try:
            now = store.append(scope, pair, expected=version,
                               decisions={("main", f"{name}-{turn}"): {"turn": turn}})
            break
        except StoreConflict:
            lost += 1
    print(now, flush=True)
print("lost", lost, flush=True)
"""


def whole_turns(store: SQLiteStore) -> list[tuple[str, int]]:
    """Who wrote which turn, in order; that none is half there, and each has its decision."""
    records = store.load(SCOPE)
    for first, second in zip(records[::2], records[1::2], strict=True):
        assert first["half"] == 0
        assert second == {**first, "half": 1}
    turns = [(record["by"], record["turn"]) for record in records[::2]]
    addresses = [f"{name}-{turn}" for name, turn in turns]
    decided = store.decisions(SCOPE, "main", addresses)
    assert decided == {a: {"turn": turn} for a, (_, turn) in zip(addresses, turns, strict=True)}
    return turns


def test_two_processes_lose_and_double_nothing(path: Path) -> None:
    writers = [python(WRITER, path, name, 40) for name in ("a", "b")]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # both make the file at once, and its tables
        writer.stdin.write("go\n")
        writer.stdin.flush()
    said = [writer.communicate()[0].split() for writer in writers]

    with SQLiteStore(path) as store:
        turns = whole_turns(store)
    assert sorted(turns) == [(name, turn) for name in ("a", "b") for turn in range(40)]
    for name, lines in zip(("a", "b"), said, strict=True):
        assert [turn for by, turn in turns if by == name] == list(range(40)), "each in its order"
        versions = [int(version) for version in lines[:-2]]
        assert [turns[version // 2 - 1] for version in versions] == [(name, t) for t in range(40)]


def test_kill_9_loses_no_acknowledged_turn_and_leaves_no_half_one(path: Path) -> None:
    acknowledged = 0
    for kill in range(6):
        writer = python(WRITER, path, f"run {kill}", 100_000)
        assert writer.stdout.readline() == "ready\n"
        writer.stdin.write("go\n")
        writer.stdin.flush()
        for _ in range(3 + 4 * kill):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        # Not communicate(), which passes by what readline has read ahead.
        rest = writer.stdout.read().split("\n")
        with writer:  # closes its pipes
            assert writer.wait() == -signal.SIGKILL
        # A line without its end was not acknowledged.
        acknowledged = max([acknowledged, *map(int, rest[:-1])])

        with SQLiteStore(path) as store:
            turns = whole_turns(store)
        assert 2 * len(turns) in (acknowledged, acknowledged + 2)
        acknowledged = 2 * len(turns)


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path: Path) -> None:
    for number in range(5):
        path, together = tmp_path / f"{number}.db", Barrier(6)

        def open_it(name: int, path: Path = path, together: Barrier = together) -> int:
            together.wait(10)
            with SQLiteStore(path) as store:  # with a connection of its own
                return store.append(Scope("acme", "u1", str(name)), TURN, expected=0)

        with ThreadPoolExecutor(6) as pool:
            assert list(pool.map(open_it, range(6))) == [2] * 6


def test_a_file_that_is_busy_while_it_is_opened_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, left = connection.Connection._connect, [2]

    def busy(self: connection.Connection) -> sqlite3.Connection:
        if left[0]:
            left[0] -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY
            raise error
        return connect(self)

    monkeypatch.setattr(connection.Connection, "_connect", busy)
    SQLiteStore(path).close()
    assert left == [0]
    left = [1_000_000]
    with pytest.raises(StoreBusy):
        SQLiteStore(path, timeout=0.03)


def in_child(work: Callable[[], None]) -> int:
    """Run work in a fork of this process, and give its exit code."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_opens_a_connection_of_its_own(store: SQLiteStore, path: Path) -> None:
    store.append(SCOPE, TURN, expected=0)

    def go_on() -> None:
        assert store._connection._db is None, "nothing is carried over"
        assert store.append(SCOPE, TURN, expected=2) == 4
        store.close()

    assert in_child(go_on) == 0
    assert store.load(SCOPE) == TURN * 2
    assert store.append(SCOPE, TURN, expected=4) == 6
    with SQLiteStore(path) as other:
        assert other.load(SCOPE) == TURN * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_waits_for_a_thread_that_writes(store: SQLiteStore) -> None:
    stop = Event()

    def write() -> None:
        while not stop.wait(0.001):
            store.append(SCOPE, TURN, expected=None)

    thread = Thread(target=write)
    thread.start()
    try:
        codes = [in_child(lambda: store.append(SCOPE, TURN, expected=None)) for _ in range(5)]
    finally:
        stop.set()
        thread.join()
    assert codes == [0] * 5
    records = store.load(SCOPE)
    assert records == TURN * (len(records) // 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_memory_does_not_go_along_into_a_fork() -> None:
    with SQLiteStore(":memory:") as store:
        store.append(SCOPE, TURN, expected=0)

        def refused() -> None:
            with pytest.raises(StoreError, match="fork"):
                store.load(SCOPE)

        assert in_child(refused) == 0
        assert store.load(SCOPE) == TURN
