"""Probes of prefixes: is anything cached, how is it matched, what is the block, are there slots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import ceil, gcd

from contextkit.analysis.probes.findings import Finding
from contextkit.analysis.probes.minimum_probe import twice
from contextkit.analysis.probes.trials import LARGE, Trials

_AGAIN = 6  # times that a prefix which must be cached is asked for
_GIVEN_UP = 3  # of these, where none was a hit
_LONGEST = 8_000  # tokens that are looked through for the ends of blocks


def hits(trials: Trials) -> Iterator[Finding]:
    """Whether anything is cached at all, and how often what is cached is missed."""
    trials.cold = trials.asker.calibrate()
    known = trials.rules
    size = ceil(1.5 * known.minimum) + 3 * known.block + 100 if known else 0
    sizes = [size] if size else []
    hits = 0
    for size in (*sizes, *(large for large in LARGE if large > size)):
        messages = [trials.user(trials.prefix(size))]
        first = trials.ask(messages)
        hits = 0
        for again in range(_AGAIN):
            trials.settle()
            seen = trials.ask(messages)
            if trials.hit(seen):
                hits += 1
                trials.was_read(seen)
            elif again + 1 == _GIVEN_UP and not hits:
                break
        if hits:
            trials.enough = first.tokens
            break
    trials.there = [_AGAIN - hits, hits]
    times = _AGAIN if hits else _GIVEN_UP
    said = f"a request of {first.tokens:,} tokens was sent again {times} times"
    if not hits:
        trials.findings.stopped = (
            "nothing was read from a cache"
            if trials.asker.reported
            else "the provider reports no tokens read from a cache"
        )
    yield Finding("hits", f"{hits} of {times}", said)
    if 0 < hits < _AGAIN:
        missed = f"{_AGAIN - hits} of {_AGAIN} missed"
        yield trials.finding("guaranteed", False, missed)  # noqa: FBT003 - a value like others


def matching(trials: Trials) -> Iterator[Finding]:
    """Whether a prefix is read that was never marked and never ended a request."""
    third = False

    def second() -> bool:
        nonlocal third
        prefix = trials.prefix()
        trials.ask([trials.user(prefix, trials.tail())])
        trials.settle()
        if trials.hit(trials.ask([trials.user(prefix, trials.tail())])):
            return True
        trials.settle()
        third = trials.hit(trials.ask([trials.user(prefix, trials.tail())])) or third
        return False

    if trials.ever(second):
        if trials.marked or trials.ever(partial(_inside, trials)):
            return  # blocks, or slots: that is found out once the block is known
        trials.match = "ends"
        said = "what two requests began with was read only where it ended a message or a part"
    elif third:
        trials.match = "units"
        said = "what two requests began with was read by the third"
    elif trials.marked or trials.ever(partial(_going_on, trials)):
        trials.match = "points"
        said = "what three requests began with was not read where no point was"
    else:
        trials.match = "whole"
        said = "read was only a request that was the same from its beginning to its end"
        yield trials.finding("match", None, said)
        trials.findings.stopped = f"{said}: the rest cannot be found out"
        return
    # To a conversation ends of messages are points that nobody has to place.
    yield trials.finding("match", "units" if trials.match == "units" else "points", said)
    if trials.match != "units" and not trials.marked:
        said = "the end of an earlier request was read without a marker"
        yield trials.finding("automatic", True, said)  # noqa: FBT003 - a value like others


def _inside(trials: Trials) -> bool:
    """Whether a prefix is read that ends inside a text."""
    prefix = trials.prefix()
    trials.ask([trials.user(f"{prefix} {trials.tail()}")])
    trials.settle()
    return trials.hit(trials.ask([trials.user(f"{prefix} {trials.tail()}")]))


def _going_on(trials: Trials) -> bool:
    """Whether a request is read by the one that goes on with it."""
    messages = [trials.user(trials.prefix())]
    trials.ask(messages)
    trials.settle()
    answer = {"role": "assistant", "content": "Yes."}
    return trials.hit(trials.ask([*messages, answer, trials.user(trials.tail())]))


def block_of(trials: Trials) -> Iterator[Finding]:
    """What the tokens read are multiples of."""
    known = trials.rules.block if trials.rules else 128
    span = max(60, 6 * known)
    start = max(trials.minimum, known)
    if trials.match == "blocks":
        # Blocks may be larger than was thought, but hardly larger than a whole prefix.
        for longer in sorted({span, *(max(span, min(n * span, _LONGEST)) for n in (10, 40))}):
            reads, rest = _cut(trials, start, longer)
            if len(reads) > 2:
                break
    else:
        for step in range(1, 9):
            if len(trials.reads) < 6:
                size = start + step * (1.37 * known + 20)
                twice(trials, trials.asker.words(trials.asker.words_for(size)))
        reads, rest = trials.reads, 0
    block = gcd(*reads)
    if len(reads) < 3 or (rest and block > 2 * rest + 32):
        yield trials.finding("block", None, f"read were only {sorted(reads)} tokens")
        return
    trials.block = block
    if trials.minimum <= block:
        trials.minimum = 0 if block > 1 else trials.minimum
    trials.enough = max(trials.minimum, block) + block + 100
    said = f"read were {len(reads)} different numbers of tokens, all multiples of {block:,}"
    yield trials.finding("block", block, said, 1 - 0.5 ** (len(reads) - 1))
    if trials.minimum == 0 and trials.findings["minimum"]:
        trials.doubts = []
        yield trials.finding("minimum", 0, "the shortest that was read is one block")


def _cut(trials: Trials, start: int, span: int) -> tuple[set[int], int]:
    """Tokens read of ever shorter beginnings of one prompt, and the most that was left."""
    words = trials.asker.words(trials.asker.words_for(start + span)).split()
    trials.ask([trials.user(" ".join(words))])
    least = trials.asker.words_for(start) + 1
    reads, rest = set(), 0
    steps = 9
    for step in range(1, steps):
        # Uneven steps: even ones could all be multiples of the same number by themselves.
        count = len(words) - round((len(words) - least) * (step - 0.37 * (step % 2)) / steps)
        kept = " ".join(words[:count])
        read = 0

        def shorter(kept: str = kept) -> bool:
            nonlocal read
            trials.settle()
            seen = trials.ask([trials.user(f"{kept} {trials.tail()}")])
            read = seen.read
            return trials.hit(seen)

        if trials.ever(shorter):
            reads.add(read)
            rest = max(rest, round(trials.asker.tokens_of(count)) - read)
    return reads, rest


def slots(trials: Trials) -> Iterator[Finding]:
    """Whether an unrelated request in between displaces what was there, as in a slot."""

    def stays() -> bool:
        messages = [trials.user(trials.prefix())]
        trials.ask(messages)
        trials.ask([trials.user(trials.prefix())])
        return trials.hit(trials.ask(messages))

    said = "two requests that begin alike share what they begin with"
    if trials.block == 1 and not trials.ever(stays):
        trials.match = "slots"
        said += ", and another one in between displaces it"
    yield trials.finding("match", trials.match, said)
