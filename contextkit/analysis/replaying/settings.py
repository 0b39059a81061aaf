"""Settings of a replay, from what was asked for: profiles with their caches, policies by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

from contextkit.analysis.policies import Policy, Setting
from contextkit.analysis.replaying.baselines import Everything, Function, Window
from contextkit.analysis.replaying.built import SCHEDULES, number_of, own_policy, with_strategies
from contextkit.budget import Budget
from contextkit.caching.points import cheapest_cache
from contextkit.errors import InputError, ProfileError
from contextkit.plan import fitting_budget
from contextkit.profiles import Profile, profile_for
from contextkit.strategies.base import Strategy
from contextkit.summarizing.request import Summarizer
from contextkit.tokens import RequestCounter, TokenCounter, counter_for

DEFAULT_POLICIES = (
    "drop@when-it-pays",
    "drop@at-limit",
    "clear+drop@when-it-pays",
    "window",
    "all",
)
"""What is compared where nothing is asked for."""

BASELINES: dict[str, Callable[[int | None], Policy]] = {
    "all": lambda _most: Everything(),
    "window": lambda most: Window("messages", most),
    "window-turns": lambda most: Window("turns", most),
}

PolicyLike = str | Policy | Strategy | Sequence[Strategy] | Callable[..., Any]
"""What is taken for a policy."""

_CACHES = ("implicit", "explicit", "session", "none")
_TEXTS = 1 << 16  # whose counts are remembered


class _Remembered:
    """A counter that counts a text once."""

    def __init__(self, counter: TokenCounter) -> None:
        self.name, self.error = counter.name, counter.error
        self.count: Callable[[str], int] = lru_cache(maxsize=_TEXTS)(counter.count)


@dataclass(frozen=True, slots=True)
class Named:
    """A setting as it is called in tables: the model's name as it was given, and the cache."""

    name: str
    setting: Setting


def settings_of(
    names: Iterable[str | Profile],
    limit: int,
    target: int | None,
    known: Mapping[str, Profile] | None = None,
) -> list[Named]:
    """The settings of some profiles.

    Args:
        names: of models, each perhaps with `:implicit`, `:explicit`, `:session` or `:none` behind
            it; by default the cache that works by itself, else the cheapest. Or profiles.
        limit: tokens of a request at most; of a model with a smaller window, what that leaves.
        target: tokens that a cut comes down to; by default half the limit.
        known: more profiles, by prefixes of model names.

    Raises:
        ProfileError: when there is no such profile or cache.
        BudgetError: when the budget makes no sense.
        InputError: when there is none, or the same twice.
    """
    counters: dict[str, TokenCounter] = {}
    found: list[Named] = []
    given = _several("profiles", [names] if isinstance(names, str | Profile) else names)
    for one in given:
        profile, cache, name = _profile(one, known)
        plain = counter_for(profile).counter
        text = counters.setdefault(plain.name, _Remembered(plain))
        budget = fitting_budget(None, Budget(limit, target), profile)[0]
        setting = Setting(
            profile,
            cache,
            RequestCounter(text, profile),
            budget.limit,
            max(1, budget.limit // 2) if budget.target is None else budget.target,
        )
        found.append(Named(f"{name}:{cache}" if cache else f"{name}:none", setting))
    if not found:
        raise InputError("are none: name a model, such as qwen-plus", place="profiles")
    _check_once("profiles", [one.name for one in found])
    return found


def _profile(given: str | Profile, known: Mapping[str, Profile] | None) -> tuple[Profile, str, str]:
    """A profile, the mode of its cache, and its name without that."""
    if isinstance(given, Profile):
        profile, name, cache = given, given.name, ""
    else:
        if not isinstance(given, str):
            raise InputError(f"are names of models, not {given!r:.60}", place="profiles")
        name, colon, cache = given.rpartition(":")
        if not colon or cache not in _CACHES:
            if colon and (meant := get_close_matches(cache, _CACHES, 1)):  # `:8b` is of the model
                raise ProfileError(
                    f"{given!r:.60}: there is no cache {cache!r:.40}; did you mean {meant[0]}? "
                    f"There are {', '.join(_CACHES)}"
                )
            name, cache = given, ""
        profile = profile_for(name, known)
    if cache == "none":
        return replace(profile, caches=()), "", name
    if cache:
        profile.cache(cache)
        return profile, cache, name
    rules = profile.cache() or cheapest_cache(profile)
    return profile, rules.mode if rules else "", name


def policies_of(given: Iterable[PolicyLike], summarizer: Summarizer | None = None) -> list[Policy]:
    """Policies by their names, as such, strategies, lists of them, or functions of messages.

    Names are `all`, `window`, `window-turns`, the latter two perhaps with `:TOKENS` of the whole
    request, or `COMPACTION@SCHEDULE`, such as `clear+drop@at-limit`; without a schedule it is
    `when-it-pays`.

    Args:
        given: in their order.
        summarizer: writes the summaries of those by name; by default the extractive one.

    Raises:
        InputError: when there is no such policy, there is none, or one twice.
    """
    found: list[Policy] = []
    for one in _several("policies", [given] if isinstance(given, str) else given):
        if isinstance(one, str):
            found.append(_named(one, summarizer))
        elif callable(getattr(one, "requests", None)) and hasattr(one, "name"):
            found.append(cast("Policy", one))
        elif _is_strategy(one):
            found.append(with_strategies([cast("Strategy", one)]))
        elif isinstance(one, list | tuple) and one and all(map(_is_strategy, one)):
            found.append(with_strategies(one))
        elif callable(one) and not isinstance(one, type):
            found.append(Function(one))
        else:
            raise InputError(
                "are names, strategies, lists of strategies, policies or functions of messages, "
                f"not {one!r:.60}",
                place="policies",
            )
    if not found:
        raise InputError(f"are none; by default {', '.join(DEFAULT_POLICIES)}", place="policies")
    _check_once("policies", [policy.name for policy in found])
    return found


def combined(compactions: Sequence[str], schedules: Sequence[str]) -> list[str]:
    """The names of all policies that some compactions and schedules make."""
    names = []
    for compaction in compactions:
        if "@" in compaction or compaction.partition(":")[0] in BASELINES:
            names.append(compaction)
        else:
            names += [f"{compaction}@{schedule}" for schedule in schedules or ("when-it-pays",)]
    return list(dict.fromkeys(names))


def _is_strategy(value: Any) -> bool:
    return callable(getattr(value, "propose", None)) and not isinstance(value, type)


def _named(name: str, summarizer: Summarizer | None) -> Policy:
    base, colon, most = name.partition(":")
    if base in BASELINES and "@" not in name:
        if colon and (base == "all" or not number_of(most)):
            raise InputError(f"is no number of tokens: {most!r:.40}", place=f"policy {name!r:.60}")
        return BASELINES[base](number_of(most) or None)
    compaction, at, schedule = name.partition("@")
    try:
        return own_policy(compaction, schedule if at else "when-it-pays", summarizer)
    except InputError as error:
        known = f"{', '.join(BASELINES)}, or COMPACTION@SCHEDULE with {' or '.join(SCHEDULES)}"
        raise InputError(f"{error}; policies are {known}", place=f"policy {name!r:.60}") from None


def _several(place: str, given: Any) -> list[Any]:
    if not isinstance(given, Iterable):
        raise InputError(f"are several, in a list, not {type(given).__name__}", place=place)
    return list(given)


def _check_once(place: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the same twice: {', '.join(twice)}", place=place)
