"""Retrieve: what was cut comes back with the message that asks for it, once, and stays."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import ContextKitError, EmbeddingError, ScopeError
from contextkit.folding import with_part
from contextkit.retrieval.passages import Passage
from contextkit.strategies.blocks import delimiter_mark, label_of
from contextkit.testing import check_index, check_strategy
from tests.retrieved import (
    FACTS,
    GARDENER,
    TRAIN,
    VAULT,
    WAYS,
    Embedder,
    Given,
    asking,
    both,
    content,
    made,
    numbers,
    read_block,
    retrieve,
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


# -- contracts, settings ---------------------------------------------------------------------


@both
def test_it_keeps_the_contract_of_strategies(way: str) -> None:
    check_strategy(retrieve(way, share=200), "tail")
    if way == "vectors":
        check_index(lambda: ck.VectorIndex(Embedder()))


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
