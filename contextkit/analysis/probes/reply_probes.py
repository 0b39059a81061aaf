"""Probes around a prefix: the form it is sent in, the reply to it, when it can be read."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from contextkit.analysis.probes.findings import Finding
from contextkit.analysis.probes.trials import Trials

_REPLY = 120  # tokens of a reply that another request can overtake
_LONG = "Tell a long story with these words."


def string_form(trials: Trials) -> Iterator[Finding]:
    """Whether a string is the same prefix as one text part."""

    def same() -> bool:
        prefix, tail = trials.prefix(), trials.tail()
        for content in (prefix, [trials.part(prefix)]):
            seen = trials.ask([{"role": "system", "content": content}, trials.user(tail)])
            trials.settle()
        return trials.hit(seen)

    alike = trials.ever(same)
    said = "a system prompt sent as a string was {}read when sent as one text part"
    yield trials.finding("string form", alike, said.format("" if alike else "not "))


def replies(trials: Trials) -> Iterator[Finding]:
    """Whether the tokens of a reply are read when it is sent back."""
    block, wanted = trials.block, 64
    # The prompt ends a little before a block does, so that the reply ends that block.
    size = block * ceil((max(trials.minimum, block) + 60) / block) - min(30, block - 1)
    size = max(size, 60)
    short = True

    def read() -> bool:
        nonlocal short
        text = f"{trials.prefix(size - 10)} {_LONG}"
        first = trials.ask([trials.user(text)], reply=wanted)
        if first.output < 40:
            return False
        short = False
        trials.settle()
        messages = [trials.user(text), {"role": "assistant", "content": first.text}]
        return trials.ask([*messages, trials.user(trials.tail())]).read > first.tokens

    found = trials.ever(read)
    if short:
        said = f"the reply was too short for it: {wanted} tokens were asked for"
        yield trials.finding("replies", None, said)
        return
    said = "a reply sent back was {}read"
    yield trials.finding("replies", found, said.format("" if found else "not "))


def visible(trials: Trials) -> Iterator[Finding]:
    """Whether an entry can be read while the reply to the request that wrote it comes."""
    short = True

    def overtaken() -> bool:
        nonlocal short
        text = f"{trials.prefix()} {_LONG}"
        first, second = trials.asker.overtake([trials.user(text)], reply=_REPLY)
        short = short and first.output < 32
        return trials.hit(second)

    begins = trials.ever(overtaken)
    if short:
        yield trials.finding("visible", None, "the reply was too short to be overtaken")
        return
    said = "a request sent while the first reply was coming {} the prefix"
    value = "begins" if begins else "ends"
    yield trials.finding("visible", value, said.format("read" if begins else "did not read"))
