"""Checking: what came from a summarizer, held against the messages that it stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.errors import SummaryRejected
from contextkit.summarizing.facts import Fact, facts_in, facts_of
from contextkit.summarizing.frame import HEADING, MORE, UNSUPPORTED, doubted
from contextkit.summarizing.keeping import kept_block, rendered
from contextkit.summarizing.reading import read, source_of
from contextkit.summarizing.rejecting import check_answer
from contextkit.summarizing.request import CountText
from contextkit.summarizing.stated import Stated, not_in
from contextkit.summarizing.thoughts import without_thoughts
from contextkit.summarizing.wording import check_words

TEXT_SHARE = 0.5
"""Share of a summary's tokens that its text has in any case, whatever the block would take.

What agents and users repeat takes about half of a quarter of their tokens: with half for the block
nearly all that the text lost has room, with a quarter for it a tenth or more has none.
"""
_SAID = re.compile(r"[^\W_]")
# The signs of a stream, a template or a fence are no text.
_SIGNS = re.compile(
    r"(?:data: ?)?\[DONE\]|<\|\w+\|>|</?s>|^`{3,}\w*$|\"\w+\": ?(?:null|\"\s*\")", re.MULTILINE
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_BEGINNING = 20_000
_NAMED = 8
"""How many things that are not in the messages a summary names, at most."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A summary that may stand for its messages.

    Attributes:
        text: what was written, and the mechanical block behind it.
        added: facts that were lost, and stand in the mechanical block.
        lost: facts that are needed and have no room.
        unsupported: what it states and the messages do not have.
    """

    text: str
    added: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


def text_share(span: Sequence[Mapping[str, Any]], share: int, count: CountText) -> int:
    """The tokens that a summarizer is told its text may take, of those of the whole summary.

    What the block behind it would take, if nothing of what it must carry stood in the text, is
    left free for it, as far as that is not more than the rest of `TEXT_SHARE`.
    """
    block = rendered(fact for fact in facts_of(span) if fact.needed)
    left = share - count(f"\n\n{block}") if block else share
    return max(1, left, int(TEXT_SHARE * share))


def checked(
    text: Any,
    span: Sequence[Mapping[str, Any]],
    *,
    share: int,
    count: CountText,
    known: Sequence[Mapping[str, Any]] = (),
    instruction: str = "",
) -> Checked:
    """The text with what it lost, within a share of tokens.

    Args:
        text: what the summarizer gave.
        span: the messages that it stands for.
        share: the most tokens of the whole.
        count: tokens of a text.
        known: other messages that the summarizer was shown: what they have is not made up.
        instruction: what the summarizer was told: to say that again is no summary.

    Raises:
        SummaryRejected: when it cannot stand for them.
    """
    if not isinstance(text, str):
        raise SummaryRejected(f"the summarizer gave no text but {type(text).__name__}")
    given = text.strip()
    text = without_thoughts(given)
    if given and not text:
        raise SummaryRejected("the summarizer wrote its reasoning and no summary", again=True)
    if _SURROGATE.search(text):
        raise SummaryRejected("the summary holds a lone surrogate, no character", again=True)
    if not _SAID.search(_SIGNS.sub("", text)):
        raise SummaryRejected("the summarizer gave an empty text", again=True)
    readings = read(span)
    source = source_of(readings)
    tokens = count(text)
    if tokens > share:
        # What else is wrong with it says more than its length; how it begins is enough for that.
        check_answer(text[:_BEGINNING], source, shared=0)
        raise SummaryRejected(
            f"the summary takes {tokens:,} tokens, and its share is {share:,}",
            tokens=tokens,
            allowed=share,
            again=True,
        )
    doubts = doubted([*span, *known])
    facts = [fact for fact in facts_in(readings) if fact.text not in doubts]
    stated = facts_of([{"role": "assistant", "content": text}])
    own = {(fact.kind, fact.key) for fact in facts}
    new = [fact for fact in stated if (fact.kind, fact.key) not in own]
    shared = len(stated) - len(new)
    check_answer(text, source, shared=shared)
    # A number may be written in another way; short ones occur in any messages.
    telling = [fact for fact in new if fact.kind in ("number", "date") and len(fact.text) > 3]
    shared += len(telling) - len(not_in(telling, facts, source))
    check_words(text, source, instruction, shared=shared)
    told_before = [fact.text for fact in stated if fact.text in doubts]
    unsupported = [*told_before, *_unsupported(text, new, facts, source, known)]
    unsupported = _longest(dict.fromkeys(unsupported))
    written = _plain(text)
    head = _with_doubts(written, unsupported, share, count)
    said = Stated(text)
    lost = [fact for fact in facts if fact.needed and not said.has(fact)]
    added = kept_block(lost, text, share - count(head), count) if lost else []
    whole = _joined(head, added)
    while count(whole) > share and added:
        # Tokens of pieces add up to those of the whole but for a few.
        added = added[: -max(1, len(added) // 16)]
        whole = _joined(head, added)
    if count(whole) > share:
        whole, head = (head, head) if count(head) <= share else (written, written)
    if count(whole) > share:
        whole = text
    said = Stated(whole)
    return Checked(
        whole,
        tuple(fact.text for fact in added),
        tuple(fact.text for fact in lost if not said.has(fact)),
        tuple(unsupported),
    )


def _joined(head: str, added: Sequence[Fact]) -> str:
    return f"{head}\n\n{rendered(added)}" if added else head


def _plain(text: str) -> str:
    """The text, none of whose lines looks like one of ours: a model copies what it has seen."""
    ours = (HEADING, UNSUPPORTED)
    if not any(line in text for line in ours):
        return text
    return "\n".join(
        f"> {line}" if line.lstrip().startswith(ours) else line for line in text.split("\n")
    )


def _with_doubts(text: str, unsupported: Sequence[str], share: int, count: CountText) -> str:
    for number in range(min(len(unsupported), _NAMED), 0, -1):
        more = MORE if number < len(unsupported) else ""
        told = f"{text}\n\n{UNSUPPORTED} {', '.join(unsupported[:number])}{more}"
        if count(told) <= share:
            return told
    return text


def _longest(texts: Iterable[str]) -> list[str]:
    """Those that are no part of another one."""
    held = list(texts)
    return [text for text in held if not any(text != other and text in other for other in held)]


def _unsupported(
    text: str,
    new: Sequence[Fact],
    facts: Sequence[Fact],
    source: str,
    known: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What a text states that neither the messages nor others that it was made from state."""
    headings = {line.strip(" #*_-•:>") for line in text.split("\n")}
    new = [fact for fact in new if fact.kind != "name" or fact.text not in headings]
    doubtful = not_in(new, facts, source) if new else []
    if doubtful and known:
        readings = read(known)
        doubtful = not_in(doubtful, facts_in(readings), source_of(readings))
    return [fact.text for fact in doubtful]
