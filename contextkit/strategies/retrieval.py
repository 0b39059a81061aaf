"""Retrieval: passages of what was cut come back with the message that asks for them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any, ClassVar

from contextkit.breaker import Breaker, check_seconds
from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import BudgetError, CallsPaused, DeadlinePassed, InputError
from contextkit.messages import text_of
from contextkit.retrieval.corpora import Corpora, Kept
from contextkit.retrieval.index import Index
from contextkit.retrieval.index_inputs import unit_rows
from contextkit.retrieval.languages import language_spoken
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.questions import is_small_talk
from contextkit.retrieval.ranking import rank
from contextkit.retrieval.relevance import MIN_COSINE, is_relevant
from contextkit.retrieval.sources import Change, Source
from contextkit.retrieval.terms import check_language
from contextkit.scope import ScopeKey
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
from contextkit.view import View

FIRST, BATCH = 8, 64
"""Texts that are embedded at once: the question with a few, then as many as are there in time. What
came of them is kept, however late the rest is."""

SLICE = 1_000
"""Vectors that an index is asked for at once."""

PATIENCE = 0.25
"""The share of the time that is given to texts that could have been embedded before."""

LEAST = 0.05
"""Seconds that a call has at least, however late the one before was."""

QUESTION = ""
"""Stands for the address of the question, which no text has."""


OWN = "earlier in this conversation"
"""What the block of passages of the conversation itself is called."""

_ROLES = frozenset({"user", "assistant", "tool"})


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
        roles: of the messages that may come back. What tools said is data from elsewhere, and may
            be large: it comes back only where `tool` is among them.
        language: of the texts, such as `english`; None for each by its own words.
        seconds: that index, embedder and source may take together in a build. Where they are
            late or down, words alone decide, and the report says so.
        min_cosine: at which a single passage counts as relevant by its vector alone; of many, the
            nearest has to be nearer (`MORE_COSINE`). The default is of all-MiniLM-L6-v2; other
            models have another.
        breaker: counts failures of the embedder, and what is late; while it is open neither index
            nor embedder is asked. Whose source is late is left alone in the same way.
    """

    index: Index | None = None
    source: Source | None = None
    share: int = 1_000
    roles: frozenset[str] = frozenset({"user", "assistant"})
    language: str | None = None
    seconds: float = 2.0
    min_cosine: float = MIN_COSINE
    breaker: Breaker = field(default_factory=Breaker, repr=False, compare=False)
    corpora: Corpora = field(init=False, repr=False, compare=False)
    reading: dict[ScopeKey, Breaker] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    phase: ClassVar[str] = "tail"
    needs_scope: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.index is not None and not hasattr(self.index, "vectors"):
            raise InputError(
                f"is an index, such as VectorIndex(embed), not {self.index!r:.60}",
                place="Retrieve.index",
            )
        if self.source is not None and not hasattr(self.source, "read"):
            raise InputError(
                f"is a source, such as Documents(), not {self.source!r:.60}",
                place="Retrieve.source",
            )
        if self.source is not None:
            check_name(self.source.name, "Retrieve.source.name")
        whole_number("Retrieve.share", self.share, least=1)
        check_seconds("Retrieve.seconds", self.seconds)
        least: Any = self.min_cosine
        if not isinstance(least, int | float) or not -1 <= least <= 1:
            raise BudgetError(f"Retrieve.min_cosine is {least!r:.60}: a cosine, -1 to 1")
        roles: Any = self.roles
        given = isinstance(roles, Collection) and not isinstance(roles, str)
        if not given or not _ROLES.issuperset(map(str, roles)):
            raise InputError(
                f"are some of user, assistant and tool, not {roles!r:.60}", place="Retrieve.roles"
            )
        if not isinstance(self.breaker, Breaker):
            raise InputError(f"is a Breaker, not {self.breaker!r:.60}", place="Retrieve.breaker")
        check_language(self.language, "Retrieve.language")
        object.__setattr__(self, "roles", frozenset(roles))
        object.__setattr__(self, "corpora", Corpora(self.language))

    def propose(self, view: View, goal: int) -> Iterable[Edit] | Need | None:
        """The passages, or what is needed to find them: a source, an index, an embedder."""
        history = view.history
        if view.last_user is None or not (question := text_of(history.data[view.last_user])):
            return None
        if is_small_talk(question):
            return None
        ends = monotonic() + self.seconds
        scope = history.scope.key if history.scope else (history.id,)
        if self.source is None:
            key = (scope, view.name, view.model)
            kept = self.corpora.of_branch(key, hashes_of(view, view.last_user), view.last_user)
            return self._asked(_Asked(view, question, kept, scope, ends))
        if history.scope is None:
            raise InputError(
                "reads by scope: History(scope=Scope(…))", place=f"Retrieve.source {self.source!r}"
            )
        return self._read(view, question, ends)

    def _read(self, view: View, question: str, ends: float) -> Need:
        """What is needed to bring the corpus of the source up to date."""
        source, scope = self.source, view.history.scope
        assert source is not None and scope is not None  # noqa: S101, PT018 - checked by `propose`
        owner = source.owner(scope)
        kept = self.corpora.of((owner, view.model))

        def read() -> None:
            if owner in self.reading:
                self.reading[owner].check()
            mark = kept.mark
            change: Change = source.read(scope, mark)  # may hang: nobody is kept waiting for it
            kept.change(mark, change, lambda passage: counted(view, passage))

        def came(_: None) -> Need:
            self.reading.pop(owner, None)
            return self._asked(_Asked(view, question, kept, owner, ends))

        def without(error: Exception) -> None:
            if isinstance(error, DeadlinePassed):  # what fails at once costs nobody time
                self.reading.setdefault(owner, replace(self.breaker)).failed()

        return Need(read, came, source.name, seconds=self.seconds, otherwise=without)

    def _asked(self, asked: _Asked) -> Need:
        """The passages, where something is hidden; with an index, the vectors first.

        A need of its own, since a long log takes its time when it is first read.
        """
        index = self.index

        def hidden() -> bool:
            with asked.kept.lock:
                self._advance(asked)
                return bool(asked.kept.open(shown_keys(asked.view), own_key(asked.view)).any())

        def found(some: bool) -> Iterable[Edit] | Need:
            if not some:
                return ()
            if index is None or not _reads(index.embed, asked):
                return self._chosen(asked)
            return self._held(asked, index)

        return Need(hidden, found, "passages")

    def _chosen(self, asked: _Asked) -> Need:
        """The passages, by all that has come for them."""
        return Need(lambda: self._insert(asked), lambda edits: edits, "passages")

    # -- vectors ---------------------------------------------------------------------------

    def _held(self, asked: _Asked, index: Index) -> Need:
        """What is needed of the index: the vectors that this process does not have yet."""
        wanted: list[tuple[ScopeKey, dict[str, str]]] = []
        missing: list[tuple[ScopeKey, str, str]] = []

        def begin(_: None) -> Need:
            # Not before the breaker lets it through: of a long log that has no vectors, it is long.
            for where, texts in asked.kept.corpus.wanted_by_scope(asked.question).items():
                every = list(texts.items())
                slices = (every[at : at + SLICE] for at in range(0, len(every), SLICE))
                wanted.extend((where or asked.scope, dict(some)) for some in slices)
            return look(0)

        def look(at: int) -> Need:
            if at == len(wanted) or (at and asked.left <= 0):
                return self._embedded(asked, index, missing)
            scope, texts = wanted[at]

            def found(vectors: Mapping[str, Any]) -> Need:
                missing.extend((scope, *text) for text in texts.items() if text[0] not in vectors)
                return self._need(
                    asked, lambda: asked.hold(vectors), lambda _: look(at + 1), "index"
                )

            return self._need(asked, lambda: index.vectors(scope, list(texts)), found, "index")

        return self._need(asked, self.breaker.check, begin, "index")

    def _embedded(
        self,
        asked: _Asked,
        index: Index,
        missing: Sequence[tuple[ScopeKey, str, str]],
        begin: int = 0,
        batch: int = FIRST,
    ) -> Need:
        """What is needed of the embedder: the question with some texts, and more, in good time.

        The question is no passage, so that its vector is kept nowhere.
        """
        question = QUESTION not in asked.vectors
        if not question and (begin >= len(missing) or not batch):
            self.breaker.succeeded()
            return self._chosen(asked)
        scope = missing[begin][0] if begin < len(missing) else asked.scope
        some = missing[begin : begin + batch]
        texts = {name: text for where, name, text in some if where == scope}
        end = begin + len(texts)
        if question:
            texts[QUESTION] = asked.question
        began = monotonic()

        def came(given: Any) -> Need:
            seconds = monotonic() - began
            return self._need(
                asked,
                lambda: asked.take(texts, given),
                lambda vectors: keep(vectors, seconds),
                "embeddings",
            )

        def keep(vectors: dict[str, Any], seconds: float) -> Need:
            spare = asked.left - (1 - PATIENCE) * self.seconds
            more = min(BATCH, int(len(texts) * spare / max(seconds, 1e-6)) if spare > 0 else 0)

            def following(_: object) -> Need:
                return self._embedded(asked, index, missing, end, more)

            if not vectors:
                return following(None)
            return self._need(
                asked,
                lambda: index.add(scope, list(vectors), list(vectors.values())),
                following,
                "index",
            )

        return self._need(asked, lambda: index.embed(list(texts.values())), came, "embeddings")

    def _need(
        self, asked: _Asked, call: Callable[[], Any], finish: Callable[[Any], Any], what: str
    ) -> Need:
        """Something from outside; where it is late or fails, words alone decide."""

        def otherwise(error: Exception) -> Need:
            # What fails at once for one tenant, such as a damaged file, is no reason for others.
            if isinstance(error, DeadlinePassed) or (
                what == "embeddings" and not isinstance(error, CallsPaused)
            ):
                self.breaker.failed()
            return self._chosen(asked)

        return Need(call, finish, what, seconds=max(asked.left, LEAST), otherwise=otherwise)

    # -- what is shown ---------------------------------------------------------------------

    def _advance(self, asked: _Asked) -> None:
        """Bring the corpus of a conversation to the messages before the one that asks."""
        if self.source is not None:
            return
        view, corpus = asked.view, asked.kept.corpus
        history = view.history

        def passage(number: int) -> Passage | None:
            if history.messages[number].role not in self.roles:
                return None
            last = corpus.passages[-1] if corpus.passages else None
            found = next_passage(history, number, last)
            return counted(view, found) if found else None

        asked.kept.advance(hashes_of(view, asked.number), asked.number, passage)

    def _insert(self, asked: _Asked) -> list[Edit]:
        """One block with the passages that are worth most, in the order of what they are from."""
        view, question = asked.view, asked.vectors.get(QUESTION)
        with asked.kept.lock:
            self._advance(asked)  # another branch may have been asked meanwhile
            corpus = asked.kept.corpus
            shown = shown_keys(view)
            allowed = asked.kept.open(shown, own_key(view))
            if not is_relevant(
                corpus, asked.question, question, among=allowed, min_cosine=self.min_cosine
            ):
                return []
            asker = name_of_asker(view.history.data[asked.number])
            scores = rank(corpus, asked.question, vector=question, words=asked.vectors, asker=asker)
            weights = corpus.term_weights(asked.question)
            name = self.source.name if self.source is not None else OWN
            share = Share(view, name, self.share, self.language, question is not None)
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


def _reads(embed: Any, asked: _Asked) -> bool:
    """Whether an embedder was made for the language of a question; in another, words say more."""
    made_for = getattr(embed, "language", None)
    if not isinstance(made_for, str):
        return True
    return language_spoken(asked.question, asked.kept.corpus) in (made_for, None)


@dataclass(slots=True)
class _Asked:
    """One message that asks, and what has come for it.

    Attributes:
        view: in which it is asked.
        question: its text.
        kept: what is searched.
        scope: where the vectors of it are kept, where a passage says nothing else.
        ends: when nobody waits any more, on the monotonic clock.
        vectors: that have come, by address; of the question under `QUESTION`.
    """

    view: View
    question: str
    kept: Kept
    scope: ScopeKey
    ends: float
    number: int = 0
    vectors: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.number = self.view.last_user or 0

    @property
    def left(self) -> float:
        """Seconds."""
        return self.ends - monotonic()

    @property
    def dimension(self) -> int | None:
        """Of the vectors that are there."""
        rows = self.kept.corpus.vectors
        if rows is not None:
            return int(rows.shape[1])
        return len(next(iter(self.vectors.values()))) if self.vectors else None

    def hold(self, vectors: Mapping[str, Any]) -> None:
        """Take vectors that have come.

        Raises:
            EmbeddingError: they are of another dimension.
        """
        self.kept.corpus.hold(vectors)
        self.vectors.update(vectors)

    def take(self, texts: Mapping[str, str], given: Any) -> dict[str, Any]:
        """Take what an embedder gave, and give what an index is to keep of it.

        Raises:
            EmbeddingError: it cannot be used.
        """
        vectors = dict(zip(texts, unit_rows(given, len(texts), self.dimension), strict=True))
        self.hold(vectors)
        vectors.pop(QUESTION, None)
        return vectors
