"""An index is fed with what the store's outbox names: all of it, once, whatever fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from shutil import rmtree
from threading import Barrier, BrokenBarrierError
from typing import Any

import numpy as np
import pytest

import contextkit as ck
from contextkit.errors import (
    BudgetError,
    EmbeddingError,
    IndexCorrupt,
    IndexUnreachable,
    InputError,
    StoreBusy,
)
from contextkit.records import record_to_json
from contextkit.retrieval import feeding
from contextkit.retrieval.passages import address_of
from contextkit.store import Pending
from tests.recall_stores import Four
from tests.support import builder
from tests.test_recall import say, scope

LONG = "The fox is quick and it is brown. " * 30


class Embedder:
    """Vectors of texts that anybody can make again; notes what it was given."""

    name = "feeding"

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.fails: set[str] = set()
        self.error: Exception = ConnectionError("private words")

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        self.batches.append(list(texts))
        if any(bad in text for bad in self.fails for text in texts):
            raise self.error
        seeds = [int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) for text in texts]
        return np.stack([np.random.default_rng(seed).normal(size=8) for seed in seeds])

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]


@pytest.fixture
def store() -> Iterator[ck.SQLiteStore]:
    with ck.SQLiteStore(":memory:") as made:
        yield made


def test_what_is_new_is_embedded_once(store: ck.SQLiteStore) -> None:
    embed = Embedder()
    index = ck.VectorIndex(embed)
    say(store, "a", "one", {"role": "assistant", "content": "two"})
    say(store, "b", "one")
    assert ck.feed(store, index, words=False) == feeding.Fed(entries=2, vectors=3)
    assert sorted(embed.texts) == ["assistant: two", "user: one", "user: one"]
    assert store.pending(9) == []

    embed.batches.clear()
    assert ck.feed(store, index, words=False) == feeding.Fed()
    say(store, "a", "three", "one")  # said again
    assert ck.feed(store, index, words=False) == feeding.Fed(entries=1, vectors=1)
    assert embed.texts == ["user: three"]
    assert store.pend_all() == 2
    assert ck.feed(store, index, words=False) == feeding.Fed(entries=2)
    assert index.forget(scope("a")) == 3


def test_a_build_finds_what_was_fed(store: ck.SQLiteStore) -> None:
    """The question alone is embedded in the build: of messages, words and documents nothing."""
    embed = Embedder()
    index = ck.VectorIndex(embed)
    documents = ck.Documents(store)
    documents.add_document(f"# Foxes\n\n{LONG}", source="a.md", tenant="acme", user="u1")
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    said = [
        f"My cat is called Mia. {LONG}",
        {"role": "assistant", "content": "A fine name for a cat."},
        {"role": "user", "content": "And what of foxes?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "Foxes are quick."},
        {"role": "assistant", "content": "Foxes are quick, they say."},
    ]
    say(store, "41", *said)
    assert ck.feed(store, index).error is None
    assert not any("tool:" in text for text in embed.texts)
    embed.batches.clear()

    question = "What is my cat called, and what of foxes?"
    history = ck.History([*said, question], scope=scope("41"))
    hides = [ck.KeepLast(1)]
    for source in (None, documents):
        fed = builder(
            900, store=store, tail=[ck.Retrieve(index, source, share=300)], compaction=hides
        )
        sent = fed.build(history if source is None else ck.History([question], scope=scope("9")))
        assert "Foxes" in str(sent.request()["messages"])
    texts = set(embed.texts)
    assert question in texts
    assert all(text in question for text in texts), "words of the question at most"


def test_long_term_recall_finds_what_was_fed_for_it(store: ck.SQLiteStore) -> None:
    embed = Embedder()
    index = ck.VectorIndex(embed)
    say(store, "41", "My cat is called Mia.", {"role": "assistant", "content": "A fine name."})
    say(store, "42", "The weather is fine.")
    ck.feed(store, index)
    embed.batches.clear()
    builds = builder(900, store=store, tail=[ck.Retrieve(index, ck.Recall(store), share=300)])
    sent = builds.build(ck.History(["What is my cat called?"], scope=scope("43")))
    assert "Mia" in str(sent.request()["messages"])
    assert embed.texts[0] == "What is my cat called?"
    assert all(text in "What is my cat called?" for text in embed.texts)


def test_nothing_of_a_recalled_conversation_stays_where_its_scope_is_forgotten(
    store: ck.SQLiteStore,
) -> None:
    """Neither texts nor words, whoever embedded them: a build, or a worker."""
    embed = Embedder()
    index = ck.VectorIndex(embed)
    say(store, "41", "My cat is called Mia.", "The weather is fine.")
    say(store, "42", "Somebody called about the weather.")
    builds = builder(900, store=store, tail=[ck.Retrieve(index, ck.Recall(store), share=300)])
    sent = builds.build(ck.History(["What is my cat called?"], scope=scope("43")))
    assert "Mia" in str(sent.request()["messages"])
    every = [address_of(text) for text in embed.texts]
    where = {name: set(index.vectors(scope(name).key, every)) for name in ("41", "42", "43")} | {
        "user": set(index.vectors(("acme", "u1", ""), every))
    }
    assert where["user"] == where["43"] == set(), "the question has no word that nobody has said"
    assert address_of("Mia") in where["41"] or address_of("mia") in where["41"]
    embed.batches.clear()
    ck.feed(store, index)
    assert {address_of(text) for text in embed.texts} & where["42"] == set()
    assert index.forget(scope("41")) > 0
    assert not index.vectors(scope("41").key, every)


@pytest.mark.parametrize("fails", ["bad", ""])
def test_a_failing_embedder_leaves_the_entry(
    store: ck.SQLiteStore, caplog: pytest.LogCaptureFixture, fails: str
) -> None:
    embed = Embedder()
    embed.fails = {fails}
    index = ck.VectorIndex(embed)
    for number in range(20):
        say(store, f"{number}", f"text {number}" if number != 7 else "a bad one")
    fed = ck.feed(store, index, words=False)
    assert isinstance(fed.error, ConnectionError)
    assert "private words" not in repr(fed)
    if fails == "bad":  # one text: the others go on
        assert (fed.entries, fed.left, fed.failures) == (19, 1, {"ConnectionError": 1})
        assert [entry.scope[2] for entry in store.pending(99)] == ["7"]
    else:  # the embedder is down: it is not asked for each of them
        assert (fed.entries, fed.left) == (0, 20)
        assert fed.failures == {"ConnectionError": feeding.FAILURES}
        assert len(embed.batches) == feeding.FAILURES + 1
        assert len(store.pending(99)) == 20
    assert caplog.records
    assert "private words" not in caplog.text
    assert "text " not in caplog.text

    embed.fails = set()
    fed = ck.feed(store, index, words=False)
    assert (fed.left, fed.error) == (0, None)
    assert store.pending(99) == []
    assert index.forget(scope("7")) == 1


@pytest.mark.parametrize(
    "bad", [np.zeros((1, 8)), np.full((1, 8), np.nan), np.ones((2, 8)), "no array", None]
)
def test_vectors_that_cannot_be_used_leave_the_entry(store: ck.SQLiteStore, bad: Any) -> None:
    say(store, "a", "one")
    fed = ck.feed(store, ck.VectorIndex(lambda texts: bad), words=False)
    assert (fed.entries, fed.left) == (0, 1)
    assert len(store.pending(9)) == 1


def test_what_is_long_is_done_in_batches_and_goes_on_where_it_broke_off(
    store: ck.SQLiteStore,
) -> None:
    embed = Embedder()
    index = ck.VectorIndex(embed)
    say(store, "a", *(f"text {number:03}" for number in range(100)))
    embed.fails = {"text 060"}
    assert ck.feed(store, index, words=False, batch=8).vectors == 56
    assert store.pending(9) == [Pending(scope("a").key, 100)]
    embed.fails = set()
    embed.batches.clear()
    assert ck.feed(store, index, words=False, batch=8).vectors == 44
    assert max(map(len, embed.batches)) == 8
    assert len(set(embed.texts)) == len(embed.texts) == 44


def test_what_comes_meanwhile_stays_pending(store: ck.SQLiteStore) -> None:
    embed = Embedder()

    def talks(texts: Sequence[str]) -> np.ndarray:
        if len(embed.batches) == 0:
            say(store, "a", "meanwhile")
        return embed(texts)

    index = ck.VectorIndex(talks)
    say(store, "a", "one")
    ck.feed(store, index, words=False)
    assert store.pending(9) == [Pending(scope("a").key, 2, 1)]
    ck.feed(store, index, words=False)
    assert embed.texts == ["user: one", "user: meanwhile"]


def test_what_comes_while_an_entry_is_read_is_fed_with_its_own(store: ck.SQLiteStore) -> None:
    """What is fed is what is taken out: not more, so that what was counted is what was done."""
    embed = Embedder()
    meanwhile = ["meanwhile"]

    class Grows(ck.SQLiteStore):
        def load_since(self, of: ck.Scope, version: int) -> list[dict[str, Any]]:
            if meanwhile:
                say(self, "a", meanwhile.pop())
            return super().load_since(of, version)

    with Grows(":memory:") as grows:
        index = ck.VectorIndex(embed)
        say(grows, "a", "one")
        assert ck.feed(grows, index, words=False) == feeding.Fed(entries=1, vectors=1)
        assert grows.pending(9) == [Pending(scope("a").key, 2, 1)]
        assert ck.feed(grows, index, words=False) == feeding.Fed(entries=1, vectors=1)
    assert embed.texts == ["user: one", "user: meanwhile"]


def test_a_document_that_is_taken_away_meanwhile_is_done(store: ck.SQLiteStore) -> None:
    documents = ck.Documents(store)
    documents.add_document("text", source="a", tenant="acme", user="u1")
    (entry,) = store.pending(9)
    documents.remove_document("a", tenant="acme", user="u1")
    shown = [[entry], [entry], []]

    class Late(ck.SQLiteStore):
        def pending(self, limit: int, after: Pending | None = None) -> list[Pending]:
            return shown.pop(0)

    with Late(":memory:") as late:
        assert ck.feed(late, ck.VectorIndex(Embedder())) == feeding.Fed(entries=1)


def test_no_more_than_the_limit_are_done(store: ck.SQLiteStore) -> None:
    index = ck.VectorIndex(Embedder())
    for number in range(7):
        say(store, f"{number}", "text")
    fed = ck.feed(store, index, limit=3)
    assert (fed.entries, fed.left, fed.error) == (3, 4, None)
    assert len(store.pending(9)) == 4
    assert ck.feed(store, index, limit=30).entries == 4


def test_many_workers_at_once_are_harmless(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with ck.SQLiteStore(path) as store:
        for number in range(30):
            say(store, f"{number}", *(f"text {n}" for n in range(5)))
    index = ck.SQLiteIndex(Embedder(), tmp_path / "vectors")

    def work(_: int) -> feeding.Fed:
        with ck.SQLiteStore(path) as own:
            return ck.feed(own, index, words=False)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(work, range(4)))
    assert all(fed.error is None for fed in done)
    with ck.SQLiteStore(path) as store:
        assert store.pending(99) == []
    assert [index.forget(scope(f"{number}")) for number in range(30)] == [5] * 30


def test_workers_that_begin_together_share_the_work(tmp_path: Path) -> None:
    """In one order each would embed everything: always both the same, which neither has yet."""
    path, embed, both = tmp_path / "chat.db", Embedder(), Barrier(2)
    with ck.SQLiteStore(path) as store:
        for number in range(30):
            say(store, f"{number}", f"text {number}")

    def in_step(texts: Sequence[str]) -> np.ndarray:
        with suppress(BrokenBarrierError):
            both.wait()
        return embed(texts)

    index = ck.VectorIndex(in_step)

    def work(_: int) -> feeding.Fed:
        with ck.SQLiteStore(path) as own:
            try:
                return ck.feed(own, index, words=False)
            finally:
                both.abort()

    with ThreadPoolExecutor(2) as pool:
        assert all(fed.error is None for fed in pool.map(work, range(2)))
    assert len(set(embed.texts)) == 30
    assert len(embed.texts) < 45


def test_async_code_feeds_with_an_async_embedder(store: ck.SQLiteStore) -> None:
    embed = Embedder()

    async def later(texts: Sequence[str]) -> np.ndarray:
        await asyncio.sleep(0)
        return embed(texts)

    say(store, "a", "one")
    index = ck.VectorIndex(later)
    with pytest.raises(InputError, match="afeed"):
        ck.feed(store, index)
    assert len(store.pending(9)) == 1
    assert asyncio.run(ck.afeed(store, index, words=False)) == feeding.Fed(entries=1, vectors=1)
    assert store.pending(9) == []
    say(store, "a", "two")
    embed.fails = {"two"}
    assert asyncio.run(ck.afeed(store, index, words=False)).left == 1
    assert len(store.pending(9)) == 1


def test_an_async_feeding_that_is_cancelled_leaves_the_entry(store: ck.SQLiteStore) -> None:
    begun = asyncio.Event()

    async def hangs(texts: Sequence[str]) -> Any:
        begun.set()
        await asyncio.sleep(60)

    async def cancelled() -> None:
        task = asyncio.create_task(ck.afeed(store, ck.VectorIndex(hangs)))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    say(store, "a", "one")
    asyncio.run(cancelled())
    assert len(store.pending(9)) == 1


def test_what_cannot_be_fed_is_refused(store: ck.SQLiteStore) -> None:
    index = ck.VectorIndex(Embedder())
    for bad in (
        {"store": Four()},
        {"index": Embedder()},
        {"roles": "user"},
        {"roles": ("system",)},
        {"batch": 0},
        {"limit": -1},
    ):
        with pytest.raises((InputError, BudgetError)):
            ck.feed(**{"store": store, "index": index, **bad})


def test_a_store_that_cannot_be_read_is_told(store: ck.SQLiteStore) -> None:
    class Busy(ck.SQLiteStore):
        def pending(self, limit: int, after: Pending | None = None) -> list[Pending]:
            raise StoreBusy("chat.db", 1.0)

    with Busy(":memory:") as busy, pytest.raises(StoreBusy):
        ck.feed(busy, ck.VectorIndex(Embedder()))


def test_vectors_of_another_model_leave_all_and_say_what_to_do(
    store: ck.SQLiteStore, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, logger="contextkit")
    first, other = Embedder(), Embedder()
    other.name = "another"  # type: ignore[misc]
    index = ck.VectorIndex(first)
    say(store, "a", "one")
    ck.feed(store, index)
    index.embed = other
    say(store, "a", "two")
    fed = ck.feed(store, index)
    assert fed.left == 1
    assert "reindex()" in str(fed.error)
    assert "reindex()" in caplog.text
    index.reindex()
    assert ck.feed(store, index, words=False).vectors == 2


def test_what_an_index_has_lost_is_fed_again_with_the_next_message_of_the_tenant(
    store: ck.SQLiteStore, tmp_path: Path
) -> None:
    embed = Embedder()
    index = ck.SQLiteIndex(embed, tmp_path / "vectors")
    for number in range(5):
        say(store, f"{number}", f"text {number}")
    stranger = ck.Scope("globex", "u1", "1")
    say_to = ck.History(["elsewhere"])
    store.append(stranger, [record_to_json(say_to.records[0])], expected=0)
    assert ck.feed(store, index, words=False) == feeding.Fed(entries=6, vectors=6)
    assert len(embed.texts) == 6, "what is pending anyway is not done twice"
    rmtree(tmp_path / "vectors")
    assert ck.feed(store, index, words=False) == feeding.Fed(), "nobody has said anything"
    say(store, "0", "more")
    assert ck.feed(store, index, words=False) == feeding.Fed(entries=5, vectors=6)
    assert [index.forget(scope(f"{number}")) for number in range(5)] == [2, 1, 1, 1, 1]
    assert index.forget(stranger) == 0, "its tenant has its turn when it is asked"


def test_a_tenant_whose_vectors_cannot_be_read_holds_up_nobody(store: ck.SQLiteStore) -> None:
    class Damaged(ck.VectorIndex):
        def vectors(self, scope: Any, addresses: Any) -> Any:
            if scope[0] == "globex":
                raise IndexCorrupt("vectors/globex", "is damaged")
            return super().vectors(scope, addresses)

    line = record_to_json(ck.History(["elsewhere"]).records[0])
    for tenant in ("acme", "globex", "initech"):
        store.append(ck.Scope(tenant, "u1", "1"), [line], expected=0)
    fed = ck.feed(store, Damaged(Embedder()), words=False)
    assert (fed.entries, fed.left, fed.vectors) == (2, 1, 2)
    assert isinstance(fed.error, IndexCorrupt)
    assert [entry.scope[0] for entry in store.pending(9)] == ["globex"]


# -- what cannot be fed holds up nothing else ---------------------------------------------------


def elsewhere(store: ck.SQLiteStore, tenant: str, conversation: str, text: str = "text") -> None:
    line = record_to_json(ck.History([text]).records[0])
    store.append(ck.Scope(tenant, "u1", conversation), [line], expected=None)


@pytest.mark.parametrize("limit", [1, 2])
def test_what_has_no_text_is_done_once(store: ck.SQLiteStore, limit: int) -> None:
    """Without a text there is no vector to mark the tenant with: it was entered again each time."""
    image = {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}
    for number in range(4):
        say(store, f"a{number}", {"role": "user", "content": [image]})
    say(store, "b", "text")
    index = ck.VectorIndex(Embedder())
    left = [ck.feed(store, index, words=False, limit=limit).left for _ in range(5)]
    assert left == [max(0, 5 - limit * (call + 1)) for call in range(5)]
    assert store.pending(9) == []
    assert index.forget(scope("b")) == 1


@pytest.mark.parametrize("limit", [None, 2])
def test_a_tenant_with_a_damaged_file_holds_up_nobody(
    store: ck.SQLiteStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    limit: int | None,
) -> None:
    monkeypatch.setattr(feeding, "_PAGE", 10)
    index = ck.SQLiteIndex(Embedder(), tmp_path)
    elsewhere(store, "a", "0")
    ck.feed(store, index, words=False)
    (file,) = tmp_path.glob("*.vectors")
    file.write_bytes(b"damaged" * 5_000)
    for number in range(25):
        elsewhere(store, "a", f"{number}")
    others = [f"b{number}" for number in range(6)]
    for tenant in others:
        elsewhere(store, tenant, "1")
    first = ck.feed(store, index, words=False, limit=limit)
    assert first.entries == (limit or 6)
    assert first.left == 25 + 6 - first.entries == len(store.pending(99))
    for _ in range(3):
        fed = ck.feed(store, index, words=False, limit=limit)
    assert (fed.entries, fed.left, fed.failures) == (0, 25, {"IndexCorrupt": 25})
    assert isinstance(fed.error, IndexCorrupt)
    assert {entry.scope[0] for entry in store.pending(99)} == {"a"}
    assert len(caplog.records) == 4, "one line for the tenant each time, not one for each entry"


def test_many_damaged_tenants_hold_up_nobody(store: ck.SQLiteStore) -> None:
    class Damaged(ck.VectorIndex):
        def vectors(self, scope: Any, addresses: Any) -> Any:
            if scope[0].startswith("a"):
                raise IndexCorrupt("vectors/a", "is damaged")
            return super().vectors(scope, addresses)

    for number in range(50):
        elsewhere(store, f"a{number}", "1")
        elsewhere(store, f"a{number}", "2")
        elsewhere(store, f"b{number}", "1")
    fed = ck.feed(store, Damaged(Embedder()), words=False)
    assert (fed.entries, fed.left, fed.failures) == (50, 100, {"IndexCorrupt": 100})


def test_for_a_tenant_whose_vectors_cannot_be_stored_no_more_is_embedded(
    store: ck.SQLiteStore,
) -> None:
    class Full(ck.VectorIndex):
        def add(self, scope: Any, addresses: Any, vectors: Any) -> None:
            if scope[0] == "a":
                raise IndexCorrupt("vectors/a", "is damaged")
            super().add(scope, addresses, vectors)

    embed = Embedder()
    for number in range(20):
        elsewhere(store, "a", f"{number}", f"text {number}")
        elsewhere(store, "b", f"{number}", f"another {number}")
    fed = ck.feed(store, Full(embed), words=False)
    assert (fed.entries, fed.left, fed.failures) == (20, 20, {"IndexCorrupt": 20})
    assert sum("text" in text for text in embed.texts) == 1


def test_an_index_that_is_down_is_not_asked_for_each_tenant(store: ck.SQLiteStore) -> None:
    asked: list[Any] = []

    class Down(ck.VectorIndex):
        def vectors(self, scope: Any, addresses: Any) -> Any:
            asked.append(scope)
            raise IndexUnreachable("server", "does not answer")

        def add(self, scope: Any, addresses: Any, vectors: Any) -> None:
            asked.append(scope)
            raise IndexUnreachable("server", "does not answer")

    for number in range(50):
        elsewhere(store, f"{number}", "1")
    fed = ck.feed(store, Down(Embedder()))
    assert (fed.entries, fed.left) == (0, 50)
    assert len(asked) == feeding.FAILURES + 1


@pytest.mark.parametrize("error", [RuntimeError("private words"), EmbeddingError("refused")])
@pytest.mark.parametrize("limit", [1, 2, None])
def test_texts_that_always_fail_hold_up_nothing(
    store: ck.SQLiteStore,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    limit: int | None,
) -> None:
    monkeypatch.setattr(feeding, "_PAGE", 10)
    embed = Embedder()
    embed.fails, embed.error = {"bad"}, error
    for number in range(25):
        say(store, f"a{number:02}", "a bad one")
    for number in range(3):
        say(store, f"b{number}", f"text {number}")
    index = ck.VectorIndex(embed)
    calls = 28 if isinstance(error, EmbeddingError) else 3
    for _ in range(calls):
        fed = ck.feed(store, index, words=False, limit=limit)
        assert fed.left == len(store.pending(99))
    assert [index.forget(scope(f"b{number}")) for number in range(3)] == [1, 1, 1]
    stays = 0 if isinstance(error, EmbeddingError) else 25
    assert len(store.pending(99)) == stays, "what is refused for good is done, else it stays"


@pytest.mark.parametrize("at", [0, 37, 199])
def test_one_refused_text_is_left_out_and_the_others_are_embedded(
    store: ck.SQLiteStore, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    embed = Embedder()
    embed.fails, embed.error = {"bad"}, EmbeddingError("HTTP 400", status=400)
    said = [f"text {number}" for number in range(200)]
    said.insert(at, "a bad one")
    say(store, "a", *said)
    index = ck.VectorIndex(embed)
    fed = ck.feed(store, index, words=False)
    assert (fed.entries, fed.vectors, fed.left, fed.failures) == (1, 200, 0, {})
    assert fed.refused == {"EmbeddingError": 1}
    assert fed.error is embed.error
    assert "HTTP 400" in caplog.text
    assert len(embed.batches) < 25, "halved"
    embed.batches.clear()
    assert ck.feed(store, index, words=False) == feeding.Fed()
    assert embed.batches == [], "it is not tried for ever"
    embed.fails = set()
    store.pend_all()
    assert ck.feed(store, index, words=False).vectors == 1, "but again when all is entered"


def test_a_word_that_is_refused_is_left_out(store: ck.SQLiteStore) -> None:
    embed = Embedder()
    embed.fails, embed.error = {"Rex"}, EmbeddingError("refused")
    say(store, "a", "My dog is called Rex.")
    index = ck.VectorIndex(embed)
    fed = ck.feed(store, index)
    assert (fed.entries, fed.left) == (1, 0)
    assert set(index.vectors(scope("a").key, [address_of("dog"), address_of("called")]))


@pytest.mark.parametrize("retryable", [True, False])
def test_an_embedder_that_refuses_everything_leaves_all(
    store: ck.SQLiteStore, retryable: bool
) -> None:
    """Such as with a wrong key: it is not the texts."""
    embed = Embedder()
    embed.fails, embed.error = {""}, EmbeddingError("HTTP 401", retryable=retryable)
    for number in range(20):
        say(store, f"{number}", *(f"text {part}" for part in range(64)))
    fed = ck.feed(store, ck.VectorIndex(embed), words=False)
    assert (fed.entries, fed.vectors, fed.left, fed.refused) == (0, 0, 20, {})
    halved = 1 if retryable else 8  # 64 texts, 32, 16, 8, 4, 2, 1; and one of our own
    assert len(embed.batches) == feeding.FAILURES * halved + 1


def test_an_embedder_that_goes_down_while_a_refused_batch_is_halved_leaves_the_entry(
    store: ck.SQLiteStore,
) -> None:
    embed = Embedder()
    errors = iter([EmbeddingError("refused"), *[EmbeddingError("late", retryable=True)] * 9])

    def goes_down(texts: Sequence[str]) -> np.ndarray:
        embed.batches.append(list(texts))
        raise next(errors)

    say(store, "a", "one", "two", "three", "four")
    fed = ck.feed(store, ck.VectorIndex(goes_down), words=False)
    assert (fed.left, fed.refused, len(embed.batches)) == (1, {}, 2)
    assert len(store.pending(9)) == 1
