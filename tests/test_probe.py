"""A probe finds out what a provider does, from outside: one that plays a profile, a real one."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import OpenAI

from contextkit.analysis.probes.findings import Finding, Findings
from contextkit.analysis.probes.minimum_probe import minimum_from
from contextkit.analysis.probes.probing import Probing
from contextkit.analysis.probes.trials import Trials
from contextkit.errors import ProfileError
from contextkit.profiles import CacheRules, known_profiles, load_profiles, profile_for
from contextkit.usage import Usage
from tests.caching_provider import CachingProvider, Clock, parts, reported
from tests.scripted_provider import ScriptedProvider

CACHES = {}
for _profile in known_profiles().values():
    for _rules in _profile.caches:
        # Some models have a minimum of their own.
        shipped = CACHES.setdefault(_rules.name, (_rules, _profile))[0]
        CACHES.setdefault(f"{_rules.name}, {_rules.minimum} tokens", (_rules, _profile))
        if shipped.minimum == _rules.minimum:
            del CACHES[f"{_rules.name}, {_rules.minimum} tokens"]
PLAYED = [name for name, (rules, _) in CACHES.items() if rules.mode != "resource"]


def client_of(provider):
    return OpenAI(base_url=provider.base_url, api_key="none", max_retries=0)


def probed(rules, profile, *, played=None, ttl=None, budget=None, drawn=7, until="", **how):
    """What a probe finds out about `played`, told beforehand that it is `rules`."""
    known = replace(profile, caches=(rules,))
    clock = Clock()
    played = played or rules
    with (
        CachingProvider(
            played, provider=profile.provider, clock=clock, overtaken=60, **how
        ) as provider,
        client_of(provider) as client,
    ):
        probing = Probing(
            client,
            profile.models[0],
            mode=rules.mode,
            profile=known,
            budget=budget,
            ttl=ttl,
            clock=clock,
            sleep=clock.sleep,
            seed=drawn,
        )
        for one in probing.run():
            if one.field == until:
                break
    return probing.findings, provider


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
        assert found["lookback"] == rules.lookback
    if waited and rules.ttl is not None:
        assert found["ttl"] == rules.ttl
        assert found["renewed_by"] == rules.renewed_by


@pytest.mark.parametrize("name", PLAYED)
def test_what_is_known_of_every_cache_is_found_from_outside(name, tmp_path):
    rules, profile = CACHES[name]

    found, _ = probed(rules, profile, ttl=None if rules.ttl is None else 1.3 * rules.ttl)

    check(found, rules, waited=True)
    assert all(one.sure > 0.9 for one in found.found)
    holds(found, given_back(found, tmp_path)[0])


@pytest.mark.parametrize("name", ["qwen implicit", "qwen explicit", "openai points", "vllm blocks"])
@pytest.mark.parametrize("seed", [2, 3])
def test_a_provider_that_misses_at_will_misleads_nobody(name, seed):
    rules, profile = CACHES[name]

    found, _ = probed(rules, profile, misses=0.2, seed=seed, ttl=400)

    check(found, rules, waited=rules.ttl == 300)
    assert all(0.8 < one.sure <= 1 for one in found.found)
    assert found["guaranteed"] is False or found["hits"] == "6 of 6"
    assert any(one.sure < 1 for one in found.found)


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


def test_what_the_service_adds_by_itself_is_no_part_of_a_minimum():
    for name in ("qwen implicit", "qwen explicit"):
        rules, profile = CACHES[name]
        found, _ = probed(rules, profile, overhead=10)
        check(found, rules)


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_minimum_is_the_same_in_every_run_where_tokens_are_no_words(seed):
    rules, profile = CACHES["qwen explicit"]
    for minimum, misses in ((1024, 0.0), (700, 0.0), (1024, 0.2)):
        played = replace(rules, minimum=minimum)
        found, _ = probed(
            rules, profile, played=played, letters=4, overhead=10, misses=misses, seed=seed,
            drawn=seed, until="minimum",
        )  # fmt: skip
        [one] = [one for one in found.found if one.field == "minimum"]
        if minimum == 1024:
            assert one.value == 1024
            assert one.agrees
        else:  # what is between is not sure, and said to be
            assert 700 <= one.value <= 702
            assert one.value == 700 or one.sure < 0.6
        # What is told is in the same tokens as the value.
        more, less = re.findall(r"([\d,]+) (?:tokens )?were", one.seen)
        assert int(less.replace(",", "")) < minimum <= int(more.replace(",", ""))


@pytest.mark.parametrize(
    ("low", "high", "read", "known", "value", "sure"),
    [
        (1033, 1034, 1024, 1024, 1024, True),
        (1033, 1040, 1030, 1024, 1024, True),  # what the profile says is not excluded
        (1034, 1040, 1030, 1024, 1030, False),
        (1020, 1067, 1057, 1024, 1024, True),
        (1020, 1067, 1057, 2048, 1057, False),
    ],
)
def test_a_wide_search_never_contradicts_what_it_does_not_exclude(
    low, high, read, *, known, value, sure
):
    rules, profile = CACHES["qwen explicit"]
    findings = Findings("m", "explicit", replace(rules, minimum=known), profile)
    trials = Trials(None, findings, marker={}, ttl=None, pause=0, least_reply=1)
    trials.behind = 10

    found = minimum_from(trials, low, high, read)

    assert found.value == value
    assert (found.sure == 1) == sure
    assert found.seen.startswith(f"{read:,} tokens were read")
    assert f"{low - 10:,} were not" in found.seen


class EndsProvider(ScriptedProvider):
    """Reads what an earlier request had up to the end of a part, or only whole requests."""

    def __init__(self, clock, *, whole=False):
        super().__init__()
        self.whole = whole
        self.kept = set()
        self.spent = 0

    def usage_of(self, request, message):
        prefix, tokens, read = (), 0, 0
        blocks = [part for one in request["messages"] for part in parts(one)]
        for number, part in enumerate(blocks, 1):
            prefix += (part["role"], *part["words"])
            tokens += len(part["words"]) + 2
            if self.whole and number < len(blocks):
                continue
            read = tokens if prefix in self.kept else read
            self.kept.add(prefix)
        usage = Usage(tokens, read // 128 * 128 if read >= 1024 else 0, None, 20)
        self.spent += tokens + 20
        return reported(usage, "openai", CACHES["qwen implicit"][0])


@pytest.mark.parametrize("model", ["qwen-plus", "nobody-knows-it"])
def test_hits_at_the_ends_of_messages_alone_are_found_out_before_it_costs_much(tmp_path, model):
    for whole in (False, True):
        clock = Clock()
        with EndsProvider(clock, whole=whole) as provider, client_of(provider) as client:
            found = Probing(client, model, clock=clock, sleep=clock.sleep, seed=5).complete()

        assert found.tokens == provider.spent
        if whole:
            assert found["match"] is None
            assert "the same from its beginning to its end" in found.stopped
            assert found.toml() == ""
            assert found.tokens < 80_000
            continue
        assert not found.stopped
        assert (found["match"], found["automatic"]) == ("points", True)
        assert (found["minimum"], found["block"], found["points"]) == (1024, 128, None)
        assert found.tokens < 140_000
        measured, _ = given_back(found, tmp_path)
        holds(found, measured)


def test_a_string_that_is_another_prefix_than_a_part_is_found_out():
    for name in ("qwen implicit", "qwen explicit"):
        rules, profile = CACHES[name]
        found, _ = probed(rules, profile, alike=False)
        assert found["string form"] is False


@pytest.mark.parametrize("name", ["qwen implicit", "qwen explicit", "openai points"])
def test_a_budget_is_never_passed_and_what_is_known_by_then_is_told(name):
    rules, profile = CACHES[name]
    whole, _ = probed(rules, profile)
    assert whole.tokens > 56_000
    for budget in (1, 9_000, 56_000):
        found, provider = probed(rules, profile, budget=budget)
        sent = sum(usage.input_tokens + usage.output_tokens for usage in provider.usages)
        assert found.tokens == sent <= budget
        assert found.requests == len(provider.usages)
        assert "tokens allowed" in found.stopped
        known = {one.field: one.value for one in whole.found}
        assert all(known[one.field] == one.value for one in found.found)
    assert {"match", "minimum", "block"} <= {one.field for one in found.found}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"prompt_tokens": 1, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 0}},
        {
            "prompt_tokens": 500,
            "completion_tokens": 9,
            "prompt_tokens_details": {"cached_tokens": 9},
        },
    ],
)
def test_a_budget_is_not_passed_where_usage_is_not_reported_or_false(told, monkeypatch):
    counted = CachingProvider.usage_of

    def false(self, request, message):
        counted(self, request, message)
        return told

    monkeypatch.setattr(CachingProvider, "usage_of", false)

    found, provider = probed(*CACHES["qwen implicit"], budget=9_000)

    sent = sum(usage.input_tokens + usage.output_tokens for usage in provider.usages)
    assert 0 < sent <= 9_000
    assert found.tokens >= sent


def test_a_cache_that_is_not_there_ends_it_before_it_costs_much():
    rules, profile = CACHES["qwen explicit"]
    found, _ = probed(rules, profile, played=replace(rules, minimum=10**9))

    assert found.stopped == "nothing was read from a cache"
    assert found.tokens < 60_000
    assert found.toml() == ""


def test_two_runs_see_nothing_of_each_other():
    rules, profile = CACHES["vllm blocks"]
    with CachingProvider(rules, overtaken=60) as provider, client_of(provider) as client:
        for _ in range(2):
            first = len(provider.usages)
            Probing(client, "vllm", profile=profile, settle=0).complete()
            assert provider.usages[first].cache_read_tokens == 0


@pytest.mark.parametrize("name", ["qwen implicit", "qwen explicit", "openai points"])
def test_the_lines_that_it_prints_make_a_profile(tmp_path, name):
    rules, profile = CACHES[name]
    others = {"minimum": 512, "lookback": 11} if rules.points else {"minimum": 256, "block": 64}
    played = replace(rules, **others)
    found, _ = probed(rules, profile, played=played, ttl=400 if rules.ttl == 300 else None)

    (tmp_path / "own.toml").write_text(found.toml(), "utf-8")
    model = profile.models[0]
    own = profile_for(model, load_profiles(tmp_path / "own.toml"))

    assert own.name == f"{profile.name}, measured"
    measured = own.cache(rules.mode)
    differ = {
        field
        for field in rules.__dataclass_fields__
        if getattr(rules, field) != getattr(measured, field)
    }
    told = {"name", "sources", "checked", "unverified", "conflicts"}
    assert differ - told == others.keys()
    assert all(getattr(measured, field) == value for field, value in others.items())
    assert "measured" in measured.sources[0]
    assert [cache.mode for cache in own.caches if cache.mode != rules.mode] == [
        cache.mode for cache in known_profiles()[profile.name].caches if cache.mode != rules.mode
    ][: len(own.caches) - 1]


def given_back(found, tmp_path):
    """The cache that a profile has which is made of the lines."""
    (tmp_path / "own.toml").write_text(found.toml(), "utf-8")
    own = load_profiles(tmp_path / "own.toml")
    return profile_for(found.model, own).cache(found.mode), profile_for(found.model, own)


def holds(found, rules):
    """The rules have every figure that was found."""
    for one in found.found:
        if one.value is not None and one.field in rules.__dataclass_fields__:
            assert getattr(rules, one.field) == one.value, one.field
    if found["ttl"] is not None:
        assert rules.ttl == found["ttl"]


ROLES = st.lists(st.sampled_from(["system", "user", "assistant", "tool"]), unique=True, min_size=1)
FIGURES = {
    "hits": st.just("6 of 6"),
    "guaranteed": st.just(False),
    "match": st.sampled_from(["blocks", "points", "units", "slots"]),
    "automatic": st.just(True),
    "minimum": st.integers(0, 5_000),
    "block": st.integers(1, 2_000),
    "string form": st.booleans(),
    "replies": st.booleans(),
    "visible": st.sampled_from(["begins", "ends"]),
    "lookback": st.integers(1, 65),
    "ttl": st.floats(1, 86_400),
    "renewed_by": st.sampled_from(["hit", "nothing"]),
    "marker on message": st.sampled_from(["cached", "ignored", "refused"]),
}
POINTS = st.one_of(
    st.just({}),
    st.fixed_dictionaries({"points": st.integers(1, 40)}, optional={"carriers": ROLES.map(tuple)}),
)
MARKERS = [{"cache_control": {"type": "ephemeral"}}, {"a key.of-mine": {"mode": "explicit"}}]


@given(
    known=st.sampled_from(list(CACHES.values())).flatmap(
        lambda pair: st.sampled_from([(None, None), (None, pair[1]), pair])
    ),
    figures=st.fixed_dictionaries({}, optional=FIGURES),
    points=POINTS,
    marker=st.sampled_from(MARKERS),
    mode=st.sampled_from(["implicit", "explicit"]),
    model=st.sampled_from(["nope", "Org/Some-Model", "gpt-4o", "ft:gpt-4o:mine"]),
    shipped=st.booleans(),
)
def test_whatever_is_found_its_lines_load_and_say_the_same(
    tmp_path_factory, *, known, figures, points, marker, mode, model, shipped
):
    rules, profile = known
    if not shipped:  # those of a user's own, which no file stands on
        rules = rules and replace(rules, name=f"my {rules.name}")
        others = [replace(one, name=f"my {one.name}") for one in profile.caches] if profile else ()
        profile = profile and replace(profile, name="mine", caches=tuple(others))
    mode = rules.mode if rules else mode
    found = Findings(model, mode, rules, profile, rules.marker if rules else marker)
    if points and not found.marker:
        points = {}
    found.found = [
        Finding(field, value if value != () else None, "seen")
        for field, value in {**figures, **points}.items()
    ]

    if not found.toml():
        assert not {*figures, *points} & {*CacheRules.__dataclass_fields__, "ttl"}
        return
    measured, own = given_back(found, tmp_path_factory.mktemp("own"))

    holds(found, measured)
    assert own.name.endswith(", measured")
    if points:
        assert measured.marker == found.marker
        assert measured.carriers
    if profile:
        for one in profile.caches:
            if one.mode != mode:
                assert replace(own.cache(one.mode), sources=(), checked=None, conflicts=()) == (
                    replace(profile.cache(one.mode), sources=(), checked=None, conflicts=())
                )


def test_a_cache_without_markers_that_count_makes_lines_that_load(tmp_path):
    found = Findings("qwen-plus", "explicit", *CACHES["qwen explicit"])
    for figures in ({"points": 0}, {"points": 4, "carriers": ()}):
        found.found = [Finding(field, value, "seen") for field, value in figures.items()]
        assert given_back(found, tmp_path)[0].points == 0


def test_an_explicit_cache_that_no_profile_knows_of_is_found(tmp_path):
    rules, _ = CACHES["qwen explicit"]
    profile = profile_for("generic")
    clock = Clock()
    with CachingProvider(rules, provider="qwen", clock=clock, overtaken=60) as provider:
        found = Probing(
            client_of(provider),
            "new-model",
            mode="explicit",
            profile=replace(profile, provider="qwen"),
            clock=clock,
            sleep=clock.sleep,
            seed=4,
        ).complete()

    check(found, rules)
    assert all(one.known is None for one in found.found)
    measured, own = given_back(found, tmp_path)
    holds(found, measured)
    assert measured.marker == rules.marker
    assert own.name == "generic, measured"
    with pytest.raises(ProfileError, match="no session cache is known"):
        Probing(None, "new-model", mode="session")


def test_a_model_without_a_profile_is_probed_all_the_same(tmp_path):
    rules, _ = CACHES["qwen implicit"]
    clock = Clock()
    with (
        CachingProvider(rules, clock=clock, overtaken=60) as provider,
        client_of(provider) as client,
    ):
        found = Probing(
            client, "nobody-knows-it", clock=clock, sleep=clock.sleep, seed=3
        ).complete()

    assert (found["match"], found["minimum"], found["block"]) == ("blocks", 1024, 128)
    measured, own = given_back(found, tmp_path)
    holds(found, measured)
    assert (measured.name, own.name) == (
        "nobody-knows-it implicit, measured",
        "nobody-knows-it, measured",
    )
    assert own.window == profile_for("generic").window
