"""A conversation in which everything happens at once; what is promised is checked at each build.

A `Play` holds one conversation in one of several ways, and lets chance decide: who answers what,
what summarizers give, when a summary is prepared, cancelled, crashed, when a process is started
again, which of two replicas is first, where the conversation branches off.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import contextkit as ck
from contextkit.breaker import Breaker
from contextkit.caching.prefix import canonical_blocks
from contextkit.errors import BudgetExceeded, GrammarError
from contextkit.grammar import violations
from contextkit.kept_summaries import KeptSummaries
from contextkit.messages import SYSTEM_ROLES
from contextkit.stored_decisions import recall
from contextkit.summarizing.request import SummaryRequest, Written
from tests.conversations import Choices, Messages, chunks
from tests.support import Characters, wire

CUTS = {"drop", "summary", "clear"}
SCOPE = ck.Scope("tenant", "me", "conversation")
WAYS = ("a kept log", "a kept log over a store", "lists", "lists over a store")
OUTCOMES = ["good"] * 6 + ["marked", "long", "empty", "none", "error", "timeout", "crash", "told"]


class Crash(BaseException):
    """The process, or whoever waits, gives up in the middle."""


class Violated(BaseException):
    """What the library would pass over as another failure of the summarizer."""


@contextmanager
def loudly() -> Iterator[None]:
    """Whatever goes wrong in a test inside of a build is heard outside of it."""
    try:
        yield
    except Exception as error:
        raise Violated from error


class Shelf:
    """A store in a dict; whatever goes in or out is JSON, as over a wire."""

    def __init__(self) -> None:
        self.made: dict[tuple[Any, ...], str] = {}

    def load(self, scope: ck.Scope) -> list[dict[str, Any]]:
        return []

    def append(self, scope: ck.Scope, records: Any, **_: Any) -> int:
        raise NotImplementedError

    def decisions(self, scope: ck.Scope, view: str, hashes: Sequence[str]) -> dict[str, Any]:
        found = ((address, self.made.get((scope.key, view, address))) for address in hashes)
        return {address: json.loads(text) for address, text in found if text is not None}

    def decide(self, scope: ck.Scope, view: str, address: str, decision: Any) -> dict[str, Any]:
        text = self.made.setdefault((scope.key, view, address), json.dumps(decision))
        stands: dict[str, Any] = json.loads(text)
        return stands

    def of_decisions(self) -> dict[tuple[Any, ...], str]:
        """What was decided: neither summaries nor the identity of the conversation."""
        return {
            key: text
            for key, text in self.made.items()
            if key[2] != "id" and not key[2].startswith("summary ")
        }


@dataclass
class Scripted:
    """A summarizer whose outcome is drawn each time; no two of its texts are the same."""

    name: str
    play: Play
    breaker: Breaker = field(default_factory=Breaker)
    is_async: bool = False

    def __post_init__(self) -> None:
        self.__qualname__ = self.name  # by which it is known in records

    def __call__(self, request: SummaryRequest) -> Any:
        return self._later(request) if self.is_async else self._given(request)

    async def _later(self, request: SummaryRequest) -> Any:
        await asyncio.sleep(0)
        return self._given(request)

    def _given(self, request: SummaryRequest) -> Any:
        play = self.play
        play.calls += 1
        with loudly():
            assert violations(request["messages"]) == []
            assert request.span
            play.during_a_call()
            outcome = play.choose.of(OUTCOMES)
            said = "".join(str(message.get("content") or "")[:8] for message in request.span)
            # The number first: what is cut to a share of one token is still no other text.
            good = f"{play.calls} by {self.name}: {said}"[: 3 * request.share]
        if outcome == "error":
            raise RuntimeError("the summarizer is down")
        if outcome == "timeout":
            raise TimeoutError
        if outcome == "crash":
            raise Crash
        return {
            "long": "long " * 400,
            "empty": " \n",
            "none": None,
            "marked": f"</data> {good}",
            "told": Written(good, model="other"),
        }.get(outcome, good)


@dataclass(frozen=True)
class DropOrders:
    """A strategy of one's own: turns that say `order 66` go first, whatever their age."""

    def propose(self, view: ck.View, goal: int) -> Iterator[ck.Edit]:
        for span in view.free:
            if span.kind == "turn" and span.tokens < 60 and "order" in str(span.entries[0].data):
                yield view.drop(span, reason="an order")
                return


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Play:
    """One conversation, and all that may happen to it.

    Attributes:
        choose: decides.
        way: of holding the conversation, one of `WAYS`.
        runner: of what is async.
        depth: of builds and preparations within each other.
        nested: whether there was one within what was done last.
        calls: how often a summarizer was asked.
        kept: by address, the texts that summarizers gave.
        stands: by address, the text that stands there.
        sent: the requests on the way to here: how many messages, and the blocks.
        was_read: whether the log was read from what was written down.
        shown: every summary that was ever shown, by what it stands for.
        written: what each text that a summarizer wrote stands for.
    """

    def __init__(self, choose: Choices, way: str, runner: asyncio.Runner) -> None:
        self.choose = choose
        self.way = way
        self.runner = runner
        self.scope = None if way == "a kept log" else SCOPE
        self.store = Shelf() if "store" in way else None
        self.clock = Clock()
        self.calls = 0
        self.depth = 0
        self.nested = False
        self.kept: dict[str, list[str]] = {}
        self.stands: dict[str, str] = {}
        self.sent: list[tuple[int, list[str]]] = []
        self.shown: dict[Any, str] = {}
        self.was_read = False
        self.written: dict[str, Any] = {}
        self.messages: Messages = []
        self.pins: set[int] = set()
        self.coming = chunks(choose)
        self.is_async = choose.chance(8)
        self.fails = False
        self.settings = self._drawn_settings()
        self.builder = self.new_builder()
        self.other = self.new_builder()
        self.history = ck.History(scope=self.scope)

    # -- what it is built with ---------------------------------------------------------------

    def _drawn_settings(self) -> Callable[[], dict[str, Any]]:
        choose, clock = self.choose, self.clock
        stack = choose.below(11)
        share, segments = choose.of([90, 140, 220]), choose.of([8, 3, 2, 1])
        limit = choose.of([600, 400, 800, 1_200])
        target = choose.of([limit // 2, limit // 4, limit * 3 // 4])
        schedule = choose.of(
            [
                None,
                ck.WhenItPays(0.1, 1.25, fee=0),
                ck.WhenItPays(0.3, 1.0),
                ck.WhenItPays(0.1, 1.0, ttl=300, clock=clock),
            ]
        )
        clamps, volatile, least = choose.chance(3), choose.chance(3), choose.of([0, 60])
        retrieval = choose.of(["none", "words", "vectors", "failing"])
        index = ck.VectorIndex(self.embed)  # the same over restarts: it is only an index
        self.fails = retrieval == "failing"
        is_async = self.is_async

        def one(name: str) -> ck.SummarizeOldest:
            breaker = Breaker(reset=30, clock=clock)
            asked = Scripted(name, self, breaker, is_async)
            return ck.SummarizeOldest(asked, share=share, segments=segments)

        def settings() -> dict[str, Any]:
            clear = ck.ClearToolResults(keep_last=stack % 2, at_least=least)
            compaction: list[Any] = [
                [one("one")],
                [clear, one("one")],
                [clear, one("one"), one("two")],
                [one("one"), ck.SummarizeOldest(share=share, segments=segments)],
                [clear, ck.SummarizeOldest(share=share, segments=segments)],
                [ck.KeepLast(2), one("one")],
                [one("one"), ck.KeepLast(1)],
                [one("one"), ck.DropOldest()],
                [DropOrders(), one("one")],
                [clear, one("one"), DropOrders(), ck.SummarizeOldest(share=share)],
                [ck.ClearMedia(keep_last=0), one("one")],
            ][stack]
            tail: list[Any] = []
            if volatile:
                tail.append(ck.Volatile("now", lambda: f"{clock.now:.0f}", share=30))
            if retrieval != "none":
                held = None if retrieval == "words" else index
                breaker = Breaker(reset=30, clock=clock)
                tail.append(ck.Retrieve(held, share=70, seconds=60, breaker=breaker))
            return {
                "arrival": [ck.ClampToolResults(40)] if clamps else [],
                "compaction": compaction,
                "tail": tail,
                "schedule": schedule,
                "budget": ck.Budget(limit, target=target),
            }

        return settings

    def embed(self, texts: Sequence[str]) -> Any:
        """Texts that share letters are near; it fails now and then where it is to."""
        given = self._embedded(texts)
        return self._later(given) if self.is_async else given

    def _embedded(self, texts: Sequence[str]) -> Any:
        if self.fails and self.choose.chance(2):
            outcome = self.choose.of(["error", "short", "none"])
            if outcome == "error":
                raise RuntimeError("the embedder is down")
            return None if outcome == "none" else [[1.0] * 8] * (len(texts) - 1)
        rows = [[0.01] * 8 for _ in texts]
        for row, text in zip(rows, texts, strict=True):
            for letter in text[:200]:
                row[ord(letter) % 8] += 1
        return rows

    async def _later(self, given: Any) -> Any:
        await asyncio.sleep(0)
        return given

    def new_builder(self, **more: Any) -> ck.ContextBuilder:
        options = {**self.settings(), "store": self.store, **more}
        return ck.ContextBuilder(
            "qwen-plus", profile=ck.profile_for("qwen-plus"), counter=Characters(), **options
        )

    # -- what happens ------------------------------------------------------------------------

    def run(self) -> None:
        """The whole play."""
        with self._watched():
            for _ in range(6 + self.choose.below(30)):
                self.clock.now += self.choose.of([1, 1, 20, 400])
                self.append(next(self.coming))
                self.maybe_previewed()
                if self.choose.chance(12):
                    continue  # the user goes on without an answer
                self.built()
                if self.choose.chance(4):
                    self.prepared()
                what = self.choose.below(24)
                if what == 0:
                    self.branched()
                elif what == 1:
                    self.started_again()
                elif what == 2 and (self.store or not self.listed):
                    self.builder, self.other = self.other, self.builder
            self.loaded()

    def append(self, messages: Messages) -> None:
        for message in messages:
            pinned = not self.listed and message["role"] != "tool" and self.choose.chance(30)
            if pinned:
                self.pins.add(len(self.messages))
            self.messages.append(message)
            if not self.listed:
                self.history.append(message, pin=pinned)

    def maybe_previewed(self) -> None:
        if self.choose.chance(8):
            before, self.nested = self._traces(), False
            self._tried(lambda: self._built(self.builder, preview=True))
            assert self.nested or self._traces() == before

    def built(self) -> ck.Context | None:
        """A build with all checks; None where it cannot be made, or crashed."""
        replica = self.listed and self.store is not None and self.choose.chance(6)
        builder = self.other if replica else self.builder
        calls, kept, self.nested = self.calls, self._kept_count(), False
        context = self._tried(lambda: self.check(self._built(builder), builder))
        # One that fails is asked once more, and then nobody asks it in this build again.
        asking = sum(hasattr(strategy, "summarizer") for strategy in builder.phases.compaction)
        assert self.nested or self.calls - calls <= 2 * (self._kept_count() - kept + asking)
        if context is not None and not self.nested and not context.failures:
            cut = any(edit.kind in CUTS for edit in context.edits)
            assert cut or self.calls == calls  # a cut that is only weighed asks nobody
        return context

    def prepared(self) -> None:
        """A preparation, which may crash; afterwards nothing is there but whole summaries."""
        before, self.nested = self._traces(), False
        within = self.choose.of([3, 1, 50])
        self.depth += 1
        try:
            if self.is_async:
                self.runner.run(self.builder.aprepare(self.held, scope=self._own, within=within))
            else:
                self.builder.prepare(self.held, scope=self._own, within=within)
        except Crash:
            pass
        finally:
            self.depth -= 1
        assert not self.history.preparing
        assert self.nested or self._traces() == before

    def during_a_call(self) -> None:
        """While a summarizer writes, others go on: another build, another replica."""
        if self.depth != 1 or self.is_async or not self.choose.chance(4):
            return
        self.depth += 1
        self.nested = True
        try:
            if self.messages[-1]["role"] == "assistant":
                self.append([{"role": "user", "content": "meanwhile " + self.choose.text()}])
            builder = self.other if self.listed and self.store else self.builder
            self._tried(lambda: self.check(self._built(builder), builder))
        finally:
            self.depth -= 1

    def branched(self) -> None:
        """An earlier answer is generated again, or an earlier message changed."""
        if len(self.sent) < 2:
            return
        point = self.sent[self.choose.below(len(self.sent) - 1)][0]
        self.sent = [(at, blocks) for at, blocks in self.sent if at <= point]
        self.messages = self.messages[:point]
        self.pins = {number for number in self.pins if number < point}
        if not self.listed:
            self.history = self.history.fork(point)
            if self.store is None and self.was_read:
                self.shown = {}  # a log that was read has no texts but those it shows
        self.append([{"role": "assistant", "content": "another answer " + self.choose.text()}])
        self.coming = chunks(self.choose)

    def started_again(self) -> None:
        """A new process: nothing but the store, or the log as it was written down."""
        if self.store is None and self.listed:
            return
        if self.store is None or (not self.listed and self.choose.chance(2)):
            self.history = ck.History.loads(self.history.dumps())
            self.was_read = True
            if self.store is None:  # what was written and not shown yet is gone
                self.shown, self.kept, self.stands = {}, {}, {}
        elif not self.listed:
            history = ck.History(scope=self.scope)
            for number, message in enumerate(self.messages):
                history.append(message, pin=number in self.pins)
            self.history = history
            recall(history, self.store, self.builder.view)
        self.builder = self.new_builder()

    def loaded(self) -> None:
        """What was sent last is sent again: from the log, and from the store by somebody new."""
        if self.messages[-1]["role"] == "assistant" or not self.sent:
            return
        context = self.built()
        if context is None:
            return
        if not self.listed:
            log = ck.History.loads(self.history.dumps())
            assert wire(self._made(self.new_builder().build, log)) == wire(context)
        if self.store is not None and not self.pins:
            listed = json.loads(json.dumps(self.messages))
            assert wire(self._made(self.new_builder().build, listed, scope=SCOPE)) == wire(context)

    # -- what is promised --------------------------------------------------------------------

    def check(self, context: ck.Context, builder: ck.ContextBuilder) -> ck.Context:
        """All that must hold of one request."""
        point, view = context.decision.point, context.view
        messages = self.messages[:point]
        self._is_within_its_limit(context)
        self._is_accepted(context, messages)
        # Nothing is lost.
        history = view.history
        assert history.data[:point] == messages
        assert {fate.number for fate in context.report.fates} >= set(range(point))
        # The prefix grows until there is a cut.
        blocks = canonical_blocks(context.request())
        earlier = [(at, sent) for at, sent in self.sent if at <= point]
        if earlier:
            at, before = earlier[-1]
            cut = any(
                edit.kind in CUTS
                for decision in history.decisions()
                if decision.point > at
                for edit in decision.edits
            )
            assert cut or blocks[: len(before)] == before
        self.sent = [(a, sent) for a, sent in self.sent if a != point] + [(point, blocks)]
        self._keeps_summaries(context)
        self._retrieves(context)
        for event in context.events:
            assert "summary" not in event or _shrinks(event), event
        # A second build is the same, and silent.
        records = len(history.records)
        again = self._built(builder, of=context)
        assert wire(again) == wire(context)
        if not self.listed:
            assert len(history.records) == records
        return context

    def _is_within_its_limit(self, context: ck.Context) -> None:
        request, counter = context.request(), context.counter
        counted = counter.fixed(request.get("tools", ()))
        counted += sum(counter.message(message) for message in request["messages"])
        assert counted == context.tokens <= context.limit

    def _is_accepted(self, context: ck.Context, messages: Messages) -> None:
        sent, view = context.messages, context.view
        assert violations(sent) == []
        assert [m for m in sent if m["role"] in SYSTEM_ROLES] == [
            m for m in messages if m["role"] in SYSTEM_ROLES
        ]
        shown = {n for e in view.entries if not _is_summary(e) for n in e.numbers}
        aside = {n for e in view.hidden if e.kind == "set aside" for n in e.covers}
        last_user = max(n for n, m in enumerate(messages) if m["role"] == "user")
        assert last_user in shown
        assert {n for n in self.pins if n < len(messages)} <= shown | aside
        running = [n for n in range(last_user, len(messages)) if messages[n]["role"] == "assistant"]
        if running:
            assert {*range(running[-1], len(messages))} <= shown | aside
        in_order = [e.number for e in view.entries if e.role != "tool"]
        assert in_order == sorted(in_order)

    def _retrieves(self, context: ck.Context) -> None:
        """A passage stands once in a request, beside no message that it is of; never a system's."""
        entries = context.view.entries
        shown = {n for e in entries if e.edit is None for n in e.numbers}
        frozen = [
            (number, edit.at)
            for entry in entries
            for edit in entry.inserts
            for _, _, number, text in edit.provenance.get("passages", ())
            if not text  # an excerpt may be another one
        ]
        assert len({number for number, _ in frozen}) == len(frozen)
        for number, at in frozen:
            assert number < at
            assert number not in shown
            assert self.messages[number]["role"] in ("user", "assistant")

    def _keeps_summaries(self, context: ck.Context) -> None:
        """A summary is the same bytes wherever it stands, and goes only by a merge or a drop."""
        history = context.view.history
        for decision in history.decisions():
            for edit in decision.edits:
                if edit.kind != "summary":
                    continue
                key = (
                    history.prefix_hash(edit.covers[-1] + 1),
                    edit.covers,
                    edit.provenance["summarizer"],
                    edit.reason.startswith("merged"),
                )
                text = edit.shows[0]["content"]
                assert self.shown.setdefault(key, text) == text
                if edit.provenance["summarizer"] in ("one", "two"):  # which never write it again
                    assert self.written.setdefault(text, key) == key
        standing: dict[tuple[int, ...], bool] = {}
        missed: set[int] = set()
        for decision in history.decisions():
            merges: set[int] = set()  # made in the same cut, and replaced by a drop before its end
            for edit in decision.edits:
                if edit.provenance.get("replaced"):
                    merges.update(edit.covers)
            for edit in decision.edits:
                if edit.kind == "drop" and edit.provenance.get("unsummarized"):
                    missed.update(edit.covers)
                gone = [covers for covers in standing if not set(covers).isdisjoint(edit.covers)]
                if edit.kind == "summary":
                    merged = edit.reason.startswith("merged")
                    assert merged or not gone
                    before = missed.union(edit.provenance.get("dropped_before", ()))
                    own = [number for number in edit.covers if number not in before]
                    across = [covers for covers in standing if own[0] < covers[0] < own[-1]]
                    assert merged or merges.issuperset(n for covers in across for n in covers)
                    standing[edit.covers] = True
                for covers in gone:
                    assert edit.kind in ("summary", "drop")
                    standing.pop(covers)
        assert {e.edit.covers for e in context.view.entries if _is_summary(e)} == set(standing)

    def check_refusal(self, error: BudgetExceeded | GrammarError) -> None:
        """Whoever summarizes nothing at all could not have built it either."""
        if self.pins and self.builder.phases.tail:
            return  # what was inserted at a pin stays with it
        plain = ck.ContextBuilder(
            "qwen-plus",
            profile=ck.profile_for("qwen-plus"),
            counter=Characters(),
            arrival=self.builder.phases.arrival,
            tail=self.builder.phases.tail,
            budget=self.builder.budget,
        )
        history = ck.History()
        for number, message in enumerate(self.messages):
            history.append(message, pin=number in self.pins)
        try:
            plain.build(history)
        except type(error):
            return
        raise AssertionError("only the one with summaries refuses") from error

    # -- by what means -----------------------------------------------------------------------

    @property
    def listed(self) -> bool:
        return self.way.startswith("lists")

    @property
    def held(self) -> Any:
        return list(self.messages) if self.listed else self.history

    @property
    def _own(self) -> ck.Scope | None:
        return self.scope if self.listed else None

    def _built(
        self, builder: ck.ContextBuilder, *, preview: bool = False, of: ck.Context | None = None
    ) -> ck.Context:
        held = self.held
        if of is not None and len(self.messages) != of.decision.point:  # others went on meanwhile
            point = of.decision.point
            held = self.messages[:point] if self.listed else self.history.fork(point)
        if not self.is_async:
            call = builder.preview if preview else builder.build
            return self._made(call, held, scope=self._own)
        if preview:
            return self.runner.run(_previewed(builder, held, self._own))
        return self.runner.run(builder.abuild(held, scope=self._own))

    def _made(self, call: Callable[..., ck.Context], held: Any, **scope: Any) -> ck.Context:
        if self.is_async and getattr(call, "__name__", "") == "build":
            return self.runner.run(call.__self__.abuild(held, **scope))  # type: ignore[attr-defined]
        return call(held, **scope)

    def _tried(self, call: Callable[[], ck.Context]) -> ck.Context | None:
        self.depth += 1
        try:
            return call()
        except (BudgetExceeded, GrammarError) as error:
            with loudly():
                self.check_refusal(error)
        except Crash:
            pass
        finally:
            self.depth -= 1
        return None

    def _decided(self) -> Any:
        return self.store and self.store.of_decisions()

    def _traces(self) -> tuple[Any, ...]:
        """What a preparation may not change."""
        return self._decided(), [*map(id, self.history.records)]

    def _kept_count(self) -> int:
        return sum(map(len, self.kept.values()))

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Whoever keeps a summary is seen: one text an address, asked for once."""
        original = KeptSummaries.keep

        def keep(of: KeptSummaries, address: str, summary: Mapping[str, Any]) -> Mapping[str, Any]:
            stands = original(of, address, summary)
            given = self.kept.setdefault(address, [])
            given.append(summary["text"])
            text = json.dumps([stands["text"], stands["last"]])
            with loudly():
                assert stands["last"] == summary["last"]
                assert self.stands.setdefault(address, text) == text
                assert len(given) == 1 or self.nested
            return stands

        KeptSummaries.keep = keep  # type: ignore[method-assign]
        try:
            yield
        finally:
            KeptSummaries.keep = original  # type: ignore[method-assign]


async def _previewed(builder: ck.ContextBuilder, held: Any, scope: ck.Scope | None) -> ck.Context:
    from contextkit.driving import drive_async

    return await drive_async(builder._steps(held, scope, record=False))


def _is_summary(entry: Any) -> bool:
    return entry.edit is not None and entry.edit.kind == "summary"


def _shrinks(event: str) -> bool:
    found = re.search(r"([\d,]+) to ([\d,]+) tokens$", event)
    if found is None:
        return True
    before, after = (int(number.replace(",", "")) for number in found.groups())
    return after < before
