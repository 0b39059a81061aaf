"""Replay: what transcripts would cost and keep under each policy and provider, offline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

from contextkit.analysis.policies import Policy, Setting
from contextkit.analysis.problems import Problem
from contextkit.analysis.replaying.built import DropAt
from contextkit.analysis.replaying.charged import Charge, Moment, Sums, charges, moments_of
from contextkit.analysis.replaying.droppable import Droppable, droppable
from contextkit.analysis.replaying.growing import Taken
from contextkit.analysis.replaying.least_cost import least_cost
from contextkit.analysis.replaying.settings import (
    DEFAULT_POLICIES,
    Named,
    PolicyLike,
    policies_of,
    settings_of,
)
from contextkit.analysis.replaying.tables import result_of
from contextkit.analysis.replaying.taking import Progress, check_some, each_held, reason_of
from contextkit.analysis.results import Result
from contextkit.analysis.transcripts import Transcript, TranscriptLike
from contextkit.budget import whole_number
from contextkit.errors import InputError
from contextkit.profiles import Profile

LIMIT = 8_000
"""Tokens of a request where nobody says it."""

GAP = 20.0
"""Seconds between two requests where a transcript has no times: caches stay warm."""

WITHIN = 1e-3
"""By how much the optimum may be above the bound that was found for it; mostly it is equal."""

_DROPPING = ("drop@at-limit", "drop@when-it-pays")


def replay(
    transcripts: Iterable[TranscriptLike | Problem] | Iterable[str | Path] | str | Path,
    *,
    policies: Iterable[PolicyLike] = DEFAULT_POLICIES,
    profiles: Iterable[str | Profile] = ("qwen-plus",),
    limit: int | None = None,
    target: int | None = None,
    gap: float = GAP,
    join: int = 1,
    known: Mapping[str, Profile] | None = None,
    progress: Progress | None = None,
) -> Result:
    """What conversations would cost and keep under several policies and providers, side by side.

    Each conversation is held again, request by request, once for each policy and profile: the
    policy makes the requests, a simulator of the provider's cache serves them, and the profile's
    prices charge them. Nothing is sent to anybody. Of transcripts of which one is the beginning of
    another, as the requests of one conversation are, the longest is held.

    Args:
        transcripts: conversations, as messages, dicts with `messages`, `Transcript` objects, or
            paths of files and folders. Of an iterator, 1,000 wait for a longer one; all else is
            read to its end first.
        policies: names such as `drop@when-it-pays`, `window`, `all` (`policies_of` has them all),
            strategies, lists of them, `Policy` objects, or functions that get the messages so far
            and give those to send.
        profiles: models, each perhaps with `:implicit`, `:explicit`, `:session` or `:none` behind
            its name for the cache; or profiles.
        limit: tokens of a request at most; 8,000 by default.
        target: tokens that a cut comes down to; half the limit by default.
        gap: seconds between two requests of a conversation that has no times.
        join: how many conversations in a row are joined into one session.
        known: more profiles, by prefixes of model names, such as `load_profiles` gives.
        progress: called with what is done and of how many, None for unknown.

    Raises:
        InputError: when there is no transcript, or a policy is not known.
        ProfileError: when there is no such profile or cache.
        BudgetError: when the budget makes no sense.
    """
    named = settings_of(profiles, LIMIT if limit is None else limit, target, known)
    chosen = policies_of(policies)
    whole_number("join", join, least=1)
    seconds: Any = gap
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < inf:
        raise InputError(f"are seconds, not {gap!r:.60}", place="gap")
    run = Run(chosen, named, gap)
    steps = len(chosen) * len(named)
    each_held(transcripts, run, join, steps=steps, hold=run.hold, progress=progress)
    check_some(run.sources, run.problems, "replayed")
    return result_of(run, join)


@dataclass(slots=True)
class Held:
    """One conversation under one policy and profile.

    Attributes:
        sums: what its requests were charged.
        split: tokens read, written and new by request, where they were kept.
    """

    sums: Sums = field(default_factory=Sums)
    split: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Run:
    """A replay as far as it has come.

    Attributes:
        policies, settings: what is compared.
        gap: seconds between two requests.
        sources: of the conversations that were held.
        held: by number of policy and of setting, what each conversation was charged.
        least: by conversation and setting, the least that dropping turns can cost; None where that
            is not sure.
        active: by conversation and setting, whether it ever outgrows the target.
        timed: how many conversations have times.
        problems: of conversations that were left out, and what was handed in.
        longest: by policy, the split of the requests of the longest conversation.
        taken: transcripts that were found to be of one conversation.
    """

    policies: list[Policy]
    settings: list[Named]
    gap: float
    sources: list[str] = field(default_factory=list)
    held: dict[tuple[int, int], list[Sums]] = field(default_factory=dict)
    least: list[list[float | None]] = field(default_factory=list)
    active: list[list[bool]] = field(default_factory=list)
    timed: int = 0
    problems: list[Problem] = field(default_factory=list)
    longest: tuple[str, int, dict[str, list[tuple[int, int, int]]]] = ("", 0, {})
    taken: Taken = field(default_factory=Taken)

    def hold(self, transcript: Transcript) -> Iterator[int]:
        """Hold a conversation under everything, or leave it out; gives how much of it is done."""
        try:
            moments = moments_of(transcript, self.gap)
        except Exception as error:  # noqa: BLE001 - whoever makes a Transcript puts anything in it
            self.problems.append(Problem(transcript.source, reason_of(error)))
            return
        if not moments:
            reason = "no assistant message answers anything: there is no request"
            self.problems.append(Problem(transcript.source, reason))
            return
        keep = len(moments) > self.longest[1]
        held: dict[tuple[int, int], Held] = {}
        least: list[float | None] = []
        active: list[bool] = []
        doing = ""
        try:
            for at, named in enumerate(self.settings):
                for number, policy in enumerate(self.policies):
                    doing = f"{policy.name}, {named.name}"
                    held[number, at] = _held(
                        policy, transcript, named.setting, moments, keep=keep and not at
                    )
                    yield len(held)
                doing = named.name
                talk = droppable(transcript, named.setting)
                active.append(max(talk.body) > talk.target)
                dropping = [
                    held[number, at].sums.units
                    for number, policy in enumerate(self.policies)
                    if policy.name in _DROPPING
                ]
                least.append(_least(talk, transcript, named.setting, moments, dropping))
        except Exception as error:  # noqa: BLE001 - a policy may be anybody's
            reason = f"{doing}: {reason_of(error)}"
            self.problems.append(Problem(transcript.source, reason, kind="left out"))
            return
        self.sources.append(transcript.source)
        self.timed += len(transcript.times) == len(transcript.messages)
        for key, one in held.items():
            self.held.setdefault(key, []).append(one.sums)
        self.least.append(least)
        self.active.append(active)
        if keep:
            splits = {
                policy.name: held[number, 0].split for number, policy in enumerate(self.policies)
            }
            self.longest = (transcript.source, len(moments), splits)


def _held(
    policy: Policy,
    transcript: Transcript,
    setting: Setting,
    moments: Sequence[Moment],
    *,
    keep: bool = False,
) -> Held:
    found = Held()
    for charge in charges(policy, transcript, setting, moments):
        found.sums.add(charge, setting.limit)
        if keep:
            found.split.append(_split(charge))
    return found


def _split(charge: Charge) -> tuple[int, int, int]:
    return charge.read, charge.written, charge.tokens - charge.read - charge.written


def _least(
    talk: Droppable,
    transcript: Transcript,
    setting: Setting,
    moments: Sequence[Moment],
    dropping: Sequence[float | None],
) -> float | None:
    """The least that dropping turns can cost a conversation, where it is known.

    No choice of cuts costs less than the bound that was found. It is the least itself where the
    requests that are cut for it are charged just that by the simulator.
    """
    bound = least_cost(talk, setting, moments)
    if bound is None:
        return None
    tried = [_held(DropAt(frozenset(bound.cuts)), transcript, setting, moments).sums.units]
    best = min(units for units in (*tried, *dropping) if units is not None)
    return best if abs(best - bound.units) <= WITHIN * bound.units else None
