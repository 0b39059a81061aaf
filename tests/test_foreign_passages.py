"""Nobody is ever shown what is another's: hostile names by class, and drawn at random."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import contextkit as ck
from contextkit.errors import ContextKitError
from contextkit.records import record_to_json
from contextkit.retrieval.sources import Source

NAMES = [
    "acme", "Acme", "ACME", "acme ", " acme", "acme\t", "acme\0", "\0", "acme\0x", "%", "_", "a%",
    "ac_e", "*", "?", "[a]cme", "acme*", "'", "''", "' OR '1'='1", '"', "acme'--", "\\", "acme\\",
    "x'; DROP TABLE documents;--", "\u0430cme", "ac\u200bme", "acme\u0301", "acmé", "acme\u0301",
    "é", "e\u0301", "ﬁ", "fi", "\u017f", "s", "K", "\u212a", "İ", "i\u0307", "ß", "ss",
    "\ufeffacme", "ac", "me", "a", "cme", "acm", "e", "null", "None", "true", "0", "1", "-1",
    "1.0", "{}", "[]", '{"$ne": ""}', '{"$gt": ""}', "$ne", "tenant", "user", "..", "../acme", "/",
    "a/b", "a:b", ".", "-", "--", ";", "\u2028", "\x1b[31m", "😀", "a" * 300, "NaN", "undefined",
    "acme,u1", "acme|u1", "acme\n", "\r\n", "<data>", "<|im_start|>system", "\u202eemca",
]  # fmt: skip
"""Each against each other: operators, wild cards, quotes, NUL, case, forms of Unicode, homoglyphs,
white space, names that begin or end like others, JSON, what delimits keys elsewhere."""

NOBODIES: list[Any] = [
    None, "", "acme", 0, 1, True, 1.5, b"acme", [], (), {}, {"$ne": ""}, {"tenant": "acme"},
    {"tenant": {"$ne": ""}, "user": "u1", "conversation": "1"}, ("acme", "u1", "1"), ["acme"],
    ("acme", "u1", ""), frozenset({"acme"}), ck.Scope,
]  # fmt: skip

PARTS: list[Any] = [None, "", 0, b"a", [], {}, {"$ne": ""}, {"$gt": ""}, ("a",), True, "\ud800"]


@pytest.fixture
def store() -> Iterator[ck.SQLiteStore]:
    with ck.SQLiteStore(":memory:") as made:
        yield made


def say(store: ck.SQLiteStore, scope: ck.Scope, text: str) -> None:
    history = ck.History([text])
    store.append(scope, [record_to_json(history.records[0])], expected=None)


def sources(store: ck.SQLiteStore) -> list[Source]:
    return [
        ck.Recall(store),
        ck.Documents(store, of="user"),
        ck.Documents(store, of="tenant"),
        ck.Recall(store, max_bytes=0),  # nothing is remembered
    ]


def fill(store: ck.SQLiteStore, scope: ck.Scope) -> None:
    """What is said under a scope names it."""
    say(store, scope, f"said {scope.key!r}")
    text = f"document {scope.key[:2]!r}"
    ck.Documents(store, of="user").add_document(
        text, source="a", tenant=scope.tenant, user=scope.user
    )
    ck.Documents(store, of="tenant").add_document(
        f"document {scope.tenant!r}", source="a", tenant=scope.tenant
    )


def check(found: list[Source], asks: ck.Scope, others: set[str]) -> None:
    """Everything that is read is of the tenant and user that asks, and is all there is of them."""
    recall, of_user, of_tenant, unkept = found
    for source in (recall, unkept):
        passages = source.read(asks).added
        for passage in passages:
            assert passage.scope[:2] == asks.key[:2]
            assert passage.text == f"said {passage.scope!r}"
        assert {p.source for p in passages} - {asks.conversation} == others - {asks.conversation}
    assert [p.text for p in of_user.read(asks).added] == [f"document {asks.key[:2]!r}"]
    assert [p.text for p in of_tenant.read(asks).added] == [f"document {asks.tenant!r}"]


def test_names_of_every_hostile_class_see_their_own_alone(store: ck.SQLiteStore) -> None:
    names = list(dict.fromkeys(NAMES))
    scopes = [ck.Scope(name, "u1", "1") for name in names]
    scopes += [ck.Scope("acme", name, "1") for name in names if name != "u1"]
    scopes += [ck.Scope(left, right, "1") for left, right in product(names[:12], names[-12:])]
    scopes = list(dict.fromkeys(scopes))
    for scope in scopes:
        fill(store, scope)
    found = sources(store)
    for scope in scopes:
        assert store.conversations(scope) == [("1", 1)]
        check(found, scope, {"1"})
        # A conversation of any name asks, too.
        check(found, ck.Scope(scope.tenant, scope.user, "%"), {"1"})
    strangers = [ck.Scope(name.swapcase() + "?", "u1", "1") for name in names]
    for stranger in strangers:
        for source in found:
            assert source.read(stranger).added == []


def test_conversations_of_hostile_names_are_told_apart(store: ck.SQLiteStore) -> None:
    names = list(dict.fromkeys(NAMES))
    for name in names:
        say(store, ck.Scope("acme", "u1", name), f"said in {name}")
        say(store, ck.Scope("acme", "u2", name), "foreign")
    read = ck.Recall(store).read(ck.Scope("acme", "u1", "new")).added
    assert [passage.text for passage in read] == [f"said in {name}" for name in names]
    assert [passage.source for passage in read] == names
    for name in names:
        scope = ck.Scope("acme", "u1", name)
        every = ck.Recall(store).read(scope).added
        assert [passage.source for passage in every if passage.scope != scope.key] == [
            n for n in names if n != name
        ]


@pytest.mark.parametrize("nobody", NOBODIES, ids=lambda value: f"{value!r:.40}")
def test_what_is_no_scope_reads_nothing(store: ck.SQLiteStore, nobody: Any) -> None:
    fill(store, ck.Scope("acme", "u1", "1"))
    for source in sources(store):
        for read in (source.read, source.owner):
            with pytest.raises(ContextKitError):
                read(nobody)
    with pytest.raises(ContextKitError):
        store.conversations(nobody)
    with pytest.raises(ContextKitError):
        store.load_since(nobody, 0)
    if nobody != ("acme", "u1", ""):  # the one that is a shelf, which scopes are not
        with pytest.raises(ContextKitError):
            store.documents(nobody)


@pytest.mark.parametrize("part", PARTS, ids=lambda value: f"{value!r:.40}")
def test_what_is_no_name_adds_lists_and_takes_away_nothing(
    store: ck.SQLiteStore, part: Any
) -> None:
    fill(store, ck.Scope("acme", "u1", "1"))
    of_user, of_tenant = ck.Documents(store, of="user"), ck.Documents(store, of="tenant")
    for documents, owner in (
        (of_user, {"tenant": part, "user": "u1"}),
        (of_user, {"tenant": "acme", "user": part}),
        (of_tenant, {"tenant": part}),
    ):
        for call in (
            lambda d=documents, o=owner: d.add_document("x", source="x", **o),
            lambda d=documents, o=owner: d.remove_document("a", **o),
            lambda d=documents, o=owner: d.sources(**o),
        ):
            with pytest.raises(ContextKitError):
                call()
    if part is not None:  # None says that there is none, which is right for a tenant
        with pytest.raises(ContextKitError):
            of_tenant.add_document("x", source="x", tenant="acme", user=part)
    with pytest.raises(ContextKitError):
        of_user.add_document("x", source=part, tenant="acme", user="u1")
    with pytest.raises(ContextKitError):
        of_user.add_document("x", source="x", tenant="acme")  # of nobody: not of all
    assert of_user.sources(tenant="acme", user="u1") == ["a"]
    assert of_tenant.sources(tenant="acme") == ["a"]


names = st.sampled_from(NAMES) | st.text(min_size=1, max_size=8).filter(
    lambda text: not any(unicodedata.category(letter) == "Cs" for letter in text)
)
scopes = st.builds(ck.Scope, names, names, names)


@given(st.lists(scopes, min_size=1, max_size=6), scopes)
def test_names_drawn_at_random_see_their_own_alone(
    filled: list[ck.Scope], stranger: ck.Scope
) -> None:
    with ck.SQLiteStore(":memory:") as store:
        for scope in dict.fromkeys(filled):
            fill(store, scope)
        found = sources(store)
        for scope in filled:
            of_user = {other.conversation for other in filled if other.key[:2] == scope.key[:2]}
            check(found, scope, of_user)
        if stranger.key[:2] not in {scope.key[:2] for scope in filled}:
            assert not found[0].read(stranger).added
            assert not found[1].read(stranger).added
        if stranger.tenant not in {scope.tenant for scope in filled}:
            assert not found[2].read(stranger).added


@given(st.lists(scopes, min_size=2, max_size=5, unique=True))
def test_vectors_are_fed_under_their_own_scope_alone(filled: list[ck.Scope]) -> None:
    index = ck.VectorIndex(lambda texts: np.ones((len(texts), 2)))
    with ck.SQLiteStore(":memory:") as store:
        for scope in filled:
            fill(store, scope)
        assert ck.feed(store, index, words=False).error is None
        held = {scope: rows.used for scope, rows in index._rows.items()}
        expected = {scope.key: 1 for scope in filled}
        expected |= {(scope.tenant, scope.user, ""): 1 for scope in filled}
        expected |= {(scope.tenant, "", ""): 1 for scope in filled}
        expected |= {(scope.tenant, "", "fed"): 1 for scope in filled}  # that it was fed
        assert held == expected
