"""Retrieval: passages of what was cut come back with the message that asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import BudgetError, EmbeddingError, InputError
from contextkit.groups import Entry
from contextkit.messages import SYSTEM_ROLES, text_of
from contextkit.retrieval.index import Index
from contextkit.strategies.base import Need
from contextkit.strategies.blocks import blocks
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Put the nearest passages of what the view hides behind the newest user message.

    They are data, delimited, with their numbers and roles, frozen into that message for good.

    Attributes:
        index: finds passages, inside the scope of the conversation.
        share: tokens reserved for the passages.
        count: the most passages.
        min_score: the least cosine at which a passage counts as relevant.
    """

    index: Index
    share: int = 1_000
    count: int = 8
    min_score: float = 0.3
    phase: ClassVar[str] = "tail"
    needs_scope: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not hasattr(self.index, "search"):
            raise InputError(
                f"is an index, such as VectorIndex(embed), not {self.index!r:.60}",
                place="Retrieve.index",
            )
        whole_number("Retrieve.share", self.share, least=1)
        whole_number("Retrieve.count", self.count, least=1)
        least: Any = self.min_score
        if not isinstance(least, int | float) or not -1 <= least <= 1:
            raise BudgetError(f"Retrieve.min_score is {least!r:.60}: a cosine, -1 to 1")

    def propose(self, view: View, goal: int) -> Need | None:
        """State what is needed, one after the other: all of it may wait for a disk or a network.

        Which messages the index does not hold, their vectors and that of the question, and the
        passages that are nearest to it.
        """
        history = view.history
        if view.last_user is None or not (question := text_of(history.data[view.last_user])):
            return None
        hidden = {
            history.prefix_hash(number + 1, view.name): number
            for number in hidden_numbers(view)
            if text_of(history.data[number])
        }
        if not hidden:
            return None
        scope = history.scope.key if history.scope else (history.id,)
        index = self.index

        def embed(fresh: list[str]) -> Need:
            texts = [question, *(text_of(history.data[hidden[address]]) for address in fresh)]

            def search(vectors: Any) -> Need:
                if not hasattr(vectors, "__len__") or len(vectors) != len(texts):
                    raise EmbeddingError(
                        f"the embedder gave {type(vectors).__name__} of another length than the "
                        f"{len(texts)} texts"
                    )

                def near() -> list[tuple[str, float]]:
                    index.add(scope, fresh, vectors[1:])
                    return index.search(scope, vectors[0], hidden, self.count)

                return Need(call=near, finish=insert, what="passages")

            return Need(call=lambda: index.embed(texts), finish=search, what="embeddings")

        def insert(hits: list[tuple[str, float]]) -> list[Edit]:
            found = {hidden[a]: score for a, score in hits if score >= self.min_score}
            return self._insert(view, found)

        return Need(call=lambda: index.missing(scope, list(hidden)), finish=embed, what="index")

    def _insert(self, view: View, found: Mapping[int, float]) -> list[Edit]:
        """One block with as many of the best passages as fit, in the order of the conversation."""
        chosen: list[int] = []
        text = ""
        for number in sorted(found, key=lambda n: (-found[n], n)):
            tried = self._block(view, [*chosen, number])
            if view.count({"role": "user", "content": f"\n\n{tried}"}) <= self.share:
                chosen.append(number)
                text = tried
        if not chosen:
            return []
        return [
            view.insert(
                text,
                reason=f"{len(chosen)} passages of what was cut, nearest to the message",
                by=type(self).__name__,
                provenance={
                    "sources": sorted(chosen),
                    "scores": [found[n] for n in sorted(chosen)],
                },
            )
        ]

    def _block(self, view: View, numbers: list[int]) -> str:
        messages = view.history.messages
        return blocks(
            view.history,
            "passages",
            (
                (f"message {number}, {messages[number].role}", text_of(messages[number].data))
                for number in sorted(numbers)
            ),
        )


def hidden_numbers(view: View) -> list[int]:
    """The messages of the conversation whose text the view does not show, in order."""
    shown = {
        number
        for entry in view.entries
        if entry.edit is None
        or entry.edit.kind in ("move", "reasoning", "mend")
        or (entry.edit.kind == "clear" and _texts_stay(view, entry))
        for number in entry.numbers
    }
    return [
        number
        for number in range(view.seen)
        if number not in shown and view.history.messages[number].role not in SYSTEM_ROLES
    ]


def _texts_stay(view: View, entry: Entry) -> bool:
    """Whether nothing but media was cleared: each text part is shown as it was."""
    content = view.history.data[entry.number].get("content")
    if not isinstance(content, list) or not isinstance(entry.data.get("content"), list):
        return False
    return all(part in entry.data["content"] for part in content if part.get("type") == "text")
