"""Policies: ways to make the requests of a conversation, contextkit's own and those beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from contextkit.analysis.transcripts import Transcript
from contextkit.caching.blocks import Block
from contextkit.profiles import Profile
from contextkit.tokens import RequestCounter


@dataclass(frozen=True, slots=True)
class Setting:
    """What requests are made for: one model with its cache, and the budget.

    Attributes:
        profile: of the model.
        cache: the mode of its cache: `implicit`, `explicit`, `session`; empty where it has none.
        counter: counts for the profile; shared by all runs, so that no text is counted twice.
        limit: tokens of a request at most.
        target: tokens that a cut comes down to.
    """

    profile: Profile
    cache: str
    counter: RequestCounter
    limit: int
    target: int


@dataclass(frozen=True, slots=True)
class Made:
    """A request that a policy made.

    Attributes:
        messages: of the request. Shared: read only.
        blocks: of the whole request, as the provider's cache sees it, with its cache points.
        kept: messages of the conversation that stand in it as they were.
        cut: whether messages that stood in the request before are not in this one.
        calls: requests to a summarizer that were made for it, each with the tokens of its reply.
    """

    messages: Sequence[Mapping[str, Any]]
    blocks: tuple[Block, ...]
    kept: int
    cut: bool = False
    calls: tuple[tuple[tuple[Block, ...], int], ...] = ()


class Policy(Protocol):
    """Makes the requests of conversations."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def requests(self, transcript: Transcript, setting: Setting) -> Iterator[Made]:
        """The request before each assistant message of a conversation, in order."""
