"""`contextkit bench`: its forecasts are what the provider reports; what it costs is asked first."""

import _thread
import io
import json
import re
from pathlib import Path

import pytest

from contextkit.cli import bench
from contextkit.cli.bench import Settings
from contextkit.errors import InputError
from contextkit.profiles import profile_for
from contextkit.tokens import counter_for
from tests.caching_provider import CachingProvider
from tests.command_line import free_port, nobody_listens, run
from tests.scripted_provider import Failure

NOTHING_READ = {"prompt_tokens_details": {"cached_tokens": 0}}
KEY = "sk-very-secret-0123456789"


def settings(**given):
    usual = {
        "model": "qwen-plus",
        "base_url": None,
        "mode": "implicit",
        "turns": 6,
        "limit": None,
        "target": None,
        "budget": None,
        "max_tokens": 60,
        "options": None,
        "png": None,
        "yes": True,
        "port": 0,
        "threads": 1,
        "as_json": True,
    }
    return Settings(**{**usual, **given})


@pytest.fixture
def benched(monkeypatch, capsys):
    """Runs the command with a provider that plays a model's profile; gives all that came of it."""

    def run_it(model, mode="implicit", code=0, **given):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("DASHSCOPE_API_KEY", KEY)
        profile = profile_for(model)
        rules = profile.cache(mode)
        counter = counter_for(profile)
        with CachingProvider(rules, provider=profile.provider, counter=counter) as provider:
            chosen = settings(model=model, mode=mode, base_url=provider.base_url, **given)
            assert bench.run(chosen) == code
        out, said = capsys.readouterr()
        return (json.loads(out) if chosen.as_json else out), said, provider

    return run_it


@pytest.mark.parametrize(
    ("model", "mode"),
    [
        ("qwen-plus", "implicit"),
        ("gpt-4o", "implicit"),
        ("gpt-5.6", "implicit"),
        ("qwen-plus", "explicit"),
        ("qwen-plus", "session"),
        ("gpt-5.6", "explicit"),
        ("qwen4", "explicit"),
    ],
)
def test_forecast_equals_report_where_a_provider_does_what_its_profile_says(benched, model, mode):
    result, _, provider = benched(model, mode)

    assert result["complete"]
    assert len(result["requests"]) == 6
    reported = [(u.input_tokens, u.cache_read_tokens) for u in provider.usages]
    assert [(r["prompt_tokens"], r["cached_tokens"]) for r in result["requests"]] == reported
    predicted = [
        (r["predicted_prompt_tokens"], r["predicted_cached_tokens"]) for r in result["requests"]
    ]
    assert predicted == reported
    figures = result["totals"]
    assert figures["hit_ratio"] == figures["predicted_hit_ratio"] > 0.7
    assert figures["cost"] == figures["predicted_cost"]
    if provider.rules.read is None or provider.rules.write is None:
        assert figures["cost_share"] is None  # nobody knows what it costs
    else:
        assert figures["cost_share"] < 0.75
    if provider.rules.match == "points":
        assert figures["written_tokens"] == figures["predicted_written_tokens"] > 1024
        assert figures["written_tokens"] == sum(u.cache_write_tokens for u in provider.usages)


def test_a_cache_of_whole_units_is_measured(benched):
    result, _, provider = benched("deepseek-chat")

    assert [(r["prompt_tokens"], r["cached_tokens"]) for r in result["requests"]] == [
        (usage.input_tokens, usage.cache_read_tokens) for usage in provider.usages
    ]
    assert all(r["predicted_cached_tokens"] == r["cached_tokens"] for r in result["requests"])
    assert result["totals"]["hit_ratio"] > 0.6
    assert result["totals"]["cost_share"] < 0.5


def test_a_cut_is_foreseen_and_shown(benched):
    result, said, _ = benched("qwen-plus", turns=16, limit=2_600, target=700)

    cuts = [one for one in result["requests"] if one["edits"]]
    assert cuts
    assert all(one["prompt_tokens"] <= 2_600 for one in result["requests"])
    assert all(one["cached_tokens"] <= one["prompt_tokens"] for one in cuts)
    assert "drop" in said
    assert result["totals"]["cuts"] == len(cuts)


def test_two_runs_see_nothing_of_each_other(benched):
    first, second = (benched("qwen-plus", turns=1)[2].requests[0]["messages"][0] for _ in range(2))

    assert first["content"][:60] != second["content"][:60]
    assert first["content"].startswith("Conversation: ")


def test_a_budget_is_never_passed(benched):
    _, _, provider = benched("qwen-plus")
    assert sum(u.input_tokens + u.output_tokens for u in provider.usages) > 5_000

    result, said, provider = benched("qwen-plus", code=1, budget=5_000)

    assert sum(u.input_tokens + u.output_tokens for u in provider.usages) <= 5_000
    assert 0 < len(result["requests"]) < 6
    assert not result["complete"]
    assert "the next request could pass the 5,000" in said.splitlines()[-1]


def test_a_budget_is_not_passed_where_usage_is_not_reported(benched, monkeypatch):
    counted = CachingProvider.usage_of

    def silent(self, request, message):
        counted(self, request, message)
        return {}

    monkeypatch.setattr(CachingProvider, "usage_of", silent)

    _, said, provider = benched("qwen-plus", code=1, budget=5_000)

    assert 0 < sum(u.input_tokens + u.output_tokens for u in provider.usages) <= 5_000
    assert "could pass the 5,000" in said


def test_a_provider_that_reports_no_cached_tokens_is_told(benched, monkeypatch):
    def without_details(self, request, message):
        return {"prompt_tokens": 1_500, "completion_tokens": 5, "total_tokens": 1_505}

    monkeypatch.setattr(CachingProvider, "usage_of", without_details)

    result, said, _ = benched("qwen-plus", code=1)

    assert result["complete"]
    assert "no cached tokens for 6 requests" in said


def test_what_was_measured_before_it_failed_is_shown_and_no_key(benched, monkeypatch):
    asked = []

    def broken(self, request, message):
        asked.append(request)
        if len(asked) == 3:
            self.failures.append(
                Failure(401, body=json.dumps({"error": {"message": KEY}}).encode())
            )
        return {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    monkeypatch.setattr(CachingProvider, "usage_of", broken)

    out, said, _ = benched("qwen-plus", code=5, as_json=False)

    assert KEY not in out + said
    assert "***" in said
    assert "Totals" in out
    assert "   3 " in out


def test_ctrl_c_loses_nothing_that_was_measured(benched, monkeypatch):
    def interrupted(self, request, message):
        if len(self.requests) == 3:
            _thread.interrupt_main()
        return {"prompt_tokens": 9, "completion_tokens": 5, **NOTHING_READ}

    monkeypatch.setattr(CachingProvider, "usage_of", interrupted)

    result, said, _ = benched("qwen-plus", code=130)

    assert 2 <= len(result["requests"]) <= 3
    assert not result["complete"]
    assert "contextkit: stopped by Ctrl-C\n" in said


def test_what_chat_completions_may_not_have_is_told_before_anything_is_sent(benched, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))

    out, said, provider = benched("qwen-plus", "session", code=1, yes=False, as_json=False)

    assert not provider.requests
    assert "over which the header x-dashscope-session-cache may do nothing" in out
    assert "The forecast is by the rules of the session cache" in out
    assert "Go on?" in said


@pytest.mark.parametrize("typed", ["n\n", "", "what\n"])
def test_it_is_asked_first_and_no_is_no(benched, monkeypatch, typed):
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))

    out, said, provider = benched("qwen-plus", code=1, yes=False, as_json=False)

    assert not provider.requests
    assert not out
    assert re.search(r"about [\d,]+ tokens to qwen-plus \(about 0\.\d+ CNY\), never more", said)
    assert said.splitlines()[-1] == "contextkit: nothing was sent"


def test_yes_is_yes(benched, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    out, _, provider = benched("qwen-plus", turns=2, yes=False, as_json=False)

    assert len(provider.requests) == 2
    assert "hit ratio" in out
    assert "Input and output together: 0.0" in out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"turns": 99}, "--turns: 99, but the script has"),
        ({"target": 100}, "--target: goes with --limit"),
        ({"png": Path("nowhere/a.png")}, "there is no folder nowhere"),
        ({"options": "[1]"}, "--options: is a JSON object"),
        ({"options": "{"}, "--options: is not JSON"),
        ({"options": '{"temprature": 1}'}, "--options: has 'temprature'.* is it 'temperature'"),
        ({"options": '{"enable_thinking": false}'}, '{"extra_body": {"enable_thinking": false}}'),
        ({"options": '{"extra_body": 1}'}, "--options: has extra_body = 1"),
        ({"options": '{"model": "other"}'}, "--options: has 'model', which the command sets"),
        ({"model": "qwen-plus"}, "DASHSCOPE_API_KEY: is not set"),
    ],
)
def test_what_cannot_be_done_is_told_before_anything_is(given, said):
    with pytest.raises(InputError, match=said):
        bench.run(settings(**{"model": None, **given}))


def test_on_the_real_server_forecast_and_report_are_equal(tmp_path):
    port = free_port()
    ran = run(
        "bench", "--json", "--turns=3", "--max-tokens=4", "--threads=1", "--png=plot.png",
        "--port", port, folder=tmp_path,
    )  # fmt: skip

    assert ran.returncode == 0, ran.stderr
    assert nobody_listens(port)
    result = json.loads(ran.stdout)
    requests = result["requests"]
    assert len(requests) == 3
    assert all(one["predicted_prompt_tokens"] == one["prompt_tokens"] > 0 for one in requests)
    assert all(one["predicted_cached_tokens"] == one["cached_tokens"] for one in requests)
    assert result["predictions"] == {
        "requests": 3, "prompt_equal": 3, "cached_equal": 3, "exceptions": [],
    }  # fmt: skip
    assert result["totals"]["hit_ratio"] > 0.5
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
