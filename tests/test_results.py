"""A result as text, Markdown, CSV and JSON: nothing is lost, and nothing hostile gets through."""

import csv
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contextkit.analysis.results import Column, Table
from contextkit.analysis.showing.forms import cells, heading, shown
from contextkit.analysis.showing.layout import letters, lines, table_lines, wrapped
from contextkit.errors import InputError
from tests.made_results import EVERY_KIND, HOSTILE, made, named

CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def read(text):
    return list(csv.reader(io.StringIO(text, newline="")))


# Values


def test_every_kind_is_written_in_its_way_and_one_column_has_one_number_of_places():
    assert cells(EVERY_KIND) == [
        ["first", "1,204", "5,310", "91.4%", "1.018", "1,234,568", "0.012", "61.50"],
        ["second", "0", "12", "0.0%", "-", "-", "12.500", "0.25"],
        ["-"] * 8,
    ]


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (None, "share", "-"),
        (math.nan, "number", "-"),
        (math.inf, "ratio", "∞"),
        (-math.inf, "units", "-∞"),
        (True, "text", "yes"),
        (False, "count", "no"),
        ("n/a", "money", "n/a"),
        (-0.001, "number", "0.00"),
        (["a", 2, None], "text", "a, 2, -"),
        ({"k": 1}, "text", "k: 1"),
        (Path("a/b"), "text", "a/b"),
        ("\x1b[2J\u202e", "text", r"\x1b[2J\u202e"),
    ],
)
def test_a_value(value, kind, text):
    assert shown(value, kind) == text


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([0.0001, 0.5], "share", ["0.01%", "50.00%"]),
        ([0.9999, 1.0], "share", ["99.99%", "100.00%"]),
        ([1.0184, 12.0], "ratio", ["1.02", "12.00"]),
        ([0.00012, 3.0], "money", ["0.00012", "3.00000"]),
        ([1e-12, 2.0], "number", ["0.000000", "2.000000"]),
        ([3.0, 4], "number", ["3", "4"]),
    ],
)
def test_small_figures_are_not_rounded_away(values, kind, texts):
    table = Table("t", "T", (Column("v", "v", kind),), tuple({"v": value} for value in values))

    assert [row[0] for row in cells(table)] == texts


def test_a_heading_says_the_unit_once():
    assert heading(Column("m", "money", "money", unit="USD")) == "money (USD)"
    assert heading(Column("m", "tokens written", "count", unit="tokens")) == "tokens written"
    assert heading(Column("s", "took", "seconds")) == "took (s)"
    assert heading(Column("s", "")) == "s"


# Text


def test_a_result_as_text_has_everything_in_order():
    text = str(made())

    order = ["Replay of 3", "Cutting late", "Every kind", "first", "second", "The third is unknown",
             "Requests are 20 s", "1 problem in the input: 1 not read"]  # fmt: skip
    assert [text.index(part) for part in order] == sorted(text.index(part) for part in order)


def test_columns_are_aligned_with_wide_letters_and_accents():
    table = named("数据集", "cafe\u0301", "plain")

    shown_lines = [line.text for line in table_lines(table)][2:]
    assert [letters(line) for line in shown_lines] == [13, 13, 13]
    assert shown_lines[0] == "数据集      1"


@pytest.mark.parametrize("width", [30, 80, 200])
def test_no_line_is_wider_than_the_terminal_and_no_value_is_lost(width):
    found = list(lines(made(tables=[EVERY_KIND, named("x" * 90, *HOSTILE)]), width))

    assert max(letters(line.text) for line in found) <= width
    text = "".join(line.text for line in found if line.role == "row")
    for value in ("1,204", "5,310", "91.4%", "1.018", "1,234,568", "0.012", "61.50"):
        assert value in text
    assert text.count("x") >= 90


def test_a_table_too_wide_is_broken_and_each_part_says_what_its_rows_are():
    found = [line.text for line in table_lines(EVERY_KIND, 40)]

    parts = "\n".join(found).split("\n\n")
    assert len(parts) > 1
    assert all(re.search("^first", part, re.MULTILINE) for part in parts)


def test_without_a_width_a_row_is_a_line():
    rows = [line for line in table_lines(named("a b " * 14, "c")) if line.role == "row"]

    assert len(rows) == 2


@given(
    st.lists(st.tuples(st.text(max_size=80), st.integers() | st.none()), min_size=1, max_size=4),
    st.integers(20, 120),
)
def test_any_text_is_laid_out_within_any_width(rows, width):
    columns = (Column("name", "the name"), Column("count", "n", "text"))
    table = Table("t", "T", columns, tuple({"name": n, "count": c} for n, c in rows))

    for line in table_lines(table, width):
        assert letters(line.text) <= width
        assert not CONTROL.search(line.text)


def test_empty_tables_and_results_are_no_error():
    empty = Table("none", "Nothing", EVERY_KIND.columns, ())
    nothing = replace(made(plots=(), tables=()), notes=(), problems=(), finding="")

    assert "(no rows)" in str(made(tables=[empty]))
    assert str(nothing) == "Replay of 3 transcripts"
    assert nothing.rows == []
    assert read(made(tables=[empty]).csv()) == [[column.key for column in empty.columns]]
    assert made(tables=[empty]).markdown().count("\n") == 2


def test_what_is_hostile_does_nothing_on_a_terminal():
    assert not CONTROL.search(str(made(tables=[named(*HOSTILE)])).replace("\n", ""))


def test_columns_that_say_nothing_are_not_shown_and_are_in_csv():
    columns = (
        Column("name", "name"),
        Column("nowhere", "nowhere known", "money"),
        Column("over", "over limit", "count", quiet=True),
        Column("cuts", "cuts", "count"),
    )
    rows = ({"name": "a", "over": 0, "cuts": 0}, {"name": "b", "over": None, "cuts": 0})
    zero = made(tables=[Table("t", "T", columns, rows)])
    some = made(tables=[Table("t", "T", columns, (*rows, {"over": 1}))])

    assert zero.markdown().startswith("| name | cuts |")
    assert some.markdown().startswith("| name | over limit | cuts |")
    assert "over limit" not in str(zero)
    assert read(zero.csv())[0] == ["name", "nowhere", "over", "cuts"]


def test_each_line_of_a_finding_is_one():
    assert "\nOne.\nTwo.\n" in str(made(finding="One.\nTwo."))


def test_a_long_name_is_broken_where_its_parts_end():
    found = wrapped("clear+drop@when-it-pays and more", 20)

    assert found == ["clear+drop@when-it-", "pays and more"]
    assert wrapped("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


# Markdown


def test_markdown_is_a_table_that_every_renderer_reads():
    head, rule, first, *_, note = made().markdown().rstrip().split("\n")

    assert head.startswith("| name | requests | mean request (tokens) | hit ratio |")
    assert rule == "| --- |" + " ---: |" * 7
    assert first == "| first | 1,204 | 5,310 | 91.4% | 1.018 | 1,234,568 | 0.012 | 61.50 |"
    assert note == "The third is unknown."


def test_markdown_gives_a_name_no_meaning():
    text = made(tables=[named(*HOSTILE, "keep_last and __init__ & ~x~")]).markdown("names")

    rows = text.strip().split("\n")[2:]
    bars = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
    assert bars == [3] * (len(HOSTILE) + 1)
    assert "<" not in text
    assert r"a\|b\`c\*d\[e\](http://example.com)\_f\_" in text
    assert r"keep_last and \_\_init\_\_ &amp; \~x\~" in text


# CSV


def test_csv_has_keys_and_values_as_they_are():
    head, first, second, third = read(made().csv())

    assert head == [column.key for column in EVERY_KIND.columns]
    values = dict(zip(head, first, strict=True))
    assert {key: float(values[key]) for key in head[1:]} == {
        key: EVERY_KIND.rows[0][key] for key in head[1:]
    }
    assert second[4] == ""
    assert third == [""] * 8
    assert made().csv().count("\r\n") == made().csv().count("\n") == 4


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1", "＝1", "＠x"])  # noqa: RUF001 - wide forms
def test_a_text_is_never_a_formula_and_a_figure_stays_one(text):
    columns = (Column("text", "text"), Column("figure", "figure", "number"))
    table = Table("t", "T", columns, ({"text": text, "figure": -1.5},))

    assert read(made(tables=[table]).csv())[1] == [f"'{text}", "-1.5"]


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_comes_back_from_csv(texts):
    found = [row[0] for row in read(made(tables=[named(*texts)]).csv())[1:]]

    for text, back in zip(texts, found, strict=True):
        whole = text.encode("utf-8", "backslashreplace").decode()
        assert back in (whole, f"'{whole}")


def test_lists_and_unknown_figures_in_csv():
    table = Table("t", "T", (Column("a", "a"), Column("b", "b")), (
        {"a": ["x", "y"], "b": True}, {"a": math.nan, "b": math.inf},
    ))  # fmt: skip

    assert read(made(tables=[table]).csv())[1:] == [['["x", "y"]', "true"], ["", ""]]


# Data


def test_json_has_everything_and_is_json():
    result = made(details={"per request": (1, 2), "path": Path("a"), "share": math.nan})
    data = json.loads(json.dumps(result.to_json(), allow_nan=False))

    assert data["finding"] == "Cutting late costs least."
    assert data["tables"]["kinds"][0]["units"] == 1_234_567.8
    assert data["definitions"]["kinds.number"] == "mean tokens of a request"
    assert data["plots"][0]["panels"]["warm"][0] == {"name": "keep", "x": 100.0, "y": 30.0}
    assert data["problems"][0]["line"] == 17
    assert data["details"] == {"per request": [1, 2], "path": "a", "share": None}


def test_tables_and_plots_are_found_by_name():
    result = made(tables=[EVERY_KIND, named("a")])

    assert result.table().name == "kinds"
    assert result.table("names").title == "Names"
    assert result.plot("split").name == "split"
    assert read(result.csv("names"))[1] == ["a", "1"]
    with pytest.raises(InputError, match="there are: kinds, names"):
        result.markdown("others")
    with pytest.raises(InputError, match="there are: frontier, split"):
        result.plot("others")


def test_what_puzzles_is_explained_below_the_table_and_nothing_else():
    kept = Column("kept", "kept", "share", "Of the messages.", puzzling=True)
    cost = Column("cost", "cost", "units", "Of the input.")
    gone = Column("gone", "gone", "text", "What is nowhere.", puzzling=True)
    table = Table("t", "T", (kept, cost, gone), ({"kept": 0.5, "cost": 1.0},), "A note.")
    found = str(made(tables=[table], notes=(), problems=())).splitlines()

    assert found[found.index("A note.") + 1 :] == ["  kept: Of the messages."]


def test_a_column_that_another_one_says_better_is_shown_where_that_one_is_not_known():
    columns = (
        Column("name", "name"),
        Column("money", "cost", "money", unit="CNY"),
        Column("units", "price units", "units", unless="money"),
    )
    known, unknown = {"name": "a", "money": 1.0, "units": 2.0}, {"name": "b", "units": 3.0}
    priced, mixed = (Table("t", "T", columns, rows) for rows in ((known,), (known, unknown)))

    assert " units" not in str(made(tables=[priced]))
    assert " units" in str(made(tables=[mixed]))
    assert "units" in made(tables=[priced]).csv()
