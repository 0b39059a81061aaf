"""The index in Chroma: kept, alone in its directory, exact, and nobody's but its scope's."""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import numpy as np
import pytest

import contextkit as ck
from contextkit.errors import (
    EmbeddingError,
    IndexCorrupt,
    IndexLocked,
    IndexUnusable,
    InputError,
    MissingExtra,
)
from contextkit.retrieval import chroma_rows, directory
from contextkit.retrieval.chroma_rows import collection_name
from tests.indexed import (
    KEY,
    NAMES,
    OTHER,
    ROWS,
    Embedder,
    check_threads,
    ends,
    held,
    python,
    same,
    vault,
)
from tests.support import SCOPE, answer, builder, chat, user, wire


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vectors"


@pytest.fixture
def index(path: Path) -> Iterator[ck.ChromaIndex]:
    with ck.ChromaIndex(Embedder(), path) as opened:
        yield opened


# -- kept ------------------------------------------------------------------------------------

LOOK = """
import json, sys, contextkit as ck
with ck.ChromaIndex(len, sys.argv[1]) as index:
    scope = ("tenant", "user", "conversation")
    found = index.vectors(scope, ["d", "b", "a"])
    print(json.dumps({name: vector.tolist() for name, vector in found.items()}))
"""


def test_another_process_finds_what_was_added(index: ck.ChromaIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    index.close()

    found = json.loads(ends(LOOK, path))
    assert list(found) == ["b", "a"]
    assert found == {"a": [1.0, 0.0, 0.0, 0.0], "b": pytest.approx([0.5**0.5, 0.5**0.5, 0.0, 0.0])}


def test_what_is_added_again_is_replaced(index: ck.ChromaIndex) -> None:
    index.add(KEY, NAMES, ROWS)
    index.add(KEY, ["a", "a"], [ROWS[1], ROWS[2]])

    assert index.vectors(KEY, ["a"])["a"].tolist() == ROWS[2]
    assert index.forget(KEY) == 3


def test_more_than_chroma_takes_at_once(index: ck.ChromaIndex) -> None:
    with index._directory.client() as client:
        assert client.get_max_batch_size() < 6_000
    names = [f"n{number}" for number in range(6_000)]
    rows = np.random.default_rng(1).normal(size=(6_000, 4))
    reference = ck.VectorIndex(Embedder())
    for each in (index, reference):
        each.add(KEY, names, rows)

    assert len(index.vectors(KEY, [*names, "x"])) == 6_000
    assert same(index, reference, KEY, names[::-1])
    assert index.forget(KEY) == 6_000


def test_it_gives_the_bytes_of_the_index_in_memory(index: ck.ChromaIndex) -> None:
    rng, reference = np.random.default_rng(2), ck.VectorIndex(Embedder())
    names = [f"n{number}" for number in rng.permutation(300)]
    rows = rng.normal(size=(300, 48))
    for each in (index, reference):
        for start in range(0, 300, 70):
            each.add(KEY, names[start : start + 70], rows[start : start + 70])

    for _ in range(40):
        some = list(rng.choice([*names, "x"], size=int(rng.integers(1, 200))))
        assert same(index, reference, KEY, some)


# -- vectors that cannot be used -------------------------------------------------------------


def test_one_bad_vector_in_the_last_batch_keeps_all_out(index: ck.ChromaIndex) -> None:
    names = [f"n{number}" for number in range(6_000)]
    rows = np.ones((6_000, 4))
    rows[-1] = 0
    with pytest.raises(EmbeddingError):
        index.add(KEY, names, rows)

    assert held(index, KEY, names) == []


def test_another_model_is_refused_until_reindex(path: Path) -> None:
    with ck.ChromaIndex(Embedder("small"), path) as index:
        index.add(KEY, NAMES, ROWS)
        with pytest.raises(EmbeddingError, match=r"gives 3 dimensions, the index has 4.*reindex"):
            index.add(KEY, ["x"], [[1, 0, 0]])
        index.add(("third", "u", "c"), NAMES, ROWS)
    with ck.ChromaIndex(Embedder("large"), path) as index:
        for refused in (
            lambda: index.vectors(OTHER, NAMES),  # of the same tenant
            lambda: index.add(KEY, NAMES, ROWS),
        ):
            with pytest.raises(EmbeddingError, match=r"'small'.*'large'.*reindex\(\)"):
                refused()
        index.add(("other tenant", "u", "c"), NAMES, np.ones((3, 7)))
        assert index.forget(SCOPE) == 3
        index.add(KEY, NAMES, np.ones((3, 7)))  # of this tenant nothing was left
        assert index.reindex() == 3
        assert held(index, ("third", "u", "c")) == []
        assert held(index) == held(index, ("other tenant", "u", "c")) == NAMES


def test_reindex_reaches_every_tenant(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chroma_rows, "_PAGE", 4)
    tenants = [(f"tenant {number}", "u", "c") for number in range(11)]
    with ck.ChromaIndex(Embedder("small"), path) as index:
        for scope in tenants:
            index.add(scope, ["a"], ROWS[:1])
    with ck.ChromaIndex(Embedder("large"), path) as index, index._directory.client() as client:
        client.create_collection("of-somebody-else", embedding_function=None)
    with ck.ChromaIndex(Embedder("large"), path) as index:
        assert index.reindex() == 11
        with index._directory.client() as client:
            assert [one.name for one in client.list_collections()] == ["of-somebody-else"]


# -- one process -----------------------------------------------------------------------------

HOLD = """
import sys, contextkit as ck
index = ck.ChromaIndex(len, sys.argv[1])
for number in range(int(sys.argv[2])):
    index.add(("t", "u", "c"), [f"n{number}-{part}" for part in range(5)], [[1.0, number]] * 5)
    print(number, flush=True)
print("holds", flush=True)
sys.stdin.readline()
"""
ASK = """
import sys, contextkit as ck
from contextkit.errors import IndexLocked
try:
    ck.ChromaIndex(len, sys.argv[1])
except IndexLocked as error:
    print(error.pid)
"""


def test_a_second_process_is_told_at_once_who_holds_it(index: ck.ChromaIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)

    assert int(ends(ASK, path)) == os.getpid()
    assert held(index) == NAMES


def test_a_second_index_in_the_same_process_is_refused(index: ck.ChromaIndex, path: Path) -> None:
    link = path.with_name("link")
    link.symlink_to(path)
    for name in (path, str(path), link, path / ".." / path.name):
        with pytest.raises(IndexLocked, match="open in this process already") as caught:
            ck.ChromaIndex(len, name)
        assert (caught.value.pid, caught.value.path) == (os.getpid(), index.path)
        assert caught.value.retryable

    index.close()
    with ck.ChromaIndex(len, path):
        pass


def test_kill_9_frees_the_directory_and_loses_nothing_acknowledged(path: Path) -> None:
    holder = python(HOLD, path, 100_000)
    for _ in range(20):
        acknowledged = int(holder.stdout.readline())
    with pytest.raises(IndexLocked) as caught:
        ck.ChromaIndex(len, path)
    assert caught.value.pid == holder.pid
    holder.kill()
    rest = holder.communicate()[0].split("\n")
    assert holder.returncode == -signal.SIGKILL
    acknowledged = max([acknowledged, *map(int, rest[:-1])])

    with ck.ChromaIndex(len, path) as index:
        names = [f"n{number}-{part}" for number in range(acknowledged + 1) for part in range(5)]
        assert held(index, ("t", "u", "c"), names) == names


def test_a_process_that_ends_without_closing_frees_it(path: Path) -> None:
    holder = python(HOLD, path, 1)
    assert holder.communicate("\n")[0].split() == ["0", "holds"]
    assert holder.returncode == 0

    with ck.ChromaIndex(len, path) as index:
        assert held(index, ("t", "u", "c"), ["n0-0"]) == ["n0-0"]


def open_files(path: Path) -> list[str]:
    """What this process has open below a directory."""
    links = Path("/proc/self/fd")
    if not links.exists():
        pytest.skip("the system does not say which files are open")
    targets = []
    for link in links.iterdir():
        with suppress(OSError):
            targets.append(str(link.readlink()))
    return [target for target in targets if target.startswith(str(path))]


@pytest.mark.parametrize("closes", [True, False])
def test_a_closed_or_forgotten_index_has_nothing_open(path: Path, closes: bool) -> None:
    index = ck.ChromaIndex(len, path)
    index.add(KEY, NAMES, ROWS)
    assert len(open_files(path)) > 1
    if closes:
        index.close()
    else:
        del index

    deadline = monotonic() + 30
    while open_files(path) and monotonic() < deadline:
        sleep(0.002)  # Chroma's idle connections to SQLite end a moment later, by themselves
    assert open_files(path) == []
    with ck.ChromaIndex(len, path) as again:
        assert held(again) == NAMES


def test_a_closed_index_says_so(index: ck.ChromaIndex) -> None:
    index.close()
    index.close()

    for refused in (
        lambda: index.vectors(KEY, NAMES),
        lambda: index.add(KEY, NAMES, ROWS),
        lambda: index.forget(SCOPE),
        index.reindex,
    ):
        with pytest.raises(IndexUnusable, match="was closed"):
            refused()


def test_one_thread_may_close_what_another_has_opened(path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        index = pool.submit(ck.ChromaIndex, len, path).result()
        index.close()

        assert ends(ASK, path) == ""


FORK = """
import os, sys, contextkit as ck
from contextkit.errors import IndexLocked, IndexUnusable
index = ck.ChromaIndex(len, sys.argv[1])
index.add(("t",), ["a"], [[1.0, 0.0]])
child = os.fork()
if child == 0:
    for refused in (lambda: index.vectors(("t",), ["a"]), lambda: ck.ChromaIndex(len, sys.argv[1])):
        try:
            refused()
        except IndexUnusable as error:
            print(type(error).__name__, flush=True)
    index.close()
    del index
    sys.exit(7)  # ends as every process does, with whatever Chroma left to be destroyed
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
print(list(index.vectors(("t",), ["a", "b"])), flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_is_refused_ends_and_leaves_the_lock_to_its_parent(path: Path) -> None:
    source = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + FORK
    parent = python(source, path)
    said = [parent.stdout.readline().strip() for _ in range(4)]
    assert said == ["IndexUnusable", "IndexLocked", "7", "['a']"]
    with pytest.raises(IndexLocked):
        ck.ChromaIndex(len, path)
    parent.communicate("\n")

    with ck.ChromaIndex(len, path) as index:
        assert held(index, ("t",), ["a"]) == ["a"]


ORPHAN = """
import os, sys, time, contextkit as ck
index = ck.ChromaIndex(len, sys.argv[1])
if os.fork() == 0:
    print(os.getpid(), flush=True)  # by then it has let go of what it inherited
    time.sleep(120)
    os._exit(0)
sys.stdin.readline()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_that_lives_on_does_not_keep_the_directory(path: Path) -> None:
    source = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)\n" + ORPHAN
    parent = python(source, path)
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        ck.ChromaIndex(len, path).close()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


# -- scopes ----------------------------------------------------------------------------------


def test_a_collection_for_each_tenant_and_one_for_histories_without_scope(
    index: ck.ChromaIndex,
) -> None:
    for scope in (("t", "u", "c"), ("t", "v", "d"), ("s", "u", "c"), ("one",), ("two",)):
        index.add(scope, ["a"], [[1, 0]])

    with index._directory.client() as client:
        sizes = sorted(collection.count() for collection in client.list_collections())
    assert sizes == [1, 2, 2]


@pytest.mark.parametrize("metadata", [{"scope": "another"}, {"scope": ""}])
def test_a_row_of_another_scope_is_never_given(index: ck.ChromaIndex, metadata: Any) -> None:
    index.add(KEY, NAMES, ROWS)
    with index._directory.client() as client:
        collection = client.get_collection(collection_name(KEY), embedding_function=None)
        collection.update(ids=collection.get()["ids"][:1], metadatas=[metadata])

    with pytest.raises(IndexCorrupt, match="another scope") as caught:
        index.vectors(KEY, NAMES)
    assert caught.value.path == index.path
    history = ck.History(chat(14), scope=SCOPE)
    assert builder(tail=[ck.Retrieve(index, share=60)]).build(history).messages


def test_a_row_that_somebody_else_wrote_is_never_given(index: ck.ChromaIndex) -> None:
    index.add(KEY, NAMES, ROWS)
    with index._directory.client() as client:
        collection = client.get_collection(collection_name(KEY), embedding_function=None)
        collection.update(ids=collection.get()["ids"][:1], embeddings=[[9.0, 9.0, 9.0, 9.0]])

    with pytest.raises(IndexCorrupt, match="not stored here"):
        index.vectors(KEY, NAMES)


def test_a_collection_that_somebody_else_made_is_refused(index: ck.ChromaIndex) -> None:
    index.add(KEY, NAMES, ROWS)
    with index._directory.client() as client:
        name = collection_name(KEY)
        client.delete_collection(name)
        client.create_collection(name, embedding_function=None).add(["x"], [[1.0, 2.0]])

    for refused in (
        lambda: index.add(KEY, NAMES, ROWS),
        lambda: index.vectors(KEY, NAMES),
    ):
        with pytest.raises(IndexCorrupt, match="not made here"):
            refused()


# -- erasure ---------------------------------------------------------------------------------


def test_a_scope_that_is_forgotten_is_gone_and_the_others_stay(
    index: ck.ChromaIndex, path: Path
) -> None:
    for scope in (KEY, OTHER, ("one",)):
        index.add(scope, NAMES, ROWS)

    assert (index.forget(SCOPE), index.forget(KEY), index.forget(("nobody",))) == (3, 0, 0)
    assert held(index) == []
    index.close()
    with ck.ChromaIndex(len, path) as again:
        assert held(again) == []
        assert held(again, OTHER) == held(again, ("one",)) == NAMES
        again.add(KEY, NAMES[:1], ROWS[:1])
        assert held(again) == ["a"]


def test_neither_texts_nor_names_are_on_the_disk(path: Path) -> None:
    scope = ck.Scope("tenantname", "username", "conversationname")
    history = ck.History(chat(14), scope=scope)
    history.append("vaultcode " * 3)
    with ck.ChromaIndex(Embedder(), path) as index:
        builder(tail=[ck.Retrieve(index, share=60)]).build(history)
        assert index.embed.texts
    kept = b"".join(file.read_bytes() for file in path.rglob("*") if file.is_file())

    assert b"contextkit-2-" in kept
    for word in (*scope.key, history.id, "vaultcode", "q0 q0", history.prefix_hash(2, "main")):
        assert word.encode() not in kept


# -- in a build ------------------------------------------------------------------------------

BUILD = """
import json, sys, contextkit as ck
from tests.support import SCOPE, builder, wire
from tests.indexed import Embedder
embed = Embedder()
with ck.ChromaIndex(embed, sys.argv[1]) as index:
    history = ck.History(json.loads(sys.argv[2]), scope=SCOPE)
    history.id = "fixed"  # else its delimiters differ
    context = builder(500, tail=[ck.Retrieve(index, share=120)]).build(history)
    print(json.dumps([wire(context), [e.kind for e in context.edits], embed.texts]))
"""


def test_a_new_process_builds_the_same_and_embeds_only_the_question(path: Path) -> None:
    messages = vault()
    first, later = (json.loads(ends(BUILD, path, json.dumps(messages))) for _ in range(2))

    assert "insert" in first[1]
    assert "4711" in first[0]
    assert later[:2] == first[:2]
    assert len(first[2]) > 10
    assert later[2] == [messages[-1]["content"]]


def test_it_builds_the_bytes_that_the_index_in_memory_builds(index: ck.ChromaIndex) -> None:
    built = []
    for each in (index, ck.VectorIndex(Embedder())):
        history = ck.History(vault(), scope=SCOPE)
        history.id = "fixed"
        built.append(wire(builder(500, tail=[ck.Retrieve(each, share=120)]).build(history)))

    assert built[0] == built[1]
    assert "4711" in built[0]


def test_threads_share_one_index(index: ck.ChromaIndex) -> None:
    check_threads(index, turns=6, conversations=24)


class PanicException(BaseException):
    """What pyo3 makes of a panic: no Exception."""


@pytest.mark.parametrize("error", [RuntimeError("disk full"), PanicException("in Rust")])
@pytest.mark.parametrize("method", ["get", "upsert"])
def test_an_index_that_fails_fails_no_build(
    index: ck.ChromaIndex, monkeypatch: pytest.MonkeyPatch, method: str, error: BaseException
) -> None:
    from chromadb import Collection

    def fails(*_: Any, **__: Any) -> None:
        raise error

    index.add(KEY, ["x"], np.ones((1, 32)))
    history = ck.History(vault(), scope=SCOPE)
    monkeypatch.setattr(Collection, method, fails)
    context = builder(500, tail=[ck.Retrieve(index, share=120)]).build(history)
    monkeypatch.undo()
    history.extend([answer("I do not know"), user("the code of the vault ?")])
    again = builder(500, tail=[ck.Retrieve(index, share=120)]).build(history)

    assert "4711" in context.messages[-1]["content"]  # by words, and what vectors have come
    assert any(str(error) in failure for failure in context.report.failures)
    assert again.report.failures == ()
    assert index.forget(SCOPE) > 10


def test_a_closed_index_fails_no_build(index: ck.ChromaIndex) -> None:
    index.close()
    history = ck.History(vault(), scope=SCOPE)
    context = builder(500, tail=[ck.Retrieve(index, share=120)]).build(history)

    assert any("was closed" in failure for failure in context.report.failures)


def test_whatever_else_ends_a_program_goes_through(
    index: ck.ChromaIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    from chromadb import Collection

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    index.add(KEY, NAMES, ROWS)
    monkeypatch.setattr(Collection, "get", interrupted)
    with pytest.raises(KeyboardInterrupt):
        index.vectors(KEY, NAMES)
    monkeypatch.undo()

    assert held(index) == NAMES


# -- the directory ---------------------------------------------------------------------------


def test_many_tenants_do_not_stay_open(
    index: ck.ChromaIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "_MOST_TOUCHED", 4)
    opened = []
    real = directory.opened
    monkeypatch.setattr(directory, "opened", lambda path: opened.append(path) or real(path))
    scopes = [(f"tenant {number}", "u", "c") for number in range(12)]
    for scope in scopes:
        index.add(scope, NAMES, ROWS)
        assert len(index._directory.touched) <= 4

    assert opened == [index.path] * 2
    assert all(held(index, scope) == NAMES for scope in scopes)


def test_a_client_that_could_not_be_opened_anew_is_opened_later(
    index: ck.ChromaIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str) -> None:
        raise OSError("no space left")

    index.add(KEY, NAMES, ROWS)
    with monkeypatch.context() as broken:
        broken.setattr(directory, "_MOST_TOUCHED", 1)
        broken.setattr(directory, "opened", fails)
        for _ in range(2):
            with pytest.raises(IndexUnusable, match="no space left"):
                index.vectors(KEY, NAMES)

    assert held(index) == NAMES


def test_nothing_is_told_to_chromas_makers(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_text("ANONYMIZED_TELEMETRY=True\n", "utf-8")
    monkeypatch.setenv("CHROMA_API_IMPL", "chromadb.api.fastapi.FastAPI")
    monkeypatch.setenv("CHROMA_OTEL_COLLECTION_ENDPOINT", "http://localhost:1")
    with ck.ChromaIndex(len, path) as index, index._directory.client() as client:
        settings = client.get_settings()

    assert settings.anonymized_telemetry is False
    assert settings.chroma_otel_collection_endpoint == ""
    assert (path / "chroma.sqlite3").exists()


def test_a_damaged_directory_is_a_typed_error_and_is_let_go(path: Path) -> None:
    with ck.ChromaIndex(len, path) as index:
        index.add(KEY, NAMES, ROWS)
    whole = (path / "chroma.sqlite3").read_bytes()
    (path / "chroma.sqlite3").write_bytes(b"junk" * 1_000)
    for _ in range(2):  # the second would be locked if the first had kept it
        with pytest.raises(IndexUnusable, match="delete the directory") as caught:
            ck.ChromaIndex(len, path)
        assert not isinstance(caught.value, IndexLocked)
    (path / "chroma.sqlite3").write_bytes(whole)

    with ck.ChromaIndex(len, path) as index:
        assert held(index) == NAMES


def test_a_table_that_is_gone_is_a_typed_error(index: ck.ChromaIndex, path: Path) -> None:
    index.add(KEY, NAMES, ROWS)
    with closing(sqlite3.connect(path / "chroma.sqlite3")) as other:
        other.execute("DROP TABLE collections")

    with pytest.raises(IndexUnusable, match="Chroma says"):
        index.vectors(KEY, NAMES)


@pytest.mark.parametrize("bad", [None, "", 3, b"x", "a\0b", "\ud800"])
def test_what_is_no_directory_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match=r"ChromaIndex\.path"):
        ck.ChromaIndex(len, bad)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(IndexUnusable, match="cannot be made"):
        ck.ChromaIndex(len, tmp_path / "file" / "vectors")
    with pytest.raises(InputError, match=r"ChromaIndex\.embed"):
        ck.ChromaIndex(None, tmp_path / "x")  # type: ignore[arg-type]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("package", ["chromadb", "filelock"])
def test_a_missing_extra_says_what_mends_it(
    package: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r"pip install 'contextkit\[chroma\]'") as caught:
        ck.ChromaIndex(len, path)

    assert caught.value.package == package
    assert not path.exists()


def test_the_directory_is_for_its_owner_alone(index: ck.ChromaIndex, path: Path) -> None:
    if os.name == "posix":
        assert path.stat().st_mode & 0o077 == 0


# -- damage ----------------------------------------------------------------------------------


def test_a_crash_is_tried_out_in_another_process(
    index: ck.ChromaIndex, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []
    monkeypatch.setattr(directory, "crashes", lambda where: tried.append(where) or True)
    index.add(KEY, NAMES, ROWS)
    index.close()
    with ck.ChromaIndex(Embedder(), path):  # closed as it should be: not tried
        pass
    (path / "contextkit.inside").touch()  # what is left of a process that died in Chroma
    for _ in range(2):
        with pytest.raises(IndexCorrupt, match=r"makes Chroma crash.*Delete the directory"):
            ck.ChromaIndex(Embedder(), path)
    assert tried == [str(path)] * 2
    monkeypatch.undo()

    with ck.ChromaIndex(Embedder(), path) as again:  # it does not crash
        assert held(again) == NAMES
        assert again.forget(KEY) == 3
