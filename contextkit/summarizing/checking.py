"""Checking: what came from a summarizer, held against the messages that it stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.errors import SummaryRejected
from contextkit.summarizing.request import CountText

TEXT_SHARE = 0.5
"""The part of a summary's share that a summarizer is told; the rest is for what it loses."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A summary that may stand for its messages.

    Attributes:
        text: what was written, and the mechanical block behind it.
        added: facts that were lost, and stand in the mechanical block.
        lost: facts that are needed and have no room.
        unsupported: what it states and the messages do not have.
    """

    text: str
    added: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


def checked(
    text: Any,
    span: Sequence[Mapping[str, Any]],
    *,
    share: int,
    count: CountText,
    known: Sequence[Mapping[str, Any]] = (),
) -> Checked:
    """The text with what it lost, within a share of tokens.

    Args:
        text: what the summarizer gave.
        span: the messages that it stands for.
        share: the most tokens of the whole.
        count: tokens of a text.
        known: other messages that the summarizer was shown: what they have is not made up.

    Raises:
        SummaryRejected: when it cannot stand for them.
    """
    if not isinstance(text, str):
        raise SummaryRejected(f"the summarizer gave no text but {type(text).__name__}")
    if not text.strip():
        raise SummaryRejected("the summarizer gave an empty text", again=True)
    tokens = count(text.strip())
    if tokens > share:
        raise SummaryRejected(
            f"the summary takes {tokens:,} tokens, and its share is {share:,}",
            tokens=tokens,
            allowed=share,
            again=True,
        )
    return Checked(text.strip())
