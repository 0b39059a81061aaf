"""`contextkit replay` as a user has it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.command_line import run
from tests.support import answer, chat, tool


def written(folder: Path, turns: int = 40, count: int = 2) -> Path:
    """A file of conversations, and a line that is none."""
    path = folder / "talks.jsonl"
    line = json.dumps({"messages": [*chat(turns, 300), answer("the end")]})
    path.write_text("\n".join([line] * count) + "\n", encoding="utf-8")
    return path


def test_policies_and_profiles_are_combined_and_every_output_is_written(tmp_path: Path) -> None:
    (tmp_path / "tools.json").write_text(json.dumps([tool("look")]))
    ran = run(
        "replay",
        written(tmp_path),
        *("--compaction=drop", "--compaction=window", "--compaction=summarize:200"),
        *("--schedule=at-limit", "--schedule=when-it-pays"),
        *("--profile=qwen-plus:explicit", "--profile=gpt-4o", "--limit=2000", "--target=900"),
        *("--tools=tools.json", "--join=2", "--gap=5", "--json"),
        *("--csv=table.csv", "--png=plots", "--html=page.html"),
        folder=tmp_path,
    )

    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    rows = told["tables"]["policies"]
    assert [row["profile"] for row in rows[::5]] == ["qwen-plus:explicit", "gpt-4o:implicit"]
    assert {row["policy"] for row in rows} == {
        "drop@at-limit",
        "drop@when-it-pays",
        "summarize:200@at-limit",
        "summarize:200@when-it-pays",
        "window",
    }
    assert (told["settings"]["limit"], told["settings"]["target"]) == (2_000, 900)
    assert (told["settings"]["join"], told["settings"]["gap"]) == (2, 5.0)
    assert {row["requests"] for row in rows} == {82}
    assert (tmp_path / "table.csv").read_text().count("\n") == 11
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        "frontier.png",
        "requests.png",
    }
    assert (
        "<svg" in (tmp_path / "page.html").read_text()
        or "<img" in (tmp_path / "page.html").read_text()
    )


def test_by_default_a_table_with_the_usual_policies(tmp_path: Path) -> None:
    ran = run("replay", written(tmp_path, count=1), "--limit=2000", folder=tmp_path)

    assert ran.returncode == 0, ran.stderr
    for name in ("drop@when-it-pays", "drop@at-limit", "clear+drop@when-it-pays", "window", "all"):
        assert name in ran.stdout
    assert "limit 2,000, target 1,000" in ran.stdout


def test_a_line_that_cannot_be_read_is_named_and_the_rest_is_done(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("a") as file:
        file.write("{broken\n")
    ran = run("replay", path, "--compaction=all", folder=tmp_path)

    assert ran.returncode == 8
    assert "talks.jsonl:3" in ran.stderr
    assert "all" in ran.stdout


def test_where_nothing_can_be_done_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    ran = run("replay", "empty.jsonl", folder=tmp_path)

    assert ran.returncode == 1
    assert "empty.jsonl" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_what_was_asked_for_in_a_wrong_way_is_said_before_anything_is_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    for option, said in (
        ("--compaction=drpo", "drpo"),
        ("--schedule=never", "never"),
        ("--profile=no-such-model", "no-such-model"),
        ("--tools=missing.json", "missing.json"),
        ("--csv=missing/table.csv", "--csv"),
    ):
        ran = run("replay", path, option, folder=tmp_path)
        assert ran.returncode == 1, option
        assert said in ran.stderr.splitlines()[-1]
        assert not ran.stdout


def test_ones_own_profiles_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(
        '[[profile]]\nname = "mine"\nlike = "gpt-4o"\nmodels = ["mine-"]\n'
        "prices = [{ input = 1000.0 }]\n"
    )
    ran = run(
        "replay",
        written(tmp_path, turns=3, count=1),
        *("--profiles=own.toml", "--profile=mine-1", "--compaction=all", "--json"),
        folder=tmp_path,
    )

    assert ran.returncode == 0, ran.stderr
    [row] = json.loads(ran.stdout)["tables"]["policies"]
    assert row["profile"] == "mine-1:implicit"
    assert row["cost"] == row["units"] / 1_000


def test_what_a_run_has_once_is_refused_when_given_twice(tmp_path: Path) -> None:
    path = written(tmp_path, turns=3)
    for option in ("--limit", "--target", "--gap", "--join"):
        ran = run("replay", path, f"{option}=4000", f"{option}=8000", folder=tmp_path)
        assert ran.returncode == 2, option
        said = " ".join(ran.stderr.replace("│", " ").split())
        assert f"Invalid value for {option}: given 2 times (4000, 8000): a run has one" in said
        assert "run once for each" in said
