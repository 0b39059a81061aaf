"""The two ways of choosing what the demo sends: with contextkit, and with a sliding window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import Any, Protocol

from contextkit.builder import ContextBuilder
from contextkit.errors import BudgetExceeded
from contextkit.history import History
from contextkit.providers.chat_completions import Answer
from contextkit.tokens import RequestCounter

Message = dict[str, Any]


def script() -> tuple[str, list[str]]:
    """The system prompt and the user messages of the demo."""
    text = files(__package__).joinpath("demo_script.txt").read_text(encoding="utf-8")
    system, *messages = (" ".join(block.split()) for block in text.strip().split("\n\n"))
    return system, messages


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request before it is sent.

    Attributes:
        messages: the array.
        tokens: predicted tokens of the whole request.
        first_sent: tokens of the messages that no request carried before.
        edits: how many messages each kind of edit took, made for this request.
    """

    messages: list[Message]
    tokens: int
    first_sent: int
    edits: dict[str, int]


class Way(Protocol):
    """A way of choosing what is sent, and the counter that it counts with."""

    @property
    def counter(self) -> RequestCounter:
        """What predicts the tokens of its requests."""
        ...

    def prepare(self, text: str) -> Prepared:
        """Append a user message and choose the messages of the request."""

    def keep(self, answer: Answer) -> None:
        """Append the reply."""


class WithContextKit:
    """A kept history and a builder."""

    def __init__(self, builder: ContextBuilder, system: str) -> None:
        self.builder = builder
        self.counter = builder.counter
        self.history = History(system=system)
        self._carried = 0  # messages that were there at the last request

    def prepare(self, text: str) -> Prepared:
        """Append a user message and build the request."""
        self.history.append(text)
        context = self.builder.build(self.history)
        entries = context.view.entries
        first_sent = sum(entry.tokens for entry in entries if entry.number >= self._carried)
        self._carried = len(self.history)
        edits: Counter[str] = Counter()
        for edit in context.edits:
            edits[edit.kind] += len(edit.covers)
        return Prepared(context.messages, context.tokens, first_sent, dict(edits))

    def keep(self, answer: Answer) -> None:
        """Append the reply and its usage."""
        number = self.history.append(answer.message)
        if answer.usage is not None:
            self.history.report(number, answer.usage)


class SlidingWindow:
    """What everybody does: keep the system prompt, drop the oldest turns until the rest fits.

    Counted by the same counter and held to the same limit as the builder.
    """

    def __init__(self, counter: RequestCounter, system: str, limit: int) -> None:
        self.counter = counter
        self.limit = limit
        self.system: Message = {"role": "system", "content": system}
        self.messages: list[Message] = []
        self.sizes: list[int] = []
        self._carried = 0
        self._start = 0

    def prepare(self, text: str) -> Prepared:
        """Append a user message and cut the whole list anew."""
        self._append({"role": "user", "content": text})
        around = self.counter.fixed() + self.counter.message(self.system)
        start = window_start(self.messages, self.sizes, self.limit - around)
        gone, self._start = start - self._start, start
        first_sent = sum(self.sizes[max(start, self._carried) :])
        if not self._carried:
            first_sent += self.counter.message(self.system)
        self._carried = len(self.messages)
        return Prepared(
            [self.system, *self.messages[start:]],
            around + sum(self.sizes[start:]),
            first_sent,
            {"drop": gone} if gone else {},
        )

    def keep(self, answer: Answer) -> None:
        """Append the reply."""
        self._append(answer.message)

    def _append(self, message: Message) -> None:
        self.messages.append(message)
        self.sizes.append(self.counter.message(message))


def window_start(messages: Sequence[Mapping[str, Any]], sizes: Sequence[int], room: int) -> int:
    """The first of the newest whole turns that together fit: the number of its user message.

    Raises:
        BudgetExceeded: when not even the newest turn does.
    """
    kept = reversed(list(accumulate(reversed(sizes))))  # tokens from each message to the end
    for number, (message, tokens) in enumerate(zip(messages, kept, strict=True)):
        if message["role"] == "user" and tokens <= room:
            return number
    raise BudgetExceeded(room, {"newest turn": sizes[-1]})
