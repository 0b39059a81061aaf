"""Usage: what a provider reported for one request, in one normal form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from contextkit.errors import InputError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request as the provider reported them. What it did not report is None.

    Attributes:
        input_tokens: the whole input, what was read from the cache included.
        cache_read_tokens: the part of the input that was read from the cache.
        cache_write_tokens: the part of the input that was written to the cache at a price.
        cache_writes: those by the name of their lifetime, such as `5m`, where that was reported.
        output_tokens: the reply, reasoning included.
        reasoning_tokens: the part of the reply that is reasoning.
    """

    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_writes: Mapping[str, int] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        written: Any = self.cache_writes
        if written is not None and (
            not isinstance(written, Mapping) or None in [_tokens(n) for n in written.values()]
        ):
            raise InputError(
                f"are numbers of tokens by lifetime, not {written!r:.60}",
                place="Usage.cache_writes",
            )
        for name in (name for name in self.__slots__ if name != "cache_writes"):
            value = getattr(self, name)
            if value is not None and _tokens(value) != value:
                raise InputError(f"is a number of tokens, not {value!r:.60}", place=f"Usage.{name}")

    @classmethod
    def of(cls, reported: Any) -> Usage | None:
        """Read the `usage` of a chat completion (SDK object or dict); None where there is none.

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
        inputs, outputs = (
            details if isinstance(details := data.get(f"{name}_tokens_details"), Mapping) else {}
            for name in ("prompt", "completion")
        )
        written = inputs.get("cache_write_tokens")
        return cls(
            input_tokens=_tokens(data.get("prompt_tokens")),
            cache_read_tokens=_tokens(inputs.get("cached_tokens")),
            cache_write_tokens=_tokens(
                written if written is not None else inputs.get("cache_creation_input_tokens")
            ),
            output_tokens=_tokens(data.get("completion_tokens")),
            reasoning_tokens=_tokens(outputs.get("reasoning_tokens")),
        )

    def to_json(self) -> dict[str, Any]:
        """As JSON data, without what was not reported."""
        known = ((item.name, getattr(self, item.name)) for item in fields(self))
        return {
            key: dict(value) if isinstance(value, Mapping) else value
            for key, value in known
            if value is not None
        }


def _tokens(reported: Any) -> int | None:
    """A reported number of tokens; None for what is none."""
    if isinstance(reported, int) and not isinstance(reported, bool) and reported >= 0:
        return reported
    return None
