"""The index on a real Chroma server: shared, restarted, out of reach; scopes apart."""

import asyncio
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import chromadb
import numpy as np
import pytest

import contextkit as ck
from contextkit.errors import (
    IndexCorrupt,
    IndexUnreachable,
    IndexUnusable,
    InputError,
)
from contextkit.retrieval import chroma_rows
from contextkit.retrieval.chroma_rows import collection_name
from contextkit.testing import check_index
from tests.chroma_process import ChromaProcess
from tests.indexed import KEY, NAMES, ROWS, Embedder, ends, held, same, vault
from tests.support import SCOPE, answer, builder, user, wire

KILLS = 200 if "CONTEXTKIT_SOAK" in os.environ else 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: Any) -> Iterator[ChromaProcess]:
    with ChromaProcess(tmp_path_factory.mktemp("chroma") / "data") as process:
        yield process


@pytest.fixture
def server(running: ChromaProcess) -> ChromaProcess:
    """The server with nothing on it."""
    client = running.client()
    for collection in client.list_collections():
        client.delete_collection(collection.name)
    return running


@pytest.fixture
def index(server: ChromaProcess) -> ck.ChromaServerIndex:
    return ck.ChromaServerIndex(Embedder(), server.client())


def emptied(client: Any) -> Any:
    for collection in client.list_collections():
        client.delete_collection(collection.name)
    return client


# -- the contract ----------------------------------------------------------------------------


def test_both_clients_keep_the_contract(server: ChromaProcess) -> None:
    async def make() -> ck.ChromaServerIndex:
        emptied(server.client())
        return ck.ChromaServerIndex(Embedder(), await server.async_client())

    check_index(lambda: ck.ChromaServerIndex(Embedder(), emptied(server.client())))
    check_index(make)


def test_it_gives_the_bytes_of_the_index_in_memory(
    index: ck.ChromaServerIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"n{number}" for number in range(6_000)]  # more than it takes at once
    rows = np.random.default_rng(1).normal(size=(6_000, 4))
    reference = ck.VectorIndex(Embedder())
    for each in (index, reference):
        each.add(KEY, names, rows)
    assert same(index, reference, KEY, names[::-1])
    monkeypatch.setattr(chroma_rows, "_BYTES", 900)  # fewer, where rows are long
    for each in (index, reference):
        each.add(KEY, ["x", *names[:200]], np.eye(201, 4) + 0.1)

    assert same(index, reference, KEY, ["x", *names[:300]])


def test_it_builds_the_bytes_that_the_index_in_memory_builds(server: ChromaProcess) -> None:
    def building(index: Any) -> tuple[ck.ContextBuilder, ck.History]:
        history = ck.History(vault(), scope=SCOPE)
        history.id = "fixed"
        return builder(500, tail=[ck.Retrieve(index, share=120)]), history

    async def later() -> tuple[str, str]:
        index = ck.ChromaServerIndex(Embedder(), await server.async_client())
        by, history = building(index)
        with pytest.raises(InputError, match="is async: use abuild"):
            by.build(history)
        return wire(await by.abuild(history)), wire(await by.abuild(history))

    sync = [ck.VectorIndex(Embedder()), ck.ChromaServerIndex(Embedder(), server.client())]
    built = [wire(by.build(history)) for by, history in map(building, sync)]

    assert "4711" in built[0]
    assert {*built, *asyncio.run(later())} == {built[0]}


# -- several processes -----------------------------------------------------------------------

WRITE = """
import sys, chromadb, contextkit as ck
client = chromadb.HttpClient("127.0.0.1", int(sys.argv[1]))
index, me = ck.ChromaServerIndex(len, client), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(8):
    for tenant in (f"tenant {number}", "t"):  # most are new to all of them
        scope = (tenant, "u", "c")
        index.add(scope, ["shared", f"{me}-{number}"], [[1.0, 2.0], [1.0, number]])
        assert len(index.vectors(scope, ["shared", f"{me}-{number}"])) == 2
"""


def test_processes_write_and_read_at_once(index: ck.ChromaServerIndex, server: Any) -> None:
    from tests.indexed import python

    writers = [python(WRITE, server.port, me) for me in range(3)]
    assert [writer.stdout.readline() for writer in writers] == ["ready\n"] * 3
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=120)
    assert [writer.returncode for writer in writers] == [0] * 3

    names = [f"{me}-{number}" for me in range(3) for number in range(8)]
    assert held(index, ("t", "u", "c"), names) == names
    assert index.forget(("t", "u", "c")) == 25  # nothing twice
    for number in range(8):
        assert index.forget((f"tenant {number}", "u", "c")) == 4


def test_a_process_that_begins_finds_what_another_added(
    index: ck.ChromaServerIndex, server: ChromaProcess
) -> None:
    index.add(KEY, NAMES, ROWS)
    source = """
import sys, chromadb, contextkit as ck
index = ck.ChromaServerIndex(len, chromadb.HttpClient("127.0.0.1", int(sys.argv[1])))
print(list(index.vectors(("tenant", "user", "conversation"), ["d", "b", "a"])))
"""
    assert ends(source, server.port).strip() == "['b', 'a']"


# -- out of reach ----------------------------------------------------------------------------


def test_a_restart_is_survived(tmp_path: Path) -> None:
    with ChromaProcess(tmp_path / "data") as server:
        client = server.client()
        index = ck.ChromaServerIndex(Embedder(), client)
        assert held(index) == []
        history = ck.History(vault(), scope=SCOPE)
        by = builder(500, tail=[ck.Retrieve(index, share=120)])
        server.kill()
        for refused in (
            lambda: held(index),
            lambda: index.add(KEY, NAMES, ROWS),
            lambda: index.forget(KEY),
            index.reindex,
        ):
            with pytest.raises(IndexUnreachable, match=f"127.0.0.1:{server.port}") as caught:
                refused()
            assert caught.value.retryable
        context = by.build(history)
        assert "4711" in context.messages[-1]["content"]  # by words alone
        assert any("cannot be reached" in failure for failure in context.report.failures)
        server.start()
        history.extend([answer("I do not know"), user("the code of the vault ?")])
        assert not by.build(history).report.failures

        server.kill()  # now with a connection that is kept
        server.start()
        assert index.forget(KEY) > 10


def test_a_server_that_hangs_is_not_waited_for(server: ChromaProcess) -> None:
    async def ask() -> None:
        index = ck.ChromaServerIndex(Embedder(), await server.async_client(), timeout=0.2)
        server.pause()
        await index.vectors(KEY, NAMES)

    client = server.client()
    index = ck.ChromaServerIndex(Embedder(), client, timeout=0.2)
    try:
        with pytest.raises(IndexUnreachable, match=r"within 0\.2 s"):
            asyncio.run(ask())
        with pytest.raises(IndexUnreachable, match=r"within 0\.2 s"):
            index.vectors(KEY, NAMES)
    finally:
        server.go_on()
    assert index.vectors(KEY, NAMES) == {}


def test_kill_9_of_the_server_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """Several threads add; the server is killed at random moments and started again."""
    rng = random.Random(11)
    acknowledged: list[str] = []
    enough, running, ended = Event(), Event(), Event()

    def write(me: int, index: ck.ChromaServerIndex) -> int:
        number = failures = 0
        while not ended.is_set():
            names = [f"{me}-{number}-{part}" for part in range(5)]
            try:
                index.add(KEY, names, [[1.0, number % 7, part] for part in range(5)])
            except IndexUnusable:
                failures += 1
                enough.set()
                running.wait(60)
                continue  # the same again
            number += 1
            acknowledged.extend(names)
            if rng.random() < 0.2:
                enough.set()
        return failures

    with ChromaProcess(tmp_path / "data") as server, ThreadPoolExecutor(3) as pool:
        index = ck.ChromaServerIndex(Embedder(), server.client())
        running.set()
        writers = [pool.submit(write, me, index) for me in range(3)]
        for _ in range(KILLS):
            enough.clear()
            assert enough.wait(60)
            running.clear()
            server.kill()
            server.start()
            running.set()
            known = list(acknowledged)
            assert held(index, KEY, known) == known
        ended.set()
        failures = [writer.result() for writer in writers]
        known = list(acknowledged)
        assert held(index, KEY, known) == known
        assert index.forget(KEY) == len(known)  # nothing twice, and nothing half

    assert sum(failures) >= KILLS // 2
    assert len(known) > 5 * KILLS


# -- what is not ours ------------------------------------------------------------------------


def test_a_row_of_another_scope_or_maker_is_never_given(
    index: ck.ChromaServerIndex, server: ChromaProcess
) -> None:
    index.add(KEY, NAMES, ROWS)
    collection = server.client().get_collection(collection_name(KEY), embedding_function=None)
    row = collection.get()["ids"][0]
    collection.update(ids=[row], metadatas=[{"scope": "another"}])
    with pytest.raises(IndexCorrupt, match=f"another scope.*collection {collection.name}"):
        index.vectors(KEY, NAMES)
    index.add(KEY, NAMES, ROWS)
    collection.update(ids=[row], embeddings=[[9.0, 9.0, 9.0, 9.0]])
    with pytest.raises(IndexCorrupt, match="not stored here"):
        index.vectors(KEY, NAMES)
    server.client().delete_collection(collection.name)
    server.client().create_collection(collection.name, embedding_function=None)
    with pytest.raises(IndexCorrupt, match="not made here"):
        index.vectors(KEY, NAMES)


def test_a_collection_deleted_in_the_middle_is_made_again(
    index: ck.ChromaServerIndex, server: ChromaProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.add(KEY, NAMES, ROWS)
    get_max, other = index._client.get_max_batch_size, server.client()
    left = [1]

    def meanwhile() -> int:
        if left:
            left.pop()
            other.delete_collection(collection_name(KEY))
        return get_max()

    monkeypatch.setattr(index._client, "get_max_batch_size", meanwhile)
    index.add(KEY, ["x"], ROWS[:1])

    assert held(index, KEY, ["x", *NAMES]) == ["x"]


def test_what_chroma_refuses_is_a_typed_error(
    index: ck.ChromaServerIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("quota exceeded")

    monkeypatch.setattr(index._client, "get_collection", refuse)
    with pytest.raises(IndexUnusable, match=r"quota exceeded.*same version"):
        index.vectors(KEY, NAMES)


def test_what_is_no_client_of_a_server_is_refused(tmp_path: Path) -> None:
    unawaited = chromadb.AsyncHttpClient("127.0.0.1", 9)
    embedded = chromadb.PersistentClient(tmp_path / "x")
    try:
        for bad in (None, "http://127.0.0.1", unawaited, embedded):
            with pytest.raises(InputError, match=r"await\s+chromadb\.AsyncHttpClient.*ChromaIndex"):
                ck.ChromaServerIndex(len, bad)
    finally:
        unawaited.close()
        embedded.close()


def test_settings_that_cannot_be_are_refused(server: ChromaProcess) -> None:
    client = server.client()
    for bad in (None, 0, -1, "x", True, float("nan")):
        with pytest.raises(InputError, match=r"ChromaServerIndex\.timeout"):
            ck.ChromaServerIndex(len, client, timeout=bad)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"ChromaServerIndex\.embed"):
        ck.ChromaServerIndex(None, client)  # type: ignore[arg-type]


def test_neither_texts_nor_names_are_on_the_server(tmp_path: Path) -> None:
    scope = ck.Scope("tenantname", "username", "conversationname")
    with ChromaProcess(tmp_path / "data") as server:
        index = ck.ChromaServerIndex(Embedder(), server.client())
        history = ck.History(vault(), scope=scope)
        builder(500, tail=[ck.Retrieve(index, share=120)]).build(history)
        kept = b"".join(file.read_bytes() for file in server.path.rglob("*") if file.is_file())

    assert b"contextkit-2-" in kept
    for word in (*scope.key, history.id, "4711", "filler"):
        assert word.encode() not in kept
