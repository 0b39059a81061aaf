"""Tables: what an exam shows: table, plot and notes, of what its conversations kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contextkit.analysis.examining.intervals import (
    DRAWS,
    Interval,
    drawn_by,
    ratio_interval,
    share_interval,
)
from contextkit.analysis.examining.measured import KINDS, Measured
from contextkit.analysis.results import Column, Frontier, Plot, Point, Result, Table, versions_of

if TYPE_CHECKING:
    from contextkit.analysis.exam import Exam

_TITLES = {
    "constraint": "constraints",
    "identifier": "identifiers",
    "path": "paths",
    "date": "dates",
    "number": "numbers",
    "name": "names",
}

COLUMNS = (
    Column("policy", "policy"),
    Column("tokens", "tokens", "number", "Of a request, mean; of a text.", "tokens"),
    Column(
        "needed",
        "facts kept",
        "share",
        "Needed facts of what is hidden (said twice, or by the user) that still stand in the "
        "last request.",
        puzzling=True,
    ),
    Column("needed_interval", "95 %", meaning="Interval of the facts kept."),
    Column(
        "whole",
        "of all",
        "share",
        "Needed facts of the whole conversation, hidden or not, that stand in the last request.",
        puzzling=True,
    ),
    *(
        Column(kind, title, "share", f"Of what is hidden, {title} that still stand; needed or not.")
        for kind, title in _TITLES.items()
    ),
    Column(
        "precision",
        "precision",
        "share",
        "Facts that the summaries state and the conversation has, by all that they state.",
        puzzling=True,
    ),
    Column(
        "answers",
        "answers",
        "share",
        "Questions whose answer can be read: all its words stand in the last request.",
        puzzling=True,
    ),
    Column("answers_interval", "95 % of answers", meaning="Interval of the answers."),
    Column(
        "by_newest",
        "by newest",
        "ratio",
        "Answers by those that the newest text of as many tokens has.",
        puzzling=True,
    ),
    Column("by_newest_interval", "95 % by newest", meaning="Interval of that."),
    Column(
        "evidence",
        "evidence",
        "share",
        "Sentences that hold the answers, by the labels, and stand word for word.",
        puzzling=True,
    ),
    Column(
        "left",
        "of hidden",
        "share",
        "Tokens that stand in the place of what is hidden, by its tokens.",
        puzzling=True,
    ),
    Column(
        "units",
        "per request",
        "units",
        "Cost in price units, the calls to a summarizer included; 1 is the price of an uncached "
        "input token of the lowest tier.",
    ),
    Column("fee", "of it calls", "units", "The part that the calls to a summarizer cost."),
    Column("summaries", "summaries", "count", "That stand in the last requests.", quiet=True),
    Column(
        "rejected",
        "passed over",
        "count",
        "Times a strategy failed and the next one had its turn; summaries that were refused.",
        quiet=True,
        puzzling=True,
    ),
    Column(
        "over_limit", "over limit", "count", "Requests of more tokens than the limit.", quiet=True
    ),
    Column("cut", "cut", "count", "Conversations of which something is hidden."),
)


def result_of(run: Exam, *, limit: int, target: int, join: int) -> Result:
    """What an exam found."""
    rows = [_row(run, number) for number in range(len(run.rows))]
    alone = run.share is not None
    table = Table(
        "kept",
        "Summarizers side by side" if alone else "Policies side by side",
        COLUMNS,
        tuple(rows),
        "Those that only stand beside come last.",
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
        title=f"Exam of {_count(len(run.sources), 'conversation')}",
        settings=settings,
        tables=(table,),
        plots=_plots(rows, alone=alone),
        notes=tuple(_notes(run, rows, limit, target, join)),
        problems=tuple(run.problems),
        details={"conversations": _details(run)},
        versions=versions_of("tiktoken", "numpy"),
        finding=_finding(rows),
    )


def _row(run: Exam, number: int) -> dict[str, Any]:
    policy, beside = run.rows[number]
    found = run.found[number]
    total = Measured()
    for one in found:
        total += one
    alone = run.share is not None
    sums = total.sums
    newest = next(
        (run.found[at] for at, (row, _) in enumerate(run.rows) if alone and row.name == "newest"),
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
        "policy": policy.name,
        "beside": beside,
        "tokens": sums.tokens / sums.requests,
        "needed": total.needed.value,
        "needed_interval": _said(needed),
        "needed_low": needed and needed[0],
        "needed_high": needed and needed[1],
        "needed_facts": total.needed.of,
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
        "rejected": total.rejected,
        "over_limit": sums.over,
        "requests": sums.requests,
        "cut": sum(one.hidden > 0 for one in found),
    }


def _said(interval: Interval | None, by: int = 100) -> str | None:
    """An interval in words, in per cent or as a ratio."""
    if interval is None:
        return None
    low, high = (by * value for value in interval)
    return f"{low:.0f} to {high:.0f}" if by > 1 else f"{low:.2f} to {high:.2f}"


def _finding(rows: list[dict[str, Any]]) -> str:
    """What to take home: who of those examined keeps most, beside keeping the newest."""
    said = []
    newest = next((row for row in rows if row["policy"] in ("drop@when-it-pays", "newest")), None)
    for key, what, where in (
        ("needed", "of the needed facts of what is hidden", "keeps"),
        ("answers", "of the answers", "has"),
    ):
        examined = [row for row in rows if not row["beside"] and row[key] is not None]
        if not examined:
            continue
        best = max(examined, key=lambda row: row[key])
        beside = (
            f"; {newest['policy']} {100 * newest[key]:.0f} %"
            if newest and newest is not best and newest[key] is not None
            else ""
        )
        said.append(
            f"{best['policy']} {where} {100 * best[key]:.0f} % {what} "
            f"(95 %: {best[f'{key}_interval']}){beside}."
        )
    return "\n".join(said)


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


def _notes(run: Exam, rows: list[dict[str, Any]], limit: int, target: int, join: int) -> list[str]:
    count = len(run.sources)
    notes = [
        (
            "Facts are found and compared by their form: what is said in other words counts as "
            "lost, and nothing is said of what a model makes of it."
        )
    ]
    if run.share is None:
        notes.append(
            "Measured at the last request of each conversation, of the messages that it does not "
            "show as they were."
        )
        notes.append(
            f"{run.named.name}: limit {limit:,}, target {target:,}; counted by "
            f"{run.named.setting.counter.counter.name}."
        )
        vacuous = count - max((row["cut"] for row in rows), default=0)
        if vacuous:
            notes.append(
                f"{vacuous:,} of {_count(count, 'conversation')} cut by no policy: they count in "
                "the tokens and costs alone, and in what stands of all."
            )
        if any(row["fee"] for row in rows):
            notes.append(
                "The cost has the calls of a model that writes the summaries; the extractive "
                "summarizer needs none."
            )
    else:
        notes.append(
            f"The finished part of each conversation (all of one with questions) in {run.share:.0%}"
            " of its tokens; the newest text in as many. Summarized with the check behind it, as "
            "a build has it: room is left for what must be carried, half of the share at most."
        )
    if join > 1:
        notes.append(f"Joined into long sessions: {join} conversations in a row make one.")
    if run.asked:
        answered = max((row["questions"] for row in rows), default=0)
        notes.append(
            f"{answered:,} of {_count(run.asked, 'question')}: those whose answer stands in the "
            "conversation in so many words."
        )
    notes.append(
        f"Intervals: bootstrap of {DRAWS:,} draws from a fixed seed, of {drawn_by(count)}."
    )
    if run.taken.beginnings:
        notes.append(
            f"{_count(run.taken.beginnings, 'transcript')} left out: each is the beginning of a "
            "longer one."
        )
    return notes


def _details(run: Exam) -> list[dict[str, Any]]:
    """Counts of each conversation, for each row."""
    return [
        {
            "source": source,
            "kept": {
                row.name: _figures(run.found[number][place])
                for number, (row, _) in enumerate(run.rows)
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


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
