"""Explanation: why a request read less from the cache than the one before it had left there.

Every cause that shows in the requests, the time and the rules is tried alone: what would the
provider read if nothing but this were wrong? The cause is the one that lets it read least, as long
as that is not less than what was read. What no such cause explains lies with the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from contextkit.caching.consecutive import Answered, Asked, Consecutive, rules_in_use
from contextkit.caching.costs import Cost, cost_of
from contextkit.caching.faults import Cause, as_counted, fault_of_provider, faults_of, slack_of
from contextkit.caching.prefix import Level, PrefixDiff, diff
from contextkit.errors import InputError, ProfileError
from contextkit.profiles import CacheRules, Profile, profile_for
from contextkit.tokens import RequestCounter, TokenCounter, counter_for
from contextkit.usage import Usage

UNKNOWN_RULES = CacheRules(name="unknown", mode="implicit", match="blocks", guaranteed=False)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why tokens that had been sent before were not read from the cache.

    Attributes:
        cause: None where nothing was missed, or where that cannot be known.
        tokens: that were missed; None where the provider did not report what it read.
        level: where the prefix moved: `tools`, `system` or `messages`.
        message: number of the first message that differs, as counted in the request.
        position: characters into it up to the first difference.
        source: what probably did it, in words.
        cost: what the miss cost; None where prices are not known.
    """

    cause: Cause | None
    tokens: int | None = 0
    level: Level | None = None
    message: int | None = None
    position: int | None = None
    source: str = ""
    cost: Cost | None = None

    def __str__(self) -> str:
        if self.tokens is None:
            return "the provider did not report what it read from its cache"
        if self.cause is None:
            return "no miss"
        where = ""
        if self.cause == "prefix moved":
            where = " at the tools" if self.message is None else f" at messages[{self.message}]"
        source = f" ({self.source})" if self.source else ""
        said = f"{self.tokens:,} tokens sent before, not read: {self.cause}"
        return f"{said}{where}{source}{_price(self.cost)}"

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Without content."""
        return asdict(self)


def explain(
    previous: Any,
    current: Any,
    usage: Any,
    elapsed: float | None = None,
    *,
    profile: Profile | None = None,
    rules: CacheRules | None = None,
    counter: TokenCounter | None = None,
    previous_usage: Any = None,
    took: float = 0.0,
) -> Explanation:
    """Why a request did not read from the cache what the one before it had left there.

    Nothing is missed by a first request, and none of the tokens that no request had before.

    Args:
        previous, current: requests of one conversation: dicts as `chat.completions.create` takes
            them, or contexts. `previous` is None for the first one.
        usage: what was reported for the current one.
        elapsed: seconds from sending the previous one to sending the current one.
        profile: of the model; found by the name in `current`. Without one only the requests tell.
        rules: of the cache; by default those of the explicit one where the requests have cache
            points, else those of the implicit one.
        counter: counts the tokens of a text; by default the model's own vocabulary.
        previous_usage: what was reported for the previous one, where the cache keeps replies.
        took: seconds from sending the previous one until its response had come.

    Raises:
        InputError: when they are no requests.

    Example:
        >>> import contextkit as ck
        >>> first = {"model": "gpt-4o", "messages": [{"role": "system", "content": "12:01 " * 900}]}
        >>> later = {"model": "gpt-4o", "messages": [{"role": "system", "content": "12:02 " * 900}]}
        >>> reported = {"prompt_tokens": 3606, "prompt_tokens_details": {"cached_tokens": 0}}
        >>> found = ck.explain(first, later, reported)
        >>> found.cause, found.level, found.message, found.source
        ('prefix moved', 'system', 0, 'is a timestamp in the prompt?')
    """
    read = Usage.of(usage)
    if read is None or read.cache_read_tokens is None:
        return Explanation(None, None)
    if previous is None:
        return Explanation(None)
    own = getattr(current, "counter", None)
    if profile is None and counter is None and isinstance(own, RequestCounter):
        counting = own
    else:
        counting = counter_for(profile or _profile_of(current), counter)
    before, now = (
        _asked(request, counting, name)
        for request, name in ((previous, "previous"), (current, "current"))
    )
    choice = getattr(getattr(current, "rendering", None), "rules", None)  # of a context
    blocks = (*before.blocks, *now.blocks)
    rules = rules or rules_in_use(counting.profile, blocks, choice) or UNKNOWN_RULES
    reported = Usage.of(previous_usage) or Usage()
    count = len(before.messages)
    sent_back = now.messages[count] if count < len(now.messages) else {}
    reply = Answered(
        sent_back if sent_back.get("role") == "assistant" else None,
        reported.output_tokens,
        reported.reasoning_tokens,
        took,
    )
    return explained(Consecutive(before, now, rules, counting, reply, elapsed), read)


def explained(
    pair: Consecutive, usage: Usage, moved_by: str = "", *, foretold: bool = False
) -> Explanation:
    """The explanation of two requests whose blocks are known.

    Args:
        pair: the requests.
        usage: what was reported, or what is forecast, for the later one.
        moved_by: what moved the prefix, where that is known.
        foretold: whether the usage is a forecast, in which nothing lies with the provider.
    """
    counted = as_counted(pair, usage)
    read = counted.cache_read_tokens or 0
    full = pair.readable
    slack = slack_of(pair, counted)
    missed = (min(full, pair.resent) if pair.moved else full) - read
    if missed <= slack:
        return Explanation(None)
    # Where blocks are equal, so are the texts: nothing is rendered to see that again.
    moved = PrefixDiff("extension")
    if pair.moved:
        moved = diff(pair.before.request, pair.now.request)
    faults = [
        (found, level, reads)
        for found, level, reads in faults_of(pair, moved, read)
        if full - reads > (0 if found == "prefix moved" else slack)
        and reads >= read - max(slack, 16)
    ]
    cause, source = fault_of_provider(pair, usage, read)
    if faults:
        likely, why, reads = min(faults, key=lambda fault: fault[2])
        if foretold or full - reads >= reads - read - slack:
            cause, source = likely, why
    elif foretold and cause == "not kept by the provider":
        return Explanation(None)
    if counted.input_tokens and usage.input_tokens:  # as reported
        missed = round(missed * usage.input_tokens / counted.input_tokens)
    cost = _cost_of_miss(pair, usage, missed)
    if cause == "prefix moved":
        source = moved_by or source
        return Explanation(cause, missed, moved.level, moved.message, moved.position, source, cost)
    level: Level | None = "tools" if cause == "tools changed" else None
    return Explanation(cause, missed, level, source=source, cost=cost)


def _cost_of_miss(pair: Consecutive, usage: Usage, missed: int) -> Cost | None:
    """What the missed tokens cost more than if they had been read."""
    profile, read = pair.counter.profile, (usage.cache_read_tokens or 0) + missed
    written = usage.cache_write_tokens
    if usage.input_tokens is None:
        return None
    better = replace(
        usage,
        cache_read_tokens=min(read, usage.input_tokens),
        cache_write_tokens=None if written is None else max(0, written - missed),
        cache_writes=None,
    )
    was = cost_of(replace(usage, cache_writes=None), profile, pair.rules)
    would = cost_of(better, profile, pair.rules)
    if was is None or would is None:
        return None
    money = None if was.money is None or would.money is None else was.money - would.money
    return Cost(was.input - would.input, None, money, was.currency)


def _price(cost: Cost | None) -> str:
    if cost is None:
        return ""
    if cost.money is None:
        return f", at the price of {cost.input:,.0f} input tokens"
    return f", {cost.money:.6f} {cost.currency}"


def _profile_of(request: Any) -> Profile:
    model: Any = (
        request.get("model") if isinstance(request, Mapping) else getattr(request, "model", None)
    )
    try:
        return profile_for(model)
    except ProfileError:
        return profile_for("generic")


def _asked(request: Any, counter: Any, place: str) -> Asked:
    if isinstance(request, Mapping):
        if "messages" not in request:
            raise InputError("is a request: a dict with `messages`", place=place)
        return Asked.of(request, counter)
    asked = getattr(request, "asked", None)
    if not isinstance(asked, Asked):
        raise InputError(f"is a request or a context, not {type(request).__name__}", place=place)
    return asked
