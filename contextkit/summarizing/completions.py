"""What a model answered, as a summary: its text without its reasoning, in whole sentences."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from contextkit.errors import InputError, SummaryRejected
from contextkit.messages import REASONING_FIELDS, text_of
from contextkit.summarizing.thoughts import without_thoughts
from contextkit.usage import Usage

_ENDS = re.compile(
    r"""[.!?…।؟۔]["'”’»)\]*_]*(?=\s|\Z)|[。！？｡．][」』”’）)]*|\n"""  # noqa: RUF001 - many scripts
)
"""Where a sentence or a line ends."""

_NUMBERED = re.compile(r"\s*[-*•]?\s*\(?(?:\d{1,3}|[a-zA-Z])[.)]?\s*")
"""The number of a line and nothing behind it; its point ends no sentence."""


def summary_of(completion: Any) -> tuple[str, Usage | None]:
    """The summary that a chat completion holds, and its usage.

    Args:
        completion: what `chat.completions.create` gave: an SDK object, or a dict.

    Raises:
        SummaryRejected: when it holds none. Says why, and nothing of what was answered.
    """
    data = _data(completion)
    choices = data.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise SummaryRejected("the provider answered without a message")
    finish = choice.get("finish_reason")
    if finish == "content_filter":
        raise SummaryRejected("the provider's content filter stopped the summary")
    if finish == "error":  # gateways that lost their upstream in the middle say so
        raise SummaryRejected("the provider broke off the summary with an error")
    if message.get("refusal") or _refuses(message):
        raise SummaryRejected("the model refused to summarize")
    if message.get("tool_calls") or message.get("function_call"):
        raise SummaryRejected("the model called a tool in place of writing a summary", again=True)
    return _text(message, cut=finish in ("length", "max_tokens")), _usage(data)


def _data(completion: Any) -> Mapping[str, Any]:
    data = completion
    if callable(dump := getattr(completion, "model_dump", None)):
        data = dump(mode="json", exclude_unset=True, warnings=False)
    if not isinstance(data, Mapping):  # a page of HTML comes as a text; a stream as an iterator
        raise SummaryRejected(
            f"the provider answered with {type(completion).__name__}, no chat completion: that is "
            "an object of the SDK, or a dict with `choices`"
        )
    return data


def _refuses(message: Mapping[str, Any]) -> bool:
    parts = message.get("content")
    return isinstance(parts, list) and any(
        isinstance(part, Mapping) and part.get("type") == "refusal" for part in parts
    )


def _text(message: Mapping[str, Any], *, cut: bool) -> str:
    said = text_of(message).strip()
    text = without_thoughts(said)
    if text:
        return _whole_part(text) if cut else text
    if cut:
        raise SummaryRejected(
            "the reply was cut off before the summary began: the model spent it on reasoning. "
            "Allow it more with options={'max_tokens': …} (or 'max_completion_tokens'), or have "
            "it reason less"
        )
    if said or any(message.get(name) for name in REASONING_FIELDS):
        raise SummaryRejected("the model wrote its reasoning and no summary", again=True)
    raise SummaryRejected("the model answered with an empty text", again=True)


def _whole_part(text: str) -> str:
    """What stands before the last end of a sentence or line, if that is half of it at least."""
    for end in reversed(list(_ENDS.finditer(text))):
        whole = text[: end.end()].rstrip()
        if 2 * len(whole) < len(text):
            break
        if not _NUMBERED.fullmatch(whole.rsplit("\n", 1)[-1]):
            return whole
    raise SummaryRejected(
        "the summary was cut off at the most tokens it may take, and less than half of it is "
        "whole sentences: write a shorter one",
        again=True,
    )


def _usage(data: Mapping[str, Any]) -> Usage | None:
    try:
        return Usage.of(data.get("usage"))
    except InputError:  # nonsense is none: the summary was paid for
        return None
