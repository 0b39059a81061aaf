"""Holding a conversation with the embedded server: foretold, sent, measured, turn by turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from time import perf_counter, sleep
from typing import Any

from contextkit.caching.blocks import Block, Sent, token_blocks
from contextkit.caching.simulator import Simulator
from contextkit.caching.slots import reply_tokens
from contextkit.chatml import render_chatml
from contextkit.cli.measured import Measured
from contextkit.cli.ways import Way
from contextkit.errors import ProfileError, ReplyError, ServerError
from contextkit.messages import text_of
from contextkit.providers.chat_completions import Answer, stream
from contextkit.providers.local import LocalServer
from contextkit.tokens import RequestCounter
from contextkit.usage import Usage


class CacheForecast:
    """What the server's one slot will read from its cache, by its rule; and why it did not."""

    def __init__(self, counter: RequestCounter) -> None:
        self.counter = counter
        rules = counter.profile.cache()
        if rules is None:
            raise ProfileError(f"{counter.profile.name} has no cache to foretell")
        self.simulator = Simulator(rules)
        self.prompt: tuple[Block, ...] = ()
        self.before = 0  # tokens of the prompt before
        self.reply = 0  # tokens that the text of its reply has
        self.generated = 0  # tokens that the server generated for it
        self.cached = 0

    def foretell(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """Tokens of this request that will be read from the cache."""
        self.before = len(self.prompt)
        self.prompt = token_blocks(self.counter.encode(render_chatml(messages)))
        self.cached = self.simulator.peek(Sent(self.prompt)).cache_read_tokens or 0
        return self.cached

    def why_not(self, reported: int) -> str:
        """Why another number was reported; found by where the cached prefix ends.

        The rule knows every token of the slot but those of the last reply, of which it has only
        the text. So a prefix that ends inside that reply has one cause; another end has none here.
        """
        inside = reported - self.before
        if inside >= 0 and reported < self.cached:
            return (
                f"the text of the reply before has {self.reply:,} tokens, {self.generated:,} were "
                f"generated for it: they differ from its token {inside + 1:,} on, where the cached "
                "prefix ends"
            )
        return (
            f"unexplained: the cached prefix ends at {reported:,}, which is not inside the reply "
            f"before ({self.before:,} to {self.before + self.generated:,})"
        )

    def answered(self, text: str, generated: int) -> None:
        """Take in the reply to the request that was foretold last."""
        ids = self.counter.encode(text)
        self.reply, self.generated = len(ids), generated
        self.simulator.send(Sent(self.prompt, reply=reply_tokens(ids, generated)))


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
            measured = replace(measured, cause=_cause(measured, forecast))
            forecast.answered(text_of(answer.message), measured.output_tokens)
            way.keep(answer)
            yield measured


def _cause(measured: Measured, forecast: CacheForecast) -> str:
    """Why a prediction failed; empty where none did."""
    if measured.prompt_tokens != measured.predicted_prompt_tokens:
        return "unexplained: the server counts other tokens in the prompt"
    if measured.cached_tokens != measured.predicted_cached_tokens:
        return forecast.why_not(measured.cached_tokens)
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
