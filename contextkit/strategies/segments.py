"""Segments: what one summary stands for, where its text is kept, and how it stands in the view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from contextkit.groups import Span
from contextkit.messages import canonical_json
from contextkit.strategies.blocks import block, text_in
from contextkit.summarizing.frame import HEAD
from contextkit.summarizing.request import CountText
from contextkit.view import View


@dataclass(frozen=True, slots=True)
class Segment:
    """What one summary is to stand for.

    Attributes:
        spans: of the view.
        also: numbers of messages that were dropped unsummarized before them.
        covered: the numbers of all messages that it stands for.
        merge: whether the spans are summaries.
        address: names the text that a summarizer gives for it.
    """

    spans: list[Span]
    also: tuple[int, ...]
    covered: tuple[int, ...]
    merge: bool
    address: str

    @classmethod
    def of(
        cls, view: View, spans: list[Span], asked: Sequence[Any], also: tuple[int, ...] = ()
    ) -> Segment:
        """The segment of some spans.

        Args:
            asked: who is asked, and what, as JSON data.
            also: numbers of messages that were dropped unsummarized before them.
        """
        merge = all(span.kind == "summary" for span in spans)
        covered = tuple(sorted({*also, *(n for span in spans for n in span.numbers)}))
        end = view.history.prefix_hash(covered[-1] + 1, view.name)
        address = f"summary {digest(canonical_json([end, covered, merge, *asked]))}"
        return cls(spans, also, covered, merge, address)

    def source(self, view: View) -> list[Mapping[str, Any]]:
        """The messages that it stands for, as they came; those of a merge as they stand."""
        if self.merge:
            shown = (entry.data for span in self.spans for entry in span.entries)
            return [{**data, "content": text_in(data["content"])} for data in shown]
        return [view.history.data[number] for number in self.covered]

    def counter(self, view: View) -> CountText:
        """Counts what a text takes in the message that shows it, without what stands around it."""
        frame = view.count(self.message(view, ""))
        return lambda text: max(0, view.count(self.message(view, text)) - frame)

    def message(self, view: View, text: str) -> dict[str, Any]:
        """The message that shows a text in its place: data, in the conversation."""
        head = HEAD.format(first=self.covered[0], last=self.covered[-1])
        return {"role": "user", "content": block(view.history, "summary", head + text)}


_NEAR = 32
"""Spans: what was prepared elsewhere is looked for where it ends so near to what is asked."""


def other_spans(view: View, asked: list[Span]) -> Iterator[list[Span]]:
    """What a summary that was prepared may stand for, other than what is asked.

    First what is longer, while half of the target is left behind it, then what is shorter. That
    which ends farther off is given where a summary that this process has ends there.
    """
    held = tuple(view.history.summaries.values())
    ends = {summary["last"] for summary in held}
    left = view.body_tokens - sum(span.tokens for span in asked)
    half = view.bounds.target // 2 if view.bounds else left
    spans = _summarizable(view)
    for end in range(len(asked), len(spans)):
        left -= spans[end].tokens
        if left < half:
            break
        if end - len(asked) < _NEAR or spans[end].numbers[-1] in ends:
            yield spans[: end + 1]
    for end in range(len(asked) - 1, 0, -1):
        if len(asked) - end <= _NEAR or asked[end - 1].numbers[-1] in ends:
            yield asked[:end]


def oldest_spans(view: View, tokens: int) -> list[Span]:
    """The oldest free spans that together hold so many tokens, or as many as a request takes.

    Summaries that stand already are left as they are.
    """
    spans: list[Span] = []
    held = 0
    used = view.system_tokens + sum(span.tokens for span in view.summaries())
    for span in _summarizable(view):
        if held >= tokens or (view.room is not None and used + held + span.tokens > view.room):
            break
        spans.append(span)
        held += span.tokens
    return spans


def _summarizable(view: View) -> list[Span]:
    """The free spans that one summary may stand for: none stands across one that stands already.

    Those behind the last summary, so that a new one is appended; before it what was protected when
    it was written, such as the user message of a long turn, has its turn when nothing else is left.
    """
    run: list[Span] = []
    for span in reversed(view.free):
        if span.kind != "summary":
            run.append(span)
        elif run:
            break
    return run[::-1]


def dropped_before(view: View, spans: Sequence[Span]) -> tuple[int, ...]:
    """Messages that were dropped because a summarizer failed, before the end of some spans.

    A merge stands for summaries alone.
    """
    if all(span.kind == "summary" for span in spans):
        return ()
    end = max(number for span in spans for number in span.numbers)
    return tuple(
        sorted(
            number
            for edit in view.hidden
            if edit.kind == "drop" and edit.provenance.get("unsummarized") and edit.covers[0] < end
            for number in edit.covers
        )
    )


def frame_tokens(view: View, spans: Sequence[Span]) -> int:
    """What stands around every text, for some spans; 0 for none."""
    if not spans:
        return 0
    numbers = [number for span in spans for number in span.numbers]
    head = HEAD.format(first=min(numbers), last=max(numbers))
    return view.count({"role": "user", "content": block(view.history, "summary", head)})


def more_is_read(view: View, segment: Segment) -> bool:
    """Whether what stands behind a segment is read after it was asked for.

    By the live requests before the cut, where it is prepared; by the next call of the same cut
    behind a merge, unless what is merged was written in it: then a call has gone as far already.
    """
    if view.summaries_kept is not None and view.summaries_kept.ahead:
        return True
    newest = segment.spans[-1].groups[-1]
    return segment.merge and any(group is newest for group in view.uncut or ())


def digest(text: str) -> str:
    """Names a text, in hex."""
    return blake2b(text.encode(), digest_size=8).hexdigest()
