"""`contextkit probe`: asks a provider what its prompt cache does, and prints it for a profile."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from contextkit.analysis.probes.findings import Finding, Findings, shown
from contextkit.analysis.probes.probing import Probing
from contextkit.cli import FAILED, require, say
from contextkit.cli.consent import consent, other_api
from contextkit.cli.endpoints import Endpoint, endpoint_for, json_options
from contextkit.errors import ContextKitError
from contextkit.providers.local import LocalServer

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the command, as they were given."""

    model: str | None
    base_url: str | None
    mode: str
    budget: int | None
    ttl: float | None
    settle: float | None
    options: str | None
    yes: bool
    port: int
    threads: int
    as_json: bool


def run(settings: Settings) -> int:
    """Probe, print what was found, and give the exit code; whatever ends it, what is known is told.

    Raises:
        ContextKitError: when it cannot begin.
    """
    require("rich", "the table of what was found")
    from httpx2 import HTTPError
    from openai import OpenAIError
    from rich.console import Console

    endpoint = endpoint_for(settings.model, settings.base_url, os.environ)
    options = json_options(settings.options)
    console = Console(stderr=settings.as_json, highlight=False)
    stopped: BaseException | None = None
    with ExitStack() as stack:
        if endpoint.embedded:
            server = LocalServer(port=settings.port, threads=settings.threads)
            client = stack.enter_context(stack.enter_context(server).client())
        else:
            client = stack.enter_context(endpoint.client())
        settle = settings.settle
        if settle is None:
            settle = 0.0 if endpoint.embedded else 1.0
        probing = Probing(
            client,
            endpoint.model,
            mode=settings.mode,
            budget=settings.budget,
            ttl=settings.ttl,
            options=options,
            settle=settle,
        )
        if note := other_api(probing.findings.rules) or _unknown(probing):
            say(note)
        if not (settings.yes or endpoint.embedded or _agreed(probing, endpoint, settings)):
            say("nothing was sent")
            return FAILED
        try:
            for finding in probing.run():
                console.print(_line(finding), soft_wrap=True, markup=False)
        except (ContextKitError, HTTPError, OpenAIError, KeyboardInterrupt) as error:
            stopped = error
    findings = probing.findings
    if settings.as_json:
        json.dump(findings.to_json(), sys.stdout, indent=1)
        sys.stdout.write("\n")
    elif findings.found:
        _show(console, findings)
    if stopped is not None:
        return endpoint.ended(stopped)
    if findings.stopped:
        say(f"ended before all was found out: {findings.stopped}")
        return FAILED
    return 0


def _unknown(probing: Probing) -> str:
    """What is to be said where nobody knows of a cache; else empty."""
    found = probing.findings
    if found.rules is not None:
        return ""
    price = probing.profile.price(1) if probing.profile else None
    cost = f", at {price.input:g} {price.currency} a million tokens of input" if price else ""
    return (
        f"no {found.mode} cache is known for {found.model}{cost}: it may be that there is none, "
        "which shows after about 35,000 tokens"
    )


def _agreed(probing: Probing, endpoint: Endpoint, settings: Settings) -> bool:
    # Some waves of prefixes, each as long as its longest wait.
    waits = f", and wait about {settings.ttl / 20:,.0f} minutes" if settings.ttl else ""
    expected = min(probing.expected, probing.budget)
    price = probing.profile.price(1) if probing.profile else None
    money = None if price is None else (expected * price.input / 1e6, price.currency)
    return consent(endpoint.model, expected, most=probing.budget, money=money, more=waits)


def _line(finding: Finding) -> str:
    against = {None: "", True: ", as the profile says", False: f", not {shown(finding.known)}"}
    return f"{finding.field}: {shown(finding.value)}{against[finding.agrees]} ({finding.seen})"


def _show(console: Console, findings: Findings) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{findings.model}, {findings.mode} cache", title_justify="left")
    for name in ("", "found", "profile", "sure"):
        table.add_column(name)
    for field, found, known, sure, _ in findings.rows():
        table.add_row(field, found, known, sure)
    console.print()
    console.print(table)
    told = f"{findings.requests:,} requests, {findings.tokens:,} tokens"
    console.print(Text(f"{told}. For a file that load_profiles reads:\n"), soft_wrap=True)
    console.print(Text(findings.toml()), soft_wrap=True)
