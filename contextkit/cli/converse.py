"""Holding a scripted conversation through `Chat`: forecast, sent, measured, turn by turn."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from time import perf_counter
from typing import Any

from contextkit.builder import ContextBuilder
from contextkit.caching.costs import Cost, cost_of, hit_ratio, total_cost
from contextkit.chat import Conversation
from contextkit.cli.measured import Measured, Run
from contextkit.cli.ways import script
from contextkit.context import Context
from contextkit.errors import ContextKitError
from contextkit.history import History
from contextkit.profiles import CacheRules, Profile
from contextkit.replies import Reply
from contextkit.usage import Usage

_MARGIN = 1.25  # by which a provider's count of a request may exceed ours


class OverBudget(ContextKitError):
    """The next request could pass the number of tokens that was allowed; it was not sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange(Measured):
    """One request and its answer, with what they cost.

    Attributes:
        predicted_written_tokens, written_tokens: written to the cache at a price; None where the
            cache has none, or it was not reported.
        predicted_cost, cost: of the input, in price units: 1 is an uncached input token.
        money: of input and output, as reported.
        currency: of `money`.
    """

    predicted_written_tokens: int | None = None
    written_tokens: int | None = None
    predicted_cost: float | None = None
    cost: float | None = None
    money: float | None = None
    currency: str = ""


def long_script(builder: ContextBuilder, rules: CacheRules | None) -> tuple[str, list[str]]:
    """A system prompt that the cache takes by itself, and user messages.

    It begins with words drawn at random, so that no earlier run has left it in a cache.
    """
    system, texts = script()
    words = " ".join(random.sample(system.split(), 6))
    system = f"Conversation: {words}. {system}"
    file = files(__package__).joinpath("bench_file.txt").read_text(encoding="utf-8")
    enough = 1.2 * rules.minimum if rules else 0.0
    for section in file.strip().split("\n\n"):
        if builder.counter.counter.count(system) >= enough:
            break
        system += f"\n\n{section}"
    return system, texts


def rehearse(
    builder: ContextBuilder,
    system: str,
    texts: Sequence[str],
    *,
    rules: CacheRules | None,
    reply: int,
) -> tuple[int, Cost | None]:
    """Tokens of input and output, and cost, if every reply is as long as it may be.

    Nothing is sent.
    """
    history = History(system=system)
    tokens, costs = 0, []
    for text in texts:
        history.append(text)
        context = builder.build(history)
        forecast = context.forecast
        tokens += context.tokens + reply
        usage = Usage(
            input_tokens=context.tokens,
            cache_read_tokens=forecast.cache_read_tokens,
            cache_write_tokens=forecast.cache_write_tokens,
            output_tokens=reply,
        )
        costs.append(cost_of(usage, builder.profile, rules))
        history.append({"role": "assistant", "content": "word " * reply})
    return tokens, total_cost(costs)


def converse(
    talk: Conversation,
    texts: Sequence[str],
    *,
    builder: ContextBuilder,
    rules: CacheRules | None,
    reply: int,
    budget: int,
) -> Iterator[Exchange]:
    """Hold the conversation and measure every request.

    Args:
        talk: a new conversation.
        texts: the user's messages.
        builder: of the conversation.
        rules: of the cache that is in use.
        reply: tokens of a reply at most.
        budget: tokens of input and output that are not passed.

    Raises:
        OverBudget: when the next request could pass the budget.
        Exception: what `Chat` raises, and the client's own errors.
    """
    spent = carried = 0
    for turn, text in enumerate(texts, start=1):
        ahead = talk.history.fork()
        ahead.append(text)
        likely = round(builder.preview(ahead).tokens * _MARGIN) + reply
        if spent + likely > budget:
            raise OverBudget(
                f"{spent:,} tokens were sent and received, and the next request could pass the "
                f"{budget:,} that were allowed"
            )
        start = perf_counter()
        first_token = 0.0
        with talk.stream(text) as stream:
            for _ in stream:
                first_token = first_token or perf_counter() - start
        seconds = perf_counter() - start
        answer = stream.reply
        first_sent = sum(e.tokens for e in answer.context.view.entries if e.number >= carried)
        carried = len(talk.history) - 1
        measured = _exchange(
            answer,
            builder.profile,
            rules,
            turn=turn,
            first_sent_tokens=first_sent,
            first_token_seconds=round(first_token or seconds, 4),
            seconds=round(seconds, 4),
        )
        # Where nothing was reported, or far less than was sent, what it may have been counts.
        believed = 2 * measured.prompt_tokens >= measured.predicted_prompt_tokens
        spent += measured.prompt_tokens + measured.output_tokens if believed else likely
        yield measured


def _exchange(
    answer: Reply, profile: Profile, rules: CacheRules | None, **measured: Any
) -> Exchange:
    context, usage = answer.context, answer.usage or Usage()
    forecast = context.forecast
    cost = cost_of(usage, profile, rules)
    edits: Counter[str] = Counter()
    for edit in context.edits:
        edits[edit.kind] += len(edit.covers)
    return Exchange(
        messages=len(context.view.messages),
        predicted_prompt_tokens=forecast.input_tokens,
        prompt_tokens=usage.input_tokens or 0,
        predicted_cached_tokens=forecast.cache_read_tokens or 0,
        cached_tokens=usage.cache_read_tokens or 0,
        predicted_written_tokens=forecast.cache_write_tokens,
        written_tokens=usage.cache_write_tokens,
        predicted_cost=None if forecast.cost is None else forecast.cost.input,
        cost=None if cost is None else cost.input,
        money=None if cost is None else cost.money,
        currency="" if cost is None else cost.currency,
        output_tokens=usage.output_tokens or 0,
        edits=dict(edits),
        finish_reason=answer.finish_reason,
        cause=_cause(context, usage),
        **measured,
    )


def _cause(context: Context, usage: Usage) -> str:
    """Why less was read than the request before had left in the cache; empty where it was not."""
    if usage.input_tokens is None or usage.cache_read_tokens is None:
        return "not reported"
    explanation = context.report.explanation
    if explanation is None or explanation.cause is None:
        return ""
    # Where it was foreseen it is no surprise: a cut, say, whose miss the forecast had.
    foreseen = context.forecast.cache_read_tokens == usage.cache_read_tokens
    return "" if foreseen else str(explanation)


def sums(run: Run) -> dict[str, Any]:
    """The figures of a run, predicted and reported; None where there is nothing to take one of."""
    requests: list[Exchange] = [one for one in run.requests if isinstance(one, Exchange)]
    result: dict[str, Any] = {"requests": len(requests)}
    for name in ("prompt_tokens", "cached_tokens", "written_tokens", "cost"):
        for key in (f"predicted_{name}", name):
            known = [value for one in requests if (value := getattr(one, key)) is not None]
            result[key] = round(sum(known), 1) if len(known) == len(requests) and known else None
    for kind in ("predicted_", ""):
        usages = [
            Usage(getattr(one, f"{kind}prompt_tokens"), getattr(one, f"{kind}cached_tokens"))
            for one in requests
        ]
        ratio = hit_ratio(usages)
        result[f"{kind}hit_ratio"] = None if ratio is None else round(ratio, 4)
    # An uncached input token costs 1, so without a cache the input would cost its tokens.
    if result["cost"] is not None and result["prompt_tokens"]:
        result["cost_share"] = round(result["cost"] / result["prompt_tokens"], 4)
    else:
        result["cost_share"] = None
    money = [one.money for one in requests if one.money is not None]
    result["money"] = round(sum(money), 6) if len(money) == len(requests) and money else None
    result["currency"] = requests[0].currency if requests else ""
    return result
