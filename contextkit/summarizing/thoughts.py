"""Thoughts: what a reasoning model wrote before its text, taken out."""

from __future__ import annotations

import re

_OPENED = re.compile(r"\s*<(think|thinking)>", re.IGNORECASE)
_CLOSED = re.compile(r"</(think|thinking)>", re.IGNORECASE)
_LONE_CLOSING = re.compile(r"^[ \t]*</(?:think|thinking)>[ \t]*$", re.IGNORECASE | re.MULTILINE)


def without_thoughts(text: str) -> str:
    """The text behind what a reasoning model thought, where the server did not take that out.

    Empty where the thought has no end.
    """
    while opened := _OPENED.match(text):
        closed = _CLOSED.search(text, opened.end())
        if closed is None:
            return ""
        text = text[closed.end() :]
    # Templates that open the thought themselves: only its end is in the reply.
    closings = list(_LONE_CLOSING.finditer(text))
    return text[closings[-1].end() :].strip() if closings else text.strip()
