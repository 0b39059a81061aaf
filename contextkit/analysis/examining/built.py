"""Built: a conversation held under a policy, and what its last request keeps of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from contextkit.analysis.examining.measured import Measured, Paper, Share, summary_text
from contextkit.analysis.policies import Made, Policy, Setting
from contextkit.analysis.replaying.charged import Moment, charges
from contextkit.analysis.transcripts import Transcript
from contextkit.summarizing.kept import hidden_numbers


def held(
    policy: Policy, transcript: Transcript, setting: Setting, moments: list[Moment], paper: Paper
) -> Measured:
    """Hold a conversation request by request, and measure what the last request keeps.

    Raises:
        ContextKitError: when the policy cannot make a request.
    """
    watched = _Watched(policy)
    sums = Measured().sums
    for charge in charges(watched, transcript, setting, moments):
        sums.add(charge, setting.limit)
    made = watched.last
    if made is None:  # nothing to measure: there is a request, or `charges` had failed
        return Measured(sums=sums)
    hidden = hidden_numbers(paper.messages, made.messages)
    found = paper.measured([paper.messages[number] for number in hidden], made.messages)
    found.sums = sums
    found.failures = watched.passed_over
    found.span = _tokens(made, hidden, paper, setting)
    for edit in made.summaries:
        found.stated += paper.stated(summary_text(edit.shows[0]))
        found.texts += 1
    return found


@dataclass
class _Watched:
    """A policy whose newest request is remembered."""

    policy: Policy
    last: Made | None = None
    passed_over: Counter[str] = field(default_factory=Counter)

    @property
    def name(self) -> str:
        return self.policy.name

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        for made in self.policy.requests(transcript, setting):
            self.last = made
            self.passed_over.update(made.passed_over)
            yield made


def _tokens(made: Made, hidden: list[int], paper: Paper, setting: Setting) -> Share:
    """Tokens of what is hidden, kept those of what stands in its place."""
    count = setting.counter.message
    gone = set(hidden)

    def tokens(messages: Any) -> int:
        return sum(map(count, messages))

    shown = (one for number, one in enumerate(paper.messages) if number not in gone)
    in_place = tokens(made.messages) - tokens(shown)
    return Share(max(0, in_place), tokens(paper.messages[number] for number in hidden))
