"""Tally: sums over the requests of a log, and over what has one cause in one place."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from contextkit.analysis.auditing.kinds import SETTLED_LATER
from contextkit.analysis.auditing.lines import Line, Related
from contextkit.analysis.auditing.losses import Loss
from contextkit.analysis.auditing.requests import Logged
from contextkit.analysis.problems import Problem
from contextkit.caching.costs import Cost, cost_of, total_cost
from contextkit.caching.histories import SLIDES
from contextkit.usage import Usage

BINS = 120
"""Bars of the plot at most: of a longer log each stands for several requests."""

_WORST = 10  # conversations that are named
_FEW = 2  # requests of what is no conversation, but one of many requests sent at once
_NAMES = 50  # different names that are counted for one finding


@dataclass(slots=True)
class Sum:
    """Tokens and what they cost.

    Attributes:
        requests: how many.
        tokens: of them.
        units: in prices of an uncached input token, of those whose prices are known.
        money: by currency.
        unknown: requests whose prices are not known.
    """

    requests: int = 0
    tokens: int = 0
    units: float = 0.0
    money: dict[str, float] = field(default_factory=dict)
    unknown: int = 0

    def join(self, other: Sum) -> None:
        """Enter another sum."""
        self.requests += other.requests
        self.tokens += other.tokens
        self.units += other.units
        self.unknown += other.unknown
        for currency, money in other.money.items():
            self.money[currency] = self.money.get(currency, 0.0) + money

    def add(self, tokens: int, cost: Cost | None) -> None:
        """Enter a request."""
        self.requests += 1
        self.tokens += tokens
        if cost is None:
            self.unknown += 1
            return
        self.units += cost.input
        if cost.money is not None:
            self.money[cost.currency] = self.money.get(cost.currency, 0.0) + cost.money


@dataclass(slots=True)
class Group:
    """What has one cause in one place.

    Attributes:
        first: an example.
        sum: of what was missed.
        lines: the conversations.
        names: of tools and settings.
        places: where it stood.
        also: kinds that have to be mended for it to count.
        routing: parameters that keep a conversation on one machine.
        models: the same sum by model.
    """

    first: Loss
    sum: Sum = field(default_factory=Sum)
    lines: set[int] = field(default_factory=set)
    names: Counter[str] = field(default_factory=Counter)
    places: Counter[str] = field(default_factory=Counter)
    also: Counter[str] = field(default_factory=Counter)
    routing: dict[str, None] = field(default_factory=dict)
    models: dict[str, Sum] = field(default_factory=dict)


@dataclass(slots=True)
class Worst:
    """A conversation that lost much: its first request, its model, what it lost by kind."""

    source: str
    model: str
    requests: int = 0
    sum: Sum = field(default_factory=Sum)
    kinds: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class OfModel:
    """Sums over the requests to one model; `error` is the one that its counts state."""

    requests: int = 0
    reported: int = 0
    conversations: int = 0
    input: int = 0
    read: int = 0
    cost: Sum = field(default_factory=Sum)
    uncached: Sum = field(default_factory=Sum)
    saved: Sum = field(default_factory=Sum)
    error: float = 0.0


class Tally:
    """What is summed up of a log; its size does not grow with the number of requests."""

    def __init__(self) -> None:
        self.requests = self.without_time = self.disordered = self.with_id = 0
        self.problems: list[Problem] = []
        self.models: dict[str, OfModel] = {}
        self.groups: dict[str, Group] = {}
        self.planned: dict[str, Group] = {}
        self.worst: list[Worst] = []
        self.bins: list[list[int]] = []
        self.per_bin = 1
        self._newest = float("-inf")
        self._numbers: dict[int, int] = {}
        self._lost: dict[int, Worst] = {}
        self._settled = 0

    def problem(self, problem: Problem) -> None:
        """Something was not read."""
        self.problems.append(problem)

    def add(self, now: Logged, related: Related, simulated: Usage, losses: list[Loss]) -> None:
        """Enter a request with what it lost."""
        usage = now.usage or simulated
        self.requests += 1
        self.with_id += now.conversation is not None
        if now.at is None:
            self.without_time += 1
        else:
            self.disordered += now.at < self._newest
            self._newest = max(self._newest, now.at)
        model = self.models.setdefault(now.model, OfModel())
        model.requests += 1
        model.error = max(model.error, now.counter.error)
        model.reported += now.usage is not None
        model.conversations += related.how == "first"
        model.input += usage.input_tokens or 0
        model.read += usage.cache_read_tokens or 0
        profile = now.counter.profile
        paid = replace(usage, output_tokens=None, reasoning_tokens=None)
        bare = replace(
            paid, cache_read_tokens=0, cache_write_tokens=None, cache_writes=None, cache_type=None
        )
        model.cost.add(0, cost_of(paid, profile, now.rules))
        model.uncached.add(0, cost_of(bare, profile, now.rules))
        self._plot(usage)
        for loss in _by_kind(losses):
            line = related.line
            if loss.kind in SETTLED_LATER or _of_beginning(loss):
                line.events.append((line.requests, line.turn, _light(now), loss))
            else:
                self._enter(self.groups, loss.kind, line, _light(now), loss)

    def settle(self, line: Line) -> None:
        """A conversation is over: what was cut often in it is a fault, what seldom was planned."""
        events = line.events
        slid = [event for event in events if event[3].slid]
        slides = _in_a_row(slid)
        for event in events:
            _, _, now, loss = event
            same = [other for other in events if other[3].kind == loss.kind]
            if _of_beginning(loss):
                if not _began_so(line, loss):
                    self._enter(self.groups, loss.kind, line, now, loss)
            elif slides and loss.slid:
                self._enter(self.groups, "history slides", line, now, loss)
            elif _in_a_row(same) or (len(same) >= SLIDES and len(same) * 2 > line.requests - 1):
                self._enter(self.groups, loss.kind, line, now, loss)
            else:
                self._enter(self.planned, loss.kind, line, now, loss)
        self._numbers.pop(id(line), None)
        line.events = []
        lost = self._lost.pop(id(line), None)
        if lost is not None:
            lost.requests = line.requests
            self.worst = sorted([*self.worst, lost], key=_weight, reverse=True)[:_WORST]

    def _enter(
        self, groups: dict[str, Group], kind: str, line: Line, now: _Light, loss: Loss
    ) -> None:
        group = groups.setdefault(kind, Group(loss))
        group.sum.add(loss.tokens, loss.cost)
        number = self._numbers.get(id(line))
        if number is None:
            self._settled += 1
            number = self._numbers[id(line)] = self._settled
        group.lines.add(number)
        if len(group.names) < _NAMES:
            group.names.update(loss.names)
        if len(group.places) < _NAMES:
            group.places[loss.place] += 1
        group.also.update(loss.also)
        if kind == "provider":
            group.routing.update(dict.fromkeys(now.routing))
        if groups is self.groups:
            lost = self._lost.setdefault(id(line), Worst(line.source, line.model))
            lost.sum.add(loss.tokens, loss.cost)
            lost.kinds[kind] += loss.tokens
        group.models.setdefault(now.model, Sum()).add(loss.tokens, loss.cost)

    def _plot(self, usage: Usage) -> None:
        read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
        new = max(0, (usage.input_tokens or 0) - read - written)
        if not self.bins or self.bins[-1][0] == self.per_bin:
            if len(self.bins) == BINS:
                pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
                self.bins = [[a + b for a, b in zip(*pair, strict=True)] for pair in pairs]
                self.per_bin *= 2
            self.bins.append([0, 0, 0, 0])
        for place, value in enumerate((1, read, written, new)):
            self.bins[-1][place] += value


@dataclass(frozen=True, slots=True)
class _Light:
    """What is kept of a request until its conversation is settled."""

    model: str
    routing: tuple[str, ...]


def _light(now: Logged) -> _Light:
    profile = now.counter.profile
    return _Light(now.model, (*profile.routing_headers, *profile.routing))


def _weight(lost: Worst) -> tuple[float, int]:
    return lost.sum.units, lost.sum.tokens


def _of_beginning(loss: Loss) -> bool:
    """Whether it depends on how the conversation goes on."""
    return loss.kind == "minimum" or (loss.kind == "not yet visible" and loss.opens)


def _began_so(line: Line, loss: Loss) -> bool:
    """Whether a conversation only began so short, or with others at the same time by chance."""
    if loss.kind == "minimum":
        newest = line.recent[-1]
        return newest.tokens >= newest.rules.minimum
    return line.requests > _FEW


def _by_kind(losses: list[Loss]) -> list[Loss]:
    """One of each kind: a request counts once, in however many places of it the same is wrong."""
    found: dict[str, Loss] = {}
    for loss in losses:
        first = found.get(loss.kind)
        cost = loss.cost if first is None else total_cost([first.cost, loss.cost])
        tokens = loss.tokens + (first.tokens if first else 0)
        found[loss.kind] = replace(first or loss, tokens=tokens, cost=cost)
    return list(found.values())


def _in_a_row(events: list[tuple[int, int, _Light, Loss]]) -> bool:
    """Whether it came in so many requests in a row, or in so many turns."""
    requests = {request for request, *_ in events}
    turns = {turn for _, turn, *_ in events}
    return any(
        all(first + more in places for more in range(SLIDES))
        for places in (requests, turns)
        for first in places
    )
