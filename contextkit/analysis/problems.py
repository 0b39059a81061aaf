"""Problems: what of a file could not be read or carried over, and where it stands."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in a file that is not in the analysis. Holds no content.

    Attributes:
        source: the file's name as it was given.
        reason: what is wrong, in words.
        line: of the file, counted from 1; None where it is about the whole file.
        kind: `not read`: a conversation or request is missing from the analysis; `not carried
            over`: it is there without a part that has no counterpart in the OpenAI form; `left
            out`: a conversation was read, and what was to be done with it failed.
        times: how many it stands for, where the same came too often to name each; the line is then
            that of the last.
    """

    source: str
    reason: str
    line: int | None = None
    kind: Literal["not read", "not carried over", "left out"] = "not read"
    times: int = 1

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where}: {self.kind}: {self.reason}"

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)
