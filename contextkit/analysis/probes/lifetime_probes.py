"""Probes of time: how long an entry lives, and whether being read renews it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from contextkit.analysis.probes.asking import Message
from contextkit.analysis.probes.findings import Finding
from contextkit.analysis.probes.trials import Trials

_USUAL = (60, 120, 180, 240, 300, 600, 900, 1_200, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400)


def lifetime(trials: Trials) -> Iterator[Finding]:
    """How long an entry that nobody asks for can be read, in waves of prefixes."""
    limit = trials.ttl or 0.0
    known = trials.rules.ttl if trials.rules else None
    waits = {limit}
    wait = 30.0
    while wait < limit:
        waits.add(wait)
        wait *= 2
    if known:
        waits |= {near for near in (0.95 * known, 1.05 * known) if near <= limit}
    low, high = _wave(trials, sorted(waits), 0.0, None)
    while low and high and high > 1.12 * low:
        step = (high - low) / 4
        low, high = _wave(trials, [low + step * n for n in (1, 2, 3)], low, high)
    if not high:
        said = f"an entry was read {low:,.0f} s after it was written, the longest wait"
        yield Finding("ttl", None, said, 1.0, known)
        return
    usual = [seconds for seconds in _USUAL if low < seconds <= high]
    value = float(known if known and low <= known <= high else usual[0] if usual else low)
    said = f"an entry was read {low:,.0f} s after it was written, not {high:,.0f} s after"
    yield trials.finding("ttl", value, said)
    if not low or 1.4 * low <= high:
        return
    trials.doubts = []
    yield _renewal(trials, low)


def _renewal(trials: Trials, low: float) -> Finding:
    """Whether being read starts the lifetime again."""
    prefixes = [_written(trials) for _ in range(trials.repeats + 2)]
    for share in (0.7, 1.4):
        asked = len(prefixes)
        hits = []
        for messages, at in prefixes:
            trials.asker.sleep(max(0.0, at + share * low - trials.asker.clock()))
            hits.append(trials.hit(trials.ask(messages)))
        prefixes = [pair for pair, hit in zip(prefixes, hits, strict=True) if hit]
    if not prefixes:
        trials.doubts.append(trials.chance**asked)
    said = f"what was read after {0.7 * low:,.0f} s was {{}}read after {1.4 * low:,.0f} s"
    value = "hit" if prefixes else "nothing"
    return trials.finding("renewed_by", value, said.format("" if prefixes else "not "))


def _written(trials: Trials) -> tuple[list[Message], float]:
    messages = [trials.user(trials.prefix())]
    trials.ask(messages)
    return messages, trials.asker.clock()


def _wave(
    trials: Trials, waits: Sequence[float], low: float, high: float | None
) -> tuple[float, float | None]:
    """The longest wait after which a prefix was read, and the shortest after which none was.

    All prefixes are written first, so that the whole takes as long as the longest wait.
    """
    written = [(wait, [_written(trials) for _ in range(trials.repeats)]) for wait in waits]
    missed = [] if high is None else [high]
    for wait, prefixes in written:
        hit = False
        for messages, at in prefixes:
            trials.asker.sleep(max(0.0, at + wait - trials.asker.clock()))
            after = trials.asker.clock() - at
            if trials.hit(trials.ask(messages)):
                low, hit = max(low, after), True
                break
        if not hit:
            trials.doubts.append(trials.chance**trials.repeats)
            missed.append(wait)
    return low, min((wait for wait in missed if wait > low), default=None)
