"""Media: old images, sounds and files make room, once the model has seen them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from contextkit.budget import whole_number
from contextkit.edits import Edit, last_words
from contextkit.groups import Entry
from contextkit.originals import media_kind
from contextkit.strategies.stubs import batch, is_cleared, media_stub
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class ClearMedia:
    """Show a short text in place of old images, sounds, videos and files, oldest message first.

    In user messages and tool results; all that a message has goes at once, so that each is
    rewritten once at most, and its texts stay. Nothing is cleared before it was sent once: what
    comes too large is refused by its size (`BudgetExceeded`), since nobody but the user can say
    what may stand for a picture that the model has not seen.

    Attributes:
        keep_last: how many of the newest messages with media keep them, counted when a batch is
            cleared.
        at_least: tokens that a batch frees at least, as in `ClearToolResults`.
    """

    phase: ClassVar[str] = "compaction"
    keep_last: int = 1
    at_least: int = 0

    def __post_init__(self) -> None:
        whole_number("ClearMedia.keep_last", self.keep_last, least=0)
        whole_number("ClearMedia.at_least", self.at_least, least=0)

    def propose(self, view: View, goal: int) -> Iterable[Edit]:
        """Clear media until `goal` tokens are freed, and `at_least`."""
        return batch(view, self._clears(view), goal, self.at_least)

    def _clears(self, view: View) -> Iterator[tuple[Entry, Edit]]:
        free = view.free_numbers
        held = [entry for entry in view.entries if _has_media(entry)]
        for entry in held[: max(0, len(held) - self.keep_last)]:
            if entry.number not in free or is_cleared(entry):
                continue
            yield (
                entry,
                view.replace(
                    entry,
                    [*_without(view, entry)],
                    kind="clear",
                    reason=f"media older than {last_words(self.keep_last, 'message')} with some",
                    by=type(self).__name__,
                ),
            )


def _has_media(entry: Entry) -> bool:
    content = entry.data.get("content")
    return (
        entry.role in ("user", "tool")
        and len(entry.numbers) == 1
        and isinstance(content, list)
        and any(map(media_kind, content))
    )


def _without(view: View, entry: Entry) -> Iterator[dict[str, object]]:
    """The parts, with a stub for each that is no text."""
    frame = {"role": entry.role, "tool_call_id": ""} if entry.role == "tool" else {"role": "user"}
    empty = view.count({**frame, "content": [{"type": "text", "text": ""}]})
    for part in entry.data["content"]:
        if kind := media_kind(part):
            tokens = max(0, view.count({**frame, "content": [part]}) - empty)
            yield media_stub(entry.number, kind, tokens)
        else:
            yield dict(part)
