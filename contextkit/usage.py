"""Usage: what a provider reported for one request, in one normal form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from contextkit.errors import InputError

# Where providers put each figure, dots between levels; the first that holds a number counts. The
# sources stand beside the examples in tests/test_usage.py.
_INPUT = (
    "prompt_tokens",  # chat completions
    "input_tokens",  # Responses, DashScope, Anthropic
    "inputTokens",  # Bedrock
    "prompt_token_count",  # Gemini
    "promptTokenCount",
    "total_input_tokens",  # Gemini Interactions
)
_READ = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "input_tokens_details.cache_read_input_tokens",
    "cache_read_input_tokens",
    "cacheReadInputTokens",
    "cached_content_token_count",
    "cachedContentTokenCount",
    "total_cached_tokens",
    "prompt_cache_hit_tokens",  # DeepSeek
    "cached_tokens",  # Qwen VL in Singapore, Moonshot
    "cache_n",  # the timings of llama.cpp
)
_WRITE = (
    "prompt_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_input_tokens",
    "input_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_creation_input_tokens",
    "cache_creation_input_tokens",
    "cacheWriteInputTokens",
)
_REST = ("prompt_cache_miss_tokens", "prompt_n")  # input that was not read
_TOOL_USE = (  # input that Gemini's own tools gave it, counted beside the prompt
    "tool_use_prompt_token_count",
    "toolUsePromptTokenCount",
    "total_tool_use_tokens",
)
_OUTPUT = (
    "completion_tokens",
    "output_tokens",
    "outputTokens",
    "candidates_token_count",
    "candidatesTokenCount",
    "total_output_tokens",
    "predicted_n",
)
_REASONING = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "output_tokens_details.thinking_tokens",
)
_THOUGHTS = (  # reasoning that Gemini counts beside the output
    "thoughts_token_count",
    "thoughtsTokenCount",
    "total_thought_tokens",
)
_OUTSIDE = (  # beside `input_tokens`, these say that it is without what was read and written
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cacheReadInputTokens",
    "cacheWriteInputTokens",
    "cache_creation",
    "cacheDetails",
)
_WRITTEN_WITH = (  # tables of tokens written, by lifetime
    "prompt_tokens_details.cache_creation",
    "input_tokens_details.cache_creation",
    "input_tokens_details.cache_write_tokens_details",
    "prompt_tokens_details.cache_write_tokens_details",
    "cache_creation",
)
_LIFETIME = re.compile(r"(?:ephemeral|ttl)_(\w+?)_(?:input_)?tokens")


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the provider reported them. What it did not report is None.

    Attributes:
        input_tokens: the whole input, what was read from the cache and written to it included.
        cache_read_tokens: the part of the input that was read from the cache.
        cache_write_tokens: the part of the input that was written to the cache at a price.
        cache_writes: those by the name of their lifetime, such as `5m`, where that was reported.
        output_tokens: the reply, reasoning included.
        reasoning_tokens: the part of the reply that is reasoning.
        cache_type: the kind of cache that was at work, where that was reported: Qwen says
            `ephemeral` for its explicit cache, and nothing for the implicit one.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_writes: Mapping[str, int] | None = field(default=None, hash=False)
    cache_type: str | None = None

    def __post_init__(self) -> None:
        written, kind = _any(self.cache_writes), _any(self.cache_type)
        if written is not None and (
            not isinstance(written, Mapping) or None in [_tokens(n) for n in written.values()]
        ):
            raise InputError(
                f"are numbers of tokens by lifetime, not {written!r:.60}",
                place="Usage.cache_writes",
            )
        if kind is not None and not isinstance(kind, str):
            raise InputError(f"is a name, not {kind!r:.60}", place="Usage.cache_type")
        for name in self.__slots__:
            value = getattr(self, name)
            counts = name not in ("cache_writes", "cache_type") and value is not None
            if counts and _tokens(value) != value:
                raise InputError(f"is a number of tokens, not {value!r:.60}", place=f"Usage.{name}")

    @classmethod
    def of(cls, reported: Any) -> Usage | None:
        """Read the usage of a reply (SDK object or dict), or a whole reply; None where it has none.

        The shapes of chat completions, Responses, DashScope, Anthropic (also Qwen's endpoint of
        that kind), Bedrock, Gemini, DeepSeek, xAI, OpenRouter and llama.cpp are known by their
        fields. Where a provider counts what it read from the cache beside its input tokens, and not
        among them, or reasoning beside the output, that is added.

        A figure that is no number of tokens (text, NaN, negative) counts as not reported: a reply
        that was paid for is not lost over it.

        Raises:
            InputError: when it is neither an SDK object nor a dict.
        """
        if reported is None:
            return None
        if isinstance(reported, Usage):
            return reported
        dump = getattr(reported, "model_dump", None)
        data = dump(mode="json", warnings=False) if callable(dump) else reported
        if not isinstance(data, Mapping):
            raise InputError(f"is a dict, not {type(data).__name__}", place="usage")
        whole_reply = data.get("usage")
        if isinstance(whole_reply, Mapping):
            return cls.of(whole_reply)
        given, read, rest = _first(data, _INPUT), _first(data, _READ), _first(data, _REST)
        by_lifetime = _by_lifetime(data)
        written = _first(data, _WRITE)
        if written is None and by_lifetime:
            written = sum(by_lifetime.values())
        whole = given
        if given is None and read is not None and rest is not None:
            whole = read + rest
        elif given is not None and "prompt_tokens" not in data and any(k in data for k in _OUTSIDE):
            whole = given + (read or 0) + (written or 0)
        if whole is not None:
            whole += _first(data, _TOOL_USE) or 0
        output, reasoning = _output(data)
        return cls(
            input_tokens=whole,
            cache_read_tokens=read,
            cache_write_tokens=written,
            output_tokens=output,
            reasoning_tokens=reasoning,
            cache_writes={name: n for name, n in by_lifetime.items() if n} or None,
            cache_type=next((kind for kind in map(_kind, _inputs(data)) if kind), None),
        )

    def __or__(self, later: Usage) -> Usage:
        """This usage with what a later event of the same reply reported.

        Anthropic's stream begins with the input (`message_start`) and says at its end
        (`message_delta`) how long the reply was: `Usage.of(start) | Usage.of(delta)`.
        """
        known = {f.name: getattr(later, f.name) for f in fields(later)}
        return replace(self, **{name: value for name, value in known.items() if value is not None})

    def to_json(self) -> dict[str, Any]:
        """As JSON data, without what was not reported."""
        known = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {
            key: dict(value) if isinstance(value, Mapping) else value
            for key, value in known
            if value is not None
        }


def _inputs(data: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A usage, and those of its parts that Qwen's Responses list under `x_details`."""
    yield data
    details = data.get("x_details")
    for part in details if isinstance(details, list) else ():
        if isinstance(part, Mapping):
            yield part


def _kind(data: Mapping[str, Any]) -> str | None:
    for name in ("prompt_tokens_details", "input_tokens_details"):
        kind = _at(data, f"{name}.cache_type")
        if isinstance(kind, str):
            return kind
    return None


def _output(data: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Tokens of the reply with its reasoning, and of the reasoning alone."""
    output, reasoning = _first(data, _OUTPUT), _first(data, _REASONING)
    thoughts = _first(data, _THOUGHTS)
    if thoughts is not None:
        return (output or 0) + thoughts, thoughts
    # xAI counts it beside the output in chat completions: there the total is more than the sum.
    given, total = _first(data, _INPUT), _tokens(data.get("total_tokens"))
    if output is not None and reasoning and given is not None:
        output += reasoning if total == given + output + reasoning else 0
    return output, reasoning


def _first(data: Mapping[str, Any], paths: tuple[str, ...]) -> int | None:
    """The first number of tokens that stands at one of these places."""
    for part in _inputs(data):
        for path in paths:
            if (found := _tokens(_at(part, path))) is not None:
                return found
    return None


def _by_lifetime(data: Mapping[str, Any]) -> dict[str, int]:
    """Tokens written, by the names of lifetimes."""
    found: dict[str, int] = {}
    for part in _inputs(data):
        for path in _WRITTEN_WITH:
            table = _at(part, path)
            for key, value in table.items() if isinstance(table, Mapping) else ():
                name, tokens = _LIFETIME.fullmatch(str(key)), _tokens(value)
                if name and tokens is not None:
                    found[name[1]] = tokens
    details = data.get("cacheDetails")  # Bedrock
    for item in details if isinstance(details, list) else ():
        tokens = _tokens(_at(item, "inputTokens"))
        if tokens is not None and isinstance(name := _at(item, "ttl"), str):
            found[name] = found.get(name, 0) + tokens
    return found


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, Mapping) else None
    return data


def _tokens(reported: Any) -> int | None:
    """A reported number of tokens; None for what is none."""
    if isinstance(reported, int) and not isinstance(reported, bool) and reported >= 0:
        return reported
    return None


def _any(value: Any) -> Any:
    """A value as it was given, whatever its annotation says."""
    return value
