"""ExtractiveSummarizer: the sentences that say most, word for word; needs no model."""

from __future__ import annotations

from dataclasses import dataclass

from contextkit.messages import text_of
from contextkit.summarizing.request import SummaryRequest


@dataclass(frozen=True, slots=True)
class ExtractiveSummarizer:
    """Picks sentences of the messages, in their order, within the share of tokens."""

    def __call__(self, request: SummaryRequest) -> str:
        """The summary."""
        kept = ""
        for message in request.span:
            line = text_of(message).strip().split("\n")[0]
            if line and request.count(f"{kept}\n{line}") <= request.share:
                kept = f"{kept}\n{line}"
        return kept
