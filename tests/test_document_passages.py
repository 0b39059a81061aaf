"""Documents: in parts with their headings, replaced whole, seen by whom they are for."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import BudgetError, InputError, StoreUnreadable
from contextkit.estimate import EstimateCounter
from contextkit.retrieval import documents as documents_module
from contextkit.retrieval import recall as recall_module
from contextkit.retrieval.chunks import Chunk, chunks_of
from contextkit.retrieval.corpora import Kept
from contextkit.retrieval.corpus import Corpus
from contextkit.retrieval.documents import InMemory, passages_of_document
from contextkit.retrieval.ranking import rank
from contextkit.strategies.base import describe
from contextkit.testing.stores import check_document_store
from tests.recall_stores import Four
from tests.support import builder

ASKS = ck.Scope("acme", "u1", "42")
COUNT = EstimateCounter().count
PROSE = ("One sentence follows the other here. " * 12).strip()


@pytest.fixture(params=["memory", "store"])
def documents(request: Any) -> Iterator[ck.Documents]:
    with ck.SQLiteStore(":memory:") as store:
        yield ck.Documents(store if request.param == "store" else None)


def add(documents: ck.Documents, text: str, source: str = "a.md", **more: Any) -> int:
    return documents.add_document(text, source=source, **{"tenant": "acme", "user": "u1", **more})


def texts(documents: ck.Documents, asks: ck.Scope = ASKS) -> list[str]:
    return [passage.text for passage in documents.read(asks).added]


# -- parts -----------------------------------------------------------------------------------


def test_paragraphs_are_joined_up_to_the_size_of_a_part() -> None:
    text = "\n\n".join(f"Paragraph {n}. {PROSE}" for n in range(6))
    chunks = chunks_of(text)
    assert 3 <= len(chunks) <= 6
    assert "\n\n".join(chunk.text for chunk in chunks) == text
    assert all(COUNT(chunk.text) <= 200 for chunk in chunks)
    assert [chunk.text for chunk in chunks_of("one\n\ntwo\r\n\r\nthree")] == ["one\n\ntwo\n\nthree"]


def test_a_long_paragraph_is_cut_between_sentences() -> None:
    text = " ".join(f"Sentence {n} is about the number {n}." for n in range(80))
    chunks = chunks_of(text)
    assert len(chunks) > 2
    assert " ".join(chunk.text for chunk in chunks) == text
    assert all(chunk.text.endswith(".") for chunk in chunks)


def test_underlined_headings_are_headings() -> None:
    text = (
        "Leave\n=====\n\nStaff have thirty days.\n\nSick leave\n---\n\nAs long as it takes.\n"
        "### Notes\n**Monday** \n  -------  \nClosed.\n\nPay\n===\nMonthly."
    )
    assert [(chunk.headings, chunk.text.split("\n")[-1]) for chunk in chunks_of(text)] == [
        (("Leave",), "Staff have thirty days."),
        (("Leave", "Sick leave"), "As long as it takes."),
        (("Leave", "**Monday**"), "Closed."),
        (("Pay",), "Monthly."),
    ]
    assert chunks_of("Only\n====\n\nHeadings\n--------") == [
        Chunk("Only\n====\n\nHeadings\n--------", ("Only", "Headings"))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "above\n\n---\n\nbelow",
        "two lines\nof a text\n---\nbelow",
        "---\ntitle: of a page\n---\n\nbelow",
        "- an item\n---\nbelow",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "```\nin code\n=======\n```\nbelow",
        "Yours,\n-- \nAnn",
        "1. first\n---",
    ],
)
def test_rules_tables_and_code_are_no_headings(text: str) -> None:
    assert chunks_of(text) == [Chunk(text)]


def test_a_part_stands_under_its_headings() -> None:
    text = (
        "Before.\n# Guide\n\n## Install ##\nWith pip.\n\n```sh\n# no heading\npip install x\n\n"
        "# nor this\n```\n### Linux\nApt.\n## Use\n\nRun.\n#nospace\n####### seven\n~~~\n# in\n"
    )
    assert [(chunk.headings, chunk.text[:10]) for chunk in chunks_of(text)] == [
        ((), "Before."),
        (("Guide", "Install"), "# Guide\n\n#"),
        (("Guide", "Install", "Linux"), "### Linux\n"),
        (("Guide", "Use"), "## Use\n\nRu"),
    ]
    assert chunks_of("# Only\n\n## Headings") == [
        Chunk("# Only\n\n## Headings", ("Only", "Headings"))
    ]


@pytest.mark.parametrize("empty", ["", " \n\n\t", "\r\n", "\n" * 1_000])
def test_nothing_has_no_parts(empty: str, documents: ck.Documents) -> None:
    assert chunks_of(empty) == []
    add(documents, "there")
    with pytest.raises(InputError, match="no text"):
        add(documents, empty)
    assert texts(documents) == ["there"], "what was there stays"


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(words | st.sampled_from(["# A", "## B", "```", "\n", PROSE, "x" * 3_000])))
def test_no_word_is_lost(lines: list[str]) -> None:
    text = "\n".join(lines)
    chunks = chunks_of(text)
    assert "".join("".join(chunk.text for chunk in chunks).split()) == "".join(text.split())
    assert all(COUNT(chunk.text) <= 200 for chunk in chunks if " " in chunk.text)


@pytest.mark.parametrize("line", ["x" * 100_000, "字" * 20_000, "0" * 50_000, "😀" * 20_000])
def test_what_has_no_words_is_cut_anywhere(line: str) -> None:
    chunks = chunks_of(line)
    assert "".join(chunk.text for chunk in chunks) == line
    assert max(COUNT(chunk.text) for chunk in chunks) <= 200


# -- adding, replacing, taking away ----------------------------------------------------------


def test_a_part_says_where_it_is_from(documents: ck.Documents) -> None:
    assert add(documents, "# Leave\n\nThirty days.\n\n# Pay\n\nMonthly.", "staff.md") == 2
    assert add(documents, "Plain.", "plain.txt") == 1
    found = documents.read(ASKS).added
    assert [(p.source, p.number, p.speaker, p.role, p.date) for p in found] == [
        ("staff.md", 0, "staff.md / Leave", "document", ""),
        ("staff.md", 1, "staff.md / Pay", "document", ""),
        ("plain.txt", 0, "plain.txt", "document", ""),
    ]
    assert {p.scope for p in found} == {("acme", "u1", "")}
    assert len({p.session for p in found}) == 3, "a part has no neighbours that it borrows from"


def test_a_document_is_replaced_whole(documents: ck.Documents) -> None:
    add(documents, f"# One\n\n{PROSE}\n\n# Two\n\n{PROSE}", "a.md")
    add(documents, "kept", "b.md")
    kept = Kept(Corpus())
    kept.change(None, documents.read(ASKS), lambda passage: passage)
    assert len(kept.corpus) == 3
    add(documents, "new", "a.md")
    assert documents.sources(tenant="acme", user="u1") == ["b.md", "a.md"]
    kept.change(kept.mark, documents.read(ASKS, kept.mark), lambda passage: passage)
    assert [p.text for p in kept.corpus.passages] == ["kept", "new"]

    assert documents.remove_document("b.md", tenant="acme", user="u1")
    assert not documents.remove_document("b.md", tenant="acme", user="u1")
    change = documents.read(ASKS, kept.mark)
    kept.change(kept.mark, change, lambda passage: passage)
    assert [p.text for p in kept.corpus.passages] == ["new"]
    # The same place, and a document that was there before: still another one.
    documents.remove_document("a.md", tenant="acme", user="u1")
    add(documents, "newer", "a.md")
    kept.change(kept.mark, documents.read(ASKS, kept.mark), lambda passage: passage)
    assert [p.text for p in kept.corpus.passages] == ["newer"]
    assert documents.read(ASKS, kept.mark).added == []


def test_who_has_a_document() -> None:
    with ck.SQLiteStore(":memory:") as store:
        own, common = ck.Documents(store), ck.Documents(store, of="tenant")
        add(own, "mine")
        common.add_document("ours", source="a.md", tenant="acme")
        for user in ("u1", "u2"):
            asks = ck.Scope("acme", user, "42")
            assert texts(own, asks) == (["mine"] if user == "u1" else [])
            assert texts(common, asks) == ["ours"]
        assert texts(common, ck.Scope("globex", "u1", "42")) == []
        with pytest.raises(InputError, match="user"):
            own.add_document("of nobody", source="b.md", tenant="acme")
        with pytest.raises(InputError, match="tenant's"):
            common.add_document("of u1", source="b.md", tenant="acme", user="u1")
        assert store.conversations(ASKS) == [], "no conversation has them"


def test_documents_are_there_after_reopening(tmp_path: Path) -> None:
    with ck.SQLiteStore(tmp_path / "chat.db") as store:
        add(ck.Documents(store), "kept")
    with ck.SQLiteStore(tmp_path / "chat.db") as store:
        assert texts(ck.Documents(store)) == ["kept"]


@pytest.mark.parametrize(
    "bad", [None, "", 7, "two\nlines", "\0", "\x1b[0m", "\ud800", b"a", {"$ne": ""}, "\u202e"]
)
def test_a_source_is_a_line_that_can_be_shown(documents: ck.Documents, bad: Any) -> None:
    with pytest.raises(InputError):
        add(documents, "text", bad)
    with pytest.raises(InputError):
        documents.remove_document(bad, tenant="acme", user="u1")
    assert texts(documents) == []


@pytest.mark.parametrize("bad", [None, 7, b"text", ["text"], "\ud800"])
def test_a_document_is_text(documents: ck.Documents, bad: Any) -> None:
    with pytest.raises(InputError):
        add(documents, bad)


def test_settings_that_cannot_be_are_refused() -> None:
    for bad in ({"of": "everybody"}, {"store": Four()}, {"store": ck.SQLiteStore}):
        with pytest.raises(InputError):
            ck.Documents(**bad)
    with pytest.raises(BudgetError):
        ck.Documents(tokens=0)


def test_a_damaged_document_is_left_out_until_it_can_be_read(
    documents: ck.Documents, caplog: pytest.LogCaptureFixture
) -> None:
    add(documents, "whole", "whole.md")
    shelf = ("acme", "u1", "")
    for body in ({}, {"parts": 7}, {"parts": [{"text": "secret"}]}, {"parts": ["secret"]}):
        caplog.clear()
        documents.store.put_document(shelf, "private.md", body)
        mark = None
        for _ in range(3):
            change = documents.read(ASKS, mark)
            assert (change.kept, len(change.added)) == ((1, 0) if mark else (0, 1))
            mark = change.mark
        assert len(caplog.records) == 1
        assert "a document cannot be read" in caplog.text
        assert "secret" not in caplog.text
        assert "private" not in caplog.text
        with pytest.raises(StoreUnreadable) as caught:
            passages_of_document(body, shelf, "private.md")
        assert "secret" not in str(caught.value)
    add(documents, "mended", "private.md")
    assert [part.text for part in documents.read(ASKS).added] == ["whole", "mended"]


def test_a_document_that_could_not_be_read_is_there_once_it_can(
    documents: ck.Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(documents, "whole", "a.md")
    first = type(documents.store).document
    with monkeypatch.context() as patched:
        patched.setattr(type(documents.store), "document", lambda *_: {})
        nothing = documents.read(ASKS)
        assert nothing.added == []
    assert type(documents.store).document is first
    assert [part.text for part in documents.read(ASKS, nothing.mark).added] == ["whole"]


def test_the_examples_are_true() -> None:
    for module in (documents_module, recall_module):
        result = doctest.testmod(module)
        assert (result.failed, result.attempted > 0) == (0, True)


def test_what_is_in_memory_keeps_the_contract() -> None:
    check_document_store(InMemory)


def test_what_is_remembered_is_bounded() -> None:
    with ck.SQLiteStore(":memory:") as store:
        documents = ck.Documents(store, max_bytes=3_000)
        for user in ("u1", "u2", "u3"):
            add(documents, "x" * 1_000, user=user)
        marks = [documents.read(ck.Scope("acme", f"u{n}", "42")).mark for n in (1, 2, 3)]
        assert len(documents._shelves) < 3
        assert documents._shelves.size <= 3_000
        again = documents.read(ASKS, marks[0])
        assert again.added == [], "what was forgotten here, its reader still has"
        assert again.mark == marks[0]


# -- found and shown -------------------------------------------------------------------------


def test_a_document_is_found_by_its_source_and_headings(documents: ck.Documents) -> None:
    add(documents, "# Refunds\n\nWithin thirty days.", "policy.md")
    add(documents, "# Shipping\n\nWithin five days.", "policy2.md")
    corpus = Corpus()
    for passage in documents.read(ASKS).added:
        corpus.append(passage)
    assert corpus.participants == {}, "a source is nobody who speaks"
    scores = rank(corpus, "What does the policy say about refunds?")
    assert scores[0] > scores[1]


def test_the_parts_that_answer_stand_in_the_request(documents: ck.Documents) -> None:
    add(documents, "# Leave\n\nStaff have thirty days of leave.\n\n# Pay\n\nMonthly.", "staff.md")
    add(documents, "Of another user: thirty days of leave.", "secret.md", user="u2")
    shows = builder(2_000, tail=[ck.Retrieve(source=documents, share=200)])
    history = ck.History(["How many days of leave do staff have?"], scope=ASKS)
    sent = str(shows.build(history).request()["messages"])
    assert "Staff have thirty days of leave." in sent
    assert "staff.md / Leave" in sent
    assert "another user" not in sent


@pytest.mark.parametrize("share", [250, 300, 400, 500, 600])
def test_a_shorter_part_is_worth_no_more_than_a_longer_one(share: int) -> None:
    """The last part of a document is what is left of it."""
    documents = ck.Documents(of="tenant")
    for product in (44, 321):
        lines = [f"Part {n} of product {product} costs {product + n} euros." for n in range(30)]
        documents.add_document(
            f"# Product {product}\n\n" + "\n\n".join(lines), source=f"{product}.md", tenant="acme"
        )
    built = builder(4_000, tail=[ck.Retrieve(source=documents, share=share)])
    context = built.build(["How much does part 7 of product 321 cost?"], scope=ASKS)

    assert "Part 7 of product 321 costs 328" in str(context.messages[-1]["content"])


def test_whose_documents_they_are_is_recorded_with_the_settings() -> None:
    with ck.SQLiteStore(":memory:") as store:
        sources = (
            ck.Documents(of="tenant"),
            ck.Documents(of="user"),
            ck.Recall(store),
            ck.Recall(store, roles=("user",)),
        )
        recorded = [describe(ck.Retrieve(source=source))["source"] for source in sources]
    assert recorded == [
        {"type": "Documents", "of": "tenant"},
        {"type": "Documents", "of": "user"},
        {"type": "Recall", "roles": ["assistant", "user"]},
        {"type": "Recall", "roles": ["user"]},
    ]
