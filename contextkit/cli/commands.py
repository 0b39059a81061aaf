"""The commands and their options, as typer takes them; what they do is imported when they run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from contextkit import __version__
from contextkit.cli import EXIT_CODES, INTERRUPTED, say

app = typer.Typer(
    name="contextkit",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # plain help: quick, and brackets stay brackets
    pretty_exceptions_enable=False,  # a traceback with local variables could show a key
    epilog=EXIT_CODES,
)


_Number = TypeVar("_Number", int, float)


class Cache(StrEnum):
    """The kinds of caches that providers have."""

    implicit = "implicit"
    explicit = "explicit"
    session = "session"


# Options that several commands have.
Model = Annotated[
    str | None,
    typer.Option(help="qwen-plus, gpt-5.6, …; without it the embedded model answers."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(help="The provider's address, else OPENAI_BASE_URL or DASHSCOPE_BASE_URL."),
]
SpendAtMost = Annotated[
    int | None,
    typer.Option(min=1, help="Tokens of input and output that are never passed."),
]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Tokens of a request at most.  [default: the window]")
]
Target = Annotated[int | None, typer.Option(min=1, help="Tokens that a cut comes down to.")]
Options = Annotated[
    str | None,
    typer.Option(
        help='Further parameters of each request, as JSON: {"temperature":0}. Those that only '
        'the provider knows: {"extra_body":{"enable_thinking":false}}'
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="Of the embedded server; 0: any free.")]
Threads = Annotated[int, typer.Option(min=1, help="That the server computes with.")]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON object on stdout; progress on stderr.")
]
Csv = Annotated[Path | None, typer.Option(help="Write the main table there, as CSV.")]
Png = Annotated[Path | None, typer.Option(help="Folder to write every plot into, as PNG.")]
Html = Annotated[Path | None, typer.Option(help="Write one page there with all of it.")]
CacheOption = Annotated[Cache, typer.Option(help="Which cache of the provider.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"contextkit {__version__}")
        raise typer.Exit


@app.callback()
def contextkit(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Build LLM chat requests within a token budget, with a prefix that stays put."""


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
    with _ctrl_c():
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
    with _ctrl_c():
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
    with _ctrl_c():
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
    with _ctrl_c():
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

    with _ctrl_c():
        raise typer.Exit(run(files, clock, ignore or (), as_json=as_json))


def _once(option: str, given: list[_Number] | None) -> _Number | None:
    """The value of an option that a run has once."""
    if given and len(given) > 1:
        values = ", ".join(f"{value:g}" for value in given)
        raise typer.BadParameter(
            f"given {len(given)} times ({values}): a run has one; for several, run once for each",
            param_hint=option,
        )
    return given[0] if given else None


@app.command(epilog=EXIT_CODES)
def replay(
    transcripts: Annotated[
        list[Path], typer.Argument(help="Conversations: files, folders; - is standard input.")
    ],
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
    profiles: Annotated[
        Path | None, typer.Option(help="TOML file with profiles of your own models.")
    ] = None,
    limit: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Tokens of a request at most.  [default: 8000]"),
    ] = None,
    target: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Tokens that a cut comes down to.  [default: half the limit]"),
    ] = None,
    gap: Annotated[
        list[float] | None,
        typer.Option(min=0, help="Seconds between requests that have no times.  [default: 20]"),
    ] = None,
    join: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Conversations in a row that make one long session.  [default: 1]"
        ),
    ] = None,
    tools: Annotated[
        Path | None,
        typer.Option(help="JSON file with the tools of conversations that name none."),
    ] = None,
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
        limit=_once("--limit", limit),
        target=_once("--target", target),
        gap=_once("--gap", gap),
        join=_once("--join", join) or 1,
        tools=tools,
        as_json=as_json,
        csv=csv,
        png=png,
        html=html,
    )
    with _ctrl_c():
        raise typer.Exit(run(settings))


@app.command(epilog=EXIT_CODES)
def audit(
    logs: Annotated[
        list[Path], typer.Argument(help="Logs of requests with their usage: files, folders.")
    ],
    *,
    profiles: Annotated[
        Path | None, typer.Option(help="TOML file with profiles of your own models.")
    ] = None,
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

    with _ctrl_c():
        raise typer.Exit(run(logs, profiles, as_json=as_json, csv=csv, png=png, html=html))


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """Ctrl-C where a command has nothing more to say about it."""
    try:
        yield
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        raise typer.Exit(INTERRUPTED) from None
