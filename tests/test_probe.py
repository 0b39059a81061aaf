"""A probe finds out what a provider does, from outside: played by profiles, and on a real server."""

import tomllib
from dataclasses import replace

import pytest
from openai import OpenAI

from contextkit.analysis.probing import Probing, probe
from contextkit.profiles import known_profiles, load_profiles, profile_for
from tests.caching_provider import CachingProvider, Clock

CACHES = {
    rules.name: (rules, profile)
    for profile in known_profiles().values()
    for rules in profile.caches
    if rules.mode != "resource"
}


def client_of(provider):
    return OpenAI(base_url=provider.base_url, api_key="none", max_retries=0)


def probed(rules, profile, *, played=None, ttl=None, budget=None, **how):
    """What a probe finds out about `played`, told beforehand that it is `rules`."""
    known = replace(profile, caches=(rules,))
    clock = Clock()
    played = played or rules
    with (
        CachingProvider(played, provider=profile.provider, clock=clock, **how) as provider,
        client_of(provider) as client,
    ):
        found = probe(
            client,
            profile.models[0],
            mode=rules.mode,
            profile=known,
            budget=budget,
            ttl=ttl,
            clock=clock,
            sleep=clock.sleep,
            seed=7,
        )
    return found, provider


def check(found, rules, *, waited=False):
    """The findings are the rules, as far as anybody could tell from outside."""
    assert not found.stopped
    assert found["match"] == rules.match
    assert found["block"] == rules.block
    # A minimum of no more than a block is none, as seen from outside.
    assert found["minimum"] == (rules.minimum if rules.minimum > rules.block else 0)
    assert found["replies"] == rules.replies
    assert found["string form"] is True
    if rules.match != "slots":
        assert found["visible"] == rules.visible
    if rules.points:
        assert found["points"] == rules.points
        assert found["overflow"] == rules.overflow
        assert set(found["carriers"]) == set(rules.carriers)
    if rules.match == "points":
        exact = rules.lookback_of == "messages" and not rules.automatic
        assert found["lookback"] == (1 if exact else rules.lookback)
    if waited and rules.ttl is not None:
        assert found["ttl"] == rules.ttl
        assert found["renewed_by"] == rules.renewed_by


@pytest.mark.parametrize("name", CACHES)
def test_what_is_known_of_every_cache_is_found_from_outside(name):
    rules, profile = CACHES[name]

    found, _ = probed(rules, profile, ttl=None if rules.ttl is None else 1.3 * rules.ttl)

    check(found, rules, waited=True)
    assert all(one.sure > 0.9 for one in found.found)


@pytest.mark.parametrize("name", ["qwen implicit", "qwen explicit", "openai points", "vllm blocks"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_provider_that_misses_at_will_misleads_nobody(name, seed):
    rules, profile = CACHES[name]

    found, provider = probed(rules, profile, misses=0.2, seed=seed, ttl=400)

    check(found, rules, waited=rules.ttl == 300)
    assert all(0.8 < one.sure <= 1 for one in found.found)
    assert any(one.sure < 0.99 for one in found.found)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("qwen implicit", {"minimum": 256, "block": 64, "replies": True}),
        ("qwen explicit", {"minimum": 700, "points": 3, "lookback": 11, "carriers": ("user",)}),
        ("qwen explicit", {"overflow": "error", "points": 2, "visible": "begins"}),
        ("openai points", {"minimum": 512, "lookback": 33, "block": 128}),
        ("vllm blocks", {"block": 528}),
        ("vllm blocks", {"match": "units", "block": 1}),
        ("sglang blocks", {"match": "slots"}),
    ],
)
def test_what_the_profile_says_is_not_taken_for_granted(name, others):
    rules, profile = CACHES[name]
    played = replace(rules, **others)

    found, _ = probed(rules, profile, played=played)

    check(found, played)
    differ = {one.field for one in found.found if one.agrees is False}
    assert differ == others.keys()
