"""Attempts: how often a summarizer was asked for one summary, and what its calls took, in all.

As JSON data in the provenance of an edit, so that a call that came to nothing is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

from contextkit.caching.costs import cost_of
from contextkit.edits import Edit
from contextkit.errors import SummaryRejected
from contextkit.strategies.summary_calls import known_profile
from contextkit.summarizing.request import Written
from contextkit.usage import Usage
from contextkit.view import View

REPLACED = "replaced"
"""Under which the provenance of an edit has the calls for summaries that it replaced in its cut."""

_CALLS = ("summarizer", "model", "attempts", "unreported", "usage", "cost", "ahead")


class Attempt(NamedTuple):
    """One call: the model that is known to have been asked, and what the provider reported."""

    model: str = ""
    usage: Usage | None = None

    @classmethod
    def of(cls, result: Any) -> Attempt:
        """What is known of the call that gave a result, or a rejection."""
        if isinstance(result, Written | SummaryRejected) and isinstance(result.usage, Usage):
            return cls(result.model, result.usage)
        return cls()


def calls_of(view: View, attempts: Sequence[Attempt]) -> dict[str, Any]:
    """What some attempts took, as JSON data.

    `attempts` is their number, `usage` and `cost` are the sums over those that were reported, and
    `unreported` is the number of the others. Without a `cost` where the price of one is not known.
    """
    told: dict[str, Any] = {"attempts": len(attempts)}
    known = [attempt for attempt in attempts if attempt.usage is not None]
    if not known:
        return told
    if len(known) < len(attempts):
        told["unreported"] = len(attempts) - len(known)
    told["usage"] = _summed([attempt.usage for attempt in known if attempt.usage]).to_json()
    charged = [_charged(view, attempt) for attempt in known]
    money = [cost[0] for cost in charged if cost is not None]
    currencies = {cost[1] for cost in charged if cost is not None}
    if len(money) == len(known) and len(currencies) == 1:
        told["cost"] = {"money": sum(money), "currency": currencies.pop()}
    return told


def with_calls_of(edit: Edit, replaced: Iterable[Edit]) -> Edit:
    """An edit that remembers the calls for summaries of the same cut that it replaces."""
    calls: list[Any] = []
    for held in replaced:
        said = held.provenance
        if "asked" in said or "usage" in said:
            calls.append({key: said[key] for key in _CALLS if key in said})
        earlier = said.get(REPLACED)
        calls += earlier if isinstance(earlier, list) else ()
    return replace(edit, provenance={**edit.provenance, REPLACED: calls}) if calls else edit


def call_words(said: Mapping[str, Any]) -> list[str]:
    """How often was asked, and what it took, in words; takes any provenance."""
    words = []
    asked, unreported = said.get("attempts"), said.get("unreported")
    if type(asked) is int and asked > 1:
        words.append(f"asked {asked:,} times")
    if usage := numbers(said, "usage"):
        read = usage.get("cache_read_tokens")
        of = (
            f" (for {asked - unreported:,} of them)"
            if type(asked) is type(unreported) is int
            else ""
        )
        words.append(
            f"reported{of}: {usage.get('input_tokens', 0):,} tokens in"
            + (f", {read:,} of them from the cache" if read is not None else "")
            + f", {usage.get('output_tokens', 0):,} out"
        )
    if "money" in (cost := numbers(said, "cost")):
        words.append(f"{cost['money']:.6f} {said['cost'].get('currency', '')}")
    return words


def numbers(said: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The numbers under a key of a provenance, which may be another strategy's, with other data."""
    held = said.get(key)
    if not isinstance(held, Mapping):
        return {}
    return {name: number for name, number in held.items() if type(number) in (int, float)}


def _summed(usages: Sequence[Usage]) -> Usage:
    """What was reported of any, added up."""
    whole: dict[str, Any] = {}
    for usage in usages:
        for item in fields(usage):
            value, held = getattr(usage, item.name), whole.get(item.name)
            if isinstance(value, Mapping):
                names = dict.fromkeys([*(held or {}), *value])
                value = {name: (held or {}).get(name, 0) + value.get(name, 0) for name in names}
            elif isinstance(value, int):
                value += held or 0
            if value is not None:
                whole[item.name] = value
    return Usage(**whole)


def _charged(view: View, attempt: Attempt) -> tuple[float, str] | None:
    """What a call was charged, and the currency; None where that is not known."""
    profile, rules = view.profile, view.rendering.rules
    if attempt.model not in ("", view.model):
        profile, rules = known_profile(attempt.model), None
    cost = cost_of(attempt.usage, profile, rules) if profile is not None else None
    return None if cost is None or cost.money is None else (cost.money, cost.currency)
