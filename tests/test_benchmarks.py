"""Benchmarks run as a user runs them, say when and with what, and memory does not grow unseen."""

from __future__ import annotations

import gc
import importlib
import json
import re
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import evidence, frontier, growth, retrieval_latency
from benchmarks.__main__ import BENCHMARKS, ROOT, lacking
from benchmarks.build_time import SEED, conversation
from benchmarks.labelled import dialogues
from benchmarks.workloads import (
    Workload,
    outgrown,
    reaching,
    trajectories,
    written_agent,
    written_dialogue,
)

# Smaller still than the short form: what is measured is not looked at here, but that it is there.
TINY: dict[str, dict[str, Any]] = {
    "build_time": {"LENGTHS": (10, 20, 30), "LIMITS": (8_000,), "written_agent": None},
    "wrap_overhead": {"SIZES": ((20, 400),), "MODELS": ("qwen-plus",)},
    "growth": {"QUICK": {"messages": (20, 60), "conversations": (2, 4)}, "WAYS": None},
    "schedule": {"RANDOM": 40, "PRICES": ((0.1, 1.25),), "sequences": None},
    "policy_cost": {"long_sessions": None},
    "frontier": {"long_sessions": None},
    "tool_loop": {"STEPS": 20, "CLEARING": (), "SIZES": {"as asked": (300, 900)}},
    "evidence": {"LARGE": 200, "DRAWS": 20, "embedder": None},
    "evidence_cost": {"DRAWS": 20, "embedder": None},
    "retrieval_latency": {"QUICK": (60,), "alone": None},
    "simulator_time": {"CACHES": (("qwen-plus", None),), "BLOCKS": 20},
    "audit_time": {"QUICK": (60,)},
}
SMALLER: dict[str, Any] = {
    "written_agent": lambda _turns, seed: written_agent(30, seed),
    "WAYS": {
        "messages": {"list": growth.plain_list},
        "conversations": {"kept log": growth.kept_logs},
    },
    "sequences": lambda _folder: {"written": [(100,) * 60]},
    "embedder": lambda _name: None,
    "alone": lambda cell, size, **given: retrieval_latency.CELLS[cell](size, **given),
    "long_sessions": lambda _folder, _limit, **_: [Workload("short", [written_dialogue(90, 1)])],
}


@pytest.fixture(autouse=True, scope="module")
def _little_to_collect() -> Iterator[None]:
    """What the tests themselves hold need not be gone through by every collection here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.parametrize("name", TINY)
def test_a_benchmark_says_what_was_measured_when_and_with_what(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    for what, value in TINY[name].items():
        monkeypatch.setattr(module, what, SMALLER[what] if value is None else value)
    [known] = [one for one in BENCHMARKS if one.name == name]
    plots = ["--png", str(tmp_path)] if known.plots else []
    monkeypatch.setattr(sys, "argv", [name, "--quick", "--json", *plots])

    assert module.main() == 0
    result = json.loads(capsys.readouterr().out)
    head = result["made"]
    table = module.table(result)
    assert result["benchmark"] == name
    assert {"date", "machine", "contextkit", "python", "seed"} <= head.keys()
    assert f"{head['date']} (short form)" in table
    assert f"seed {head['seed']}" in table
    assert len(re.findall(r"^\|", table, re.MULTILINE)) > 2
    assert bool(list(tmp_path.glob("*.png"))) == known.plots


def test_of_a_single_dialogue_nothing_is_asked_that_needs_another() -> None:
    one, *_ = dialogues(None)
    ours = evidence.Ours(one, None)

    assert set(evidence.let_through([one], [ours])) == {"questions with evidence", "courtesies"}
    assert len(evidence.let_through([one, replace(one)], [ours, ours])) == 4


def test_every_benchmark_is_in_the_list_and_its_page() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    scripts = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text(encoding="utf-8")
    } - {"__main__", "figures", "profiles_table"}

    assert scripts | {"peers"} == {one.name for one in BENCHMARKS}
    for name in scripts:
        assert f"`python -m benchmarks.{name}`" in page


def test_what_is_not_installed_is_said_with_how_to_get_it(tmp_path: Path) -> None:
    [peers] = [one for one in BENCHMARKS if one.name == "peers"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.__main__.ROOT", tmp_path)
        patch.setattr("benchmarks.__main__.find_spec", lambda _name: True)
        said = lacking(peers)

    assert "make peers" in said


# -- growth, by bytes and by calls, never by seconds --------------------------------------------


def cells(of: str, way: str, sizes: tuple[int, int]) -> list[dict[str, Any]]:
    return [growth.cell(of, way, size, alone=False, turns=1) for size in sizes]


@pytest.mark.parametrize("way", growth.WAYS["messages"])
def test_memory_for_each_message_does_not_grow_with_their_number(way: str) -> None:
    few, many = cells("messages", way, (100, 300))

    assert many["bytes each"] < 1.1 * few["bytes each"]
    assert many["bytes each"] < 2_500
    assert many["left each"] * 300 < 5_000


@pytest.mark.parametrize("way", ["kept log", "list", "wrapped list", "Chat over SQLite"])
def test_memory_for_each_conversation_does_not_grow_with_their_number(way: str) -> None:
    few, many = cells("conversations", way, (3, 9))

    assert many["bytes each"] < 1.1 * few["bytes each"]
    assert many["left each"] * 9 < 5_000


@pytest.mark.parametrize("of", [growth.building, growth.wrapping])
def test_what_is_known_of_lists_is_bounded_however_many_come(
    of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contextkit.calls.KEPT_ROWS", 20)  # the rows of the ledger, bounded as well
    most = 100_000
    text = json.dumps(conversation(growth.EACH, SEED))
    taken = []
    for size in (10, 40):
        with growth.scoped(of(max_bytes=most))(text, size) as begin:
            begin()
            gc.collect()
            tracemalloc.start()
            held = begin()
            gc.collect()
            taken.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
            del held

    assert taken[1] < 1.2 * taken[0]
    assert taken[1] < 2 * most


def test_a_turn_of_a_chat_goes_through_nothing_that_is_old() -> None:
    def calls(messages: int) -> int:
        count = 0

        def counted(_frame: object, event: str, _argument: object) -> None:
            nonlocal count
            count += event == "call"

        text = json.dumps(conversation(messages, SEED))
        with growth.chat(text, messages) as begin:
            turn = begin()
            for _ in range(3):
                turn()()
            action = turn()
            gc.disable()
            sys.setprofile(counted)
            try:
                action()
            finally:
                sys.setprofile(None)
                gc.enable()
        return count

    assert calls(1_200) < 1.3 * calls(300)


# -- workloads and the frontier -----------------------------------------------------------------


def test_sessions_that_reach_no_limit_are_said_to_be_vacuous() -> None:
    workload = Workload("mixed", [written_dialogue(3, 1), written_dialogue(60, 2)])
    found = [{"workload": workload.name, "limit": 2_000, **reaching(workload, 2_000)}]

    assert (found[0]["sessions"], found[0]["reaching"]) == (2, 1)
    assert "mixed at 2,000: 1 of 2 sessions never outgrow the limit" in outgrown(found)
    assert outgrown([{**found[0], "reaching": 2}]) == ""


def test_the_calls_of_swe_agent_are_adapted_where_they_are_read(tmp_path: Path) -> None:
    line = {"messages": [{"role": "tool", "content": "done", "tool_call_ids": ["c1"]}]}
    (tmp_path / "some.jsonl").write_text(json.dumps(line), encoding="utf-8")

    [[message]] = trajectories(tmp_path, "some.jsonl")
    assert message == {"role": "tool", "content": "done", "tool_call_id": "c1"}


def test_costs_are_compared_at_the_same_length() -> None:
    points = [(4_000.0, 400.0), (1_000.0, 100.0), (2_000.0, 300.0)]

    assert frontier.at_length(points, 1_500.0) == 200.0
    assert frontier.at_length(points, 4_000.0) == 400.0
    assert frontier.at_length(points, 900.0) is None


def test_a_lower_target_costs_less_and_keeps_less() -> None:
    workload = Workload("dialogue", [written_dialogue(90, 1)])
    rows = frontier.rows_of(workload, "qwen-plus:implicit", 6_000, (0.5, 0.25), (1.0, 0.5))
    frontier.compared(rows)
    pays = [row for row in rows if row["policy"] == "drop@when-it-pays"]

    assert [row["target"] for row in pays] == [3_000, 1_500]
    assert pays[1]["cost"] < pays[0]["cost"]
    assert pays[1]["mean tokens"] < pays[0]["mean tokens"]
    assert pays[0]["by window of messages"] < 0.6
    assert {row["requests"] for row in rows} == {90}


def test_a_benchmark_leaves_the_official_client_as_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from openai.resources import chat

    before = chat.Completions, chat.chat.AsyncCompletions
    module = importlib.import_module("benchmarks.wrap_overhead")
    monkeypatch.setattr(module, "CALLS", 2)
    module.measured(quick=True, sizes=((10, None),))

    assert (chat.Completions, chat.chat.AsyncCompletions) == before
