"""Profiles: dated, cited facts about models and their providers."""

from contextkit.profiles.caches import CacheRules, Conflict, Lifetime, Price
from contextkit.profiles.profiles import Profile, known_profiles, profile_for

__all__ = [
    "CacheRules",
    "Conflict",
    "Lifetime",
    "Price",
    "Profile",
    "known_profiles",
    "profile_for",
]
