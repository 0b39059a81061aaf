"""Parameters: which settings of a request changed, and what of its cached prefix that reaches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from contextkit.profiles import Profile

Reach = Literal["all", "messages"]

_BEHIND_SYSTEM = {"anthropic": frozenset({"tool_choice", "thinking"})}
"""Of what changes a prefix, that which leaves tools and system as they are.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching (a survey of 2026-09-29)
"""

_HARMLESS = frozenset(
    {
        *("extra_body", "extra_headers", "extra_query", "messages", "model", "timeout", "tools"),
        *("frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens"),
        *("metadata", "n", "presence_penalty", "prompt_cache_options", "prompt_cache_retention"),
        *("safety_identifier", "seed", "stop", "store", "stream", "stream_options", "temperature"),
        *("top_k", "top_logprobs", "top_p", "user"),
    }
)
"""What stands in no prompt, or is looked at elsewhere."""


def is_rendered(profile: Profile) -> bool:
    """Whether a response format is part of the prompt; local engines make a grammar of it."""
    return profile.provider not in ("llama.cpp", "vllm", "sglang")


def changed_parameters(
    before: Mapping[str, Any], now: Mapping[str, Any], profile: Profile
) -> dict[str, Reach]:
    """The changed parameters that are a part of what the provider caches, with what they reach."""
    known = {*profile.keyed_by, *profile.routing} - {"tools"}
    if is_rendered(profile):
        known.add("response_format")
    only_messages = _BEHIND_SYSTEM.get(profile.provider, frozenset())
    return {
        name: "messages" if name in only_messages else "all"
        for name in _changed(before, now)
        if name in known
    }


def suspects(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The changed parameters of which it is not known that they stand outside the prompt."""
    return [name for name in _changed(before, now) if name not in _HARMLESS]


def _changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    one, other = _flat(before), _flat(now)
    for name in sorted(one.keys() | other.keys()):
        if one.get(name) != other.get(name):
            yield name


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with those of `extra_body`, without those that are null."""
    body = request.get("extra_body")
    merged = {**request, **(body if isinstance(body, Mapping) else {})}
    return {name: value for name, value in merged.items() if value is not None}
