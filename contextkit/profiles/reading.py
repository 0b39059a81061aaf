"""Profiles read from TOML: the shipped ones beside this module, and those of a user's own file.

The format is the same for both:

    [[image]]           how images are counted: rules by name, with their source
    [cache."a name"]    fields of CacheRules, or `write` and `ttl` of its default lifetime; `like`
                        takes the rest from an earlier one
    [provider.a-name]   fields of Profile for the profiles of this provider that say nothing else;
                        `price` has the fields of Price for all their prices in the same file;
                        one of your own names by `provider` the known one whose rules it follows
    [[profile]]         fields of Profile; `like` names an earlier profile, else `provider` one of
                        those; `caches` are names of caches, or { rules = "a name", … } with own
                        figures; `image` is the name of an image rule

The text `unknown` stands for None. A user's file stands on the shipped ones: its entries may be
like any of them, and name their caches, providers and image rules. What a figure rests on goes with
it: `sources`, `checked`, and under `unverified` the fields whose value is a careful guess (of
several figures in circulation the one that does the least harm).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from contextkit.errors import ProfileError
from contextkit.image_rules import ImageRule, image_rule
from contextkit.profiles.caches import CacheRules, Conflict, Lifetime, Price
from contextkit.profiles.checks import check_types
from contextkit.profiles.profiles import Profile

UNKNOWN = "unknown"
"""What stands for None in TOML, which has no null."""

_TABLES = ("image", "cache", "provider", "profile")
_T = TypeVar("_T")


@dataclass(frozen=True)
class Shelf:
    """What some files say together: each kind of entry by its name."""

    images: Mapping[str, ImageRule]
    caches: Mapping[str, CacheRules]
    providers: Mapping[str, Mapping[str, Any]]
    entries: Mapping[str, Mapping[str, Any]]
    profiles: Mapping[str, Profile]

    def with_file(self, text: str, name: str) -> Shelf:
        """This shelf with the entries of one more file.

        Raises:
            ProfileError: with the file, the entry, and what about it cannot be.
        """
        data = _tables(text, name)
        images, caches = dict(self.images), dict(self.caches)
        # What a provider's prices have in common, their source first of all, is said of those in
        # the same file alone.
        entries, profiles = _without_price(self.entries), dict(self.profiles)
        providers = {**_without_price(self.providers), **data["provider"]}
        for group in data["image"]:
            said = {field: group.get(field) for field in ("source", "checked")}
            for key, rule in group.get("rules", {}).items():
                with _at(f"{name}: image {key!r}"):
                    images[key] = image_rule({**rule, **said})
                    check_types(images[key])
        for key, entry in data["cache"].items():
            with _at(f"{name}: cache {key!r}"):
                caches[key] = _cache_rules(key, entry, caches)
        for number, entry in enumerate(data["profile"], 1):
            key = entry.get("name", number)
            with _at(f"{name}: profile {key!r}"):
                entries[key] = _whole(entry, entries, providers)
                profiles[key] = _profile(entries[key], images, caches)
        return Shelf(images, caches, providers, entries, profiles)


@lru_cache(maxsize=1)
def shipped() -> Shelf:
    """All that comes with contextkit, read once per process."""
    shelf = Shelf({}, {}, {}, {}, {})
    folder = files(__package__).joinpath("data")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            shelf = shelf.with_file(file.read_text(encoding="utf-8"), file.name)
    return shelf


def known_profiles() -> Mapping[str, Profile]:
    """All shipped profiles by the names of their entries."""
    return MappingProxyType(dict(shipped().profiles))


def load_profiles(path: str | Path) -> Mapping[str, Profile]:
    """Profiles of one's own, from a TOML file in the format of the shipped ones.

    An entry that is `like` another one has all that it does not say itself from there; else it
    names a `provider` and has the rest from that. Figures of a cache are given with its rules, and
    the text `unknown` stands for what is not known:

        [[profile]]
        name = "qwen-plus in Singapore"
        like = "qwen-plus"
        models = ["qwen-plus"]
        window = 1000000
        caches = [{ rules = "qwen implicit", read = 0.25 }, "qwen explicit"]

    Returns:
        profiles by the prefixes of the models' names that they speak of: what `profile_for` and
        `wrap` take as `profiles`.

    Raises:
        ProfileError: with the file, the entry, the field and the value that cannot be.
        OSError: when the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not UTF-8: {error}") from error
    before = shipped()
    after = before.with_file(text, str(path))
    own = [
        profile
        for key, profile in after.profiles.items()
        if before.profiles.get(key) is not profile
    ]
    return MappingProxyType({prefix: profile for profile in own for prefix in profile.models})


def _tables(text: str, name: str) -> Mapping[str, Any]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{name} is not TOML: {error}") from error
    for key, value in data.items():
        if key not in _TABLES:
            raise ProfileError(f"{name}: there is no table {key!r}; there are {', '.join(_TABLES)}")
        inner: Any = value if key in ("image", "profile") else [value]
        if key in ("cache", "provider") and isinstance(value, dict):
            inner = [*inner, *value.values()]
        if not isinstance(inner, list) or not all(isinstance(one, dict) for one in inner):
            form = f"[[{key}]]" if key in ("image", "profile") else f'[{key}."a name"]'
            raise ProfileError(f"{name}: {key} is written {form}, not {value!r:.60}")
    empty: dict[str, Any] = {"image": [], "cache": {}, "provider": {}, "profile": []}
    return {**empty, **data}


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Whatever cannot be about an entry is an error that names it."""
    try:
        yield
    except ProfileError as error:
        raise ProfileError(f"{place}: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ProfileError(f"{place}: {type(error).__name__}: {error}") from error


def _without_price(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {
        name: {field: value for field, value in table.items() if field != "price"}
        for name, table in tables.items()
    }


def _whole(
    entry: Mapping[str, Any],
    entries: Mapping[str, Mapping[str, Any]],
    providers: Mapping[str, Mapping[str, Any]],
) -> Mapping[str, Any]:
    """An entry with what it has from the one that it is like, or from its provider."""
    own = dict(entry)
    like, provider = own.pop("like", None), own.get("provider")
    if like is not None:
        whole = {**_entry(entries, like, "like"), **own}
    elif provider is not None:
        # A provider of one's own says by which known one's rules it works.
        table = _entry(providers, own.pop("provider"), "provider")
        whole = {"provider": provider, **table, **own}
    else:
        raise ProfileError("it says neither `like`, an entry, nor `provider`")
    if "prices" in own:
        shared = whole.get("price", {})
        whole["prices"] = [
            {**shared, **price} if isinstance(price, Mapping) else price
            for price in _list(own, "prices")
        ]
    return whole


def _profile(
    entry: Mapping[str, Any], images: Mapping[str, ImageRule], caches: Mapping[str, CacheRules]
) -> Profile:
    own = {field: value for field, value in entry.items() if field != "price"}
    if own.get("image", UNKNOWN) != UNKNOWN:
        own["image"] = _entry(images, own["image"], "image")
    own["caches"] = [_of_model(caches, cache) for cache in _list(own, "caches")]
    own["prices"] = [_made(Price, price) for price in _list(own, "prices")]
    return _made(Profile, own)


def _cache_rules(
    name: str, entry: Mapping[str, Any], caches: Mapping[str, CacheRules]
) -> CacheRules:
    own = dict(entry)
    like = own.pop("like", None)
    figures = _figures(own, besides=("write", "ttl"))
    of_default = {key: figures.pop(key) for key in ("write", "ttl") if key in figures}
    figures["name"] = name
    if like is None:
        rules = _made(CacheRules, figures)
    else:
        rules = replace(_entry(caches, like, "like"), **figures)
    return rules.changed(**of_default) if of_default else rules


def _of_model(caches: Mapping[str, CacheRules], cache: Any) -> CacheRules:
    """The rules of a cache by name, with the figures that a model has of its own."""
    if isinstance(cache, str):
        return _entry(caches, cache, "caches")
    if not isinstance(cache, Mapping) or "rules" not in cache:
        raise ProfileError(f"caches has {cache!r:.60}: a name, or rules = a name, with own figures")
    own = dict(cache)
    rules = _entry(caches, own.pop("rules"), "caches")
    return rules.changed(**_figures(own, besides=("write", "ttl")))


def _figures(entry: Mapping[str, Any], besides: Iterable[str] = ()) -> dict[str, Any]:
    """The fields of cache rules, with the tables inside them made what they stand for."""
    figures = _values(entry, CacheRules, besides)
    for name, kind in (("lifetimes", Lifetime), ("conflicts", Conflict)):
        if name in figures:
            figures[name] = tuple(_made(kind, one) for one in _list(figures, name))
    return figures


def _made(kind: type[_T], entry: Any) -> _T:
    """An entry as what it stands for.

    Raises:
        ProfileError: when it says what there is no field for, or lacks one that it needs.
    """
    if not isinstance(entry, Mapping):
        raise ProfileError(f"{kind.__name__} is a table, not {entry!r:.60}")
    values = _values(entry, kind)
    data: Any = kind
    missing = [
        field.name
        for field in fields(data)
        if field.name not in values
        and field.default is MISSING
        and field.default_factory is MISSING
    ]
    if missing:
        raise ProfileError(f"{kind.__name__} does not say {', '.join(missing)}")
    return kind(**values)


def _values(entry: Mapping[str, Any], kind: Any, besides: Iterable[str] = ()) -> dict[str, Any]:
    known = [*(field.name for field in fields(kind)), *besides]
    for name in entry:
        if name not in known:
            raise ProfileError(f"{kind.__name__} has no {name!r}; it has {', '.join(known)}")
    return {name: _value(value) for name, value in entry.items()}


def _list(entry: Mapping[str, Any], name: str) -> Iterable[Any]:
    given = entry.get(name, ())
    if not isinstance(given, list | tuple):
        raise ProfileError(f"{name} is a list, not {given!r:.60}")
    return given


def _value(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    return None if value == UNKNOWN else value


def _entry(entries: Mapping[str, _T], name: Any, field: str) -> _T:
    if not isinstance(name, str) or name not in entries:
        raise ProfileError(f"{field} names {name!r:.60}, which is no entry before this one")
    return entries[name]
