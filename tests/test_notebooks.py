"""The notebooks run offline from first to last, tell the story they tell, and are kept as executed.

They are executed as `make notebooks` does it. `tests/offline` is on the path of the kernel and of
the server that it starts, so neither reaches beyond this machine.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from notebooks.execute import FOLDER, normalised, sources_digest
from tests.command_line import ROOT, environment, free_port, nobody_listens

NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
FIRST_LOOK = FOLDER / "01_first_look.ipynb"
BREAKERS = FOLDER / "02_where_the_cache_breaks.ipynb"
POLICIES = FOLDER / "03_what_a_policy_costs.ipynb"
KEPT = FOLDER / "04_what_a_compaction_keeps.ipynb"
RETRIEVED = FOLDER / "05_what_comes_back.ipynb"
ABSOLUTE_PATH = re.compile(r"(?<![\w<.])/\w[\w.-]*/\w|\b[A-Z]:\\")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def execute(path, into):
    """Execute a notebook in a process of its own, which keeps the result in another folder."""
    return subprocess.run(
        [sys.executable, "-m", "notebooks.execute", path, "--into", into],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def read(path):
    return nbformat.read(path, as_version=4)


def write(path, *cells):
    """A notebook of some code cells."""
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    return path


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(notebook):
    """What each code cell shows, without what may differ from run to run."""
    return [
        [(output.output_type, sorted(output.get("data", ()))) for output in cell.outputs]
        for cell in code_cells(notebook)
    ]


def texts(notebook):
    """Every text in the outputs."""
    for cell in code_cells(notebook):
        for output in cell.outputs:
            yield output.get("text", "")
            for kind, data in output.get("data", {}).items():
                if not kind.startswith("image/"):
                    yield data if isinstance(data, str) else json.dumps(data)


def summary(notebook):
    """The table of the cell with the tag `summary`: its rows by their first column."""
    [cell] = [cell for cell in notebook.cells if "summary" in cell.metadata.get("tags", ())]
    [output] = cell.outputs
    head, _, *rows = (
        [word.strip() for word in line.strip("|").split("|")]
        for line in output.data["text/markdown"].splitlines()
    )
    return {row[0]: dict(zip(head, map(number, row), strict=True)) for row in rows}


def number(text):
    return float(text.rstrip("%").replace(",", "")) if text[:1].isdigit() else text


def check_first_look(ways):
    """What the first notebook is for: it falls, twice, and is repaired, twice."""
    ratio = {name: way["hit ratio"] for name, way in ways.items()}

    assert ratio["full list"] > 70
    assert ratio["clock in front"] < 20
    assert ratio["clock at the end"] > 70
    assert ratio["sliding window"] + 10 < ratio["recorded cuts"]
    assert ways["clock in front"]["evaluated"] > 2 * ways["clock at the end"]["evaluated"]
    assert ways["sliding window"]["evaluated"] > 1.5 * ways["recorded cuts"]["evaluated"]
    assert ways["full list"]["moved"] == ways["clock at the end"]["moved"] == 0
    assert 0 < ways["recorded cuts"]["moved"] < ways["sliding window"]["moved"]
    for way in ways.values():
        assert way["from the cache"] + way["evaluated"] == way["prompt tokens"]
        assert way["hit ratio"] == round(100 * way["from the cache"] / way["prompt tokens"], 1)


CUT = {  # breakers whose mend cuts too, only less often
    "a summary rewritten at the head",
    "a sliding window",
    "tool results cleared one by one",
}
NEVER_HIT = {
    "clock in the system prompt",
    "tools in another order",
    "below the minimum",
    "a point on what changes",
    "single questions on GPT-5.6",
    "concurrent first requests",
}
HIT_IN_PART = {
    "an id for each conversation",
    "the user at the top",
    "a tool added later",
    "JSON serialised again",
    "passages in the system prompt",
    "another model for a while",
    "pauses beyond the TTL",
    "one point, behind the system prompt",
    "many tool results in a turn",
}


def check_breakers(cases):
    """What the second notebook is for: each breaker breaks, is seen, and is mended."""
    assert cases.keys() == CUT | NEVER_HIT | HIT_IN_PART
    for name, case in cases.items():
        assert (case["hits before"] == 0) == (name in NEVER_HIT), name
        assert case["hits before"] + 4 < case["hits after"] > 75, name
        assert case["missed before"] > 4 * case["missed after"] or name in CUT, name
        assert case["missed before"] > 1.9 * case["missed after"] > 0 or name not in CUT, name
        assert case["what to do"], name


def check_policies(rows):
    """What the third notebook is for: the prices of policies, on each of several caches."""
    assert rows.keys() == {
        "qwen-plus:implicit",
        "qwen-plus:explicit",
        "gpt-5.6:implicit",
        "deepseek-v4-flash:implicit",
        "claude-opus-5:explicit",
    }
    for name, row in rows.items():
        pays, limit = row["drop@when-it-pays"], row["drop@at-limit"]
        assert pays < limit < row["all"] < row["window"], name
        assert row["window"] > 3 * limit, name
        assert 1 <= row["by optimum"] < 1.06, name
        assert 2 * row["cuts"] < row["cuts of the window"], name
    implicit, explicit = rows["qwen-plus:implicit"], rows["qwen-plus:explicit"]
    assert explicit["drop@when-it-pays"] < 0.8 * implicit["drop@when-it-pays"]
    assert explicit["cuts"] < implicit["cuts"], "the cheaper reading is, the later a cut pays"
    assert rows["deepseek-v4-flash:implicit"]["cuts"] < explicit["cuts"]


def check_kept(rows):
    """What the fourth notebook is for: a checked summary keeps what the newest turns do not."""
    extractive, text, newest = (
        rows[name] for name in ("extractive", "extractive, text alone", "newest")
    )
    assert extractive["needed facts"] > 90 > text["needed facts"]
    assert extractive["needed facts"] > 2 * newest["needed facts"]
    assert extractive["precision"] == rows["extractive, its block alone"]["precision"] == 100
    assert extractive["answers"] > newest["answers"]
    assert set(rows["all"].values()) == {"all", 100, "-"}


def check_retrieved(rows):
    """What the fifth notebook is for: answers come back, and the prefix stays."""
    newest = rows["the newest"]["%"]
    assert rows["words and vectors"]["%"] >= rows["words alone"]["%"] > 3 * newest > 0
    assert rows["moves of the prefix"]["count"] == rows["cuts"]["count"] > 0
    assert rows["passages for small talk"]["count"] == 0
    assert rows["passages for what was never said"]["count"] == 0


STORIES = {
    FIRST_LOOK: check_first_look,
    BREAKERS: check_breakers,
    POLICIES: check_policies,
    KEPT: check_kept,
    RETRIEVED: check_retrieved,
}


@pytest.mark.timeout(1800)  # seconds; real conversations, on a machine that may be busy
@every_notebook
def test_a_notebook_runs_offline_from_first_to_last(path, tmp_path):
    ran = execute(path, tmp_path)

    assert ran.returncode == 0, ran.stderr
    executed = read(tmp_path / path.name)
    check_outputs(executed)
    STORIES[path](summary(executed))
    assert shown(executed) == shown(read(path))
    if path == KEPT:  # nothing in it is measured in seconds, so that it shows when it is stale
        assert list(texts(executed)) == list(texts(read(path)))


@every_notebook
def test_a_notebook_is_kept_as_it_was_executed(path):
    kept = read(path)

    assert kept.metadata.executed == sources_digest(kept), "edited since: run `make notebooks`"
    assert path.read_text("utf-8") == nbformat.writes(normalised(read(path))) + "\n"
    check_outputs(kept)
    STORIES[path](summary(kept))


def check_outputs(notebook):
    """Every code cell was executed, in order and without errors, and says nothing of a machine."""
    cells = code_cells(notebook)
    outputs = [output for cell in cells for output in cell.outputs]

    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert {output.output_type for output in outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }
    assert all(output.get("name") != "stderr" for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)
    for text in texts(notebook):
        assert not ABSOLUTE_PATH.search(text), text
        assert not ADDRESS.search(text), text


@every_notebook
def test_the_links_of_a_notebook_lead_somewhere(path):
    prose = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)#\s]+)", prose)

    assert [link for link in links if ":" not in link and not (FOLDER / link).exists()] == []


def test_each_notebook_has_a_story_that_is_checked():
    assert set(NOTEBOOKS) == set(STORIES)


# What executes them


def test_a_kernel_reaches_nothing_beyond_the_machine(tmp_path):
    code = "import socket; socket.create_connection(('192.0.2.1', 53), timeout=1)"

    ran = execute(write(tmp_path / "online.ipynb", code), tmp_path)

    assert ran.returncode == 1
    assert "ReachedBeyondTheMachine" in ran.stderr


def test_a_notebook_that_fails_stays_as_it_was(tmp_path):
    path = write(tmp_path / "fails.ipynb", "print('so far')", "1 / 0", "print('never')")
    before = path.read_bytes()

    ran = execute(path, tmp_path)

    assert ran.returncode == 1
    assert "ZeroDivisionError" in ran.stderr
    assert path.read_bytes() == before


@pytest.mark.parametrize("ending", ["raise SystemExit", "import os; os._exit(3)"])
def test_a_server_ends_with_the_kernel_that_started_it(ending, tmp_path):
    port = free_port()
    start = f"from contextkit.providers.local import LocalServer as S; s = S(port={port}).start()"
    then = f"from pathlib import Path; Path('ran').touch(); {ending}"

    ran = execute(write(tmp_path / "dies.ipynb", start, then), tmp_path)

    assert ran.returncode == 1
    assert (tmp_path / "ran").exists(), ran.stderr
    assert nobody_listens(port)


def test_a_kernel_is_this_interpreter_on_this_contextkit(tmp_path):
    code = "import sys, contextkit; print(sys.prefix, contextkit.__file__, sep='\\n')"
    path = write(tmp_path / "who.ipynb", code)

    ran = execute(path, tmp_path)

    assert ran.returncode == 0, ran.stderr
    [output] = code_cells(read(path))[0].outputs
    prefix, found = map(Path, output.text.split())
    assert prefix == Path(sys.prefix)
    assert found == ROOT / "contextkit" / "__init__.py"


def test_a_kernel_has_no_data_of_whoever_runs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTEXTKIT_DATA", "elsewhere")
    code = "import os; print(os.environ.get('CONTEXTKIT_DATA'))"
    path = write(tmp_path / "data.ipynb", code)

    ran = execute(path, tmp_path)

    assert ran.returncode == 0, ran.stderr
    assert code_cells(read(path))[0].outputs[0].text == "None\n"


def test_what_tells_nothing_is_not_kept(tmp_path):
    notebook = read(write(tmp_path / "new.ipynb", "1"))
    notebook.cells[0].metadata = {"tags": ["summary"], "execution": {"iopub.execute_input": "now"}}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.11.7"}

    kept = normalised(notebook)

    assert kept.cells[0].metadata == {"tags": ["summary"]}
    assert kept.cells[0].id == "cell-01"
    assert kept.metadata.language_info == {"name": "python"}


def test_a_changed_cell_changes_the_digest_and_prose_does_not(tmp_path):
    notebook = read(write(tmp_path / "new.ipynb", "a = 1", "b = 2"))
    before = sources_digest(notebook)

    notebook.cells[0].source = "a = 2"

    assert sources_digest(notebook) != before
    assert sources_digest(read(write(tmp_path / "same.ipynb", "a = 1", "b = 2"))) == before
