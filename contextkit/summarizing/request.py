"""What a summarizer is given, and what it gives where that is more than a text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.usage import Usage

CountText = Callable[[str], int]
"""Tokens of a text."""


class SummaryRequest(dict[str, Any]):
    """A chat request as a dict, and beside it what is to be summarized.

    The dict is what an OpenAI-compatible client sends: `model`, `messages`, and where the live
    requests have tools `tools` with `tool_choice`. A copy: it may be changed. Empty for a
    summarizer that asks no model.

    Attributes:
        span: the messages to be summarized, as the log has them; for a merge, the summaries that
            stand. Shared: read, never write.
        share: the most tokens that the text may take: fewer than the strategy's `share`, for what
            stands around the text, and what is added to it word for word, takes its part.
        count: tokens of a text.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        *,
        span: Sequence[Mapping[str, Any]],
        share: int,
        count: CountText,
    ) -> None:
        super().__init__(request)
        self.span = span
        self.share = share
        self.count = count


@dataclass(frozen=True, slots=True)
class Written:
    """What a summarizer wrote, where it knows more than the text.

    Attributes:
        text: the summary.
        model: who wrote it; empty where no model did.
        usage: what the provider reported for the call.
    """

    text: str
    model: str = ""
    usage: Usage | None = None


Summarizer = Callable[[SummaryRequest], str | Written | Awaitable[str | Written]]
"""Takes a request and gives the summary's text, or an awaitable of it.

An object may also have a `model`: the name of another model than the live one, which then gets a
prompt of its own instead of the live prefix; `is_async`, which tells that it is to be awaited; and
`asks_model = False`, which tells that no model is called: the request then has a span and no
messages, and nothing is priced. A function may have it, too: `first_words.asks_model = False`.
"""
