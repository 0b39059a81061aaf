"""The tables of README.md are those that the stored results give."""

from __future__ import annotations

from benchmarks.figures import README, written


def test_the_tables_are_what_was_measured() -> None:
    text = README.read_text(encoding="utf-8")

    assert written(text) == text
    assert text.count("<!-- figures: ") == 3
    assert "| 20,000 |" in text
