"""What tests of a program that builds requests can assert."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, get_args

from contextkit.builder import ContextBuilder
from contextkit.caching.prefix import diff
from contextkit.context import Context
from contextkit.edits import Edit
from contextkit.errors import (
    ContextKitError,
    InputError,
    StoreConflict,
)
from contextkit.history import History
from contextkit.profiles import profile_for
from contextkit.scope import Scope
from contextkit.store import Store, needs_documents, needs_outbox, needs_recall
from contextkit.strategies.base import Strategy
from contextkit.summarizing.kept import hidden_numbers, kept_of, said_by
from contextkit.summarizing.mention import FactKind
from contextkit.testing.embedders import acheck_embedder, check_embedder
from contextkit.testing.indexes import check_index
from contextkit.testing.sources import check_source
from contextkit.testing.stores import (
    check_document_store,
    check_outbox_store,
    check_recall_store,
)
from contextkit.testing.stores import promise as _promise
from contextkit.testing.stores import said as _said
from contextkit.view import fold

__all__ = [
    "acheck_embedder",
    "assert_facts_kept",
    "assert_prefix_stable",
    "check_embedder",
    "check_index",
    "check_source",
    "check_store",
    "check_strategy",
]

_NAMED = 20  # lost facts that are named


def assert_prefix_stable(requests: Iterable[Mapping[str, Any]], moves_allowed: int = 0) -> None:
    """Every request begins with the whole of the one before it, but for the moves allowed.

    Raises:
        AssertionError: names each pair whose prefix moved, where it moved, and probably why.
    """
    moves = [
        f"requests[{number}] and requests[{number + 1}]: {found}"
        for number, (earlier, later) in enumerate(pairwise(requests))
        if (found := diff(earlier, later)).kind == "moved"
    ]
    if len(moves) > moves_allowed:
        count = f"the prefix moved {len(moves)} times, {moves_allowed} allowed"
        raise AssertionError("\n".join([count, *moves]))


def assert_facts_kept(
    built: Context | History,
    at_least: float = 0.9,
    *,
    kinds: FactKind | Collection[FactKind] = (),
    needed: bool = True,
) -> None:
    """What a compaction hides, it keeps the facts of: they still stand somewhere in the context.

    Facts are identifiers, paths, dates, numbers, names and constraints, as
    `contextkit.summarizing.facts` finds them: by their form, so that what is said in other words
    counts as lost.

    Args:
        built: a context, or a history for what the model sees of it now.
        at_least: the share of the facts that must stand, from 0 to 1.
        kinds: only facts of these kinds; empty for all.
        needed: only facts that a summary must carry: said twice, or said by the user. What a tool
            said once is none of these.

    Raises:
        AssertionError: names the facts that are lost, and the first message that has each; also
            where no such fact is hidden, so that there is nothing to test.
        InputError: for a kind that there is not, or a share beyond 1.
    """
    if isinstance(at_least, bool) or not 0 <= at_least <= 1:
        raise InputError(f"is a share from 0 to 1, such as 0.9, not {at_least!r}", place="at_least")
    if isinstance(kinds, str):
        kinds = (kinds,)
    known = get_args(FactKind)
    if strange := sorted({str(kind) for kind in kinds} - set(known)):
        raise InputError(f"are of {', '.join(known)}, not {', '.join(strange)}", place="kinds")
    view = fold(built) if isinstance(built, History) else built.view
    messages = view.history.data[: view.seen]
    hidden = hidden_numbers(messages, view.messages)
    if not hidden:
        raise AssertionError("no message is hidden: nothing was compacted that could lose a fact")
    found = kept_of([messages[number] for number in hidden], view.messages)
    kept, of = found.counts(kinds, needed=needed)
    facts = "needed facts" if needed else "facts"
    if kinds:
        facts += f" ({', '.join(kinds)})"
    where = f"messages {hidden[0]} to {hidden[-1]}"
    if not of:
        every = found.counts(kinds)[1]
        other = f"; there are {every:,} others, with needed=False" if needed and every else ""
        raise AssertionError(f"{where} have no {facts}, so there is nothing to test{other}")
    if kept >= at_least * of:
        return
    texts = {number: said_by(messages[number]) for number in hidden}
    gone = [
        f"{fact.kind} {fact.text!r}{_place(fact.text, texts)}"
        for fact in found.lost
        if (not kinds or fact.kind in kinds) and (fact.needed or not needed)
    ]
    more = f", and {len(gone) - _NAMED:,} more" if len(gone) > _NAMED else ""
    raise AssertionError(
        f"of {of:,} {facts} of {where}, {kept / of:.1%} are kept, and {at_least:.1%} asked for. "
        f"Lost are: {', '.join(gone[:_NAMED])}{more}"
    )


def _place(text: str, texts: Mapping[int, str]) -> str:
    """The first message in which a fact stands as it is named."""
    number = next((number for number, said in texts.items() if text in said), None)
    return "" if number is None else f" (messages[{number}])"


def check_store(make_store: Callable[[], Store]) -> None:
    """A store keeps what the `Store` protocol promises; for stores of your own.

    Args:
        make_store: gives a new store with nothing in it. What a `RecallStore`, an
            `OutboxStore` and a `DocumentStore` promise is looked at where it has `conversations`,
            `pending` or `documents`.

    Raises:
        AssertionError: says what the store does not do.
    """
    for check in (_keeps_records, _refuses_others, _separates_scopes, _decides_once, _shares_work):
        check(make_store())
    if hasattr(make_store(), "conversations"):
        check_recall_store(lambda: needs_recall(make_store(), "the contract"))
    if hasattr(make_store(), "pending"):
        check_outbox_store(lambda: needs_outbox(make_store(), "the contract"))
    if hasattr(make_store(), "documents"):
        check_document_store(lambda: needs_documents(make_store(), "the contract"))


def check_strategy(strategy: Strategy, phase: str = "compaction") -> None:
    """A strategy does its work in a phase without ever failing; for strategies of your own.

    It is run over a conversation with tool calls and sounds, far beyond the budget: every edit
    that it proposes must be one that it may make, twice the same must come out, and in the
    compaction phase it must free tokens at least once.

    Args:
        strategy: in the tail phase with its `share`.
        phase: `arrival`, `compaction` or `tail`.

    Raises:
        AssertionError: says what it does not do.
    """
    runs = [_run_strategy(strategy, phase) for _ in range(2)]
    made = [edit for edits, _ in runs[:1] for edit in edits if edit.by != "DropOldest"]
    if type(strategy).__name__ != "DropOldest":
        _promise(bool(made), what=f"the strategy makes no edit in the {phase} phase")
    _promise(runs[0] == runs[1], what="the same conversation gives the same edits and bytes")


def _run_strategy(strategy: Strategy, phase: str) -> tuple[list[Edit], list[Any]]:
    strategies: dict[str, Any] = {phase: [strategy]}
    builder = ContextBuilder("contract", profile=profile_for("generic"), limit=1_500, **strategies)
    history = History(system="You look things up.", scope=_SCOPE)
    history.id = "contract"  # otherwise the marks of its blocks are nobody's to guess
    edits: list[Edit] = []
    sent: list[Any] = []
    for number in range(30):
        call = {"id": f"call {number}", "type": "function"}
        function = {"name": "look_up", "arguments": f'{{"number": {number}}}'}
        history.append(f"Question {number}, about order {number * 7}: where is it?")
        history.append(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{**call, "function": function}],
            }
        )
        history.append(
            {"role": "tool", "tool_call_id": call["id"], "content": f"row {number} " * 60}
        )
        context = builder.build(history)
        _promise(
            not context.decision.failures,
            what=f"the strategy was passed over: {'; '.join(context.decision.failures)}",
        )
        edits += context.edits
        sent.append(context.request())
        history.append({"role": "assistant", "content": f"Order {number * 7} is on its way."})
        if number % 5 == 0:
            history.append({"role": "user", "content": [_THANKS, _SOUND]})
            history.append({"role": "assistant", "content": "You are welcome."})
    return edits, sent


_THANKS = {"type": "text", "text": "Thanks."}
_SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "mp3"}}
_SCOPE = Scope("tenant", "user", "conversation")

# Key order, numbers that Python takes for equal, text that is cut or changed where it is not bound.
_RECORDS: list[dict[str, Any]] = [
    {
        "type": "message",
        "message": {"role": "user", "content": "a\0b \u2028 \u00e9 e\u0301 \U0001f600"},
    },
    {"b": [1, 1.0, True, None, 2**60, 1e-9], "a": {"z": {}, "y": []}, "": "'); DROP TABLE records"},
]


def _keeps_records(store: Store) -> None:
    _promise(store.load(_SCOPE) == [], what="a conversation that is not there is empty")
    _promise(
        store.append(_SCOPE, _RECORDS, expected=0) == 2, what="the version is the number of records"
    )
    _promise(_said(store.load(_SCOPE)) == _said(_RECORDS), what="records come back as they were")
    store.load(_SCOPE)[0].clear()
    _promise(
        store.append(_SCOPE, _RECORDS[:1], expected=None) == 3, what="None appends to what is there"
    )
    _promise(store.append(_SCOPE, [], expected=3) == 3, what="no records are no new version")
    expected = [*_RECORDS, _RECORDS[0]]
    _promise(
        _said(store.load(_SCOPE)) == _said(expected), what="what load gave is the caller's own"
    )


def _refuses_others(store: Store) -> None:
    store.append(_SCOPE, _RECORDS, expected=0)
    for expected in (0, 1, 3):
        try:
            store.append(_SCOPE, _RECORDS, expected=expected, decisions={("main", "h"): {}})
        except StoreConflict as conflict:
            found = (conflict.expected, conflict.found)
            _promise(found == (expected, 2), what="a conflict says both versions")
        else:
            raise AssertionError("another version than the expected one is a StoreConflict")
    for bad in ({"at": float("nan")}, {"at": object()}, {"at": "\ud800"}):
        try:
            store.append(_SCOPE, [_RECORDS[0], bad], expected=2, decisions={("main", "h"): {}})
        except ContextKitError:
            continue
        raise AssertionError(f"a record that is not JSON is refused: {bad}")
    _promise(_said(store.load(_SCOPE)) == _said(_RECORDS), what="what is refused leaves no records")
    _promise(
        store.decisions(_SCOPE, "main", ["h"]) == {}, what="what is refused leaves no decisions"
    )
    for nobody in (None, "conversation", ("tenant", "user", "conversation")):
        try:
            store.load(nobody)  # type: ignore[arg-type]  # it is what is tested
        except ContextKitError:
            continue
        raise AssertionError(f"{nobody!r} is not a scope, and nothing is looked up without one")


def _separates_scopes(store: Store) -> None:
    scopes = [
        Scope(*parts)
        for parts in (
            ("t", "u", "c"), ("T", "u", "c"), ("t ", "u", "c"), ("t", "uc", "c"), ("tu", "c", "c"),
            ("t", "u", "c\0"), ("t", "u", "%"), ("t", "u", "_"), ("t", "%", "c"), ("t", "u", "C"),
        )
    ]  # fmt: skip
    for number, scope in enumerate(scopes):
        _promise(store.load(scope) == [], what=f"{scope} sees another scope")
        _promise(store.decisions(scope, "main", ["h"]) == {}, what=f"{scope} sees another scope")
        store.append(scope, [{"n": number}], expected=0, decisions={("main", "h"): {"n": number}})
    for number, scope in enumerate(scopes):
        _promise(store.load(scope) == [{"n": number}], what=f"{scope} sees another scope")
        _promise(
            store.decisions(scope, "main", ["h"]) == {"h": {"n": number}},
            what=f"{scope}: decisions",
        )


def _decides_once(store: Store) -> None:
    first, later = _RECORDS
    _promise(store.decisions(_SCOPE, "main", []) == {}, what="no hashes have no decisions")
    stands = store.decide(_SCOPE, "main", "h1", first)
    _promise(_said(stands) == _said(first), what="decide gives the decision that stands")
    _promise(store.decide(_SCOPE, "main", "h1", later) == first, what="the first writer wins")
    made = {("main", "h1"): later, ("main", "h2"): later, ("other", "h1"): later}
    store.append(_SCOPE, [], expected=0, decisions=made)
    found = store.decisions(_SCOPE, "main", ["h0", "h2", "h1"])
    _promise(found == {"h1": first, "h2": later}, what="the first writer wins, by view and hash")
    _promise(
        store.decisions(_SCOPE, "other", ["h1", "h2"]) == {"h1": later}, what="views are apart"
    )
    _promise(store.load(_SCOPE) == [], what="decisions are no records")


def _shares_work(store: Store) -> None:
    def write(worker: int) -> None:
        for turn in range(10):
            while True:
                try:
                    version = len(store.load(_SCOPE))
                    pair = [{"worker": worker, "turn": turn, "half": half} for half in (0, 1)]
                    store.append(_SCOPE, pair, expected=version)
                    break
                except StoreConflict:
                    continue

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    found = store.load(_SCOPE)
    _promise(len(found) == 80, what="threads lose no records and double none")
    whole = all(b == {**a, "half": 1} for a, b in zip(found[::2], found[1::2], strict=True))
    _promise(whole, what="what is appended together stands together")
