"""Probes of prefixes: is anything cached, how is it matched, what are the minimum and the block."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, gcd

from contextkit.analysis.findings import Finding
from contextkit.analysis.trials import LARGE, Trials

_AGAIN = 6  # times that a prefix which must be cached is asked for
_GIVEN_UP = 3  # of these, where none was a hit


def hits(trials: Trials) -> Iterator[Finding]:
    """Whether anything is cached at all, and how often what is cached is missed."""
    trials.cold = trials.asker.calibrate()
    known = trials.rules
    size = ceil(1.5 * known.minimum) + 3 * known.block + 200 if known else 0
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
                trials.reads.add(seen.read)
            elif again + 1 == _GIVEN_UP and not hits:
                break
        if hits:
            trials.enough = first.tokens
            break
    trials.there = [_AGAIN - hits, hits]
    said = f"a request of {first.tokens:,} tokens was sent again {_AGAIN} times"
    if not hits:
        trials.findings.stopped = (
            "nothing was read from a cache"
            if trials.asker.reported
            else "the provider reports no tokens read from a cache"
        )
    yield Finding("hits", f"{hits} of {_AGAIN}", said)
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
        return  # blocks, or slots: that is found out once the block is known
    if third:
        trials.match = "units"
        said = "what two requests began with was read by the third"
    else:
        trials.match = "points"
        said = "what three requests began with was not read where no point was"
    yield trials.finding("match", trials.match, said)


def minimum_of(trials: Trials) -> Iterator[Finding]:
    """The shortest prompt that is read when it is sent again, by halving."""
    low, high, read = 0, trials.enough, max(trials.reads)
    around = high - read if high - read < 16 else 0  # behind the prefix: template and service
    tokens, small = _twice(trials, 1)
    if small:
        said = f"the shortest prompt, {tokens} tokens, was read when it was sent again"
        trials.minimum = 0
        yield trials.finding("minimum", 0, said)
        return
    low = tokens
    guesses = [guess + around for guess in _guesses(trials)]
    tries = 0
    while high - low > 1 and tries < 20:
        tries += 1
        between = [guess for guess in guesses if low < guess < high]
        target = between[0] if between else (low + high) // 2
        guesses = [guess for guess in guesses if guess != target]
        tokens, found = _twice(trials, trials.asker.words_for(target))
        if found and tokens < high:
            high, read = tokens, found
        elif not found and tokens > low:
            low = tokens
    trials.minimum = read if high - read < 16 else high
    said = f"{high:,} tokens were read when sent again, {low:,} were not"
    yield trials.finding("minimum", trials.minimum, said)


def _guesses(trials: Trials) -> list[int]:
    """Lengths to begin with: those that sources state, each with the one below."""
    if trials.rules is None:
        return [1024, 1023]
    stated = [trials.rules.minimum, trials.rules.block]
    others = [one.value for one in trials.rules.conflicts if one.field == "minimum"]
    stated += [value for value in others if isinstance(value, int)]
    return [guess for value in stated if value > 1 for guess in (value, value - 1)]


def _twice(trials: Trials, words: int) -> tuple[int, int]:
    """The tokens of a fresh prompt, and those read when it is sent again; 0 for a miss."""
    messages = [trials.user(trials.asker.words(words))]
    tokens = trials.ask(messages).tokens
    read = 0

    def again() -> bool:
        nonlocal read
        trials.settle()
        seen = trials.ask(messages)
        read = seen.read if trials.hit(seen) else 0
        return bool(read)

    if trials.ever(again):
        trials.reads.add(read)
    return tokens, read


def block_of(trials: Trials) -> Iterator[Finding]:
    """What the tokens read are multiples of."""
    known = trials.rules.block if trials.rules else 128
    span = max(60, 6 * known)
    start = max(trials.minimum, known)
    if trials.match == "blocks":
        for larger in (1, 10, 40):  # blocks may be larger than was thought
            reads, rest = _cut(trials, start, larger * span)
            if len(reads) > 2:
                break
    else:
        for step in range(1, 9):
            if len(trials.reads) < 6:
                size = start + step * (1.37 * known + 20)
                _twice(trials, trials.asker.words_for(size))
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
