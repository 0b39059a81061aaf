"""The benchmark of other libraries measures what it says, on small libraries with known faults."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import contextkit as ck
from benchmarks.peers import correctness, costs, plots, times
from benchmarks.peers.cases import families
from benchmarks.peers.child import Names
from benchmarks.peers.libraries import FLOOR, OURS, OURS_SUMMARIZING, PEERS, peer
from benchmarks.peers.library import Remembering
from benchmarks.peers.process import Failed, NotInstalled, Process, TookTooLong
from benchmarks.workloads import Workload, written_dialogue, written_loop
from contextkit.analysis.policies import Setting, points_of
from contextkit.analysis.replaying.settings import policies_of
from contextkit.tokens import counter_for
from tests.support import answer, call, result, system, user

ROOT = Path(__file__).parents[1]
COUNTER = counter_for(ck.profile_for("gpt-5"), Remembering("gpt-5"))
TALK = [
    user("find it"),
    call("a", "b"),
    result("a", "one"),
    result("b", "two"),
    answer("found"),
    user("and now?"),
    answer("now, too"),
]


@contextmanager
def library(name: str) -> Iterator[Process]:
    """A fake, or one that is written by hand, in a process of its own."""
    found = next((one for one in PEERS if one.name == name), None)
    with Process(found or peer(f"fake:{name}")) as process:
        yield process


def asked(process: Process, limit: int = 10_000, seconds: float = 60.0) -> list[dict[str, Any]]:
    job = {
        "do": "requests",
        "model": "gpt-5",
        "limit": limit,
        "window": 3,
        "system": system("be brief"),
        "messages": TALK,
        "points": [1, 4, 6],
    }
    found: list[dict[str, Any]] = process.ask(job, seconds)["requests"]
    return found


def test_what_a_library_sends_comes_back_by_number() -> None:
    with library("append only") as process:
        requests = asked(process)

    assert [one["messages"] for one in requests] == [
        [-1, 0],
        [-1, 0, 1, 2, 3],
        [-1, 0, 1, 2, 3, 4, 5],
    ]


def test_what_nobody_said_comes_back_as_it_is_and_summaries_with_what_was_asked() -> None:
    with library("Rewrites") as process:
        last = asked(process)[-1]

    assert last["messages"][:3] == [-1, {"role": "user", "content": "other words"}, 1]
    assert [called for called, _ in last["calls"]] == [[0]]
    assert COUNTER.counter.count(last["calls"][0][1]) == 200


@pytest.mark.parametrize("model", ["gpt-5", "qwen-plus"])
def test_a_counter_that_remembers_counts_as_the_plain_one_does(model: str) -> None:
    plain, remembering = counter_for(ck.profile_for(model)).counter, Remembering(model)
    for _, messages, _ in families(1):
        texts = [message["content"] or "" for message in messages]
        for text in (" ".join(texts), "\n".join(texts[::-1]), *texts):
            assert remembering.count(text) == plain.count(text)


def test_equal_messages_are_told_apart_by_their_order() -> None:
    twice = [user("yes"), answer("no"), user("yes"), answer("no")]

    assert Names(twice, None).of(twice) == [0, 1, 2, 3]
    assert Names(twice, None).of(twice[2:]) == [0, 1]
    assert Names(twice, system("x")).of([system("x"), answer("no", tool_calls=None)]) == [-1, 1]


def test_a_library_that_raises_hangs_or_dies_ends_nothing_but_its_own_figures() -> None:
    with library("Raises") as process:
        assert [one["error"] for one in asked(process)] == ["RuntimeError: no"] * 3
    with library("Refuses") as process:
        assert {one["error"] for one in asked(process)} == {"ValueError: not that one"}
    with library("Sleeps") as process:
        process.ask({"do": "version"}, 60)
        with pytest.raises(TookTooLong):
            asked(process, seconds=0.2)
        assert process.ask({"do": "version"}, 60) == {"version": ""}
    with library("Dies") as process, pytest.raises(Failed, match="ended"):
        asked(process)
    missing = replace(peer("litellm trim_messages"), environment="nowhere")
    with Process(missing) as process, pytest.raises(NotInstalled, match="make peers"):
        asked(process)


def judged(sent: list[Any], limit: int = 10_000, end: int = 5) -> dict[str, int]:
    messages = [system("be brief"), *TALK]
    case = correctness.Case("", costs.Transcript("", messages, []), limit)
    given = {"messages": sent, "calls": []}
    found = correctness.judged(messages, end, given, case, COUNTER)
    return {name: count for name, count in found.items() if count}


def test_what_is_wrong_with_a_request_is_told() -> None:
    right = {"possible": 1}
    altered = {"role": "tool", "tool_call_id": "a", "content": "on"}

    assert judged([-1, 0, 1, 2, 3]) == right
    assert judged([-1, 0, 2, 3]) == {**right, "orphan result": 1, "wrong": 1}
    assert judged([-1, 0, 1, 2]) == {**right, "orphan call": 1, "wrong": 1}
    assert judged([0, 1, 2, 3]) == {**right, "no system": 1, "wrong": 1}
    assert judged([-1, 1, 2, 3]) == {**right, "no user": 1, "wrong": 1}
    assert judged([-1, 0, 1, altered, 3]) == {**right, "altered": 1}
    tokens = COUNTER.fixed() + sum(map(COUNTER.message, [system("be brief"), *TALK[:5]]))
    assert judged([-1, 0, 1, 2, 3, 4], tokens) == right
    over = judged([-1, 0, 1, 2, 3, 4], tokens - 1)
    assert over == {**right, "over": 1, "over by": 1, "wrong": 1}


def test_where_nothing_can_fit_only_a_refusal_is_right() -> None:
    messages = [system("be brief"), *TALK]
    case = correctness.Case("", costs.Transcript("", messages, []), 20)

    def found(given: dict[str, Any]) -> dict[str, int]:
        counts = correctness.judged(messages, 5, {"calls": [], **given}, case, COUNTER)
        return {name: count for name, count in counts.items() if count}

    assert found({"exceeded": 90}) == {"impossible": 1, "impossible, refused": 1}
    assert found({"messages": [-1]}) == {"impossible": 1, "impossible, sent": 1}
    assert found({"error": "x"}) == {"impossible": 1, "impossible, raised otherwise": 1}


def test_faults_of_libraries_are_counted_and_contextkit_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(correctness, "SHARES", (0.2, 0.5))
    with library("Tail") as tail, library(OURS) as ours, library("append only") as everything:
        found = correctness.measure([tail, ours, everything], seeds=1)

    by = {row["name"]: row["counts"] for row in found["rows"]}
    assert found["cases"] == 2 * len({name for name, _, _ in families(1)})
    assert by[OURS]["possible"] > 800
    assert by[OURS].get("wrong", 0) == 0
    assert by[OURS]["impossible"] == by[OURS]["impossible, refused"] > 0
    assert by["append only"]["over"] == by["append only"]["wrong"] > 400
    assert min(by["fake:Tail"][fault] for fault in ("orphan result", "no system", "no user")) > 50
    assert {tuple(row["families"]) for row in found["rows"]} == {
        tuple(name for name, _, _ in families(1))
    }


def test_requests_of_a_library_cost_what_the_simulator_says() -> None:
    talk = written_dialogue(80, 3)
    workload = Workload("dialogue", [talk])
    with library("append only") as everything, library("sliding window by hand") as window:
        policies = [costs.PeerPolicy(one.peer, one) for one in (everything, window)]
        found = {
            row["name"]: row for row in costs.rows(workload, policies, ("gpt-5", "implicit", 3_000))
        }

    everything_, window_ = found["append only"], found["sliding window by hand"]
    ours = found[f"{OURS}, at-limit"]
    assert everything_["requests"] == ours["requests"] == 80
    assert everything_["by the least"] < 1.2 < window_["by the least"]
    assert everything_["over"] > 0 == window_["over"] == ours["over"]
    assert everything_["requests cut"] == 0 < ours["requests cut"] < window_["requests cut"]
    assert "ratio" not in everything_
    beside = window_["contextkit"]
    assert abs(beside["mean tokens"] - window_["mean tokens"]) < costs.CLOSE * beside["mean tokens"]
    assert window_["ratio"] == beside["cost"] / window_["cost"] < 0.6


def test_append_only_is_charged_as_the_whole_list_by_replay() -> None:
    messages = written_loop(40, 3)
    profile = ck.profile_for("qwen-plus")
    counter = counter_for(profile, Remembering("qwen-plus"))
    for cache in ("explicit", "implicit"):
        setting = Setting(profile, cache, counter, 100_000, 50_000)
        workload = Workload("loop", [messages])
        with library("append only") as process:
            charged = costs.charged(costs.PeerPolicy(process.peer, process), workload, setting)
        [all_] = policies_of(["all"])
        expected = costs.charged(all_, workload, setting)

        assert charged.tokens == expected.tokens
        assert charged.requests == len(points_of(costs.transcripts(workload)[0])) == 40
        assert charged.read == pytest.approx(expected.read, rel=0.02)


def test_times_are_measured_and_what_takes_too_long_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(times, "TURN", 0.5)
    rows = times.measure([peer(OURS), peer("fake:Sleeps")], (20, 40), turns=5, seconds=0.2)

    by = {row["name"]: row["cells"] for row in rows}
    assert list(by) == [FLOOR.name, OURS, "fake:Sleeps"]
    assert by[OURS]["8000, 40"]["mean"] > by[FLOOR.name]["8000, 40"]["median"] > 0
    assert by["fake:Sleeps"]["8000, 20"] == {"ended": "a turn: > 0.5 s"}
    assert "shorter" in by["fake:Sleeps"]["8000, 40"]["ended"]
    assert times.fastest(rows, 8_000, 40) == OURS


def stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "benchmarks/results/peers.json").read_text("utf-8"))
    return found


def test_stored_results_have_every_library_and_what_the_page_claims() -> None:
    found = stored()
    names = {one.name for one in PEERS}

    for made in found["made"].values():
        assert {one.package for one in PEERS if one.package} <= made.keys()
    ours = next(row for row in found["correctness"]["rows"] if row["name"] == OURS)
    assert ours["counts"].get("wrong", 0) == 0
    assert ours["errors"] == {}
    assert {row["name"] for row in found["correctness"]["rows"]} == names
    assert {row["name"] for row in found["times"]} == names - {OURS_SUMMARIZING} | {FLOOR.name}
    assert {row["name"] for row in found["costs"]} > names - {OURS, OURS_SUMMARIZING}
    assert {row["name"] for row in found["server"]["rows"]} == names - {"append only"}
    sliding = {one.name for one in PEERS if one.cuts == "slides"}
    evaluated = {row["name"]: row["evaluated tokens"] for row in found["server"]["rows"]}
    assert evaluated[OURS] * 5 <= min(evaluated[name] for name in sliding)
    for limit in times.LIMITS:
        for length in times.LENGTHS[1:]:
            assert times.fastest(found["times"], limit, length) == OURS
    shown = plots.points(found)
    assert len(shown) >= 5
    assert all(kinds[OURS] and kinds["slides"] for kinds in shown.values())


def test_the_environments_have_what_the_project_asks_for() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    for group, environment in (("peers", "current"), ("peers-held-back", "held-back")):
        file = ROOT / f"benchmarks/peers/constraints{group.removeprefix('peers')}.txt"
        text = file.read_text("utf-8")
        pinned = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
        wanted = {one for one in groups[group] if isinstance(one, str)}
        names = {re.split(r"[<>=!\[]", one)[0] for one in wanted}

        assert names <= pinned
        assert {
            one.package
            for one in PEERS
            if one.environment == environment and one.package != "langchain-core"
        } == names
        assert "://" not in text
        assert text.count("\n    --hash=sha256:") >= len(pinned)
