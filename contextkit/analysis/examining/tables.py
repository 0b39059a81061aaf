"""Tables: what an exam shows: table, plot and notes, of what its conversations kept."""

from __future__ import annotations

from dataclasses import replace
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

FEW = 0.1
"""Where fewer of the facts are needed ones, what is kept of those tells little of the others."""


def columns(*, alone: bool) -> tuple[Column, ...]:
    """Of the main table.

    Args:
        alone: of summarizers at a share of the tokens; else of policies.
    """
    there = "in the text" if alone else "in the last request"
    by_kind, behind = _kinds(), _behind(alone=alone)
    return (
        Column("policy", "policy"),
        Column(
            "tokens",
            "tokens",
            "number",
            "Of the text, mean." if alone else "Of a request, mean.",
            "tokens",
        ),
        _UNITS,
        Column(
            "needed",
            "facts kept",
            "share",
            "Needed facts of what is hidden (said twice, or by the user) that still stand "
            f"{there}, by all of them.",
            puzzling=True,
        ),
        Column("needed_low", "95 % from", "share", "Interval of the facts kept: its lower end."),
        Column("needed_high", "95 % to", "share", "Interval of the facts kept: its upper end."),
        Column(
            "needed_facts",
            "needed",
            "count",
            "Needed facts of what is hidden: what the facts kept are a share of.",
            puzzling=True,
        ),
        Column(
            "hidden_facts",
            "of facts",
            "count",
            "Facts of what is hidden, needed or not: what tools say once counts as not needed.",
            puzzling=True,
        ),
        Column(
            "stood",
            "any kept",
            "share",
            f"Of these facts, needed or not, those that still stand {there}.",
            puzzling=True,
        ),
        Column(
            "whole",
            "of all",
            "share",
            f"Needed facts of the whole conversation, hidden or not, that stand {there}.",
            puzzling=True,
        ),
        *(replace(column, elsewhere=True) for column in by_kind),
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
            f"Questions whose answer can be read: all its words stand {there}.",
            puzzling=True,
        ),
        Column("answers_low", "answers from", "share", "95 % interval of the answers."),
        Column("answers_high", "answers to", "share", "95 % interval of the answers."),
        Column(
            "by_newest",
            "by newest",
            "ratio",
            "Answers by those that the newest text of as many tokens has.",
            puzzling=True,
        ),
        Column("by_newest_low", "by newest from", "ratio", "95 % interval of that."),
        Column("by_newest_high", "by newest to", "ratio", "95 % interval of that."),
        Column(
            "evidence",
            "evidence",
            "share",
            "Sentences that hold the answers, by the labels, and stand word for word.",
            puzzling=True,
        ),
        *(replace(column, elsewhere=True) for column in behind),
        Column(
            "rejected",
            "failed",
            "count",
            "Times a strategy failed and the next one had its turn; summaries that were refused.",
            quiet=True,
            puzzling=True,
        ),
        Column("cut", "cut", "count", "Conversations of which something is hidden."),
    )


_UNITS = Column(
    "units",
    "per request",
    "units",
    "Cost in price units, the calls to a summarizer included; 1 is the price of an uncached input "
    "token of the lowest tier.",
)


def _kinds() -> tuple[Column, ...]:
    return tuple(
        Column(kind, title, "share", f"Of what is hidden, {title} that still stand; needed or not.")
        for kind, title in _TITLES.items()
    )


def _behind(*, alone: bool) -> tuple[Column, ...]:
    """What stands behind the figures, and what it costs."""
    return (
        Column(
            "left",
            "of hidden",
            "share",
            "Tokens that stand in the place of what is hidden, by its tokens.",
            puzzling=True,
        ),
        Column(
            "summaries",
            "summaries",
            "count",
            "Texts that are summaries." if alone else "Summaries that stand in the last requests.",
            quiet=True,
        ),
        Column(
            "fee",
            "of it calls",
            "units",
            "The part of the cost per request that the calls to a summarizer make.",
            puzzling=True,
        ),
        Column(
            "over_limit",
            "over limit",
            "count",
            "Requests of more tokens than the limit.",
            quiet=True,
        ),
    )


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
    measured = tuple(row for row in rows if row["hidden_facts"])
    kinds = Table("kinds", "Kept by kind, needed or not", (name, *_kinds()), measured)
    shown = tuple(row for row in rows if row["left"] is not None or row["over_limit"])
    units = () if alone else (_UNITS,)
    behind = Table(
        "behind",
        "What stands in its place" if alone else "What stands in its place, and what it costs",
        (name, *units, *_behind(alone=alone)),
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
        title=f"Exam of {_count(len(run.sources), 'conversation')}",
        settings=settings,
        tables=(main, *(table for table in (kinds, behind) if table.rows)),
        plots=_plots(rows, alone=alone),
        notes=tuple(_notes(run, rows, limit, target, join)),
        problems=tuple(run.problems),
        details={"conversations": _details(run)},
        versions=versions_of("tiktoken", "numpy"),
        finding=_finding(run, rows, limit),
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


def _finding(run: Exam, rows: list[dict[str, Any]], limit: int) -> str:
    """What to take home: who of those examined keeps most, beside keeping the newest."""
    count = len(run.sources)
    asked = [row for row in rows if not row["beside"]]
    if run.share is None and not any(row["cut"] for row in rows):
        longest = max(row["peak_tokens"] for row in rows)
        return (
            f"No policy cut anything: {_none_of(count)} outgrows the limit of {limit:,} tokens, "
            f"and the longest request takes {longest:,}. So nothing was measured: lower the limit, "
            "or join several conversations into one session (--limit, --join; limit=, join=)."
        )
    said = []
    newest = next((row for row in rows if row["policy"] in ("drop", "newest")), None)
    for key, what, where in (
        ("needed", "of the {needed_facts:,} needed facts of what is hidden", "keeps"),
        ("answers", "of the {questions:,} answers", "has"),
    ):
        examined = [row for row in asked if row[key] is not None and row["cut"]]
        if not examined:
            continue
        best = max(examined, key=lambda row: (row[key], row["stood"] or 0))
        beside = (
            f"; {newest['policy']} {100 * newest[key]:.0f} %"
            if newest and newest is not best and newest[key] is not None
            else ""
        )
        few = _few(best) if key == "needed" else ""
        said.append(
            f"{best['policy']} {where} {100 * best[key]:.0f} % {what.format(**best)} "
            f"(95 %: {best[f'{key}_interval']}){beside}{few}."
        )
    unmeasured = [row["policy"] for row in asked if not row["cut"] and row["policy"] != "all"]
    if unmeasured:
        said.append(f"Nothing was cut, and so nothing measured, by {', '.join(unmeasured)}.")
    said += [
        f"{row['policy']}: no summary was written; failed {row['rejected']:,} times "
        f"({_reasons(row)})."
        for row in asked
        if row["rejected"] and not row["summaries"]
    ]
    return "\n".join(said)


def _none_of(count: int) -> str:
    return "the conversation never" if count == 1 else f"none of {count:,} conversations"


def _few(row: dict[str, Any]) -> str:
    """What to know where few facts are needed ones."""
    if not too_few(row):
        return ""
    return (
        f"; but only these are needed of {row['hidden_facts']:,} facts, and of all it keeps "
        f"{100 * row['stood']:.0f} %"
    )


def too_few(row: dict[str, Any]) -> bool:
    """Whether too few of the facts that a policy hides are needed ones to tell of the others."""
    return bool(row["needed_facts"] < FEW * row["hidden_facts"])


def _reasons(row: dict[str, Any]) -> str:
    return ", ".join(f"{reason} ({times:,})" for reason, times in row["failures"].items())


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
                "the tokens and costs alone, in what stands of all, and in the answers."
            )
        notes.append("A policy without a schedule in its name cuts when it pays.")
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
    notes += [
        f"{row['policy']}: only {row['needed_facts']:,} of {row['hidden_facts']:,} hidden facts "
        "are needed ones (said twice, or by the user): what tools said once, and is gone, shows in "
        "'any kept' alone."
        for row in rows
        if row["needed"] is not None and too_few(row)
    ]
    notes += [
        f"{row['policy']}: failed {row['rejected']:,} times, and the next strategy had its turn: "
        f"{_reasons(row)}."
        for row in rows
        if row["rejected"]
    ]
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


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
