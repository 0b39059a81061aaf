"""The result of a replay: table, plots and notes, of what its conversations were charged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from contextkit.analysis.replaying.charged import TOOK, Sums
from contextkit.analysis.replaying.growing import Taken
from contextkit.analysis.replaying.settings import Named
from contextkit.analysis.results import (
    Column,
    Frontier,
    Plot,
    Point,
    Result,
    Split,
    Table,
    versions_of,
)

if TYPE_CHECKING:
    from contextkit.analysis.replay import Run

NEAR, MORE = 1.05, 0.01
"""What keeps more is named beside the cheapest where it costs at most so much more, and keeps at
least so much more of the messages."""

COLUMNS = (
    Column("policy", "policy"),
    Column("profile", "profile", meaning="The model, and the kind of its prompt cache."),
    Column(
        "cost", "cost", "money", "Of the input of all requests, and of the calls to a summarizer."
    ),
    Column("currency", "currency", meaning="Of the cost; empty where prices are not known."),
    Column(
        "units",
        "price units",
        "units",
        "The same; 1 is the price of an uncached input token of the lowest tier.",
        puzzling=True,
    ),
    Column("per_request", "per request", "units", "Price units by requests."),
    Column(
        "relative",
        "of dearest",
        "ratio",
        "Cost by that of the profile's dearest policy.",
        puzzling=True,
    ),
    Column("hit_ratio", "hit ratio", "share", "Tokens read from the cache by tokens sent."),
    Column(
        "written",
        "written",
        "count",
        "Tokens written to the cache at a price of their own; 0 where writing is not charged.",
        "tokens",
        quiet=True,
    ),
    Column("mean_tokens", "mean tokens", "number", "Of a request.", "tokens"),
    Column("peak_tokens", "peak tokens", "count", "Of the longest request.", "tokens"),
    Column(
        "cuts",
        "cuts",
        "count",
        "Requests whose history was cut, or changed where it had been sent before.",
    ),
    Column(
        "kept",
        "kept",
        "share",
        "Messages of the conversation so far that a request shows as they were; mean of requests.",
        puzzling=True,
    ),
    Column(
        "optimum_ratio",
        "by optimum",
        "ratio",
        "Cost by the least that any choice of times for dropping the oldest turns to the target "
        "can cost, under the same limit; of the conversations for which that is known, to within "
        "0.1 %.",
        puzzling=True,
    ),
    Column("requests", "requests", "count", "One before each assistant message."),
    Column(
        "over_limit", "over limit", "count", "Requests of more tokens than the limit.", quiet=True
    ),
    Column(
        "calls",
        "summaries",
        "count",
        "Calls to a summarizer that asks a model, or stands for one.",
        quiet=True,
        puzzling=True,
    ),
    Column(
        "fee",
        "their cost",
        "units",
        "Price units of these calls, replies included; a part of the cost.",
        puzzling=True,
    ),
)


def result_of(run: Run, join: int) -> Result:
    """What a replay found."""
    rows = [row for at, named in enumerate(run.settings) for row in _rows(run, at, named)]
    settings = run.settings[0].setting
    table = Table(
        "policies",
        "Policies side by side",
        COLUMNS,
        tuple(rows),
        "By profile, the cheapest first.",
    )
    return Result(
        command="replay",
        title=f"Replay of {_count(len(run.sources), 'conversation')}",
        settings={
            "policies": [policy.name for policy in run.policies],
            "profiles": [named.name for named in run.settings],
            "limit": settings.limit,
            "target": settings.target,
            "gap": run.gap,
            "join": join,
        },
        tables=(table,),
        plots=_plots(run, rows),
        notes=tuple(_notes(run, join)),
        problems=tuple(run.problems),
        details={"conversations": _details(run)},
        versions=versions_of("tiktoken", "numpy"),
        finding=_finding(rows),
    )


def _rows(run: Run, at: int, named: Named) -> list[dict[str, Any]]:
    """The rows of a profile, the cheapest first."""
    sums = [_total(run.held[number, at]) for number in range(len(run.policies))]
    dearest = max((one.units for one in sums if one.units is not None), default=0.0)
    sure = [
        place for place, units in enumerate(least[at] for least in run.least) if units is not None
    ]
    optimum = sum(run.least[place][at] or 0.0 for place in sure)
    prices = named.setting.profile.prices
    rows = []
    for number, (policy, one) in enumerate(zip(run.policies, sums, strict=True)):
        units = one.units
        there = [run.held[number, at][place].units for place in sure]
        compared = (
            None if None in there or not optimum else sum(units or 0.0 for units in there) / optimum
        )
        priced = one.money is not None and units is not None and bool(prices)
        rows.append(
            {
                "policy": policy.name,
                "profile": named.name,
                "cost": one.money if priced else None,
                "currency": prices[0].currency if priced else "",
                "units": units,
                "per_request": None if units is None else units / one.requests,
                "relative": None if units is None or not dearest else units / dearest,
                "hit_ratio": one.read / one.tokens if one.tokens else None,
                "written": one.written,
                "mean_tokens": one.tokens / one.requests,
                "peak_tokens": one.peak,
                "cuts": one.cuts,
                "kept": one.shares / one.requests,
                "optimum_ratio": compared,
                "requests": one.requests,
                "over_limit": one.over,
                "calls": one.calls,
                "fee": one.fee if one.calls else None,
            }
        )
    return sorted(rows, key=lambda row: (row["units"] is None, row["units"] or 0.0))


def _finding(rows: list[dict[str, Any]]) -> str:
    """What to take home: for each profile the cheapest policy, by the dearest; then the profile."""
    said, cheapest = [], []
    for profile in dict.fromkeys(row["profile"] for row in rows):
        priced = [row for row in rows if row["profile"] == profile and row["relative"] is not None]
        cheapest += [row for row in priced[:1] if row["cost"]]
        if len(priced) > 1:
            best, worst = priced[0], priced[-1]
            if best["relative"] > 0.995:
                said.append(f"With {profile}, all policies cost the same, to within 1 %.")
                continue
            over = (
                f" Of its {best['requests']:,} requests {best['over_limit']:,} are over the limit."
                if best["over_limit"]
                else ""
            )
            said.append(
                f"With {profile}, the policy {best['policy']} costs "
                f"{100 * best['relative']:.0f} % of what {worst['policy']} costs, and keeps "
                f"{100 * best['kept']:.0f} % of the messages to its {100 * worst['kept']:.0f} %."
                f"{over}"
            )
            if _summarizes(worst["policy"]) and not _summarizes(best["policy"]):
                said[-1] += " Messages are not facts: what summaries keep of these, exam measures."
            near = [row for row in priced if row["relative"] <= NEAR * best["relative"]]
            most = max(near, key=lambda row: row["kept"])
            if most["kept"] >= best["kept"] + MORE:
                dearer = 100 * (most["relative"] / best["relative"] - 1)
                said[-1] += (
                    f" For {dearer:.1f} % more, {most['policy']} keeps {100 * most['kept']:.0f} %."
                )
    if len(cheapest) > 1 and len({row["currency"] for row in cheapest}) == 1:
        best, *_, worst = sorted(cheapest, key=lambda row: row["cost"])
        said.append(
            f"The cheapest of all is {best['policy']} with {best['profile']}: "
            f"{100 * best['cost'] / worst['cost']:.0f} % of the cheapest with {worst['profile']}."
        )
    return "\n".join(said)


def _summarizes(name: str) -> bool:
    return "summarize" in name.lower()


def _total(held: list[Sums]) -> Sums:
    total = Sums()
    for one in held:
        total += one
    return total


def _plots(run: Run, rows: list[dict[str, Any]]) -> tuple[Plot, ...]:
    panels: dict[str, list[Point]] = {}
    for row in rows:
        if row["per_request"] is not None:
            point = Point(row["policy"], 100 * row["kept"], row["per_request"])
            panels.setdefault(row["profile"], []).append(point)
    plots: list[Plot] = []
    if panels:
        plots.append(
            Frontier(
                "frontier",
                "What is kept, and at what cost",
                "messages kept, mean (%)",
                "cost per request (price units)",
                panels,
                x_better="more",
                y_better="less",
            )
        )
    _, _, splits = run.longest
    first = run.settings[0]
    limit = first.setting.limit
    # Beside requests far over the limit nothing would be seen of the others.
    near = {name: split for name, split in splits.items() if max(map(sum, split)) <= 2 * limit}
    left_out = [name for name in splits if near and name not in near]
    but = f"; far over the limit, and not shown: {', '.join(left_out)}" if left_out else ""
    plots.append(
        Split(
            "requests",
            f"Tokens of each request of the longest conversation, {first.name}{but}",
            "request",
            {
                name: dict(zip(("cached", "written", "new"), zip(*split, strict=True), strict=True))
                for name, split in (near or splits).items()
            },
            limit,
        )
    )
    return tuple(plots)


def _notes(run: Run, join: int) -> list[str]:
    count = len(run.sources)
    notes = ["Each conversation is held by itself, from an empty cache; hits are taken as sure."]
    notes += _of_one_conversation(run.taken)
    if join > 1:
        notes.append(f"Joined into long sessions: {join} conversations in a row make one.")
    if untimed := count - run.timed:
        whose = "requests" if untimed == count else f"requests of {untimed:,} without times"
        notes.append(
            f"Between {whose} lie {run.gap:g} s, of which a response takes {min(TOOK, run.gap):g}."
        )
    if run.timed:
        notes.append(f"{_count(run.timed, 'conversation')} with times: requests are sent at these.")
    notes.append("Replies are the same under each policy, and not in the cost.")
    notes.append(
        "Cuts come down to the target, or to half of what tools and system prompt leave of the "
        "limit, where that is less."
    )
    for at, named in enumerate(run.settings):
        setting = named.setting
        error = (
            f", off by up to {100 * setting.counter.error:.0f} %" if setting.counter.error else ""
        )
        vacuous = sum(not active[at] for active in run.active)
        said = (
            f"{named.name}: limit {setting.limit:,}, target {setting.target:,}; counted by "
            f"{setting.counter.counter.name}{error}"
        )
        if vacuous:
            said += (
                f"; {vacuous:,} of {_count(count, 'conversation')} "
                f"never {'outgrows' if vacuous == 1 else 'outgrow'} the target: there all policies "
                "that cut come to the same"
            )
        missing = sum(least[at] is None for least in run.least)
        if missing:
            said += f"; the optimum is known for {count - missing:,} of {count:,}"
        notes.append(said + ".")
        notes += _without_points(run, at, named)
        notes += _without_prices(run, named)
        prices = setting.profile.prices
        if prices and prices[0].note:
            notes.append(f"{named.name}: prices {prices[0].note}.")
    if any(one.calls for held in run.held.values() for one in held):
        notes.append(
            "Summaries by name are the extractive summarizer's; the calls of a model in its place "
            "are in the cost, replies included."
        )
    if any(map(_summarizes, (policy.name for policy in run.policies))):
        notes.append(
            "'kept' counts a message whose place a summary took as lost: what summaries keep of "
            "what the messages say, `contextkit exam` measures."
        )
    return notes


def _of_one_conversation(taken: Taken) -> list[str]:
    """What was found of transcripts that are the beginning of another one, or the same."""
    notes = []
    if taken.beginnings:
        notes.append(
            f"{_count(taken.beginnings, 'transcript')} left out: each is the beginning of a longer "
            "one, as the earlier requests of a conversation are; the longest is held."
        )
    if taken.same:
        notes.append(
            f"{_count(taken.same, 'conversation')} held though the same as another one, message "
            "for message: see that no file was read twice."
        )
    return notes


def _without_points(run: Run, at: int, named: Named) -> list[str]:
    """Policies whose requests have no cache points, though this cache works by nothing else."""
    rules = named.setting.rules
    if rules is None or not rules.points or rules.automatic:
        return []
    sums = {policy.name: _total(run.held[n, at]) for n, policy in enumerate(run.policies)}
    return [
        f"{named.name}: {name} reads and writes nothing: its requests have no cache points."
        for name, one in sums.items()
        if not one.read and not one.written and one.peak >= rules.minimum
    ]


def _without_prices(run: Run, named: Named) -> list[str]:
    """That nobody can tell what pays, where a policy asks for that."""
    rules = named.setting.rules
    asked = any(policy.name.endswith("@when-it-pays") for policy in run.policies)
    if not asked or (rules is not None and None not in (rules.read, rules.write)):
        return []
    why = "there is no cache" if rules is None else "the prices of its cache are not known"
    return [f"{named.name}: {why}, so that when-it-pays cuts at the limit alone."]


def _details(run: Run) -> list[dict[str, Any]]:
    """Figures of each conversation, under each profile and policy."""
    return [
        {
            "source": source,
            "profiles": {
                named.name: {
                    "optimum": run.least[place][at],
                    "policies": {
                        policy.name: _figures(run.held[number, at][place])
                        for number, policy in enumerate(run.policies)
                    },
                }
                for at, named in enumerate(run.settings)
            },
        }
        for place, source in enumerate(run.sources)
    ]


def _figures(one: Sums) -> dict[str, Any]:
    return {
        "requests": one.requests,
        "units": one.units,
        "money": one.money,
        "tokens": one.tokens,
        "read": one.read,
        "written": one.written,
        "peak": one.peak,
        "cuts": one.cuts,
        "kept": one.shares / one.requests,
        "over_limit": one.over,
        "calls": one.calls,
        "fee": one.fee,
    }


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
