"""Page: a result as one HTML file that needs nothing else."""

from __future__ import annotations

from contextkit.analysis.results import Result


def page(result: Result) -> str:
    """A result as a page."""
    raise NotImplementedError


def fragment(result: Result) -> str:
    """A result as HTML for a notebook."""
    raise NotImplementedError
