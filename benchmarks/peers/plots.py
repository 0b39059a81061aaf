"""The plot of a result: mean tokens of a request and its cost, by kinds of cutting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measuring import Outcome
from benchmarks.peers.libraries import OURS, OURS_SUMMARIZING
from benchmarks.peers.tables import MAIN, held_badly

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = {
    OURS: ("#0072b2", "o"),
    "slides": ("#555555", "v"),
    "drops from the middle": ("#cc79a7", "D"),
    "chunks": ("#d55e00", "s"),
    "summarizes": ("#009e73", "^"),
}
"""How libraries cut, with colour and marker; distinguishable in grey by the marker."""


def points(result: Outcome) -> dict[str, dict[str, list[tuple[float, float, bool]]]]:
    """By workload and kind: mean tokens, cost, and whether the limit is kept."""
    found: dict[str, dict[str, list[tuple[float, float, bool]]]] = {}
    for row in result["costs"]:
        if (row["model"], row["cache"], row["limit"]) != MAIN or "ended" in row:
            continue
        kinds = found.setdefault(row["workload"], {kind: [] for kind in KINDS})
        # What is beside a library has its mean tokens: together they are a line.
        beside = row.get("contextkit")
        if beside and row["cuts"] != "summarizes" and not held_badly(row):
            kinds[OURS].append((beside["mean tokens"], beside["cost"], True))
        if row["cuts"] in kinds and OURS not in row["name"]:
            kinds[row["cuts"]].append((row["mean tokens"], row["cost"], not held_badly(row)))
        elif row["name"].startswith(f"{OURS}, ") and OURS_SUMMARIZING not in row["name"]:
            kinds[OURS].append((row["mean tokens"], row["cost"], True))
    return found


def plots(result: Outcome) -> dict[str, Figure]:
    """By name, drawn; none where costs were not measured."""
    if "costs" not in result:
        return {}
    from contextkit.analysis.showing.panels import drawn_alike, figure_axis, sheet

    found = points(result)
    model, cache, limit = MAIN
    title = f"Kept context and its cost: {model}, {cache} cache, limit {limit:,}"
    with drawn_alike():
        page = sheet(title, list(found), narrow=False, height=3.4, share_y=True)
        known: dict[str, Any] = {}
        for workload, axes in page.axes.items():
            page.name(workload, axes, "cost, price units (↓ better)")
            page.below(axes, "mean tokens of a request (better →)")
            for kind, (colour, marker) in KINDS.items():
                _draw(axes, found[workload][kind], kind, (colour, marker), known)
            axes.set_ylim(bottom=0)
            figure_axis(axes.xaxis, 5)
            figure_axis(axes.yaxis, 5)
            axes.grid(visible=True, color="#e6e6e6", linewidth=0.7)
            axes.set_axisbelow(True)
        page.key(known, columns=3)
    return {"peers-cost": page.figure}


def _draw(
    axes: Any,
    some: list[tuple[float, float, bool]],
    kind: str,
    style: tuple[str, str],
    known: dict[str, Any],
) -> None:
    colour, marker = style
    if kind == OURS:
        line = sorted({(x, y) for x, y, _ in some})
        [drawn] = axes.plot(
            [x for x, _ in line],
            [y for _, y in line],
            color=colour,
            marker=marker,
            markersize=4,
            linewidth=1.5,
            zorder=5,
        )
        known.setdefault(f"{OURS}, several targets and limits", drawn)
        return
    for kept, name in ((True, kind), (False, f"{kind}, over the limit in > 10 %")):
        ones = [(x, y) for x, y, keeps in some if keeps == kept]
        if not ones:
            continue
        [drawn] = axes.plot(
            [x for x, _ in ones],
            [y for _, y in ones],
            color=colour,
            marker=marker,
            markerfacecolor=colour if kept else "white",
            markersize=6,
            linestyle="none",
        )
        known.setdefault(name, drawn)
