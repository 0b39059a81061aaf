"""Tables: what an exam shows: tables and plot, of what its conversations kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contextkit.analysis.examining.columns import (
    UNITS,
    answers_of,
    behind_of,
    columns,
    kinds_of,
)
from contextkit.analysis.examining.intervals import Interval, ratio_interval, share_interval
from contextkit.analysis.examining.measured import KINDS, Measured
from contextkit.analysis.examining.wording import counted, finding_of, notes_of
from contextkit.analysis.results import Column, Frontier, Plot, Point, Result, Table, versions_of

if TYPE_CHECKING:
    from contextkit.analysis.exam import Exam


def result_of(run: Exam, *, limit: int, target: int, join: int) -> Result:
    """What an exam found."""
    rows = [_row(run, number) for number in range(len(run.rows))]
    alone = run.share is not None
    name = Column("policy", "policy")
    main = Table(
        "kept",
        "Summarizers side by side" if alone else "Policies side by side",
        columns(alone=alone),
        tuple(rows),
        "Those that only stand beside come last.",
    )
    there = "in the text" if alone else "in the last request"
    asked = tuple(row for row in rows if row["questions"])
    answers = Table("answers", "Answers that can be read", (name, *answers_of(there)), asked)
    measured = tuple(row for row in rows if row["hidden_facts"])
    kinds = Table("kinds", "Kept by kind, needed or not", (name, *kinds_of()), measured)
    shown = tuple(row for row in rows if row["left"] is not None or row["over_limit"])
    units = () if alone else (UNITS,)
    behind = Table(
        "behind",
        "What stands in its place" if alone else "What stands in its place, and what it costs",
        (name, *units, *behind_of(alone=alone)),
        shown,
    )
    settings = (
        {"share": run.share, "profile": run.named.name, "join": join}
        if alone
        else {
            "policies": [row["policy"] for row in rows],
            "profile": run.named.name,
            "limit": limit,
            "target": target,
            "join": join,
        }
    )
    return Result(
        command="exam",
        title=f"Exam of {counted(len(run.sources), 'conversation')}",
        settings=settings,
        tables=(main, *(table for table in (kinds, answers, behind) if table.rows)),
        plots=_plots(rows, alone=alone),
        notes=tuple(notes_of(run, rows, limit, target, join)),
        problems=tuple(run.problems),
        details={"conversations": _details(run)},
        versions=versions_of("tiktoken", "numpy"),
        finding=finding_of(run, rows, limit),
    )


def _row(run: Exam, number: int) -> dict[str, Any]:
    row = run.rows[number]
    found = run.found[number]
    total = Measured()
    for one in found:
        total += one
    alone = run.share is not None
    sums = total.sums
    newest = next(
        (run.found[at] for at, one in enumerate(run.rows) if alone and one.name == "newest"),
        None,
    )
    answers = share_interval([(one.answers.kept, one.answers.of) for one in found])
    needed = share_interval([(one.needed.kept, one.needed.of) for one in found])
    by_newest, ratio = None, None
    if newest is not None and total.texts:
        theirs = sum(sum(one.each) for one in newest)
        by_newest = total.answers.kept / theirs if theirs else None
        ratio = ratio_interval(
            [
                list(zip(mine.each, other.each, strict=True))
                for mine, other in zip(found, newest, strict=True)
            ]
        )
    priced = not alone and sums.units is not None
    return {
        "policy": row.name,
        "beside": row.beside,
        "tokens": sums.tokens / sums.requests,
        "needed": total.needed.value,
        "needed_interval": _said(needed),
        "needed_low": needed and needed[0],
        "needed_high": needed and needed[1],
        "needed_facts": total.needed.of,
        "hidden_facts": total.stood.of,
        "stood": total.stood.value,
        "whole": total.whole.value,
        **{kind: total.facts[kind].value for kind in KINDS},
        "facts": {kind: total.facts[kind].of for kind in KINDS},
        "precision": total.stated.value,
        "stated": total.stated.of,
        "answers": total.answers.value,
        "answers_interval": _said(answers),
        "answers_low": answers and answers[0],
        "answers_high": answers and answers[1],
        "questions": total.answers.of,
        "by_newest": by_newest,
        "by_newest_interval": _said(ratio, by=1) if by_newest is not None else None,
        "by_newest_low": ratio and ratio[0],
        "by_newest_high": ratio and ratio[1],
        "evidence": total.evidence.value,
        "left": total.span.value,
        "units": (sums.units or 0.0) / sums.requests if priced else None,
        "fee": sums.fee / sums.requests if priced and sums.calls else None,
        "summaries": total.texts,
        "rejected": sum(total.failures.values()),
        "failures": dict(total.failures),
        "over_limit": sums.over,
        "peak_tokens": sums.peak,
        "requests": sums.requests,
        "cut": sum(one.hidden > 0 for one in found),
    }


def _said(interval: Interval | None, by: int = 100) -> str | None:
    """An interval in words, in per cent or as a ratio."""
    if interval is None:
        return None
    low, high = (by * value for value in interval)
    return f"{low:.0f} to {high:.0f}" if by > 1 else f"{low:.2f} to {high:.2f}"


def _plots(rows: list[dict[str, Any]], *, alone: bool) -> tuple[Plot, ...]:
    panels = {
        title: [
            Point(row["policy"], row["tokens"], 100 * row[key])
            for row in rows
            if row[key] is not None
        ]
        for key, title in (("needed" if alone else "whole", "needed facts"), ("answers", "answers"))
    }
    shown = {title: points for title, points in panels.items() if points}
    if not shown:
        return ()
    return (
        Frontier(
            "kept",
            "What can still be read, and in how many tokens",
            "tokens of the text, mean" if alone else "tokens of a request, mean",
            "kept, of the whole conversation (%)",
            shown,
            x_better="less",
            y_better="more",
        ),
    )


def _details(run: Exam) -> list[dict[str, Any]]:
    """Counts of each conversation, for each row."""
    return [
        {
            "source": source,
            "kept": {
                row.name: _figures(run.found[number][place]) for number, row in enumerate(run.rows)
            },
        }
        for place, source in enumerate(run.sources)
    ]


def _figures(one: Measured) -> dict[str, Any]:
    pairs = {
        "needed": one.needed,
        "whole": one.whole,
        **one.facts,
        "stated": one.stated,
        "answers": one.answers,
        "evidence": one.evidence,
        "tokens of hidden": one.span,
    }
    return {
        **{name: [share.kept, share.of] for name, share in pairs.items()},
        "hidden": one.hidden,
        "requests": one.sums.requests,
        "tokens": one.sums.tokens,
        "units": one.sums.units,
    }
