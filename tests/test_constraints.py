"""What the make targets install: everything pinned, everything hashed, nobody's mirror named."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
CONSTRAINTS = (ROOT / "constraints.txt").read_text("utf-8")
PIN = re.compile(
    r"^([a-z0-9-]+)==(\S+)(?: ; [^\\]+)? \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)",
    re.MULTILINE,
)


def test_every_line_is_a_pin_with_hashes_or_a_comment() -> None:
    left = [line for line in PIN.sub("", CONSTRAINTS).splitlines() if line.lstrip()[:1] != "#"]

    assert left == []
    assert "://" not in CONSTRAINTS


def test_every_requirement_of_the_project_is_met_by_its_pins() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = [
        project["build-system"]["requires"],
        project["project"]["dependencies"],
        *project["project"]["optional-dependencies"].values(),
        # What other libraries need is in environments of their own: tests/test_peers.py.
        *(
            lines
            for name, lines in project["dependency-groups"].items()
            if not name.startswith("peers")
        ),
    ]
    pinned: dict[str, list[str]] = {}
    for name, version, _ in PIN.findall(CONSTRAINTS):
        pinned.setdefault(name, []).append(version)

    for requirement in map(Requirement, (line for group in groups for line in group)):
        if requirement.name != "contextkit":
            versions = pinned[canonicalize_name(requirement.name)]
            assert list(requirement.specifier.filter(versions)) == versions, requirement
