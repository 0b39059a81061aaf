"""Gathering: from the mentions in all texts to facts, each once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from contextkit.summarizing.constraints import constraint_key, constraints_of
from contextkit.summarizing.mention import Fact, Mention
from contextkit.summarizing.mentions import mentions_of
from contextkit.summarizing.reading import Reading

_INSTRUCTING = frozenset({"user", "system", "developer"})
# Words, not the parts of identifiers, addresses and paths.
_SMALL = re.compile(r"(?<![\w@./-])[^\W\d_]{2,}(?![\w@/-]|\.\w)")


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
class Gathered:
    """The mentions of all messages, by kind and key."""

    seen: dict[tuple[str, str], _Seen] = field(default_factory=dict)
    small: set[str] = field(default_factory=set)
    words: list[tuple[int, Mention, bool]] = field(default_factory=list)

    def add(self, reading: Reading) -> None:
        """The mentions of one text."""
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
        """One mention, in the message of this number."""
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
        """What was gathered, in the order in which it was first said."""
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
        cuts = first
        while words and (words[0].islower() or (cuts and words[0].lower() in self.small)):
            cuts = cuts and words[0].islower()
            cut = text.find(words[1], len(words[0])) if len(words) > 1 else len(text)
            words, text, start, first = words[1:], text[cut:], start + cut, False
        if all(word.lower() in self.small for word in words):
            return None
        weak = mention.label or (first and len(words) == 1)
        return Mention(start, "name", text, " ".join(words), words, weak)

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
