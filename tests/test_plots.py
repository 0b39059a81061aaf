"""Plots say what was measured, with units, and leave no run out."""

import pytest

from contextkit.analysis.plots import RunSeries, comparison_figure, plot_runs, turns_figure

SHORT = RunSeries("short", cached=[0, 90], evaluated=[100, 10], seconds=[0.5, 0.1], cuts=[2])
RUNS = [RunSeries(f"run {n}", [0, n], [10, 10], [0.1, 0.2]) for n in range(8)]


def labels(figure):
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel())}


def test_the_hit_ratio_of_a_run_is_sum_over_sum():
    assert SHORT.hit_ratio == 0.45
    assert SHORT.hit_ratios == [0.0, 0.9]
    assert RunSeries("none", [], [], []).hit_ratio == 0.0


@pytest.mark.parametrize(("below", "unit"), [("seconds", "seconds"), ("hit ratio", "%")])
def test_a_figure_of_turns_shows_tokens_above_and_what_was_asked_for_below(below, unit):
    figure = turns_figure([SHORT, RUNS[0]], limit=80, below=below)

    left, right, lower = figure.axes
    assert left.get_title() == "short: 45.0% from the cache, 1 cut"
    assert right.get_title() == "run 0: 0.0% from the cache"
    assert sum(bar.get_height() for bar in left.patches) == 200
    assert left.get_ylabel() == "prompt tokens"
    assert lower.get_ylabel().startswith(unit)
    shown = [list(line.get_ydata()) for line in lower.lines]
    assert shown == [[0.5, 0.1], [0.1, 0.2]] if below == "seconds" else [[0.0, 90.0], [0.0, 0.0]]


def test_a_comparison_keeps_every_run_and_sums_it():
    figure = comparison_figure(RUNS)

    above, tokens, seconds = figure.axes
    assert len(above.lines) == len(tokens.patches) == len(seconds.patches) == len(RUNS)
    assert [bar.get_width() for bar in tokens.patches] == [20] * len(RUNS)
    assert [text.get_text() for text in seconds.texts] == ["0.3 s"] * len(RUNS)
    assert {"turn", "% of the prompt tokens", "prompt tokens evaluated, in sum"} <= labels(figure)


def test_a_plot_is_written(tmp_path):
    plot_runs(RUNS[:3], tmp_path / "runs.png", title="three")

    assert (tmp_path / "runs.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
