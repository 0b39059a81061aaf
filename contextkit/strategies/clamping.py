"""Clamping: content made to fit a number of tokens, with a marker that says what is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from contextkit.messages import Message, text_of
from contextkit.originals import media_kind, shown_page
from contextkit.strategies.json_text import Marker, ShortJSON, even_share

Form = Callable[[int], Any]
"""Content in about so many characters."""

Fits = Callable[[Any], bool]
"""Whether content takes no more tokens than it may."""


def clamped(
    content: Any, number: int, most: int, fits: Fits, messages: Sequence[Message] = ()
) -> Any:
    """The content of a message, as much of it as fits.

    JSON stays valid JSON, a page of another message (`History.expand`) becomes a shorter page, and
    other text loses its middle. Where the content is parts they stay parts, and media stay while
    there is room for them. Where nothing else fits, a marker stands alone.

    Args:
        content: text, or parts.
        number: of the message, for the marker.
        most: characters that can fit at most.
        fits: whether content does.
        messages: of the log, which pages are of.
    """
    forms = _forms(content, number, most, messages)
    for form in forms:
        best = _largest(form, most, fits)
        if best is not None:
            return best
    return marker_of(number)(len(text_of({"content": content})), "characters")


def marker_of(number: int) -> Marker:
    """Says in square brackets how much of a message is left out."""

    def said(count: int, what: str) -> str:
        named = what.removesuffix("s") if count == 1 else what
        return f"[{count:,} {named} of message {number} left out]"

    return said


def _forms(content: Any, number: int, most: int, messages: Sequence[Message]) -> Iterator[Form]:
    """Ways to shorten content, the best one first."""
    marker = marker_of(number)
    if isinstance(content, str):
        yield from _text_forms(content, most, marker, messages)
        return
    without = [_named(part, marker) for part in content]
    yield _parts_form(content, most, marker)
    if without != content:
        yield _parts_form(without, most, marker)
    yield _plain(text_of({"content": without}), marker)


def _text_forms(
    text: str, most: int, marker: Marker, messages: Sequence[Message]
) -> Iterator[Form]:
    page = shown_page(messages, text)
    if page is not None and page.text:
        yield lambda room: str(replace(page, text=page.text[: max(1, room)]))
    value = ShortJSON.of(text, most, marker)
    if value is not None:
        yield value.shortened
    yield _plain(text, marker)


def _plain(text: str, marker: Marker) -> Form:
    """Head and tail of a text."""

    def shortened(room: int) -> str:
        if room >= len(text):
            return text
        head, tail = text[: room - room // 3], text[len(text) - room // 3 :]
        return f"{head}\n{marker(len(text) - room, 'characters')}\n{tail}"

    return shortened


def _parts_form(content: Sequence[Any], most: int, marker: Marker) -> Form:
    """Parts whose texts share the room; the small ones are whole."""
    texts = {
        place: (part["text"], next(_text_forms(part["text"], most, marker, ())))
        for place, part in enumerate(content)
        if isinstance(part.get("text"), str)
    }
    sizes = [len(text) for text, _ in texts.values()]

    def shortened(room: int) -> list[Any]:
        share = even_share(sizes, room)
        return [
            {**part, "text": texts[place][1](share)}
            if place in texts and len(texts[place][0]) > share
            else part
            for place, part in enumerate(content)
        ]

    return shortened


def _named(part: Any, marker: Marker) -> Any:
    """A media part as text that says that it is left out; any other part as it is."""
    kind = media_kind(part)
    return {"type": "text", "text": marker(1, kind)} if kind else part


def _largest(form: Form, most: int, fits: Fits) -> Any:
    """The content in as many characters as fit, by bisection; None where not even none do."""
    low, high = 0, most
    best = form(0)
    if not fits(best):
        best = None
    while low < high:
        room = (low + high + 1) // 2
        content = form(room)
        if fits(content):
            low, best = room, content
        else:
            high = room - 1
    return best
