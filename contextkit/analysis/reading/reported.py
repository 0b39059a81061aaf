"""Reported: the usage of a request, wherever a log has it, and as logs of others count it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from contextkit.analysis.reading.records import USAGES, levels, streams
from contextkit.analysis.reading.requests import unpacked
from contextkit.usage import Usage


def usage_of(record: Any) -> Usage | None:
    """The usage that was reported: the first that tells what was read from a cache, else the first.

    Figures that stand in the record itself count where there is no usage.
    """
    found = [
        usage
        for level in levels(record, "metadata")
        for key in USAGES
        if (usage := _usage(unpacked(level.get(key)), key)) is not None
    ]
    for chunks in streams(record):
        parts = [_usage(one.get("usage"), "usage") for chunk in chunks for one in levels(chunk)]
        whole = Usage()
        for part in parts:
            whole = whole if part is None else whole | part
        found.append(whole)
    if isinstance(record, Mapping):
        flat = {_FLAT.get(str(key), str(key)): value for key, value in record.items()}
        found += filter(None, [_usage(flat, "")])
    known = [usage for usage in found if usage.input_tokens is not None]
    told = [usage for usage in known if usage.cache_read_tokens is not None]
    return next(iter(told or known), None)


_FLAT = {  # Helicone
    "prompt_cache_read_tokens": "cached_tokens",
    "prompt_cache_write_tokens": "cache_creation_input_tokens",
}


def _usage(reported: Any, key: str) -> Usage | None:
    if not isinstance(reported, Mapping):
        return None
    tokens = {name: n for name, n in reported.items() if type(n) is int and n >= 0}
    if key and "input" in tokens and "input_tokens" not in reported:
        return _langfuse(tokens)
    if key == "usage_metadata" and isinstance(
        details := reported.get("input_token_details"), Mapping
    ):  # LangChain: the whole input, with its parts beside
        parts = {
            "cached_tokens": details.get("cache_read"),
            "cache_creation_input_tokens": details.get("cache_creation"),
        }
        reported = {**reported, "input_tokens_details": parts}
    return Usage.of(reported)


def _langfuse(tokens: dict[str, int]) -> Usage:
    """Langfuse counts what was read from a cache beside `input`, and reasoning beside `output`.

    Where its `total` says otherwise, somebody else filled in the fields, and `input` is the whole.
    (langfuse/langfuse, packages/shared/src/server/ingestion/types.ts, 2026-11-22.)
    """
    read = next((tokens[key] for key in _LANGFUSE_READ if key in tokens), None)
    written = next((tokens[key] for key in _LANGFUSE_WRITTEN if key in tokens), None)
    beside = sum(n for key, n in tokens.items() if key.startswith("input_"))
    beside += sum(tokens.get(key, 0) for key in (_LANGFUSE_READ[0], _LANGFUSE_WRITTEN[0]))
    reasoning = tokens.get("output_reasoning_tokens", tokens.get("output_reasoning"))
    output = tokens.get("output", 0) + (reasoning or 0)
    total = tokens.get("total")
    within = total is not None and total == tokens["input"] + tokens.get("output", 0)
    if not within:
        tokens["input"] += beside
        tokens["output"] = output
    return Usage(
        input_tokens=tokens["input"],
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=tokens.get("output"),
        reasoning_tokens=reasoning,
    )


_LANGFUSE_READ = ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read")
_LANGFUSE_WRITTEN = ("cache_creation_input_tokens", "input_cache_creation")
