"""Plots of results: what is in the data is drawn, names cover nothing, every letter has a glyph."""

import pytest

from contextkit.analysis.results import Frontier, Point, Split
from contextkit.analysis.showing.captions import best, caption
from contextkit.analysis.showing.drawing import as_png, as_svg, draw
from contextkit.analysis.showing.panels import fitted, short_figure
from contextkit.errors import MissingExtra
from tests.made_results import HOSTILE, made, run

both_widths = pytest.mark.parametrize("narrow", [False, True], ids=["wide", "narrow"])


def frontier(panels, **more):
    return Frontier("f", "Cost and context", "cost, units", "kept, %", panels, **more)


def crowd(count, name="policy {}"):
    """Points that lie close together, half of them on one another."""
    return [Point(name.format(n), 1e5 + 700 * (n % 17), 40 + 0.5 * (n % 11)) for n in range(count)]


def labels(axes):
    """The texts beside the points of a panel."""
    return [text for text in axes.texts if text.get_text() and text.get_visible()]


def boxes(figure, axes):
    from matplotlib.text import Text

    renderer = figure.canvas.get_renderer()
    return [Text.get_window_extent(text, renderer) for text in labels(axes)]


def unwrapped(text):
    return text.get_text().replace("\n", " ")


# Frontier


@both_widths
@pytest.mark.parametrize(
    "panels",
    [
        {"one": [Point("alone", 0.0, 0.0)]},
        {"same": [Point(f"equal {n}", 5.0, 5.0) for n in range(6)]},
        {"few": crowd(6), "more": crowd(9)},
        {"many": crowd(30)},
        {"long": crowd(8, "a rather long name of policy {} with its settings, keep_last=3")},
        {f"model {n}": crowd(5) for n in range(12)},
    ],
    ids=lambda panels: next(iter(panels)),
)
def test_names_stand_inside_and_cover_neither_each_other_nor_a_point(panels, narrow):
    figure = draw(frontier(panels), narrow=narrow)
    figure.draw_without_rendering()

    for axes, points in zip(figure.axes, panels.values(), strict=True):
        found = boxes(figure, axes)
        assert len(found) == len(points)
        inside = axes.get_window_extent()
        at = axes.transData.transform([(point.x, point.y) for point in points])
        for number, box in enumerate(found):
            assert inside.x0 <= box.x0 <= box.x1 <= inside.x1
            assert inside.y0 <= box.y0 <= box.y1 <= inside.y1
            assert not any(box.overlaps(other) for other in found[:number])
            assert not any(box.contains(x, y) for x, y in at)


@both_widths
def test_every_point_is_drawn_and_the_best_are_joined(narrow):
    points = [Point("a", 1, 10), Point("b", 2, 30), Point("worse", 3, 20), Point("c", 4, 50)]
    axes = draw(frontier({"only": points}), narrow=narrow).axes[0]

    joined, others, marked = axes.lines
    assert list(zip(*joined.get_data(), strict=True)) == [(1, 10), (2, 30), (4, 50)]
    assert list(zip(*others.get_data(), strict=True)) == [(3, 20)]
    assert len(marked.get_xdata()) == 3
    assert {unwrapped(text) for text in labels(axes)} == {"a", "b", "worse", "c"}


@pytest.mark.parametrize(
    ("x", "y", "names"),
    [
        ("less", "more", "ab"),
        ("more", "more", "bd"),
        ("less", "less", "ac"),
        ("more", "less", "cd"),
    ],
)
def test_what_is_best_depends_on_the_direction_and_the_axes_say_which(x, y, names):
    square = [Point("a", 0, 5), Point("b", 5, 10), Point("c", 5, 0), Point("d", 10, 5)]
    plot = frontier({"square": [*square, Point("middle", 5, 5)]}, x_better=x, y_better=y)
    axes = draw(plot).axes[0]

    assert [point.name for point in best(plot.panels["square"], plot)] == list(names)
    assert axes.get_xlabel() == "cost, units " + ("(← better)" if x == "less" else "(better →)")
    assert axes.get_ylabel() == "kept, % " + ("(↓ better)" if y == "less" else "(↑ better)")


def test_where_an_axis_is_named_at_length_the_direction_has_a_line_of_its_own():
    plot = Frontier("f", "T", "x", "messages kept in a request, a mean of all of them, in per cent",
                    {"a": [Point("p", 1, 1)]})  # fmt: skip
    assert draw(plot, narrow=True).axes[0].get_ylabel().endswith("\n(↑ better)")


def test_equal_points_are_all_best():
    points = [Point("a", 1, 1), Point("b", 1, 1), Point("c", 1, 0)]

    assert [point.name for point in best(points, frontier({}))] == ["a", "b"]


@both_widths
def test_names_too_many_to_stand_beside_points_have_numbers_and_a_key(narrow):
    figure = draw(frontier({"many": crowd(30), "few": crowd(9)}), narrow=narrow)

    key = [text.get_text() for text in figure.legends[0].get_texts()]
    assert key == [f"{n + 1}  policy {n}" for n in range(30)]
    for axes in figure.axes:
        for text in labels(axes):
            assert text.get_text() in {*map(str, range(1, 31)), *(f"policy {n}" for n in range(30))}
    assert figure.get_suptitle() == "Cost and context"


def test_panels_share_a_scale_only_where_each_can_still_be_read():
    one, near, far = ([Point("x", low, 1), Point("y", high, 9)]
                      for low, high in ((0, 10), (2, 8), (2e6, 8e6)))  # fmt: skip
    alike = draw(frontier({"one": one, "near": near}))
    apart = draw(frontier({"one": one, "far": far}))

    assert alike.axes[0].get_xlim() == alike.axes[1].get_xlim()
    assert alike.get_suptitle() == "Cost and context"
    assert apart.axes[0].get_xlim()[1] < 20
    assert apart.axes[0].get_ylim() == apart.axes[1].get_ylim()
    assert apart.get_suptitle() == "Cost and context (scales differ between panels)"


# Split


def heights(axes):
    """The height of each step of each part, from the bottom."""
    from matplotlib.patches import StepPatch

    areas = [one for one in axes.patches if isinstance(one, StepPatch) and one.get_fill()]
    return [
        [
            top - low
            for top, low in zip(area.get_data().values, area.get_data().baseline, strict=True)
        ]
        for area in areas
    ]


@both_widths
def test_parts_of_each_request_stand_on_top_of_each_other(narrow):
    parts = {"cached": [0, 90, 95], "written": [60, 5, 0], "new": [40, 5, 5]}
    figure = draw(Split("s", "Tokens", "turn", {"run": parts}, limit=120), narrow=narrow)

    axes = figure.axes[0]
    assert heights(axes) == [list(values) for values in parts.values()]
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    assert words == ["read from the cache", "written to the cache", "new", "limit 120"]
    assert axes.get_ylabel() == "tokens; 61.7% read from the cache"
    assert axes.get_xlabel() == "turn"
    assert axes.lines[-1].get_ydata()[0] == 120


def test_thousands_of_requests_are_taken_together_which_is_said_and_no_peak_is_lost():
    cached = [10.0] * 2_000
    new = [5.0] * 2_000
    new[777] = 500.0
    figure = draw(Split("s", "T", "request", {"run": {"cached": cached, "new": new}}))

    axes = figure.axes[0]
    lower, upper = heights(axes)
    assert len(lower) == len(upper) == 143
    assert lower == [10.0] * 143
    assert max(upper) == pytest.approx((13 * 5 + 500) / 14)
    assert axes.get_xlabel() == "request (each step: the mean of 14)"
    line = next(patch for patch in axes.patches if not patch.get_fill())
    assert max(line.get_data().values) == 510
    assert axes.get_ylim()[1] > 510
    assert figure.legends[0].get_texts()[-1].get_text() == "largest of each step"


@both_widths
def test_runs_have_one_scale_of_tokens_and_the_first_twelve_are_shown(narrow):
    panels = {f"run {n}": run(20 + n) for n in range(14)}
    figure = draw(Split("s", "Tokens", "request", panels, 8_000), narrow=narrow)

    assert len(figure.axes) == 12
    assert len({axes.get_ylim() for axes in figure.axes}) == 1
    assert "(the first 12 of 14 panels)" in figure.legends[0].get_title().get_text().replace(
        "\n", " "
    )
    columns = {round(axes.get_position().x0, 2) for axes in figure.axes}
    assert len(columns) == (1 if narrow else 3)


def test_a_limit_far_above_is_named_and_not_drawn():
    figure = draw(Split("s", "T", "request", {"run": {"new": [10, 20]}}, limit=128_000))

    assert figure.axes[0].get_ylim()[1] < 30
    assert figure.legends[0].get_texts()[-1].get_text() == "limit 128,000, above the scale"


# Both


@both_widths
@pytest.mark.parametrize(
    "plot",
    [
        frontier({}),
        frontier({"empty": []}),
        frontier({"unknown": [Point("nan", float("nan"), 1), Point("inf", 1, float("inf"))]}),
        frontier({"zero": [Point("a", 0, 0), Point("b", 0, 0)]}),
        frontier({HOSTILE[4]: [Point(one, n, n) for n, one in enumerate(HOSTILE)], "$a$ $": []}),
        frontier({"数据 データ नमस्ते مرحبا 🙂": [Point("策略一", 1, 2), Point("策略二", 2, 3)]}),
        Split("s", "T", "request", {}),
        Split("s", "T", "request", {"none": {"cached": [], "new": []}}, 100),
        Split("s", "T", "request", {"zero": {"cached": [0, 0], "new": [0, 0]}}, 100),
        Split("s", "T", "request", {"one": {"new": [7]}}),
        Split("s", "$T$", "requ$est$", {name: {"new": [7], name: [3]} for name in HOSTILE}),
    ],
)  # fmt: skip
def test_nothing_that_can_be_in_a_plot_fails_or_warns(plot, narrow):
    figure = draw(plot, narrow=narrow)

    assert as_png(figure).startswith(b"\x89PNG")
    assert b"<script" not in as_svg(figure)
    assert caption(plot)


@both_widths
@pytest.mark.parametrize("name", ["frontier", "split"])
def test_nothing_that_is_written_leaves_the_figure(name, narrow):
    from matplotlib.text import Text

    figure = draw(made().plot(name), narrow=narrow)
    figure.draw_without_rendering()

    assert figure.get_figwidth() == (3.75 if narrow else 11)
    titles = [text for text in figure.texts if text.get_text()]
    for artist in (*figure.axes, *figure.legends, *titles):
        box = artist.get_tightbbox()
        assert -1 <= box.x0 <= box.x1 <= figure.bbox.x1 + 1, artist
        assert -1 <= box.y0 <= box.y1 <= figure.bbox.y1 + 1, artist
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 8.5  # points; 11 pixels at the width that it is drawn for


def test_a_users_own_settings_change_nothing():
    import matplotlib as mpl

    before = as_svg(made().figure("frontier"))
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black", "svg.hashsalt": "other"}):
        assert as_svg(made().figure("frontier")) == before


def test_a_caption_has_the_figures():
    points = [Point("late", 1_200, 40), Point("early", 900, 20), Point("worse", 1_300, 30)]
    assert caption(frontier({"warm": points})) == (
        "Cost and context. Across: cost, units, less is better; up: kept, %, more is better. "
        "warm: early 900, 20; late 1,200, 40; 1 beaten by one of these."
    )
    parts = {"cached": [0, 90], "new": [100, 10]}
    assert caption(Split("s", "Tokens", "turn", {"run": parts}, 120)) == (
        "Tokens. The limit is 120 tokens. "
        "run: 2 turns, the largest of 100 tokens; 45.0% cached, 55.0% new."
    )


def test_a_long_name_keeps_its_ends():
    short = fitted("SummarizeOldest with ClearToolResults, keep_last=3", 20, 1)
    assert len(short) <= 20
    assert short.startswith("Summari")
    assert short.endswith("last=3")
    assert fitted("a b", 20, 2) == "a b"


@pytest.mark.parametrize(
    ("value", "text"), [(8_000, "8,000"), (1_500_000, "1.5M"), (0.25, "0.25"), (0, "0"), (-3, "-3")]
)
def test_figures_on_an_axis(value, text):
    assert short_figure(value) == text


def test_without_matplotlib_the_message_says_what_installs_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtra, match=r"contextkit\[cli\]"):
        made().figure()
