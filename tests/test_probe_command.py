"""`contextkit probe` as a user has it: on the real server, within a budget, when it breaks off."""

import json
import tomllib

from contextkit.profiles import profile_for
from tests.caching_provider import CachingProvider
from tests.command_line import free_port, nobody_listens, run
from tests.scripted_provider import Failure

KEY = "sk-very-secret-0123456789"


def test_the_real_server_is_found_out(tmp_path):
    port = free_port()
    ran = run("probe", "--json", "--threads=1", "--port", port, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert nobody_listens(port)
    result = json.loads(ran.stdout)
    found = {one["field"]: one["value"] for one in result["findings"]}
    assert found["match"] == "slots"
    assert (found["minimum"], found["block"], found["replies"]) == (0, 1, True)
    assert found["string form"] is True
    assert not [one for one in result["findings"] if one["agrees"] is False]
    assert tomllib.loads(result["toml"])["cache"]["llama.cpp, measured"]["replies"] is True


def test_what_is_known_when_the_provider_fails_is_printed_and_no_key(tmp_path):
    class Failing(CachingProvider):
        def receive(self, request):
            if len(self.requests) == 20:
                body = json.dumps({"error": {"message": f"wrong key {KEY}"}}).encode()
                self.failures.append(Failure(401, body=body))
            return super().receive(request)

    with Failing(profile_for("qwen-plus").cache()) as provider:
        more = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": provider.base_url}
        ran = run("probe", "--model=qwen-plus", "--yes", "--settle=0", folder=tmp_path, **more)

    assert ran.returncode == 5
    assert "hits: 6 of 6" in ran.stdout
    assert "load_profiles" in ran.stdout
    assert "wrong key ***" in ran.stderr.splitlines()[-1]
    assert KEY not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_without_a_yes_nothing_is_sent(tmp_path):
    with CachingProvider(profile_for("qwen-plus").cache()) as provider:
        more = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": provider.base_url}
        ran = run("probe", "--model=qwen-plus", "--ttl=600", folder=tmp_path, typed="n\n", **more)

    assert ran.returncode == 1
    assert "and wait about 30 minutes. Go on? [y/N]" in ran.stderr
    assert ran.stderr.splitlines()[-1] == "contextkit: nothing was sent"
    assert not provider.requests


def test_where_no_cache_is_known_it_is_said_before_it_is_asked(tmp_path):
    for more, said in (
        (["--model=gpt-4"], "no implicit cache is known for gpt-4, at 30 USD a million"),
        (["--model=nope"], "no implicit cache is known for nope: it may be that there is none"),
        (["--model=qwen-plus", "--cache=session"], "x-dashscope-session-cache may do nothing"),
        (["--model=nope", '--options={"temprature":1}'], "--options: has 'temprature'"),
    ):
        address = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
        ran = run("probe", *more, folder=tmp_path, typed="n\n", **address)

        assert ran.returncode == 1
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr


def test_a_budget_ends_it_with_1_and_what_is_known(tmp_path):
    with CachingProvider(profile_for("qwen-plus").cache()) as provider:
        more = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_BASE_URL": provider.base_url}
        ran = run(
            "probe", "--model=qwen-plus", "-y", "--settle=0", "--budget=20000",
            folder=tmp_path, **more,
        )  # fmt: skip

    assert ran.returncode == 1
    assert sum(usage.input_tokens for usage in provider.usages) <= 20_000
    assert "20,000 tokens allowed" in ran.stderr.splitlines()[-1]
    assert "hits" in ran.stdout
