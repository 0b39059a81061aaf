"""Usage: what a provider reported for one request, in one normal form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from contextkit.errors import InputError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the provider reported them. What it did not report is None.

    Attributes:
        input_tokens: the whole input, what was read from the cache included.
        cache_read_tokens: the part of the input that was read from the cache.
        cache_write_tokens: the part of the input that was written to the cache at a price.
        output_tokens: the reply, reasoning included.
        reasoning_tokens: the part of the reply that is reasoning.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None

    @classmethod
    def of(cls, reported: Any) -> Usage | None:
        """Read the `usage` of a chat completion (SDK object or dict); None where there is none."""
        if reported is None:
            return None
        if isinstance(reported, Usage):
            return reported
        dump = getattr(reported, "model_dump", None)
        data = dump(mode="json", warnings=False) if callable(dump) else reported
        if not isinstance(data, Mapping):
            raise InputError(f"is a dict, not {type(data).__name__}", place="usage")
        inputs = data.get("prompt_tokens_details") or {}
        outputs = data.get("completion_tokens_details") or {}
        if not isinstance(inputs, Mapping) or not isinstance(outputs, Mapping):
            raise InputError("the details of tokens are dicts", place="usage")
        written = inputs.get("cache_write_tokens")
        return cls(
            input_tokens=data.get("prompt_tokens"),
            cache_read_tokens=inputs.get("cached_tokens"),
            cache_write_tokens=(
                written if written is not None else inputs.get("cache_creation_input_tokens")
            ),
            output_tokens=data.get("completion_tokens"),
            reasoning_tokens=outputs.get("reasoning_tokens"),
        )

    def to_json(self) -> dict[str, int]:
        """As JSON data, without what was not reported."""
        return {key: value for key, value in asdict(self).items() if value is not None}
