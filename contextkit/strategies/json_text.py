"""JSON text made shorter: still valid JSON, and what is kept of it is kept byte by byte.

Long arrays and objects lose their middle, long strings theirs, what is nested deepest goes whole;
in its place stands a string that says how much is gone. Nothing is written anew from parsed values:
numbers, the order of keys, keys that stand twice, escapes and white space are those of the text.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

Marker = Callable[[int, str], str]
"""What is said in place of so many `characters`, `items` or `keys`: plain ASCII, no quotes."""

_DEEPEST = 24
"""Levels; what stands below goes whole."""
_NESTED = 100
"""Levels of what is read as JSON at all. More need a deep stack: what is left of it would depend on
the caller's, and on the version of Python."""
_NO_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[^\[\]{}"]+', re.DOTALL)
_ITEM = 400
"""Characters that an item of an array is worth at least, before items of its middle go instead."""
_GAP = 80
"""Characters of white space between two items that are kept as they are."""
_UNIT = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|.", re.DOTALL)
"""What a string cannot be cut inside of: an escape, or two that stand for one character."""
_LONGEST_UNIT = 12

_space = re.compile(r"[ \t\n\r]*").match


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# Numbers as text: that is faster, and their length is not limited.
_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_no_constant)


class _Item(NamedTuple):
    """One item of an array or an object: where its separator, it, its value begin; where it ends.

    In an object it begins with its key.
    """

    before: int
    start: int
    value: int
    end: int


@dataclass(slots=True)
class _Items:
    """What an array or object has: its first items, its last ones, and how many it has in all."""

    first: list[_Item]
    last: deque[_Item]
    count: int


@dataclass(slots=True)
class ShortJSON:
    """One JSON value in a text, at any length asked for.

    Attributes:
        text: holds the value.
        start, end: where it stands.
        most: characters that will ever be asked for.
        marker: says what is left out.
    """

    text: str
    start: int
    end: int
    most: int
    marker: Marker
    _seen: dict[int, _Items] = field(default_factory=dict)

    @classmethod
    def of(cls, text: str, most: int, marker: Marker) -> ShortJSON | None:
        """The value that a text is; None where it is no JSON, or one number or word."""
        start = _end_of_space(text, 0)
        if text[start : start + 1] not in ("{", "[", '"') or _is_deep(text):
            return None
        try:
            _, end = _decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            return None
        if _end_of_space(text, end) != len(text):
            return None
        return cls(text, start, end, most, marker)

    def shortened(self, room: int) -> str:
        """The value in about so many characters; where that is impossible, in as few as can be."""
        return self._value(self.start, self.end, room, 0)

    def _value(self, start: int, end: int, room: int, depth: int) -> str:
        if end - start <= room:
            return self.text[start:end]
        opening = self.text[start]
        if opening == '"':
            return self._string(start, end, room)
        if opening in "[{" and depth < _DEEPEST and self._items(start).count:
            return self._container(start, end, room, depth)
        return f'"{self.marker(end - start, "characters")}"'

    def _string(self, start: int, end: int, room: int) -> str:
        first, last = start + 1, end - 1
        kept = room - len(self.marker(last - first, "characters")) - 4
        if kept < 3:
            return f'"{self.marker(last - first, "characters")}"'
        head = self._boundary(first, first + kept - kept // 3)
        tail = self._boundary(first, last - kept // 3) if kept // 3 else last
        if tail <= head:
            return self.text[start:end]
        said = self.marker(tail - head, "characters")
        return f'"{self.text[first:head]} {said} {self.text[tail:last]}"'

    def _boundary(self, first: int, place: int) -> int:
        """The first place from `place` on at which the string that begins at `first` can be cut."""
        at = max(first, place - 2 * _LONGEST_UNIT)
        slashes = at
        while slashes > first and self.text[slashes - 1] == "\\":
            slashes -= 1
        at -= (at - slashes) % 2  # behind an odd number of backslashes: inside of an escape
        while at < place:
            unit = _UNIT.match(self.text, at)
            at = unit.end() if unit else place
        return at

    def _container(self, start: int, end: int, room: int, depth: int) -> str:
        items = self._items(start)
        # What is shortened takes a marker at least.
        least = len(self.marker(end - start, "characters")) + 2
        if self.text[start] == "[":
            least = max(least, min(_ITEM, room // 3))
        if items.count == len(items.first):
            around = 2 + sum(self._gap(item) + item.value - item.start for item in items.first)
            sizes = [item.end - item.value for item in items.first]
            share = even_share(sizes, room - around)
            if share >= least:
                shown = [self._item(item, share, depth) for item in items.first]
                return "".join([self.text[start], *shown, self._closing(items, end)])
        closing = self._closing(items, end)
        heads, gone, tails = self._ends(items, room - len(closing), least, depth)
        return "".join([self.text[start], *heads, gone, *tails, closing])

    def _ends(
        self, items: _Items, room: int, least: int, depth: int
    ) -> tuple[list[str], str, list[str]]:
        """The first items and the last ones that fit, and what stands in place of the others."""
        array = items.first[0].value == items.first[0].start
        kind = "items" if array else "keys"
        left = room - len(self.marker(items.count, kind)) - 12
        heads = self._fitting(items.first, left - left // 3, least, depth)
        rest = max(0, min(len(items.last), items.count - len(heads) - 1))
        last = [items.last[-1 - place] for place in range(rest)]
        tails = self._fitting(last, left - sum(map(len, heads)), least, depth)
        missing = items.count - len(heads) - len(tails)
        if not missing:  # each is so much shorter than it might be that all are there
            return heads, "", tails
        before = self._separator(items.first[min(len(heads), len(items.first) - 1)])
        said = self.marker(missing, kind)
        gone = f'{before}"{said}"' if array else f'{before}"{said}": null'
        return heads, gone, tails[::-1]

    def _fitting(self, items: Sequence[_Item], room: int, least: int, depth: int) -> list[str]:
        """As many items as fit, in their order; none that could hardly say anything."""
        shown: list[str] = []
        for item in items:
            size = item.end - item.value
            text = self._item(item, size if size <= 2 * least else least, depth)
            if len(text) > room:
                break
            room -= len(text)
            shown.append(text)
        return shown

    def _item(self, item: _Item, room: int, depth: int) -> str:
        key = self.text[item.start : item.value]
        return self._separator(item) + key + self._value(item.value, item.end, room, depth + 1)

    def _gap(self, item: _Item) -> int:
        return min(item.start - item.before, _GAP)

    def _separator(self, item: _Item) -> str:
        """What stands before an item: a comma, unless it is the first one, and white space."""
        if item.start - item.before <= _GAP:
            return self.text[item.before : item.start]
        return "," if self.text[_end_of_space(self.text, item.before)] == "," else ""

    def _closing(self, items: _Items, end: int) -> str:
        behind = (items.last or items.first)[-1].end
        return self.text[behind:end] if end - behind <= _GAP else self.text[end - 1]

    def _items(self, start: int) -> _Items:
        """The items of the array or object that begins at `start`, found once."""
        if start not in self._seen:
            self._seen[start] = self._found(start)
        return self._seen[start]

    def _found(self, start: int) -> _Items:
        text, scan = self.text, _decoder.raw_decode
        array = text[start] == "["
        most = self.most // 2 + 1  # each takes a character and a comma
        items = _Items([], deque(maxlen=most), 0)
        before, at = start + 1, _end_of_space(text, start + 1)
        while text[at] not in "]}":
            if text[at] == ",":
                at = _end_of_space(text, at + 1)
            value = at
            if not array:
                _, behind = scan(text, at)
                value = _end_of_space(text, _end_of_space(text, behind) + 1)
            _, end = scan(text, value)
            item = _Item(before, at, value, end)
            items.count += 1
            items.last.append(item)
            if items.count <= most:
                items.first.append(item)
            before, at = end, _end_of_space(text, end)
        return items


def even_share(sizes: Sequence[int], room: int) -> int:
    """The most that each may have so that all fit, where the small ones take only what they need.

    0 where there is no room; the largest size where there is room for all.
    """
    if not sizes or room <= 0:
        return 0
    ordered = sorted(sizes)
    sums = [0, *accumulate(ordered)]
    count = len(ordered)
    if sums[-1] <= room:
        return ordered[-1]
    # With a share of the size of number n, all below it are whole.
    whole = bisect_right(range(count), room, key=lambda n: sums[n] + ordered[n] * (count - n))
    return (room - sums[whole]) // (count - whole)


def _is_deep(text: str) -> bool:
    """Whether brackets are nested in more levels than are read."""
    brackets = _NO_BRACKET.sub("", text)
    for _ in range(_NESTED):
        if not brackets:
            return False
        brackets = brackets.replace("[]", "").replace("{}", "")
    return bool(brackets)


def _end_of_space(text: str, start: int) -> int:
    found = _space(text, start)
    return found.end() if found else start
