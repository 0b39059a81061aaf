"""Forecast: what a request will read from the cache and cost, before it is sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contextkit.caching.answers import (
    edits_since,
    elapsed_between,
    last_answered,
    reply_at,
    seconds_between,
)
from contextkit.caching.blocks import Block, Made, Sent
from contextkit.caching.consecutive import Answered, Asked, Consecutive, rules_in_use, tokens_of
from contextkit.caching.costs import Cost, cost_of
from contextkit.caching.explanation import Explanation, explained
from contextkit.caching.faults import foretold
from contextkit.caching.lenient import tolerant
from contextkit.caching.markers import marked_request
from contextkit.caching.simulator import Simulator
from contextkit.edits import Decision, Edit
from contextkit.profiles import CacheRules
from contextkit.rendering import Rendering
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage
from contextkit.view import View, fold


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a request will read from the provider's cache, by the rules of its profile.

    It knows the request before this one in the same view, and what was reported for it; not what
    others have the provider cache meanwhile.

    Attributes:
        input_tokens: the whole input.
        cache_read_tokens: of them read from the cache; None where its rules are not known.
        cache_write_tokens: written to it at a price; None where writing costs nothing extra.
        cost: of the input; None where prices are not known.
        loss: what was sent before and will not be read, and why.
    """

    input_tokens: int
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    cost: Cost | None
    loss: Explanation

    def __str__(self) -> str:
        if self.cache_read_tokens is None:
            return f"{self.input_tokens:,} tokens; the rules of this model's cache are not known"
        said = f"{self.cache_read_tokens:,} of {self.input_tokens:,} tokens from the cache"
        if self.cache_write_tokens:
            said += f", {self.cache_write_tokens:,} written to it"
        if self.cost is not None and self.cost.money is not None:
            said += f", {self.cost.money:.6f} {self.cost.currency}"
        return said

    def to_json(self) -> dict[str, Any]:
        """As JSON data. Without content."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Entered:
    """A request as it was sent, of which the usage was entered into a ledger.

    Attributes:
        point: where it stood.
        asked: the request.
        counter: counted it.
    """

    point: int
    asked: Asked
    counter: RequestCounter

    def stands_for(self, decision: Decision, counter: RequestCounter) -> bool:
        """Whether it is the request of a decision, counted in the same way."""
        alike = self.counter.name == counter.name and self.counter.profile is counter.profile
        return alike and self.point == decision.point


@dataclass(frozen=True, slots=True)
class Compared:
    """A request beside the one before it.

    Attributes:
        now: the request.
        pair: both; None for the first, and where no rules are known.
        rules: of the cache; None where they are not known.
        moved_by: the edits that moved the prefix, in words.
        counter: counted the tokens.
    """

    now: Asked
    pair: Consecutive | None
    rules: CacheRules | None
    moved_by: str
    counter: RequestCounter

    def forecast(self) -> Forecast:
        """What the request will read and cost."""
        profile, blocks = self.counter.profile, self.now.blocks
        tokens = tokens_of(blocks) if self.pair is None else self.pair.counted
        rules = self.rules
        if rules is None:
            return Forecast(tokens, None, None, None, Explanation(None, None))
        usage = (
            Simulator(tolerant(rules)).peek(Sent(blocks))
            if self.pair is None
            else foretold(self.pair)
        )
        loss = Explanation(None)
        if self.pair is not None:
            loss = explained(self.pair, usage, self.moved_by, foretold=True)
        cost = cost_of(usage, profile, rules)
        return Forecast(tokens, usage.cache_read_tokens, usage.cache_write_tokens, cost, loss)

    def explanation(self, usage: Usage) -> Explanation:
        """Why it read less than the request before it had left in the cache."""
        if usage.cache_read_tokens is None:
            return Explanation(None, None)
        return explained(self.pair, usage, self.moved_by) if self.pair else Explanation(None)


def compared(
    now: Asked,
    view: View,
    decision: Decision,
    counter: RequestCounter,
    *,
    rendering: Rendering,
    again: bool = False,
    edits: Iterable[Edit] = (),
    time: float | None = None,
    earlier: float | None = None,
    made: Made | None = None,
) -> Compared:
    """A request beside the one that the log has before it.

    Args:
        now: the request.
        view: what the model sees in it, by itself.
        decision: of the point where it stands.
        counter: counted its tokens.
        rendering: what the request has that its view has not.
        again: whether the point was decided before, so that the same request was sent already.
        edits: that were made for it, recorded or not.
        time: when it was built, in seconds since the epoch.
        earlier: when it was built before, where it was.
        made: blocks that were made for this request.
    """
    history = view.history
    asked = rendering.rules
    if again:
        return beside(now, now, counter, asked=asked, elapsed=elapsed_between(earlier, time))
    unanswered = history.unanswered.get(view.name)
    if unanswered is not None:  # a stream that was left, or an answer that could not be kept
        elapsed = elapsed_between(unanswered.time, time)
        return beside(unanswered.asked, now, counter, asked=asked, elapsed=elapsed)
    last = last_answered(history, view.name, decision.point)
    if last is None:
        return beside(None, now, counter, asked=asked)
    edits = edits_since(history, last, decision, edits)
    before = _before(
        now, view, last, decision, counter=counter, rendering=rendering, edits=edits, made=made
    )
    return beside(
        before,
        now,
        counter,
        asked=asked,
        reply=reply_at(history, last.point),
        elapsed=seconds_between(history, last, decision, time),
        moved=moved_by(edits, last.point),
    )


def beside(
    before: Asked | None,
    now: Asked,
    counter: RequestCounter,
    *,
    reply: Answered | None = None,
    elapsed: float | None = None,
    moved: str = "",
    asked: CacheRules | None = None,
) -> Compared:
    """A request beside another one.

    Args:
        before: the earlier one; None where there is none.
        now: the request.
        counter: counted its tokens.
        reply: to the earlier one.
        elapsed: seconds between the two.
        moved: what moved the prefix, in words, where that is known.
        asked: the rules of the cache that the request asks for.
    """
    earlier = before.blocks if before is not None else ()
    rules = rules_in_use(counter.profile, (*earlier, *now.blocks), asked)
    pair = None
    if rules is not None and before is not None:
        pair = Consecutive(before, now, rules, counter, reply or Answered(), elapsed)
    return Compared(now, pair, rules, moved, counter)


def _before(
    now: Asked,
    view: View,
    last: Decision,
    decision: Decision,
    *,
    counter: RequestCounter,
    rendering: Rendering,
    edits: tuple[Edit, ...],
    made: Made | None,
) -> Asked:
    """The request that was sent for the decision before."""
    history = view.history
    entered: Entered | None = history.entered.get(last.view)
    if entered is not None and entered.stands_for(last, counter):
        return entered.asked
    settings = history.settings[last.settings].data if last.settings in history.settings else {}
    around = {key: settings.get(key) for key in ("tools", "response_format")}
    around = {"model": settings.get("model", now.request.get("model")), **around}
    same = all((now.request.get(key) or None) == (around[key] or None) for key in around)
    goes_on = last.view == view.name and not any(_touches(edit, last.point) for edit in edits)
    if last.settings != decision.settings:
        rendering, present = Rendering.of(settings, counter), rendering
        same = same and rendering == present
    if same and goes_on and (rendering.rules is None or not rendering.rules.marker):
        return _beginning(now, view, last.point, len(rendering.documents))
    if goes_on and last.point >= len(view.system) and not view.unplaced:
        earlier = view.copy()
        earlier.rewind(last.point)
    else:
        known = {id(entry.data): entry.tokens for entry in view.entries}

        def count(message: Mapping[str, Any]) -> int:
            tokens = known.get(id(message))
            return counter.message(message) if tokens is None else tokens

        earlier = fold(history, last.view, at=last.point, count=count, pin=view.pin)
    return asked_with(
        earlier, rendering, around, counter, limit=settings.get("limit", 0), made=made
    )


def asked_with(
    view: View,
    rendering: Rendering,
    around: Mapping[str, Any],
    counter: RequestCounter,
    *,
    limit: int,
    made: Made | None = None,
) -> Asked:
    """The request that showed a view.

    Args:
        view: what it showed.
        rendering: what else it had.
        around: its other parameters.
        counter: counts.
        limit: that held.
        made: blocks that were made for other requests.
    """
    marked = marked_request(view, rendering, around, counter, limit, made=made)
    return Asked({**around, "messages": marked.messages}, marked.blocks)


def _beginning(now: Asked, view: View, point: int, documents: int) -> Asked:
    """The request that the present one goes on from."""
    size = len(view.messages) + documents - _behind(view, point)
    held = now.held
    tools = sum(block.role == "tools" for block in held[:1])
    if len(held) - tools == len(now.messages):  # one block each
        return _cut(now, size, held[: tools + size])
    blocks, left = [], size
    for block in held:
        if block.role != "tools":
            if not left:
                break
            left -= block.ends
        blocks.append(block)
    return _cut(now, size, blocks)


def _cut(now: Asked, size: int, blocks: Iterable[Block]) -> Asked:
    """A request of the first messages, which these blocks are."""
    request = {**now.request, "messages": now.messages[:size]}
    return Asked(request, (*blocks, *now.blocks[len(now.held) :]))


def _behind(view: View, point: int) -> int:
    """How many messages of the array stand for messages from a number on; they are its end."""
    count = 0
    for group in reversed(view.groups):
        if group.start < point:
            first = (n for n, entry in enumerate(group.entries) if entry.number >= point)
            return count + len(group.entries) - next(first, len(group.entries))
        count += len(group.entries)
    return count


def _touches(edit: Edit, point: int) -> bool:
    """Whether an edit changes what stood before a point."""
    first = edit.covers[0] if edit.covers else edit.at
    return first is not None and (first < point or (edit.at is not None and edit.at < point))


def moved_by(edits: Iterable[Edit], point: int) -> str:
    """The edits that changed what had been sent, in words."""
    said = Counter(f"{edit.kind} by {edit.by}" for edit in edits if _touches(edit, point))
    return ", ".join(f"{count} {what}" for what, count in said.items())
