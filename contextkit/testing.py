"""What tests of a program that builds requests can assert."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, get_args

from contextkit.builder import ContextBuilder
from contextkit.caching.prefix import diff
from contextkit.context import Context
from contextkit.edits import Edit
from contextkit.errors import (
    ContextKitError,
    EmbeddingError,
    InputError,
    ScopeError,
    StoreConflict,
)
from contextkit.history import History
from contextkit.profiles import profile_for
from contextkit.retrieval.contract import acheck_embedder, check_embedder
from contextkit.retrieval.index import Embed, Index, ScopeKey
from contextkit.scope import Scope
from contextkit.store import Store, needs_documents, needs_recall
from contextkit.store_checks import check_document_store, check_recall_store
from contextkit.store_checks import promise as _promise
from contextkit.store_checks import refuses as _refuses
from contextkit.store_checks import said as _said
from contextkit.strategies.base import Strategy
from contextkit.summarizing.kept import hidden_numbers, kept_of, said_by
from contextkit.summarizing.mention import FactKind
from contextkit.view import fold

__all__ = [
    "acheck_embedder",
    "assert_facts_kept",
    "assert_prefix_stable",
    "check_embedder",
    "check_index",
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
        make_store: gives a new store with nothing in it. What a `RecallStore` and a
            `DocumentStore` promise is looked at where it has `conversations` or `documents`.

    Raises:
        AssertionError: says what the store does not do.
    """
    for check in (_keeps_records, _refuses_others, _separates_scopes, _decides_once, _shares_work):
        check(make_store())
    if hasattr(make_store(), "conversations"):
        check_recall_store(lambda: needs_recall(make_store(), "the contract"))
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


def check_index(make_index: Callable[[], Index | Awaitable[Index]]) -> None:
    """An index gives back what was added, in one scope only, and refuses bad vectors whole.

    Args:
        make_index: gives a new index with nothing in it, or an awaitable of one. It is used in one
            event loop, where it is async.

    Raises:
        AssertionError: says what the index does not do.
    """
    with asyncio.Runner() as runner:
        for check in (_keeps_vectors, _keeps_scopes_apart, _refuses_vectors, _refuses_models):
            check(_Awaited(_wait(runner, make_index()), runner))


class _Awaited:
    """An index of which every result is waited for."""

    def __init__(self, index: Any, runner: asyncio.Runner) -> None:
        self._index = index
        self._runner = runner

    @property
    def embed(self) -> Embed:
        embed: Embed = self._index.embed
        return embed

    @embed.setter
    def embed(self, embed: Embed) -> None:
        self._index.embed = embed

    def vectors(self, scope: ScopeKey, addresses: Sequence[str]) -> Any:
        return _wait(self._runner, self._index.vectors(scope, addresses))

    def add(self, scope: ScopeKey, addresses: Sequence[str], vectors: Any) -> Any:
        return _wait(self._runner, self._index.add(scope, addresses, vectors))

    def forget(self, scope: ScopeKey) -> Any:
        return _wait(self._runner, self._index.forget(scope))

    def reindex(self) -> Any:
        return _wait(self._runner, self._index.reindex())


def _wait(runner: asyncio.Runner, given: Any) -> Any:
    async def waited() -> Any:
        return await given

    return runner.run(waited()) if inspect.isawaitable(given) else given


_MINE, _YOURS = ("t", "me", "c"), ("t", "you", "c")
_NAMES = ["b", "a", "c"]
_ROWS = [[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]]


def _held(index: Index, scope: tuple[str, ...] = _MINE, names: Sequence[str] = ()) -> Any:
    """What an index holds, as lists, with one digit."""
    found = index.vectors(scope, [*(names or _NAMES), "x", "y"])
    for vector in found.values():
        _promise(abs(float(vector @ vector) - 1) < 1e-5, what="vectors come in unit length")
        _promise(str(vector.dtype) == "float32", what="vectors come as float32")
    return [(name, [round(float(value), 1) for value in row]) for name, row in found.items()]


def _keeps_vectors(index: Index) -> None:
    _promise(index.vectors(_MINE, _NAMES) == {}, what="nothing is held at first")
    index.add(_MINE, [], [])
    index.add(_MINE, _NAMES, _ROWS)
    all_three = [("b", [1.0, 0.0]), ("a", [0.7, 0.7]), ("c", [0.0, 1.0])]
    _promise(_held(index) == all_three, what="vectors come back in the order asked for")
    _promise(index.vectors(_MINE, []) == {}, what="nothing is given where nothing is asked for")
    twice = index.vectors(_MINE, ["c", "b", "c"])
    _promise(list(twice) == ["c", "b"], what="what is asked for twice is given once")
    index.add(_MINE, ["b", "\u00e9\0", "b"], [[1.0, 1.0], [0.0, 1.0], [0.0, -2.0]])
    _promise(_held(index, names=["b"]) == [("b", [0.0, -1.0])], what="what is new is replaced")
    _promise(
        _held(index, names=["e\u0301\0", "\u00e9", "\u00e9\0"]) == [("\u00e9\0", [0.0, 1.0])],
        what="addresses are compared as they are",
    )
    _promise(list(twice["b"]) == [1.0, 0.0], what="what was given does not change")
    _promise(index.forget(_MINE) == 4, what="forget says how many vectors it deleted")
    _promise(index.forget(_MINE) == 0, what="what is forgotten is gone")
    _promise(_held(index) == [], what="what is forgotten is not given")
    index.add(_MINE, ["c"], [[0.0, 1.0]])
    _promise(_held(index) == [("c", [0.0, 1.0])], what="what was forgotten may come again")


def _keeps_scopes_apart(index: Index) -> None:
    index.add(_MINE, _NAMES, _ROWS)
    index.add(_YOURS, ["a"], [[0.0, 1.0]])
    _promise(_held(index, _YOURS) == [("a", [0.0, 1.0])], what="a scope sees another scope")
    for stranger in _STRANGERS:
        _promise(_held(index, stranger) == [], what=f"{stranger} sees another scope")
        _promise(index.forget(stranger) == 0, what=f"{stranger} deletes in another scope")
    for nobody in _NOBODIES:
        for what in (
            partial(index.vectors, nobody, _NAMES),
            partial(index.add, nobody, ["z"], [[1.0, 0.0]]),
            partial(index.forget, nobody),
        ):
            _refuses(what, ScopeError, f"{nobody!r} is no scope")
    for filters in _FILTERS:
        _refuses(partial(index.vectors, _MINE, filters), ContextKitError, f"addresses {filters}")
    _promise(index.forget(_YOURS) == 1, what="forget deletes in its scope alone")
    _promise(len(_held(index)) == 3, what="forget deletes in its scope alone")


def _refuses_vectors(index: Index) -> None:
    nan, inf = float("nan"), float("inf")
    rows: list[Any] = [
        [[1.0, 0.0], [nan, 1.0]], [[1.0, 0.0], [0.0, inf]], [[1.0, 0.0], [0.0, 0.0]], [[1.0, 0.0]],
        [[1.0, 0.0], [1.0]], [[], []], [1.0, 0.0], [], None, "ab", [["a", "b"]] * 2,
    ]  # fmt: skip
    for bad in rows:
        _refuses(partial(index.add, _MINE, ["x", "y"], bad), EmbeddingError, f"{bad}")
    _promise(_held(index) == [], what="what is refused is refused whole")
    index.add(_MINE, _NAMES, _ROWS)
    for bad in (*rows, [[1.0] * 3] * 2, [[1.0]] * 2):
        _refuses(partial(index.add, _MINE, ["x", "b"], bad), EmbeddingError, f"{bad}")
    kept = [("b", [1.0, 0.0]), ("a", [0.7, 0.7]), ("c", [0.0, 1.0])]
    _promise(_held(index) == kept, what="what is refused is refused whole, and replaces nothing")


def _refuses_models(index: Index) -> None:
    first, second, nameless = _Named("model one"), _Named("model two"), _Named("")
    index.embed = first
    index.add(_MINE, _NAMES, _ROWS)
    index.add(("s",), ["a"], [[1.0, 0.0]])
    for other in (second, nameless):
        index.embed = other
        for what in (
            partial(index.vectors, _MINE, _NAMES),
            partial(index.add, _MINE, ["x"], [[1.0, 0.0]]),
            partial(index.vectors, ("s",), ["a"]),
        ):
            error = _refuses(what, EmbeddingError, "vectors of another model")
            _promise("model one" in error, what="the error names the model of the vectors")
            _promise(other.name in error, what="the error names the model of the embedder")
    index.embed = first
    _promise(index.reindex() == 0, what="reindex deletes nothing of the same model")
    _promise(len(_held(index)) == 3, what="what is refused is not touched")
    index.embed = second
    _promise(index.reindex() == 4, what="reindex deletes what another model made, in all scopes")
    _promise(_held(index) == [], what="what reindex deleted is gone")
    index.add(_MINE, ["x"], [[1.0] * 3])
    _promise(len(_held(index)) == 1, what="after reindex another dimension is taken")
    index.embed = nameless
    _promise(index.reindex() == 1, what="where the embedder has no name, reindex deletes all")
    index.add(_MINE, ["y"], [[1.0, 0.0]])
    _promise(len(_held(index)) == 1, what="an embedder needs no name")


@dataclass(frozen=True)
class _Named:
    name: str

    def __call__(self, texts: Sequence[str]) -> Any:
        raise AssertionError("an index embeds nothing by itself")


_NOBODIES: list[Any] = [
    None, (), "", "t", [], ["t", "me", "c"], {}, {"$ne": "x"}, ("t", None, "c"), (None,), ("t", 1),
    ({"$ne": "x"}, "me", "c"), ("t", ["me"], "c"), ("t", b"me", "c"), True, 0, frozenset({"t"}),
]  # fmt: skip
_FILTERS: list[Any] = [None, "a", {}, {"$ne": "x"}, {"a": 1}, [None], [{"$ne": "x"}], [1], b"a"]
_THANKS = {"type": "text", "text": "Thanks."}
_SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 32_000, "format": "mp3"}}
_SCOPE = Scope("tenant", "user", "conversation")
# None of them is ("t", "me", "c"), however its parts are joined or compared.
_STRANGERS = [
    ("t",), ("t", "me"), ("t", "me", "C"), ("t", "mec", ""), ("tm", "e", "c"), ("", "tme", "c"),
    ("t", "me", "c", ""), ("t", "me", "c\0"), ("t", "me", "%"), ("t", "me", "*"), ("T", "me", "c"),
]  # fmt: skip

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
