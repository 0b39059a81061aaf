"""Tool results: old ones are cleared in batches, large ones are clamped before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set  # noqa: PYI025 - the abstract one: any set will do
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit, last_words
from contextkit.errors import InputError
from contextkit.groups import Entry
from contextkit.strategies.clamping import clamped
from contextkit.strategies.stubs import (
    ORIGINAL_TOKENS,
    batch,
    is_cleared,
    result_stub,
    tool_names,
)
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class ClearToolResults:
    """Show a short stub in place of old tool results, oldest first, as many as needed.

    Each is rewritten once at most. The stub names the tool, the size, and the number by which
    `history.expand` has the original. The arguments of calls stay: they are what the model wrote.

    Attributes:
        keep_last: how many of the newest results stay, counted when a batch is cleared.
        exclude: names of tools whose results always stay.
        at_least: tokens that a batch frees at least: it clears on to so many where fewer are
            needed, and where it cannot free so many, nothing is cleared. A batch rewrites what
            stands behind its first result, so that a small one may cost more than it saves.
    """

    phase: ClassVar[str] = "compaction"
    keep_last: int = 3
    exclude: Set[str] = frozenset()
    at_least: int = 0

    def __post_init__(self) -> None:
        given: Any = self.exclude
        names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else [*given]
        if isinstance(given, str) or not all(isinstance(name, str) for name in names):
            raise InputError(
                f"is a set of names of tools, not {given!r:.60}", place="ClearToolResults.exclude"
            )
        object.__setattr__(self, "exclude", frozenset(names))
        whole_number("ClearToolResults.keep_last", self.keep_last, least=0)
        whole_number("ClearToolResults.at_least", self.at_least, least=0)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """Clear results until `goal` tokens are freed, and `at_least`."""
        return batch(view, self._clears(view), goal, self.at_least)

    def _clears(self, view: View) -> Iterator[tuple[Entry, Edit]]:
        names = tool_names(view)
        free = view.free_numbers
        results = [entry for entry in view.entries if entry.role == "tool" and entry.numbers]
        for entry in results[: max(0, len(results) - self.keep_last)]:
            name = names.get(entry.numbers, "")
            if entry.number not in free or name in self.exclude or is_cleared(entry):
                continue
            edit = view.replace(
                entry,
                result_stub(view, entry, name),
                kind="clear",
                reason=f"older than {last_words(self.keep_last, 'tool result')}",
                by=type(self).__name__,
            )
            yield entry, edit


@dataclass(frozen=True, slots=True)
class ClampToolResults:
    """Cut the middle out of tool results that are too large, before they are ever sent.

    Text keeps its head and its tail. JSON stays valid JSON: arrays, objects and strings lose their
    middle, what is nested deepest goes first, and what is kept are the bytes of the original;
    where not even a marker in it fits, it becomes text. A page that a model asked for
    (`history.expand`) becomes a shorter page.

    Attributes:
        max_tokens: the most that one tool message may add to a request. What says how much is
            left out, some 20 tokens with the template, stands in any case.
    """

    phase: ClassVar[str] = "arrival"
    max_tokens: int

    def __post_init__(self) -> None:
        whole_number("ClampToolResults.max_tokens", self.max_tokens, least=1)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """Clamp what has just arrived."""
        for entry in view.new:
            if entry.role == "tool" and entry.numbers and entry.tokens > self.max_tokens:
                edit = self._clamp(view, entry)
                if view.count(edit.shows[0]) < entry.tokens:
                    yield edit

    def _clamp(self, view: View, entry: Entry) -> Edit:
        def fits(content: Any) -> bool:
            return view.count({**entry.data, "content": content}) <= self.max_tokens

        content = clamped(
            entry.data["content"],
            entry.number,
            # More than eight characters a token is white space and the like: no loss, and a bound
            # on what has to be counted.
            8 * self.max_tokens,
            fits,
            view.history.messages,
        )
        edit = view.replace(
            entry,
            content,
            kind="clamp",
            reason=f"larger than {self.max_tokens:,} tokens",
            by=type(self).__name__,
        )
        return replace(edit, provenance={ORIGINAL_TOKENS: entry.tokens})
