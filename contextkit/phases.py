"""Phases: arrival, compaction and tail; each lets its strategies propose, and folds in what holds.

All three work on a scratch fold. A strategy that fails is passed over, and the decision says so.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from contextkit.edits import Edit, kind_words
from contextkit.errors import EditError, InputError
from contextkit.folding import with_part
from contextkit.grammar import mend, needs_mending, says_nothing, without_empty_calls
from contextkit.messages import has_reasoning, without_reasoning
from contextkit.protection import check_free, check_new, check_tail
from contextkit.strategies.attempts import with_calls_of
from contextkit.strategies.base import Need, Strategy, name_of, told_name
from contextkit.strategies.truncation import DropOldest, drop_until
from contextkit.view import View

log = logging.getLogger("contextkit")

Asking = Generator[Need, Any, list[Edit]]
"""Yields needs, is sent what came or a `Failed`, and gives edits."""


@dataclass(frozen=True, slots=True)
class Failed:
    """What a driver sends back for a need that could not be met."""

    error: Exception


@dataclass(frozen=True, slots=True)
class StandIn:
    """What a plan made dry sends back for a need: edits in place of those that it would give."""

    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A strategy that was passed over.

    The log keeps its name and the kind of error; the text, which may hold anything, is for the
    report of this build alone.
    """

    strategy: str
    error: str
    text: str

    @classmethod
    def of(cls, strategy: Any, error: Exception) -> Failure:
        """What there is to say of an error."""
        try:
            text = str(error).encode("utf-8", "replace").decode()
        except Exception:  # noqa: BLE001 - an error that cannot even be told
            text = "(its text cannot be shown)"
        notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
        return cls(told_name(strategy), type(error).__name__, "; ".join([text, *notes]))

    def log(self) -> None:
        """Tell whoever keeps the log of the process."""
        log.warning("%s was passed over: %s", self.strategy, self.error)

    @property
    def short(self) -> str:
        """Without the text of the error."""
        return f"{self.strategy}: {self.error}"

    def __str__(self) -> str:
        return f"{self.short}: {self.text}"


@dataclass(frozen=True, slots=True)
class Done:
    """What a strategy did in one turn of a compaction.

    Attributes:
        strategy: its name.
        kinds: of its edits, in order.
        before, after: tokens behind the system block.
        merged: how many summaries its own took the place of.
    """

    strategy: str
    kinds: tuple[str, ...]
    before: int
    after: int
    merged: int = 0

    def __str__(self) -> str:
        made = kind_words(self.kinds)
        if self.merged and "summary" in self.kinds:
            own = kind_words(("summary",) * self.kinds.count("summary"))
            made = made.replace(own, f"merged {self.merged:,} summaries into {own.split()[0]}")
        return f"{self.strategy}: {made}, {self.before:,} to {self.after:,} tokens"


Event = Failure | Done
"""What happened in a phase; in the order in which it did."""


def failures_in(events: Iterable[Event]) -> list[Failure]:
    """The strategies that were passed over."""
    return [event for event in events if isinstance(event, Failure)]


@dataclass(frozen=True, slots=True)
class Phases:
    """The strategies of the three phases.

    Attributes:
        arrival, compaction, tail: in the order in which they are asked.
        reasoning: which assistant messages keep their reasoning: `all`, `none`, `with tool calls`.
    """

    arrival: tuple[Strategy, ...]
    compaction: tuple[Strategy, ...]
    tail: tuple[Strategy, ...]
    reasoning: str

    @classmethod
    def of(cls, arrival: Any, compaction: Any, tail: Any, reasoning: str) -> Phases:
        """The phases, checked before anything depends on them.

        Raises:
            InputError: for what is no strategy, or is one for another phase.
        """
        held = {"arrival": arrival, "compaction": compaction, "tail": tail}
        for phase, strategies in held.items():
            if isinstance(strategies, str) or not isinstance(strategies, Sequence):
                raise InputError(f"is a list of strategies, not {strategies!r:.60}", place=phase)
            for position, strategy in enumerate(strategies):
                place = f"{phase}[{position}]"
                if isinstance(strategy, type) or not callable(getattr(strategy, "propose", None)):
                    raise InputError(
                        f"{strategy!r:.60} is no strategy: an object with propose(view, goal)",
                        place=place,
                    )
                meant = getattr(strategy, "phase", phase)
                if meant != phase:
                    raise InputError(f"{name_of(strategy)} is for {meant}=[…]", place=place)
        return cls(tuple(arrival), tuple(compaction), tuple(tail), reasoning)

    def check_sync(self, use: str = "abuild, not build") -> None:
        """That no strategy has a callable that only an async build can await.

        Args:
            use: what takes one, in words.

        Raises:
            InputError: names the strategy.
        """
        for strategy in (*self.arrival, *self.compaction, *self.tail):
            index = getattr(strategy, "index", None)
            used = {
                "summarizer": getattr(strategy, "summarizer", None),
                "embedder": getattr(index, "embed", None),
                "index": index,
                "index.vectors": getattr(index, "vectors", None),
                "index.add": getattr(index, "add", None),
                "source.read": getattr(getattr(strategy, "source", None), "read", None),
            }
            for name, called in used.items():
                if inspect.iscoroutinefunction(called) or getattr(called, "is_async", False):
                    place = f"the {name} of {name_of(strategy)}"
                    raise InputError(f"is async: use {use}", place=place)

    @property
    def share(self) -> int:
        """Tokens reserved for the tail.

        Raises:
            InputError: when a strategy of the tail does not say how many it may insert.
        """
        return sum(share_of(strategy) for strategy in self.tail)

    @property
    def summary_share(self) -> int:
        """Tokens that the summaries of one compaction may leave."""
        # One stands in for another that failed: their shares do not add up.
        shares = [getattr(s, "share", 0) for s in self.compaction if hasattr(s, "summarizer")]
        return max(shares, default=0)

    @property
    def summaries_asked(self) -> bool:
        """Whether a model is called for summaries, as far as the first summarizer tells."""
        asked = (getattr(s, "asks", True) for s in self.compaction if hasattr(s, "summarizer"))
        return next(asked, True)

    @property
    def needing_scope(self) -> list[str]:
        """The names of strategies that need to know whose conversation it is.

        Those that look content up by address, and all of the tail: what it inserts is somebody's.
        """
        every = (*self.arrival, *self.compaction)
        needing = [name_of(strategy) for strategy in every if _needs_scope(strategy)]
        return needing + [name_of(strategy) for strategy in self.tail]

    @property
    def plain(self) -> bool:
        """Whether a compaction drops the oldest turns, and does nothing else."""
        return all(isinstance(strategy, DropOldest) for strategy in self.compaction)

    @property
    def replayable(self) -> bool:
        """Whether compaction comes out the same for a past decision point.

        What a summarizer would have written then is not known; such a conversation is compacted
        once, at its end.
        """
        return not any(_needs_scope(strategy) for strategy in self.compaction)

    def arrive(self, view: View, events: list[Event]) -> list[Edit]:
        """The arrival phase: mend, decide on reasoning, then the user's strategies."""
        edits: list[Edit] = []
        if view.interrupted or view.unplaced:
            results = [(number, view.history.data[number]) for number in view.unplaced]
            edits += mend(view.groups, view.interrupted, results)
        for number in view.attention:
            data = view.history.data[number]
            if says_nothing(data):
                edits.append(
                    Edit(
                        "set aside",
                        covers=(number,),
                        reason="says nothing, which providers refuse",
                        by="grammar",
                    )
                )
            elif has_reasoning(data) and not self._keeps_reasoning(data):
                edits.append(
                    Edit(
                        "reasoning",
                        covers=(number,),
                        shows=(without_empty_calls(without_reasoning(data)),),
                        reason=f"reasoning is kept for: {self.reasoning}",
                        by="profile",
                    )
                )
            elif needs_mending(data):
                edits.append(
                    Edit(
                        "mend",
                        covers=(number,),
                        shows=(without_empty_calls(data),),
                        reason="an empty list of tool calls is left out: providers refuse it",
                        by="grammar",
                    )
                )
        for edit in edits:
            view.apply(edit)
        for strategy in self.arrival:
            try:
                for edit in _edits(strategy.propose(view, 0)):
                    checked = check_new(view, _signed(edit, strategy))
                    view.apply(checked)
                    edits.append(checked)
            except Exception as error:  # noqa: BLE001 - passed over, and reported
                events.append(Failure.of(strategy, error))
        return edits

    def _keeps_reasoning(self, data: Mapping[str, Any]) -> bool:
        policy = self.reasoning
        return policy == "all" or (policy == "with tool calls" and bool(data.get("tool_calls")))

    def compact(self, view: View, target: int, most: int, events: list[Event]) -> Asking:
        """The compaction phase: in order, each only as far as needed; only net edits remain.

        Args:
            target: tokens behind the system block to come down to.
            most: tokens that the messages may take at the very most.
        """
        batch: list[Edit] = []
        unsummarized = False
        view.uncut = tuple(view.groups)
        for strategy in (*self.compaction, DropOldest()):
            while (goal := view.body_tokens - target) > 0:
                before = view.body_tokens
                kinds: list[str] = []
                merged = 0
                failure = None
                asked = False
                try:
                    proposal = strategy.propose(view, goal)
                    asked = isinstance(proposal, Need)
                    for edit in (yield from _completed(proposal, strategy, events)):
                        checked = check_free(view, _signed(edit, strategy))
                        if unsummarized and checked.kind == "drop":
                            checked = replace(
                                checked, provenance={**checked.provenance, "unsummarized": True}
                            )
                        replaced = _fold_in(view, checked, batch)
                        kinds.append(checked.kind)
                        if checked.kind == "summary":
                            merged += sum(held.kind == "summary" for held in replaced)
                except Exception as error:  # noqa: BLE001 - passed over, and reported
                    failure = Failure.of(strategy, error)
                if kinds:
                    made = tuple(kinds)
                    name = told_name(strategy)
                    events.append(Done(name, made, before, view.body_tokens, merged))
                if failure is not None:
                    events.append(failure)
                    unsummarized = unsummarized or _needs_scope(strategy)
                    break
                if not (asked or "summary" in kinds) or view.body_tokens >= before:
                    break
        over = view.tokens - most
        if over > 0:
            for edit in drop_until(view, view.last_resort, over, "DropOldest"):
                _fold_in(view, edit, batch)
        view.uncut = None
        return batch

    def insert_tail(self, view: View, events: list[Event]) -> Asking:
        """The tail phase: each strategy inserts within its own share."""
        added: list[Edit] = []
        for strategy in self.tail:
            share = share_of(strategy)
            try:
                proposal = strategy.propose(view, 0)
                for edit in (yield from _completed(proposal, strategy, events)):
                    checked = check_tail(view, _signed(edit, strategy))
                    entry = view.groups[view.group_of(checked.at or 0)].entries[0]
                    taken = view.count(with_part(entry.data, checked.shows[0])) - entry.tokens
                    if taken > share:
                        raise EditError(f"takes {taken:,} tokens, its share has {share:,} left")
                    share -= taken
                    view.apply(checked)
                    added.append(checked)
            except Exception as error:  # noqa: BLE001 - passed over, and reported
                events.append(Failure.of(strategy, error))
        return added


def share_of(strategy: Any) -> int:
    """Tokens that a strategy of the tail may insert.

    Raises:
        InputError: when it does not say.
    """
    share = getattr(strategy, "share", None)
    if not isinstance(share, int) or isinstance(share, bool) or share < 1:
        raise InputError(
            f"{name_of(strategy)} needs a `share`: the tokens that it may insert", place="tail"
        )
    return share


def _needs_scope(strategy: Any) -> bool:
    return bool(getattr(strategy, "needs_scope", False))


def _fold_in(view: View, edit: Edit, batch: list[Edit]) -> list[Edit]:
    """Fold an edit in, and give those that it replaced; calls for those of the batch were paid."""
    covered = frozenset(edit.covers)
    edit = with_calls_of(edit, [held for held in batch if not covered.isdisjoint(held.covers)])
    replaced = view.apply(edit)
    gone = {id(held) for held in replaced}
    batch[:] = [held for held in batch if id(held) not in gone]
    batch.append(edit)
    return replaced


def _completed(
    proposal: Any, strategy: Strategy, events: list[Event]
) -> Generator[Need, Any, Iterable[Edit]]:
    """The edits of a proposal, once what it needs has come."""
    while isinstance(proposal, Need):
        result = yield proposal
        if isinstance(result, Failed):
            if proposal.otherwise is None:
                raise result.error
            events.append(Failure.of(strategy, result.error))
            proposal = proposal.otherwise(result.error)
            continue
        if isinstance(result, StandIn):
            return result.edits
        try:
            proposal = proposal.finish(result)
        except Exception as error:
            if proposal.otherwise is None:
                raise
            events.append(Failure.of(strategy, error))
            proposal = proposal.otherwise(error)
    return _edits(proposal)


def _edits(proposal: Any) -> Iterable[Edit]:
    if proposal is None:
        return ()
    if isinstance(proposal, Need):
        raise EditError("a Need has no place here")
    if not isinstance(proposal, Iterable):
        raise EditError(f"a strategy gives edits, not {type(proposal).__name__}")
    return proposal


def _signed(edit: Any, strategy: Any) -> Edit:
    if not isinstance(edit, Edit):
        raise EditError(f"a strategy gives edits, not {type(edit).__name__}")
    return edit if edit.by else replace(edit, by=name_of(strategy))
