"""A provider on loopback with the prompt cache of a profile, on a clock that nobody waits for.

    with CachingProvider(profile_for("qwen-plus").cache("implicit")) as provider:
        client = OpenAI(base_url=provider.base_url, api_key="none")

Its token is a word, and every message has two more for its frame; or it counts as contextkit does
for a model, with a counter. What a request reads and writes is what the simulator says of the
rules, reported in the form that the provider itself uses.
"""

import json
import random
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from contextkit.caching.blocks import Block, Sent, blocks_of
from contextkit.caching.simulator import Simulator
from contextkit.profiles.caches import CacheRules
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage
from tests.scripted_provider import Failure, ScriptedProvider

FRAME = 2  # tokens of a message besides its words
FIRST_TOKEN, TOKEN = 0.5, 0.01  # seconds until a reply begins, and that a word of it takes
LONG = 64  # words from which on a reply can be overtaken by another request


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class CachingProvider(ScriptedProvider):
    """Plays the rules of one cache.

    Args:
        rules: of the cache.
        provider: whose form the usage has: `qwen`, `openai`, `deepseek`, `anthropic`.
        clock: by which entries expire; requests take time on it.
        misses: share of requests in which the provider does not look into its cache.
        alike: whether a string is the same prefix as one text part.
        letters: that make a token of a content part, in place of words; not for blocks and slots.
        overhead: tokens that the service appends to every request by itself.
        slots: of a local engine.
        counter: counts tokens in place of words.
        overtaken: seconds that a long stream stays open behind its first words, unless another
            request comes meanwhile.
    """

    def __init__(
        self,
        rules: CacheRules,
        *,
        provider: str = "openai",
        clock: Clock | None = None,
        misses: float = 0.0,
        seed: int = 1,
        alike: bool = True,
        letters: int = 0,
        overhead: int = 0,
        slots: int = 1,
        counter: RequestCounter | None = None,
        overtaken: float = 0.0,
    ) -> None:
        super().__init__()
        self.rules = rules
        self.provider = provider
        self.clock = clock or Clock()
        self.alike = alike
        self.letters = letters
        self.overhead = overhead
        self.counter = counter
        self.sent: list[Sent] = []
        self.usages: list[Usage] = []
        self._overtaken = overtaken
        self._misses = misses
        self._random = random.Random(seed)
        self._simulator = Simulator(rules, slots=slots)
        self._more = threading.Condition()
        self.before_event = self._wait

    def receive(self, request: dict[str, Any]) -> tuple[Failure | None, dict[str, Any]]:
        with self._more:
            points = sum(has_point(part, self.rules) for part in all_parts(request))
            if points > self.rules.points and self.rules.overflow == "error":
                message = f"{points} cache points, {self.rules.points} allowed"
                body = json.dumps({"error": {"message": message}}).encode()
                self.failures.appendleft(Failure(400, body=body))
            failure, completion = super().receive(request)
            self._heard.number = len(self.requests)
            self._more.notify_all()
        self._heard.long = False
        if completion and not request.get("stream"):
            self.clock.sleep(self._took(completion)[1])
        elif completion:
            begun, ended = self._took(completion)
            self._heard.long = ended - begun >= LONG * TOKEN
            self._heard.left = ended - begun
            self.clock.sleep(begun)
        return failure, completion

    def reply_to(self, request: dict[str, Any]) -> str:
        if self.replies:
            return self.replies.popleft()
        words = request.get("max_tokens") or request.get("max_completion_tokens") or 20
        start = self._random.randrange(1_000)
        said = [f"word{start + n * n % 997}" for n in range(min(words, 400))]
        while self.counter is not None and self._output(" ".join(said)) > words:
            said.pop()
        return " ".join(said)

    def _output(self, reply: str) -> int:
        return len(reply.split()) if self.counter is None else self.counter.counter.count(reply)

    def _took(self, completion: dict[str, Any]) -> tuple[float, float]:
        words = len(str(completion["choices"][0]["message"]["content"]).split())
        return FIRST_TOKEN, FIRST_TOKEN + TOKEN * words

    def _wait(self, number: int) -> None:
        """Behind its first event a long stream stays open until somebody else has asked."""
        if number == 2:
            with self._more:
                if self._heard.long:
                    mine = self._heard.number
                    self._more.wait_for(lambda: len(self.requests) > mine, self._overtaken)
            self.clock.sleep(self._heard.left)

    def usage_of(self, request: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
        reply = str(message["content"])
        begun = FIRST_TOKEN
        ended = begun + TOKEN * len(reply.split())
        blocks, answer, behind = self._seen(request, message)
        sent = Sent(blocks, self.clock.now, begun, ended, answer)
        self.sent.append(sent)
        on = all(self.headers.get(name) == value for name, value in self.rules.headers.items())
        on = on and all(request.get(key) == value for key, value in self.rules.parameters.items())
        usage = self._simulator.send(sent) if on else Usage(sent.tokens, 0, 0)
        if self._random.random() < self._misses:
            read = usage.cache_read_tokens or 0
            written = usage.cache_write_tokens
            usage = Usage(sent.tokens, 0, None if written is None else written + read)
        usage = Usage(
            sent.tokens + behind + self.overhead,
            usage.cache_read_tokens or 0,
            usage.cache_write_tokens,
            self._output(reply),
            cache_writes=usage.cache_writes,
        )
        self.usages.append(usage)
        return reported(usage, self.provider, self.rules)

    # -- requests as a cache sees them -------------------------------------------------------

    def _seen(
        self, request: Mapping[str, Any], message: Mapping[str, Any]
    ) -> tuple[tuple[Block, ...], tuple[Block, ...], int]:
        """Request and reply as the cache takes them, and the tokens behind the last message."""
        if self.counter is not None:
            *blocks, last = blocks_of(request, self.counter)
            answer = blocks_of({"messages": [message]}, self.counter)[:-1]
            return tuple(blocks), answer, last.tokens
        if self.rules.match in ("blocks", "slots"):
            return tuple(self._tokens(request)), tuple(self._token_blocks(message)[1:]), 0
        return tuple(self._blocks(request)), tuple(self._part_blocks(message)), 0

    def _tokens(self, request: Mapping[str, Any]) -> Iterator[Block]:
        for word in json.dumps(request["tools"]).split() if request.get("tools") else ():
            yield Block(("tools", word), 1, "tools", ends=False)
        for message in request["messages"]:
            yield from self._token_blocks(message)
        yield Block("assistant begins", 1, "assistant", ends=False)

    def _token_blocks(self, message: Mapping[str, Any]) -> list[Block]:
        role = message["role"]
        keys: list[Any] = [f"{role} begins"]
        for part in parts(message):
            keys += [*(["part"] if part["bare"] and not self.alike else []), *part["words"]]
        keys.append("ends")
        return [Block(key, 1, role, ends=key is keys[-1]) for key in keys]

    def _blocks(self, request: Mapping[str, Any]) -> Iterator[Block]:
        if request.get("tools"):
            text = json.dumps(request["tools"])
            yield Block(("tools", text), len(text.split()), "tools")
        for message in request["messages"]:
            yield from self._part_blocks(message)

    def _count(self, words: list[str]) -> int:
        return max(1, len(" ".join(words)) // self.letters) if self.letters else len(words)

    def _part_blocks(self, message: Mapping[str, Any]) -> list[Block]:
        found = parts(message)
        blocks = []
        for number, part in enumerate(found):
            key = (message["role"], number == 0, tuple(part["words"]))
            if part["bare"] and not self.alike:
                key = (*key, "string")
            blocks.append(
                Block(
                    key,
                    self._count(part["words"]) + (0 if number else FRAME),
                    message["role"],
                    ends=number == len(found) - 1,
                    point=has_point(part, self.rules),
                    lifetime=part["lifetime"],
                )
            )
        return blocks


def parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The content parts of a message; what it has besides is a part of its own."""
    content = message.get("content")
    given = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    found = [
        {
            "words": str(part.get("text", "")).split(),
            "bare": isinstance(content, str),
            "marks": {key for key in part if key not in ("type", "text")},
            "lifetime": next(
                (v.get("ttl", "") for v in part.values() if isinstance(v, Mapping)), ""
            ),
            "role": message["role"],
        }
        for part in given
    ]
    if message.get("tool_calls"):
        words = json.dumps(message["tool_calls"]).split()
        role = message["role"]
        found.append({"words": words, "bare": False, "marks": set(), "lifetime": "", "role": role})
    return found or [
        {"words": [], "bare": True, "marks": set(), "lifetime": "", "role": message["role"]}
    ]


def all_parts(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for message in request["messages"]:
        yield from parts(message)


def has_point(part: Mapping[str, Any], rules: CacheRules) -> bool:
    """Whether a marker stands at a content part, in a role that may carry one."""
    return bool(part["marks"] & set(rules.marker)) and part["role"] in rules.carriers


def reported(usage: Usage, provider: str, rules: CacheRules) -> dict[str, Any]:
    """A usage in the form in which the provider reports it."""
    tokens, output = usage.input_tokens or 0, usage.output_tokens or 0
    read, written = usage.cache_read_tokens or 0, usage.cache_write_tokens or 0
    if provider == "anthropic":
        return {
            "input_tokens": tokens - read - written,
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": written,
            "output_tokens": output,
        }
    usual = {
        "prompt_tokens": tokens,
        "completion_tokens": output,
        "total_tokens": tokens + output,
    }
    if provider == "deepseek":
        hit = {"prompt_cache_hit_tokens": read, "prompt_cache_miss_tokens": tokens - read}
        return {**usual, **hit}
    details: dict[str, Any] = {"cached_tokens": read}
    if rules.mode == "explicit" and provider == "qwen":
        details["cache_creation_input_tokens"] = written
        details["cache_creation"] = {"ephemeral_5m_input_tokens": written}
        details["cache_type"] = "ephemeral"
    elif rules.match == "points":
        details["cache_write_tokens"] = written
    return {**usual, "prompt_tokens_details": details}
