"""Importers: conversations of other formats in OpenAI form, each told by its shape.

Texts, ids of calls and the order of messages stay as they are. What has no counterpart is left out
and counted, never rewritten. Arguments that a format keeps as data become their JSON text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.importers import (
    anthropic,
    dialogue,
    functions,
    langchain,
    responses,
    sharegpt,
)

FORMATS = {
    "LangChain": langchain,
    "dialogue": dialogue,
    "ShareGPT": sharegpt,
    "Responses": responses,
    "Anthropic": anthropic,
    "OpenAI functions": functions,
}
"""By name, in the order in which they are tried: what the others' shapes would also fit is last."""

LISTS = ("messages", "input", "conversations", "conversation", "turns")
"""Under which keys a request, or a conversation, has its messages."""


def is_message(value: Any) -> bool:
    """Whether a value is a message, or an item like one, of any format, by its shape."""
    return isinstance(value, Mapping) and (
        isinstance(value.get("role"), str)
        or langchain.is_item(value)
        or sharegpt.is_item(value)
        or dialogue.is_item(value)
        or responses.is_item(value)
    )


def openai_form(given: Mapping[str, Any]) -> tuple[dict[str, Any], Counter[str]]:
    """A request in OpenAI form, and how many of what it could not carry over.

    A request in OpenAI form is given back as it is. The others keep their parameters, without those
    that were read.

    Args:
        given: a request; `messages`, `input` or `conversations` has its messages.
    """
    lost: Counter[str] = Counter()
    request = dict(given)
    for form in FORMATS.values():
        if form.reads(request):
            request = form.convert(request, lost)
    return request, lost


def said(lost: Mapping[str, int]) -> str:
    """What could not be carried over, in words: "3 thinking blocks, 1 citation"."""
    return ", ".join(f"{count:,} {_plural(name, count)}" for name, count in sorted(lost.items()))


def _plural(name: str, count: int) -> str:
    """The name of one thing for several: `cache point on a call` has its noun before the `on`."""
    if count == 1:
        return name
    for word in (" of ", " on ", " by ", " in "):
        if word in name:
            head, _, rest = name.partition(word)
            return f"{head}s{word}{rest}"
    return f"{name}s"
