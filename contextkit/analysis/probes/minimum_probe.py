"""A probe of the minimum: the shortest prompt that is read when it is sent again."""

from __future__ import annotations

from collections.abc import Iterator

from contextkit.analysis.probes.findings import Finding
from contextkit.analysis.probes.trials import Trials

_TRIES = 24  # lengths, for the minimum
_BEHIND = 16  # tokens that are less than that are behind a prefix, not a part of a block


def minimum_of(trials: Trials) -> Iterator[Finding]:
    """The shortest prompt that is read when it is sent again, by halving.

    A minimum is of the tokens that can be read. Those behind them, of the template and the service,
    are at most as many as were ever left of a prompt that was sent before.
    """
    asker = trials.asker
    shortest, small = twice(trials, asker.words(1))
    if small:
        said = f"the shortest prompt, {shortest} tokens, was read when it was sent again"
        trials.minimum = 0
        yield trials.finding("minimum", 0, said)
        return
    low, high, read = shortest, trials.enough, min(trials.reads)
    text = asker.words(asker.words_for(trials.enough))
    seen = {trials.enough: text}
    around = trials.behind if trials.behind < _BEHIND else 0
    guesses = [guess + around for guess in _guesses(trials)]
    for _ in range(_TRIES):
        if high - low <= 1:
            break
        between = [guess for guess in guesses if low < guess < high]
        target = between[0] if between else (low + high) // 2
        guesses = [guess for guess in guesses if guess != target]
        # Of all prompts the nearest is changed: tokens are not words, but few words hardly differ.
        near = min(seen, key=lambda tokens: abs(tokens - target))
        text = asker.changed(seen[near], target - near)
        tokens, found = twice(trials, text)
        seen[tokens] = text
        if found and tokens < high:
            high, read = tokens, found
        elif not found and tokens > low:
            low = tokens
    yield minimum_from(trials, low, high, read)


def minimum_from(trials: Trials, low: int, high: int, read: int) -> Finding:
    """What a prompt of `low` tokens that was not read and one of `high` that was tell."""
    least = low - trials.behind + 1
    most = read if read >= least and high - read < _BEHIND + high - low else high
    if most == high and high - low == 1:
        least = most  # what is behind is not known: the safe side
    fits = [value for value in _stated(trials) if least <= value <= most]
    trials.minimum = fits[0] if fits else most
    if least == most:
        said = f"{most:,} tokens were read when they were sent again, {least - 1:,} were not"
        return trials.finding("minimum", most, said)
    said = f"{most:,} tokens were read when they were sent again, {least - 1:,} were not, and "
    said += f"between them {'is what is stated' if fits else 'it may be any'}"
    return trials.finding("minimum", trials.minimum, said, 1.0 if fits else 1 / (most - least + 1))


def _stated(trials: Trials) -> list[int]:
    """The minimum as sources state it, that of the profile first."""
    if trials.rules is None:
        return [1024]
    others = [one.value for one in trials.rules.conflicts if one.field == "minimum"]
    return [trials.rules.minimum, *(value for value in others if isinstance(value, int))]


def _guesses(trials: Trials) -> list[int]:
    """Lengths to begin with: those that sources state, each with the one below."""
    stated = _stated(trials)
    stated[1:1] = [trials.rules.block] if trials.rules else []
    return [guess for value in stated if value > 1 for guess in (value, value - 1)]


def twice(trials: Trials, text: str) -> tuple[int, int]:
    """The tokens of a fresh prompt, and those read when it is sent again; 0 for a miss."""
    messages = [trials.user(text)]
    tokens = trials.ask(messages).tokens
    read = 0

    def again() -> bool:
        nonlocal read
        trials.settle()
        seen = trials.ask(messages)
        if not trials.hit(seen):
            return False
        read = seen.read
        trials.was_read(seen)
        return True

    trials.ever(again)
    return tokens, read
