"""`contextkit bench`: a scripted conversation with a real endpoint, forecast against reported."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contextkit.budget import Budget
from contextkit.builder import ContextBuilder
from contextkit.chat import Chat
from contextkit.cli import FAILED, require, say
from contextkit.cli.consent import consent, other_api
from contextkit.cli.converse import converse, long_script, rehearse, sums
from contextkit.cli.endpoints import Endpoint, endpoint_for, json_options
from contextkit.cli.measured import DEFINITIONS, Run, predictions, totals
from contextkit.cli.result import series, versions
from contextkit.errors import ContextKitError, InputError
from contextkit.profiles import CacheRules
from contextkit.providers.local import LocalServer
from contextkit.scope import Scope
from contextkit.strategies.base import describe
from contextkit.strategies.truncation import DropOldest

if TYPE_CHECKING:
    from rich.console import Console

_DEFINITIONS = {
    "predicted": "by contextkit before the request was sent",
    "hit_ratio": "cached tokens / prompt tokens, sum over sum",
    "cost": "of the input: 1 is the price of an uncached input token of the lowest tier",
    "cost_share": "cost / prompt tokens: 1 is what it would cost without a cache",
    "money": "input and output as reported, at the prices of the profile",
    **{name: DEFINITIONS[name] for name in ("first_token_seconds", "seconds")},
}


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command, as they were given."""

    model: str | None
    base_url: str | None
    mode: str
    turns: int | None
    limit: int | None
    target: int | None
    budget: int | None
    max_tokens: int | None
    options: str | None
    png: Path | None
    yes: bool
    port: int
    threads: int
    as_json: bool


def run(settings: Settings) -> int:
    """Hold the conversation and give the exit code; whatever ends it, what was measured is shown.

    Raises:
        ContextKitError: when it cannot begin.
    """
    require("rich", "the table of requests")
    if settings.png is not None:
        require("matplotlib", "the plot")
        if not settings.png.parent.is_dir():
            raise InputError(f"there is no folder {settings.png.parent}", place="--png")
    from rich.console import Console

    endpoint = endpoint_for(settings.model, settings.base_url, os.environ)
    bench = _Bench.of(settings, endpoint)
    console = Console(stderr=settings.as_json, highlight=False)
    for note in (*bench.builder.notes, other_api(bench.rules)):
        if note:
            console.print(note, soft_wrap=True, markup=False)
    if not (settings.yes or endpoint.embedded or bench.agreed()):
        say("nothing was sent")
        return FAILED
    stopped = bench.hold(console)
    plotted = bool(settings.png and bench.run.requests and stopped is None)
    if plotted and settings.png is not None:
        stopped = bench.plot(settings.png)
    result = bench.result(settings.png if plotted and stopped is None else None)
    if settings.as_json:
        json.dump(result, sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif bench.run.requests:
        _show(console, result)
    if stopped is not None:
        return endpoint.ended(stopped)
    unreported = [one for one in bench.run.requests if one.cause == "not reported"]
    if unreported:
        say(f"the provider reported no cached tokens for {len(unreported)} requests")
        return FAILED
    return 0


class _Bench:
    """One run: what it is made of, and what it measured."""

    def __init__(
        self,
        settings: Settings,
        endpoint: Endpoint,
        builder: ContextBuilder,
        options: Mapping[str, Any],
        reply: int,
    ) -> None:
        self.settings, self.endpoint = settings, endpoint
        self.builder, self.options, self.reply = builder, options, reply
        self.rules: CacheRules | None = (
            builder.profile.cache(settings.mode) if builder.profile.caches else None
        )
        self.system, texts = long_script(builder, self.rules)
        turns = settings.turns or (5 if endpoint.embedded else 10)
        if turns > len(texts):
            raise InputError(f"{turns:,}, but the script has {len(texts)}", place="--turns")
        self.texts = texts[:turns]
        self.expected, self.cost = rehearse(
            _builder(settings, endpoint, reply),
            self.system,
            self.texts,
            rules=self.rules,
            reply=reply,
        )
        self.budget = settings.budget or round(1.5 * self.expected)
        self.run = Run(f"{endpoint.model}, {settings.mode} cache", turns)

    @classmethod
    def of(cls, settings: Settings, endpoint: Endpoint) -> _Bench:
        """From the options of the command."""
        reply = settings.max_tokens or (24 if endpoint.embedded else 200)
        builder = _builder(settings, endpoint, reply)
        openai = builder.profile.provider == "openai"
        options = {"max_completion_tokens" if openai else "max_tokens": reply}
        if endpoint.embedded:
            options |= {"temperature": 0, "seed": 1}
        return cls(settings, endpoint, builder, options | json_options(settings.options), reply)

    def agreed(self) -> bool:
        """Whether the user wants it at that price."""
        money = None
        if self.cost is not None and self.cost.money is not None:
            money = (self.cost.money, self.cost.currency)
        return consent(self.endpoint.model, self.expected, most=self.budget, money=money)

    def hold(self, console: Console) -> BaseException | None:
        """Hold the conversation, shown as it goes; what ended it before its end."""
        from httpx2 import HTTPError
        from openai import OpenAIError

        from contextkit.cli.table import LiveTable

        title = f"{self.run.name}: {self.run.planned} turns, {self.budget:,} tokens at most"
        with ExitStack() as stack:
            if self.endpoint.embedded:
                console.print("Starting the model server on this machine ...", style="dim")
                server = LocalServer(port=self.settings.port, threads=self.settings.threads)
                client = stack.enter_context(stack.enter_context(server).client())
            else:
                client = stack.enter_context(self.endpoint.client())
            chat = Chat(client, builder=self.builder, system=self.system, options=self.options)
            stack.enter_context(chat)
            talk = chat.conversation(Scope("contextkit", "bench", "1"))
            try:
                with LiveTable(console, self.run, title) as table:
                    for one in converse(
                        talk,
                        self.texts,
                        builder=chat.builder,
                        rules=self.rules,
                        reply=self.reply,
                        budget=self.budget,
                    ):
                        self.run.requests.append(one)
                        table.add(one)
            except (ContextKitError, HTTPError, OpenAIError, KeyboardInterrupt) as error:
                return error
        return None

    def plot(self, png: Path) -> OSError | None:
        """Write the plot; what went wrong, if anything did."""
        from contextkit.analysis.plots import plot_runs

        try:
            plot_runs(series([self.run]), png, title=self.run.name, limit=self.builder.budget.limit)
        except OSError as error:
            return error
        return None

    def result(self, png: Path | None) -> dict[str, Any]:
        """Everything that was measured, and with what."""
        figures, times = sums(self.run), totals(self.run.requests)
        figures |= {key: times[key] for key in ("output_tokens", "cuts", "seconds")} | {
            key: times[key] for key in times if key.startswith("first_token_seconds_m")
        }
        return {
            "command": "bench",
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "complete": len(self.run.requests) == self.run.planned,
            "versions": versions(),
            "settings": {
                "model": self.endpoint.model,
                "cache": self.settings.mode,
                "rules": self.rules.name if self.rules else None,
                "turns": self.run.planned,
                "limit": self.builder.budget.limit,
                "target": self.builder.budget.target,
                "max_tokens": self.reply,
                "budget": self.budget,
                "schedule": describe(self.builder.schedule),
                "counter": self.builder.counter.name,
            },
            "requests": [asdict(one) for one in self.run.requests],
            "predictions": predictions([self.run]),
            "totals": figures,
            "definitions": _DEFINITIONS,
            "png": None if png is None else str(png),
        }


def _builder(settings: Settings, endpoint: Endpoint, reply: int) -> ContextBuilder:
    more: dict[str, Any] = {}
    if settings.mode != "implicit":
        more["cache"] = settings.mode
    if settings.limit is not None:
        more["budget"] = Budget(settings.limit, settings.target, reserve=reply)
    elif settings.target is not None:
        raise InputError("goes with --limit", place="--target")
    return ContextBuilder(endpoint.model, compaction=[DropOldest()], **more)


_ROWS = (
    ("prompt tokens", "prompt_tokens", "{:,.0f}"),
    ("cached tokens", "cached_tokens", "{:,.0f}"),
    ("written tokens", "written_tokens", "{:,.0f}"),
    ("hit ratio", "hit_ratio", "{:.1%}"),
    ("cost of the input, in uncached tokens", "cost", "{:,.0f}"),
)


def _show(console: Console, result: Mapping[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    figures = result["totals"]
    table = Table(title="Totals", title_justify="left")
    table.add_column("")
    for name in ("predicted", "reported"):
        table.add_column(name, justify="right")
    for words, key, form in _ROWS:
        values = (figures[f"predicted_{key}"], figures[key])
        if values != (None, None):
            cells = ("-" if value is None else form.format(value) for value in values)
            table.add_row(words, *cells)
    console.print()
    console.print(table)

    def line(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    if figures["cost_share"] is not None:
        line(f"The input cost {figures['cost_share']:.1%} of what it would cost without a cache.")
    if figures["money"] is not None:
        line(f"Input and output together: {figures['money']:,.6f} {figures['currency']}.")
    median, most = (figures[f"first_token_seconds_{which}"] for which in ("median", "max"))
    line(
        f"First token after {median:.2f} s (median), {most:.2f} s (maximum); "
        f"{figures['seconds']:.1f} s in all."
    )
    found = result["predictions"]
    line(
        f"Predicted = reported: prompt tokens in {found['prompt_equal']} of {found['requests']} "
        f"requests, cached tokens in {found['cached_equal']}."
    )
    for one in found["exceptions"]:
        line(f"  turn {one['turn']}: {one['cause']}", "yellow")
    if result["png"] is not None:
        line(f"Plot: {result['png']}")
