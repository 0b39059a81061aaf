"""Tables of an audit: the changes that would save most, in order; totals; planned cuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from contextkit.analysis.auditing.kinds import ADVICE, NEEDS_SEVERAL, PLANNED, ROUTING
from contextkit.analysis.auditing.other_cache import Saving
from contextkit.analysis.auditing.tally import Group, OfModel, Sum, Tally
from contextkit.analysis.results import Column, Result, Split, Table

_SHOWN_NAMES = 5
_UNIT = "1 is the price of an uncached input token of the lowest tier"


def result_of(
    tally: Tally, conversations: int, unknown: tuple[str, ...], savings: Sequence[Saving]
) -> Result:
    """The result of an audit."""
    shown = _shown(tally)
    whole = _all(tally)
    currency = _currency(whole.cost)
    tables = [
        _changes(shown, whole, currency),
        _totals(tally, whole, currency, conversations),
    ]
    if tally.planned:
        tables.append(_planned(tally, currency))
    if shown:
        tables.append(_conversations(tally, list(shown), currency))
    return Result(
        "audit",
        f"Audit of {tally.requests:,} recorded requests",
        {},
        tuple(tables),
        _plots(tally),
        (*map(_of_other_cache, savings), *_notes(tally, whole, unknown)),
        tuple(tally.problems),
        {"other_caches": [asdict(one) for one in savings]},
        finding=_finding(tables[0], _total("all", whole, currency), currency, savings),
    )


def _changes(shown: dict[str, Group], whole: OfModel, currency: str) -> Table:
    groups = sorted(shown.items(), key=lambda pair: _weight(pair[1].sum, currency), reverse=True)
    numbers = {kind: number for number, (kind, _) in enumerate(groups, 1)}
    rows = []
    for kind, group in groups:
        first = sorted(numbers[one] for one in group.also if one in numbers)
        rows.append(
            {
                "number": numbers[kind],
                "change": _change(kind, group),
                "cause": group.first.words,
                "where": _where(group),
                "requests": group.sum.requests,
                "conversations": len(group.lines),
                "tokens": group.sum.tokens,
                "units": _units(group.sum),
                "money": _money(group.sum, currency),
                "share": _part(group.sum, whole.cost, currency),
                "after": ", ".join(map(str, first)),
                "example": f"{group.first.before} → {group.first.now}",
                "kind": kind,
            }
        )
    columns = (
        Column("number", "#", "count", "rank: what would save most is 1"),
        Column("change", "change", "text", "what to do"),
        Column(
            "share",
            "saves",
            "share",
            "of what the input cost that this change would save",
            puzzling=True,
        ),
        Column("money", "lost", "money", "what the miss cost more than a read", unit=currency),
        Column(
            "units",
            "price units lost",
            "units",
            f"the same; {_UNIT}",
            puzzling=True,
            unless="money",
        ),
        Column("tokens", "tokens missed", "count", "sent before and not read", unit="tokens"),
        Column("requests", "requests", "count", "that missed them"),
        Column("conversations", "conversations", "count", "that those belong to"),
        Column("where", "where", "text", "the place in the request"),
        Column("cause", "cause", "text", "as ck.explain says it, of the example"),
        Column(
            "after",
            "after #",
            "text",
            "in some of its requests it saves only once these are done as well: they stand before "
            "it in the prompt. What each saves is counted once",
            puzzling=True,
        ),
        Column("example", "example", "text", "the two requests in which it was first seen"),
    )
    note = "" if rows else "Nothing was found that keeps the cache from hitting."
    if not whole.requests:
        note = "No request could be read, so nothing is known of the cache."
    return Table("changes", "What to change first", columns, tuple(rows), note)


def _totals(tally: Tally, whole: OfModel, currency: str, conversations: int) -> Table:
    models = sorted(tally.models.items(), key=lambda pair: -pair[1].input)
    rows = [_total("all", whole, currency)]
    rows[0]["conversations"] = conversations
    if len(models) > 1:
        rows += [_total(name, model, currency) for name, model in models]
    else:
        rows = [{**row, "model": models[0][0] if models else "all"} for row in rows]
    columns = (
        Column("model", "model"),
        Column("requests", "requests", "count"),
        Column("reported", "with usage", "count", "whose usage says what was read"),
        Column("conversations", "conversations", "count", "by the model of their first request"),
        Column("input", "input tokens", "count", unit="tokens"),
        Column("read", "cached tokens", "count", "read from the cache", unit="tokens"),
        Column("hit_ratio", "hit ratio", "share", "cached tokens by input tokens"),
        Column("could", "cached with changes", "count", "with all changes made", unit="tokens"),
        Column(
            "could_ratio", "hit ratio with changes", "share", "the hit ratio with all changes made"
        ),
        Column("money", "cost", "money", "of the input", unit=currency),
        Column("money_uncached", "without cache", "money", "without any cache", unit=currency),
        Column("money_least", "with changes", "money", "with all changes made", unit=currency),
        Column(
            "units",
            "price units",
            "units",
            f"the cost; {_UNIT}",
            unless="money",
        ),
        Column("units_uncached", "price units without cache", "units", unless="money_uncached"),
        Column("units_least", "price units with changes", "units", unless="money_least"),
    )
    return Table("totals", "In total", columns, tuple(rows))


def _finding(
    changes: Table, total: dict[str, Any], currency: str, savings: Sequence[Saving]
) -> str:
    """What to take home: how much was read, how much could be, and what would save most."""
    if total["hit_ratio"] is None:
        return ""
    said = f"{total['hit_ratio']:.1%} of the input tokens were read from the cache"
    if not changes.rows:
        nothing = f"{said}; nothing was found that keeps it from more."
        return "\n".join([nothing, *map(_of_other_cache, savings[:1])])
    own = [row for row in changes.rows if row["kind"] != "provider"]
    how = "with all changes made" if own else "by the rules of the provider's cache"
    said += f"; {how} it would be {total['could_ratio']:.1%}"
    if total["money"] is not None and total["money_least"] is not None:
        said += f", at {total['money_least']:,.2f} {currency} instead of {total['money']:,.2f}"
    told = [f"{said}."]
    if changes.rows[0]["kind"] == "provider":
        told.append(_of_provider(changes.rows[0]))
    if own:
        share = own[0]["share"]
        saves = "" if share is None else f" (saves {share:.1%})"
        told.append(f"What to change first: {own[0]['change']}{saves}.")
    first = own[0] if own else changes.rows[0]
    told += [
        _of_other_cache(one)
        for one in savings[:1]
        if one.units_before - one.units > (first["units"] or 0.0)
    ]
    return "\n".join(told)


def _of_other_cache(one: Saving) -> str:
    """What another cache would have saved, in a sentence."""
    if one.money is None or one.money_before is None:
        cost, before, unit = one.units, one.units_before, "price units"
    else:
        cost, before, unit = one.money, one.money_before, one.currency
    return (
        f"With the {one.mode} cache of {one.model}, a cache point behind the system prompt and at "
        f"the end of each request, the input of its {one.requests:,} requests as they are would "
        f"cost about {cost:,.2f} {unit} instead of {before:,.2f} ({one.share:.0%} less)."
    )


def _of_provider(row: Mapping[str, Any]) -> str:
    """That most is lost where nothing in the requests is at fault, in a sentence or two."""
    share = "" if row["share"] is None else f" ({row['share']:.1%} of the cost)"
    advice = row["change"].partition("; ")[2]
    helps = f" What may help: {advice}." if advice else ""
    return (
        f"Most is lost{share} where nothing in the requests is at fault: the provider did not keep "
        f"what its rules say.{helps}"
    )


def _total(name: str, model: OfModel, currency: str) -> dict[str, Any]:
    could = model.read + model.saved.tokens
    known = model.cost.unknown < model.cost.requests
    money = _money(model.cost, currency)
    saved = _money(model.saved, currency) if model.saved.requests else 0.0
    return {
        "model": name,
        "requests": model.requests,
        "reported": model.reported,
        "conversations": model.conversations,
        "input": model.input,
        "read": model.read,
        "hit_ratio": model.read / model.input if model.input else None,
        "could": could,
        "could_ratio": could / model.input if model.input else None,
        "money": money,
        "money_uncached": _money(model.uncached, currency),
        "money_least": None if money is None or saved is None else money - saved,
        "units": model.cost.units if known else None,
        "units_uncached": model.uncached.units if known else None,
        "units_least": model.cost.units - model.saved.units if known else None,
    }


def _planned(tally: Tally, currency: str) -> Table:
    rows = [
        {
            "what": PLANNED[kind],
            "requests": group.sum.requests,
            "conversations": len(group.lines),
            "tokens": group.sum.tokens,
            "units": _units(group.sum),
            "money": _money(group.sum, currency),
            "example": f"{group.first.before} → {group.first.now}",
            "kind": kind,
        }
        for kind, group in tally.planned.items()
    ]
    columns = (
        Column("what", "what"),
        Column("requests", "requests", "count"),
        Column("conversations", "conversations", "count"),
        Column("tokens", "tokens", "count", "behind the cut, read anew once", unit="tokens"),
        Column("money", "cost", "money", "of reading them anew", unit=currency),
        Column("units", "price units", "units", unless="money"),
        Column("example", "example"),
    )
    note = "Seldom, as cuts should be: no fault. They make later requests shorter."
    return Table("cuts", "Planned cuts", columns, tuple(rows), note)


def _conversations(tally: Tally, shown: list[str], currency: str) -> Table:
    rows = []
    for lost in tally.worst:
        kinds = [kind for kind, _ in lost.kinds.most_common() if kind in shown]
        if kinds:
            rows.append(
                {
                    "first": lost.source,
                    "model": lost.model,
                    "requests": lost.requests,
                    "tokens": lost.sum.tokens,
                    "money": _money(lost.sum, currency),
                    "units": _units(lost.sum),
                    "most": ADVICE[kinds[0]],
                }
            )
    columns = (
        Column("first", "first request"),
        Column("model", "model"),
        Column("requests", "requests", "count"),
        Column("tokens", "tokens missed", "count", unit="tokens"),
        Column("money", "lost", "money", "of the misses", unit=currency),
        Column("units", "price units lost", "units", unless="money"),
        Column("most", "what would save most of it"),
    )
    return Table("conversations", "Conversations that lost most", columns, tuple(rows))


def _plots(tally: Tally) -> tuple[Split, ...]:
    if not tally.bins:
        return ()
    parts = {
        name: [row[place] / row[0] for row in tally.bins]
        for place, name in ((1, "cached"), (2, "written"), (3, "new"))
    }
    many = tally.per_bin
    title = "Tokens of each request" if many == 1 else f"Tokens of a request, means of {many:,}"
    x = "request" if many == 1 else f"{many:,} requests"
    return (Split("tokens", title, x, {"all requests": parts}),)


def _notes(tally: Tally, whole: OfModel, unknown: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    bare = whole.requests - whole.reported
    if bare:
        notes.append(
            f"{bare:,} of {whole.requests:,} requests have no usage that says what was read: what "
            "they read is foretold by the rules of the model's cache"
        )
    if tally.without_time:
        notes.append(
            f"{tally.without_time:,} requests have no time: what expired, and what was sent at "
            "once, cannot be told there"
        )
    if tally.disordered:
        notes.append(
            f"{tally.disordered:,} requests stand behind ones that were sent later: what "
            "conversations share is told apart less surely"
        )
    if tally.with_id < tally.requests:
        notes.append(
            "Conversations are told by the messages that requests share"
            + (" where the log has no id" if tally.with_id else "")
        )
    if unknown:
        notes.append(f"No profile knows {_listed(unknown)}: give profiles of your own")
    for error in sorted({model.error for model in tally.models.values() if model.error}):
        rough = sorted(name for name, model in tally.models.items() if model.error == error)
        notes.append(
            f"Tokens of {_listed(rough)} are estimated, off by up to {error:.0%}: a miss of a "
            "smaller part of a request is not told"
        )
    if whole.cost.unknown:
        notes.append(f"Prices are not known of {whole.cost.unknown:,} requests: not in the costs")
    if len(whole.cost.money) > 1:
        named = ", ".join(sorted(whole.cost.money))
        notes.append(f"Prices are in {named}: only price units are added up")
    return tuple(notes)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN_NAMES]) + ", …" * (len(names) > _SHOWN_NAMES)


def _change(kind: str, group: Group) -> str:
    said = ADVICE[kind]
    if kind == "provider" and group.routing:
        said += ROUTING.format(" or ".join(group.routing))
    return said


def _where(group: Group) -> str:
    places = [place for place, _ in group.places.most_common() if place]
    where = places[0] if len(places) == 1 else "history" if places else ""
    if len(places) > 1 and not all(place.startswith("messages") for place in places):
        where = ", ".join(places[:_SHOWN_NAMES])
    names = [name for name, _ in group.names.most_common(_SHOWN_NAMES)]
    more = ", …" * (len(group.names) > _SHOWN_NAMES)
    return f"{where}: {', '.join(names)}{more}" if names else where


def _all(tally: Tally) -> OfModel:
    whole = OfModel()
    for model in tally.models.values():
        for name in ("requests", "reported", "conversations", "input", "read"):
            setattr(whole, name, getattr(whole, name) + getattr(model, name))
        for name in ("cost", "uncached", "saved"):
            getattr(whole, name).join(getattr(model, name))
    return whole


def _shown(tally: Tally) -> dict[str, Group]:
    """What is a finding: of kinds that say nothing when seen once, only what was seen often."""
    shown = {
        kind: group
        for kind, group in tally.groups.items()
        if group.sum.requests >= NEEDS_SEVERAL.get(kind, 1)
    }
    for group in shown.values():
        for name, found in group.models.items():
            tally.models[name].saved.join(found)
    return shown


def _currency(cost: Sum) -> str:
    return next(iter(cost.money)) if len(cost.money) == 1 else ""


def _money(found: Sum, currency: str) -> float | None:
    if not currency or currency not in found.money:
        return None
    return float(found.money[currency])


def _units(found: Sum) -> float | None:
    return found.units if found.unknown < found.requests else None


def _weight(found: Sum, currency: str) -> tuple[float, float, int]:
    return _money(found, currency) or 0.0, found.units, found.tokens


def _part(found: Sum, whole: Sum, currency: str) -> float | None:
    mine, all_of_it = _money(found, currency), _money(whole, currency)
    if mine is None or not all_of_it:
        mine, all_of_it = _units(found), whole.units
    return mine / all_of_it if mine is not None and all_of_it else None
