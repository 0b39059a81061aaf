"""What tests of retrieval share: blocks read back, conversations with something to find."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

import contextkit as ck
from contextkit.retrieval.passages import Passage
from contextkit.retrieval.sources import Change
from contextkit.scope import ScopeKey
from contextkit.strategies.blocks import delimiter_mark
from contextkit.strategies.retrieval import OWN
from tests.support import SCOPE, answer, builder, user

WORD = re.compile(r"\w+")


class Shown(NamedTuple):
    """One passage as it is shown."""

    label: str
    text: str


def content(context: ck.Context) -> str:
    """The newest user message, as it is sent."""
    text: str = context.messages[-1]["content"]
    return text


def shown(context: ck.Context, name: str = OWN) -> list[Shown]:
    """The passages of one block of the newest user message; none where there is no such block."""
    return read_block(content(context), delimiter_mark(context.view.history), name)


def read_block(text: str, mark: str, name: str = OWN) -> list[Shown]:
    """The passages of a block, read as a reader would who knows nothing but the mark."""
    found = re.search(
        rf'<data name="{name}" mark="{mark}">\n(.*?)\n</data {mark}>', text, re.DOTALL
    )
    if found is None:
        return []
    parts = re.split(rf"^\[{mark} ([^\n\]]*)\]\n", found[1], flags=re.MULTILINE)
    assert parts[0] == ""
    texts = [text.removesuffix("\n") for text in parts[2:-1:2]] + parts[-1:]
    return [Shown(*one) for one in zip(parts[1::2], texts, strict=True)]


def numbers(context: ck.Context, name: str = OWN) -> list[int]:
    """The numbers of the messages that are shown as passages."""
    found = (re.search(r"(?:message|part) (\d+)", one.label) for one in shown(context, name))
    return [int(number[1]) for number in found if number]


class Embedder:
    """Texts that share words are near; counts what it was asked for."""

    def __init__(self, name: str = "words") -> None:
        self.name = name
        self.texts: list[str] = []

    def __call__(self, texts: Sequence[str]) -> Any:
        self.texts += texts
        rows = np.full((len(texts), 64), 0.001)
        for row, text in zip(rows, texts, strict=True):
            for word in WORD.findall(text.lower()):
                row[sum(map(ord, word)) % 64] += 1
        return rows


FACTS = {
    "the code of the vault is 4711": "what was the code of the vault ?",
    "Ann's train arrives at platform nine": "at which platform does the train of Ann arrive?",
    "the gardener is called Theodora": "what is the gardener called?",
}
VAULT, TRAIN, GARDENER = FACTS.values()


def talk(facts: Iterable[str] = FACTS, filler: int = 30) -> list[dict[str, Any]]:
    """Facts, and then so much of other things that they are cut at a limit of 900."""
    said = [user(fact) for fact in facts]
    messages = [message for fact in said for message in (fact, answer("noted"))]
    for n in range(filler):
        messages += [user(f"filler{n} " * 8), answer(f"other{n} " * 8)]
    return messages


SHELF = ("tenant", "user", "")
"""Where documents of whoever asks in these tests stand."""


class Given:
    """A source of passages that are given; whose they are is said by a function."""

    def __init__(
        self,
        passages: Mapping[ScopeKey, Sequence[Passage]],
        name: str = "notes",
        owner: Callable[[ck.Scope], ScopeKey] = lambda scope: scope.key[:2],
    ) -> None:
        self.name = name
        self.passages = {key: list(found) for key, found in passages.items()}
        self._owner = owner

    def owner(self, scope: ck.Scope) -> ScopeKey:
        return self._owner(scope)

    def read(self, scope: ck.Scope, since: Any = None) -> Change:
        held = self.passages.get(self.owner(scope), [])
        known = 0 if since is None else since[0]
        return Change(known, held[known:], (len(held),))


WAYS = ["words", "vectors"]
both = pytest.mark.parametrize("way", WAYS)


def retrieve(way: str = "words", **more: Any) -> ck.Retrieve:
    index = None if way == "words" else ck.VectorIndex(Embedder())
    return ck.Retrieve(index, **{"share": 60, **more})


def made(way: str = "words", limit: int = 500, **more: Any) -> ck.ContextBuilder:
    return builder(limit, tail=[retrieve(way, **more)])


def asking(question: str = VAULT, **more: Any) -> ck.History:
    """A kept log whose facts are cut, and then a question."""
    return ck.History([*talk(), user(question)], **{"scope": SCOPE, **more})
