"""Retrieve where embedder, index or source fail, are late, or hang: by words, and it is told."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar, copy_context
from typing import Any

import numpy as np
import pytest

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.errors import EmbeddingError, InputError
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.sources import Change
from tests.retrieved import (
    FACTS,
    GARDENER,
    SHELF,
    TRAIN,
    VAULT,
    Embedder,
    Given,
    asking,
    content,
    made,
    retrieve,
    shown,
    talk,
)
from tests.support import (
    SCOPE,
    builder,
    user,
)

pytestmark = pytest.mark.usefixtures("quiet_log")

# -- embedders and indexes that fail ---------------------------------------------------------

BAD: dict[str, Any] = {
    "dead": lambda texts: 1 / 0,
    "a row too few": lambda texts: np.ones((len(texts) - 1, 4)),
    "NaN": lambda texts: np.full((len(texts), 4), np.nan),
    "infinity": lambda texts: np.full((len(texts), 4), np.inf),
    "zeros": lambda texts: np.zeros((len(texts), 4)),
    "no array": lambda texts: None,
    "text": lambda texts: [["a"]] * len(texts),
    "one dimension": lambda texts: np.ones(len(texts)),
    "a dict": lambda texts: {"data": [[1.0]] * len(texts)},
}


@pytest.mark.parametrize("embed", BAD.values(), ids=BAD)
def test_with_a_bad_embedder_words_find_it_and_nothing_is_stored(embed: Any) -> None:
    index = ck.VectorIndex(embed)
    history = asking()
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(history)

    assert "4711" in content(context)
    assert content(context) == content(made().build(ck.History.loads(history.dumps())))
    [failure] = context.report.failures
    assert failure.startswith(("Retrieve: EmbeddingError", "Retrieve: ZeroDivisionError"))
    assert index.forget(SCOPE) == 0
    assert not context.edits[-1].provenance["vectors"]


def test_with_another_dimension_than_before_words_find_it() -> None:
    index = ck.VectorIndex(Embedder())
    builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking())
    index.embed = lambda texts: np.ones((len(texts), 3))
    index.embed.name = "words"  # type: ignore[attr-defined]
    before = index.forget(ck.Scope("another", "user", "here"))
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking(TRAIN))

    assert before == 0
    assert "platform nine" in content(context)
    [failure] = context.report.failures
    assert failure.startswith("Retrieve: EmbeddingError")


def test_with_another_model_than_before_words_find_it_until_reindexed() -> None:
    index = ck.VectorIndex(Embedder("one"))
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    built.build(asking())
    index.embed = Embedder("two")
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking(TRAIN))
    assert "platform nine" in content(context)
    assert "reindex()" in context.report.failures[0]
    index.reindex()
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking(TRAIN))

    assert context.report.failures == ()
    assert context.edits[-1].provenance["vectors"]


class BadIndex(ck.VectorIndex):
    """An index of which one method fails, or never comes back."""

    def __init__(self, method: str, fault: Any) -> None:
        super().__init__(Embedder())
        self.method, self.fault = method, fault

    def vectors(self, *given: Any) -> Any:
        return self.fault() if self.method == "vectors" else super().vectors(*given)

    def add(self, *given: Any) -> None:
        if self.method == "add":
            self.fault()
        super().add(*given)


def broken() -> Any:
    raise OSError("disk full")


@pytest.mark.parametrize("method", ["vectors", "add"])
def test_with_a_dead_index_words_find_it(method: str) -> None:
    context = builder(500, tail=[ck.Retrieve(BadIndex(method, broken), share=60)]).build(asking())

    assert "4711" in content(context)
    assert context.report.failures == ("Retrieve: OSError: disk full",)


class WrongOnce(ck.VectorIndex):
    """An index that gives something else than it holds, while that is so."""

    wrong: Any = None

    def vectors(self, scope: Any, addresses: Sequence[str]) -> Any:
        found = super().vectors(scope, addresses)
        return self.wrong(found) if self.wrong and found else found


def first(change: Any) -> Any:
    """Change one of the vectors."""
    return lambda found: {
        name: change(row) if place == 0 else row for place, (name, row) in enumerate(found.items())
    }


@pytest.mark.parametrize(
    "wrong",
    [
        first(lambda row: row * np.nan),
        first(lambda row: row * 0),
        first(lambda row: row * 1.01),
        first(lambda row: row[:5]),
        first(lambda row: None),
        lambda found: {**found, "never asked for": next(iter(found.values()))},
        lambda found: {name: np.eye(5)[0] for name in found},
        list,
        lambda found: None,
    ],
    ids=["NaN", "zeros", "length", "a row", "no row", "address", "dimension", "list", "None"],
)
def test_nothing_is_held_of_what_an_index_gives_that_cannot_be_used(wrong: Any) -> None:
    index = WrongOnce(Embedder())
    builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking())
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    index.wrong = wrong
    context = built.build(asking())
    index.wrong = None
    later = built.build(asking())

    assert "4711" in content(context)
    assert not context.edits[-1].provenance["vectors"]
    [failure] = context.report.failures
    assert failure.startswith("Retrieve: EmbeddingError")
    assert "4711" in content(later)
    assert later.report.failures == ()
    assert later.edits[-1].provenance["vectors"]


def test_an_index_is_asked_once_for_what_it_holds() -> None:
    asked: list[str] = []
    index = WrongOnce(Embedder())
    builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking())
    index.wrong = lambda found: asked.extend(found) or found
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    for question in (VAULT, TRAIN, GARDENER):
        assert built.build(asking(question)).edits[-1].provenance["vectors"]

    assert len(asked) > 60
    assert len(asked) == len(set(asked))


def test_where_vectors_cannot_be_scored_words_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def scored(*given: Any, vector: Any = None, **more: Any) -> Any:
        if vector is not None:
            raise IndexError("no such row")
        return rank(*given, **more)

    monkeypatch.setattr("contextkit.strategies.retrieval.rank", scored)
    history = asking()
    context = made("vectors").build(history)

    assert content(context) == content(made().build(ck.History.loads(history.dumps())))
    assert context.report.failures == ("Retrieve: IndexError: no such row",)
    assert not context.edits[-1].provenance["vectors"]


@pytest.fixture
def never() -> Iterator[Any]:
    """A call that does not come back before the test is over."""
    over = threading.Event()
    yield lambda *_: over.wait(60)
    over.set()


@pytest.mark.parametrize("slow", ["vectors", "add", "embedder"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_does_not_come_back_is_not_waited_for(
    slow: str, asynchronous: bool, never: Any
) -> None:
    index = ck.VectorIndex(never) if slow == "embedder" else BadIndex(slow, never)
    built = builder(500, tail=[ck.Retrieve(index, share=60, seconds=0.2)])
    context = asyncio.run(built.abuild(asking())) if asynchronous else built.build(asking())

    assert "4711" in content(context)
    [failure] = context.report.failures
    assert failure.startswith("Retrieve: DeadlinePassed")


def test_a_source_that_does_not_come_back_is_left_alone_after_a_while(never: Any) -> None:
    class Slow(Given):
        def read(self, scope: ck.Scope, since: Any = None) -> Change:
            asked.append(scope)
            never()
            return super().read(scope, since)

    asked: list[Any] = []
    strategy = ck.Retrieve(source=Slow({}), share=60, seconds=0.05)
    told = []
    for n in range(5):
        history = ck.History([VAULT], scope=ck.Scope("t", "u", f"c{n}"))
        [failure] = builder(tail=[strategy]).build(history).report.failures
        told.append(failure.split(": ")[1])

    assert told == ["DeadlinePassed"] * 3 + ["CallsPaused"] * 2
    assert len(asked) == 3
    other = ck.History([VAULT], scope=ck.Scope("t", "v", "c"))
    [failure] = builder(tail=[strategy]).build(other).report.failures
    assert "DeadlinePassed" in failure, "one user's trouble is not another's"


def test_of_a_source_that_hangs_no_more_than_so_many_calls_are_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("contextkit.strategies.retrieval.CALLS", 4)
    hangs = threading.Event()
    asked: list[threading.Thread] = []

    class Hanging(Given):
        def read(self, scope: ck.Scope, since: Any = None) -> Change:
            asked.append(threading.current_thread())
            assert hangs.wait(60)
            return super().read(scope, since)

    built = builder(tail=[ck.Retrieve(source=Hanging({}), share=60, seconds=0.05), retrieve()])

    def told(number: int) -> list[str]:
        history = ck.History([VAULT], scope=ck.Scope("t", f"u{number}", "c"))
        return [failure.split(": ")[1] for failure in built.build(history).report.failures]

    assert [told(n) for n in range(4)] == [["DeadlinePassed"]] * 4
    assert [told(n) for n in range(4, 12)] == [["CallsUnderWay"]] * 8
    assert len(asked) == 4
    hangs.set()
    for thread in asked:
        thread.join(60)
    assert told(4) == [], "nor is it held against whom it was not asked for"
    assert len(asked) == 5


def test_an_embedder_is_awaited_in_async_code_and_refused_in_sync_code() -> None:
    embedder = Embedder()

    async def embed(texts: Sequence[str]) -> Any:
        await asyncio.sleep(0)
        return embedder(texts)

    index = ck.VectorIndex(embed)
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    context = asyncio.run(built.abuild(asking()))
    plain = made("vectors").build(ck.History.loads(context.view.history.dumps()))

    assert shown(context) == shown(plain)
    assert context.edits[-1].provenance["vectors"]
    with pytest.raises(InputError, match="abuild"):
        built.build(asking())


def test_after_failures_in_a_row_nobody_is_asked_for_a_while() -> None:
    now, works, asked = [0.0], [False], []

    def embed(texts: Sequence[str]) -> Any:
        asked.append(len(texts))
        return Embedder()(texts) if works[0] else 1 / 0

    breaker = Breaker(failures=2, reset=30, clock=lambda: now[0])
    built = builder(500, tail=[ck.Retrieve(ck.VectorIndex(embed), share=60, breaker=breaker)])

    def told() -> str:
        context = built.build(asking())
        assert "4711" in content(context), "words find it all the while"
        return "".join(failure.split(": ")[1] for failure in context.report.failures)

    assert [told(), told(), told()] == ["ZeroDivisionError", "ZeroDivisionError", "CallsPaused"]
    assert len(asked) == 2
    now[0] = 31
    assert [told(), told()] == ["ZeroDivisionError", "CallsPaused"]
    now[0], works[0] = 62, True
    assert [told(), told()] == ["", ""]


def refusing(status: int, calls: list[Sequence[str]], *, retryable: bool = False) -> Any:
    """An embedder that refuses to embed what is FORBIDDEN."""

    def embed(texts: Sequence[str]) -> Any:
        calls.append(list(texts))
        if any("FORBIDDEN" in text for text in texts):
            raise EmbeddingError("refused", status=status, retryable=retryable)
        return Embedder()(texts)

    return embed


@pytest.mark.parametrize("status", [400, 422])
def test_a_text_that_is_refused_switches_nothing_off(status: int) -> None:
    """Neither for others, nor for the question of the conversation that it stands in."""
    calls: list[Sequence[str]] = []
    index = ck.VectorIndex(refusing(status, calls))
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    messages = talk(["FORBIDDEN", *FACTS])
    for turn in range(4):
        calls.clear()
        context = built.build([*messages, user(f"{VAULT} {turn}")], scope=SCOPE)

        assert ["EmbeddingError: refused" in one for one in context.report.failures] == [True]
        assert context.edits[-1].provenance["vectors"]
        assert "4711" in content(context)
        assert calls[0][-1] == f"{VAULT} {turn}"
        assert calls[1] == [f"{VAULT} {turn}"], "asked for alone"
        assert not any("FORBIDDEN" in text for call in calls[1:] for text in call)
    other = built.build([*talk(), user(VAULT)], scope=ck.Scope("other", "user", "c"))
    assert other.report.failures == ()
    assert other.edits[-1].provenance["vectors"]


def test_a_question_that_is_refused_is_asked_for_twice_and_not_again() -> None:
    calls: list[Sequence[str]] = []
    built = builder(500, tail=[ck.Retrieve(ck.VectorIndex(refusing(400, calls)), share=60)])
    for turn in range(4):
        calls.clear()
        question = f"FORBIDDEN: {VAULT}"
        context = built.build([*talk(), user(question)], scope=ck.Scope("t", "u", f"c{turn}"))

        assert len(context.report.failures) == 2
        assert "4711" in content(context)
        assert len(calls[0]) > 1
        assert calls[1:] == [[question]]


@pytest.mark.parametrize(
    ("status", "retryable"),
    [(401, False), (403, False), (404, False), (429, True), (429, False), (500, True), (400, True)],
)
def test_an_embedder_that_refuses_whatever_it_is_asked_is_left_alone_after_a_while(
    status: int, retryable: bool
) -> None:
    calls: list[Sequence[str]] = []
    index = ck.VectorIndex(refusing(status, calls, retryable=retryable))
    built = builder(500, tail=[ck.Retrieve(index, share=60)])
    told = []
    for turn in range(4):
        history = asking(f"FORBIDDEN: {VAULT}", scope=ck.Scope("t", "u", f"c{turn}"))
        [failure] = built.build(history).report.failures
        told.append(failure.split(": ")[1])

    assert told == ["EmbeddingError"] * 3 + ["CallsPaused"]
    assert len(calls) == 3


def test_a_text_that_is_refused_while_one_call_is_let_through_ends_the_pause() -> None:
    now, status = [0.0], [500]

    def embed(texts: Sequence[str]) -> Any:
        return refusing(status[0], [])(texts)

    breaker = Breaker(failures=1, reset=30, clock=lambda: now[0])
    built = builder(500, tail=[ck.Retrieve(ck.VectorIndex(embed), share=60, breaker=breaker)])

    def told(question: str) -> list[str]:
        failures = built.build(asking(question)).report.failures
        return [failure.split(": ")[1] for failure in failures]

    assert told(f"FORBIDDEN: {VAULT}") == ["EmbeddingError"]
    assert told(VAULT) == ["CallsPaused"]
    now[0], status[0] = 31, 400
    assert told(f"FORBIDDEN: {VAULT}") == ["EmbeddingError"] * 2
    assert told(VAULT) == []


# -- time ------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which it is decided what there is time for."""
    now = [0.0]
    for module in ("retrieval", "vectors"):
        monkeypatch.setattr(f"contextkit.strategies.{module}.monotonic", lambda: now[0])
    return now


def test_an_index_is_not_asked_on_when_the_time_is_over(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(ck.VectorIndex):
        def vectors(self, scope: Any, addresses: Sequence[str]) -> Any:
            asked.append(len(addresses))
            clock[0] += seconds
            return super().vectors(scope, addresses)

    monkeypatch.setattr("contextkit.strategies.vectors.SLICE", 5)
    took = {}
    for seconds in (0.0, 5.0, 8.0):
        asked: list[int] = []
        strategy = ck.Retrieve(Slow(Embedder()), share=60, seconds=8)
        context = builder(500, tail=[strategy]).build(asking())
        took[seconds] = len(asked)

        assert "4711" in content(context)
        assert set(asked[:-1]) <= {5}
    assert took[0.0] > 5
    assert (took[5.0], took[8.0]) == (2, 1)


def test_so_many_texts_are_embedded_as_there_is_time_for(clock: list[float]) -> None:
    """An eighth of a second each; a quarter of the time is for texts of long ago."""
    embedder, sizes = Embedder(), []

    def embed(texts: Sequence[str]) -> Any:
        sizes.append(len(texts))
        clock[0] += len(texts) / 8
        return embedder(texts)

    strategy = ck.Retrieve(ck.VectorIndex(embed), share=60, seconds=8)
    built = builder(500, tail=[strategy])
    context = built.build(asking())
    assert sizes == [9, 7]  # the question with eight, then what 7/8 s are enough for
    assert context.report.failures == ()
    built.build(asking())
    assert sizes == [9, 7, 9, 7], "the next question has others embedded"
    assert len(set(embedder.texts)) == 2 * 15 + 1


# -- threads ---------------------------------------------------------------------------------


def test_in_async_code_what_grows_with_the_log_works_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    where: dict[str, set[int]] = {}

    def noted(name: str) -> None:
        called = getattr(Corpus, name)

        def call(*given: Any, **more: Any) -> Any:
            where.setdefault(name, set()).add(threading.get_ident())
            return called(*given, **more)

        monkeypatch.setattr(Corpus, name, call)

    names = ["append", "wanted_by_scope", "hold", "without", "not_of", "term_weights"]
    for name in names:
        noted(name)

    class Other(Embedder):
        language = "english"

    tail = [ck.Retrieve(ck.VectorIndex(Other()), share=60)]
    context = asyncio.run(builder(500, tail=tail).abuild(asking()))

    assert context.edits[-1].provenance["vectors"]
    assert sorted(where) == sorted(names)
    assert threading.get_ident() not in set().union(*where.values())


REQUEST: ContextVar[str] = ContextVar("REQUEST", default="nobody's")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_index_embedder_and_source_are_called_in_the_context_of_the_caller(
    asynchronous: bool,
) -> None:
    """Traces and credentials of a request are kept there."""
    seen = []

    def noted(name: str, called: Any) -> Any:
        def call(*given: Any) -> Any:
            seen.append((name, REQUEST.get()))
            return called(*given)

        return call

    index: Any = ck.VectorIndex(noted("embed", Embedder()))
    source: Any = Given({SCOPE.key[:2]: [Passage("the vault is green", scope=SHELF)]})
    index.vectors, index.add = noted("vectors", index.vectors), noted("add", index.add)
    source.read = noted("read", source.read)
    built = builder(900, tail=[ck.Retrieve(index, source, share=90)])

    async def build() -> ck.Context:
        return await built.abuild(asking())

    def request() -> ck.Context:
        REQUEST.set("mine")
        return asyncio.run(build()) if asynchronous else built.build(asking())

    assert copy_context().run(request).report.failures == ()
    assert set(seen) == {(name, "mine") for name in ("read", "vectors", "embed", "add")}
