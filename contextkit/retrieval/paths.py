"""The directory of an index: one name for it, whatever way leads there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from contextkit.errors import InputError


def directory_path(value: Any, place: str) -> str:
    """A directory, absolute: two names of one directory are the same.

    Raises:
        InputError: for what cannot be a path.
    """
    if isinstance(value, str | Path) and str(value):
        with suppress(ValueError):  # NUL, lone surrogates
            return os.path.realpath(value)
    raise InputError(f"is the path of a directory, not {value!r:.60}", place=place)
