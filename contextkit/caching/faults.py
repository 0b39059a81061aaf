"""Faults: what may keep a request from reading what is in the cache, each tried alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from contextkit.caching.blocks import Block
from contextkit.caching.consecutive import Consecutive, salted, tokens_of
from contextkit.caching.lenient import dense, searched, with_any_length
from contextkit.caching.parameters import changed_parameters, suspects
from contextkit.caching.prefix import PrefixDiff
from contextkit.messages import has_reasoning
from contextkit.usage import Usage

_OF_PARTS = 0.1
"""By how much the share of a part may be off, where the tokens of the whole are known."""

Cause = Literal[
    "model changed",
    "settings changed",
    "tools changed",
    "prefix moved",
    "dropped by the template",
    "not yet visible",
    "expired",
    "below the minimum",
    "point missing",
    "look-back exceeded",
    "reply tokenised otherwise",
    "not kept by the provider",
]


def foretold(pair: Consecutive) -> Usage:
    """What the provider will report for the later of two requests, by its rules."""
    before, now = pair.before.request, pair.now.request
    changed = changed_parameters(before, now, pair.counter.profile)
    if before.get("model") != now.get("model") or "all" in changed.values():
        return pair.read(now=salted(pair.now.blocks))
    if changed:
        return pair.read(now=salted(pair.now.blocks, from_messages=True))
    return pair.read(now=_without_dropped(pair))


def faults_of(pair: Consecutive, moved: PrefixDiff, read: int) -> list[tuple[Cause, str, int]]:
    """What is wrong, in words, and what the provider would read if nothing else were.

    Where the prefix moved, requests before the two may have left entries in what both have in
    common. What is read (`read`) is then what that fault leaves, as far as there can be such.
    """
    found: list[tuple[Cause, str, int]] = []
    before, now, rules = pair.before.request, pair.now.request, pair.rules

    def add(cause: Cause, source: str, **changed: Any) -> None:
        found.append((cause, source, pair.read(in_time=True, **changed).cache_read_tokens or 0))

    if before.get("model") != now.get("model"):
        source = f"{before.get('model')} became {now.get('model')}: each model has its own cache"
        add("model changed", source, now=salted(pair.now.blocks))
    for name, reach in changed_parameters(before, now, pair.counter.profile).items():
        other = salted(pair.now.blocks, from_messages=reach == "messages")
        add("settings changed", f"{name} changed", now=other)
    if moved.level == "tools":
        add("tools changed", moved.cause)
    # What is read nevertheless was left by earlier requests with this model, settings and tools.
    found = [(cause, source, max(reads, read)) for cause, source, reads in found]
    by_earlier: list[tuple[Cause, str, int]] = []
    if moved.kind == "moved" and moved.level != "tools":
        least, most = (
            pair.read(in_time=True, rules=one).cache_read_tokens or 0
            for one in (rules, dense(rules, points=True))
        )
        found.append(("prefix moved", moved.cause, max(least, min(read, most))))
        if read > most:  # an earlier one began more like this one than the one before did
            by_earlier.append(("prefix moved", moved.cause, read))
    if (rendered := _without_dropped(pair)) is not None:
        add("dropped by the template", "reasoning of a finished turn", now=rendered)
    whole = pair.unmoved()
    if rules.minimum:
        source = f"{rules.minimum:,} tokens are cached at least"
        add("below the minimum", source, now=whole, rules=dense(rules, points=True))
    if rules.match == "points":
        add("point missing", _last_point(pair), now=whole, rules=searched(rules))
        source = f"{rules.lookback} are searched"
        add("look-back exceeded", source, now=whole, rules=with_any_length(rules))
    return [*found, *_out_of_time(pair, whole), *by_earlier]


def _out_of_time(pair: Consecutive, whole: tuple[Block, ...]) -> list[tuple[Cause, str, int]]:
    """What the time between the requests does, with all else in order.

    It stands last: what was never written cannot expire, so that others that read as little win.
    """
    if pair.elapsed is None:
        return []
    rules = with_any_length(dense(pair.rules))
    if rules.match == "points":  # kept as points: each may have a lifetime of its own
        rules = searched(rules)
    reads, kept = (
        pair.read(now=whole, rules=rules, in_time=in_time).cache_read_tokens or 0
        for in_time in (False, True)
    )
    if reads >= kept:
        return []
    if pair.elapsed < pair.reply.seconds:
        source = f"sent {pair.elapsed:g} s after the request before, whose response took longer"
        return [("not yet visible", source, reads)]
    return [("expired", f"{pair.elapsed:,.0f} s between the requests", reads)]


def as_counted(pair: Consecutive, usage: Usage) -> Usage:
    """A usage in tokens as they are counted here, where those are estimated.

    What was reported for the whole request then says how far the estimate of its parts is off.
    """
    if not pair.counter.error or not usage.input_tokens or not pair.counted:
        return usage
    scale = pair.counted / usage.input_tokens
    read = usage.cache_read_tokens
    return replace(
        usage,
        input_tokens=pair.counted,
        cache_read_tokens=None if read is None else round(read * scale),
    )


def slack_of(pair: Consecutive, usage: Usage) -> int:
    """By how many tokens a count may be off without a miss.

    Args:
        pair: the requests.
        usage: of the later one, `as_counted`.
    """
    rules, counter = pair.rules, pair.counter
    counted = pair.counted
    exact = usage.input_tokens == counted and not counter.error
    if exact and rules.match == "slots":
        return 0
    off = abs((usage.input_tokens or counted) - counted)
    error = counter.error if usage.input_tokens is None else min(counter.error, _OF_PARTS)
    return max(rules.block + off, 16, int(counted * (0.02 + error)))


def _without_dropped(pair: Consecutive) -> tuple[Block, ...] | None:
    """The later request as its template renders it, where that drops reasoning sent before."""
    if not pair.counter.profile.drops_reasoning:
        return None
    before, now = pair.before.messages, pair.now.messages
    newest = range(len(before) - 1, -1, -1)
    last_user = next((n for n in newest if before[n].get("role") == "user"), -1)
    if not any(map(has_reasoning, before[last_user + 1 :])):
        return None
    if "user" not in (message.get("role") for message in now[len(before) :]):
        return None
    roles = [message.get("role") for message in before]
    number, blocks, found = 0, [], False
    for block in pair.now.blocks:
        if block.role != "tools" and number < len(roles):
            kept = has_reasoning(pair.before.messages[number])
            found = found or (number > last_user and roles[number] == "assistant" and kept)
            number += block.ends
        blocks.append(replace(block, key=("dropped", block.key)) if found else block)
    return tuple(blocks) if found else None


def _last_point(pair: Consecutive) -> str:
    placed = [number for number, block in enumerate(pair.before.held) if block.point]
    if not placed:
        return "the request before had no cache point"
    behind = tokens_of(pair.before.held[placed[-1] + 1 :])
    return f"{behind:,} tokens stood behind the last cache point of the request before"


def fault_of_provider(pair: Consecutive, usage: Usage, read: int) -> tuple[Cause, str]:
    """The cause of a miss that does not show in the requests."""
    held = tokens_of(pair.before.held)
    if pair.rules.replies and pair.reply.message is not None and read >= held - pair.rules.block:
        if pair.counter.profile.drops_reasoning and (
            pair.reply.reasoning or has_reasoning(pair.reply.message)
        ):
            return "dropped by the template", "reasoning of the reply"
        inside = max(0, read - tokens_of(pair.before.blocks))
        generated = f" of {pair.reply.tokens:,}" if pair.reply.tokens is not None else ""
        return "reply tokenised otherwise", (
            f"its text gives other tokens than were generated, from token {inside + 1:,}"
            f"{generated} on"
        )
    if changed := suspects(pair.before.request, pair.now.request):
        names = ", ".join(changed)
        return "settings changed", f"{names} changed, and may be a part of the prompt"
    if pair.rules.match == "points" and not read and not usage.cache_write_tokens:
        return "not kept by the provider", (
            "cache points were sent, and neither a read nor a write was reported: does a gateway "
            "take them out, and has the model such a cache?"
        )
    if pair.elapsed is None and any(one.seconds for one in pair.rules.lifetimes):
        return "not kept by the provider", (
            "or expired: how long ago the request before was sent is not known"
        )
    source = "" if pair.rules.guaranteed else "its cache promises nothing"
    return "not kept by the provider", source
