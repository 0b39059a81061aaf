"""The commands that hold and check conversations, and their options, as typer takes them.

What they do is imported when they run.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from contextkit.cli import EXIT_CODES
from contextkit.cli.app import app, ctrl_c
from contextkit.cli.options import (
    AsJson,
    BaseUrl,
    Cache,
    CacheOption,
    Limit,
    Model,
    Options,
    Port,
    SpendAtMost,
    Target,
    Threads,
    Yes,
)


@app.command(epilog=EXIT_CODES)
def demo(
    *,
    turns: Annotated[
        int | None, typer.Option(min=1, help="User messages of the script.  [default: 36]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a request at most.  [default: 1400]")
    ] = None,
    target: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens that a cut comes down to.  [default: 500]"),
    ] = None,
    png: Annotated[Path, typer.Option(help="Where the plot goes.")] = Path("contextkit-demo.png"),
    seed: Annotated[int, typer.Option(help="Seed of the model's sampling.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Of the server; 0: any free.")] = 0,
    threads: Threads = 2,
    quick: Annotated[
        bool, typer.Option("--quick", help="A few turns at a small limit, with a cut all the same.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold a real conversation twice: with contextkit, and with a sliding window.

    Both run at the same limit on an embedded model server, with its cache empty. Shown are tokens
    predicted and reported by the server, the time to the first token, and what was cut. About two
    minutes; nothing leaves this machine.
    """
    from contextkit.cli.demo import Settings, run

    settings = Settings.of(
        turns=turns, limit=limit, target=target, seed=seed, port=port, threads=threads, quick=quick
    )
    with ctrl_c():
        raise typer.Exit(run(settings, png, as_json=as_json))


@app.command(epilog=EXIT_CODES)
def chat(
    *,
    model: Model = None,
    store: Annotated[Path, typer.Option(help="SQLite file that keeps the conversations.")] = Path(
        "contextkit-chat.db"
    ),
    conversation: Annotated[str, typer.Option(help="Which of them to go on with.")] = "default",
    limit: Limit = None,
    target: Target = None,
    system: Annotated[
        str | None, typer.Option(help="System prompt, for a new conversation.")
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Tokens of a reply at most.")
    ] = None,
    base_url: BaseUrl = None,
    port: Port = 0,
    threads: Threads = 2,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a turn on stdout in place of text.")
    ] = False,
) -> None:
    """Talk to the embedded model, or with --model and a key to Qwen Cloud or OpenAI.

    Keys are read from OPENAI_API_KEY and DASHSCOPE_API_KEY; for Qwen Cloud the first one will do
    where its address is given with it. Conversations are kept: the same
    --store and --conversation go on where they ended. /report shows what became of every message
    in the last request, /quit leaves; Ctrl-C stops a reply. Piped input is a message a line.
    """
    from contextkit.cli.chat import Settings, run

    settings = Settings(
        model=model,
        store=store,
        conversation=conversation,
        limit=limit,
        target=target,
        system=system,
        max_tokens=max_tokens,
        base_url=base_url,
        port=port,
        threads=threads,
        as_json=as_json,
    )
    with ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def bench(
    *,
    model: Model = None,
    cache: CacheOption = Cache.implicit,
    turns: Annotated[
        int | None, typer.Option(min=1, help="User messages.  [default: 10; embedded: 5]")
    ] = None,
    limit: Limit = None,
    target: Target = None,
    base_url: BaseUrl = None,
    budget: SpendAtMost = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(min=1, help="Tokens of a reply at most.  [default: 200; embedded: 24]"),
    ] = None,
    options: Options = None,
    png: Annotated[Path | None, typer.Option(help="Write a plot there.")] = None,
    yes: Yes = False,
    port: Port = 0,
    threads: Threads = 2,
    as_json: AsJson = False,
) -> None:
    """Hold a scripted conversation with a real endpoint: forecast against reported.

    Shows for every request the prompt and cached tokens that were predicted before it was sent and
    those that the provider reported, the time to the first token, and why less was read where it
    was; in total the hit ratio, tokens written, and cost. The system prompt is as long as the cache
    asks for, and new in every run. Says about how many tokens that takes, and asks.
    """
    from contextkit.cli.bench import Settings, run

    settings = Settings(
        model=model,
        base_url=base_url,
        mode=cache.value,
        turns=turns,
        limit=limit,
        target=target,
        budget=budget,
        max_tokens=max_tokens,
        options=options,
        png=png,
        yes=yes,
        port=port,
        threads=threads,
        as_json=as_json,
    )
    with ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def probe(
    *,
    model: Model = None,
    cache: CacheOption = Cache.implicit,
    base_url: BaseUrl = None,
    budget: SpendAtMost = None,
    ttl: Annotated[
        float | None,
        typer.Option(min=1, help="Find out how long entries live, up to so many seconds: waits."),
    ] = None,
    settle: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds before what was cached is asked for.  [default: 1]"),
    ] = None,
    options: Options = None,
    yes: Yes = False,
    port: Port = 0,
    threads: Threads = 2,
    as_json: AsJson = False,
) -> None:
    """Find out what a provider's prompt cache does, and print it as lines for a profile.

    Sends prefixes of random words, so that runs see nothing of each other, and reads from the
    reported usage: minimum, block, how prefixes match, whether a string equals a text part, whether
    replies are cached, when an entry can be read; with markers how many count, how far they look
    back and where they may stand; with --ttl how long an entry lives. Says about how many tokens
    that takes, and asks. Ends with 1 where the budget ended before all was found out.
    """
    from contextkit.cli.probe import Settings, run

    settings = Settings(
        model=model,
        base_url=base_url,
        mode=cache.value,
        budget=budget,
        ttl=ttl,
        settle=settle,
        options=options,
        yes=yes,
        port=port,
        threads=threads,
        as_json=as_json,
    )
    with ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def lint(
    files: Annotated[
        list[Path],
        typer.Argument(help="Prompts, requests, lists of tools, logs; - is standard input."),
    ],
    *,
    clock: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"],
            help="When the prompts were rendered.  [default: now]",
        ),
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option(help="A rule that is not to be looked for; repeatable.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object on stdout in place of text.")
    ] = False,
) -> None:
    """Check a prompt or a request for what keeps a prompt cache from hitting.

    A file is a prompt as text, or as JSON a request with its messages and tools, a list of
    messages, a list of tools, or a list of requests; JSON Lines hold a request a line. Several
    files, lines and requests are renders of the same prompt in the order in which they were
    sent: whatever differs from one to the next is found. Ends with 7 where something was found.
    """
    from contextkit.cli.lint import run

    with ctrl_c():
        raise typer.Exit(run(files, clock, ignore or (), as_json=as_json))
