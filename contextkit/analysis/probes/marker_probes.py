"""Probes of markers: how many count, how far they look back, where they may stand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from contextkit.analysis.probes.asking import Message
from contextkit.analysis.probes.findings import Finding
from contextkit.analysis.probes.trials import TAIL, Trials

ROLES = ("system", "user", "assistant", "tool")


def points(trials: Trials) -> Iterator[Finding]:
    """How many markers count, and what one too many does."""
    count = (trials.rules.points if trials.rules else 4) + 1
    refused = 0
    said = ""
    while True:
        counted, refusal = _counted(trials, count)
        if counted is None:
            refused, said = count, refusal
            count -= 1
            if not count:
                yield trials.finding("points", None, f"one marker was refused: {said:.200}")
                return
        elif len(counted) == count and not refused and count < 40:
            count *= 2
        else:
            break
    value = len(counted)
    if refused:
        said = f"{value} counted, {refused} were refused: {said:.200}"
        yield trials.finding("points", value, said)
        yield trials.finding("overflow", "error", f"{refused} were refused")
        return
    said = f"of {count} markers in a request {value} counted"
    if value == count:
        yield trials.finding("points", None, f"{said}: there may be more")
        return
    yield trials.finding("points", value, said)
    last = counted == set(range(count - value, count))
    which = "the last ones" if last else f"numbers {sorted(n + 1 for n in counted)}"
    yield trials.finding("overflow", "last" if last else None, f"{which} of {count} counted")


def _counted(trials: Trials, count: int) -> tuple[set[int] | None, str]:
    """Which of so many markers in one request wrote an entry; None where it was refused."""
    counted: set[int] = set()
    repeats = trials.repeats
    for _ in range(repeats):
        # Each point so far behind the one before that a block tells them apart.
        apart = trials.asker.words_for(trials.block) + 40
        texts = [trials.prefix(), *(trials.asker.words(apart) for _ in range(count - 1))]
        marked = [trials.part(text, mark=True) for text in texts]
        tail = trials.part(trials.tail())
        written = trials.ask([{"role": "user", "content": [*marked, tail]}])
        if written.refused:
            return None, written.refused
        trials.settle()
        for number in range(count):
            if number in counted:
                continue
            plain = [trials.part(text) for text in texts[:number]]
            content = [*plain, marked[number], trials.part(trials.tail())]
            seen = trials.ask([{"role": "user", "content": content}])
            behind = trials.asker.tokens_of(TAIL + 20)
            if seen.read > seen.tokens - behind - trials.block - 16:
                counted.add(number)
        if len(counted) == count:
            return counted, ""
    trials.doubts.append(trials.chance**repeats)
    return counted, ""


def lookback(trials: Trials) -> Iterator[Finding]:
    """How far before a point an entry is found, by halving."""
    messages = not trials.marked
    known = trials.rules.lookback if trials.rules else 20
    own = 0 if messages else 1  # the block of the point counts as one of its look-back
    low, high = 0, 65
    guesses = [known - own, known - own + 1] if known else [64]
    while high - low > 1:
        between = [guess for guess in guesses if low < guess < high]
        distance = between[0] if between else (low + high) // 2
        if trials.ever(partial(_found_at, trials, distance, messages=messages)):
            low = distance
        else:
            high = distance
    what = "messages" if messages else "content blocks"
    if high == 65:
        said = f"an entry was found {low} {what} before the point, the farthest that was tried"
        yield trials.finding("lookback", None, said)
        return
    said = f"an entry was found {low} {what} before the point, not {high}"
    yield trials.finding("lookback", low + own, said)


def _found_at(trials: Trials, distance: int, *, messages: bool) -> bool:
    prefix = trials.prefix(trials.enough + 40)
    first = trials.ask([trials.user(prefix)])
    trials.settle()
    added = [trials.asker.words(1) for _ in range(distance)]
    if messages:
        request = [trials.user(prefix), *(trials.user(text) for text in added)]
    else:
        request = [trials.user(prefix, *added)]
    return trials.ask(request).read > 0.8 * first.tokens


def places(trials: Trials) -> Iterator[Finding]:
    """What a marker does at each place where one could stand."""
    carriers = []
    outcomes = {}
    for place in (*ROLES, "message", "tool definition"):
        outcomes[place] = outcome = _marker_at(trials, place)
        if place in ROLES and outcome == "cached":
            carriers.append(place)
    known = trials.rules.carriers if trials.rules else ()
    # Not every provider knows a developer: what is not asked about is taken as it is known.
    carriers += [role for role in known if role not in ROLES]
    carriers.sort(key=(*known, *ROLES).index)
    said = ", ".join(f"{place} {outcome}" for place, outcome in outcomes.items())
    yield trials.finding("carriers", tuple(carriers), f"in content blocks of: {said}")
    for place in ("message", "tool definition"):
        yield trials.finding(f"marker on {place}", outcomes[place], f"{place}: {outcomes[place]}")


def _marker_at(trials: Trials, place: str) -> str:
    """`cached`, `ignored` or `refused`: what a marker at a place alone does."""
    refused = False

    def cached() -> bool:
        nonlocal refused
        text = trials.prefix(trials.enough + 60)
        first = trials.ask(**_with_marker(trials, place, text))
        if first.refused:
            refused = True
            return False
        trials.settle()
        seen = trials.ask(**_with_marker(trials, place, text))
        return trials.hit(seen)

    for _ in range(trials.repeats):
        if cached():
            return "cached"
        if refused:
            return "refused"
    trials.doubts.append(trials.chance**trials.repeats)
    return "ignored"


def _with_marker(trials: Trials, place: str, text: str) -> dict[str, Any]:
    """A request in which a long text has the only marker, with a tail of its own."""
    part = [trials.part(text, mark=True)]
    end: Message = {"role": "user", "content": trials.tail()}
    question: Message = {"role": "user", "content": "Which word?"}
    function = {"name": "look_up", "parameters": {"type": "object", "properties": {}}}
    call = {"id": "call1", "type": "function", "function": {"name": "look_up"}}
    calls = [{**call, "function": {"name": "look_up", "arguments": "{}"}}]
    tool = {"type": "function", "function": function}
    if place == "tool":
        asked = {"role": "assistant", "content": None, "tool_calls": calls}
        result = {"role": "tool", "tool_call_id": "call1", "content": part}
        return {"messages": [question, asked, result, end], "tools": [tool]}
    if place == "assistant":
        return {"messages": [question, {"role": "assistant", "content": part}, end]}
    if place == "message":
        message = {"role": "user", "content": text, **trials.marker}
        return {"messages": [message, {"role": "assistant", "content": "Yes."}, end]}
    if place == "tool definition":
        described = {**tool, "function": {**function, "description": text}, **trials.marker}
        return {"messages": [end], "tools": [described]}
    if place == "system":
        return {"messages": [{"role": "system", "content": part}, end]}
    content = [*part, trials.part(trials.tail())]
    return {"messages": [{"role": "user", "content": content}]}
