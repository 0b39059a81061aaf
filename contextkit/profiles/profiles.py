"""A profile: what must be known of a model and its provider to build requests for it.

The facts are data, in `profiles.toml` beside this module, each entry dated and cited. They change
several times a year: re-check an entry against its sources before you rely on it.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from contextkit.errors import ProfileError
from contextkit.image_rules import ImageRule, image_rule
from contextkit.profiles.caches import CacheRules, Conflict, Lifetime, Price

Provider = Literal[
    "qwen", "openai", "anthropic", "deepseek", "gemini", "vllm", "sglang", "llama.cpp"
]
VocabularyName = Literal["o200k_base", "cl100k_base", "qwen", "qwen3.6", "smollm2", "estimate"]


@dataclass(frozen=True, slots=True)
class Profile:
    """Facts about a family of models. Own ones are made with `dataclasses.replace`.

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
        usage: names of the fields of a reported usage: `input`, `read`, `write`.
        routing: the request parameters that keep a conversation on the machine with its cache.
        isolation: between whom the cache is never shared, in words.
        drops_reasoning: whether the provider's template leaves out the reasoning of finished turns.
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
    isolation: str = ""
    drops_reasoning: bool = False
    overhead: int = 0
    image: ImageRule | None = None
    audio: float = 25.0  # the most of the rates published for any provider here
    page_detail: Literal["low", "high"] = "high"
    sources: tuple[str, ...] = ()
    checked: date | None = None
    unverified: tuple[str, ...] = ()

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

    def price(self, input_tokens: int) -> Price | None:
        """The price of a request of that length; None where it is not known."""
        fitting = [price for price in self.prices if input_tokens > price.above or not price.above]
        return max(fitting, key=lambda price: price.above, default=None)


@lru_cache(maxsize=1)
def known_profiles() -> Mapping[str, Profile]:
    """All profiles by name, read once per process."""
    text = files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    images = {
        name: image_rule({**rule, "source": group["source"], "checked": group["checked"]})
        for group in data["image"]
        for name, rule in group["rules"].items()
    }
    rules: dict[str, CacheRules] = {}
    for name, entry in data["cache"].items():
        shared = data["cache"][entry["like"]] if "like" in entry else {}
        rules[name] = _cache_rules(name, {**shared, **entry})
    entries: dict[str, dict[str, Any]] = {}
    for entry in data["profile"]:
        like = entry.pop("like", None)
        shared = entries[like] if like else data["provider"][entry["provider"]]
        entries[entry["name"]] = {**shared, **entry}
    profiles = (_profile(entry, images, rules) for entry in entries.values())
    return MappingProxyType({profile.name: profile for profile in profiles})


def profile_for(model: str) -> Profile:
    """The profile whose model prefix is the longest that fits.

    What a gateway puts before the name (`openai/`, `ft:`) is ignored. `generic` is a profile for
    any model: a window of 8,192 tokens, estimated counts, unknown prices. Raises ProfileError
    with the nearest names where nothing fits.
    """
    if not isinstance(model, str):
        raise ProfileError(f"a model is named by a string, not {model!r:.60}")
    return _profile_for(model)


@lru_cache(maxsize=256)
def _profile_for(model: str) -> Profile:
    name = model.lower().rsplit("/", 1)[-1].removeprefix("ft:")
    fitting = [
        (len(prefix), profile)
        for profile in known_profiles().values()
        for prefix in profile.models
        if name.startswith(prefix)
    ]
    if fitting:
        return max(fitting, key=lambda pair: pair[0])[1]
    prefixes = [prefix for profile in known_profiles().values() for prefix in profile.models]
    near = difflib.get_close_matches(name, prefixes, n=3, cutoff=0.5)
    nearest = f"; nearest are {', '.join(near)}" if near else ""
    raise ProfileError(
        f"there is no profile for the model {model!r}{nearest}. Pass one as profile=…: "
        "profile_for('generic'), or a known one changed with dataclasses.replace; wrap also takes "
        "profiles={model: profile}"
    )


def _profile(
    entry: dict[str, Any], images: Mapping[str, ImageRule], rules: Mapping[str, CacheRules]
) -> Profile:
    lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
    image = {"image": images[entry["image"]]} if "image" in entry else {}
    caches = {"caches": tuple(_of_model(rules, cache) for cache in entry.get("caches", ()))}
    prices = {"prices": tuple(Price(**price) for price in entry.get("prices", ()))}
    return Profile(**{**entry, **lists, **image, **caches, **prices})


def _cache_rules(name: str, entry: Mapping[str, Any]) -> CacheRules:
    known = {field.name for field in fields(CacheRules)}
    values = {key: value for key, value in entry.items() if key in known}
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    parts = {
        "lifetimes": tuple(Lifetime(**lifetime) for lifetime in entry.get("lifetimes", ({},))),
        "conflicts": tuple(Conflict(**conflict) for conflict in entry.get("conflicts", ())),
    }
    return CacheRules(**{**values, **lists, **parts, "name": name})


def _of_model(rules: Mapping[str, CacheRules], cache: str | Mapping[str, Any]) -> CacheRules:
    """The rules of a cache by name, with the figures that a model has of its own."""
    if isinstance(cache, str):
        return rules[cache]
    own: dict[str, Any]
    own = {key: tuple(value) if isinstance(value, list) else value for key, value in cache.items()}
    return replace(rules[str(own.pop("rules"))], **own)
