"""Tool results: old ones are cleared in batches, large ones are clamped before they are sent."""

from __future__ import annotations

from collections.abc import Iterable, Set  # noqa: PYI025 - the abstract one: any set will do
from dataclasses import dataclass
from typing import Any, ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit
from contextkit.errors import InputError
from contextkit.groups import Entry
from contextkit.messages import text_of
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class ClearToolResults:
    """Show a short stub in place of old tool results, oldest first, as many as needed.

    Attributes:
        keep_last: how many of the newest results stay, counted when a batch is cleared.
        exclude: names of tools whose results always stay.
    """

    phase: ClassVar[str] = "compaction"
    keep_last: int = 3
    exclude: Set[str] = frozenset()

    def __post_init__(self) -> None:
        given: Any = self.exclude
        names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else [*given]
        if isinstance(given, str) or not all(isinstance(name, str) for name in names):
            raise InputError(
                f"is a set of names, not {given!r:.60}", place="ClearToolResults.exclude"
            )
        object.__setattr__(self, "exclude", frozenset(names))
        whole_number("ClearToolResults.keep_last", self.keep_last, least=0)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """Clear results until `goal` tokens are freed."""
        names = _tool_names(view)
        free = {entry.numbers for span in view.free for entry in span.entries}
        results = [entry for entry in view.entries if entry.role == "tool" and entry.numbers]
        freed = 0
        for entry in results[: max(0, len(results) - self.keep_last)]:
            if freed >= goal:
                return
            name = names.get(entry.numbers, "")
            if entry.numbers not in free or name in self.exclude or _is_cleared(entry):
                continue
            stub = f"[result of {name or 'a tool'} cleared: message {entry.number}]"
            edit = view.replace(
                entry,
                stub,
                kind="clear",
                reason=f"not among the last {self.keep_last} tool results",
                by=type(self).__name__,
            )
            saved = entry.tokens - view.count(edit.shows[0])
            if saved > 0:
                freed += saved
                yield edit


@dataclass(frozen=True, slots=True)
class ClampToolResults:
    """Cut the middle out of tool results that are too large, before they are ever sent.

    Attributes:
        max_tokens: the most that one tool message may add to a request.
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
        """Keep head and tail, the most of them that fits, found by bisection on characters."""
        text = text_of(entry.data)
        # More than eight characters a token is white space and the like: no loss, and a bound on
        # what the bisection has to count.
        low, high = 0, min(len(text), 8 * self.max_tokens)
        best = self._edit(view, entry, text, 0)
        while low < high:
            kept = (low + high + 1) // 2
            edit = self._edit(view, entry, text, kept)
            if view.count(edit.shows[0]) <= self.max_tokens:
                low, best = kept, edit
            else:
                high = kept - 1
        return best

    def _edit(self, view: View, entry: Entry, text: str, kept: int) -> Edit:
        head = text[: kept - kept // 3]
        tail = text[len(text) - kept // 3 :]
        gone = len(text) - kept
        return view.replace(
            entry,
            f"{head}\n[{gone:,} characters of message {entry.number} left out]\n{tail}",
            kind="clamp",
            reason=f"larger than {self.max_tokens:,} tokens",
            by=type(self).__name__,
        )


def _tool_names(view: View) -> dict[tuple[int, ...], str]:
    """The name of the tool behind each result in the view."""
    names: dict[tuple[int, ...], str] = {}
    for group in view.groups:
        calls = {
            call["id"]: str((call.get("function") or call.get("custom") or {}).get("name", ""))
            for call in group.entries[0].data.get("tool_calls") or ()
        }
        for entry in group.entries[1:]:
            if entry.numbers:
                names[entry.numbers] = calls.get(entry.data.get("tool_call_id", ""), "")
    return names


def _is_cleared(entry: Entry) -> bool:
    return entry.edit is not None and entry.edit.kind == "clear"
