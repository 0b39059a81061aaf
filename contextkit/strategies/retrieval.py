"""Retrieval: passages of what was cut come back with the message that asks for them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from threading import Semaphore
from time import monotonic
from typing import Any, ClassVar

from contextkit.breaker import Breaker, check_seconds
from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import (
    BudgetError,
    CallsUnderWay,
    DeadlinePassed,
    InputError,
    ScopeError,
)
from contextkit.messages import text_of
from contextkit.retrieval.bounded import Bounded
from contextkit.retrieval.corpora import Corpora
from contextkit.retrieval.index import Index
from contextkit.retrieval.index_inputs import has_method
from contextkit.retrieval.passages import ROLES, Passage, checked_roles
from contextkit.retrieval.questions import is_small_talk
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.relevance import MIN_COSINE, is_relevant
from contextkit.retrieval.sources import Source, changed_of, check_blocking
from contextkit.retrieval.terms import check_language
from contextkit.strategies.base import Need
from contextkit.strategies.blocks import check_name
from contextkit.strategies.choosing import Share, excerpt_key
from contextkit.strategies.passages import (
    counted,
    hashes_of,
    name_of_asker,
    next_passage,
    own_key,
    shown_keys,
)
from contextkit.strategies.vectors import QUESTION, Asked, Vectors, reads
from contextkit.view import View

OWN = "earlier in this conversation"
"""What the block of passages of the conversation itself is called."""

READERS = 10_000
"""Owners of sources that were late whom a `Retrieve` remembers."""

CALLS = 32
"""Calls of a source that are under way at once: each has a thread, which stays where it hangs."""


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Put what answers the newest user message, and is not shown any more, behind it.

    The passages are data, delimited, with number, role and date of each, in the order in which
    they were said, and frozen into that message for good. They are found by their words, and with
    an index by their vectors as well. Where nothing relevant is found, nothing is inserted.

    Attributes:
        index: keeps the vectors of passages, and knows who makes them; None to go by words alone.
            Where its embedder says its `language`, questions in others go by words.
        source: where passages are from; None for what the view hides of the conversation itself.
        share: tokens reserved for the passages.
        roles: of the messages of the conversation itself that may come back, `user` and
            `assistant` by default. What tools said is data from elsewhere, and may be large: it
            comes back only where `tool` is among them. A source has roles of its own.
        language: of the texts, such as `english`; None for each by its own words.
        seconds: that index, embedder and source may take together in a build. Where they are
            late or down, words alone decide, and the report says so.
        min_cosine: at which a single passage counts as relevant by its vector alone; of many, the
            nearest has to be nearer (`MORE_COSINE`). The default is of all-MiniLM-L6-v2; other
            models have another.
        breaker: counts failures of the embedder, and what is late, but not texts that it refuses;
            while it is open neither index nor embedder is asked. Whose source is late is left
            alone in the same way; where `CALLS` calls of it have not come back, nobody's is asked.
    """

    index: Index | None = None
    source: Source | None = None
    share: int = 1_000
    roles: Collection[str] | None = None
    language: str | None = None
    seconds: float = 2.0
    min_cosine: float = MIN_COSINE
    breaker: Breaker = field(default_factory=Breaker, repr=False, compare=False)
    corpora: Corpora = field(init=False, repr=False, compare=False)
    reading: Bounded[Breaker] = field(init=False, repr=False, compare=False)
    calls: Semaphore = field(init=False, repr=False, compare=False)
    phase: ClassVar[str] = "tail"
    needs_scope: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.index is not None and not has_method(self.index, "vectors"):
            raise InputError(
                f"is an index, such as VectorIndex(embed), not {self.index!r:.60}",
                place="Retrieve.index",
            )
        if self.source is not None and not has_method(self.source, "read"):
            raise InputError(
                f"is a source, such as Documents(), not {self.source!r:.60}",
                place="Retrieve.source",
            )
        if self.source is not None:
            check_blocking(self.source, "Retrieve.source")
            check_name(self.source.name, "Retrieve.source.name")
        if self.source is not None and self.roles is not None:
            raise InputError(
                "are of the conversation itself; a source has its own: Recall(store, roles=…)",
                place="Retrieve.roles",
            )
        whole_number("Retrieve.share", self.share, least=1)
        check_seconds("Retrieve.seconds", self.seconds)
        least: Any = self.min_cosine
        if not isinstance(least, int | float) or not -1 <= least <= 1:
            raise BudgetError(f"Retrieve.min_cosine is {least!r:.60}: a cosine, -1 to 1")
        if not isinstance(self.breaker, Breaker):
            raise InputError(f"is a Breaker, not {self.breaker!r:.60}", place="Retrieve.breaker")
        check_language(self.language, "Retrieve.language")
        if self.roles is not None:
            object.__setattr__(self, "roles", checked_roles(self.roles, "Retrieve.roles"))
        object.__setattr__(self, "corpora", Corpora(self.language))
        object.__setattr__(self, "reading", Bounded(lambda _: replace(self.breaker), READERS))
        object.__setattr__(self, "calls", Semaphore(CALLS))

    def propose(self, view: View, goal: int) -> Iterable[Edit] | Need | None:
        """The passages, or what is needed to find them: a source, an index, an embedder."""
        history = view.history
        if view.last_user is None:
            return None
        question = text_of(history.data[view.last_user])
        if not question.strip() or is_small_talk(question):
            return None
        self._check_share(view)
        ends = monotonic() + self.seconds
        scope = history.scope.key if history.scope else (history.id,)
        if self.source is None:
            key = (scope, view.name, view.model)
            kept = self.corpora.of_branch(key, hashes_of(view, view.last_user), view.last_user)
            return self._asked(Asked(view, question, kept, scope, ends))
        if history.scope is None:
            raise InputError(
                "reads by scope: History(scope=Scope(…))", place=f"Retrieve.source {self.source!r}"
            )
        return self._read(view, question, ends)

    def _check_share(self, view: View) -> None:
        """That a passage can fit, whichever it is."""
        least = self._share_of(view).taken([Passage("")])
        if self.share <= least:
            raise BudgetError(
                f"Retrieve.share is {self.share:,} tokens, and what stands around a passage takes "
                f"{least:,}: nothing can be inserted. 1,000 hold some ten to thirty messages"
            )

    def _share_of(self, view: View, *, vectors: bool = False) -> Share:
        name = self.source.name if self.source is not None else OWN
        return Share(view, name, self.share, vectors)

    def _read(self, view: View, question: str, ends: float) -> Need:
        """What is needed to bring the corpus of the source up to date."""
        source, scope = self.source, view.history.scope
        assert source is not None and scope is not None  # noqa: S101, PT018 - checked by `propose`
        owner = source.owner(scope)
        kept = self.corpora.of((owner, view.model))

        def read() -> None:
            if (late := self.reading.get(owner)) is not None:
                late.check()
            taken = False
            while not taken:  # where another build was first, by what it did not see yet
                mark = kept.mark
                # Who waits here gives up before its build does: no thread is left behind.
                if not self.calls.acquire(timeout=self.seconds / 2):
                    raise CallsUnderWay(CALLS)
                try:
                    change = changed_of(source, scope, mark)  # may hang: nobody waits for it
                finally:
                    self.calls.release()
                taken = kept.change(mark, change, lambda passage: counted(view, passage))

        def came(_: None) -> Need:
            if (late := self.reading.get(owner)) is not None:
                late.succeeded()
            # Words that only the question has are of the conversation, not of whose source it is.
            return self._asked(Asked(view, question, kept, scope.key, ends))

        def without(error: Exception) -> None:
            if isinstance(error, DeadlinePassed):  # what fails at once costs nobody time
                self.reading.of(owner).failed()

        return Need(read, came, source.name, seconds=self.seconds, otherwise=without)

    def _asked(self, asked: Asked) -> Need:
        """The passages, where something is hidden; with an index, the vectors first.

        A need of its own, since a long log takes its time when it is first read.
        """
        index = self.index

        def hidden() -> bool:
            with asked.kept.lock:
                self._advance(asked)
                some = asked.kept.open(shown_keys(asked.view), own_key(asked.view)).any()
                if some and index is not None:
                    asked.words = reads(index.embed, asked)
                return bool(some)

        def found(some: bool) -> Iterable[Edit] | Need:
            if not some:
                return ()
            if index is None or not asked.words:
                return self._chosen(asked)
            return Vectors(asked, index, self.breaker, self.seconds, self._chosen).needed()

        return Need(hidden, found, "passages")

    def _chosen(self, asked: Asked) -> Need:
        """The passages, by all that has come for them; by words alone, where that fails."""
        need = Need(lambda: self._insert(asked), lambda edits: edits, "passages")

        def otherwise(error: Exception) -> Need | None:
            if isinstance(error, ScopeError):
                return None
            asked.vectors, asked.words = {}, False
            return need

        return replace(need, otherwise=otherwise) if self.index and asked.words else need

    # -- what is shown ---------------------------------------------------------------------

    def _advance(self, asked: Asked) -> None:
        """Bring the corpus of a conversation to the messages before the one that asks."""
        if self.source is not None:
            return
        view, corpus = asked.view, asked.kept.corpus
        history = view.history

        def passage(number: int) -> Passage | None:
            if history.messages[number].role not in (self.roles or ROLES):
                return None
            last = corpus.passages[-1] if corpus.passages else None
            found = next_passage(history, number, last)
            return counted(view, found) if found else None

        asked.kept.advance(hashes_of(view, asked.number), asked.number, passage)

    def _insert(self, asked: Asked) -> list[Edit]:
        """One block with the passages that are worth most, in the order of what they are from."""
        view, question = asked.view, asked.vectors.get(QUESTION)
        with asked.kept.lock:
            self._advance(asked)  # another branch may have been asked meanwhile
            corpus = asked.kept.corpus.without(own_key(view))
            shown = shown_keys(view)
            # A "Thanks!" beside what answers has its neighbours' weight, and tells nothing.
            allowed = asked.kept.open(shown, own_key(view)) & corpus.telling.values
            if not is_relevant(
                corpus, asked.question, question, among=allowed, min_cosine=self.min_cosine
            ):
                return []
            asker = name_of_asker(view.history.data[asked.number])
            scores = rank(
                corpus,
                asked.question,
                vector=question,
                words=asked.vectors,
                asker=asker,
                without=() if asked.words else ("words",),
            )
            weights = corpus.term_weights(asked.question)
            share = self._share_of(view, vectors=question is not None)
            chosen = share.choose(corpus, scores, allowed, shown, weights)
            whole = [corpus.passages[number] for number, _ in chosen]
        if not chosen:
            return []
        passages = [passage for _, passage in chosen]
        keys = [
            one.key if one is passage else excerpt_key(passage)
            for one, passage in zip(whole, passages, strict=True)
        ]
        return [
            view.insert(
                share.block(passages),
                reason=f"{len(passages):,} passages inserted, of {int(allowed.sum()):,} not shown",
                by=type(self).__name__,
                provenance={
                    "passages": [[source, [*scope], *rest] for source, scope, *rest in keys],
                    "scores": [float(scores[number]) for number, _ in chosen],
                    "vectors": question is not None,
                },
            )
        ]
