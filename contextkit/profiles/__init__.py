"""Profiles: dated, cited facts about models and their providers."""

from contextkit.profiles.profiles import Profile, known_profiles, profile_for

__all__ = ["Profile", "known_profiles", "profile_for"]
