"""Charged: the requests of a policy as a simulated provider serves them, and what they cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from contextkit.analysis.policies import Made, NoRequest, Policy, Setting, points_of
from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block, Sent, blocks_of
from contextkit.caching.costs import Cost, cost_of
from contextkit.caching.simulator import Simulator
from contextkit.schedules import OUTPUT
from contextkit.usage import Usage

TOOK = 2.0
"""Seconds until a response has come where that is not known."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a request is sent, and how many seconds its response takes."""

    at: float
    took: float


@dataclass(frozen=True, slots=True)
class Charge:
    """What one request was charged, the calls to a summarizer before it included.

    Attributes:
        tokens: of the request.
        read, written: of these, tokens read from the cache and written to it at a price; `written`
            is 0 for caches that do not charge for it.
        units: cost of the input and of the calls in price units; None where it is not known.
        money: the same in the currency of the profile; None where it is not known.
        fee: the part of `units` that the calls cost.
        calls: to a summarizer.
        share: messages of the conversation so far that it shows as they were, by all.
        cut: whether what stood in the request before is not in it.
    """

    tokens: int
    read: int
    written: int
    units: float | None
    money: float | None
    fee: float
    calls: int
    share: float
    cut: bool


def moments_of(transcript: Transcript, gap: float) -> list[Moment]:
    """When the requests of a conversation are sent.

    With times, a request is sent with the message before it, and its response has come by the time
    of the message that it gives; time never runs backwards. Without, `gap` seconds lie between two.
    """
    points = points_of(transcript)
    times = transcript.times
    if len(times) != len(transcript.messages):
        return [Moment(gap * number, min(TOOK, gap)) for number in range(len(points))]
    found: list[Moment] = []
    least = times[0] if times else 0.0
    for point in points:
        at = max(least, times[point - 1])
        least = max(at, times[point])
        found.append(Moment(at, least - at))
    return found


def charges(
    policy: Policy, transcript: Transcript, setting: Setting, moments: Sequence[Moment]
) -> Iterator[Charge]:
    """The requests of a conversation, charged one by one from an empty cache.

    Raises:
        ContextKitError: when the policy cannot make a request.
        NoRequest: when it made fewer or more requests than there are.
    """
    provider = Provider(setting)
    replies = _replies(transcript, setting)
    requests = iter(policy.requests(transcript, setting))
    clock = setting.clock
    for number, (point, moment) in enumerate(zip(points_of(transcript), moments, strict=True)):
        clock.number, clock.now = number, moment.at
        made = next(requests, None)
        if made is None:
            raise NoRequest(
                f"made {number} requests where the conversation has {len(moments)}",
                place=policy.name,
            )
        yield provider.charge(made, moment, replies[number] if replies else (), point)
    if next(requests, None) is not None:
        raise NoRequest(
            f"made more requests than the {len(moments)} of the conversation", place=policy.name
        )


class Provider:
    """A provider that serves one conversation, from an empty cache."""

    def __init__(self, setting: Setting) -> None:
        self.setting, self.rules = setting, setting.rules
        self.simulator = Simulator(self.rules) if self.rules else None

    def charge(
        self, made: Made, moment: Moment, reply: tuple[Block, ...] = (), point: int = 1
    ) -> Charge:
        """One request, and the calls before it.

        Args:
            made: the request.
            moment: when it is sent.
            reply: what it generates.
            point: how many messages the conversation has by then.
        """
        units: float | None = 0.0
        money: float | None = 0.0
        for blocks, output in made.calls:
            fee = self._with_output(self._served(Sent(blocks, at=moment.at)), output)
            units, money = _plus(units, fee and fee.input), _plus(money, fee and fee.money)
        fees = units or 0.0
        begun = min(0.5, moment.took)
        usage = self._served(Sent(made.blocks, moment.at, begun, moment.took, reply))
        cost = cost_of(usage, self.setting.profile, self.rules)
        return Charge(
            tokens=usage.input_tokens or 0,
            read=usage.cache_read_tokens or 0,
            written=usage.cache_write_tokens or 0,
            units=_plus(units, cost and cost.input),
            money=_plus(money, cost and cost.money),
            fee=fees,
            calls=len(made.calls),
            share=made.kept / point,
            cut=made.cut,
        )

    def _served(self, sent: Sent) -> Usage:
        if self.simulator is None:
            return Usage(input_tokens=sent.tokens, cache_read_tokens=0)
        return self.simulator.send(sent)

    def _with_output(self, usage: Usage, output: int) -> Cost | None:
        """The cost of a call with its reply, at `OUTPUT` where the price of that is not known."""
        profile = self.setting.profile
        cost = cost_of(usage, profile, self.rules)
        if cost is None:
            return None
        tier = profile.price(usage.input_tokens or 0)
        lowest = profile.prices[0].input if profile.prices else 1.0
        ratio = (tier.output or OUTPUT * tier.input) / lowest if tier else OUTPUT
        extra = output * ratio
        money = None if cost.money is None else cost.money + extra * lowest / 1e6
        return Cost(cost.input + extra, None, money, cost.currency)


def _plus(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other


def _replies(transcript: Transcript, setting: Setting) -> list[tuple[Block, ...]]:
    """What each request generated, for caches that keep replies."""
    if setting.rules is None or not setting.rules.replies:
        return []
    return [
        blocks_of({"messages": [transcript.messages[point]]}, setting.counter)[:-1]
        for point in points_of(transcript)
    ]


@dataclass(slots=True)
class Sums:
    """What requests were charged, added up.

    Attributes:
        requests: how many there were.
        tokens, read, written: of all of them.
        peak: tokens of the longest.
        units, money: what all cost; None where that of one is not known.
        fee: the part that calls to a summarizer cost.
        calls: to a summarizer.
        cuts: requests that were cut.
        shares: of the messages kept, added up.
        over: requests of more tokens than the limit.
    """

    requests: int = 0
    tokens: int = 0
    read: int = 0
    written: int = 0
    peak: int = 0
    units: float | None = 0.0
    money: float | None = 0.0
    fee: float = 0.0
    calls: int = 0
    cuts: int = 0
    shares: float = 0.0
    over: int = 0

    def add(self, charge: Charge, limit: int) -> None:
        """One more request."""
        self.requests += 1
        self.tokens += charge.tokens
        self.read += charge.read
        self.written += charge.written
        self.peak = max(self.peak, charge.tokens)
        self.units = _plus(self.units, charge.units)
        self.money = _plus(self.money, charge.money)
        self.fee += charge.fee
        self.calls += charge.calls
        self.cuts += charge.cut
        self.shares += charge.share
        self.over += charge.tokens > limit

    def __iadd__(self, other: Self) -> Self:
        for name in (one.name for one in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "peak":
                setattr(self, name, max(mine, theirs))
            else:
                setattr(self, name, _plus(mine, theirs))
        return self
