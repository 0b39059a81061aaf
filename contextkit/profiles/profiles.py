"""A profile: what must be known of a model and its provider to build requests for it.

The facts are data, in `data/` beside this module, each entry dated and cited. They change several
times a year: re-check an entry against its sources before you rely on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from types import MappingProxyType
from typing import Any, Literal

from contextkit.errors import ProfileError
from contextkit.image_rules import ImageRule
from contextkit.profiles.caches import CacheRules, Price
from contextkit.profiles.checks import check_names, check_number, check_types

Provider = Literal[
    "qwen", "openai", "anthropic", "deepseek", "gemini", "vllm", "sglang", "llama.cpp", "other"
]
VocabularyName = Literal["o200k_base", "cl100k_base", "qwen", "qwen3.6", "smollm2", "estimate"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts about a family of models.

    Own ones are made with `dataclasses.replace`, `with_cache`, or in a file: `load_profiles`.

    Attributes:
        name: of the entry.
        provider: whose rules for requests and usage apply.
        models: prefixes of the model names that it speaks of.
        window: tokens of input and reply together.
        reserve: tokens taken off the window for the reply where the caller does not say
            `max_tokens`; at least what the provider keeps for the reply itself.
        vocabulary: by which tokens are counted.
        template: how messages become a prompt.
        special_tokens: whether strings such as `<|im_start|>` inside content are plain text to
            the model, or act as control tokens.
        reasoning: which assistant messages keep their `reasoning_content`.
        caches: the rules of its prompt caches; the first is the one that works by itself.
        prices: per million tokens, by tiers of the length of the input, the lowest first.
        order: of what stands in the prompt.
        includes_cached: whether the input tokens that the provider reports include cached ones.
        usage: names of the fields of a reported usage: `input`, `read`, `write`, `output`; with
            dots between levels.
        routing: the request parameters that keep a conversation on the machine with its cache.
        routing_headers: request headers that do.
        keyed_by: the request parameters, besides model and messages, that are part of the prefix:
            what was cached under other values is not read.
        isolation: within what a cache is shared, and never beyond it, in words.
        text_as_part: whether a string as content and the same text as one part render alike.
        drops_reasoning: whether the provider's template leaves out the reasoning of finished turns.
        alternates: whether the user and the assistant must take turns, as the chat templates of
            some open models demand: what would stand side by side is sent as one message.
        overhead: tokens that the service adds to every request by itself, at most.
        image: how images are counted; None where that is not known.
        audio: tokens of a second of sound.
        page_detail: at which the service looks at the pages of a PDF.
        sources: where the facts stand.
        checked: when they were read there.
        unverified: names of fields whose value is a careful guess.
    """

    name: str
    provider: Provider
    models: tuple[str, ...]
    window: int
    reserve: int
    vocabulary: VocabularyName
    template: Literal["openai", "chatml"]
    special_tokens: Literal["text", "control"]
    reasoning: Literal["with tool calls", "all", "none"]
    caches: tuple[CacheRules, ...] = ()
    prices: tuple[Price, ...] = ()
    order: tuple[str, ...] = ("tools", "system", "messages")
    includes_cached: bool = True
    usage: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    routing: tuple[str, ...] = ()
    routing_headers: tuple[str, ...] = ()
    keyed_by: tuple[str, ...] = ()
    isolation: str = ""
    text_as_part: bool = True
    drops_reasoning: bool = False
    alternates: bool = False
    overhead: int = 0
    image: ImageRule | None = None
    audio: float = 25.0  # the most of the rates published for any provider here
    page_detail: Literal["low", "high"] = "high"
    sources: tuple[str, ...] = ()
    checked: date | None = None
    unverified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_types(self)
        check_names(self)
        for name in ("window", "reserve"):
            check_number(self, name, least=1)
        check_number(self, "overhead")
        check_number(self, "audio", above=True)
        if self.reserve >= self.window:
            raise ProfileError(
                f"Profile.reserve of {self.name!r} cannot be {self.reserve:,}: "
                f"the window is {self.window:,}"
            )
        above = [price.above for price in self.prices]
        if above and (above[0] or above != sorted(set(above))):
            raise ProfileError(
                f"Profile.prices of {self.name!r} begin above {above} tokens: "
                "the first is of any length, above = 0, and each later one begins higher"
            )
        if len({price.currency for price in self.prices}) > 1:
            raise ProfileError(f"Profile.prices of {self.name!r} are in more than one currency")

    def cache(self, mode: str | None = None) -> CacheRules | None:
        """The rules of a kind of cache; by default of the one that works by itself, if any.

        Raises:
            ProfileError: when the model has no cache of that kind.
        """
        if mode is None:
            return next((rules for rules in self.caches if rules.mode == "implicit"), None)
        for rules in self.caches:
            if rules.mode == mode:
                return rules
        known = ", ".join(rules.mode for rules in self.caches) or "none at all"
        raise ProfileError(f"{self.name} has no {mode} cache; it has {known}")

    def with_cache(self, mode: str, **figures: Any) -> Profile:
        """A copy in which one kind of cache has other figures.

        Args:
            mode: of the cache that is changed.
            figures: fields of `CacheRules`, or `write` and `ttl` of its default lifetime.

        Raises:
            ProfileError: when there is no such cache or field, or a value cannot be.

        Example:
            >>> from contextkit import profile_for
            >>> profile = profile_for("qwen-plus").with_cache("implicit", read=0.4)
            >>> profile.cache("implicit").read
            0.4
        """
        old = self.cache(mode)
        new = old.changed(**figures) if old else old
        caches = tuple(new if rules is old and new else rules for rules in self.caches)
        return replace(self, caches=caches)

    def price(self, input_tokens: int) -> Price | None:
        """The price of a request of that length; None where it is not known."""
        fitting = [price for price in self.prices if input_tokens > price.above or not price.above]
        return max(fitting, key=lambda price: price.above, default=None)
