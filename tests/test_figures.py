"""The tables of the documentation are those that stored results and shipped data give."""

from __future__ import annotations

import pytest

from benchmarks import profiles_table
from benchmarks.figures import PAGES, written


def test_the_tables_are_what_was_measured() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]

    assert [written(text) for text in texts] == texts
    assert [text.count("<!-- figures: ") for text in texts] == [5, 4, 7, 1, 6]
    assert "| 20,000 |" in texts[0]


@pytest.mark.parametrize("page", profiles_table.PAGES)
def test_the_tables_of_profiles_are_what_the_data_say(page: str) -> None:
    text = (profiles_table.DOCS / page).read_text(encoding="utf-8")

    assert profiles_table.written(page, text) == text
