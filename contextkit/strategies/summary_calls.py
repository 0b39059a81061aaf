"""Calls for a summary: the request of each way to ask, its tokens, and what it costs.

*Aligned*: the live request as it was sent, up to the end of what is summarized, with an instruction
appended: the provider has it in its cache. *Own prompt*: the instruction as the system prompt and
what is summarized as data, for another, cheaper model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from contextkit.caching.markers import marked_for_reading
from contextkit.caching.routing import routing_of
from contextkit.errors import ProfileError
from contextkit.figures import Calls
from contextkit.grammar import violations
from contextkit.groups import Group, Span
from contextkit.originals import original_text
from contextkit.profiles import Price, Profile, profile_for
from contextkit.schedules import OUTPUT
from contextkit.strategies.blocks import blocks, delimiter_mark, harmless
from contextkit.view import View

_BEGINNING = 80
"""Characters by which a message is pointed at."""


@dataclass(frozen=True, slots=True)
class Call:
    """One way to ask for a summary.

    Attributes:
        way: `aligned` or `own prompt`.
        request: for the client. Shares messages with the log: copied before it is handed out.
        calls: its tokens.
        known: whether the price of the model that is asked is, by that of the live one.
    """

    way: str
    request: Mapping[str, Any]
    calls: Calls
    known: bool = True

    def price(self, view: View) -> float | None:
        """In price units of the live model; None where a price is not known."""
        calls, profile = self.calls, view.profile
        if not (calls.read or calls.fresh or calls.output):
            return calls.elsewhere if self.known else None
        rules = view.rendering.rules or (profile.cache() if profile else None)
        if profile is None or rules is None or rules.read is None or rules.write is None:
            return None
        output = _output_ratio(profile.prices[0]) if profile.prices else OUTPUT
        paid = rules.read * calls.read + rules.write * calls.fresh + output * calls.output
        return paid + calls.elsewhere


def aligned(
    view: View,
    spans: Sequence[Span],
    also: Sequence[int],
    instruction: str,
    *,
    share: int,
    whole: bool = False,
) -> Call:
    """A call that reads the live prefix; its tools too, of which none may be called.

    The prefix is that of the request before, whatever the same cut has taken out of the view since;
    where that is too long to be asked about, it is the view.

    Args:
        also: messages that were dropped unsummarized earlier. The prefix is another one with them.
        whole: with what stands behind the spans as well, which the instruction then excepts.
    """
    asked = _Asked(spans, also, instruction, share, whole)
    before = _aligned(view, view.uncut or view.groups, asked)
    if view.uncut is None or fits(view, before):
        return before
    return _aligned(view, view.groups, asked)


class _Asked(NamedTuple):
    """What `aligned` is given, but for the view."""

    spans: Sequence[Span]
    also: Sequence[int]
    instruction: str
    share: int
    whole: bool


def _aligned(view: View, groups: Sequence[Group], asked: _Asked) -> Call:
    spans, also, instruction, share, whole = asked
    last = max(number for span in spans for number in span.numbers)
    end = 1 + max(place for place, group in enumerate(groups) if group.start <= last)
    behind: Sequence[Group] = groups[end:] if whole else ()
    if behind and behind[-1].kind == "user":
        behind = behind[:-1]  # it was not sent yet
    sent = [entry.data for entry in view.system]
    sent += [view.history.data[number] for number in also]
    sent += [entry.data for group in (*groups[:end], *behind) for entry in group.entries]
    if behind:
        instruction += _except(view, [entry.data for group in behind for entry in group.entries])
    told = {"role": "user", "content": instruction}
    rendered = view.rendering.messages(len(view.system), [*sent, told])
    marked = view.rendering.taking_turns(marked_for_reading(view, rendered))
    request: dict[str, Any] = {"messages": marked}
    if view.model:
        request["model"] = view.model
    if view.tools:
        request["tools"] = list(view.tools)
        # Where it is a part of the prefix, the cache is worth more than the prohibition.
        if view.profile is None or "tool_choice" not in view.profile.keyed_by:
            request["tool_choice"] = "none"
    if view.profile is not None:  # to the cache where the prefix is
        request |= routing_of(view.profile, view.rendering, view.history.scope)
    start = view.system_tokens + (view.bounds.fixed if view.bounds else 0)
    body = sum(group.tokens for group in (*groups[:end], *behind))
    fresh = view.count(told)
    if view.formatted:  # a summary is no JSON: the call leaves the format out
        fresh += start + body
        fresh += sum(view.count(view.history.data[number]) for number in also)
        return Call("aligned", request, Calls(fresh=fresh, output=share))
    if not also:
        return Call("aligned", request, Calls(read=start + body, fresh=fresh, output=share))
    fresh += body + sum(view.count(view.history.data[number]) for number in also)
    return Call("aligned", request, Calls(read=start, fresh=fresh, output=share))


def keeps_one_prompt(view: View) -> bool:
    """Whether the cache keeps the last prompt alone: a shorter one costs what stood behind it.

    As a slot of llama.cpp does (https://github.com/ggml-org/llama.cpp/tree/master/tools/server,
    measured 2026-11).
    """
    rules = view.profile.cache() if view.profile is not None else None
    return rules is not None and rules.match == "slots"


def fits(view: View, call: Call) -> bool:
    """Whether a call is one that can be made: within the window, and grammatical."""
    messages = call.request["messages"]
    calls = call.calls
    too_long = view.room is not None and calls.read + calls.fresh > view.room
    return not too_long and not violations(messages)


def own_prompt(
    view: View,
    spans: Sequence[Span],
    also: Sequence[int],
    instruction: str,
    *,
    share: int,
    model: str = "",
) -> Call:
    """A call that tells what is summarized as data, to the live model or another one."""
    told = [(number, view.history.data[number]) for number in also]
    told += [(e.number, e.data) for span in spans for e in span.entries if e.numbers]
    parts = [(f"{number} {data['role']}", original_text(data)) for number, data in told]
    messages = [
        {"role": "system", "content": instruction},
        {"role": "user", "content": blocks(view.history, "conversation", parts)},
    ]
    request = {"model": model or view.model, "messages": messages}
    fresh = sum(map(view.count, messages))
    if not model or model == view.model:
        return Call("own prompt", request, Calls(fresh=fresh, output=share))
    other = known_profile(model)
    price = other.price(fresh) if other is not None else None
    ratio = _ratio(view.profile, price)
    # Where it is not known, a schedule takes both models to ask the same.
    elsewhere = (ratio or 1.0) * (fresh + share * _output_ratio(price))
    return Call("own prompt", request, Calls(elsewhere=elsewhere), known=ratio is not None)


def known_profile(model: str) -> Profile | None:
    """The profile of a model by its name; None for one that goes by a name of one's own."""
    try:
        return profile_for(model)
    except ProfileError:
        return None


def _except(view: View, behind: Sequence[Mapping[str, Any]]) -> str:
    """What the instruction says of messages that a summary is not to cover."""
    begins = harmless(original_text(behind[0]).strip(), delimiter_mark(view.history))
    count = f"message{'s' if len(behind) > 1 else ''} before this one"
    return (
        f"\n\nThe last {len(behind):,} {count}, from the one on that begins with "
        f"{json.dumps(begins[:_BEGINNING], ensure_ascii=False)}, will stay as they are: leave them "
        "out, and summarize what stands before them."
    )


def _ratio(live: Profile | None, price: Price | None) -> float | None:
    """The price of an input token by that of the live model; None where they do not compare."""
    if live is None or not live.prices or price is None:
        return None
    lowest = live.prices[0]
    return price.input / lowest.input if lowest.currency == price.currency else None


def _output_ratio(price: Price | None) -> float:
    if price is None or not price.output or not price.input:
        return OUTPUT
    return price.output / price.input
