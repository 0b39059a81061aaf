"""The tables of the documentation are those that stored results and shipped data give."""

from __future__ import annotations

import pytest

from benchmarks import profiles_table
from benchmarks.figures import README, written


def test_the_tables_are_what_was_measured() -> None:
    text = README.read_text(encoding="utf-8")

    assert written(text) == text
    assert text.count("<!-- figures: ") == 5
    assert "| 20,000 |" in text


@pytest.mark.parametrize("page", profiles_table.PAGES)
def test_the_tables_of_profiles_are_what_the_data_say(page: str) -> None:
    text = (profiles_table.DOCS / page).read_text(encoding="utf-8")

    assert profiles_table.written(page, text) == text
