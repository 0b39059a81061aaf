"""The documentation is true: its code runs, its commands exist, its links lead somewhere.

The `python` fences of a page run one after the other in one namespace, in an empty folder, with a
scripted provider where the openai client looks for its server. What a `text` fence right behind one
shows is what it prints, but for random marks and blanks at the ends of lines. A fence is passed
over only where the page says why, in a comment before it: <!-- not executed: reason -->.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripted_provider import ScriptedProvider

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(
        ROOT / folder / "README.md"
        for folder in ("benchmarks", "examples/fastapi_chat", "notebooks")
    ),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCE = re.compile(
    r"(?:<!-- not executed:(?P<reason>.*?)-->\s*)?"
    r"^(?P<indent>[ ]*)(?P<marks>`{3,})(?P<language>\w*)[^\n]*\n"
    r"(?P<code>.*?)^(?P=indent)(?P=marks)",
    re.MULTILINE | re.DOTALL,
)
SHELLS = ("bash", "sh", "shell")

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@dataclass(frozen=True, slots=True)
class Fence:
    """One fenced block of a page; `reason` says why it is not executed, None if it is.

    `prints` is what the page says that it prints, None where it says nothing.
    """

    language: str
    code: str
    line: int  # lines before its code
    reason: str | None
    prints: str | None = None


def fences(text: str) -> list[Fence]:
    """The fenced blocks of a Markdown text, without their indentation."""
    every: list[Fence] = []
    end = -1  # of the one before
    for found in FENCE.finditer(text):
        code = re.sub(f"^{found['indent']}", "", found["code"], flags=re.MULTILINE)
        line = text.count("\n", 0, found.start("code"))
        if found["language"] == "text" and every and not text[end : found.start()].strip():
            every[-1] = replace(every[-1], prints=code)
        every.append(Fence(found["language"], code, line, found["reason"]))
        end = found.end()
    return every


def shown(printed: str) -> list[str]:
    """The lines of an output that are the same each time: marks of passages are random."""
    printed = re.sub(r"\b[0-9a-f]{8}\b", "(mark)", printed)
    return [line.rstrip() for line in printed.splitlines()]


def commands(text: str) -> Iterator[list[str]]:
    """The words of every command that a page shows, in a fence or as inline code."""
    lines = re.findall(r"`((?:make|contextkit) [^`]+)`", FENCE.sub("", text))
    for fence in fences(text):
        shown = fence.code.replace("\\\n", " ").splitlines()
        if fence.language == "console":
            lines += [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
        elif fence.language in SHELLS:
            lines += shown
    for line in lines:
        for command in re.split(r"&&|[;|&]", line):
            words = shlex.split(command, comments=True)
            while words and re.match(r"\w+=", words[0]):
                del words[0]
            if words:
                yield [Path(words[0]).name, *words[1:]]


def run(page: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Execute the python fences of a page; how many there were."""
    module = ModuleType(f"page_{page.stem.lower()}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    ran = 0
    for fence in fences(page.read_text("utf-8")):
        if fence.language != "python":
            continue
        if fence.reason is not None:
            assert fence.reason.strip(), f"{page.name}:{fence.line}: not executed, but why?"
            continue
        source = "\n" * fence.line + fence.code  # so that a traceback shows the line of the page
        with redirect_stdout(StringIO()) as printed:
            exec(compile(source, str(page), "exec"), module.__dict__)  # noqa: S102 - our own pages
        if fence.prints is not None:
            assert shown(printed.getvalue()) == shown(fence.prints), f"{page.name}:{fence.line}"
        ran += 1
    return ran


@cache
def usage_of(*command: str) -> str:
    """What `contextkit COMMAND --help` prints; a failure where there is no such command."""
    code = "from contextkit.cli import main; main()"
    ran = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        cwd=ROOT,
        env={
            **os.environ,
            "COLUMNS": "200",
            "NO_COLOR": "1",
        },  # nothing cut short, nothing coloured
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, f"contextkit {' '.join(command)}: {ran.stderr or ran.stdout}"
    return ran.stdout


@every_page
def test_every_python_fence_runs(
    page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with ScriptedProvider() as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "none")

        ran = run(page, monkeypatch)

    assert ran or page != ROOT / "README.md", "the README shows no code that runs"


@every_page
def test_every_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    for name, *arguments in commands(page.read_text("utf-8")):
        words = [word for word in arguments if not word.startswith("-") and "=" not in word]
        if name == "make":
            assert set(words) <= targets, f"make {' '.join(arguments)}"
        elif name == "contextkit":
            usage = usage_of(*words[:1])
            for option in (word.partition("=")[0] for word in arguments if word[:2] == "--"):
                assert option in usage, f"contextkit {' '.join(arguments)}"


@every_page
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", FENCE.sub("", page.read_text("utf-8")))

    missing = [
        target
        for target in targets
        if not re.match(r"[a-z]+:", target) and not (page.parent / target).exists()
    ]

    assert missing == []


PAGE = """\
```python
first = 1
```

1. In a list:

   ```python
   assert first == 1
   ```

<!-- not executed: needs a key -->
```python
raise SystemExit
```

```console
$ KEY=1 .venv/bin/contextkit demo --json  # a comment
make nothing of the output
```

Then `make test`.
"""


def test_a_page_is_read_as_it_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, "utf-8")

    assert run(page, monkeypatch) == 2
    assert list(commands(PAGE)) == [["make", "test"], ["contextkit", "demo", "--json"]]


def test_a_wrong_fence_fails_at_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("first == 1", "first == 2"), "utf-8")

    with pytest.raises(AssertionError) as caught:
        run(page, monkeypatch)

    assert caught.traceback[-1].lineno + 1 == 8


@pytest.mark.parametrize(("said", "is_so"), [("a <0123abcd>\nb", True), ("a <0123abcd>", False)])
def test_what_a_page_says_is_printed_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_so: bool
) -> None:
    page = tmp_path / "page.md"
    code = 'print("a <89abcdef> ")\nprint("b")'
    page.write_text(f"```python\n{code}\n```\n\n```text\n{said}\n```\n", "utf-8")

    with nullcontext() if is_so else pytest.raises(AssertionError, match=r"page\.md:1"):
        assert run(page, monkeypatch) == 1


def test_a_skipped_fence_needs_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE.replace("needs a key", ""), "utf-8")

    with pytest.raises(AssertionError, match="but why"):
        run(page, monkeypatch)
