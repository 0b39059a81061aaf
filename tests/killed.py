"""A worker that appends turns, puts documents and feeds an index, until it is killed.

`python -m tests.killed FOLDER INDEX KILLS SEED` starts it, kills it with kill -9 and looks at what
is there, again and again over the same files: at random moments, and at each of the points where
a crash could come between message, outbox and vector. Each worker is a fork of this process, which
has everything imported and nothing open; it begins by looking at what the one before has left.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import traceback
from collections.abc import Callable, Collection
from functools import partial
from hashlib import blake2b
from itertools import count
from pathlib import Path
from shutil import rmtree
from time import sleep
from typing import Any

import numpy as np

import contextkit as ck
from contextkit.errors import IndexUnusable
from contextkit.records import record_to_json
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import address_of
from contextkit.storage import outbox
from contextkit.store import RecallStore

SCOPES = [ck.Scope("acme", f"u{number % 2}", f"{number}") for number in range(3)]
SHELVES = [("acme", "u0"), ("acme", None)]


class Embedder:
    """Vectors of texts that anybody can make again."""

    name = "killed"

    def __call__(self, texts: Any) -> np.ndarray:
        seeds = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])


def opened(kind: str, folder: Path) -> tuple[ck.SQLiteStore, Any]:
    store = ck.SQLiteStore(folder / "chat.db")
    if kind == "chroma":
        return store, ck.ChromaIndex(Embedder(), folder / "chroma")
    if kind.startswith("server:"):
        import chromadb

        client = chromadb.HttpClient("127.0.0.1", int(kind.removeprefix("server:")))
        return store, ck.ChromaServerIndex(Embedder(), client)
    return store, ck.SQLiteIndex(Embedder(), folder / "vectors")


# -- the worker ------------------------------------------------------------------------------

POINTS = {
    "before the outbox is written": (outbox, "enter", "before"),
    "before the transaction ends": (outbox, "enter", "after"),
    "when a turn is kept": (ck.SQLiteStore, "append", "after"),
    "when a document is kept": (ck.SQLiteStore, "put_document", "after"),
    "before a document is in the outbox": (outbox, "enter_document", "before"),
    "before the embedder": (Embedder, "__call__", "before"),
    "before vectors are stored": (None, "add", "before"),
    "when vectors are stored": (None, "add", "after"),
    "before an entry is done": (ck.SQLiteStore, "done", "before"),
    "inside of done": (outbox, "leave", "after"),
    "when an entry is done": (ck.SQLiteStore, "done", "after"),
}


def kill_at(owner: Any, name: str, moment: str, which: int) -> None:
    """Kill this process at the given call of a function."""
    function, calls = getattr(owner, name), count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        last = next(calls) == which
        if last and moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*arguments, **named)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def work(
    kind: str,
    folder: Path,
    acknowledged: frozenset[int],
    acknowledge: int,
    *,
    first: int,
    point: str,
    which: int,
) -> None:
    """Look at what the one before has left; then append and feed without end.

    Each turn is acknowledged as soon as it is kept.
    """
    store, index, look = begun(kind, folder, acknowledged)
    if point:
        owner, name, moment = POINTS[point]
        kill_at(type(index) if owner is None else owner, name, moment, which)
    kinds: dict[str, ck.Documents] = {
        of: ck.Documents(store, of=of)  # type: ignore[arg-type]
        for of in ("user", "tenant")
    }
    os.write(acknowledge, f"{look}\n".encode())
    for number in count(first):
        scope = SCOPES[number % 3]
        # What was said before has the same address: it must not be there twice.
        texts = [f"Question {number} of {scope.conversation}?", f"Answer {number % 5}."]
        history = ck.History([texts[0], {"role": "assistant", "content": texts[1]}])
        records = [record_to_json(record) for record in history.records]
        store.append(scope, records, expected=None)
        os.write(acknowledge, f"{number}\n".encode())
        if number % 4 == 0:
            tenant, user = SHELVES[number % 8 // 4]
            of = "tenant" if user is None else "user"
            text = "\n\n".join(f"# Part {n}\n\nOf document {number}." for n in range(number % 7))
            source = f"{number % 3}.md"
            if text:
                kinds[of].add_document(text, source=source, tenant=tenant, user=user)
            else:
                kinds[of].remove_document(source, tenant=tenant, user=user)
        if number % 2:
            fed = ck.feed(store, index, words=False, batch=4)
            if fed.error is not None:
                raise fed.error


def begun(
    kind: str, folder: Path, acknowledged: Collection[int], *, last: bool = False
) -> tuple[ck.SQLiteStore, Any, str]:
    """Store and index, and what is there.

    Chroma's own files may be torn by a kill in the middle of writing them. Then it is done as the
    error says: the directory is deleted, and filled again.
    """
    store, index = None, None
    try:
        store, index = opened(kind, folder)
        return store, index, looked_at(store, index, acknowledged, last=last)
    except IndexUnusable:
        if kind != "chroma":
            raise
        if index is not None:
            index.close()
    rmtree(folder / "chroma")
    store, index = opened(kind, folder)
    assert store.pend_all() > 0
    return store, index, f"{looked_at(store, index, acknowledged, last=last)} torn"


# -- the look --------------------------------------------------------------------------------


def looked_at(
    store: ck.SQLiteStore, index: Any, acknowledged: Collection[int], *, last: bool = False
) -> str:
    """What is there after a restart and another feed: the facts, or an AssertionError."""
    pending = len(store.pending(1_000))
    fed = ck.feed(store, index, words=False)
    if fed.error is not None:
        raise fed.error
    assert fed.left == 0
    assert store.pending(1_000) == [], "nothing is left in the outbox"
    held, kept = 0, set()
    for scope, texts, turns in everything(store):
        addresses = list({address_of(text) for text in texts})
        assert len(index.vectors(scope, addresses)) == len(addresses), "no vector is missing"
        held, kept = held + len(addresses), kept | turns
        if last and scope[2]:  # of documents, vectors of those that were replaced are there, too
            assert index.forget(scope) == len(addresses), "nothing is there twice"
    assert kept.issuperset(acknowledged), "no turn that was kept is lost"
    return f"{pending} {held}"


def everything(store: RecallStore) -> Any:
    """By scope the texts whose vectors must be there, and the turns that are kept."""
    for scope in SCOPES:
        turns = set()
        records = store.load(scope)
        said = [record["message"]["content"] for record in records if record["type"] == "message"]
        for question, answer in zip(said[::2], said[1::2], strict=True):
            number = int(question.split()[1])
            assert question == f"Question {number} of {scope.conversation}?"
            assert answer == f"Answer {number % 5}.", "turns are whole"
            turns.add(number)
        texts = [f"{'user' if not at % 2 else 'assistant'}: {text}" for at, text in enumerate(said)]
        assert len(turns) == len(said) // 2, "no turn is there twice"
        yield scope.key, texts, turns
    for of, (tenant, user) in zip(("user", "tenant"), SHELVES, strict=True):
        documents = ck.Documents(store, of=of)  # type: ignore[arg-type]
        corpus = Corpus()
        asks = ck.Scope(tenant, user or "u1", "42")
        for passage in documents.read(asks).added:
            corpus.append(passage)
        yield documents.owner(asks), list(corpus.wanted().values()), set()


# -- the kills -------------------------------------------------------------------------------


def forked(target: Callable[[], Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        target()
        code = 0
    except BaseException:  # noqa: BLE001 - it must end here, and say why
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def main(folder: Path, kind: str, kills: int, seed: int) -> None:
    if kind != "sqlite":
        import chromadb  # noqa: F401 - once, not in each fork; it starts no thread
    draw = random.Random(seed)
    acknowledged: set[int] = set()
    by_point: dict[str, int] = {}
    points = [*POINTS]
    looks = []
    for kill in range(kills):
        at_point = kill < len(points) or kill % 2
        point = points[kill // (1 if kill < len(points) else 2) % len(points)] if at_point else ""
        which = draw.randint(1, 6)
        end, begin = os.pipe()
        before = frozenset(acknowledged)
        worker = forked(
            partial(work, kind, folder, before, begin, first=1_000 * kill, point=point, which=which)
        )
        os.close(begin)
        with os.fdopen(end, "rb") as pipe:
            looks.append(pipe.readline().decode())
            if not point and looks[-1]:
                sleep(draw.uniform(0, 0.15))
                os.kill(worker, signal.SIGKILL)
            _, status = os.waitpid(worker, 0)
            lines = pipe.read().decode().split("\n")[:-1]
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"kill {kill}: {point}"
        acknowledged.update(map(int, lines))
        by_point[point or "at a random moment"] = by_point.get(point or "at a random moment", 0) + 1
    looks.append(begun(kind, folder, acknowledged, last=True)[2])
    told = {
        "kills": kills,
        "acknowledged": len(acknowledged),
        "points": by_point,
        "interrupted": sum(look.split()[0] != "0" for look in looks),
        "vectors": int(looks[-1].split()[1]),
        "torn": sum("torn" in look for look in looks),
    }
    print(json.dumps(told))  # noqa: T201 - for who started it


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
