"""Losses: what one request did not read that had been sent before, and to which kind that belongs.

What the requests show is believed of requests of one conversation. Of requests that merely begin
alike (first ones, forks) only what no application would want: a prefix in common that could have
been read, and was not.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from contextkit.analysis.auditing.differences import Difference, differences, shared_behind
from contextkit.analysis.auditing.lines import Line, Related
from contextkit.analysis.auditing.requests import Logged, cache_of
from contextkit.caching.blocks import Block, Sent
from contextkit.caching.consecutive import Consecutive
from contextkit.caching.costs import Cost
from contextkit.caching.explanation import Explanation, explained
from contextkit.caching.faults import Cause, as_counted, faults_of, foretold, slack_of
from contextkit.caching.lenient import tolerant
from contextkit.caching.places import OPENING
from contextkit.caching.prefix import diff
from contextkit.caching.simulator import Simulator
from contextkit.errors import InputError
from contextkit.usage import Usage

_PROMPTS = 16  # newest system prompts of a model that a first request is compared with
_HEADS = 256  # of which the newest request is known
_SIMULATED = 4_000_000  # tokens that are held of each model's cache
_SHARED = 0.5  # of a system prompt, behind what differs: two renders of one prompt
_MUCH = 0.2  # of a request that is missed because another one was under way
_SOON = 300.0  # seconds after which nobody promises that a prefix in common is still there

_KINDS: dict[Cause, str] = {
    "model changed": "model",
    "settings changed": "settings",
    "dropped by the template": "template",
    "not yet visible": "not yet visible",
    "expired": "expired",
    "below the minimum": "minimum",
    "look-back exceeded": "look-back",
    "reply tokenised otherwise": "reply",
    "not kept by the provider": "provider",
}
_PROMISE = "by its rules it could have been read"
_OF_TOOLS_ACROSS = ("tools order", "tools json", "tools bytes", "tools time", "tools id")


@dataclass(frozen=True, slots=True)
class Loss:
    """Tokens that were sent before and not read.

    Attributes:
        kind: a key of `ADVICE`.
        tokens: that were missed.
        cost: what that cost; None where prices are not known.
        words: the cause.
        place: where, in words.
        names: of tools or settings.
        before, now: sources of the requests.
        slid: whether messages went, and at most one came in their place.
        opens: whether it is the first request of a conversation, and shares the system prompt alone
            with others.
        also: kinds of what stands before it in the prompt and must be mended for it to count.
    """

    kind: str
    tokens: int
    cost: Cost | None
    words: str
    place: str
    names: tuple[str, ...]
    before: str
    now: str
    slid: bool = False
    opens: bool = False
    also: tuple[str, ...] = ()


class Losses:
    """What was lost by the requests of a log, one after the other."""

    def __init__(self) -> None:
        self._simulators: dict[tuple[str, str], Simulator] = {}
        self._heads: OrderedDict[tuple[object, ...], Logged] = OrderedDict()
        self._prompts: dict[str, OrderedDict[tuple[object, ...], Logged]] = {}
        self._shares: set[str] = set()  # models whose first requests have read what others left
        self._clock = 0.0

    def simulated(self, now: Logged) -> Usage:
        """What the provider would report for it after all requests so far, by its rules."""
        key = now.model, now.rules.name
        if key not in self._simulators:
            rules = tolerant(now.rules)
            capacity = None if rules.match == "slots" else _SIMULATED
            self._simulators[key] = Simulator(rules, capacity=capacity)
        self._clock = max(self._clock, now.at) if now.at is not None else self._clock
        salt = Block(("cache", cache_of(now)), 0, "tools")
        took = now.took or 0.0
        sent = Sent((salt, *now.blocks), at=self._clock, begun=took, ended=took)
        try:
            return self._simulators[key].send(sent)
        except InputError:
            return Usage(now.tokens, 0)

    def of(self, now: Logged, related: Related, simulated: Usage) -> list[Loss]:
        """What a request lost."""
        usage = now.usage or simulated
        before = related.before
        found: list[Loss] = []
        if before is not None and related.how in ("goes on", "moved"):
            found = self._in_conversation(before, now, related.line, simulated)
        else:
            found = self._beside_others(now, related, usage, simulated)
        self._remember(now, related)
        return found

    def _in_conversation(
        self, before: Logged, now: Logged, line: Line, simulated: Usage
    ) -> list[Loss]:
        pair = _pair(before, now)
        usage = now.usage or simulated
        if now.usage is None:
            own = foretold(pair)
            usage = own if (own.cache_read_tokens or 0) >= (usage.cache_read_tokens or 0) else usage
        found = _explained(pair, usage, simulated, foretold=now.usage is None)
        if found.cause is None or not found.tokens:
            return []
        if found.cause == "not yet visible" and found.tokens < _MUCH * now.tokens:
            return []  # its newest turn: the rest was read
        if found.cause in ("prefix moved", "tools changed"):
            return _split(before, now, differences(before, now), found, usage)
        return [_single(before, now, found, line)]

    def _beside_others(
        self, now: Logged, related: Related, usage: Usage, simulated: Usage
    ) -> list[Loss]:
        """Of a request whose beginning others had too."""
        stem = related.before
        if stem is not None and related.messages and stem.model == now.model:
            same = stem.head == now.head and stem.tools.texts == now.tools.texts
            stem = stem.cut(stem.leading + related.messages) if same else None
        else:
            stem = None
        opens = stem is None
        if stem is None:
            stem = self._heads.get(_head(now))
        if stem is not None:
            found = self._same_beginning(stem, now, usage, simulated)
            return [replace(loss, opens=opens) for loss in found]
        for other in reversed(self._prompts.get(now.model, {}).values()):
            found = self._like(other, now, usage, simulated)
            if found:
                return found
        return []

    def _same_beginning(
        self, stem: Logged, now: Logged, usage: Usage, simulated: Usage
    ) -> list[Loss]:
        pair = _pair(stem, now)
        found = _explained(pair, usage, simulated, foretold=now.usage is None)
        if found.cause is None or not found.tokens:
            if usage.cache_read_tokens:
                self._shares.add(now.model)
            return []
        # Later than soon, it may have been dropped for room.
        soon = pair.elapsed is not None and pair.elapsed <= _SOON and not stem.in_flight(now.at)
        soon = soon and now.model in self._shares  # else conversations may be kept apart
        short = now.tokens < now.rules.minimum
        if (
            found.cause == "not yet visible"
            or (found.cause == "not kept by the provider" and soon)
            or (found.cause == "below the minimum" and short)
        ):
            return [_single(stem, now, found)]
        if found.cause in ("point missing", "look-back exceeded"):
            points = any(block.point for one in (stem, now) for block in one.blocks)
            kind = "shared point" if points else "no point"
            return [replace(_single(stem, now, found), kind=kind)]
        return []

    def _like(self, other: Logged, now: Logged, usage: Usage, simulated: Usage) -> list[Loss]:
        """What differs from another render of the same prompt."""
        shared = shared_behind(other, now)
        if shared < _SHARED:
            return []
        pair = _pair(other, now)
        found = _explained(pair, usage, simulated, foretold=now.usage is None)
        if found.cause not in ("prefix moved", "tools changed") or not found.tokens:
            return []
        losses = []
        here = [one for one in differences(other, now) if one.level != "history"]
        for loss in _split(other, now, here, found, usage):
            kind = loss.kind
            if kind in ("system rewritten", "system counter"):
                kind = "system user"
            if loss.kind.startswith("tools") and kind not in _OF_TOOLS_ACROSS:
                return []  # other tools, for something else
            tokens = loss.tokens
            if kind.startswith("system"):
                tokens = min(tokens, int(shared * now.tokens_to(now.leading)))
            cost = _share(loss.cost, tokens / loss.tokens)
            losses.append(replace(loss, kind=kind, tokens=tokens, cost=cost))
        return losses

    def _remember(self, now: Logged, related: Related) -> None:
        if not now.leading and not now.tools.texts:
            return
        head = _head(now)
        cut = now.cut(now.leading)
        known = head in self._heads
        self._heads[head] = cut
        self._heads.move_to_end(head)
        if len(self._heads) > _HEADS:
            self._heads.popitem(last=False)
        prompts = self._prompts.setdefault(now.model, OrderedDict())
        # Of a conversation whose prompt changes in each request the first stands for all.
        opens = related.how in ("first", "parted")
        if (opens and not known) or head in prompts:
            prompts[head] = cut
            prompts.move_to_end(head)
            if len(prompts) > _PROMPTS:
                prompts.popitem(last=False)


def _explained(pair: Consecutive, usage: Usage, simulated: Usage, *, foretold: bool) -> Explanation:
    """The explanation of a pair, with what other requests of the log had left in the cache.

    Where that was read, less is missed than the pair would have it. Where the provider read all
    that its rules let it find, it is not at fault, and what the requests show is.
    """
    counted = as_counted(pair, usage)
    read, slack = counted.cache_read_tokens or 0, slack_of(pair, counted)
    held = sum(block.tokens for block in pair.before.held)
    if not pair.rules.replies and held - read <= slack:
        return Explanation(None)  # there was no more to read, whatever the rules
    found = explained(pair, usage, foretold=foretold)
    if found.tokens and usage.input_tokens:  # counts may be off
        most = max(0, usage.input_tokens - (usage.cache_read_tokens or 0))
        tokens = min(found.tokens, most)
        found = replace(found, tokens=tokens, cost=_share(found.cost, tokens / found.tokens))
    if found.cause not in ("not kept by the provider", "reply tokenised otherwise"):
        return found
    if (simulated.cache_read_tokens or 0) - read > slack:
        return replace(found, cause="not kept by the provider", source=_PROMISE)
    full, moved = pair.readable, diff(pair.before.request, pair.now.request)
    faults = [one for one in faults_of(pair, moved, read) if full - one[2] > slack]
    if not faults:
        return Explanation(None)
    cause, source, _ = min(faults, key=lambda fault: fault[2])
    return replace(found, cause=cause, source=source)


def _pair(before: Logged, now: Logged) -> Consecutive:
    elapsed = None
    if before.at is not None and now.at is not None:
        elapsed = max(0.0, now.at - before.at)
    return Consecutive(
        before.asked(), now.asked(), now.rules, now.counter, before.answered(now), elapsed
    )


def _split(
    before: Logged, now: Logged, here: Sequence[Difference], found: Explanation, usage: Usage
) -> list[Loss]:
    """The tokens of a miss, each part to the difference that it begins with."""
    start, missed = usage.cache_read_tokens or 0, found.tokens or 0
    end = start + missed
    edges = [start, *(min(max(one.position, start), end) for one in here[1:]), end]
    losses = []
    for number, one in enumerate(here):
        tokens = edges[number + 1] - edges[number]
        if tokens <= 0:
            continue
        place = one.level if one.message is None else f"messages[{one.message}] ({one.role})"
        if one.level == "system":
            place = "system"
        cause = "tools changed" if one.level == "tools" else "prefix moved"
        also = tuple(
            dict.fromkeys(
                f"{other.level} {other.kind}"
                for other in here[:number]
                if (other.level, other.kind) != (one.level, one.kind)
            )
        )
        losses.append(
            Loss(
                f"{one.level} {one.kind}",
                tokens,
                _share(found.cost, tokens / missed),
                f"{cause}: {one.words}",
                place,
                one.names,
                before.source,
                now.source,
                slid=one.slid,
                also=also,
            )
        )
    return losses


def _single(before: Logged, now: Logged, found: Explanation, line: Line | None = None) -> Loss:
    assert found.cause is not None  # noqa: S101 - there is a loss
    kind = _KINDS.get(found.cause, "")
    names: tuple[str, ...] = ()
    place = ""
    if found.cause == "point missing":
        kind, place = _of_points(line), "cache points"
    elif found.cause == "model changed":
        names, place = (f"{before.model} to {now.model}",), "model"
    elif found.cause == "settings changed":
        listed = found.source.removesuffix(", and may be a part of the prompt")
        names, place = (listed.removesuffix(" changed"),), "settings"
    elif found.cause == "dropped by the template":
        place = "history"
    words = f"{found.cause}: {found.source}" if found.source else str(found.cause)
    return Loss(kind, found.tokens or 0, found.cost, words, place, names, before.source, now.source)


def _of_points(line: Line | None) -> str:
    """What is wrong with the cache points of a conversation."""
    recent = line.recent if line is not None else ()
    placed = [block.role for one in recent for block in one.blocks if block.point]
    if not placed:
        return "no point"
    return "few points" if set(placed) <= set(OPENING) else "point moved"


def _share(cost: Cost | None, share: float) -> Cost | None:
    if cost is None:
        return None
    money = None if cost.money is None else cost.money * share
    return Cost(cost.input * share, None, money, cost.currency)


def _head(now: Logged) -> tuple[object, ...]:
    return now.model, now.tools.texts, now.head
