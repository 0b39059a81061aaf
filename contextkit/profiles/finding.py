"""The profile of a model, by its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from contextkit.errors import InputError, ProfileError
from contextkit.profiles.profiles import Profile
from contextkit.profiles.reading import known_profiles


def profile_for(model: str, profiles: Mapping[str, Profile] | None = None) -> Profile:
    """The profile whose model prefix is the longest that fits.

    What stands before a slash, and `ft:`, is ignored, unless a prefix has it: that one then goes
    before all that have not. `generic` is a profile for any model: a window of 8,192 tokens,
    estimated counts, unknown prices.

    Args:
        model: its name.
        profiles: more of them, by prefixes of model names, such as `load_profiles` gives. Where one
            of them fits as well as a shipped one, it is taken.

    Raises:
        ProfileError: with the nearest names, where nothing fits.
        InputError: when `profiles` is no dict of profiles.
    """
    if not isinstance(model, str):
        raise ProfileError(f"a model is named by a string, not {model!r:.60}")
    if not profiles:
        return _shipped_for(model)
    given: Any = profiles
    if not isinstance(given, Mapping) or not all(
        isinstance(prefix, str) and isinstance(profile, Profile)
        for prefix, profile in given.items()
    ):
        raise InputError("is a dict of profiles by model", place="profiles")
    known = {prefix.lower(): profile for prefix, profile in profiles.items()}
    return _longest(model, {**_prefixes(), **known})


@lru_cache(maxsize=256)
def _shipped_for(model: str) -> Profile:
    return _longest(model, _prefixes())


@lru_cache(maxsize=1)
def _prefixes() -> Mapping[str, Profile]:
    """The shipped profiles by all prefixes of model names."""
    return MappingProxyType(
        {prefix: profile for profile in known_profiles().values() for prefix in profile.models}
    )


def _longest(model: str, profiles: Mapping[str, Profile]) -> Profile:
    full = model.lower().removeprefix("ft:")
    name = full.rsplit("/", 1)[-1].removeprefix("ft:")
    fitting = [prefix for prefix in profiles if full.startswith(prefix) or name.startswith(prefix)]
    if fitting:
        return profiles[max(fitting, key=lambda prefix: ("/" in prefix, len(prefix)))]
    near = difflib.get_close_matches(name, profiles, n=3, cutoff=0.5)
    nearest = f"; nearest are {', '.join(near)}" if near else ""
    raise ProfileError(
        f"there is no profile for the model {model!r}{nearest}. Pass one as profile=…: "
        "profile_for('generic'), or a known one changed with dataclasses.replace; wrap also takes "
        "profiles={model: profile}, and load_profiles(path) reads them from a file"
    )
