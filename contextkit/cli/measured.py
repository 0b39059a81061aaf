"""What was measured: one request, one run, the sums of a run, and where predictions failed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

DEFINITIONS = {
    "first_sent_tokens": "tokens of each message (system, user, and replies sent back), its "
    "template frame included, counted once: in the first request that carries it",
    "evaluated_tokens": "prompt tokens less cached tokens, both as the server reports them",
    "evaluated_per_first_sent": "evaluated_tokens / first_sent_tokens; 1 would be: nothing twice",
    "cached_share": "cached tokens / prompt tokens, sum over sum, as reported",
    "cuts": "requests that were sent with less of the history than the request before",
    "first_token_seconds": "from sending the request to the first text of the reply",
    "after_first_cut": "the request with the first cut and all later ones",
    "seconds": "the whole run: building, sending, and receiving each reply to its end",
}
"""What the figures mean, in the words that every output of them carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One request: what was predicted before it was sent, and what the server reported.

    Attributes:
        turn: number of the user message, counted from 1.
        messages: messages in the request.
        predicted_prompt_tokens, prompt_tokens: of the whole request.
        predicted_cached_tokens, cached_tokens: the part of it read from the cache.
        first_sent_tokens: tokens of messages that no request carried before.
        output_tokens: of the reply.
        first_token_seconds: until the first text of the reply came.
        seconds: of the whole turn.
        edits: how many messages each kind of edit hid or changed, made for this request.
        finish_reason: why the reply ended.
        cause: why a prediction failed; empty where none did.
    """

    turn: int
    messages: int
    predicted_prompt_tokens: int
    prompt_tokens: int
    predicted_cached_tokens: int
    cached_tokens: int
    first_sent_tokens: int
    output_tokens: int
    first_token_seconds: float
    seconds: float
    edits: dict[str, int]
    finish_reason: str | None
    cause: str = ""

    @property
    def evaluated_tokens(self) -> int:
        """Prompt tokens that the server had to compute."""
        return self.prompt_tokens - self.cached_tokens


@dataclass(slots=True)
class Run:
    """One conversation, as far as it has come."""

    name: str
    planned: int
    requests: list[Measured] = field(default_factory=list)

    @property
    def cuts(self) -> list[int]:
        """The turns at which messages went."""
        return [request.turn for request in self.requests if request.edits]

    def exceptions(self) -> Iterator[Measured]:
        """The requests for which a prediction failed."""
        return (request for request in self.requests if request.cause)

    def to_json(self) -> dict[str, Any]:
        """As JSON data."""
        return {
            "planned": self.planned,
            "complete": len(self.requests) == self.planned,
            "requests": [asdict(request) for request in self.requests],
            "totals": totals(self.requests),
        }


def totals(requests: Sequence[Measured]) -> dict[str, Any]:
    """The figures of a run; None where there is nothing to take one of. See `DEFINITIONS`."""
    prompt = sum(request.prompt_tokens for request in requests)
    cached = sum(request.cached_tokens for request in requests)
    first_sent = sum(request.first_sent_tokens for request in requests)
    waits = [request.first_token_seconds for request in requests]
    cut = next((at for at, request in enumerate(requests) if request.edits), len(requests))
    return {
        "requests": len(requests),
        "cuts": sum(bool(request.edits) for request in requests),
        "prompt_tokens": prompt,
        "first_sent_tokens": first_sent,
        "evaluated_tokens": prompt - cached,
        "evaluated_per_first_sent": round((prompt - cached) / first_sent, 3)
        if first_sent
        else None,
        "cached_share": round(cached / prompt, 3) if prompt else None,
        "output_tokens": sum(request.output_tokens for request in requests),
        "first_token_seconds_median": _median(waits),
        "first_token_seconds_max": round(max(waits), 3) if waits else None,
        "first_token_seconds_median_after_first_cut": _median(waits[cut:]),
        "seconds": round(sum(request.seconds for request in requests), 3),
    }


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float | None]:
    """Their figures over ours, wherever both are there and ours is not 0."""
    return {
        name: round(theirs[name] / value, 3) if value and theirs[name] is not None else None
        for name, value in ours.items()
    }


def predictions(runs: Sequence[Run]) -> dict[str, Any]:
    """In how many requests the predictions were right, and those in which one was not."""
    requests = [request for run in runs for request in run.requests]
    return {
        "requests": len(requests),
        "prompt_equal": sum(r.predicted_prompt_tokens == r.prompt_tokens for r in requests),
        "cached_equal": sum(r.predicted_cached_tokens == r.cached_tokens for r in requests),
        "exceptions": [
            {
                "run": run.name,
                "turn": request.turn,
                "predicted_prompt_tokens": request.predicted_prompt_tokens,
                "prompt_tokens": request.prompt_tokens,
                "predicted_cached_tokens": request.predicted_cached_tokens,
                "cached_tokens": request.cached_tokens,
                "cause": request.cause,
            }
            for run in runs
            for request in run.exceptions()
        ],
    }


def _median(values: Sequence[float]) -> float | None:
    return round(median(values), 3) if values else None
