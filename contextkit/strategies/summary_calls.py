"""Calls for a summary: the request of each way to ask, its tokens, and what it costs.

*Aligned*: the live request as it was sent, up to the end of what is summarized, with an instruction
appended: the provider has it in its cache. *Own prompt*: the instruction as the system prompt and
what is summarized as data, for another, cheaper model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.caching.markers import marked_for_reading
from contextkit.errors import ProfileError
from contextkit.figures import Calls
from contextkit.grammar import violations
from contextkit.groups import Span
from contextkit.originals import original_text
from contextkit.profiles import Price, Profile, profile_for
from contextkit.schedules import OUTPUT
from contextkit.strategies.blocks import blocks
from contextkit.view import View


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
    view: View, spans: Sequence[Span], also: Sequence[int], instruction: str, *, share: int
) -> Call:
    """A call that reads the live prefix; its tools too, of which none may be called.

    Args:
        also: messages that were dropped unsummarized earlier. The prefix is another one with them.
    """
    last = spans[-1].groups[-1]
    sent = [entry.data for entry in view.system]
    sent += [view.history.data[number] for number in also]
    body = 0
    for group in view.groups:
        sent += [entry.data for entry in group.entries]
        body += group.tokens
        if group is last:
            break
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
    start = view.system_tokens + (view.bounds.fixed if view.bounds else 0)
    fresh = view.count(told)
    if view.formatted:  # a summary is no JSON: the call leaves the format out
        fresh += start + body
        fresh += sum(view.count(view.history.data[number]) for number in also)
        return Call("aligned", request, Calls(fresh=fresh, output=share))
    if not also:
        return Call("aligned", request, Calls(read=start + body, fresh=fresh, output=share))
    fresh += body + sum(view.count(view.history.data[number]) for number in also)
    return Call("aligned", request, Calls(read=start, fresh=fresh, output=share))


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
