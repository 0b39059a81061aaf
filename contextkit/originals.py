"""Originals: the text of any message of a log, in pages, and the tool by which a model asks for it.

What a compaction takes from the view stays in the log, under the number that stubs, clamps and
summaries name. Everything here reads one log only: a number can never lead to another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contextkit.errors import InputError
from contextkit.messages import Message, called

EXPAND = "expand_message"
"""The name of the tool by which a model asks for an original."""

CHARACTERS = 8_000
"""Of one page, where nothing else is asked for: some 2,000 tokens of English."""

_HEAD = re.compile(
    r"\[message (\d{1,9}) \((\w+)\), characters (\d{1,12}) to (\d{1,12}) of (\d{1,12})"
    r"(?:; the rest: start (\d{1,12}))?\]\n"
)


@dataclass(frozen=True, slots=True)
class Page:
    """A piece of the text of one message, as the log has it.

    `str(page)` is what a model reads: the text behind a line that says what it is.

    Attributes:
        number: of the message.
        role: of the message.
        start: the character that the text begins at, counted from 0.
        total: characters of the whole text.
        text: the piece.
    """

    number: int
    role: str
    start: int
    total: int
    text: str = field(repr=False)

    @property
    def end(self) -> int:
        """The character behind the last one."""
        return self.start + len(self.text)

    @property
    def next(self) -> int | None:
        """Where the next page begins; None behind the last one."""
        return self.end if self.end < self.total else None

    def __str__(self) -> str:
        more = "" if self.next is None else f"; the rest: start {self.next}"
        return (
            f"[message {self.number} ({self.role}), characters {self.start} to {self.end} of "
            f"{self.total}{more}]\n{self.text}"
        )


def page_of(
    messages: Sequence[Message], number: int, start: int = 0, characters: int = CHARACTERS
) -> Page:
    """A page of the text of a message.

    Raises:
        InputError: there is no such message, or no such place in it.
    """
    if type(number) is not int or not 0 <= number < len(messages):
        there = f"there are messages 0 to {len(messages) - 1}" if messages else "there is none"
        raise InputError(f"is no message {_said(number)}: {there}", place="number")
    message = messages[number]
    text = original_text(message.data)
    if type(start) is not int or not 0 <= start <= len(text):
        raise InputError(
            f"is no place {_said(start)} in message {number}, which has {len(text):,} characters",
            place="start",
        )
    if type(characters) is not int or characters < 1:
        raise InputError(f"is 1 at least, not {_said(characters)}", place="characters")
    return Page(number, message.role, start, len(text), text[start : start + characters])


def original_text(data: Mapping[str, Any]) -> str:
    """All that a message says, as text: what is no text is named, calls stand at the end."""
    content = data.get("content")
    pieces = [content] if isinstance(content, str) else [_part_text(p) for p in content or ()]
    refusal = data.get("refusal")
    if isinstance(refusal, str):
        pieces.append(refusal)
    for call in data.get("tool_calls") or ():
        name, arguments = called(call)
        pieces.append(f"[call of {name}: {arguments}]")
    if len(pieces) == 1:
        return pieces[0]
    return "\n\n".join(piece for piece in pieces if piece)


def _part_text(part: Mapping[str, Any]) -> str:
    text = part.get("text", part.get("refusal"))
    if isinstance(text, str):
        return text
    return f"[{media_kind(part) or 'part of another kind'}: cannot be had as text]"


def media_kind(part: Any) -> str:
    """`image`, `audio`, `video` or `file`; empty for any other content part."""
    kind = part.get("type") if isinstance(part, Mapping) else None
    if not isinstance(kind, str) or kind == "text":
        return ""
    for known in ("image", "audio", "video"):
        if known in kind:
            return known
    return "file" if kind in ("file", "input_file", "document") else ""


def shown_page(messages: Sequence[Message], text: str) -> Page | None:
    """The page that a text is, if it is one: what stands there is held against the log."""
    head = _HEAD.match(text)
    if head is None:
        return None
    number, start, end = (int(head[group]) for group in (1, 3, 4))
    if number >= len(messages):
        return None
    whole = original_text(messages[number].data)
    page = Page(number, messages[number].role, start, len(whole), text[head.end() :])
    same = start <= end <= len(whole) and whole[start:end] == page.text and str(page) == text
    return page if same else None


def original_number(messages: Sequence[Message], number: int) -> int:
    """The number of the message that has the original of what stands in another one.

    That is the message itself, but for a page of an earlier one.
    """
    while True:
        page = shown_page(messages, original_text(messages[number].data))
        if page is None or page.number >= number:  # pages of earlier ones: this comes to an end
            return number
        number = page.number


def expand_tool() -> dict[str, Any]:
    """The tool by which a model asks for the original of a message, in OpenAI form.

    Its schema meets what strict function calling asks for; `tool["function"]["strict"] = True`
    asks for that. Calls of it are answered by `History.answer_expand`.
    """
    return {
        "type": "function",
        "function": {
            "name": EXPAND,
            "description": (
                "Gives back the original text of an earlier message of this conversation that "
                "was cleared, shortened or summarized, a page at a time."
            ),
            "parameters": {
                "type": "object",
                "properties": {
                    "number": {
                        "type": "integer",
                        "description": "The number of the message, as it is named in its place.",
                    },
                    "start": {
                        "type": "integer",
                        "description": (
                            "The character to begin at: 0, or what the page before names."
                        ),
                    },
                },
                "required": ["number", "start"],
                "additionalProperties": False,
            },
        },
    }


def answered(
    messages: Sequence[Message], call: Any, characters: int = CHARACTERS
) -> dict[str, Any] | None:
    """The tool message that answers a call of the tool; None for a call of another one.

    What the model asks for and there is not, it is told.

    Raises:
        InputError: when it is no tool call.
    """
    dump = getattr(call, "model_dump", None)
    data = dump() if callable(dump) else call
    if not isinstance(data, Mapping) or not isinstance(data.get("id"), str):
        raise InputError(
            f"is a tool call with its id, not {type(call).__name__}: one of message.tool_calls",
            place="call",
        )
    function = data.get("function")
    if not isinstance(function, Mapping) or function.get("name") != EXPAND:
        return None
    if type(characters) is not int or characters < 1:
        raise InputError(f"is 1 at least, not {_said(characters)}", place="characters")
    try:
        content = str(page_of(messages, *_asked(function.get("arguments")), characters))
    except InputError as error:
        content = f"[nothing to show: {error}]"
    return {"role": "tool", "tool_call_id": data["id"], "content": content}


def _asked(arguments: Any) -> tuple[int, int]:
    """Number and start, as models write them.

    Raises:
        InputError: when they are no numbers.
    """
    try:
        given = json.loads(arguments) if isinstance(arguments, str) else arguments
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, Mapping):
        raise InputError('are JSON, such as {"number": 12, "start": 0}', place="arguments")
    return _whole("number", given.get("number")), _whole("start", given.get("start") or 0)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,12}\s*", value):
        return int(value)
    if type(value) is not int:
        raise InputError(f"is a whole number, not {_said(value)}", place=name)
    return value


def _said(value: Any) -> str:
    """A number as it is; of anything else, which may be what a message says, only what it is."""
    if type(value) is int and abs(value) < 10**12:
        return f"{value}"
    return f"a {type(value).__name__}" if type(value) is not int else "of that size"
