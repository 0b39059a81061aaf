"""`contextkit demo`: what it says of a real server is true, and it ends cleanly however it ends."""

import json
import re
import signal
import socket
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.cli import demo, exit_code
from contextkit.cli.hold import CacheForecast, hold
from contextkit.cli.measured import Measured, Run, predictions, ratios, totals
from contextkit.cli.result import checked, rows
from contextkit.cli.ways import SlidingWindow, WithContextKit, script, window_start
from contextkit.errors import BudgetExceeded, ServerError
from contextkit.profiles import profile_for
from contextkit.providers.chat_completions import Answer
from contextkit.providers.local import MODEL, LocalServer
from contextkit.tokens import counter_for
from contextkit.usage import Usage
from tests.command_line import command, environment, free_port, nobody_listens, run

COUNTER = counter_for(profile_for(MODEL))
SYSTEM, TEXTS = script()


def user(text):
    return {"role": "user", "content": text}


def assistant(text):
    return {"role": "assistant", "content": text}


# The whole, on the real server


def test_what_the_demo_says_of_a_real_server_is_true(tmp_path):
    """One test, because the run takes seconds and workers share no fixture."""
    port = free_port()
    ran = run("demo", "--quick", "--json", "--threads=1", "--port", port, folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "   7 " in ran.stderr
    assert nobody_listens(port)
    result = json.loads(ran.stdout)
    check_predictions(result)
    check_cuts(result)
    check_sums(result)
    assert {"date", "versions", "settings", "runs", "ratio", "definitions"} <= result.keys()
    assert result["complete"]
    assert result["versions"]["contextkit"]
    assert result["settings"]["seed"] == 1
    assert result["png"] == "contextkit-demo.png"
    assert (tmp_path / "contextkit-demo.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    table = demo.markdown(result)
    assert table.count("\n| ") == len(rows(result)) + 1
    assert checked(result) in table


def check_predictions(result):
    """Prompt tokens are as predicted; cached tokens are, or the cause is told."""
    requests = [request for kept in result["runs"].values() for request in kept["requests"]]
    odd = [r for r in requests if r["predicted_cached_tokens"] != r["cached_tokens"]]

    assert len(requests) == 14
    assert all(r["predicted_prompt_tokens"] == r["prompt_tokens"] > 0 for r in requests)
    assert result["predictions"]["prompt_equal"] == 14
    assert all("reply tokenised otherwise" in request["cause"] for request in odd)
    assert len(result["predictions"]["exceptions"]) == len(odd) <= 2


def check_cuts(result):
    """contextkit cuts seldom, the window at every turn from its first cut on."""
    ours, theirs = (kept["requests"] for kept in result["runs"].values())
    first = next(number for number, request in enumerate(theirs) if request["edits"])

    assert all(request["prompt_tokens"] <= 400 for request in (*ours, *theirs))
    assert 1 <= sum(bool(request["edits"]) for request in ours) < len(theirs) - first
    assert all(request["edits"] for request in theirs[first:])
    # What makes the difference: the window has nothing but the system prompt left in the cache.
    system = COUNTER.message({"role": "system", "content": SYSTEM})
    assert all(abs(request["cached_tokens"] - system) < 10 for request in theirs[first:])


def check_sums(result):
    """The sums are those of the requests."""
    for kept in result["runs"].values():
        requests, sums = kept["requests"], kept["totals"]
        evaluated = sum(r["prompt_tokens"] - r["cached_tokens"] for r in requests)
        assert sums["evaluated_tokens"] == evaluated
        assert sums["evaluated_per_first_sent"] == round(evaluated / sums["first_sent_tokens"], 3)
        assert sums["requests"] == 7 == kept["planned"]
        assert kept["complete"]
    ours, theirs = (kept["totals"] for kept in result["runs"].values())
    assert ours["evaluated_per_first_sent"] <= 2
    assert result["ratio"]["evaluated_tokens"] == round(
        theirs["evaluated_tokens"] / ours["evaluated_tokens"], 3
    )


def interrupted(folder, port, first):
    """Exit code, output and errors of a demo that gets Ctrl-C once a line begins with `first`."""
    process = subprocess.Popen(
        command("demo", "--threads=1", "--port", port),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith(first):
            break
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert nobody_listens(port)
    assert not list(folder.iterdir())
    return process.returncode, out, said


def test_ctrl_c_leaves_no_server_and_loses_nothing(tmp_path):
    code, out, said = interrupted(tmp_path, free_port(), "   1 ")

    assert code == 130
    assert re.search(r"requests +│ +[12] │ +0 │", out)
    assert re.search(r"contextkit [12] of 36 turns", said)
    assert said.endswith("contextkit: stopped by Ctrl-C\n")
    assert "Traceback" not in said


def test_ctrl_c_before_anything_was_measured_is_one_line(tmp_path):
    code, out, said = interrupted(tmp_path, free_port(), "Starting")

    assert (code, out, said) == (130, "", "contextkit: stopped by Ctrl-C\n")


def test_a_taken_port_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = run("demo", "--json", "--port", port, folder=tmp_path)

    assert ran.returncode == 3
    assert f"port {port}" in ran.stderr.splitlines()[-1]
    assert not ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_dead_server_is_told_from_a_refusal():
    with LocalServer(n_ctx=512, threads=1) as server:
        way = SlidingWindow(COUNTER, "You are terse.", 10_000)
        said = hold(server, way, ["Hello", "word " * 600], {"max_tokens": 2})
        next(said)
        with pytest.raises(ServerError, match=r"did not answer.*exceeds the available context"):
            next(said)

        said = hold(
            server, SlidingWindow(COUNTER, "Hi.", 400), ["Hello", "And?"], {"max_tokens": 2}
        )
        next(said)
        server._process.kill()
        with pytest.raises(ServerError, match="not running") as caught:
            next(said)

    assert exit_code(caught.value) == 5


# What is left of a run that failed


class NoServer:
    def __init__(self, **_):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def measured(turn, **more):
    usual = {
        "turn": turn,
        "messages": 2 * turn,
        "predicted_prompt_tokens": 100 * turn,
        "prompt_tokens": 100 * turn,
        "predicted_cached_tokens": 100 * turn - 50,
        "cached_tokens": 100 * turn - 50,
        "first_sent_tokens": 100,
        "output_tokens": 10,
        "first_token_seconds": float(turn),
        "seconds": 2.0 * turn,
        "edits": {},
        "finish_reason": "stop",
    }
    return Measured(**{**usual, **more})


@pytest.mark.parametrize("as_json", [True, False])
def test_what_was_measured_before_the_server_died_is_shown(monkeypatch, tmp_path, capsys, as_json):
    def broken(*_):
        yield measured(1)
        yield measured(2, cached_tokens=120, cause="the reply before")
        raise ServerError("is not running", exit_code=-9)

    monkeypatch.setattr(demo, "LocalServer", NoServer)
    monkeypatch.setattr(demo, "hold", broken)

    code = demo.run(demo.Settings.of(), tmp_path / "plot.png", as_json=as_json)

    out, said = capsys.readouterr()
    assert code == 5
    assert "contextkit 2 of 36 turns, sliding window 0 of 36 turns" in said
    assert said.splitlines()[-1].endswith("is not running (exit code -9)")
    if as_json:
        result = json.loads(out)
        assert not result["complete"]
        assert result["ratio"] is None
        assert result["runs"]["contextkit"]["totals"]["evaluated_tokens"] == 50 + 80
        assert result["predictions"]["exceptions"][0]["cause"] == "the reply before"
    else:
        assert "contextkit, turn 2: prompt 200 predicted, 200 reported; cached 150 predicted" in out


def test_a_plot_that_cannot_be_written_costs_only_the_plot(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(demo, "LocalServer", NoServer)
    monkeypatch.setattr(demo, "hold", lambda *_: map(measured, range(1, 8)))
    (tmp_path / "folder").mkdir()

    code = demo.run(demo.Settings.of(quick=True), tmp_path / "folder", as_json=True)

    out, said = capsys.readouterr()
    assert code == 1
    assert json.loads(out)["complete"]
    assert json.loads(out)["png"] is None
    assert "folder" in said.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--turns=99",), "--turns: 99, but the script has"),
        (("--target=5000",), "target 5,000 is above the limit of 1,400"),
        (("--limit=100", "--target=50"), "more than the limit of 100"),
        (("--png=nowhere/plot.png",), "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path, arguments, said):
    ran = run("demo", "--json", *arguments, folder=tmp_path)

    assert ran.returncode == 1
    assert said in ran.stderr.splitlines()[-1]
    assert "Traceback" not in ran.stderr
    assert not ran.stdout


# Its parts


def test_the_script_is_a_conversation_of_the_size_that_the_demo_needs():
    assert len(TEXTS) >= 40
    assert all(15 <= len(text.split()) <= 60 for text in TEXTS)
    assert 100 <= COUNTER.counter.count(SYSTEM) <= 200
    assert len(set(TEXTS)) == len(TEXTS)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=12),
    st.integers(0, 200),
)
def test_the_window_is_as_many_whole_turns_as_fit(turns, room):
    messages = [m for _ in turns for m in (user("?"), assistant("!"))][:-1]
    sizes = [size for pair in turns for size in pair][:-1]
    if room < sizes[-1]:
        with pytest.raises(BudgetExceeded):
            window_start(messages, sizes, room)
        return

    start = window_start(messages, sizes, room)

    assert messages[start]["role"] == "user"
    assert sum(sizes[start:]) <= room
    assert start == 0 or sum(sizes[start - 2 :]) > room


@pytest.mark.parametrize("kind", ["contextkit", "window"])
def test_each_message_is_sent_for_the_first_time_once(kind):
    system, replies = "You are terse.", [f"It is number {number}." for number in range(30)]
    if kind == "contextkit":
        way = WithContextKit(ContextBuilder(MODEL, budget=Budget(200, 80)), system)
    else:
        way = SlidingWindow(COUNTER, system, 200)
    first_sent, cuts = 0, 0
    for number, reply in enumerate(replies):
        prepared = way.prepare(f"What is number {number}?")
        assert prepared.tokens == COUNTER.fixed() + sum(map(COUNTER.message, prepared.messages))
        assert prepared.tokens <= 200
        first_sent += prepared.first_sent
        cuts += bool(prepared.edits)
        way.keep(Answer(assistant(reply), None, "stop"))

    asked = [user(f"What is number {number}?") for number in range(30)]
    sent = [{"role": "system", "content": system}, *asked, *map(assistant, replies[:-1])]
    assert first_sent == sum(map(COUNTER.message, sent))
    assert cuts >= 2


def test_a_miss_inside_the_last_reply_has_a_cause_and_another_has_none():
    forecast = CacheForecast(COUNTER)
    messages = [user("Say something with an emoji.")]
    forecast.foretell(messages)
    prompt = forecast.forecast.input_tokens
    forecast.answered(assistant("one two three four"), generated=6)
    messages += [assistant("one two three four"), user("Again.")]

    assert forecast.foretell(messages) == prompt + 4
    size = forecast.forecast.input_tokens

    def why_not(reported):
        return forecast.why_not(Usage(input_tokens=size, cache_read_tokens=reported))

    assert "reply tokenised otherwise" in why_not(prompt + 2)
    assert "from token 3 of 6 on" in why_not(prompt + 2)
    assert why_not(prompt - 8).startswith("unexplained")
    assert why_not(prompt + 5).startswith("unexplained")


def test_sums_ratios_and_medians():
    requests = [
        measured(1),
        measured(2, edits={"drop": 2}),
        measured(3, cached_tokens=0, cause="gone"),
    ]

    sums = totals(requests)

    assert sums["prompt_tokens"] == 600
    assert sums["evaluated_tokens"] == 50 + 50 + 300
    assert sums["first_sent_tokens"] == 300
    assert sums["evaluated_per_first_sent"] == 1.333
    assert sums["cached_share"] == 0.333
    assert sums["cuts"] == 1
    assert sums["first_token_seconds_median"] == 2
    assert sums["first_token_seconds_median_after_first_cut"] == 2.5
    assert sums["first_token_seconds_max"] == 3
    assert sums["seconds"] == 12
    assert totals([])["cached_share"] is None
    assert ratios(sums, {**sums, "seconds": 6.0})["seconds"] == 0.5
    assert ratios(totals([]), sums)["seconds"] is None
    found = predictions([Run("one", 3, requests)])
    assert (found["requests"], found["prompt_equal"], found["cached_equal"]) == (3, 3, 2)
    assert [row["turn"] for row in found["exceptions"]] == [3]
