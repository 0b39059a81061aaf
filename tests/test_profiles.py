"""Profiles: the right facts for a model's name, and facts that are dated and cited."""

from dataclasses import FrozenInstanceError, fields, replace
from datetime import date

import pytest

from contextkit.errors import ProfileError
from contextkit.profiles import Profile, known_profiles, profile_for
from contextkit.vocabularies import VOCABULARIES

PROFILES = list(known_profiles().values())


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("qwen-plus", "qwen-plus"),
        ("qwen-plus-latest", "qwen-plus"),
        ("qwen-max-2025-01-25", "qwen-max"),
        ("Qwen/Qwen3-8B", "qwen3"),
        ("qwen3-max", "qwen3-max"),
        ("qwen3.6-plus", "qwen3.5 to 3.7, hosted"),
        ("qwen3.6-27b", "qwen3.5 to 3.7"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-4-turbo-2024-04-09", "gpt-4-turbo"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4o-2024-11-20", "gpt-4o"),
        ("gpt-4.1-nano", "gpt-4.1-nano"),
        ("gpt-5.1", "gpt-5"),
        ("gpt-5.5", "gpt-5.5"),
        ("qwen-vl-max", "qwen-vl"),
        ("qwen-vl-max-2025-04-08", "qwen2.5-vl"),
        ("gpt-5.6-sol", "gpt-5.6"),
        ("openai/gpt-4o", "gpt-4o"),
        ("ft:gpt-4o-2024-08-06:acme::1", "gpt-4o"),
        ("smollm2-135m-instruct", "smollm2"),
        ("generic", "generic"),
    ],
)
def test_the_longest_prefix_of_a_models_name_decides(model, name):
    assert profile_for(model).name == name


def test_an_unknown_model_is_an_error_that_names_near_ones_and_the_way_out():
    with pytest.raises(ProfileError, match="profile=") as caught:
        profile_for("gtp-4o")
    assert "gpt-4o" in str(caught.value)
    assert "'gtp-4o'" in str(caught.value)


def test_the_generic_profile_claims_nothing():
    generic = profile_for("generic")
    assert generic.vocabulary == "estimate"
    assert generic.cache() is None
    assert generic.window == 8192


def test_what_an_entry_is_like_it_takes_from_there():
    mini, whole = profile_for("gpt-4o-mini"), profile_for("gpt-4o")
    own = ("name", "models", "image", "prices")
    assert mini == replace(whole, **{field: getattr(mini, field) for field in own})
    assert mini.image != whole.image


def test_caching_before_and_since_gpt_5_6():
    before, since = profile_for("gpt-5").cache(), profile_for("gpt-5.6").cache()
    assert (before.read, before.write, before.match) == (0.1, 1.0, "blocks")
    assert (since.read, since.write, since.match) == (0.1, 1.25, "points")


@pytest.mark.parametrize("model", ["gpt-5", "qwen-turbo"])
def test_the_reserve_covers_what_the_provider_keeps_for_the_reply(model):
    largest_input = {"gpt-5": 272_000, "qwen-turbo": 98_304}[model]
    profile = profile_for(model)
    assert profile.window - profile.reserve <= largest_input


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_profile_is_complete_dated_and_cited(profile):
    assert profile.models
    assert 0 < profile.reserve < profile.window
    assert profile.vocabulary in (*VOCABULARIES, "estimate")
    assert profile.template in ("openai", "chatml")
    assert profile.special_tokens in ("text", "control")
    assert profile.reasoning in ("with tool calls", "all", "none")
    assert isinstance(profile.checked, date)
    assert profile.name == "generic" or profile.sources
    assert all(source.startswith("https://") for source in profile.sources)
    assert set(profile.unverified) <= {field.name for field in fields(Profile)}
    assert profile.audio > 0
    assert profile.page_detail in ("low", "high")
    if profile.image is not None:
        assert profile.image.source.startswith("https://")
        assert isinstance(profile.image.checked, date)
    for rules in profile.caches:
        for ratio in (rules.read, rules.write):
            assert ratio is None or 0 <= ratio <= 2


def test_no_two_profiles_claim_the_same_models():
    prefixes = [prefix for profile in PROFILES for prefix in profile.models]
    assert len(prefixes) == len(set(prefixes))


def test_a_profile_cannot_be_changed_but_copied_with_changes():
    profile = profile_for("qwen-plus")
    with pytest.raises(FrozenInstanceError):
        profile.window = 1
    assert replace(profile, window=1_000_000).window == 1_000_000
    assert profile_for("qwen-plus").window != 1_000_000
