"""The commands that analyse files, and their options; what they do is imported when they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from contextkit.cli import EXIT_CODES
from contextkit.cli.app import app, ctrl_c
from contextkit.cli.options import (
    AsJson,
    Csv,
    Html,
    Join,
    Png,
    Profiles,
    ReplayLimit,
    ReplayTarget,
    Tools,
    Transcripts,
    once,
)


@app.command(epilog=EXIT_CODES)
def replay(
    transcripts: Transcripts,
    *,
    compaction: Annotated[
        list[str] | None,
        typer.Option(
            help="drop, clear, keep:TURNS, summarize:TOKENS, joined by + such as clear+drop; or a "
            "baseline: all, window, window-turns, window:TOKENS. Repeatable.  [default: drop (by "
            "both schedules), clear+drop, window, all]"
        ),
    ] = None,
    schedule: Annotated[
        list[str] | None,
        typer.Option(help="when-it-pays, at-limit. Repeatable: all combinations are made."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(
            help="A model, perhaps with its cache: qwen-plus, qwen-plus:explicit, gpt-5.6:none. "
            "Repeatable.  [default: qwen-plus]"
        ),
    ] = None,
    profiles: Profiles = None,
    limit: ReplayLimit = None,
    target: ReplayTarget = None,
    gap: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            help="Seconds between requests that have no times.  [default: 20]",
        ),
    ] = None,
    join: Join = None,
    tools: Tools = None,
    as_json: AsJson = False,
    csv: Csv = None,
    png: Png = None,
    html: Html = None,
) -> None:
    """Hold conversations again under several policies and providers, offline, side by side.

    Shows for each policy and profile, the cheapest first, what the requests would cost, how much
    of them the provider's cache would have, how long they are, how much of the conversation they
    keep, and how far that is from the least that any choice of cuts could cost. Nothing is sent;
    no text of a message is shown. Ends with 8 where a conversation was left out, with 1 where
    there was none.
    """
    from contextkit.cli.replay import Settings, run

    settings = Settings(
        transcripts=transcripts,
        compactions=compaction or (),
        schedules=schedule or (),
        models=profile or (),
        profiles=profiles,
        limit=once("--limit", limit),
        target=once("--target", target),
        gap=once("--gap", gap),
        join=once("--join", join) or 1,
        tools=tools,
        as_json=as_json,
        csv=csv,
        png=png,
        html=html,
    )
    with ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def exam(
    transcripts: Transcripts,
    *,
    compaction: Annotated[
        list[str] | None,
        typer.Option(
            help="As for replay: drop, clear, keep:TURNS, summarize:TOKENS, joined by +, perhaps "
            "with @at-limit; window. Repeatable.  [default: summarize, clear+summarize]"
        ),
    ] = None,
    share: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            help="Instead: the extractive summarizer alone, at this share of the tokens: 0.25.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(help="A model, perhaps with its cache: gpt-5.6:none.  [default: qwen-plus]"),
    ] = None,
    profiles: Profiles = None,
    limit: ReplayLimit = None,
    target: ReplayTarget = None,
    join: Join = None,
    tools: Tools = None,
    min_kept: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="End with 9 where fewer of the needed facts are kept: 0.9"),
    ] = None,
    min_any_kept: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="End with 9 where fewer of all facts are kept, needed or not: 0.5. For agents: "
            "what a tool said once is no needed fact",
        ),
    ] = None,
    min_precision: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="End with 9 where summaries state more than was said: 1"),
    ] = None,
    as_json: AsJson = False,
    csv: Csv = None,
    png: Png = None,
    html: Html = None,
) -> None:
    """Measure what the contexts of each policy keep of conversations, offline.

    Shows which of the facts that a policy hides from the model still stand in its last request:
    identifiers, paths, dates, numbers, names, constraints; whether summaries state what nobody
    said; where conversations have questions, how many of the answers can still be read; and tokens
    and cost beside it. Keeping the newest turns (drop) and everything (all) stand beside. Nothing
    is sent; no text of a message is shown. Ends with 9 where less is kept than asked for, with 8
    where a conversation was left out, with 1 where there was none.
    """
    from contextkit.cli.exam import Settings, run

    alone = once("--share", share)
    if alone is not None:
        if not 0 < alone < 1:
            raise typer.BadParameter(f"is between 0 and 1, not {alone:g}", param_hint="--share")
        given = {"--compaction": compaction, "--limit": limit, "--target": target}
        for option in (option for option, value in given.items() if value):
            raise typer.BadParameter(
                "--share is for a summarizer alone, without requests: leave out one",
                param_hint=option,
            )
    settings = Settings(
        transcripts=transcripts,
        compactions=compaction or (),
        share=alone,
        model=profile,
        profiles=profiles,
        limit=once("--limit", limit),
        target=once("--target", target),
        join=once("--join", join) or 1,
        tools=tools,
        min_kept=min_kept,
        min_any_kept=min_any_kept,
        min_precision=min_precision,
        as_json=as_json,
        csv=csv,
        png=png,
        html=html,
    )
    with ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def audit(
    logs: Annotated[
        list[Path], typer.Argument(help="Logs of requests with their usage: files, folders.")
    ],
    *,
    profiles: Profiles = None,
    as_json: AsJson = False,
    csv: Csv = None,
    png: Png = None,
    html: Html = None,
) -> None:
    """Find in recorded requests what keeps a prompt cache from hitting, and what to change first.

    Shows the changes that would save most, in order, with the cause of each, where it stands, how
    many requests it hits, the tokens that were sent before and not read, and what that cost; and
    in total the hit ratio and cost as they are, without a cache, and with all changes made. Works
    offline; no text of a message is shown. Ends with 8 where a record could not be read, with 1
    where none could.
    """
    from contextkit.cli.audit import run

    with ctrl_c():
        raise typer.Exit(run(logs, profiles, as_json=as_json, csv=csv, png=png, html=html))
