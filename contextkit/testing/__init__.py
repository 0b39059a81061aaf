"""What tests of a program that builds requests can assert."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import pairwise
from typing import Any, get_args

from contextkit.caching.prefix import diff
from contextkit.context import Context
from contextkit.errors import InputError
from contextkit.history import History
from contextkit.summarizing.kept import hidden_numbers, kept_of, said_by
from contextkit.summarizing.mention import FactKind
from contextkit.testing.embedders import acheck_embedder, check_embedder
from contextkit.testing.indexes import check_index
from contextkit.testing.sources import check_source
from contextkit.testing.stores import check_store
from contextkit.testing.strategies import check_strategy
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
