"""Columns of the tables of an exam, and what they mean."""

from __future__ import annotations

from dataclasses import replace

from contextkit.analysis.results import Column

_TITLES = {
    "constraint": "constraints",
    "identifier": "identifiers",
    "path": "paths",
    "date": "dates",
    "number": "numbers",
    "name": "names",
}


def columns(*, alone: bool) -> tuple[Column, ...]:
    """Of the main table.

    Args:
        alone: of summarizers at a share of the tokens; else of policies.
    """
    there = "in the text" if alone else "in the last request"
    by_kind, behind = kinds_of(), behind_of(alone=alone)
    answers, *others = answers_of(there)
    return (
        Column("policy", "policy"),
        Column(
            "tokens",
            "tokens",
            "number",
            "Of the text, mean." if alone else "Of a request, mean.",
            "tokens",
        ),
        UNITS,
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
        answers,
        *(replace(column, elsewhere=True) for column in others),
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


UNITS = Column(
    "units",
    "per request",
    "units",
    "Cost in price units, the calls to a summarizer included; 1 is the price of an uncached input "
    "token of the lowest tier.",
)


def kinds_of() -> tuple[Column, ...]:
    """Of the table by kind of fact."""
    return tuple(
        Column(kind, title, "share", f"Of what is hidden, {title} that still stand; needed or not.")
        for kind, title in _TITLES.items()
    )


def answers_of(there: str) -> tuple[Column, ...]:
    """Of the table of answers; `there` says where they are looked for."""
    return (
        Column(
            "answers",
            "answers",
            "share",
            f"Questions whose answer can be read: all its words stand {there}.",
            puzzling=True,
        ),
        Column("answers_low", "95 % from", "share", "Interval of the answers: its lower end."),
        Column("answers_high", "95 % to", "share", "Interval of the answers: its upper end."),
        Column("questions", "questions", "count", "Those whose answer the conversation has."),
        Column(
            "by_newest",
            "by newest",
            "ratio",
            "Answers by those that the newest text of as many tokens has.",
            puzzling=True,
        ),
        Column("by_newest_low", "95 % of this from", "ratio", "Interval of that: its lower end."),
        Column("by_newest_high", "95 % of this to", "ratio", "Interval of that: its upper end."),
        Column(
            "evidence",
            "evidence",
            "share",
            "Sentences that hold the answers, by the labels, and stand word for word.",
            puzzling=True,
        ),
    )


def behind_of(*, alone: bool) -> tuple[Column, ...]:
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
