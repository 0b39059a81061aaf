"""What commands print and write of a result, and how long work shows that it goes on."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from contextkit.analysis.problems import Problem
from contextkit.cli import EXIT_CODES, FAILED, PROBLEMS
from contextkit.cli.outputs import check, show, write_whole
from contextkit.cli.progress import progress
from contextkit.errors import InputError, MissingExtra
from tests.command_line import environment
from tests.made_results import EVERY_KIND, HOSTILE, made, named

NOTHING = {"csv": None, "png": None, "html": None}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Puts a terminal of 80 columns in place of stdout and stderr, and gives it."""

    def put():  # by the test: pytest sets its own streams after fixtures are made
        screen = Terminal()
        for name, value in (("TERM", "xterm"), ("COLUMNS", "80")):
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("NO_COLOR", raising=False)
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, screen)
        return screen

    return put


# Printed


def test_in_a_pipe_a_row_is_a_line_without_colours(capsys):
    code = show(made(problems=()), as_json=False, **NOTHING)

    out, err = capsys.readouterr()
    assert code == 0
    assert err == ""
    assert out == f"{made(problems=())}\n"
    assert "\x1b" not in out


def test_on_a_terminal_lines_fit_and_nothing_hostile_is_left(terminal):
    screen = terminal()
    show(made(tables=[EVERY_KIND, named(*HOSTILE)]), as_json=False, **NOTHING)

    text = screen.getvalue()
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert plain != text
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
    assert r"\x1b[31mred" in plain
    assert "Every column is explained on the page of --html" in plain


def test_json_is_all_that_stands_on_stdout(capsys, tmp_path):
    result = made()
    code = show(result, as_json=True, csv=tmp_path / "t.csv", png=None, html=None)

    out, err = capsys.readouterr()
    assert code == PROBLEMS == 8
    assert json.loads(out) == json.loads(json.dumps(result.to_json()))
    assert "wrote" in err


def test_problems_are_named_on_stderr_and_the_exit_code_says_so(capsys):
    problems = tuple(Problem("a\x1b.jsonl", "is no JSON", line) for line in range(25))
    problems += (Problem("a\x1b.jsonl", "is no JSON", 30, times=5),)
    code = show(made(problems=problems), as_json=False, **NOTHING)

    err = capsys.readouterr().err
    assert code == 8
    assert err.count("is no JSON") == 20
    assert "... and 10 more" in err
    assert "30 problems in the input: 30 not read" in err
    assert "\x1b" not in err
    assert "8 something in the input could not be read" in EXIT_CODES


# Written


def test_every_file_is_written_that_is_asked_for(tmp_path, capsys):
    result = made(problems=())
    table, folder, page = tmp_path / "t.csv", tmp_path / "deep" / "plots", tmp_path / "p.html"
    assert show(result, as_json=False, csv=table, png=folder, html=page) == 0

    with table.open(encoding="utf-8", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["first", "second", ""]
    assert sorted(path.name for path in folder.iterdir()) == ["frontier.png", "split.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in folder.iterdir())
    assert page.read_text(encoding="utf-8") == result.html()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "p.html", "t.csv"]
    assert capsys.readouterr().err.count("wrote") == 4


def test_a_file_that_cannot_be_written_costs_nothing_else(tmp_path, capsys):
    (tmp_path / "plots").write_text("a file")
    nowhere, page = tmp_path / "nowhere" / "t.csv", tmp_path / "p.html"
    code = show(made(), as_json=False, csv=nowhere, png=tmp_path / "plots", html=page)

    out, err = capsys.readouterr()
    assert code == FAILED == 1
    assert "1,204" in out
    assert f"{nowhere} cannot be written" in err
    assert f"{tmp_path / 'plots'} cannot be made" in err
    assert page.exists()


def test_who_stops_reading_costs_no_file(tmp_path):
    code = "from tests.made_results import *; from contextkit.cli.outputs import show; "
    code += "from pathlib import Path; table = named(*map(str, range(100_000))); "
    code += "print(show(made(tables=[table], plots=(), problems=()), as_json=False, "
    code += "csv=Path('t.csv'), png=None, html=None), file=__import__('sys').stderr)"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        _, err = process.communicate(timeout=120)

    assert err == "contextkit: wrote t.csv\n0\n"
    assert process.returncode == 0
    assert (tmp_path / "t.csv").read_text().count("\n") == 100_001


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_stdout_that_cannot_be_written_costs_no_file(tmp_path, as_json):
    code = "from tests.made_results import *; from contextkit.cli.outputs import show; "
    code += f"from pathlib import Path; print(show(made(problems=()), as_json={as_json}, "
    code += "csv=Path('t.csv'), png=None, html=None), file=__import__('sys').stderr)"
    with Path("/dev/full").open("w") as full:
        process = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment(), check=False,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=120,
        )  # fmt: skip

    said = "contextkit: what was found cannot be printed: No space left on device"
    assert process.stderr == f"{said}\ncontextkit: wrote t.csv\n{FAILED}\n"
    assert (tmp_path / "t.csv").exists()


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
@pytest.mark.skipif(sys.platform == "win32", reason="a shell of its own")
def test_a_stream_that_is_closed_breaks_nothing(tmp_path, closed):
    (tmp_path / "t.json").write_text(
        '[{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'
    )
    code = "from contextkit.cli import main; main()"
    command = f"{sys.executable} -c '{code}' replay t.json {closed}"
    process = subprocess.run(
        ["/bin/sh", "-c", command], cwd=tmp_path, env=environment(), check=False,
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert (process.returncode, process.stderr) == (0, "")


def test_what_was_there_stays_where_writing_breaks_off(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_text("before")
    path.chmod(0o640)

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", full)
        with pytest.raises(OSError, match="No space"):
            write_whole(path, b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]

    write_whole(path, b"after")
    assert path.read_text() == "after"
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_new_file_has_the_usual_permissions_and_a_link_stays_one(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    write_whole(link, b"content")

    assert link.is_symlink()
    assert target.read_bytes() == b"content"
    assert target.stat().st_mode == usual.stat().st_mode


def test_a_device_can_be_written_to():
    from pathlib import Path

    write_whole(Path(os.devnull), b"content")


def test_plots_of_odd_names_stay_in_their_folder(tmp_path):
    from dataclasses import replace

    plot = replace(made().plot("split"), name="../../etc/x y")
    folder = tmp_path / "a" / "b"
    show(made(plots=[plot], problems=()), as_json=False, csv=None, png=folder, html=None)

    assert [path.name for path in folder.iterdir()] == ["-etc-x-y.png"]


# Before long work


def test_outputs_that_cannot_be_are_found_before_the_work(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.touch()
    check(csv=tmp_path / "t.csv", png=tmp_path / "new" / "plots", html=file)
    for options, said in (
        ({"csv": tmp_path / "no" / "t.csv"}, "--csv: there is no folder"),
        ({"html": tmp_path}, "--html: .* is a folder"),
        ({"png": file}, "--png: .* is a file"),
    ):
        with pytest.raises(InputError, match=said):
            check(**{**NOTHING, **options})
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    check(**{**NOTHING, "csv": tmp_path / "t.csv"})
    with pytest.raises(MissingExtra, match=r"contextkit\[cli\]"):
        check(**{**NOTHING, "html": tmp_path / "p.html"})


# Progress


def clock(*times):
    return iter(times).__next__


def test_without_a_terminal_a_line_comes_every_few_seconds(capsys):
    with progress("replaying", clock=clock(0, 1, 4, 6, 7, 12)) as told:
        for done in range(5):
            told(done, 1_000)
        assert capsys.readouterr().err == "replaying: 2 of 1,000\nreplaying: 4 of 1,000\n"


def test_quick_work_and_no_work_are_silent(capsys):
    with progress("replaying", clock=clock(0, 1, 2)) as told:
        told(1, 2)
        told(2, 2)
    with progress("replaying"):
        pass
    assert capsys.readouterr() == ("", "")


def test_of_how_many_may_be_unknown(capsys):
    with progress("reading", clock=clock(0, 9)) as told:
        told(12_345, None)
    assert capsys.readouterr().err == "reading: 12,345\n"


def test_a_terminal_has_a_bar_that_goes_away(terminal):
    screen = terminal()
    with progress("replaying [red]") as told:
        told(1, 4)
        told(4, 4)
        assert "replaying [red]" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "\x1b[?25h" in screen.getvalue()  # the cursor is back
    assert screen.getvalue().endswith("\x1b[2K")  # the line is empty


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_bar_goes_away_whatever_ends_the_work(terminal, error):
    screen = terminal()

    def work():
        with progress("replaying") as told:
            told(1, None)
            raise error

    with pytest.raises(error):
        work()
    assert screen.getvalue().endswith("\x1b[2K")


def test_a_terminal_without_work_stays_empty(terminal):
    screen = terminal()
    with progress("replaying"):
        pass
    assert screen.getvalue() == ""


def test_a_dumb_terminal_gets_lines(terminal, monkeypatch):
    screen = terminal()
    monkeypatch.setenv("TERM", "dumb")
    with progress("replaying", clock=clock(0, 9)) as told:
        told(1, 2)
    assert screen.getvalue() == "replaying: 1 of 2\n"
