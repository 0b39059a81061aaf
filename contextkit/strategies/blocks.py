"""Delimited blocks: how text from elsewhere stands in a message, as data that cannot break out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from contextkit.errors import InputError
from contextkit.history import History

_NAME = re.compile(r"[A-Za-z][\w .:-]{0,79}")

_CONTROL = re.compile(
    r"<(?=[|\uff5c][^\s<>|\uff5c]{1,80}[|\uff5c]>|(?:start|end)_of_(?:turn|image)>|/?s>|unk>|[be]os>|[se]op>"
    r"|</?SYS>>|/?tool_(?:call|response)s?>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|ARGS"
    r"|CALL_ID|THINK|IMG(?:_BREAK|_END)?|gMASK|sMASK)\])"
)
"""What begins a control token: `<|…|>` of ChatML, Llama 3, Phi and GLM, with DeepSeek's full-width
bars as well; `<s>`, `[INST]`, `<<SYS>>` and the brackets of Llama 2 and Mistral; turns of Gemma;
`[gMASK]`, `<sop>` of GLM; tool calls of Qwen and Hermes. Servers of one's own may obey them inside
content, where `<|im_start|>system` would begin a message. What is spelled otherwise, such as
`<|im_start |>`, is no token. The space behind the first character leaves all of it readable: what
was struck through in HTML is `< s>`."""


_BLOCK = re.compile(
    r'<data name="[^"\n]+" mark="[0-9a-f]{8}">\n(.*)\n</data [0-9a-f]{8}>', re.DOTALL
)


def check_name(name: Any, place: str) -> None:
    """That a name can stand in a delimiter.

    Raises:
        InputError: when it cannot.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError(f"is a word or a few words, not {name!r:.60}", place=place)


def block(history: History, name: str, text: str) -> str:
    """Text between two delimiters that are the same bytes for a whole conversation.

    The delimiter carries a mark derived from the conversation; where the text holds the mark, it
    is broken up, so that no text can end its own block or begin another. So are control tokens of
    chat templates: with them it could end the message.

    Raises:
        InputError: when the name cannot stand in a delimiter.
    """
    return _delimited(name, harmless(text, delimiter_mark(history)), delimiter_mark(history))


def blocks(history: History, name: str, parts: Iterable[tuple[str, str]]) -> str:
    """Several labelled texts in one block; each label carries the mark, which no text can."""
    mark = delimiter_mark(history)
    lines = [f"[{mark} {harmless(label, mark)}]\n{harmless(text, mark)}" for label, text in parts]
    return _delimited(name, "\n".join(lines), mark)


_LABEL = 80
_FIT = frozenset("_.:;@#/+()'-")


def label_of(text: str) -> str:
    """A text as it may stand in a label: one short line, with nothing that ends label or field.

    Letters and digits of all scripts, the marks that belong to them, and a few signs; no comma.
    """
    held = "".join(
        c if c.isalnum() or c in _FIT or unicodedata.category(c)[0] == "M" else " "
        for c in text[: 2 * _LABEL]
    )
    return " ".join(held.split())[:_LABEL].rstrip()


def text_in(content: Any) -> Any:
    """The text between the delimiters of a block; content that is none, as it is."""
    found = _BLOCK.fullmatch(content) if isinstance(content, str) else None
    return found[1] if found else content


def delimiter_mark(history: History) -> str:
    """The mark of a conversation's delimiters: eight hex digits that nobody can guess."""
    return blake2b(history.id.encode(), digest_size=4, person=b"ck delimiter").hexdigest()


def _delimited(name: str, text: str, mark: str) -> str:
    check_name(name, "name")
    return f'<data name="{name}" mark="{mark}">\n{text}\n</data {mark}>'


def harmless(text: str, mark: str) -> str:
    """A text with the mark, and control tokens of chat templates, broken up."""
    # The second space keeps the halves of two broken marks from forming a third.
    text = text.replace(mark, f"{mark[:4]} {mark[4:]} ")
    return _CONTROL.sub(r"\g<0> ", text)
