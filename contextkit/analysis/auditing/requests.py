"""Requests of an audit: recorded ones with their blocks; each message is held and counted once."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

from contextkit.analysis.recorded import Recorded
from contextkit.caching.blocks import Block, blocks_of
from contextkit.caching.consecutive import Answered, Asked, rules_in_use
from contextkit.caching.explanation import UNKNOWN_RULES
from contextkit.caching.parameters import is_rendered
from contextkit.caching.prefix import canonical_blocks, canonical_tool_blocks
from contextkit.errors import InputError, ProfileError
from contextkit.messages import SYSTEM_ROLES, canonical_json
from contextkit.profiles import CacheRules, Profile, profile_for
from contextkit.tokens import RequestCounter, TokenCounter, counter_for
from contextkit.usage import Usage

_TOOLS = 64  # lists of tools that are held: applications have few
_MODELS = 256


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Held:
    """A message that stands in one request or in many.

    Attributes:
        data: the message.
        text: in canonical form, equal for what is the same to a provider.
        blocks: what a cache sees of it.
    """

    data: Mapping[str, Any]
    text: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a request, with what else stands before its messages."""

    given: Sequence[Mapping[str, Any]]
    texts: tuple[str, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, eq=False)
class Logged:
    """A recorded request as an audit holds it.

    Attributes:
        number: of the request in the log, from 0.
        source: where it stands.
        parameters: without messages.
        held: the messages.
        tools: before them.
        opening: the block that opens the reply.
        counter: counts by the model's profile.
        rules: of its cache.
        known: whether those are known.
        usage: as reported; None where no read from the cache was.
        at, took, conversation, reply: as recorded.
    """

    number: int
    source: str
    parameters: Mapping[str, Any]
    held: tuple[Held, ...]
    tools: Tools
    opening: Block
    counter: RequestCounter
    rules: CacheRules
    known: bool
    usage: Usage | None = None
    at: float | None = None
    took: float | None = None
    conversation: str | None = None
    reply: Mapping[str, Any] | None = None

    @property
    def model(self) -> str:
        """That was asked for."""
        return str(self.parameters.get("model") or "unknown")

    @cached_property
    def sent(self) -> list[Mapping[str, Any]]:
        """The messages."""
        return [one.data for one in self.held]

    @cached_property
    def leading(self) -> int:
        """How many system messages stand at the beginning."""
        for number, one in enumerate(self.held):
            if one.data.get("role") not in SYSTEM_ROLES:
                return number
        return len(self.held)

    @cached_property
    def history(self) -> list[str]:
        """The canonical texts of the messages behind those."""
        return [one.text for one in self.held[self.leading :]]

    @cached_property
    def head(self) -> tuple[str, ...]:
        """The canonical texts of the leading system messages."""
        return tuple(one.text for one in self.held[: self.leading])

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """What a cache sees of the request."""
        inner = [block for one in self.held for block in one.blocks]
        return (*self.tools.blocks, *inner, self.opening)

    @cached_property
    def tokens(self) -> int:
        """Of the whole input, as counted."""
        return sum(block.tokens for block in self.blocks)

    def tokens_to(self, messages: int) -> int:
        """Tokens of the tools and so many messages."""
        inner = sum(block.tokens for one in self.held[:messages] for block in one.blocks)
        return inner + sum(block.tokens for block in self.tools.blocks)

    def asked(self) -> Asked:
        """The request beside another one."""
        request = {**self.parameters, "messages": self.sent, "tools": self.tools.given}
        return Asked(request, self.blocks)

    def cut(self, messages: int) -> Logged:
        """The request as far as its first messages."""
        return replace(self, held=self.held[:messages])

    def answered(self, now: Logged) -> Answered:
        """What is known of the reply to it, which the later request may send back."""
        count = len(self.held)
        back = now.held[count].data if count < len(now.held) else {}
        reply = self.reply or (back if back.get("role") == "assistant" else None)
        usage = self.usage or Usage()
        return Answered(reply, usage.output_tokens, usage.reasoning_tokens, self.took or 0.0)

    def in_flight(self, at: float | None) -> bool:
        """Whether its response had not come at that time."""
        return at is not None and self.at is not None and self.at + (self.took or 0.0) > at


class Requests:
    """Makes what an audit holds of recorded requests.

    A message that stands in a request that is still held is neither kept nor counted twice.

    Args:
        profiles: more of them, by prefixes of model names.
        counter: of text; by default the vocabulary of each model.
    """

    def __init__(
        self, profiles: Mapping[str, Profile] | None, counter: TokenCounter | None = None
    ) -> None:
        self.profiles = profiles
        self.counter = counter
        self.unknown: OrderedDict[str, None] = OrderedDict()
        self._held: WeakValueDictionary[tuple[str, bytes], Held] = WeakValueDictionary()
        self._tools: OrderedDict[tuple[str, str], Tools] = OrderedDict()
        self._counters: dict[str, RequestCounter] = {}
        self._openings: dict[str, Block] = {}

    def of(self, number: int, recorded: Recorded) -> Logged:
        """A recorded request with its blocks.

        Raises:
            InputError: it is no request.
        """
        request = recorded.request
        messages = request.get("messages")
        if not isinstance(messages, list | tuple):
            raise InputError("is a list of messages", place="messages")
        counter = self._counter(str(request.get("model") or ""))
        tools = self._tools_of(request, counter)
        held = tuple(self._message(message, counter) for message in messages)
        points = any(block.point for one in held for block in one.blocks)
        blocks = [block for one in held for block in one.blocks] if points else ()
        rules = rules_in_use(counter.profile, [*tools.blocks, *blocks])
        usage = recorded.usage
        if usage is not None and (usage.cache_read_tokens is None or usage.input_tokens is None):
            usage = None
        return Logged(
            number,
            recorded.source,
            {key: value for key, value in request.items() if key not in ("messages", "tools")},
            held,
            tools,
            self._openings[counter.name],
            counter,
            rules or UNKNOWN_RULES,
            rules is not None,
            usage,
            recorded.at,
            recorded.took,
            recorded.conversation,
            recorded.reply,
        )

    def _counter(self, model: str) -> RequestCounter:
        if model not in self._counters:
            if len(self._counters) >= _MODELS:
                self._counters.clear()
            try:
                profile = profile_for(model, self.profiles)
            except ProfileError:
                self.unknown[model or "unknown"] = None
                profile = profile_for("generic")
            self._counters[model] = counter = counter_for(profile, self.counter)
            self._openings[counter.name] = blocks_of({"messages": []}, counter)[-1]
        return self._counters[model]

    def _message(self, message: Any, counter: RequestCounter) -> Held:
        if not isinstance(message, Mapping):
            raise InputError("is a dict", place="messages")
        content = message.get("content")
        if len(message) == 2 and isinstance(content, str):
            raw = f"{message.get('role')}\n{content}"
        else:
            raw = "\n" + json.dumps(message, ensure_ascii=False, default=str)
        digest = blake2b(raw.encode(errors="surrogatepass"), digest_size=16).digest()
        held = self._held.get((counter.name, digest))
        if held is None:
            [text] = canonical_blocks({"messages": [message]})
            *blocks, _ = blocks_of({"messages": [message]}, counter)
            held = Held(message, text, tuple(blocks))
            self._held[counter.name, digest] = held
        return held

    def _tools_of(self, request: Mapping[str, Any], counter: RequestCounter) -> Tools:
        given = request.get("tools") or ()
        form = request.get("response_format") if is_rendered(counter.profile) else None
        key = counter.name, json.dumps([given, form], ensure_ascii=False, default=str)
        tools = self._tools.get(key)
        if tools is None:
            front: dict[str, Any] = {"messages": [], "tools": given, "response_format": form}
            *blocks, _ = blocks_of(front, counter)
            tools = Tools(given, tuple(canonical_tool_blocks({"tools": given})), tuple(blocks))
            self._tools[key] = tools
            if len(self._tools) > _TOOLS:
                self._tools.popitem(last=False)
        else:
            self._tools.move_to_end(key)
        return tools


def cache_of(logged: Logged) -> str:
    """What else than blocks decides whether a request can read what another one left."""
    profile = logged.counter.profile
    names = {*profile.keyed_by, *profile.routing} - {"tools"}
    body = logged.parameters.get("extra_body")
    merged = {**logged.parameters, **(body if isinstance(body, Mapping) else {})}
    return canonical_json({name: merged[name] for name in names if merged.get(name) is not None})
