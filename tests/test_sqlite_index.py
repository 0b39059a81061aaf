"""The index in SQLite files: shared by processes, and wrong in no way where it is damaged."""

import os
import random
import sqlite3
import stat
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import (
    ContextKitError,
    EmbeddingError,
    IndexBusy,
    IndexCorrupt,
    IndexUnusable,
    InputError,
)
from tests.indexed import KEY, NAMES, OTHER, ROWS, Embedder, check_threads, ends, held, same, vault
from tests.support import SCOPE, builder, chat, wire


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
def index(path: Path) -> ck.SQLiteIndex:
    return ck.SQLiteIndex(Embedder(), path)


def file_of(path: Path) -> Path:
    return next(path.glob("*.vectors"))


# -- kept ------------------------------------------------------------------------------------

LOOK = """
import sys, contextkit as ck
index = ck.SQLiteIndex(len, sys.argv[1])
print(list(index.vectors(("tenant", "user", "conversation"), ["d", "b", "a"])))
assert "chromadb" not in sys.modules
"""


def test_another_process_finds_what_was_added(index: ck.SQLiteIndex, path: Path) -> None:
    index.add(SCOPE, NAMES, ROWS)

    assert ends(LOOK, path).strip() == "['b', 'a']"


def test_it_gives_the_bytes_of_the_index_in_memory(index: ck.SQLiteIndex) -> None:
    rng, reference = np.random.default_rng(2), ck.VectorIndex(Embedder())
    names = [f"n{number}" for number in rng.permutation(1_700)]
    rows = rng.normal(size=(1_700, 48))
    for each in (index, reference):
        for start in range(0, 1_700, 700):
            each.add(KEY, names[start : start + 700], rows[start : start + 700])

    assert same(index, reference, KEY, names)
    for _ in range(40):
        some = list(rng.choice([*names, "x"], size=int(rng.integers(1, 1_300))))
        assert same(index, reference, KEY, some)


def test_it_builds_the_bytes_that_the_index_in_memory_builds(index: ck.SQLiteIndex) -> None:
    built = []
    for each in (index, ck.VectorIndex(Embedder())):
        history = ck.History(vault(), scope=SCOPE)
        history.id = "fixed"
        built.append(wire(builder(500, tail=[ck.Retrieve(each, share=120)]).build(history)))

    assert built[0] == built[1]
    assert "4711" in built[0]


def test_a_deleted_directory_is_made_again(index: ck.SQLiteIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    file_of(path).unlink()
    assert held(index) == []
    path.rmdir()

    assert (held(index), index.forget(KEY), index.reindex()) == ([], 0, 0)
    assert not path.exists()  # asking makes nothing
    index.add(KEY, NAMES, ROWS)
    assert held(index) == NAMES


def test_another_model_concerns_its_tenant_alone(path: Path) -> None:
    ck.SQLiteIndex(Embedder("small"), path).add(KEY, NAMES, ROWS)
    index = ck.SQLiteIndex(Embedder("large \ud800"), path)
    for refused in (lambda: held(index, OTHER), lambda: index.add(OTHER, NAMES, ROWS)):
        with pytest.raises(EmbeddingError, match=r"'small'.*'large .*reindex\(\)"):
            refused()
    index.add(("other tenant", "u", "c"), NAMES, np.ones((3, 7)))

    assert (index.reindex(), index.reindex()) == (3, 0)
    index.add(KEY, NAMES, np.ones((3, 9)))
    assert held(index, ("other tenant", "u", "c")) == held(index) == NAMES


def test_files_that_are_not_ours_are_left_alone(index: ck.SQLiteIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    (path / "notes.vectors").write_text("mine")
    assert index.reindex() == 3  # it has no name

    assert (path / "notes.vectors").read_text() == "mine"


# -- several threads and processes -----------------------------------------------------------

WRITE = """
import sys, contextkit as ck
index, me = ck.SQLiteIndex(len, sys.argv[1], timeout=60), sys.argv[2]
for number in range(40):
    index.add(("t", "u", "c"), ["shared", f"{me}-{number}"], [[1.0, 2.0], [1.0, number]])
    found = index.vectors(("t", "u", "c"), [f"{me}-{n}" for n in range(41)] + ["shared"])
    assert len(found) == number + 2
"""


def test_processes_share_a_directory(path: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda me: ends(WRITE, path, me), range(3)))

    index = ck.SQLiteIndex(Embedder(), path)
    names = [f"{me}-{number}" for me in range(3) for number in range(40)]
    assert held(index, ("t", "u", "c"), names) == names
    assert index.forget(("t", "u", "c")) == 121


def test_threads_share_one_index(index: ck.SQLiteIndex) -> None:
    index.timeout = 60
    check_threads(index, turns=3, conversations=12)


def test_a_fork_may_go_on(index: ck.SQLiteIndex) -> None:
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    source = """
import os, sys, contextkit as ck
index = ck.SQLiteIndex(len, sys.argv[1])
index.add(("t",), ["a"], [[1.0]])
if (child := os.fork()) == 0:
    index.add(("t",), ["b"], [[1.0]])
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print(list(index.vectors(("t",), ["a", "b"])))
"""
    assert ends(source, index.path).strip() == "['a', 'b']"


def test_a_lock_that_is_held_too_long_is_told(index: ck.SQLiteIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    index.timeout = 0.01
    with closing(sqlite3.connect(file_of(path), isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for refused in (lambda: held(index), lambda: index.add(KEY, NAMES, ROWS)):
            with pytest.raises(IndexBusy, match=r"0\.01 s") as caught:
                refused()
            assert caught.value.retryable
            assert caught.value.path == str(file_of(path))

    assert held(index) == NAMES


# -- damage ----------------------------------------------------------------------------------


def damaged(index: ck.SQLiteIndex, file: Path, whole: bytes, bad: bytes) -> str:
    """What comes of a damaged file: an error, or right vectors, some of which may be missing."""
    right = {
        name: np.array(row) / np.linalg.norm(row) for name, row in zip(NAMES, ROWS, strict=True)
    }
    file.write_bytes(bad)
    try:
        found = index.vectors(KEY, NAMES)
        index.add(KEY, ["a"], ROWS[:1])
    except ContextKitError as error:
        if isinstance(error, IndexCorrupt):
            told = str(error)
            assert str(file) in told
            assert "Delete the file" in told
        return "error"
    finally:
        file.write_bytes(whole)
        for journal in file.parent.glob("*-journal"):
            journal.unlink()
    for name, vector in found.items():
        assert vector == pytest.approx(right[name], abs=1e-6)
    return "missing" if len(found) < 3 else "right"


@settings(max_examples=int(os.environ.get("CONTEXTKIT_SOAK", "200")))
@given(seed=st.integers(0, 2**32), many=st.sampled_from([1, 1, 1, 8, 400]))
def test_flipped_bytes_give_no_wrong_vector(tmp_path_factory: Any, seed: int, many: int) -> None:
    path = tmp_path_factory.mktemp("damage")
    index = ck.SQLiteIndex(Embedder(), path)
    index.add(KEY, NAMES, ROWS)
    file = file_of(path)
    whole = file.read_bytes()
    rng = random.Random(seed)
    used = [at for at, byte in enumerate(whole) if byte]
    bad = bytearray(whole)
    for _ in range(many):
        bad[rng.choice(used)] ^= rng.randrange(1, 256)
    damaged(index, file, whole, bytes(bad))


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda data: data[:100], "error"),
        (lambda data: data[:-16_384], "error"),
        (lambda data: data[: len(data) // 2], "error"),
        (lambda data: b"junk" * 9_000, "error"),
        (lambda data: data.replace(np.float32(0.5**0.5).tobytes(), b"\0\0\x80\x3f"), "error"),
        (lambda data: data.replace(b"CREATE TABLE rows", b"CREATE TABLE sowr"), "error"),
        (lambda data: b"", "missing"),
    ],
)
def test_a_damaged_file_is_told(
    index: ck.SQLiteIndex, path: Path, damage: Callable[[bytes], bytes], expected: str
) -> None:
    index.add(("healthy", "u", "c"), NAMES, ROWS)
    healthy = set(path.iterdir())
    index.add(KEY, NAMES, ROWS)
    (file,) = set(path.iterdir()) - healthy
    whole = file.read_bytes()
    assert damage(whole) != whole

    assert damaged(index, file, whole, damage(whole)) == expected
    file.write_bytes(damage(whole))
    history = ck.History(chat(14), scope=SCOPE)
    context = builder(tail=[ck.Retrieve(index, share=60)]).build(history)  # fails no build
    assert context.report.failures or expected == "missing"
    assert held(index, ("healthy", "u", "c")) == NAMES
    file.unlink()
    index.add(KEY, NAMES, ROWS)
    assert held(index) == NAMES


def test_a_model_whose_name_is_damaged_is_told(path: Path) -> None:
    index = ck.SQLiteIndex(Embedder("model one"), path)
    index.add(KEY, NAMES, ROWS)
    file_of(path).write_bytes(file_of(path).read_bytes().replace(b"model one", b"model two"))

    with pytest.raises(IndexCorrupt, match="is damaged"):
        held(index)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ("PRAGMA user_version = 9", IndexUnusable, "upgrade contextkit"),
        ("PRAGMA application_id = 7", IndexCorrupt, "was not made here"),
    ],
)
def test_a_file_of_another_format_is_not_touched(
    index: ck.SQLiteIndex, path: Path, change: str, error: Any, says: str
) -> None:
    index.add(KEY, NAMES, ROWS)
    with closing(sqlite3.connect(file_of(path), isolation_level=None)) as other:
        other.execute(change)
    before = file_of(path).read_bytes()
    for refused in (
        lambda: held(index),
        lambda: index.add(KEY, NAMES, ROWS),
        lambda: index.forget(KEY),
        index.reindex,
    ):
        with pytest.raises(error, match=says):
            refused()

    assert file_of(path).read_bytes() == before


def test_a_row_under_another_scope_is_never_given(index: ck.SQLiteIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    index.add(OTHER, ["z"], ROWS[:1])
    with closing(sqlite3.connect(file_of(path), isolation_level=None)) as other:
        mine, _ = [row[0] for row in other.execute("SELECT DISTINCT scope FROM rows")]
        other.execute("DELETE FROM rows WHERE scope = ?", [mine])
        other.execute("UPDATE rows SET scope = ?", [mine])
    for scope in (KEY, OTHER):
        try:
            assert held(index, scope, [*NAMES, "z"]) == []
        except IndexCorrupt:
            continue


def test_a_full_disk_stores_nothing(index: ck.SQLiteIndex) -> None:
    resource = pytest.importorskip("resource")
    source = """
import resource, signal, sys, contextkit as ck
from contextkit.errors import IndexUnusable
index = ck.SQLiteIndex(len, sys.argv[1])
index.add(("t",), ["a"], [[1.0] * 384])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
names = [f"n{n}" for n in range(1_000)]
try:
    index.add(("t",), names, [[1.0] * 384] * 1_000)
except IndexUnusable as error:
    print(type(error).__name__)
assert list(index.vectors(("t",), ["a", *names])) == ["a"]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.add(("t",), names, [[1.0] * 384] * 1_000)
print(len(index.vectors(("t",), names)))
"""
    assert resource
    assert ends(source, index.path).split() == ["IndexUnusable", "1000"]


# -- what stays ------------------------------------------------------------------------------


def test_what_is_forgotten_is_overwritten(index: ck.SQLiteIndex, path: Path) -> None:
    rows = np.random.default_rng(5).normal(size=(50, 64)).astype(np.float32)
    units = rows / np.linalg.norm(rows, axis=1)[:, None]
    names = [f"n{number}" for number in range(50)]
    index.add(KEY, names, units)
    index.add(OTHER, names[:2], rows[:2] + 1)
    stored = [vector.tobytes() for vector in index.vectors(KEY, names).values()]
    assert all(any(blob in file.read_bytes() for file in path.iterdir()) for blob in stored)
    index.add(KEY, names[:1], rows[:1] + 1)  # replaced
    left = [file.read_bytes() for file in path.iterdir()]
    assert not any(stored[0] in data for data in left)

    assert index.forget(SCOPE) == 50
    left = [file.read_bytes() for file in path.iterdir()]
    assert not any(blob in data for blob in stored for data in left)
    assert held(index, OTHER, names) == names[:2]


def test_neither_texts_nor_names_are_on_the_disk(path: Path) -> None:
    scope = ck.Scope("tenantname", "username", "conversationname")
    history = ck.History(chat(14), scope=scope)
    history.append("vaultcode " * 3)
    index = ck.SQLiteIndex(Embedder("the model"), path)
    builder(tail=[ck.Retrieve(index, share=60)]).build(history)
    assert index.embed.texts
    kept = b"".join(file.read_bytes() + file.name.encode() for file in path.iterdir())

    assert b"the model" in kept
    for word in (*scope.key, history.id, "vaultcode", "q0 q0", history.prefix_hash(2, "main")):
        assert word.encode() not in kept


@pytest.mark.skipif(os.name != "posix", reason="rights are others here")
def test_all_is_for_the_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        index = ck.SQLiteIndex(Embedder(), path)
        index.add(KEY, NAMES, ROWS)
        with index._file(KEY).writing() as tables:
            tables.clear()
            inside = list(path.iterdir())
            assert len(inside) == 2  # its journal too
            rights = [stat.S_IMODE(file.stat().st_mode) for file in (path, *inside)]
    finally:
        os.umask(old)
    assert rights == [0o700, 0o600, 0o600]


def test_what_cannot_be_is_refused(tmp_path: Path) -> None:
    for bad in (None, "", 3, b"x", "a\0b", "\ud800"):
        with pytest.raises(InputError, match=r"SQLiteIndex\.path"):
            ck.SQLiteIndex(len, bad)  # type: ignore[arg-type]
    for bad in (None, -1, "x", True, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"SQLiteIndex\.timeout"):
            ck.SQLiteIndex(len, tmp_path, timeout=bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"SQLiteIndex\.embed"):
        ck.SQLiteIndex(None, tmp_path)  # type: ignore[arg-type]
    (tmp_path / "file").touch()
    with pytest.raises(IndexUnusable, match="cannot be made"):
        ck.SQLiteIndex(len, tmp_path / "file" / "x").add(KEY, NAMES, ROWS)


def test_it_needs_no_extra(monkeypatch: pytest.MonkeyPatch, index: ck.SQLiteIndex) -> None:
    for package in ("chromadb", "filelock"):
        monkeypatch.setitem(sys.modules, package, None)
    index.add(KEY, NAMES, ROWS)

    assert held(index) == NAMES


def test_a_damaged_file_keeps_no_other_tenant_from_another_model(path: Path) -> None:
    before, now = (ck.SQLiteIndex(Embedder(name), path) for name in ("before", "now"))
    for tenant in "abcd":
        before.add((tenant, "u", "c"), NAMES, ROWS)
    damaged = sorted(path.glob("*.vectors"))[1]
    damaged.write_bytes(b"no index" * 1_000)

    with pytest.raises(IndexCorrupt):
        now.reindex()
    usable = 0
    for tenant in "abcd":
        try:
            assert now.vectors((tenant, "u", "c"), NAMES) == {}
            usable += 1
        except IndexCorrupt:
            pass
    assert usable == 3


def test_what_was_forgotten_is_overwritten_in_the_files(tmp_path: Path) -> None:
    index = ck.SQLiteIndex(Embedder(), tmp_path)
    index.add(SCOPE, ["a" * 64, "b" * 64], index.embed(["a secret", "another"]))
    stored = index.vectors(SCOPE, ["a" * 64])["a" * 64].astype(np.float32).tobytes()

    def on_disk() -> bool:
        return any(stored in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())

    assert on_disk()
    assert index.forget(SCOPE) == 2
    assert not on_disk()
