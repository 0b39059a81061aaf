"""Settings of a replay, from what was asked for: profiles with their caches, policies by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, cast

from contextkit.analysis.policies import Made, Policy, Setting
from contextkit.analysis.replaying.baselines import Everything, Function, Window
from contextkit.analysis.replaying.built import SCHEDULES, number_of, own_policy, with_strategies
from contextkit.analysis.transcripts import Transcript
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


@dataclass(frozen=True, slots=True)
class Called:
    """A policy under another name."""

    name: str
    policy: Policy

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The requests of a conversation."""
        return self.policy.requests(transcript, setting)


def policies_of(
    given: Iterable[PolicyLike] | Mapping[str, PolicyLike], summarizer: Summarizer | None = None
) -> list[Policy]:
    """Policies by their names, as such, strategies, lists of them, or functions of messages.

    Names are `all`, `window`, `window-turns`, the latter two perhaps with `:TOKENS` of the whole
    request, or `COMPACTION@SCHEDULE`, such as `clear+drop@at-limit`; without a schedule it is
    `when-it-pays`. Strategies have the names of their classes; where two would be called the same,
    the settings in which they differ stand behind, or else a number.

    Args:
        given: in their order; of a mapping the keys are their names.
        summarizer: writes the summaries of those by name; by default the extractive one.

    Raises:
        InputError: when there is no such policy, there is none, or one twice.
    """
    several = _several("policies", [given] if isinstance(given, str) else given)
    if not several:
        raise InputError(f"are none; by default {', '.join(DEFAULT_POLICIES)}", place="policies")
    if isinstance(given, Mapping):
        return [Called(str(name), _policy(one, summarizer)) for name, one in given.items()]
    names = _names_apart(several)
    found = [_policy(one, summarizer, name) for one, name in zip(several, names, strict=True)]
    _check_once(
        "policies",
        [policy.name for policy in found],
        "; a dict gives them names of your own: {'mine': …, 'other': …}",
    )
    return found


def _policy(one: Any, summarizer: Summarizer | None, name: str = "") -> Policy:
    """A policy of whatever stands for one."""
    if isinstance(one, str):
        return _named(one, summarizer)
    if callable(getattr(one, "requests", None)) and hasattr(one, "name"):
        return cast("Policy", one)
    if strategies := _strategies(one):
        return with_strategies(strategies, name or _classes(strategies))
    if callable(one) and not isinstance(one, type):
        return Function(one)
    raise InputError(
        "are names, strategies, lists of strategies, policies or functions of messages, "
        f"not {one!r:.60}",
        place="policies",
    )


def _strategies(one: Any) -> list[Strategy]:
    """The strategies of a policy that is made of them."""
    if _is_strategy(one):
        return [cast("Strategy", one)]
    if isinstance(one, list | tuple) and all(map(_is_strategy, one)):
        return list(one)
    return []


def _names_apart(given: Sequence[Any]) -> list[str]:
    """Names of those that are made of strategies, each another; empty for all else."""
    several = [_strategies(one) for one in given]
    names = [_classes(one) if one else "" for one in several]
    for name in {name for name in names if name and names.count(name) > 1}:
        alike = [at for at, other in enumerate(names) if other == name]
        told = [_settings_apart(several[at], [several[other] for other in alike]) for at in alike]
        for number, (at, said) in enumerate(zip(alike, told, strict=True), 1):
            names[at] = said if told.count(said) == 1 else f"{said} ({number})"
    return names


def _classes(strategies: Sequence[Strategy]) -> str:
    return "+".join(type(one).__name__ for one in strategies)


def _settings_apart(mine: Sequence[Strategy], alike: Sequence[Sequence[Strategy]]) -> str:
    """The classes of strategies, with those settings in which others of these classes differ."""
    parts = []
    for at, strategy in enumerate(mine):
        settings = _short_settings(strategy)
        others = [_short_settings(one[at]) for one in alike]
        said = [
            f"{key}={value}"
            for key, value in settings.items()
            if any(other.get(key) != value for other in others)
        ]
        parts.append(" ".join([type(strategy).__name__, *said]))
    return "+".join(parts)


def _short_settings(strategy: Any) -> dict[str, str]:
    """The settings of a strategy that can be told in a word: figures, and names of callables."""
    if not is_dataclass(strategy):
        return {}
    values = {one.name: getattr(strategy, one.name) for one in fields(strategy) if one.repr}
    return {
        key: str(value) if isinstance(value, int | float) else _name_of(value)
        for key, value in values.items()
        if isinstance(value, int | float) or callable(value)
    }


def _name_of(value: Any) -> str:
    return str(getattr(value, "__name__", "") or type(value).__name__)


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


def _check_once(place: str, names: Sequence[str], hint: str = "") -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the same twice: {', '.join(twice)}{hint}", place=place)
