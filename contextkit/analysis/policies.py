"""Policies: ways to make the requests of a conversation, contextkit's own and those beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block
from contextkit.edits import Edit
from contextkit.errors import InputError
from contextkit.messages import call_ids
from contextkit.profiles import CacheRules, Profile
from contextkit.tokens import RequestCounter


@dataclass(slots=True)
class Clock:
    """The time of the request that is being made; whoever pulls requests from a policy moves it.

    Attributes:
        now: seconds of the clock by which the requests are sent.
        number: of the request in its conversation, counted from 0.
    """

    now: float = 0.0
    number: int = 0

    def __call__(self) -> float:
        """The time, for a schedule that keeps one."""
        return self.now


@dataclass(frozen=True, slots=True)
class Setting:
    """What requests are made for: one model with its cache, and the budget.

    Attributes:
        profile: of the model.
        cache: the mode of its cache: `implicit`, `explicit`, `session`; empty where it has none.
        counter: counts for the profile; shared by all runs, so that no text is counted twice.
        limit: tokens of a request at most.
        target: tokens that a cut comes down to.
        clock: gives the time of the request that is being made.
    """

    profile: Profile
    cache: str
    counter: RequestCounter
    limit: int
    target: int
    clock: Clock = field(default_factory=Clock, compare=False)

    @property
    def rules(self) -> CacheRules | None:
        """Of the cache; None where there is none."""
        return self.profile.cache(self.cache) if self.cache else None


class NoRequest(InputError):
    """What a policy gave is no request. It says of which type that was, and nothing of content."""


@dataclass(frozen=True, slots=True)
class Made:
    """A request that a policy made.

    Attributes:
        messages: of the request. Shared: read only.
        blocks: of the whole request, as the provider's cache sees it, with its cache points.
        kept: messages of the conversation that stand in it as they were.
        cut: whether messages that stood in the request before are not in this one.
        calls: requests to a summarizer that were made for it, each with the tokens of its reply.
        summaries: the edits whose summaries stand in it.
        passed_over: strategies that failed and were passed over: their names, and of what kind
            the error was.
    """

    messages: Sequence[Mapping[str, Any]]
    blocks: tuple[Block, ...]
    kept: int
    cut: bool = False
    calls: tuple[tuple[tuple[Block, ...], int], ...] = ()
    summaries: tuple[Edit, ...] = ()
    passed_over: tuple[str, ...] = ()


class Policy(Protocol):
    """Makes the requests of conversations."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The request before each assistant message of a conversation, in order.

        One for each of `points_of(transcript)`, made when it is asked for and not before.
        """


def points_of(transcript: Transcript) -> list[int]:
    """The decision points of a conversation: how many messages each of its requests answers.

    A request is made before each assistant message that answers a user, or the results of all calls
    before it. One behind another is taken for the same reply, one before which nobody has said
    anything for a greeting; where a result is missing, nobody could have asked.
    """
    points: list[int] = []
    waits = False  # for an answer
    calls: set[str] = set()
    for number, message in enumerate(transcript.messages):
        role = message.get("role")
        if role == "assistant":
            if waits and not calls:
                points.append(number)
            waits, calls = False, set(call_ids(message))
        elif role == "user":
            waits, calls = True, set()
        elif role == "tool" and message.get("tool_call_id") in calls:
            waits = True
            calls.discard(message["tool_call_id"])
    return points
