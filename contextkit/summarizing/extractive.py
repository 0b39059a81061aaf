"""ExtractiveSummarizer: the sentences that say most, word for word; needs no model.

A word is worth the more the fewer sentences have it (inverse document frequency, Spärck Jones
1972), and half as much each time it was said already. Sentences are taken one after the other by
the worth that they add per token: greedy coverage within a budget (Lin & Bilmes, NAACL 2010). What
one adds only falls, so that it is looked at again only when it comes up (Minoux 1978).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import log
from typing import ClassVar

from contextkit.summarizing.request import CountText, SummaryRequest
from contextkit.summarizing.sentences import words
from contextkit.summarizing.utterances import Utterance, utterances

AGAIN = 0.5
"""What a word is still worth for each time that it was said."""

_FORGOTTEN = 12  # times, after which it is worth nothing: keeps the work bounded

NUMBER = 2.0
"""What a word with a digit counts: numbers, dates, identifiers cannot be guessed from the rest."""

ANSWER = 2.0
"""What a sentence counts behind a question: somebody wanted to know it."""

PARAGRAPH = 120
"""Tokens of one utterance, after which its other sentences count half: one long message does not
crowd out the steps behind it."""

_GAP = " … "
_JOINT = 2  # tokens between two sentences: a space, or the gap
_ALMOST = 0.95  # of the best is taken for the best: every further look at a sentence finds less
_BLOB = re.compile(r"[A-Za-z0-9+/=_-]{100,}")  # base64 and the like: worth nothing to a reader
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_ROUNDS = 4  # of filling what the estimate of the joints left over


@dataclass(frozen=True, slots=True)
class ExtractiveSummarizer:
    """Picks sentences of the messages, in their order, within the share of tokens.

    A line for each message, call or result: who says it, and those of its sentences that were
    picked, ` … ` between two that did not follow one another. A time that stands above a message
    is given once for all that follow. Deterministic; the text is empty where nothing fits the
    share. The tokens of every sentence are counted once.
    """

    asks_model: ClassVar[bool] = False

    def __call__(self, request: SummaryRequest) -> str:
        """The summary."""
        return _Summary(list(utterances(request.span)), request.count).within(request.share)


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str
    utterance: int
    place: int  # among the sentences of the utterance
    start: int
    end: int  # in the text of the utterance
    words: tuple[str, ...]
    tokens: int


class _Summary:
    """What was picked so far, and what the rest would add."""

    def __init__(self, said: Sequence[Utterance], count: CountText) -> None:
        self.said = said
        self.count = count
        self.sentences = list(_sentences(said, count))
        found = Counter(word for sentence in self.sentences for word in sentence.words)
        self.worth = {word: _worth(word, n, len(self.sentences)) for word, n in found.items()}
        labels = {text for one in said for text in (one.label, one.stamp)}
        self.frame = {text: count(f"{text}:") + 1 if text else 0 for text in labels}
        self.of: dict[int, list[int]] = {}
        for number, sentence in enumerate(self.sentences):
            self.of.setdefault(sentence.utterance, []).append(number)
        self.picked: dict[int, None] = {}  # in the order in which they were picked
        self.repeated: Counter[str] = Counter()  # how often each word was said
        self.held: Counter[int] = Counter()  # tokens of each utterance
        self.stamps: set[str] = set()

    def within(self, share: int) -> str:
        """The text, of no more tokens than that."""
        best = ""
        room = share
        for _ in range(_ROUNDS):
            if not self._fill(room):
                break
            text = self._text()
            room = share - self.count(text)
            if room < 0:
                return best or self._shortened(share)
            best = text
        return best

    def _fill(self, room: int) -> bool:
        """Pick while there is room; whether anything was."""
        before = len(self.picked)
        rest = [number for number in range(len(self.sentences)) if number not in self.picked]
        heap = [(-self._density(number), number) for number in rest]
        heapify(heap)
        while heap and room > 0:
            _, number = heappop(heap)
            density = 0.0 if number in self.picked else self._density(number)
            if not density:
                continue
            if heap and density < -heap[0][0] * _ALMOST:
                heappush(heap, (-density, number))
                continue
            tokens = self._tokens(number)
            utterance = self.sentences[number].utterance
            stamp = self.said[utterance].stamp
            if stamp not in self.stamps:
                tokens += self.frame[stamp]
            if tokens > room:
                continue
            room -= tokens
            opened = utterance not in self.held
            self._pick(number)
            if opened:  # its label is paid for: the other sentences have become cheaper
                for other in self.of[utterance]:
                    heappush(heap, (-self._density(other), other))
        return len(self.picked) > before

    def _pick(self, number: int) -> None:
        sentence = self.sentences[number]
        self.picked[number] = None
        self.repeated.update(sentence.words)
        self.held[sentence.utterance] += sentence.tokens
        self.stamps.add(self.said[sentence.utterance].stamp)

    def _density(self, number: int) -> float:
        """What a sentence would add, for each token that it takes."""
        sentence = self.sentences[number]
        gain = 0.0
        for word in sentence.words:
            times = self.repeated[word]
            if times < _FORGOTTEN:
                gain += self.worth[word] * AGAIN**times
        if self.said[sentence.utterance].answers:
            gain *= ANSWER
        crowded = 1 + self.held[sentence.utterance] / PARAGRAPH
        return gain / crowded / self._tokens(number)

    def _tokens(self, number: int) -> int:
        """Of a sentence, with its label where that does not stand yet."""
        sentence = self.sentences[number]
        if sentence.utterance in self.held:
            return sentence.tokens
        return sentence.tokens + self.frame[self.said[sentence.utterance].label]

    def _shortened(self, share: int) -> str:
        """The text without what was picked last, as far as it must be shorter."""
        order = list(self.picked)
        fewer = 1
        while order:
            del order[-fewer:]
            fewer *= 2
            self.picked = dict.fromkeys(order)
            text = self._text()
            if self.count(text) <= share:
                return text
        return ""

    def _text(self) -> str:
        lines: list[str] = []
        stamp = ""
        before = _Sentence("", -1, -1, 0, 0, (), 0)
        for number in sorted(self.picked):
            sentence = self.sentences[number]
            said = self.said[sentence.utterance]
            if said.stamp != stamp:
                stamp = said.stamp
                lines.append(stamp)
            if sentence.utterance == before.utterance:
                follows = sentence.place == before.place + 1
                space = " " if sentence.start > before.end else ""
                lines[-1] += (space if follows else _GAP) + sentence.text
            else:
                lines.append(f"{said.label}: {sentence.text}" if said.label else sentence.text)
            before = sentence
        return "\n".join(lines)


def _sentences(said: Sequence[Utterance], count: CountText) -> Iterator[_Sentence]:
    """The sentences that may be picked; of those that stand several times the last."""
    last = {text: number for number, one in enumerate(said) for text in one.sentences}
    for number, one in enumerate(said):
        # A bare number is an answer or an outcome; one of many is a shred of a table or a listing.
        shreds = sum(not _LETTER.search(text) for text in one.sentences)
        for place, (start, end) in enumerate(one.places):
            text = one.text[start:end]
            if last.get(text) != number or _BLOB.search(text):
                continue
            del last[text]
            if place and shreds > 2 and not _LETTER.search(text):
                continue
            if found := tuple(dict.fromkeys(words(text))):
                tokens = count(text) + _JOINT
                yield _Sentence(text, number, place, start, end, found, tokens)


def _worth(word: str, sentences_with_it: int, sentences: int) -> float:
    rarity = log((sentences + 1) / sentences_with_it)
    return rarity * NUMBER if _DIGIT.search(word) else rarity
