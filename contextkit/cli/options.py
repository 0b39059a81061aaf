"""Options that several commands have, as typer takes them."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

_Number = TypeVar("_Number", int, float)


class Cache(StrEnum):
    """The kinds of caches that providers have."""

    implicit = "implicit"
    explicit = "explicit"
    session = "session"


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
Profiles = Annotated[Path | None, typer.Option(help="TOML file with profiles of your own models.")]
Transcripts = Annotated[
    list[Path], typer.Argument(help="Conversations: files, folders; - is standard input.")
]
ReplayLimit = Annotated[
    list[int] | None,
    typer.Option(metavar="NUMBER", min=1, help="Tokens of a request at most.  [default: 8000]"),
]
ReplayTarget = Annotated[
    list[int] | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Tokens that a cut comes down to.  [default: half the limit]",
    ),
]
Join = Annotated[
    list[int] | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Conversations in a row that make one long session.  [default: 1]",
    ),
]
Tools = Annotated[
    Path | None,
    typer.Option(help="JSON file with the tools of conversations that name none."),
]


def once(option: str, given: list[_Number] | None) -> _Number | None:
    """The value of an option that a run has once."""
    if given and len(given) > 1:
        values = ", ".join(f"{value:g}" for value in given)
        raise typer.BadParameter(
            f"given {len(given)} times ({values}): a run has one; for several, run once for each",
            param_hint=option,
        )
    return given[0] if given else None
