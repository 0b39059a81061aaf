"""Retrieval: passages of what was cut come back with the message that asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import BudgetError, InputError
from contextkit.groups import Entry
from contextkit.messages import SYSTEM_ROLES, text_of
from contextkit.retrieval.index import Index, nearest, unit_rows
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
        if not hasattr(self.index, "vectors"):
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

        The vectors that the index holds; those of the other messages and of the question; and
        that the index keeps them.
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

        def embed(held: dict[str, Any]) -> Need:
            fresh = [address for address in hidden if address not in held]
            texts = [question, *(text_of(history.data[hidden[address]]) for address in fresh)]

            def keep(vectors: Any) -> Need | list[Edit]:
                dimension = len(next(iter(held.values()))) if held else None
                units = unit_rows(vectors, len(texts), dimension)
                rows = {**held, **dict(zip(fresh, units[1:], strict=True))}

                def insert(_: object) -> list[Edit]:
                    hits = nearest(list(rows), list(rows.values()), units[0], self.count)
                    found = {hidden[a]: score for a, score in hits if score >= self.min_score}
                    return self._insert(view, found)

                if not fresh:
                    return insert(None)
                return Need(lambda: index.add(scope, fresh, vectors[1:]), insert, "index")

            return Need(call=lambda: index.embed(texts), finish=keep, what="embeddings")

        return Need(call=lambda: index.vectors(scope, list(hidden)), finish=embed, what="index")

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
