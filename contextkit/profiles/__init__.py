"""Profiles: dated, cited facts about models and their providers."""

from contextkit.profiles.caches import CacheRules, Conflict, Lifetime, Price
from contextkit.profiles.finding import profile_for
from contextkit.profiles.profiles import Profile
from contextkit.profiles.reading import known_profiles, load_profiles

__all__ = [
    "CacheRules",
    "Conflict",
    "Lifetime",
    "Price",
    "Profile",
    "known_profiles",
    "load_profiles",
    "profile_for",
]
