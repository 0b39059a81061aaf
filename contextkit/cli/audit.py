"""`contextkit audit`: logs of requests, and what in them keeps the prompt cache from hitting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from contextkit.analysis.audit import audit
from contextkit.cli import FAILED, outputs
from contextkit.cli.progress import progress
from contextkit.profiles import Profile, load_profiles


def run(
    logs: Sequence[Path],
    profiles: Path | None,
    *,
    as_json: bool,
    csv: Path | None,
    png: Path | None,
    html: Path | None,
) -> int:
    """Audit the logs, show the result, and give the exit code.

    Raises:
        InputError: an output that cannot be written.
        ProfileError: the file of profiles says what cannot be.
    """
    outputs.check(csv=csv, png=png, html=html)
    own: Mapping[str, Profile] | None = load_profiles(profiles) if profiles else None
    with progress("auditing") as told:
        result = audit(list(logs), profiles=own, progress=told)
    code = outputs.show(result, as_json=as_json, csv=csv, png=png, html=html)
    read = any(row["requests"] for row in result.tables[1].rows)
    return code if read or not result.problems else FAILED
