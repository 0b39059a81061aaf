"""Consecutive: two requests of one conversation, and what the second reads that the first left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contextkit.caching.blocks import REPLY, Block, Sent, blocks_of
from contextkit.caching.common_prefix import common_prefix
from contextkit.caching.lenient import dense, tolerant, with_any_length
from contextkit.caching.simulator import Simulator
from contextkit.chatml import BLOCK_START, REPLY_ROLE, body_of, render_chatml
from contextkit.errors import CounterError
from contextkit.messages import normal_form
from contextkit.profiles import CacheRules, Profile
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and the blocks that a cache sees of it.

    Attributes:
        request: parameters of `chat.completions.create`. Shared: read only.
        blocks: of the request.
    """

    request: Mapping[str, Any]
    blocks: tuple[Block, ...]

    @classmethod
    def of(cls, request: Mapping[str, Any], counter: RequestCounter) -> Asked:
        """A request whose blocks are made now.

        Raises:
            InputError: it is no request.
        """
        return cls(request, blocks_of(request, counter))

    @property
    def messages(self) -> Sequence[Mapping[str, Any]]:
        """Its messages."""
        messages: Sequence[Mapping[str, Any]] = self.request["messages"]
        return messages

    @property
    def held(self) -> tuple[Block, ...]:
        """The blocks without what opens the reply."""
        blocks = self.blocks
        return blocks[:-1] if blocks and blocks[-1].role == REPLY else blocks


@dataclass(frozen=True, slots=True)
class Answered:
    """What is known of the reply to the earlier request.

    Attributes:
        message: the reply; None where there is none, or it is not known.
        tokens: that were generated, as reported; None where that is not known.
        reasoning: those of them that were reasoning.
        seconds: from sending the request until the reply had come.
    """

    message: Mapping[str, Any] | None = None
    tokens: int | None = None
    reasoning: int | None = None
    seconds: float = 0.0


def rules_in_use(
    profile: Profile, blocks: Sequence[Block], asked: CacheRules | None = None
) -> CacheRules | None:
    """The rules that hold for a request: of the explicit cache where it has cache points.

    Also where there is no other, so that it shows what points would be good for. Where the implicit
    cache was asked for with points of its own, or a session, that is the one.
    """
    if asked is not None and asked.mode in ("implicit", "session"):
        return asked
    explicit = next((rules for rules in profile.caches if rules.mode == "explicit"), None)
    implicit = profile.cache()
    if explicit is not None and implicit is not None:
        return explicit if any([block.point for block in blocks]) else implicit  # noqa: C419 - quicker
    if explicit is not None:
        return explicit
    return implicit


_TOKENWISE = ("blocks", "slots")
"""Ways of matching that look at tokens, wherever messages end."""

_BY_TOKENS = ("blocks", "units")
"""Ways of matching that count what requests begin with in common, however it is made of blocks."""

Blocks = tuple[Block, ...]

_JOINT = "joint"
"""Key of several blocks as one."""

_OPENING = "opening"
"""Key of what opens a reply, where a cache may hold that too."""


def _opened(blocks: tuple[Block, ...]) -> tuple[Block, ...]:
    """The blocks with what opens the reply as a part of the prompt."""
    *held, last = blocks
    return (*held, replace(last, key=_OPENING, role="assistant"))


def _alike(one: Sequence[Block], other: Sequence[Block]) -> int:
    return common_prefix([block.key for block in one], [block.key for block in other])


def tokens_of(blocks: Iterable[Block]) -> int:
    """Tokens of some blocks."""
    return sum([block.tokens for block in blocks])


@dataclass(frozen=True, slots=True)
class Consecutive:
    """Two requests of one conversation.

    Attributes:
        before, now: the requests.
        rules: of the cache.
        counter: counts and, where it has the vocabulary, names tokens.
        reply: to the earlier one.
        elapsed: seconds between the two; None where that is not known.
    """

    before: Asked
    now: Asked
    rules: CacheRules
    counter: RequestCounter
    reply: Answered = field(default_factory=Answered)
    elapsed: float | None = None
    _kept: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(
        self,
        *,
        now: Sequence[Block] | None = None,
        in_time: bool = False,
        rules: CacheRules | None = None,
    ) -> Usage:
        """What the provider will report for the later request, by its rules.

        Args:
            now: other blocks of the later request than its own.
            in_time: as if the entry were there and had not expired.
            rules: other ones.
        """
        rules = tolerant(rules or self.rules)
        simulator = Simulator(rules, shared=self._shared())
        earlier = tuple(self.before.blocks)
        later = tuple(self.now.blocks if now is None else now)
        if rules.match in _TOKENWISE:
            later = _opened(later)
            earlier = earlier if self.replied else _opened(earlier)
        if rules.match in _BY_TOKENS:
            earlier, later = self._joined(earlier, later)
        took = self.reply.seconds
        simulator.send(Sent(earlier, begun=took, ended=took, reply=self.replied))
        at = took if in_time or self.elapsed is None else self.elapsed
        return simulator.peek(Sent(later, at=at))

    @property
    def alike(self) -> int:
        """How many leading blocks both have."""
        if "alike" not in self._kept:
            self._kept["alike"] = _alike(self.before.held, self.now.held)
        alike: int = self._kept["alike"]
        return alike

    @property
    def counted(self) -> int:
        """Tokens of the later request."""
        if "counted" not in self._kept:
            self._kept["counted"] = tokens_of(self.now.blocks)
        counted: int = self._kept["counted"]
        return counted

    @property
    def readable(self) -> int:
        """What the later request would read if nothing were wrong at all."""
        if "readable" not in self._kept:
            self._kept["readable"] = self._readable()
        tokens: int = self._kept["readable"]
        return tokens

    def _readable(self) -> int:
        rules = with_any_length(self.rules)
        if rules.match == "points":
            held = tokens_of(self.before.held)
            return held - held % rules.block
        usage = self.read(now=self.unmoved(), in_time=True, rules=dense(rules))
        return usage.cache_read_tokens or 0

    def _joined(self, earlier: Blocks, later: Blocks) -> tuple[Blocks, Blocks]:
        """Both with what they begin with in common as one block.

        What is read of it is then its tokens, and most requests are nothing else.
        """
        own = later[: len(self.now.held)] == self.now.held
        count = self.alike if own else _alike(earlier, later)
        if count < 2:
            return earlier, later
        joint = Block(_JOINT, tokens_of(later[:count]))
        return (joint, *earlier[count:]), (joint, *later[count:])

    @property
    def moved(self) -> bool:
        """Whether the later one does not begin with the whole of the earlier one."""
        return self.alike < len(self.before.held)

    def unmoved(self) -> tuple[Block, ...]:
        """The later request, as if it went on from the earlier one."""
        if not self.moved:
            return self.now.blocks
        present = {block.key: block for block in self.now.held}
        held = [present.get(block.key, block) for block in self.before.held]
        return (*held, *self.now.blocks[self._fresh :])

    @property
    def resent(self) -> int:
        """Tokens of the later request up to where what is new in it begins."""
        return tokens_of(self.now.held[: self._fresh])

    @property
    def _fresh(self) -> int:
        """The first block of the later request that is new."""
        known, held = {block.key for block in self.before.held}, self.now.held
        start = max((n for n, block in enumerate(held, 1) if block.key in known), default=0)
        if start > self.alike:
            return start
        return min(len(self.before.held), len(held))  # nothing known comes behind what moved

    # -- inside of blocks -----------------------------------------------------------------

    @property
    def replied(self) -> tuple[Block, ...]:
        """The reply as blocks, where the cache keeps replies.

        Where tokens count, it is one that begins with what opened it. Of what was generated the
        last token was never evaluated, so that no cache has it.
        """
        if not self.rules.replies or self.reply.message is None:
            return ()
        if self.rules.match not in _TOKENWISE:
            *blocks, _ = blocks_of({"messages": [self.reply.message]}, self.counter)
            return tuple(blocks)
        return (Block(REPLY, self._replied_tokens() + 1, "assistant"),)

    def _replied_tokens(self) -> int:
        if (ids := self._reply_ids()) is not None:
            return len(ids)
        message = self.reply.message or {}
        opening = self.before.blocks[-1].tokens
        whole = self.counter.message(message)
        empty = self.counter.message({"role": "assistant", "content": ""})
        text = max(0, whole - empty)
        return opening + (text if self.reply.tokens is None else min(text, self.reply.tokens - 1))

    def _reply_ids(self) -> list[int] | None:
        """The tokens that the cache holds behind the earlier request, as far as they are known."""
        if not self._exact or self.reply.message is None:
            return None
        body = self.counter.encode(body_of(self.reply.message))
        generated = len(body) if self.reply.tokens is None else self.reply.tokens - 1
        return [*self.counter.encode(f"{BLOCK_START}{REPLY_ROLE}"), *body[: max(0, generated)]]

    @property
    def _exact(self) -> bool:
        """Whether the ids of all tokens are known."""
        if self.counter.profile.template != "chatml" or self.counter.error:
            return False
        try:
            self.counter.encode("")
        except CounterError:
            return False
        return True

    def _shared(self) -> Any:
        """Counts the leading tokens that two different blocks have in common."""
        if self.rules.match not in _TOKENWISE:
            return None
        return _Inside(self) if self._exact or self.replied else None

    def ids_of(self, block: Block) -> list[int] | None:
        """The tokens of a block of either request; None where they are not known."""
        if block.key == _OPENING:
            return self.counter.encode(f"{BLOCK_START}{REPLY_ROLE}")
        for asked in (self.now, self.before):
            if block.role == "tools" and asked.blocks[0].key == block.key:
                tools = asked.request.get("tools") or ()
                return self.counter.encode(render_chatml([], tools, add_generation_prompt=False))
            message = asked.request["messages"] and _message_of(asked, block)
            if message is not None:
                text = render_chatml([message], add_generation_prompt=False)
                return self.counter.encode(text)
        return None


@dataclass(frozen=True, slots=True)
class _Inside:
    """Leading tokens that a block has in common with another one in the cache."""

    pair: Consecutive

    def __call__(self, one: Block, other: Block) -> int:
        pair = self.pair
        if other.key == REPLY:
            known = pair._reply_ids()  # noqa: SLF001 - a part of the same rule
            if known is None:
                return self._estimated(one)
        else:
            known = pair.ids_of(other) if pair._exact else None  # noqa: SLF001 - the same
        ids = pair.ids_of(one) if known else None
        return 0 if ids is None or known is None else common_prefix(ids, known)

    def _estimated(self, one: Block) -> int:
        """Where tokens can only be counted: all of the reply, if it was sent back unchanged."""
        reply, pair = self.pair.reply.message, self.pair
        sent = _message_of(pair.now, one)
        if reply is None or sent is None or normal_form(sent) != normal_form(reply):
            return 0
        return min(pair.replied[0].tokens - 1, max(0, one.tokens - 1))


def _message_of(asked: Asked, block: Block) -> Mapping[str, Any] | None:
    """The message that a block is the whole of."""
    held, number = asked.held, len(asked.messages)
    for place in range(len(held) - 1, -1, -1):  # what is asked for stands near the end
        candidate = held[place]
        if candidate.role == "tools":
            break
        number -= candidate.ends
        if candidate.key == block.key:
            whole = not place or held[place - 1].ends
            return asked.messages[number] if whole and candidate.ends else None
    return None


def salted(blocks: Sequence[Block], *, from_messages: bool = False) -> tuple[Block, ...]:
    """The blocks as no cache has them: all of them, or those behind tools and system."""
    before = ("tools", "system", "developer") if from_messages else ()
    found = False
    changed = []
    for block in blocks:
        found = found or block.role not in before
        changed.append(replace(block, key=("other", block.key)) if found else block)
    return tuple(changed)
