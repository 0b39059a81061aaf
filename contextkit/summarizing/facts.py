"""Facts: what a summary must carry, as it stands in the messages: identifiers, numbers, rules."""

# ruff: noqa: RUF001  (other scripts, and the quotes and signs that texts have)

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from contextkit.summarizing import calendar
from contextkit.summarizing.constraints import constraint_key, constraints_of
from contextkit.summarizing.mentions import FactKind, Mention, mentions_of, stands_alone
from contextkit.summarizing.reading import Reading, read

_INSTRUCTING = frozenset({"user", "system", "developer"})
_SMALL = re.compile(r"[^\W\d_]{2,}")
_PLAIN_WORD = re.compile(r"\w+")
_WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a text states, word for word.

    Attributes:
        kind: what sort of fact.
        text: as it stands where it was first said; of a date or an amount in its fullest form,
            with the year or the unit where some mention has it.
        key: what two mentions of it have in common.
        mentions: how often it is said.
        by_user: whether a user message says it.
        messages: how many messages say it.
        last: the last of them, counted from 0.
    """

    kind: FactKind
    text: str
    key: str
    mentions: int = 1
    by_user: bool = False
    messages: int = 1
    last: int = 0

    @property
    def needed(self) -> bool:
        """Whether a summary must carry it: said twice, or said by the user."""
        return self.mentions > 1 or self.by_user


def facts_of(messages: Sequence[Mapping[str, Any]]) -> list[Fact]:
    """The facts of some messages, in the order in which they are first said.

    They come from the text of the messages, and from the arguments and results of tool calls: of
    JSON from its values. Identifiers (also e-mail addresses, URLs, versions, codes in capitals),
    file paths, dates and times, numbers with their unit, names (words with capitals inside a
    sentence, what is quoted in scripts without them), and sentences that instruct. No facts are
    single digits without a unit and the numbers of lists and lines.

    Pure, and linear in the length of the messages.
    """
    return facts_in(read(messages))


def facts_in(readings: Iterable[Reading]) -> list[Fact]:
    """The facts of texts that were read: see `facts_of`."""
    gathered = _Gathered()
    for reading in readings:
        gathered.add(reading)
    return gathered.facts()


def lost(facts: Iterable[Fact], text: str) -> list[Fact]:
    """Those facts that a text does not state.

    A fact is stated by any common way to write it: other case (names excepted), white space or
    punctuation around it, separators of thousands, forms of a date; and by something fuller: a
    date with its year, a file with its folder. 12 is not stated by 1234, nor ORD-1 by ORD-12.
    """
    stated = Stated(text)
    return [fact for fact in facts if not stated.has(fact)]


def not_in(stated: Iterable[Fact], facts: Iterable[Fact], source: str) -> list[Fact]:
    """Those of some stated facts that a source has in no form: neither as a fact nor as words.

    In doubt it has them: a date with another date's day and month, a number with another unit, a
    name all of whose words occur.
    """
    said: set[str] = set()
    for fact in facts:
        if fact.kind == "date":
            said.update(calendar.also_said(fact.key))
        elif fact.kind == "number":
            said.add(fact.key.partition(" ")[0])
        elif fact.kind == "path":
            said.update(_ends(fact.key))
    folded = source.casefold()
    words = set(_PLAIN_WORD.findall(folded))

    def has(fact: Fact) -> bool:
        if fact.kind == "date":
            forms = [form for key in fact.key.split("|") for form in (key, f"-{key[4:]}")]
            return any(form in said for form in forms) or _occurs(fact.text.casefold(), folded)
        if fact.kind == "number":
            value = fact.key.partition(" ")[0]
            return value in said or value in words or _occurs(value, folded)
        if fact.kind == "name":
            return all(word in words for word in _PLAIN_WORD.findall(fact.text.casefold()))
        return fact.key in said or _occurs(fact.key.lstrip("#№ "), folded)

    return [fact for fact in stated if fact.kind != "constraint" and not has(fact)]


def _occurs(piece: str, text: str) -> bool:
    """Whether a piece stands in a text with no letter or digit of its script beside it."""
    start = text.find(piece) if piece else -1
    while start >= 0:
        if stands_alone(text, start, start + len(piece), ""):
            return True
        start = text.find(piece, start + 1)
    return False


class Stated:
    """What a text states, to be asked for facts."""

    def __init__(self, text: str) -> None:
        self._keys: set[str] = set()
        self._dates: set[str] = set()
        self._numbers: dict[str, set[str]] = {}
        for mention in mentions_of(text):
            if mention.kind == "date":
                self._dates.update(calendar.also_said(mention.key))
            elif mention.kind == "number":
                value, _, unit = mention.key.partition(" ")
                self._numbers.setdefault(value, set()).add(unit)
                for other in _other_readings(mention.text):
                    self._numbers.setdefault(other, set()).add(unit)
            elif mention.kind == "path":
                self._keys.update(_ends(mention.key))
            else:
                self._keys.add(mention.key)
        words = _WORD.findall(text)
        self._runs = set(words)
        for length in range(2, 7):
            self._runs.update(map(" ".join, zip(*(words[i:] for i in range(length)), strict=False)))
        self._folded = {word.casefold() for word in words}
        self._flat = f" {constraint_key(text)} "

    def has(self, fact: Fact) -> bool:
        """Whether the text states a fact."""
        if fact.kind == "constraint":
            return f" {fact.key} " in self._flat
        if fact.kind == "date":
            return any(reading in self._dates for reading in fact.key.split("|"))
        if fact.kind == "number":
            value, _, unit = fact.key.partition(" ")
            units = self._numbers.get(value, ())
            return bool(units) and (not unit or unit in units or "" in units)
        if fact.kind == "name":
            return fact.key in self._runs or fact.key in self._keys
        if fact.key in self._keys or fact.key in self._folded:
            return True
        bare = fact.key.lstrip("#№ ")
        return bare != fact.key and (bare in self._numbers or bare in self._folded)


@dataclass(slots=True)
class _Seen:
    """One fact in the making."""

    first: Mention
    place: tuple[int, int]
    mentions: int = 0
    messages: int = 0
    last: int = -1
    by_user: bool = False
    firm: bool = False

    def join(self, other: _Seen) -> None:
        """Take the mentions of another way to say the same."""
        self.mentions += other.mentions
        self.messages = max(self.messages, other.messages)
        self.last = max(self.last, other.last)
        self.by_user |= other.by_user
        self.place = min(self.place, other.place)


@dataclass(slots=True)
class _Gathered:
    """The mentions of all messages, by kind and key."""

    seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)
    small: set[str] = field(default_factory=set)
    words: list[tuple[int, Mention, bool]] = field(default_factory=list)

    def add(self, reading: Reading) -> None:
        number, text, values = reading.number, reading.text, reading.values
        by_user = reading.role == "user"
        self.small.update(word for word in set(_SMALL.findall(text)) if word.islower())
        for mention in mentions_of(text):
            if not mention.words:
                self.mention(number, mention, by_user=by_user)
                continue
            # Whether it is a name shows when all words are known; a value of JSON is no sentence.
            alone = mention.first and values is not None and mention.text in values
            self.words.append(
                (number, mention._replace(first=False) if alone else mention, by_user)
            )
        if reading.role in _INSTRUCTING and values is None:
            for start, sentence in constraints_of(text):
                said = Mention(start, "constraint", sentence, constraint_key(sentence))
                self.mention(number, said, by_user=by_user)

    def mention(self, number: int, mention: Mention, *, by_user: bool) -> None:
        place = (mention.kind, mention.key)
        seen = self.seen.get(place)
        if seen is None:
            seen = self.seen[place] = _Seen(mention, (number, mention.start))
        seen.mentions += 1
        seen.messages += seen.last != number
        seen.last = number
        seen.by_user |= by_user
        seen.firm |= not mention.first
        seen.place = min(seen.place, (number, mention.start))

    def facts(self) -> list[Fact]:
        for number, mention, by_user in self.words:
            named = self._named(mention)
            if named is not None:
                self.mention(number, named, by_user=by_user)
        self.words.clear()
        self._join_fuller()
        order = sorted(self.seen.values(), key=lambda seen: seen.place)
        return [
            Fact(
                seen.first.kind,
                seen.first.text,
                seen.first.key,
                seen.mentions,
                seen.by_user,
                seen.messages,
                seen.last,
            )
            for seen in order
            if seen.firm
        ]

    def _named(self, mention: Mention) -> Mention | None:
        """The name within words with capitals; none where all are words that are written small."""
        words = mention.words
        if mention.kind == "identifier":
            return None if words[0].lower() in self.small else mention
        text, start, first = mention.text, mention.start, mention.first
        while words and first and words[0].lower() in self.small:
            cut = text.find(words[1]) if len(words) > 1 else len(text)
            words, text, start, first = words[1:], text[cut:], start + cut, False
        if all(word.lower() in self.small for word in words):
            return None
        return Mention(start, "name", text, " ".join(words), words, first and len(words) == 1)

    def _join_fuller(self) -> None:
        """A bare number joins the one that has its unit; a date without a year the one with it."""
        fuller: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for kind, key in self.seen:
            if kind == "number" and " " in key:
                fuller.setdefault((kind, key.partition(" ")[0]), []).append((kind, key))
            elif kind == "date" and len(key) == 10 and key[:2] != "--" and key[4] == "-":
                fuller.setdefault((kind, f"-{key[4:]}"), []).append((kind, key))
        for bare, full in fuller.items():
            if len(full) == 1 and bare in self.seen:
                self.seen[full[0]].join(self.seen.pop(bare))


def _ends(path: str) -> Iterator[str]:
    """A path, and what of it stands behind each of its slashes."""
    yield path
    if "@" in path or "://" in path:
        return
    for position, char in enumerate(path):
        if char in "/\\" and position + 1 < len(path):
            yield path[position + 1 :]


def _other_readings(text: str) -> list[str]:
    """`1.234` is 1234 in some languages, and `1,234` is 1.234."""
    return [re.sub(r"[^0-9]", "", text)] if re.search(r"[0-9][.,][0-9]{3}(?![0-9])", text) else []
