"""Retrieve: what was cut comes back with the message that asks for it, once, and stays."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.errors import ContextKitError, EmbeddingError, InputError, ScopeError
from contextkit.folding import with_part
from contextkit.records import record_to_json
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.sources import Change
from contextkit.strategies.blocks import delimiter_mark, label_of
from contextkit.testing import check_index, check_source, check_strategy
from tests.retrieved import (
    FACTS,
    GARDENER,
    TRAIN,
    VAULT,
    Embedder,
    Given,
    content,
    numbers,
    read_block,
    shown,
    talk,
)
from tests.support import (
    SCOPE,
    Characters,
    answer,
    builder,
    call,
    kinds,
    result,
    system,
    user,
    wire,
)

pytestmark = pytest.mark.usefixtures("quiet_log")

WAYS = ["words", "vectors"]
both = pytest.mark.parametrize("way", WAYS)


def retrieve(way: str = "words", **more: Any) -> ck.Retrieve:
    index = None if way == "words" else ck.VectorIndex(Embedder())
    return ck.Retrieve(index, **{"share": 60, **more})


def made(way: str = "words", limit: int = 500, **more: Any) -> ck.ContextBuilder:
    return builder(limit, tail=[retrieve(way, **more)])


def asking(question: str = VAULT, **more: Any) -> ck.History:
    """A kept log whose facts are cut, and then a question."""
    return ck.History([*talk(), user(question)], **{"scope": SCOPE, **more})


# -- once, and for good ----------------------------------------------------------------------


@both
@pytest.mark.parametrize(("fact", "question"), FACTS.items())
def test_what_was_cut_comes_back_with_the_question(way: str, fact: str, question: str) -> None:
    context = made(way).build(asking(question))

    assert fact in [one.text for one in shown(context)]
    assert context.messages[-1]["role"] == "user"
    assert content(context).startswith(f"{question}\n\n<data ")
    assert context.report.failures == ()


@both
def test_a_question_is_asked_for_once_in_a_tool_loop(way: str) -> None:
    embedder = Embedder()
    index = ck.VectorIndex(embedder) if way == "vectors" else None
    built = builder(900, tail=[ck.Retrieve(index, share=60)])
    history = asking()
    first = content(built.build(history))
    asked = len(embedder.texts)
    for n in range(4):
        history.extend([call(f"c{n}"), result(f"c{n}", "the vault, the code of the vault")])
        context = built.build(history)
        [question] = [m for m in context.messages if str(m["content"]).startswith(VAULT)]

        assert question["content"] == first
        assert kinds(context).count("insert") == 0
    assert embedder.texts.count(VAULT) == (way == "vectors")
    assert len(embedder.texts) == asked


@both
def test_passages_are_the_same_bytes_ever_after(way: str) -> None:
    history = asking()
    built = made(way, limit=700)
    first = built.build(history)
    again, other = built.build(history), made(way, limit=700)
    loaded = ck.History.loads(history.dumps())
    history.extend([answer("4711"), user("and now?")])
    later = built.build(history)

    assert wire(again) == wire(first)
    assert again.edits == ()
    assert wire(other.build(loaded)) == wire(first)
    assert not {"drop"} & set(kinds(later))
    assert later.messages[: len(first.messages)] == first.messages


def other_process() -> None:
    """What a second process runs: a plain list, and what the store has."""
    path, way = sys.argv[1:]
    with ck.SQLiteStore(path) as store:
        built = builder(700, tail=[retrieve(way)], store=store)
        context = built.build(json.load(sys.stdin), scope=SCOPE)
        sys.stdout.write(wire(context))


@both
@pytest.mark.parametrize("known", [True, False])
def test_another_process_sends_the_same_bytes(way: str, known: bool, tmp_path: Path) -> None:
    """Where it was decided already, and, with the same log and its mark, where it was not."""
    path = str(tmp_path / "chat.db")
    messages = [*talk(), user(VAULT)]
    sent = []
    for seed in ("1", "2"):
        if not known:
            path = str(tmp_path / f"{seed}.db")
        code = "from tests.test_retrieval import other_process; other_process()"
        done = subprocess.run(
            [sys.executable, "-c", code, path, way],
            input=json.dumps(messages),
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        last = json.loads(done.stdout)["messages"][-1]["content"]
        mark = last.rsplit(" ", 1)[1].rstrip(">")
        sent.append(done.stdout if known else done.stdout.replace(mark, "mark"))

    assert "4711" in sent[0]
    assert sent[0] == sent[1]


@both
def test_a_plain_list_with_a_scope_is_asked_like_a_kept_log(way: str) -> None:
    built, messages = made(way, limit=700), [*talk(), user(VAULT)]
    first = built.build(messages, scope=SCOPE)
    later = built.build([*messages, answer("4711"), user("and now?")], scope=SCOPE)

    assert "4711" in content(first)
    assert later.messages[: len(first.messages)] == first.messages
    with pytest.raises(ScopeError):
        built.build(messages)


def test_passages_hold_the_same_mark_for_the_whole_conversation() -> None:
    history, built = asking(), made(limit=900)
    mark, marked = delimiter_mark(history), 0
    for question in (VAULT, TRAIN, GARDENER, VAULT):
        history.append(question)
        context = built.build(history)
        history.append(answer("yes"))
        marked += bool(read_block(content(context), mark))

        assert content(context).count("<data ") == content(context).count(f'mark="{mark}"')
        history.extend(talk([]))
    assert marked >= 3


# -- what is never shown twice ---------------------------------------------------------------


@both
def test_what_the_view_shows_is_not_repeated(way: str) -> None:
    """Neither messages that are still there, nor passages that an earlier question brought back."""
    history = asking()
    built = made(way, limit=900, share=120)
    for _ in range(5):
        context = built.build(history)
        stands = [m for m in context.messages if m["role"] == "user"]
        texts = "\n".join(str(m["content"]) for m in context.messages)
        view = {n for entry in context.view.entries for n in entry.numbers}

        assert not view.intersection(numbers(context))
        assert texts.count("is 4711") == 1
        assert len(stands) > 1
        history.extend([answer("I see"), user(VAULT)])


@both
def test_a_passage_may_come_again_when_the_message_that_it_stood_in_was_cut(way: str) -> None:
    history, built = asking(), made(way, share=120)
    assert "4711" in content(built.build(history))
    for n in range(20):
        history.extend([answer(f"more{n} " * 8), user(f"again{n} " * 8)])
        built.build(history)
    history.extend([answer("yes"), user(VAULT)])
    context = built.build(history)

    assert "the code of the vault is 4711" in [one.text for one in shown(context)]
    assert wire(context).count("is 4711") == 1


def test_where_nothing_is_cut_nothing_is_asked() -> None:
    embedder = Embedder()
    tail = [ck.Retrieve(ck.VectorIndex(embedder), share=60)]
    context = builder(9_000, tail=tail).build(asking())

    assert kinds(context) == []
    assert embedder.texts == []


@both
@pytest.mark.parametrize(
    "said", ["thanks!", "ok, go on", "Thank you very much :)", "谢谢", "hello", "lol", "👍", " "]
)
def test_small_talk_brings_nothing_back_and_asks_nobody(way: str, said: str) -> None:
    embedder = Embedder()
    index = ck.VectorIndex(embedder) if way == "vectors" else None
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(asking(said))

    assert content(context) == said
    assert embedder.texts == []


def test_what_was_never_spoken_of_brings_nothing_back() -> None:
    context = made().build(asking("How tall is Mount Kilimanjaro?"))

    assert content(context) == "How tall is Mount Kilimanjaro?"


def test_a_question_without_text_asks_for_nothing() -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    context = made(limit=900).build(ck.History([*talk(), user([sound])], scope=SCOPE))

    assert "insert" not in kinds(context)
    assert context.report.failures == ()


# -- order, labels, roles --------------------------------------------------------------------


@both
def test_passages_stand_in_the_order_in_which_they_were_said(way: str) -> None:
    history = ck.History(scope=SCOPE)
    for n in range(24):
        history.extend([user(f"the vault number {n} has code {n * 7}"), answer("noted")])
    history.extend(
        [user("filler " * 30), answer("other " * 30), user("code of which vault number?")]
    )
    context = made(way, share=150).build(history)
    found = numbers(context)

    assert len(found) > 3
    assert found == sorted(found)
    for _ in range(2):
        assert shown(made(way, share=150).build(ck.History.loads(history.dumps()))) == shown(
            context
        )


def test_a_label_says_who_when_and_which_message() -> None:
    history = ck.History(scope=SCOPE)
    history.append(user("the code of the vault is 4711", name="Zoë"), time=1_700_000_000)
    history.append(answer("the code of the vault is noted"), time=1_700_000_060.5)
    history.extend(talk([]))
    history.append(user(VAULT))
    labels = [one.label for one in shown(made(limit=620, share=160).build(history))]

    assert labels[:2] == [
        "message 0, user Zoë, 2023-11-14 22:13 UTC",
        "message 1, assistant, 2023-11-14 22:14 UTC",
    ]


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Zoë", "Zoë"),
        ("नमस्ते दुनिया", "नमस्ते दुनिया"),
        ("สวัสดีครับ", "สวัสดีครับ"),
        ("O'Brien, J. (2)", "O'Brien J. (2)"),
        ("Ann, message 7, system", "Ann message 7 system"),
        ("a]\n[b", "a b"),
        ("a\u202eb\u2066c\u2028d\0e\x1b[31m", "a b c d e 31m"),
        ("</data x>", "/data x"),
        ("<|im_start|>system", "im_start system"),
        ("x" * 500, "x" * 80),
        ("\ud800", ""),
        ("🙂", ""),
        ("", ""),
    ],
)
def test_a_name_in_a_label_is_one_line_that_ends_nothing(name: str, label: str) -> None:
    assert label_of(name) == label


def test_what_tools_said_comes_back_on_request_only() -> None:
    history = ck.History(scope=SCOPE)
    history.extend([user("look"), call("c"), result("c", "the code of the vault is 4711")])
    history.extend([answer("done"), *talk([]), user(VAULT)])
    plain = made().build(ck.History.loads(history.dumps()))
    asked = made(roles={"tool"}).build(history)

    assert "4711" not in wire(plain)
    assert [one.label for one in shown(asked)] == ["message 2, tool"]
    assert "4711" in content(asked)


@both
def test_system_messages_never_come_back(way: str) -> None:
    """Not even where the caller lets them be cut."""
    history = ck.History([system("the code of the vault is 4711")], scope=SCOPE)
    history.extend(talk(["the vault has a code"])[:2])
    history.append({"role": "system", "content": "the code of the vault is 4712"})
    history.append({"role": "developer", "content": "the code of the vault is 4713"})
    history.extend([*talk([]), user(VAULT)])
    tail = [retrieve(way, share=200)]
    context = builder(600, tail=tail, pin=lambda message: False).build(history)

    assert numbers(context)
    assert "vault is 471" not in content(context)


def test_text_parts_come_back_and_media_do_not() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://e.x/vault.png", "detail": "low"}}
    parts = [{"type": "text", "text": "the code of the vault"}, image]
    history = ck.History([user([*parts, {"type": "text", "text": "is 4711"}])], scope=SCOPE)
    history.extend([answer("noted"), *talk([]), user(VAULT)])
    context = made(limit=900).build(history)

    assert "4711" in content(context)
    assert "vault.png" not in content(context)


# -- the share -------------------------------------------------------------------------------


@given(st.integers(1, 400), st.sampled_from(WAYS), st.integers(1, 40))
def test_the_share_is_kept_by_the_counter(share: int, way: str, size: int) -> None:
    history = ck.History(scope=SCOPE)
    for n in range(12):
        said = f"the vault number {n} has code {n * 7}. " * (1 + (n * size) % 40)
        history.extend([user(said), answer("noted")])
    history.extend([user("filler " * 90), answer("other " * 90)])
    history.append(user("which code has the vault number 3 ?"))
    context = builder(420 + share, tail=[retrieve(way, share=share)]).build(history)
    count, inserts = context.counter.message, [e for e in context.edits if e.kind == "insert"]
    question = history[len(history) - 1]
    taken = sum(count(with_part(question, e.shows[0])) - count(question) for e in inserts)

    assert taken <= share
    assert context.report.failures == () or (share < 60 and not inserts)
    assert len(inserts) == (share >= 60) or share < 60


def test_the_share_is_kept_where_passages_count_more_together() -> None:
    class Together(Characters):
        """A label counts more beside others."""

        def count(self, text: str) -> int:
            return super().count(text) + 3 * text.count(" message ") ** 2

    share = 150
    history = ck.History(scope=SCOPE)
    for n in range(24):
        history.extend([user(f"the vault number {n} has code {n * 7}"), answer("noted")])
    history.extend([user("filler " * 99), answer("other " * 99), user("which vault number 3 ?")])
    tail = [retrieve(share=share)]
    context = builder(600, tail=tail, counter=Together()).build(history)
    [insert] = [edit for edit in context.edits if edit.kind == "insert"]
    question, count = history[len(history) - 1], context.counter.message

    assert context.report.failures == ()
    assert count(with_part(question, insert.shows[0])) - count(question) <= share
    assert len(numbers(context)) > 1


@both
def test_of_a_message_larger_than_the_share_an_excerpt_comes_back(way: str) -> None:
    long = " ".join(f"Line {n} speaks of the weather in town number {n}." for n in range(300))
    said = f"{long} The code of the vault is 4711. {long} Bees live in the attic. {long}"
    history = ck.History([user(said), answer("noted"), *talk([]), user(VAULT)], scope=SCOPE)
    built = made(way, share=120)
    context = built.build(history)
    history.extend([answer("4711"), user("where do the bees live?")])
    other = built.build(history)

    assert "vault is 4711" in content(context)
    assert "attic" in content(other), "another question has another part of it"
    assert len(content(context)) < 4 * 120 + len(VAULT) + 8


@both
def test_an_excerpt_is_not_shown_twice_and_another_part_may_be(way: str) -> None:
    long = " ".join(f"Line {n} speaks of the weather in town number {n}." for n in range(300))
    page = Passage(f"{long} The code of the vault is 4711. {long} Bees live in the attic. {long}")
    source = Given({SCOPE.key[:2]: [replace(page, source="page", scope=("tenant",))]})
    built = builder(900, tail=[retrieve(way, source=source, share=120)])
    history, said = ck.History(scope=SCOPE), []
    for question in (VAULT, VAULT, "where do the bees live?", "where do the bees live?", VAULT):
        history.append(question)
        said.append([one.text for one in shown(built.build(history), "notes")])
        history.append(answer("I see"))

    assert [len(texts) for texts in said] == [1, 0, 1, 0, 0]
    assert "vault is 4711" in said[0][0]
    assert "attic" in said[2][0]


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


# -- branches --------------------------------------------------------------------------------


@both
def test_an_answer_that_was_regenerated_is_not_found_any_more(way: str) -> None:
    """On the same builder and scope: what stood there is of another branch."""
    strategy = retrieve(way)
    built = builder(500, tail=[strategy])
    said = [user("guess the code of the vault"), answer("the code of the vault is 1234")]
    other = [said[0], answer("the code of the vault is 9876")]
    for messages, mine, theirs in ((said, "1234", "9876"), (other, "9876", "1234")) * 2:
        context = built.build([*messages, *talk([]), user(VAULT)], scope=SCOPE)

        assert mine in content(context)
        assert theirs not in wire(context)
    branches = strategy.corpora._kept.values()
    assert [len(kept.corpus) for kept in branches] == [len(said) + len(talk([]))] * 2


@both
def test_branches_that_are_asked_turn_about_see_themselves(way: str) -> None:
    built, trunk = made(way), talk(["the code of the vault is 4711"])
    branches = [
        [*trunk, user("name the gardener"), answer(f"the gardener is called {name}"), *talk([])]
        for name in ("Theodora", "Methuselah")
    ]
    for _ in range(2):
        for messages, mine in zip(branches, ("Theodora", "Methuselah"), strict=True):
            context = built.build([*messages, user(GARDENER)], scope=SCOPE)

            assert mine in content(context)
    forked = ck.History([*branches[0], user(GARDENER)], scope=SCOPE)
    fork = forked.fork(len(trunk))
    fork.extend([*branches[1][len(trunk) :], user(GARDENER)])
    for history, mine in ((forked, "Theodora"), (fork, "Methuselah")):
        assert mine in content(built.build(history))


def test_a_branch_that_is_asked_meanwhile_shows_nothing_in_another() -> None:
    """Both have one corpus, which is brought to the branch that asks before it is searched."""
    embedder, others = Embedder(), []

    def embed(texts: Sequence[str]) -> Any:
        if not others:
            others.append(None)
            others.append(built.build(branch("9876"), scope=SCOPE))
        return embedder(texts)

    def branch(code: str) -> list[dict[str, Any]]:
        said = [user("guess the code of the vault"), answer(f"the code of the vault is {code}")]
        return [*said, *talk([], filler=20), user(VAULT)]

    strategy = ck.Retrieve(ck.VectorIndex(embed), share=60, seconds=60)
    built = builder(500, tail=[strategy])
    context = built.build(branch("1234"), scope=SCOPE)

    assert "1234" in content(context)
    assert "9876" not in wire(context)
    assert "9876" in content(others[1])
    assert len(strategy.corpora._kept) == 1


@both
def test_histories_without_a_scope_are_scopes_of_their_own(way: str) -> None:
    built = made(way)
    one = ck.History([*talk(), user(VAULT)])
    other = ck.History([*talk(["the vault is in the cellar"]), user(VAULT)])

    assert "4711" in content(built.build(one))
    assert "cellar" in content(built.build(other))
    assert "4711" not in wire(built.build(other))


# -- other sources ---------------------------------------------------------------------------


def stored(store: ck.SQLiteStore, scope: ck.Scope, *messages: Any) -> None:
    """A conversation as `Chat` keeps it."""
    records = [record_to_json(record) for record in ck.History(messages).records]
    store.append(scope, records, expected=0)


@both
def test_own_messages_earlier_conversations_and_documents_side_by_side(way: str) -> None:
    with ck.SQLiteStore(":memory:") as store:
        stored(store, ck.Scope("tenant", "user", "last year"), user("my vault was built in 1911"))
        documents = ck.Documents(store)
        documents.add_document(
            "# Vaults\n\nOil the door of a vault.", source="vaults.md", tenant="tenant", user="user"
        )
        tail = [
            retrieve(way, share=60),
            retrieve(way, share=70, source=ck.Recall(store)),
            retrieve(way, share=80, source=documents),
        ]
        history = asking("what do you know of my vault ?")
        context = builder(900, tail=tail).build(history)
        history.extend([answer("all of it"), user("what do you know of my vault ?")])
        again = builder(900, tail=tail).build(history)

    assert context.report.failures == ()
    blocks = [edit for edit in context.edits if edit.kind == "insert"]
    assert len(blocks) == 3
    for edit, share in zip(blocks, (60, 70, 80), strict=True):
        assert len(edit.shows[0]["text"]) <= 4 * share
    assert "4711" in shown(context)[0].text
    [earlier] = shown(context, "earlier conversations")
    assert earlier.label == "conversation last year, message 0, user"
    [part] = shown(context, "documents")
    assert part.label.startswith("vaults.md")
    assert "part 0" in part.label
    assert [e for e in again.edits if "1911" in str(e.shows) or "Oil" in str(e.shows)] == []


@both
def test_a_source_shows_nothing_of_others_nor_of_the_conversation_itself(way: str) -> None:
    strangers = [
        ("tenant", "other"), ("other", "user"), ("tenant ", "user"), ("Tenant", "user"),
        ("tenant", "user "), ("tenantu", "ser"), ("%", "%"), ("tenant", "*"), ("tenant\0", "user"),
    ]  # fmt: skip
    with ck.SQLiteStore(":memory:") as store:
        personal, common = ck.Documents(store), ck.Documents(store, of="tenant")
        for tenant, name in strangers:
            stored(store, ck.Scope(tenant, name, "conversation"), user("SECRET vault of another"))
            stored(store, ck.Scope(tenant, name, "c2"), user("SECRET vault of another, too"))
            add = {"source": "a.md", "tenant": tenant}
            personal.add_document("SECRET vault of another", user=name, **add)
            if tenant != "tenant":
                common.add_document("SECRET vault of another", **add)
        stored(store, SCOPE, user("the vault of this very conversation"))
        stored(store, ck.Scope("tenant", "user", "second"), user("the vault of mine"))
        common.add_document("the vault of us all", source="all.md", tenant="tenant")
        tail = [
            retrieve(way, share=100, source=source)
            for source in (ck.Recall(store), personal, common)
        ]
        built = builder(900, tail=tail)
        for tenant, name in strangers:  # who ask first, and whose passages are in the process
            where = ck.Scope(tenant, name, "asks")
            assert "SECRET" in content(built.build([user("which vault ?")], scope=where))
        context = built.build([user("which vault ?")], scope=SCOPE)
        other = built.build([user("which vault ?")], scope=ck.Scope("tenant", "user", "second"))

    assert "SECRET" not in wire(context)
    assert "of mine" in content(context)
    assert "of us all" in content(context)
    assert "very conversation" not in wire(context)
    assert "very conversation" in content(other)
    assert "of mine" not in wire(other)


def test_a_document_that_was_replaced_is_shown_as_it_is_now() -> None:
    documents = ck.Documents()
    where = {"source": "leave.md", "tenant": "tenant", "user": "user"}
    built = builder(900, tail=[ck.Retrieve(source=documents, share=100)])
    history = ck.History(scope=SCOPE)
    said = []
    for days in ("Thirty", "Thirty", "Forty"):
        documents.add_document(f"# Leave\n\n{days} days of holiday.", **where)
        history.append("how many days of holiday do I have ?")
        said.append([one.text for one in shown(built.build(history), "documents")])
        history.append(answer("so many"))
    documents.remove_document(**where)
    history.append("how many days of holiday do I have ?")
    said.append([one.text for one in shown(built.build(history), "documents")])

    assert [["Thirty" in t for t in texts] for texts in said] == [[True], [], [False], []]
    assert "Forty" in said[2][0]


def test_a_source_that_fails_leaves_the_others_alone() -> None:
    class Broken(Given):
        def read(self, scope: ck.Scope, since: Any = None) -> Change:
            raise OSError("no such file")

    tail = [ck.Retrieve(source=Broken({}), share=60), retrieve()]
    context = builder(560, tail=tail).build(asking())

    assert "4711" in content(context)
    assert context.report.failures == ("Retrieve (notes): OSError: no such file",)


def test_a_source_reads_by_scope() -> None:
    context = builder(tail=[ck.Retrieve(source=Given({}), share=60)]).build(ck.History([VAULT]))

    assert "History(scope=" in context.report.failures[0]


SHELF = ("tenant", "user", "")


def test_a_source_of_ones_own() -> None:
    note = Passage("the vault is in the cellar", role="document", source="my notes", scope=SHELF)
    source = Given({("tenant", "user"): [note]})
    context = builder(tail=[ck.Retrieve(source=source, share=60)]).build(
        ck.History([VAULT], scope=SCOPE)
    )

    assert [one.text for one in shown(context, "notes")] == ["the vault is in the cellar"]


class Shared(Given):
    """A source whose conversations have one corpus in common, whoever asks; it forgets nothing."""

    def __init__(self, *, anew: bool = False) -> None:
        super().__init__({}, owner=lambda scope: ("everybody",))
        self.anew = anew

    def read(self, scope: ck.Scope, since: Any = None) -> Change:
        own = Passage(f"the vault of {scope.user} is green", scope=(*scope.key[:2], ""), source="s")
        if self.anew:
            return Change(0, [own], ("anew",))
        return Change(0, [own], ("read",)) if since is None else Change(1, [], since)


@both
@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        (("tenant",), True),
        (("tenant", ""), True),
        (("tenant", "", ""), True),
        (("tenant", "user"), True),
        (("tenant", "user", ""), True),
        (("tenant", "user", "another"), True),
        ((), False),
        (("globex",), False),
        (("globex", "boss"), False),
        (("globex", "user", "conversation"), False),
        (("globex", "", ""), False),
        (("tenant", "boss"), False),
        (("tenant", "boss", "conversation"), False),
        (("Tenant", "user"), False),
        (("tenant", "user "), False),
        (["tenant", "user"], False),
        (None, False),
        ("tenant", False),
    ],
)
def test_a_source_gives_what_is_of_the_tenant_and_the_user_or_nothing(
    way: str, scope: Any, taken: bool
) -> None:
    """What is held against the scope is each passage: of many, a foreign one refuses them all."""
    own = Passage("the vault is in the cellar", scope=("tenant", "user"), source="own")
    other = Passage("SECRET: the code of the vault is 0815", scope=scope, source="other")
    tail = [
        retrieve(way, source=Given({SCOPE.key[:2]: [own, other]}), share=90),
        retrieve(way, share=90),
    ]
    context = builder(900, tail=tail).build(asking())

    assert ("0815" in wire(context)) == taken
    assert bool(shown(context, "notes")) == taken
    assert "4711" in shown(context)[0].text, "the build goes on"
    if not taken and isinstance(scope, tuple):
        [failure] = context.report.failures
        assert "Retrieve (notes): ScopeError" in failure
        assert "SECRET" not in failure
        assert "globex" not in failure
        assert "boss" not in failure


@both
def test_what_was_read_for_one_is_held_against_whoever_asks_of_the_same_owner(way: str) -> None:
    embedder = Embedder()
    index = None if way == "words" else ck.VectorIndex(embedder)
    built = builder(900, tail=[ck.Retrieve(index, Shared(), share=90)])
    other = ck.Scope("tenant", "boss", "conversation")
    question = [user("which vault is green ?")]

    assert "vault of user" in wire(built.build(question, scope=SCOPE))
    embedder.texts.clear()
    refused = built.build(question, scope=other)
    assert "vault of" not in wire(refused)
    assert "ScopeError" in refused.report.failures[0]
    assert embedder.texts == []
    assert "vault of user" in wire(built.build([user("is a vault green ?")], scope=SCOPE))


def test_what_another_build_takes_in_meanwhile_is_held_against_the_one_that_asks() -> None:
    question, embedder = [user("which vault is green ?")], Embedder()

    def embed(texts: Sequence[str]) -> Any:
        if not embedder.texts:
            embedder.texts.append("once")
            built.build(question, scope=ck.Scope("tenant", "boss", "conversation"))
        return embedder(texts)

    tail = [ck.Retrieve(ck.VectorIndex(embed), Shared(anew=True), share=90, seconds=60)]
    built = builder(900, tail=tail)
    context = built.build(question, scope=SCOPE)
    assert "vault of" not in wire(context)
    assert "ScopeError" in context.report.failures[0]


class Awaited(Given):
    """A source that is async."""

    async def read(self, scope: ck.Scope, since: Any = None) -> Change:  # type: ignore[override]
        return super().read(scope, since)


class Called(Given):
    """A source whose `read` is an object that is called, and async."""

    def __init__(self) -> None:
        super().__init__({})
        self.read = _AsyncCall()  # type: ignore[assignment, method-assign]


class _AsyncCall:
    async def __call__(self, scope: ck.Scope, since: Any = None) -> Change:
        return Change(0, [], ())


@pytest.mark.parametrize("source", [Awaited({}), Called()], ids=["function", "object"])
def test_a_source_that_is_async_is_refused_when_it_is_handed_in(source: Any) -> None:
    with pytest.raises(InputError, match=r"^Retrieve\.source\.read: is async: .* in a thread"):
        ck.Retrieve(source=source)
    with pytest.raises(InputError, match=r"^Source\.read: is async"):
        check_source(source, SCOPE)


@pytest.mark.filterwarnings("error")
def test_a_source_that_gives_something_to_be_awaited_says_so() -> None:
    source = Given({})
    source.read = lambda *given: Awaited({}).read(*given)  # type: ignore[method-assign]
    built = builder(900, tail=[ck.Retrieve(source=source, share=90)])
    for context in (built.build(asking()), asyncio.run(built.abuild(asking()))):
        assert "InputError: Source.read: gives a Change, not coroutine" in str(
            context.report.failures
        )


# -- contracts, settings ---------------------------------------------------------------------


@both
def test_it_keeps_the_contract_of_strategies(way: str) -> None:
    check_strategy(retrieve(way, share=200), "tail")
    if way == "vectors":
        check_index(lambda: ck.VectorIndex(Embedder()))


NOTE = Passage("the vault is in the cellar", role="document", source="note", scope=SHELF)


class Breaking(Given):
    """A source that breaks one promise."""

    def __init__(self, fault: str, *passages: Passage) -> None:
        found = passages or (NOTE, replace(NOTE, number=1))
        super().__init__({("tenant", "user"): found, ("tenant, another", "user, another"): found})
        self.fault = fault
        if fault == "name":
            self.name = "no\nname"

    def owner(self, scope: ck.Scope) -> Any:
        if self.fault == "owner":
            return "tenant"
        if self.fault == "everybody":
            return ("tenant", "user")
        if self.fault == "everybody of a tenant" and scope.tenant == "tenant":
            return ("tenant", "user")
        return super().owner(scope)

    def read(self, scope: ck.Scope, since: Any = None) -> Change:
        found = super().read(scope, since)
        if self.fault == "everything again":
            return replace(found, kept=0, added=self.passages["tenant", "user"])
        if self.fault == "kept":
            return replace(found, kept=1)
        if self.fault == "colleague" and scope.key[:2] == ("tenant", "user, another"):
            return Change(0, self.passages["tenant", "user"], ("all",))
        if self.fault != "stranger" and scope.tenant != "tenant":
            return Change(0, (), ())
        return found


@pytest.mark.parametrize(
    ("fault", "passages", "told"),
    [
        ("name", (), "a word or a few words"),
        ("owner", (), "an owner is a tuple"),
        ("everything again", (), "all is kept"),
        ("kept", (), "nothing is kept"),
        ("stranger", (), "another owner"),
        ("", (NOTE, NOTE), "the same place"),
        ("", (replace(NOTE, scope=()),), "in whose scope"),
        ("", (replace(NOTE, scope=("tenant", "user")),), "in whose scope.*a tuple of 2"),
        ("", (replace(NOTE, text="\ud800"),), "can be sent"),
        ("", (replace(NOTE, text=" "),), "has a text"),
        ("", (replace(NOTE, scope=("globex", "", "")),), "of the tenant that asks"),
        ("", (replace(NOTE, scope=("tenant", "boss", "")),), "of the tenant that asks"),
        ("everybody", (), "another tenant or user"),
        ("everybody of a tenant", (replace(NOTE, scope=SHELF),), "or user"),
        ("colleague", (replace(NOTE, scope=SHELF),), "or user"),
    ],
)
def test_the_contract_of_sources_finds_what_breaks_it(
    fault: str, passages: tuple[Passage, ...], told: str
) -> None:
    with pytest.raises((AssertionError, InputError), match=told):
        check_source(Breaking(fault, *passages), SCOPE)


def test_sources_keep_the_contract_of_sources() -> None:
    with ck.SQLiteStore(":memory:") as store:
        stored(store, ck.Scope("tenant", "user", "1"), user("one"), answer("two"))
        personal, common = ck.Documents(store), ck.Documents(store, of="tenant")
        personal.add_document("# A\n\nb\n\n# C\n\nd", source="a", tenant="tenant", user="user")
        common.add_document("b", source="a", tenant="tenant")
        for source in (ck.Recall(store), personal, common, Breaking("")):
            check_source(source, SCOPE)


@pytest.mark.parametrize(
    "settings",
    [
        {"index": len},
        {"index": Embedder()},
        {"index": ck.Documents()},
        {"index": ck.SQLiteIndex},
        {"source": "documents"},
        {"source": ck.VectorIndex(Embedder())},
        {"source": ck.Documents},
        {"share": 0},
        {"share": None},
        {"share": True},
        {"roles": "tool"},
        {"roles": {"system"}},
        {"roles": [{}]},
        {"roles": 5},
        {"language": "klingon"},
        {"language": []},
        {"seconds": 0},
        {"seconds": float("nan")},
        {"seconds": None},
        {"min_cosine": 2},
        {"min_cosine": "0.5"},
        {"min_cosine": float("nan")},
        {"breaker": None},
    ],
    ids=lambda settings: "-".join(f"{name} {type(v).__name__}" for name, v in settings.items()),
)
def test_settings_are_checked_when_it_is_made(settings: dict[str, Any]) -> None:
    with pytest.raises(ContextKitError, match="Retrieve") as caught:
        ck.Retrieve(**settings)
    assert not isinstance(caught.value, EmbeddingError)


def test_no_content_is_told_in_failures_or_reasons() -> None:
    index = ck.VectorIndex(lambda texts: [texts])
    context = builder(500, tail=[ck.Retrieve(index, share=60)], counter=Characters()).build(
        asking()
    )

    assert "4711" in content(context)
    for told in (*context.report.failures, *(edit.reason for edit in context.edits)):
        assert "vault" not in told
        assert "4711" not in told


@pytest.mark.parametrize(
    ("question", "asked"),
    [
        ("what was the code of the vault ?", True),
        ("was war der Code für den Tresor, und wo ist er ?", False),
        ("金庫の暗証番号は何でしたか", False),
    ],
)
def test_an_embedder_of_one_language_is_asked_for_no_other(question: str, asked: bool) -> None:
    class English(Embedder):
        language = "english"

    embedder = English()
    history = ck.History([*list(asking())[:-1], user(question)], scope=SCOPE)
    context = builder(500, tail=[ck.Retrieve(ck.VectorIndex(embedder), share=60)]).build(history)

    assert not context.failures
    assert bool(embedder.texts) == asked


def test_a_share_that_can_hold_no_passage_is_told() -> None:
    messages = [*talk(["vault"]), user("Where is the vault?")]
    told, held = set(), set()
    for share in range(20, 60):
        history = ck.History(messages, scope=SCOPE)
        context = builder(500, tail=[ck.Retrieve(share=share)]).build(history)
        if context.report.failures:
            [failure] = context.report.failures
            assert f"Retrieve.share is {share} tokens, and what stands around" in failure
            told.add(share)
        if "message 0, user]\nvault" in context.messages[-1]["content"]:
            held.add(share)
    assert (min(told), max(held)) == (20, 59)
    assert min(held) - max(told) <= 3, "the word itself, and what one counts more alone"
    assert told | held | {max(told) + 1, max(told) + 2} == set(range(20, 60))


@pytest.mark.parametrize("blank", [" \n\t", " " * 1_000])
def test_a_blank_question_asks_nobody(blank: str) -> None:
    index = ck.VectorIndex(lambda texts: pytest.fail("nobody is asked"))
    history = ck.History([*talk(["vault"]), user(blank)], scope=SCOPE)
    context = builder(500, tail=[ck.Retrieve(index, share=60)]).build(history)

    assert context.report.failures == ()
    assert not [edit for edit in context.edits if edit.kind == "insert"]
