"""Evidence against cost: whole conversations, their questions asked along the way.

    python -m benchmarks.evidence_cost [--json] [--quick] [--data FOLDER] [--model NAME]

Long dialogues are held again as a chat, request by request, under a limit of 8,000 tokens; in
between, questions whose evidence is labelled are asked, once each. Measured are the share of that
evidence which stands in the request, as a message or a passage, and what the input of the whole
conversation costs, by a simulator of the provider's cache and its prices: contextkit with passages
by words, by words and vectors, with summaries, with neither, and sliding windows. Each request has
to begin with the one before, but where a cut was planned; the benchmark fails where one does not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import Any

import numpy as np

import contextkit as ck
from benchmarks.asked_along import Log, Places, log_of, share_of, texts_in
from benchmarks.evidence import Embed, embedder
from benchmarks.labelled import dialogues
from benchmarks.measuring import (
    FOLDER,
    WRITTEN,
    Outcome,
    below,
    command,
    data_folder,
    made,
    markdown,
)
from contextkit.analysis.policies import Made, Setting
from contextkit.analysis.replaying.baselines import Window
from contextkit.analysis.replaying.charged import Provider, Sums
from contextkit.analysis.replaying.settings import settings_of
from contextkit.caching.blocks import REPLY

SEED = 7
DRAWS = 2_000
LIMIT = 8_000
SAMPLE_LIMIT, SAMPLE_SHARES = 500, 0.15
"""The sample is short: nothing would be cut, and all would come back."""

PROFILES = (
    "qwen-plus:implicit",
    "qwen-plus:explicit",
    "gpt-5",
    "claude-sonnet-5",
    "deepseek-v4-flash",
)
PLACES: tuple[Places, ...] = ("along", "end")
PATIENCE = 3_600.0
"""Seconds for the vectors of a build: nothing is measured here that hangs on the machine."""


@dataclass(frozen=True)
class Way:
    """How requests are made.

    Attributes:
        name: in tables.
        share: tokens of passages; 0 for none.
        vectors: whether passages are found by vectors as well.
        summaries: tokens of a summary; 0 for none.
        target: as a part of the limit, and then cut when it pays; 0 for the defaults.
        at_limit: cut at the limit, whatever the target.
        left_out: passages stand only in the request that they were found for.
        window: tokens of a sliding window, as a part of the limit; 0 for none.
    """

    name: str
    share: int = 0
    vectors: bool = False
    summaries: int = 0
    target: float = 0.0
    at_limit: bool = False
    left_out: bool = False
    window: float = 0.0


@dataclass(frozen=True)
class Request:
    """A request as it is sent.

    Attributes:
        made: with its blocks.
        planned: whether history was cut for it.
        passages: whether any were inserted.
    """

    made: Made
    planned: bool = False
    passages: bool = False


def requests_of(
    way: Way, log: Log, setting: Setting, embed: Embed | None, shares: float = 1.0
) -> Iterator[Request]:
    """The requests of a conversation, one before each reply."""
    if way.window:
        most = int(way.window * setting.limit)
        for made_ in Window("messages", most).requests(log.transcript, setting):
            yield Request(made_, made_.cut)
        return
    share = int(way.share * shares)
    # Without its tail a builder has that much less, so that both cut at the same requests.
    kept_limit = setting.limit - (share if way.left_out else 0)
    kept = _builder(way, setting, kept_limit, [] if way.left_out else _tail(way, share, embed))
    shown = _builder(way, setting, setting.limit, _tail(way, share, embed))
    history = ck.History(scope=ck.Scope("benchmark", "reader", log.transcript.source))
    # Delimiters are made of it, and count: the same in every run.
    history.id = blake2b(log.transcript.source.encode(), digest_size=8).hexdigest()
    messages, times = log.transcript.messages, log.transcript.times
    taken = 0
    for point in log.points:
        for message, time in zip(messages[taken:point], times[taken:point], strict=True):
            history.append(message, time=time)
        asked = shown.preview(history) if way.left_out else None
        context = kept.build(history)
        sent = asked or context
        cut = any(edit.kind in ("drop", "summary") for edit in context.edits)
        inserted = any(edit.kind == "insert" for edit in sent.edits)
        taken = point
        yield Request(Made(sent.sent, sent.blocks, 0, cut), cut, inserted)


def _tail(way: Way, share: int, embed: Embed | None) -> list[Any]:
    if not share:
        return []
    index = ck.VectorIndex(embed) if way.vectors and embed is not None else None
    return [ck.Retrieve(index, share=share, seconds=PATIENCE)]


def _builder(way: Way, setting: Setting, limit: int, tail: list[Any]) -> ck.ContextBuilder:
    target = int(way.target * setting.limit) or None
    summary = min(way.summaries, setting.limit // 3)
    cache: Any = setting.cache or None
    return ck.ContextBuilder(
        setting.profile.name,
        profile=setting.profile,
        budget=ck.Budget(limit, target),
        schedule=ck.AtLimit() if way.at_limit else None,
        compaction=[ck.SummarizeOldest(share=summary)] if way.summaries else [],
        tail=tail,
        cache=cache,
        counter=setting.counter.counter,
    )


@dataclass
class Run:
    """What the conversations of a way cost and held.

    Attributes:
        sums: tokens and cost.
        evidence: the share in the request, of each question.
        begun: requests that begin with the one before, and all that have one before.
        planned: requests whose history was cut, of those that do not.
        inserted: requests with new passages.
    """

    sums: Sums
    evidence: list[float]
    begun: list[int]
    planned: int = 0
    inserted: int = 0

    @property
    def cost(self) -> float:
        """Of a request, in uncached input tokens."""
        return (self.sums.units or 0.0) / self.sums.requests

    @property
    def moved(self) -> int:
        """Requests that do not begin with the one before though no cut was planned."""
        return self.begun[1] - self.begun[0] - self.planned


def held(
    way: Way, logs: Sequence[Log], setting: Setting, embed: Embed | None, shares: float = 1.0
) -> Run:
    """Hold all conversations one way."""
    run = Run(Sums(), [], [0, 0])
    for log in logs:
        provider = Provider(setting)
        before: tuple[Any, ...] = ()
        requests = requests_of(way, log, setting, embed, shares)
        for point, moment, request in zip(log.points, log.moments, requests, strict=True):
            run.sums.add(provider.charge(request.made, moment, point=point), setting.limit)
            run.inserted += request.passages
            keys = tuple(block.key for block in request.made.blocks if block.role != REPLY)
            if before:
                begins = keys[: len(before)] == before
                run.begun[0] += begins
                run.begun[1] += 1
                run.planned += request.planned and not begins
            before = keys
            if evidence := log.evidence.get(point):
                run.evidence.append(share_of(evidence, texts_in(request.made.messages)))
    return run


def checked(way: Way, run: Run) -> Run:
    """The run, where each request begins with the one before, up to planned cuts."""
    if run.moved and not way.left_out:
        raise SystemExit(f"{way.name}: {run.moved} requests moved the prefix, no cut planned")
    return run


def figures(way: Way, run: Run) -> dict[str, Any]:
    """What a run gave; shares in per cent."""
    shares = np.array(run.evidence)
    draws = np.random.default_rng(SEED).integers(0, len(shares), (DRAWS, len(shares)))
    interval = np.percentile(shares[draws].mean(axis=1), [2.5, 97.5])
    requests = run.sums.requests
    return {
        "way": way.name,
        "requests": requests,
        "questions": len(shares),
        "evidence": _percent(shares.mean()),
        "interval": [_percent(one) for one in interval],
        "all": _percent((shares >= 1).mean()),
        "mean tokens": round(run.sums.tokens / requests),
        "largest": run.sums.peak,
        "over": run.sums.over,
        "read": _percent(run.sums.read / run.sums.tokens),
        "cost": round(run.cost, 1),
        "begin with the one before": _percent(run.begun[0] / run.begun[1]),
        "planned cuts": run.planned,
        "moved without a cut": run.moved,
        "with passages": run.inserted,
    }


def _percent(share: Any) -> float:
    return round(100 * float(share), 1)


WINDOW = Way("sliding window", window=1.0)
WAYS = (
    Way("oldest turns dropped"),
    Way("summaries", summaries=512),
    Way("passages, no model", share=1_000),
    Way("passages, MiniLM", share=1_000, vectors=True),
    Way("passages, no model, left out of later requests", share=1_000, left_out=True),
    Way("passages, MiniLM, left out of later requests", 1_000, vectors=True, left_out=True),
)
MORE = (
    *(Way(f"share {share:,}", share=share) for share in (250, 500, 1_000, 2_000)),
    *(
        Way(f"target {target:.0%} of the limit, {schedule}", 1_000, target=target, at_limit=at)
        for target in (0.25, 0.4)
        for schedule, at in (("at the limit", True), ("when it pays", False))
    ),
    Way("summaries beside passages", share=1_000, summaries=512),
)
"""What the passages cost and find without a model, with one setting changed."""


def measure(given: argparse.Namespace) -> Outcome:
    """All figures, as JSON data."""
    folder = None if given.quick else data_folder(given.data)
    limit, shares = (LIMIT, 1.0) if folder else (SAMPLE_LIMIT, SAMPLE_SHARES)
    every = dialogues(folder)
    embed = embedder(given.model)
    logs: dict[Places, list[Log]] = {
        places: [log_of(one, SEED, places) for one in every] for places in PLACES
    }
    ways = [way for way in WAYS if embed is not None or not way.vectors]
    rows: list[dict[str, Any]] = []
    for profile in PROFILES[:1] if given.quick else PROFILES:
        [named] = settings_of([profile], limit, None)
        hold = partial(held, logs=logs["along"], embed=embed, shares=shares)
        cheapest = min(_for_windows(profile, limit), key=lambda one: hold(WINDOW, setting=one).cost)
        found = [(WINDOW, hold(WINDOW, setting=cheapest))]
        for way in ways:
            run = checked(way, hold(way, setting=named.setting))
            if run.moved and not way.left_out:
                raise SystemExit(
                    f"{way.name}: {run.moved} requests moved the prefix, without a cut"
                )
            found += [(way, run)]
            if way.share and not way.left_out:
                found += [_same_cost(way, run.cost, partial(hold, setting=cheapest))]
        tried = [_named(profile, figures(way, run), found[0][1]) for way, run in found]
        if profile == PROFILES[0]:
            behind = partial(held, logs=logs["end"], embed=embed, shares=shares)
            for row, (way, _) in zip(tried, found, strict=True):
                setting = cheapest if way.window else named.setting
                row["at the end"] = figures(way, behind(way, setting=setting))
        rows += tried
    more = []
    if not given.quick:
        [named] = settings_of(PROFILES[:1], limit, None)
        for way in MORE:
            run = checked(way, held(way, logs["along"], named.setting, embed, shares))
            more.append(figures(way, run))
    return {
        "benchmark": "evidence_cost",
        "made": made(
            SEED,
            "numpy",
            "tiktoken",
            "snowballstemmer",
            quick=given.quick,
            model="none" if embed is None else ck.LocalEmbedder.name,
            data=FOLDER if folder else WRITTEN,
        ),
        "unit": "cost of a request in uncached input tokens",
        "limit": limit,
        "share": int(1_000 * shares),
        "dialogues": len(every),
        "rows": rows,
        "more": more,
    }


def _for_windows(profile: str, limit: int) -> list[Setting]:
    """The caches of a model that a window may ask for, or none: it takes the cheapest."""
    model = profile.partition(":")[0]
    modes = [rules.mode for rules in ck.profile_for(model).caches]
    named = [settings_of([f"{model}:{mode}"], limit, None)[0] for mode in (*modes, "none")]
    return [one.setting for one in named]


def _same_cost(way: Way, cost: float, hold: Callable[[Way], Run]) -> tuple[Way, Run]:
    """The longest window that costs no more than a way."""
    low, high = 0.0, 1.0
    for _ in range(7):
        middle = (low + high) / 2
        low, high = (middle, high) if hold(Way("", window=middle)).cost <= cost else (low, middle)
    same = Way(f"sliding window at the cost of {way.name}", window=low or high)
    return same, hold(same)


def _named(profile: str, row: dict[str, Any], window: Run) -> dict[str, Any]:
    evidence = 100 * float(np.mean(window.evidence))
    return {
        "profile": profile,
        **row,
        "evidence ratio": round(row["evidence"] / evidence, 2) if evidence else None,
        "cost ratio": round(row["cost"] / window.cost, 2),
    }


def table(result: Outcome) -> str:
    """All figures as Markdown tables."""
    lines = [short(result), "", by_profile(result)]
    if result["more"]:
        lines += ["", others(result)]
    return "\n".join(lines)


def short(result: Outcome) -> str:
    """The first provider."""
    first = [row for row in result["rows"] if "at the end" in row]
    heads = [
        f"limit {result['limit']:,}, {first[0]['profile']}",
        "evidence shown, asked along the way",
        "all of it",
        "asked at the end",
        "mean tokens",
        "read from the cache",
        "cost of a request",
        "by the window's",
        "begin with the one before",
    ]
    rows = [
        [
            row["way"],
            f"**{row['evidence']} %** ({row['interval'][0]} to {row['interval'][1]})",
            f"{row['all']} %",
            f"{row['at the end']['evidence']} %",
            f"{row['mean tokens']:,}",
            f"{row['read']} %",
            f"{row['cost']:,.0f}",
            f"{row['cost ratio']:.2f}",
            f"{row['begin with the one before']} %; cuts {row['planned cuts']:,}",
        ]
        for row in first
    ]
    return "\n".join([markdown(heads, rows), "", f"{_said(result)} {below(result)}"])


def others(result: Outcome) -> str:
    """Other settings."""
    heads = ["passages, no model, one setting changed", "evidence", "mean tokens", "cost", "cuts"]
    rows = [
        [
            row["way"],
            f"{row['evidence']} %",
            f"{row['mean tokens']:,}",
            f"{row['cost']:,.0f}",
            f"{row['planned cuts']:,}",
        ]
        for row in result["more"]
    ]
    return markdown(heads, rows)


def _said(result: Outcome) -> str:
    row = result["rows"][0]
    return (
        f"Dialogues: {result['dialogues']}; requests: {row['requests']:,}; questions: "
        f"{row['questions']:,}; passages take {result['share']:,} tokens at most. In brackets 95 % "
        "by bootstrap over questions. Cost of a request in uncached input tokens; that of a window "
        "with the cache of the model that is cheapest for it."
    )


def by_profile(result: Outcome) -> str:
    """Evidence and cost by those of the window, for each provider."""
    profiles = list(dict.fromkeys(row["profile"] for row in result["rows"]))
    kinds = dict.fromkeys(row["way"] for row in result["rows"])
    rows = []
    for way in kinds:
        cells = [way]
        for profile in profiles:
            found = (r for r in result["rows"] if r["profile"] == profile and r["way"] == way)
            row = next(found, None)
            cells.append(
                f"{row['evidence']} %, {row['cost']:,.0f} ({row['cost ratio']:.2f})" if row else "-"
            )
        rows.append(cells)
    return markdown(["evidence, cost (by the window's)", *profiles], rows)


def main() -> int:
    """Measure and print."""

    def options(parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--model",
            choices=("auto", "local", "none"),
            default="auto",
            help="auto: the local model where it is installed",
        )

    return command(
        __doc__, measure, table, data=True, quick="a written sample, one provider", options=options
    )


if __name__ == "__main__":
    sys.exit(main())
