"""Vectors: what of them is there for a question, from an index and an embedder, in good time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from contextkit.breaker import Breaker
from contextkit.errors import CallsPaused, DeadlinePassed
from contextkit.retrieval.corpora import Kept
from contextkit.retrieval.index import Index
from contextkit.retrieval.index_inputs import unit_rows
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
        wanted: list[tuple[ScopeKey, dict[str, str]]] = []
        missing: list[tuple[ScopeKey, str, str]] = []

        def begin(_: None) -> Need:
            # Not before the breaker lets it through: of a long log that has no vectors, it is long.
            asked = self.asked
            texts_of = asked.kept.corpus.wanted_by_scope(asked.question, own_key(asked.view))
            for where, texts in texts_of.items():
                every = list(texts.items())
                slices = (every[at : at + SLICE] for at in range(0, len(every), SLICE))
                wanted.extend((where or asked.scope, dict(some)) for some in slices)
            return look(0)

        def look(at: int) -> Need:
            if at == len(wanted) or (at and self.asked.left <= 0):
                return self._embedded(missing)
            scope, texts = wanted[at]

            def found(vectors: Mapping[str, Any]) -> Need:
                missing.extend((scope, *text) for text in texts.items() if text[0] not in vectors)
                return self._need(lambda: self.asked.hold(vectors), lambda _: look(at + 1), "index")

            return self._need(lambda: self.index.vectors(scope, list(texts)), found, "index")

        return self._need(self.breaker.check, begin, "index")

    def _embedded(
        self,
        missing: Sequence[tuple[ScopeKey, str, str]],
        begin: int = 0,
        batch: int = FIRST,
    ) -> Need:
        """What is needed of the embedder: the question with some texts, and more, in good time.

        The question is no passage, so that its vector is kept nowhere.
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
            return self._need(
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

        return self._need(lambda: self.index.embed(list(texts.values())), came, "embeddings")

    def _need(self, call: Callable[[], Any], finish: Callable[[Any], Any], what: str) -> Need:
        """Something from outside; where it is late or fails, words alone decide."""

        def otherwise(error: Exception) -> Need:
            # What fails at once for one tenant, such as a damaged file, is no reason for others.
            if isinstance(error, DeadlinePassed) or (
                what == "embeddings" and not isinstance(error, CallsPaused)
            ):
                self.breaker.failed()
            return self.chosen(self.asked)

        return Need(call, finish, what, seconds=max(self.asked.left, LEAST), otherwise=otherwise)
