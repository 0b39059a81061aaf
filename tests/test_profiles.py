"""Profiles: the right facts for a model's name, and facts that are dated and cited."""

from dataclasses import FrozenInstanceError, fields, replace
from datetime import date

import pytest

from contextkit.errors import ProfileError
from contextkit.profiles import Profile, known_profiles, load_profiles, profile_for
from contextkit.profiles.reading import shipped
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
        ("o1-preview", "o1"),
        ("o3-mini", "o3-mini"),
        ("gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("gpt-5.6-luna", "gpt-5.6-luna"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("anthropic/claude-opus-4.5", "claude-opus-4-5"),
        ("claude-opus-4-1", "claude-opus-4"),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash-lite"),
        ("deepseek-reasoner", "deepseek-chat"),
        ("deepseek-v4-pro", "deepseek-v4-pro"),
        ("deepseek-v3.2", "deepseek-v3.2, hosted"),
        ("kimi-k3", "kimi-k3, hosted"),
        ("moonshotai/kimi-k3", "kimi-k3"),
        ("glm-5.1", "glm-5.1, hosted"),
        ("z-ai/glm-5.3", "glm-5.3"),
        ("vllm", "vllm"),
        ("sglang", "sglang"),
        ("llama.cpp", "llama.cpp"),
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
    for price in profile.prices:
        assert price.source.startswith("https://")
        assert isinstance(price.checked, date)


CACHES = {
    (rules.name, owner): rules
    for owner, caches in [
        ("", shipped().caches.values()),
        *((profile.name, profile.caches) for profile in PROFILES),
    ]
    for rules in caches
}
SECONDS = {"5m": 300, "30m": 1_800, "1h": 3_600, "12h": 43_200}
SWITCHES = {"explicit": "marker", "session": "headers"}


@pytest.mark.parametrize("rules", CACHES.values(), ids=[" of ".join(key) for key in CACHES])
def test_the_rules_of_every_cache_are_cited_and_make_sense(rules):
    assert rules.sources
    assert all(source.startswith("https://") for source in rules.sources)
    assert isinstance(rules.checked, date)
    for conflict in rules.conflicts:
        assert conflict.source.startswith("https://")
        assert hasattr(rules, conflict.field)
        assert getattr(rules, conflict.field) != conflict.value
    assert rules.read is None or 0 < rules.read < 1
    for lifetime in rules.lifetimes:
        assert lifetime.write is None or 1 <= lifetime.write <= 2
        assert lifetime.seconds == SECONDS.get(lifetime.name, lifetime.seconds)
    names = [lifetime.name for lifetime in rules.lifetimes]
    assert len(set(names)) == len(names)
    assert len(names) == 1 or all(names)
    # A longer life is never cheaper to write; what is written is never cheaper than what is read.
    known = [one for one in rules.lifetimes if one.seconds and one.write]
    assert sorted(known, key=lambda one: one.seconds) == sorted(known, key=lambda one: one.write)
    assert all((rules.read or 0) < one.write for one in rules.lifetimes if one.write)
    for mode, field in SWITCHES.items():
        assert rules.mode != mode or getattr(rules, field), "nothing switches it on"
    assert (rules.match == "points") == bool(rules.points or rules.automatic)
    assert set(rules.carriers) <= {"tools", "system", "developer", "user", "assistant", "tool"}
    assert rules.looked_up is None or rules.looked_up >= rules.points
    assert rules.api in ("", "responses")
    assert rules.guaranteed or rules.mode == "implicit"


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_prices_rise_with_the_tier_and_replies_cost_more_than_input(profile):
    inputs = [price.input for price in profile.prices]
    assert inputs == sorted(inputs)
    assert all(price.output is None or price.output >= price.input for price in profile.prices)
    assert all(price.currency in ("USD", "CNY") for price in profile.prices)
    modes = [rules.mode for rules in profile.caches]
    assert len(set(modes)) == len(modes)
    assert modes == sorted(modes, key=("implicit", "explicit", "session", "resource").index)


@pytest.mark.parametrize(
    ("model", "mode", "facts"),
    [
        # reference: the sources that each entry names
        ("qwen-plus", "implicit", {"match": "blocks", "minimum": 1_024, "read": 0.2, "write": 1}),
        ("qwen-plus", "implicit", {"guaranteed": False, "ttl": None, "points": 0}),
        ("qwen-plus", "explicit", {"match": "points", "minimum": 1_024, "read": 0.1, "ttl": 300}),
        ("qwen-plus", "explicit", {"write": 1.25, "lookback": 20, "points": 4, "overflow": "last"}),
        ("qwen-plus", "explicit", {"visible": "ends", "renewed_by": "hit", "marker_ttl": ""}),
        ("qwen-plus", "session", {"headers": {"x-dashscope-session-cache": "enable"}}),
        ("qwen-plus", "session", {"read": 0.1, "write": 1.25, "ttl": 300, "api": "responses"}),
        ("glm-5.3", "implicit", {"minimum": 512, "read": 0.25}),
        ("qwen4-max", "explicit", {"write": None, "read": None, "renewed_as_asked": True}),
        ("gpt-4o", "implicit", {"match": "blocks", "read": 0.5, "write": 1, "block": 128}),
        ("gpt-4.1", "implicit", {"read": 0.25}),
        ("o3", "implicit", {"read": 0.25}),
        ("o1", "implicit", {"read": 0.5}),
        ("gpt-5", "implicit", {"read": 0.1, "block": 128}),
        ("gpt-5.5", "implicit", {"read": 0.1, "block": 2_048}),
        ("gpt-5.6", "implicit", {"match": "points", "automatic": True, "points": 3, "write": 1.25}),
        ("gpt-5.6", "implicit", {"lookback": 20, "lookback_of": "messages", "looked_up": 50}),
        ("gpt-5.6", "explicit", {"match": "points", "automatic": False, "points": 4, "read": 0.1}),
        ("claude-opus-5", "explicit", {"minimum": 512, "points": 4, "overflow": "error"}),
        ("claude-opus-4-8", "explicit", {"minimum": 1_024, "lookback": 20, "visible": "begins"}),
        ("claude-opus-4-7", "explicit", {"minimum": 2_048, "timed_from": "sent"}),
        ("claude-haiku-4-5", "explicit", {"minimum": 4_096, "longest_first": True}),
        ("claude-opus-5-5", "explicit", {"read": 0.05}),
        ("claude-fable-5-1", "explicit", {"read": 0.025}),
        ("deepseek-v4-flash", "implicit", {"match": "units", "read": 0.02, "replies": True}),
        ("deepseek-v4-pro", "implicit", {"match": "units", "read": 0.033, "write": 1}),
        ("gemini-2.5-pro", "implicit", {"minimum": 2_048, "read": 0.1, "guaranteed": False}),
        ("gemini-3.8-flash", "implicit", {"minimum": 4_096, "read": 0.1, "storage": None}),
        ("gemini-3.8-flash", "resource", {"storage": 0.5, "ttl": 3_600}),
        ("vllm", "implicit", {"match": "blocks", "block": 16, "replies": True, "minimum": 0}),
        ("sglang", "implicit", {"match": "blocks", "block": 1, "replies": True}),
        ("llama.cpp", "implicit", {"match": "slots", "replies": True, "rest": 1}),
        ("grok-4.3", "implicit", {"block": 128, "read": 0.16}),
    ],
)
def test_what_is_known_of_a_cache(model, mode, facts):
    rules = profile_for(model).cache(mode)
    assert {name: getattr(rules, name) for name in facts} == facts


@pytest.mark.parametrize(
    ("model", "mode", "field", "values"),
    [
        ("qwen-plus", "implicit", "minimum", {256}),
        ("gpt-5.6", "implicit", "looked_up", {80}),
        ("gpt-5.6", "implicit", "lifetimes", {"30m is the only value"}),
        ("claude-sonnet-4-6", "explicit", "minimum", {2_048}),
        ("qwen4-max", "explicit", "read", {0.05}),
    ],
)
def test_what_other_sources_say_is_kept_beside_it(model, mode, field, values):
    conflicts = profile_for(model).cache(mode).conflicts
    assert {one.value for one in conflicts if one.field == field} == values


def test_the_lifetimes_of_a_cache_by_name():
    claude = profile_for("claude-opus-5").cache("explicit")
    assert [(one.name, one.seconds, one.write) for one in claude.lifetimes] == [
        ("5m", 300, 1.25),
        ("1h", 3_600, 2.0),
    ]
    assert claude.lifetime("1h").write == 2.0
    assert claude.marked() == {"cache_control": {"type": "ephemeral"}}
    assert claude.marked("1h") == {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    newest = profile_for("gpt-5.6").cache("explicit")
    assert newest.lifetime("12h").write is None
    assert newest.marked("12h") == {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}


def test_a_marker_is_a_copy():
    rules = profile_for("claude-opus-5").cache("explicit")
    rules.marked()["cache_control"]["type"] = "other"
    assert rules.marked() == {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    ("model", "mode", "lifetime"),
    [
        ("qwen-plus", "implicit", ""),  # no markers
        ("qwen-plus", "explicit", "1h"),  # the service would drop such a marker
        ("claude-opus-5", "explicit", "2h"),
    ],
)
def test_a_marker_that_a_provider_would_not_know_is_not_made(model, mode, lifetime):
    with pytest.raises(ProfileError):
        profile_for(model).cache(mode).marked(lifetime)


def test_no_two_profiles_claim_the_same_models():
    prefixes = [prefix for profile in PROFILES for prefix in profile.models]
    assert len(prefixes) == len(set(prefixes))


def test_a_profile_cannot_be_changed_but_copied_with_changes():
    profile = profile_for("qwen-plus")
    with pytest.raises(FrozenInstanceError):
        profile.window = 1
    assert replace(profile, window=1_000_000).window == 1_000_000
    assert profile_for("qwen-plus").window != 1_000_000


def test_one_cache_changes_and_the_others_stay():
    profile = profile_for("qwen-plus")
    changed = profile.with_cache("explicit", read=0.2, write=1.5, ttl=600)
    rules = changed.cache("explicit")
    assert (rules.read, rules.write, rules.ttl) == (0.2, 1.5, 600)
    assert rules.lifetimes[0].name == "5m"
    assert changed.with_cache("explicit", read=0.1, write=1.25, ttl=300) == profile
    assert changed.cache("implicit") is profile.cache("implicit")
    assert profile_for("qwen-plus").cache("explicit").read == 0.1


OWN = """
[cache."ours"]
like = "qwen explicit"
minimum = 512
lifetimes = [{ name = "5m", seconds = 300, write = 1.1 }, { name = "1d", seconds = 86400 }]
sources = ["https://example.com/cache"]
checked = 2026-11-22

[provider.ours]
provider = "other"
template = "chatml"
special_tokens = "text"
reasoning = "all"
vocabulary = "qwen"
window = 64000
reserve = 4000
price = { currency = "EUR", source = "https://example.com/prices", checked = 2026-11-22 }

[[profile]]
name = "qwen in our cloud"
provider = "ours"
models = ["ours/qwen"]
caches = [{ rules = "ours", read = 0.3 }]
prices = [{ input = 1 }, { input = 2, above = 32000, currency = "EUR" }]

[[profile]]
name = "qwen-plus"
like = "qwen-plus"
window = 999000
caches = [{ rules = "qwen implicit", read = "unknown" }]
prices = [{ input = 5, source = "https://example.com/prices" }]

[[profile]]
name = "plain"
provider = "qwen"
models = ["plain"]
window = 64000
prices = [{ input = 5, source = "https://example.com/prices" }]
"""


@pytest.fixture
def own(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(OWN, encoding="utf-8")
    return load_profiles(path)


def test_a_file_of_own_profiles_says_only_what_is_different(own):
    assert set(own) == {"ours/qwen", "qwen-plus", "plain"}
    cloud, plus = own["ours/qwen"], own["qwen-plus"]
    rules = cloud.cache("explicit")
    assert (rules.minimum, rules.read, rules.write, rules.points) == (512, 0.3, 1.1, 4)
    assert rules.sources == ("https://example.com/cache",)
    assert [(price.input, price.currency) for price in cloud.prices] == [(1, "EUR"), (2, "EUR")]
    assert cloud.prices[0].source == "https://example.com/prices"
    assert plus.window == 999_000
    assert plus.cache().read is None
    assert plus.vocabulary == profile_for("qwen-plus").vocabulary
    assert plus.sources == profile_for("qwen-plus").sources


def test_the_source_of_shipped_prices_is_not_said_of_ones_own(own):
    for name in ("qwen-plus", "plain"):
        [price] = own[name].prices
        assert (price.currency, price.note, price.checked) == ("USD", "", None)


def test_the_longest_prefix_decides_whoever_gave_it_and_ones_own_before_shipped(own):
    assert profile_for("qwen-plus-latest", own).window == 999_000
    assert profile_for("qwen-plus-latest").window != 999_000
    assert profile_for("ours/qwen3-max", own).name == "qwen in our cloud"
    assert profile_for("qwen3-max", own) is profile_for("qwen3-max")
    assert profile_for("My-GPT4o", {"my-gpt4o": profile_for("gpt-4o")}).name == "gpt-4o"
    assert profile_for("anything", {"": profile_for("generic")}).name == "generic"
    assert profile_for("gpt-4o", {"": profile_for("generic")}).name == "gpt-4o"
    with pytest.raises(ProfileError, match=r"nearest are .*qwen-plus"):
        profile_for("qwem-plus", own)


def test_reading_ones_own_file_changes_nothing_of_the_shipped(own):
    assert own
    assert "ours" not in shipped().caches
    assert "qwen in our cloud" not in known_profiles()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('caches = [{ rules = "qwen implicit", read = 12 }]', ["'mine'", "read", "12"]),
        ('window = "128k"', ["'mine'", "window", "'128k'"]),
        ("wish = 1", ["'mine'", "'wish'"]),
        ('image = "none"', ["'mine'", "image", "'none'"]),
        ("prices = [{ output = 3 }]", ["'mine'", "Price", "input"]),
        ("window = 9", ["'mine'", "reserve", "8,192", "9"]),
    ],
)
def test_an_error_names_file_entry_field_and_value(tmp_path, text, words):
    path = tmp_path / "own.toml"
    path.write_text(f'[[profile]]\nname = "mine"\nlike = "qwen-plus"\n{text}\n', encoding="utf-8")
    with pytest.raises(ProfileError) as caught:
        load_profiles(path)
    assert all(word in str(caught.value) for word in [str(path), *words]), caught.value
