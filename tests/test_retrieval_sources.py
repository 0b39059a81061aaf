"""Retrieve from other sources: whose passages they are, sources of one's own, their contract."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

import contextkit as ck
from contextkit.errors import InputError
from contextkit.records import record_to_json
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change
from contextkit.testing import check_source
from tests.retrieved import (
    SHELF,
    VAULT,
    Embedder,
    Given,
    asking,
    both,
    content,
    retrieve,
    shown,
)
from tests.support import (
    SCOPE,
    answer,
    builder,
    user,
    wire,
)

pytestmark = pytest.mark.usefixtures("quiet_log")

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


# -- the contract -----------------------------------------------------------------------------


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
