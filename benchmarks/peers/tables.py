"""The tables of a result, in Markdown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.measuring import Outcome, below, markdown
from benchmarks.peers.libraries import OURS, PEERS
from benchmarks.peers.times import fastest
from benchmarks.workloads import outgrown

MAIN = ("gpt-5", "implicit", 8_000)
"""Model, cache and limit of the table of costs that shows everything."""


def settings(_result: Outcome) -> str:
    """What is compared, and with which settings."""
    rows = [
        [one.name, f"`{one.package}`" if one.package else "", one.counts, one.cuts, one.settings]
        for one in PEERS
    ]
    return markdown(["", "package", "counts", "once full", "settings"], rows)


def times(result: Outcome) -> str:
    """Milliseconds of a turn."""
    rows = result["times"]
    keys = list(rows[0]["cells"])
    heads = ["CPU ms of a turn", "counts"]
    heads += [f"{limit:,}, {length:,}" for limit, length in (map(int, k.split(", ")) for k in keys)]
    lines = [
        [row["name"], _counts(row), *(_cell(row["cells"].get(key, {})) for key in keys)]
        for row in rows
    ]
    quickest = [
        f"{name} at {limit:,} and {length:,} messages"
        for limit, length in (map(int, key.split(", ")) for key in keys)
        if length >= 1_000 and (name := fastest(rows, limit, length))
    ]
    what = (
        "Columns: limit, messages of the history. A turn: append the reply and the next user "
        "message (about 60 tokens each), build. Mean over the turns, cuts included; for those "
        "that were ended, what took too long; - where a shorter history already did. Fastest "
        f"library that counts tokens: {'; '.join(quickest)}."
    )
    return "\n".join([markdown(heads, lines), "", what, _below(result, "times")])


def _below(result: Outcome, part: str) -> str:
    """When and with what a part was measured."""
    return below({"made": result["made"][part]})


def _counts(row: dict[str, Any]) -> str:
    return f"{row['counts']}, by hand" if row["by hand"] else str(row["counts"])


def _cell(cell: dict[str, Any]) -> str:
    if "mean" in cell:
        mean = cell["mean"]
        return f"{mean:.3f}" if mean < 1 else f"{mean:.1f}" if mean < 100 else f"{mean:,.0f}"
    ended = str(cell.get("ended", ""))
    return "-" if "shorter" in ended else ended.replace("a turn: ", "")


def correctness(result: Outcome) -> str:
    """What is wrong with the requests, over all families."""
    found = result["correctness"]
    heads = [
        "requests with",
        "any fault",
        "over the limit, by at most",
        "a result without its call",
        "a call without its result",
        "no system prompt",
        "no newest user message",
        "an exception",
        "nothing can fit: refused, sent",
        "a later system message lost",
        "a message altered",
    ]
    keys = ("orphan result", "orphan call", "no system", "no user", "raised")
    rows = []
    for row in found["rows"]:
        counts = row["counts"]
        get = counts.get
        over = f"{get('over', 0):,}"
        if row["largest overrun"]:
            over += f", {row['largest overrun']:,}"
        rows.append(
            [
                row["name"],
                f"**{get('wrong', 0):,}**",
                over,
                *(f"{get(key, 0):,}" for key in keys),
                f"{get('impossible, refused', 0):,}, {get('impossible, sent', 0):,}",
                f"{get('note lost', 0):,}",
                f"{get('altered', 0):,}",
            ]
        )
    possible = max((row["counts"].get("possible", 0) for row in found["rows"]), default=0)
    what = (
        f"{possible:,} requests that can be right, of {found['cases']:,} conversations under a "
        f"limit each, by the count of {found['model']}. The last two columns are no faults here."
    )
    return "\n".join([markdown(heads, rows), "", what, _below(result, "correctness")])


def families(result: Outcome) -> str:
    """The share of faulty requests, by family."""
    rows = result["correctness"]["rows"]
    names = list(rows[0]["families"])
    lines = []
    for name in names:
        cells = []
        for row in rows:
            counts = row["families"].get(name, {})
            possible = counts.get("possible", 0)
            share = counts.get("wrong", 0) / possible if possible else 0.0
            cells.append("0" if not share else f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %")
        lines.append([name, *cells])
    heads = ["faulty requests", *(row["name"] for row in rows)]
    return "\n".join([markdown(heads, lines), "", _below(result, "correctness")])


def costs(result: Outcome) -> str:
    """Every figure for one provider and limit."""
    rows = [row for row in result["costs"] if (row["model"], row["cache"], row["limit"]) == MAIN]
    workloads = list(dict.fromkeys(row["workload"] for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    by = {(row["name"], row["workload"]): row for row in rows}
    lines = [[name, *(_cost(by.get((name, workload))) for workload in workloads)] for name in names]
    what = (
        f"{MAIN[0]}, {MAIN[1]} cache, limit {MAIN[2]:,}. Mean tokens of a request; share read from "
        "the cache; cost by the floor without rewrites at that mean; in bold contextkit's cost at "
        "the same mean tokens by this one's. In brackets: requests over the limit."
    )
    said = what + outgrown(result["sessions"])
    return "\n".join([markdown(["", *workloads], lines), "", said, _below(result, "costs")])


def _cost(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    if "ended" in row:
        return row["ended"]
    cell = f"{row['mean tokens']:,.0f}; {100 * row['read share']:.0f} %; {row['by the least']:.2f}"
    if "ratio" in row:
        cell += f"; **{row['ratio']:.2f}**"
    return cell + (f" ({100 * row['over'] / row['requests']:.0f} %)" if row["over"] else "")


def held_badly(row: dict[str, Any]) -> bool:
    """Whether more than a tenth of the requests are over the limit."""
    return bool(row["over"] > row["requests"] / 10)


def ratios(result: Outcome) -> str:
    """Our cost by each library's, for every provider, limit and workload."""
    rows = [row for row in result["costs"] if "ratio" in row]
    columns = list(
        dict.fromkeys((row["workload"], row["limit"], row["model"], row["cache"]) for row in rows)
    )
    names = list(dict.fromkeys(row["name"] for row in rows))
    by = {
        (row["name"], row["workload"], row["limit"], row["model"], row["cache"]): row
        for row in rows
    }
    lines = []
    for column in columns:
        cells = []
        for name in names:
            row = by.get((name, *column))
            mark = "°" if row and held_badly(row) else ""
            cells.append(f"{row['ratio']:.2f}{mark}" if row else "")
        workload, limit, model, cache = column
        lines.append([workload, f"{limit:,}", f"{model} {cache}", *cells])
    what = (
        "contextkit's cost by theirs, at the same mean tokens of a request; ° where more than a "
        "tenth of its requests are over the limit; empty where it was not done in time."
    )
    heads = ["workload", "limit", "provider", *names]
    return "\n".join([markdown(heads, lines), "", what, _below(result, "costs")])


def server(result: Outcome) -> str:
    """What the embedded server computed."""
    found = result["server"]
    rows = found["rows"]
    ours = next((row.get("evaluated tokens") for row in rows if row["name"] == OURS), None)
    lines = []
    for row in rows:
        if "ended" in row:
            lines.append([row["name"], "", row["ended"], *[""] * 4])
            continue
        name = row["name"] + (f" (as {row['same as']})" if "same as" in row else "")
        lines.append(
            [
                name,
                f"{row['prompt tokens']:,}",
                f"{row['evaluated tokens']:,}",
                f"{100 * row['cached tokens'] / row['prompt tokens']:.0f} %",
                f"{ours / row['evaluated tokens']:.2f}" if ours else "",
                _seconds(row, "first token, median seconds", 1_000, "{:,.0f}"),
                _seconds(row, "first token, all seconds", 1, "{:,.1f}"),
            ]
        )
    heads = [
        f"limit {found['limit']:,}, {found['turns']} turns",
        "prompt tokens",
        "evaluated",
        "cached",
        "contextkit's evaluated by this",
        "first token: median ms",
        "all, s",
    ]
    what = (
        f"{found['model']} in llama.cpp's server, one slot, started anew for each. Calls of a "
        "summarizer are not sent, so those that have one compute more than is shown. - where "
        "other work ran on the machine, so that seconds mean nothing."
    )
    return "\n".join([markdown(heads, lines), "", what, _below(result, "server")])


def _seconds(row: dict[str, Any], key: str, times: int, form: str) -> str:
    """Seconds of a row; they are taken out of the results of a machine that was not quiet."""
    return form.format(times * row[key]) if key in row else "-"


def _of(part: str, table: Callable[[Outcome], str]) -> Callable[[Outcome], str]:
    """A table that says where its part was not measured."""
    return lambda result: table(result) if part in result else f"{part}: not measured yet"


ALL = {
    "settings": settings,
    "correctness": _of("correctness", correctness),
    "families": _of("correctness", families),
    "costs": _of("costs", costs),
    "ratios": _of("costs", ratios),
    "server": _of("server", server),
    "times": _of("times", times),
}


def whole(result: Outcome) -> str:
    """All tables of what was measured."""
    return "\n\n".join(f"## {name}\n\n{table(result)}" for name, table in ALL.items())
