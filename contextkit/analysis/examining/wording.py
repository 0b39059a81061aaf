"""Wording: what an exam found, in a sentence or two, and the notes below its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contextkit.analysis.examining.intervals import DRAWS, drawn_by

if TYPE_CHECKING:
    from contextkit.analysis.exam import Exam

FEW = 0.1
"""Where fewer of the facts are needed ones, what is kept of those tells little of the others."""


def finding_of(run: Exam, rows: list[dict[str, Any]], limit: int) -> str:
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


def notes_of(
    run: Exam, rows: list[dict[str, Any]], limit: int, target: int, join: int
) -> list[str]:
    """What a reader must know besides."""
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
                f"{vacuous:,} of {counted(count, 'conversation')} cut by no policy: they count in "
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
            f"{answered:,} of {counted(run.asked, 'question')}: those whose answer stands in the "
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
            f"{counted(run.taken.beginnings, 'transcript')} left out: each is the beginning of a "
            "longer one."
        )
    return notes


def counted(number: int, what: str) -> str:
    """A number, and what it counts."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
