"""Token counting: what a text, a message, and a whole request cost.

A `TokenCounter` counts text. `RequestCounter` makes of it what the builder needs: the tokens that
one message adds to a request, template and all, and the tokens of everything around the messages.
A request costs `fixed(...)` plus the sum of `message(...)`. What is no text, such as an image, is
counted by `contextkit.media_tokens`.

Formulas: for the `chatml` template the text of the template is counted (`contextkit.chatml`); for
`openai` 3 tokens around a message, 1 for a name and 3 before the reply, as in OpenAI's cookbook,
https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb
(2026-11-21).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, Protocol

from contextkit.chatml import REPLY_ROLE, body_of, role_of, tool_text, tools_body
from contextkit.errors import CounterError, MissingExtra
from contextkit.estimate import EstimateCounter
from contextkit.exact import TiktokenCounter
from contextkit.media_tokens import media_tokens
from contextkit.profiles import Profile


class TokenCounter(Protocol):
    """Counts the tokens of a text; local, synchronous, the same for the same text always."""

    @property
    def name(self) -> str:
        """Under which the counter stands in recorded settings."""
        ...

    @property
    def error(self) -> float:
        """The stated relative error of a count; 0.0 is exact."""
        ...

    def count(self, text: str) -> int:
        """The tokens of a text, without any template."""
        ...


@dataclass(frozen=True, slots=True)
class RequestCounter:
    """Counts messages and requests by a text counter and a profile's template.

    Attributes:
        counter: counts text.
        profile: says which template, and what the service adds.
        name: stands in recorded settings; two counters of one name count alike.
        error: the stated relative error of the text counter.
    """

    counter: TokenCounter
    profile: Profile
    name: str = field(init=False)
    error: float = field(init=False)
    _chatml: bool = field(init=False, repr=False, compare=False)
    _frames: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        chatml = self.profile.template == "chatml"
        count = self.counter.count
        # What a message costs besides its content; tool results are framed further.
        roles = ("system", "user", "assistant", "developer", *(() if chatml else ("tool",)))
        frames = {
            role: 2 + count(role_of({"role": role}) + "\n") + count("\n")
            if chatml
            else 3 + count(role)
            for role in roles
        }
        set_field = object.__setattr__
        profile = self.profile
        media = f"{profile.image}, audio {profile.audio:g}, pages {profile.page_detail}"
        set_field(self, "name", f"{self.counter.name}, {profile.template}, {media}")
        set_field(self, "error", self.counter.error)
        set_field(self, "_chatml", chatml)
        set_field(self, "_frames", frames)

    def message(self, data: Mapping[str, Any]) -> int:
        """Tokens that one chat message adds to a request."""
        content = data.get("content")
        if len(data) == 2 and content.__class__ is str:
            frame = self._frames.get(data.get("role", ""))
            # Only white space at its start can merge with the line break behind the role.
            if frame is not None and not (self._chatml and content[:1].isspace()):
                return frame + self.counter.count(content)
        return self._chatml_message(data) if self._chatml else self._openai_message(data)

    def fixed(
        self,
        tools: Sequence[Mapping[str, Any]] = (),
        response_format: Mapping[str, Any] | None = None,
    ) -> int:
        """Tokens around the messages: tools, response format, priming of the reply, overhead.

        Exact for the embedded server (`llama.cpp`), where a response format becomes a grammar and
        costs nothing. Elsewhere upper bounds: tools and format as their JSON; for the `openai`
        template 7 more per tool and 12 more for all, after the cookbook, whose formula speaks of
        flat schemas only and gave no more than this bound in every case tried.
        """
        count = self.counter.count
        tokens = self.profile.overhead
        local = self.profile.provider == "llama.cpp"
        if self._chatml:
            tokens += 1 + count(REPLY_ROLE)
            if tools:
                texts = map(tool_text if local else _json, tools)
                tokens += self._block("system", tools_body(texts))
        else:
            tokens += 3
            if tools:
                tokens += 12 + sum(7 + count(_compact_json(tool)) for tool in tools)
        if response_format and not local and response_format.get("type") != "text":
            tokens += count(_compact_json(response_format))
        return tokens

    def encode(self, text: str) -> list[int]:
        """Token ids of a rendered prompt, such as `render_chatml` gives.

        Raises CounterError where the text counter has no vocabulary.
        """
        if not isinstance(self.counter, TiktokenCounter):
            raise CounterError(f"{self.counter.name} counts tokens but cannot name them")
        return self.counter.encode(text)

    def special_tokens_in(self, data: str | Mapping[str, Any]) -> tuple[str, ...]:
        """Strings in a text or message that act as control tokens with this provider.

        Worth a warning: whoever can write them can end the message that they stand in.
        """
        if not isinstance(self.counter, TiktokenCounter):
            return ()
        return self.counter.special_tokens_in(data if isinstance(data, str) else _json(data))

    def _chatml_message(self, data: Mapping[str, Any]) -> int:
        parts = data.get("content")
        media = 0
        if not isinstance(parts, str) and isinstance(parts, Sequence):
            media = sum(map(self._beside_text, parts))
        return self._block(role_of(data), body_of(data)) + media

    def _block(self, role: str, body: str) -> int:
        count = self.counter.count
        if body[:1].isspace() or role not in self._frames:
            return 2 + count(f"{role}\n{body}") + count("\n")
        return self._frames[role] + count(body)

    def _openai_message(self, data: Mapping[str, Any]) -> int:
        count = self.counter.count
        role = str(data.get("role", ""))
        tokens = self._frames.get(role) or 3 + count(role)
        content = data.get("content")
        if isinstance(content, str):
            tokens += count(content)
        elif isinstance(content, Sequence):
            tokens += sum(map(self._part, content))
        for key in ("tool_call_id", "refusal", "reasoning_content", "reasoning"):
            if isinstance(data.get(key), str):
                tokens += count(data[key])
        if isinstance(data.get("name"), str):
            tokens += 1 + count(data["name"])
        for call in data.get("tool_calls") or ():
            # Name, arguments, and what marks them as a call: not published, 8 is an upper bound
            # of what OpenAI's open models spend (to=functions., channel, constrain, call).
            function = call.get("function") or call.get("custom") or {}
            tokens += 8 + sum(count(_text(value)) for value in function.values())
        for key in ("function_call", "audio"):
            if data.get(key):
                tokens += count(_compact_json(data[key]))
        return tokens

    def _part(self, part: Any) -> int:
        text = self.counter.count(part["text"]) if _is_text(part) else 0
        return text + self._beside_text(part)

    def _beside_text(self, part: Any) -> int:
        """Tokens of what a content part has besides its `text`."""
        media = media_tokens(part, self.profile)
        if media is not None:
            return media
        if _is_text(part):
            return 0
        if isinstance(part, Mapping) and isinstance(part.get("refusal"), str):
            return self.counter.count(part["refusal"])
        return self.counter.count(_compact_json(part))


def counter_for(profile: Profile, counter: TokenCounter | None = None) -> RequestCounter:
    """The counter of a profile: its vocabulary, or the given counter of text.

    Where the vocabulary is not on this machine, an estimate takes its place; that is logged once,
    and shows in `name` and `error`.
    """
    if counter is None:
        counter = _text_counter(profile.vocabulary, profile.special_tokens)
    return RequestCounter(counter, profile)


@lru_cache(maxsize=16)
def _text_counter(vocabulary: str, special_tokens: Literal["text", "control"]) -> TokenCounter:
    if vocabulary == "estimate":
        return EstimateCounter()
    try:
        return TiktokenCounter(vocabulary, special_tokens=special_tokens)
    except MissingExtra as missing:
        estimate = EstimateCounter(vocabulary)
        logging.getLogger("contextkit").warning(
            "%s; until then tokens are estimated, with an error of up to %d %%",
            missing,
            100 * estimate.error,
        )
        return estimate


def _is_text(part: Any) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _compact_json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _compact_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
