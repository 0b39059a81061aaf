"""Frame: what the library itself writes into a summary, which is no text of the conversation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from contextkit.messages import text_of

HEAD = "Summary of messages {first} to {last} of this conversation:\n"
HEADING = "Kept word for word:"
UNSUPPORTED = "Not in the messages:"

MORE = " …"
"""Behind the last of those named, where there are more."""

# What the library puts around text from elsewhere.
_DELIMITER = re.compile(r"<data name=\"[^\"\n]{1,90}\" mark=\"[0-9a-f]{8}\">|</data [0-9a-f]{8}>")
_HEAD = re.compile(r"\s*Summary of messages \d+ to \d+ of this conversation:\n")
_DOUBTS = re.compile(rf"^{UNSUPPORTED} (.*)$", re.MULTILINE)


def without_frame(text: str) -> str:
    """What a message says, without delimiters, and without the frame of a summary."""
    text = _DELIMITER.sub("\n", text)
    head = _HEAD.match(text)
    return _DOUBTS.sub("", text[head.end() :]) if head else text


def summary_in(text: str) -> str | None:
    """The text of a summary behind its head; None for any other text."""
    head = _HEAD.match(text)
    return text[head.end() :] if head else None


def doubted(messages: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """What earlier summaries among some messages were found to state and their messages not."""
    found: set[str] = set()
    for message in messages:
        text = _DELIMITER.sub("\n", text_of(message))
        if UNSUPPORTED in text and _HEAD.match(text):
            for line in _DOUBTS.findall(text):
                found.update(line.removesuffix(MORE).split(", "))
    return frozenset(found)
