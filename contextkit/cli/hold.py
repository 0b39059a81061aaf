"""Holding a conversation with the embedded server: foretold, sent, measured, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any

from contextkit.caching.consecutive import Answered, Asked
from contextkit.caching.forecast import Compared, Forecast, beside
from contextkit.cli.measured import Measured
from contextkit.cli.ways import Way
from contextkit.errors import ReplyError, ServerError
from contextkit.providers.chat_completions import Answer, stream
from contextkit.providers.local import LocalServer
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage


class CacheForecast:
    """What the server's one slot will read from its cache; and why it did not."""

    def __init__(self, counter: RequestCounter) -> None:
        self.counter = counter
        self.before: Asked | None = None
        self.reply = Answered()
        self.compared: Compared
        self.forecast: Forecast

    def foretell(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Tokens of this request that will be read from the cache."""
        now = Asked.of({"messages": messages}, self.counter)
        self.compared = beside(self.before, now, self.counter, reply=self.reply)
        self.forecast = self.compared.forecast()
        self.before = now
        return self.forecast.cache_read_tokens or 0

    def why_not(self, usage: Usage) -> str:
        """Why another number was reported."""
        found = self.compared.explanation(usage)
        if found.cause in (None, self.forecast.loss.cause, "not kept by the provider"):
            return f"unexplained: {usage.cache_read_tokens} tokens were read"
        return str(found)

    def answered(self, message: Mapping[str, Any], generated: int) -> None:
        """Take in the reply to the request that was foretold last."""
        self.reply = Answered(message, generated)


def hold(
    server: LocalServer,
    way: Way,
    texts: Sequence[str],
    options: Mapping[str, Any],
) -> Iterator[Measured]:
    """Hold a conversation and measure every request; the server must be fresh, with one slot.

    Raises:
        ServerError: when the server went away or refused a request.
        BudgetExceeded: when a message is larger than the limit.
    """
    forecast = CacheForecast(way.counter)
    with server.client() as client:
        client.models.list()  # what a client loads when first used is no part of a first token
        for turn, text in enumerate(texts, start=1):
            start = perf_counter()
            prepared = way.prepare(text)
            foretold = forecast.foretell(prepared.messages)
            request = {"model": server.model, "messages": prepared.messages, **options}
            answer, first_token = _ask(server, client, request)
            seconds = perf_counter() - start
            usage = answer.usage or Usage()
            measured = Measured(
                turn=turn,
                messages=len(prepared.messages),
                predicted_prompt_tokens=prepared.tokens,
                prompt_tokens=usage.input_tokens or 0,
                predicted_cached_tokens=foretold,
                cached_tokens=usage.cache_read_tokens or 0,
                first_sent_tokens=prepared.first_sent,
                output_tokens=usage.output_tokens or 0,
                first_token_seconds=round(first_token, 4),
                seconds=round(seconds, 4),
                edits=prepared.edits,
                finish_reason=answer.finish_reason,
            )
            measured = replace(measured, cause=_cause(measured, usage, forecast))
            forecast.answered(answer.message, measured.output_tokens)
            way.keep(answer)
            yield measured


def _cause(measured: Measured, usage: Usage, forecast: CacheForecast) -> str:
    """Why a prediction failed; empty where none did."""
    if measured.prompt_tokens != measured.predicted_prompt_tokens:
        return "unexplained: the server counts other tokens in the prompt"
    if measured.cached_tokens != measured.predicted_cached_tokens:
        return forecast.why_not(usage)
    return ""


def _ask(server: LocalServer, client: Any, request: Mapping[str, Any]) -> tuple[Answer, float]:
    """The answer, and the seconds until its first text (until its end, where it has none)."""
    from httpx2 import HTTPError
    from openai import OpenAIError

    start = perf_counter()
    first_token = 0.0
    try:
        with stream(client, request) as chunks:
            for _ in chunks:
                if chunks.last_text and not first_token:
                    first_token = perf_counter() - start
        return chunks.answer, first_token or perf_counter() - start
    except (HTTPError, OpenAIError, ReplyError) as error:
        if gone(server):
            server.check()
        raise ServerError(f"did not answer: {error}") from error


def gone(server: LocalServer) -> bool:
    """Whether the server has ended, asked after a connection to it broke.

    That can be a moment before its process is seen to have ended.
    """
    deadline = perf_counter() + 1.0
    while server.alive and perf_counter() < deadline:
        sleep(0.02)
    return not server.alive
