"""Calls for a summary: the request of each way to ask, its tokens, and what it costs.

*Aligned*: the live request as it was sent, up to the end of what is summarized, with an instruction
appended: the provider has it in its cache. *Own prompt*: the instruction as the system prompt and
what is summarized as data, for another, cheaper model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from contextkit.caching.markers import marked_for_reading
from contextkit.figures import Calls
from contextkit.grammar import violations
from contextkit.groups import Span
from contextkit.messages import call_ids, text_of
from contextkit.profiles import Price, Profile, profile_for
from contextkit.schedules import OUTPUT
from contextkit.strategies.blocks import blocks
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
    """

    way: str
    request: Mapping[str, Any]
    calls: Calls

    def price(self, view: View) -> float | None:
        """In price units of the live model; None where a price is not known."""
        calls, profile = self.calls, view.profile
        if not (calls.read or calls.fresh or calls.output):
            return calls.elsewhere
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

    Args:
        also: messages that were dropped unsummarized earlier. The prefix is another one with them.
        whole: with what stands behind the spans as well, which the instruction then excepts.
    """
    last = spans[-1].groups[-1]
    sent = [entry.data for entry in view.system]
    sent += [view.history.data[number] for number in also]
    end = 1 + next(place for place, group in enumerate(view.groups) if group is last)
    behind = [entry.data for group in view.groups[end:] for entry in group.entries]
    if whole and behind:
        instruction += _except(behind)
    groups = view.groups if whole else view.groups[:end]
    sent += [entry.data for group in groups for entry in group.entries]
    body = sum(group.tokens for group in groups)
    told = {"role": "user", "content": instruction}
    rendered = view.rendering.messages(len(view.system), [*sent, told])
    request: dict[str, Any] = {"messages": marked_for_reading(view, rendered)}
    if view.model:
        request["model"] = view.model
    if view.tools:
        request["tools"] = list(view.tools)
        # Where it is a part of the prefix, the cache is worth more than the prohibition.
        if view.profile is None or "tool_choice" not in view.profile.keyed_by:
            request["tool_choice"] = "none"
    start = view.system_tokens + (view.bounds.fixed if view.bounds else 0)
    fresh = view.count(told)
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
    parts = [(f"{number} {data['role']}", said(data)) for number, data in told]
    messages = [
        {"role": "system", "content": instruction},
        {"role": "user", "content": blocks(view.history, "conversation", parts)},
    ]
    request = {"model": model or view.model, "messages": messages}
    fresh = sum(map(view.count, messages))
    if not model or model == view.model:
        return Call("own prompt", request, Calls(fresh=fresh, output=share))
    elsewhere = _elsewhere(view.profile, profile_for(model), fresh, share)
    return Call("own prompt", request, Calls(elsewhere=elsewhere))


def said(message: Mapping[str, Any]) -> str:
    """What a message says, its tool calls included, as plain text."""
    lines = [text_of(message)] if text_of(message) else []
    for call in message.get("tool_calls") or () if call_ids(message) else ():
        function = call.get("function") or call.get("custom") or {}
        lines.append(f"calls {function.get('name', '')}: {function.get('arguments', '')}")
    return "\n".join(lines)


def _except(behind: Sequence[Mapping[str, Any]]) -> str:
    """What the instruction says of messages that a summary is not to cover."""
    begins = json.dumps(said(behind[0]).strip()[:_BEGINNING], ensure_ascii=False)
    count = f"message{'s' if len(behind) > 1 else ''} before this one"
    return (
        f"\n\nThe last {len(behind):,} {count}, from the one on that begins with {begins}, will "
        "stay as they are: leave them out, and summarize what stands before them."
    )


def _elsewhere(live: Profile | None, other: Profile, fresh: int, output: int) -> float:
    """What another model asks, in the price of an uncached input token of the live one.

    Where a price is not known, both are taken to ask the same.
    """
    price = other.price(fresh)
    ratio = 1.0
    if live is not None and live.prices and price is not None:
        lowest = live.prices[0]
        if lowest.currency == price.currency:
            ratio = price.input / lowest.input
    return ratio * (fresh + output * _output_ratio(price))


def _output_ratio(price: Price | None) -> float:
    if price is None or not price.output or not price.input:
        return OUTPUT
    return price.output / price.input
