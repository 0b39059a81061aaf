"""Vectors: what of them is there for a question, from an index and an embedder, in good time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from contextkit.breaker import Breaker
from contextkit.errors import CallsPaused, DeadlinePassed, EmbeddingError
from contextkit.retrieval.corpora import Kept
from contextkit.retrieval.index import Index
from contextkit.retrieval.index_inputs import held_vectors, unit_rows
from contextkit.retrieval.languages import language_spoken
from contextkit.scope import ScopeKey
from contextkit.strategies.base import Need
from contextkit.strategies.passages import own_key
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

REFUSED = (400, 413, 422, 451)
"""HTTP statuses that are about what was sent, such as a content filter's."""

Wanted = list[tuple[ScopeKey, dict[str, str]]]
"""Texts by their addresses, and the scope in which an index has their vectors; some at once."""


@dataclass(slots=True)
class Asked:
    """One message that asks, and what has come for it.

    Attributes:
        view: in which it is asked.
        question: its text.
        kept: what is searched.
        scope: where the vectors of it are kept, where a passage says nothing else.
        ends: when nobody waits any more, on the monotonic clock.
        number: of the message.
        vectors: that have come, by address; of the question under `QUESTION`.
        words: whether the vectors of words say something of the question's.
    """

    view: View
    question: str
    kept: Kept
    scope: ScopeKey
    ends: float
    number: int = field(init=False)
    vectors: dict[str, Any] = field(default_factory=dict)
    words: bool = True

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

    def wanted(self) -> Wanted:
        """The texts and words that have no vector in this process; of a long log it takes long."""
        found: Wanted = []
        texts_of = self.kept.corpus.wanted_by_scope(self.question, own_key(self.view))
        for where, texts in texts_of.items():
            every = list(texts.items())
            slices = (every[at : at + SLICE] for at in range(0, len(every), SLICE))
            found.extend((where or self.scope, dict(some)) for some in slices)
        return found

    def find(self, texts: Mapping[str, str], given: Any) -> list[str]:
        """Take what an index has of some texts, and give the addresses of those that it has not.

        Raises:
            EmbeddingError: it cannot be used; nothing of it is held.
        """
        vectors = held_vectors(given, texts, self.dimension)
        self.vectors.update(vectors)
        # The first are held when the embedder has the same dimension: they would stay in its way.
        if self.kept.corpus.vectors is not None:
            self.kept.corpus.hold(vectors)
        return [address for address in texts if address not in vectors]

    def take(self, texts: Mapping[str, str], given: Any) -> dict[str, Any]:
        """Take what an embedder gave, and give what an index is to keep of it.

        Raises:
            EmbeddingError: it cannot be used.
        """
        vectors = dict(zip(texts, unit_rows(given, len(texts), self.dimension), strict=True))
        corpus = self.kept.corpus
        corpus.hold({**self.vectors, **vectors} if corpus.vectors is None else vectors)
        self.vectors.update(vectors)
        vectors.pop(QUESTION, None)
        return vectors


def reads(embed: Any, asked: Asked) -> bool:
    """Whether an embedder was made for the language of a question; in another, words say more."""
    made_for = getattr(embed, "language", None)
    if not isinstance(made_for, str):
        return True
    corpus = asked.kept.corpus.without(own_key(asked.view))
    return language_spoken(asked.question, corpus) in (made_for, None)


@dataclass(frozen=True, slots=True)
class Vectors:
    """What is needed so that a question and the passages have vectors, as far as there is time.

    Attributes:
        asked: the question, and what has come for it.
        index, breaker, seconds: as `Retrieve` has them.
        chosen: what is needed then.
    """

    asked: Asked
    index: Index
    breaker: Breaker
    seconds: float
    chosen: Callable[[Asked], Need]

    def needed(self) -> Need:
        """What is needed of the index: the vectors that this process does not have yet."""
        missing: list[tuple[ScopeKey, str, str]] = []

        def begin(_: None) -> Need:
            # Not before the breaker lets it through: of a long log that has no vectors, it is long.
            return self._own(self.asked.wanted, lambda wanted: look(wanted, 0), "index")

        def look(wanted: Wanted, at: int) -> Need:
            if at == len(wanted) or (at and self.asked.left <= 0):
                return self._embedded(missing)
            scope, texts = wanted[at]

            def found(given: Any) -> Need:
                return self._own(lambda: self.asked.find(texts, given), taken, "index")

            def taken(others: list[str]) -> Need:
                missing.extend((scope, address, texts[address]) for address in others)
                return look(wanted, at + 1)

            return self._need(lambda: self.index.vectors(scope, list(texts)), found, "index")

        return self._own(self.breaker.check, begin, "index")

    def _embedded(
        self,
        missing: Sequence[tuple[ScopeKey, str, str]],
        begin: int = 0,
        batch: int = FIRST,
    ) -> Need:
        """What is needed of the embedder: the question with some texts, and more, in good time.

        The question is no passage, so that its vector is kept nowhere. Where it was refused beside
        texts of long ago, it is asked for alone, once: what they say is no reason to go without.
        """
        question = QUESTION not in self.asked.vectors
        if not question and (begin >= len(missing) or not batch):
            self.breaker.succeeded()
            return self.chosen(self.asked)
        scope = missing[begin][0] if begin < len(missing) else self.asked.scope
        some = missing[begin : begin + batch]
        texts = {name: text for where, name, text in some if where == scope}
        end = begin + len(texts)
        if question:
            texts[QUESTION] = self.asked.question
        began = monotonic()

        def came(given: Any) -> Need:
            seconds = monotonic() - began
            return self._own(
                lambda: self.asked.take(texts, given),
                lambda vectors: keep(vectors, seconds),
                "embeddings",
            )

        def keep(vectors: dict[str, Any], seconds: float) -> Need:
            spare = self.asked.left - (1 - PATIENCE) * self.seconds
            more = min(BATCH, int(len(texts) * spare / max(seconds, 1e-6)) if spare > 0 else 0)

            def following(_: object) -> Need:
                return self._embedded(missing, end, more)

            if not vectors:
                return following(None)
            return self._need(
                lambda: self.index.add(scope, list(vectors), list(vectors.values())),
                following,
                "index",
            )

        def refused(error: Exception) -> Need:
            if question and len(texts) > 1 and is_refused(error):
                return self._embedded(missing, end, 0)
            return self._without(error, "embeddings")

        call = self._need(lambda: self.index.embed(list(texts.values())), came, "embeddings")
        return replace(call, otherwise=refused)

    def _need(self, call: Callable[[], Any], finish: Callable[[Any], Any], what: str) -> Need:
        """Something from outside; where it is late or fails, words alone decide."""
        return replace(self._own(call, finish, what), seconds=max(self.asked.left, LEAST))

    def _own(self, call: Callable[[], Any], finish: Callable[[Any], Any], what: str) -> Need:
        """The same of what is done here, which is nobody's delay: in async code, in a thread."""
        return Need(call, finish, what, otherwise=lambda error: self._without(error, what))

    def _without(self, error: Exception, what: str) -> Need:
        """The passages by words, with the vectors that had come.

        The breaker is that of all who ask: what fails at once for one tenant, such as a damaged
        file or a text that is refused, is no reason for others.
        """
        if is_refused(error):
            self.breaker.succeeded()  # it is there, and answers
        elif isinstance(error, DeadlinePassed) or (
            what == "embeddings" and not isinstance(error, CallsPaused)
        ):
            self.breaker.failed()
        return self.chosen(self.asked)


def is_refused(error: Exception) -> bool:
    """Whether an embedder refused what it was sent, and nothing is said of other texts."""
    return isinstance(error, EmbeddingError) and not error.retryable and error.status in REFUSED
