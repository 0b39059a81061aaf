"""Exam: what contexts keep of what was said, under each policy, offline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from contextkit.analysis.examining.alone import Way, task_of, ways, written
from contextkit.analysis.examining.built import held
from contextkit.analysis.examining.measured import Measured, Paper
from contextkit.analysis.examining.tables import result_of
from contextkit.analysis.policies import Policy, points_of
from contextkit.analysis.problems import Problem
from contextkit.analysis.replay import GAP, LIMIT
from contextkit.analysis.replaying.charged import moments_of
from contextkit.analysis.replaying.growing import Taken
from contextkit.analysis.replaying.settings import Named, PolicyLike, policies_of, settings_of
from contextkit.analysis.replaying.taking import Progress, check_some, each_held, reason_of
from contextkit.analysis.results import Result
from contextkit.analysis.transcripts import Transcript, TranscriptLike
from contextkit.budget import whole_number
from contextkit.errors import InputError
from contextkit.profiles import Profile
from contextkit.summarizing.request import Summarizer

DEFAULT_POLICIES = ("summarize", "clear+summarize")
"""What is examined where nothing is asked for."""

BESIDE = ("drop", "all")
"""What always stands beside: the newest turns under the same limit, and everything."""


def exam(
    transcripts: Iterable[TranscriptLike | Problem] | Iterable[str | Path] | str | Path,
    *,
    policies: Iterable[PolicyLike] | Mapping[str, PolicyLike] | None = None,
    profile: str | Profile = "qwen-plus",
    limit: int | None = None,
    target: int | None = None,
    share: float | None = None,
    summarizer: Summarizer | None = None,
    join: int = 1,
    known: Mapping[str, Profile] | None = None,
    progress: Progress | None = None,
) -> Result:
    """What contexts keep of the facts of a conversation, and of the answers to questions about it.

    Each conversation is held request by request, once for each policy. Of the messages that its
    last request does not show as they were, those facts are counted that still stand somewhere in
    it: identifiers, paths, dates, numbers, names, constraints. Where a conversation has questions,
    their answers are looked for as well. Nothing is sent to anybody, but by a summarizer of yours.

    With a `share`, no requests are built: the finished part of each conversation is summarized in
    that share of its tokens, and stands beside the newest text of as many.

    Args:
        transcripts: as `replay` takes them; `questions` may stand beside the messages.
        policies: as `replay` takes them, or a dict of them by names of your own; by default
            `summarize` and `clear+summarize`. `drop` and `all` always stand beside.
        profile: a model: whose tokens are counted, and whose prices hold.
        limit: tokens of a request at most; 8,000 by default.
        target: tokens that a cut comes down to; half the limit by default.
        share: of the tokens of what is summarized, between 0 and 1, for an exam of a summarizer
            alone. It takes no policies, limit or target.
        summarizer: writes the summaries of policies by name, or at the share; by default the
            extractive one. With policies it is not to be awaited.
        join: how many conversations in a row are joined into one session.
        known: more profiles, by prefixes of model names, such as `load_profiles` gives.
        progress: called with what is done and of how many, None for unknown.

    Raises:
        InputError: when no conversation could be examined, a policy is not known, or one or a
            limit stands beside a share.
        ProfileError: when there is no such profile or cache.
        BudgetError: when the budget makes no sense.
    """
    [named] = settings_of([profile], LIMIT if limit is None else limit, target, known)
    whole_number("join", join, least=1)
    if summarizer is not None and not callable(summarizer):
        raise InputError(
            f"is a callable, request in and text out, not {summarizer!r:.60}", place="summarizer"
        )
    run: Exam
    if share is None:
        run = Exam(named, _with_baselines(policies, summarizer), share)
    else:
        _check_share(share)
        for place, value in (("policies", policies), ("limit", limit), ("target", target)):
            if value is not None:
                raise InputError("a share is for a summarizer alone: leave out one", place=place)
        run = Exam(named, [Row(way.name, way, way.beside) for way in ways(summarizer)], share)
    each_held(transcripts, run, join, steps=len(run.rows), hold=run.examine, progress=progress)
    check_some(run.sources, run.problems, "examined")
    return result_of(run, limit=named.setting.limit, target=named.setting.target, join=join)


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared.

    Attributes:
        name: in tables.
        what: a policy, or a way to put a text in the place of messages.
        beside: it only stands beside what is examined.
    """

    name: str
    what: Policy | Way
    beside: bool


@dataclass(slots=True)
class Exam:
    """An exam as far as it has come.

    Attributes:
        named: the model, and the budget.
        rows: what is compared.
        share: of the tokens, of a summarizer alone.
        sources: of the conversations that were held.
        found: by row what was measured, for each conversation.
        asked: questions that conversations have.
        short: conversations without a finished part.
        problems: of conversations that were left out, and what was handed in.
        taken: transcripts that were found to be of one conversation.
    """

    named: Named
    rows: list[Row]
    share: float | None
    sources: list[str] = field(default_factory=list)
    found: list[list[Measured]] = field(default_factory=list)
    asked: int = 0
    short: int = 0
    problems: list[Problem] = field(default_factory=list)
    taken: Taken = field(default_factory=Taken)

    def __post_init__(self) -> None:
        self.found = [[] for _ in self.rows]

    def examine(self, transcript: Transcript) -> Iterator[int]:
        """Examine a conversation under everything, or leave it out; gives how much is done."""
        found: list[Measured] = []
        doing = ""
        kind: Literal["not read", "left out"] = "not read"
        try:
            paper = self._paper(transcript)
            if paper is None:
                return
            kind = "left out"
            for row in self.rows:
                doing = f"{row.name}: "
                found.append(paper(row.what))
                yield len(found)
        except Exception as error:  # noqa: BLE001 - a policy or a summarizer may be anybody's
            reason = f"{doing}{reason_of(error)}"
            self.problems.append(Problem(transcript.source, reason, kind=kind))
            return
        self.sources.append(transcript.source)
        self.asked += len(transcript.questions)
        for held_so_far, one in zip(self.found, found, strict=True):
            held_so_far.append(one)

    def _paper(self, transcript: Transcript) -> Callable[[Any], Measured] | None:
        """What measures a row of a conversation; None where there is nothing to measure."""
        setting = self.named.setting
        if self.share is not None:
            task = task_of(transcript, setting, self.share)
            if task is None:
                self.short += 1
                reason = "has no finished part to summarize"
                self.problems.append(Problem(transcript.source, reason, kind="left out"))
                return None
            return lambda way: written(way, task)
        moments = moments_of(transcript, GAP)
        if not moments:
            reason = "no assistant message answers anything: there is no request"
            self.problems.append(Problem(transcript.source, reason))
            return None
        paper = Paper(transcript, points_of(transcript)[-1])
        return lambda policy: held(policy, transcript, setting, moments, paper)


def _with_baselines(
    given: Iterable[PolicyLike] | Mapping[str, PolicyLike] | None, summarizer: Summarizer | None
) -> list[Row]:
    asked = policies_of(DEFAULT_POLICIES if given is None else given, summarizer)
    rows = [Row(_short(policy.name), policy, beside=False) for policy in asked]
    names = {row.name for row in rows}
    beside = [Row(_short(policy.name), policy, beside=True) for policy in policies_of(BESIDE)]
    return [*rows, *(row for row in beside if row.name not in names)]


def _short(name: str) -> str:
    """A policy's name without the schedule that every one has where nothing is said."""
    return name.removesuffix("@when-it-pays")


def _check_share(share: Any) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share < 1:
        raise InputError(f"is between 0 and 1, not {share!r:.60}", place="share")
