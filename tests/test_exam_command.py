"""`contextkit exam` as a user has it, and as a gate in CI."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import run
from tests.support import Messages, answer, call, result, system, user


def talk(turns: int = 40) -> Messages:
    messages = [system("You help with orders.")]
    for n in range(turns):
        messages += [
            user(f"Where is order ZK-{48_000 + 17 * n}? " + "I have waited a while. " * 8),
            answer(f"It left the warehouse on 2026-03-{n % 28 + 1:02}. " + "Please wait. " * 8),
        ]
    return messages


def written(folder: Path, count: int = 2) -> Path:
    """A file of conversations with a question each."""
    path = folder / "talks.jsonl"
    asked = [{"question": "When?", "answer": "warehouse", "evidence": [2]}]
    record = {"messages": talk(), "questions": asked}
    path.write_text("".join(json.dumps(record) + "\n" for _ in range(count)), encoding="utf-8")
    return path


SMALL = ("--limit=2000", "--target=900")


def test_a_table_with_what_stands_beside_and_every_output(tmp_path: Path) -> None:
    ran = run(
        *("exam", written(tmp_path), *SMALL),
        *("--csv=table.csv", "--png=plots", "--html=page.html"),
        folder=tmp_path,
    )

    assert ran.returncode == 0, ran.stderr
    for name in ("summarize", "clear+summarize", "drop", "all"):
        assert name in ran.stdout
    assert "ZK-" not in ran.stdout + ran.stderr
    assert (tmp_path / "table.csv").read_text().count("\n") == 5
    assert " to " not in (tmp_path / "table.csv").read_text()
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["kept.png"]
    assert "<img" in (tmp_path / "page.html").read_text()


def test_a_gate_says_by_how_much_and_asks_nothing_of_what_stands_beside(tmp_path: Path) -> None:
    path = written(tmp_path)
    failing = run("exam", path, *SMALL, "--compaction=drop", "--min-kept=0.9", folder=tmp_path)
    given = run(
        "exam", path, *SMALL, "--compaction=all", "--min-kept=0.9", "--json", folder=tmp_path
    )
    low = run("exam", path, *SMALL, "--compaction=drop", "--min-kept=0", folder=tmp_path)

    assert failing.returncode == 9
    assert "drop: facts kept 0.0%, which is 90.0% below" in failing.stderr
    assert "drop keeps 0 % of the" in failing.stdout
    assert given.returncode == 9
    assert "all: facts kept: nothing to measure" in given.stderr
    assert json.loads(given.stdout)["tables"]["kept"]
    assert low.returncode == 0


def test_a_gate_does_not_pass_where_few_facts_are_needed_ones(tmp_path: Path) -> None:
    messages: Messages = [user("Check all servers.")]
    for n in range(12):
        rows = "\n".join(f"SRV-{n:02}{k:02}-{(31 * n + 7 * k) % 977:03} is up" for k in range(30))
        messages += [call(f"c{n}"), result(f"c{n}", rows)]
    messages += [answer("They are up.")]
    path = tmp_path / "agent.json"
    path.write_text(json.dumps(messages))
    options = ("--limit=4000", "--compaction=clear", "--min-kept=0.9")
    few, every, enough = (
        run("exam", path, *options, *more, folder=tmp_path)
        for more in ([], ["--min-any-kept=0.5"], ["--min-any-kept=0"])
    )

    assert few.returncode == every.returncode == 9
    assert "clear: facts kept: " in few.stderr
    assert "clear: any kept" in every.stderr
    assert "below the 50.0% asked for" in every.stderr
    assert "any kept" not in enough.stderr


def test_precision_that_cannot_be_measured_is_below(tmp_path: Path) -> None:
    options = (*SMALL, "--compaction=drop", "--min-precision=1")
    ran = run("exam", written(tmp_path), *options, folder=tmp_path)

    assert ran.returncode == 9
    assert "drop: precision: nothing to measure" in ran.stderr


def test_the_help_shows_what_a_run_has_once_as_one_number(tmp_path: Path) -> None:
    told = run("exam", "--help", folder=tmp_path).stdout

    for option in ("--share", "--limit", "--target", "--join"):
        assert f"{option} NUMBER" in told.replace("<", "").replace(">", "")


def test_a_gate_for_a_summary_holds(tmp_path: Path) -> None:
    ran = run(
        *("exam", written(tmp_path), *SMALL, "--compaction=summarize:600"),
        *("--min-kept=0.5", "--min-precision=1"),
        folder=tmp_path,
    )

    assert ran.returncode == 0, ran.stderr


def test_a_summarizer_alone_at_a_share(tmp_path: Path) -> None:
    ran = run("exam", written(tmp_path), "--share=0.25", "--json", folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    rows = told["tables"]["kept"]
    assert [row["policy"] for row in rows] == [
        "extractive",
        "extractive, its block alone",
        "extractive, text alone",
        "newest",
        "all",
    ]
    assert told["settings"]["share"] == 0.25
    assert all(row["left"] <= 0.25 for row in rows[:4])


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("a") as file:
        file.write("{broken\n")
    ran = run("exam", path, *SMALL, "--compaction=drop", folder=tmp_path)
    gated = run("exam", path, *SMALL, "--compaction=drop", "--min-kept=1", folder=tmp_path)

    assert (ran.returncode, gated.returncode) == (8, 9)
    assert "talks.jsonl:3" in ran.stderr


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--compaction=drpo"], 1, "drpo"),
        (["--share=0.5", "--compaction=drop"], 2, "leave out one"),
        (["--share=0.5", "--limit=100"], 2, "--limit"),
        (["--share=0.5", "--target=100"], 2, "--target"),
        (["--share=2"], 2, "between 0 and 1"),
        (["--min-any-kept=90"], 2, "min-any-kept"),
        (["--min-kept=90"], 2, "min-kept"),
        (["--profile=no-such-model"], 1, "no-such-model"),
        (["--tools=missing.json"], 1, "missing.json"),
        (["--csv=missing/table.csv"], 1, "--csv"),
    ],
)
def test_what_was_asked_for_in_a_wrong_way_is_said(
    options: list[str], code: int, said: str, tmp_path: Path
) -> None:
    ran = run("exam", written(tmp_path, 1), *options, folder=tmp_path)

    assert ran.returncode == code
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not ran.stdout
