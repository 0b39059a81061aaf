"""ModelSummarizer: has a model write the summary, by way of any OpenAI-compatible client."""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Generator, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from contextkit.breaker import Breaker, check_seconds
from contextkit.budget import longest_reply, whole_number
from contextkit.errors import InputError, ProfileError, SummaryRejected
from contextkit.profiles import profile_for
from contextkit.summarizing.completions import summary_of
from contextkit.summarizing.request import SummaryRequest, Written
from contextkit.usage import Usage

REASONING = 8_192
"""Tokens that OpenAI's reasoning models may think before they write; their bound includes both."""

_REASONS = re.compile(r"o\d|gpt-(?:[5-9]|\d\d)")

_BUILT = ("model", "messages", "tools")


@dataclass(frozen=True, slots=True)
class ModelSummarizer:
    """Asks a model for the summary: one call to `client.chat.completions.create`.

    By default the model is the live one. Its request begins with the bytes of the live requests, so
    that its input is read from the provider's cache; what is set here stands outside the prompt.
    Another model gets a prompt of its own.

    An async client gives an awaitable, which only async builds take. Retries are the client's own
    (`OpenAI(max_retries=…)`, two by default), each of which may take the whole time-out; a sync
    build waits for them.

    Attributes:
        client: `openai.OpenAI()`, `openai.AsyncOpenAI()`, or what has `chat.completions.create`.
            Not a wrapped one, which would build the request again.
        model: another model than the live one, such as a cheaper one.
        options: further parameters of the call, such as `{"temperature": 0}`. They win; beside a
            `max_tokens` or `max_completion_tokens` among them no bound is added. Those that a
            provider keeps its cache by (`extra_body={"enable_thinking": …}`, `reasoning_effort`)
            must be those of the live requests. They may hold keys: neither `repr` nor the log
            shows them.
        timeout: seconds, as the client understands them; None for the client's own.
        breaker: stops the calls for a while after repeated failures. Checked and told by who calls.

    Raises:
        InputError: for what is no client or no option.
        BudgetError: for figures that cannot be.

    Example:
        >>> from contextkit import ModelSummarizer
        >>> from openai import OpenAI
        >>> ModelSummarizer(OpenAI(api_key="none"), model="qwen-flash")
        ModelSummarizer(model='qwen-flash', timeout=60.0)
    """

    client: Any = field(repr=False, compare=False)
    _: KW_ONLY
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    timeout: float | None = 60.0
    breaker: Breaker = field(default_factory=Breaker, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_client(self.client)
        model, breaker = _any(self.model), _any(self.breaker)
        if model is not None and (not isinstance(model, str) or not model):
            raise InputError(f"is a name, not {model!r:.60}", place="ModelSummarizer.model")
        if self.timeout is not None:
            check_seconds("ModelSummarizer.timeout", self.timeout)
        if not isinstance(breaker, Breaker):
            raise InputError(f"is a Breaker, not {breaker!r:.60}", place="ModelSummarizer.breaker")
        object.__setattr__(self, "options", MappingProxyType(_checked(self.options)))

    @property
    def is_async(self) -> bool:
        """Whether the call is to be awaited, as far as that can be told before it."""
        return inspect.iscoroutinefunction(inspect.unwrap(self.client.chat.completions.create))

    def __call__(self, request: SummaryRequest) -> Written | Awaitable[Written]:
        """The summary; of an async client an awaitable of it.

        Raises:
            SummaryRejected: when what was answered holds none.
            Exception: the client's own, as it is.
        """
        parameters = self.parameters(request)
        if self.is_async:
            return self._later(parameters)
        completion = self.client.chat.completions.create(**parameters)
        if inspect.isawaitable(completion):
            return _Later(completion, parameters)
        return _written(completion, parameters)

    async def _later(self, parameters: dict[str, Any]) -> Written:
        return _written(await self.client.chat.completions.create(**parameters), parameters)

    def parameters(self, request: SummaryRequest) -> dict[str, Any]:
        """What is sent: the request, with the bound of its reply, the time-out and the options."""
        parameters = dict(request)
        if self.model is not None:
            parameters["model"] = self.model
        if longest_reply(self.options) is None:
            parameters |= _bound(str(parameters.get("model", "")), request.share)
        if self.timeout is not None:
            parameters["timeout"] = self.timeout
        sent = {**parameters, **self.options}
        for key in ("extra_headers", "extra_body"):  # those of the request lead to its cache
            if isinstance(parameters.get(key), Mapping) and isinstance(sent[key], Mapping):
                sent[key] = {**parameters[key], **sent[key]}
        return sent


def _written(completion: Any, parameters: Mapping[str, Any]) -> Written:
    model = str(parameters.get("model", ""))
    try:
        text, usage = summary_of(completion)
    except SummaryRejected as error:
        error.model = model
        with suppress(InputError):  # no completion, or nonsense for its usage
            error.usage = Usage.of(completion)
        raise
    return Written(text, model, usage)


@dataclass(frozen=True, slots=True)
class _Later:
    """The summary, once the completion has come; closed where nobody can await it."""

    completion: Any
    parameters: Mapping[str, Any]

    def __await__(self) -> Generator[Any, Any, Written]:
        completion = yield from self.completion.__await__()
        return _written(completion, self.parameters)

    def close(self) -> None:
        if callable(close := getattr(self.completion, "close", None)):
            close()


@lru_cache(maxsize=64)
def _bound(model: str, share: int) -> dict[str, int]:
    """The parameter that bounds a reply to so many tokens of text.

    OpenAI calls `max_tokens` deprecated, and its reasoning models refuse it; the bound that they
    take instead includes their reasoning (https://platform.openai.com/docs/api-reference/chat,
    as read 2026-11). Others know the old name.
    """
    try:
        provider = profile_for(model).provider
    except ProfileError:
        provider = "other"
    if provider != "openai":
        return {"max_tokens": share}
    reasons = _REASONS.match(model.lower().rsplit("/", 1)[-1].removeprefix("ft:"))
    return {"max_completion_tokens": share + REASONING if reasons else share}


def _check_client(client: Any) -> None:
    place = "ModelSummarizer.client"
    create = getattr(getattr(getattr(client, "chat", None), "completions", None), "create", None)
    if not callable(create):
        raise InputError("has no chat.completions.create: OpenAI() has", place=place)
    if getattr(client, "_contextkit", None) is not None:
        raise InputError(
            "is wrapped, and would build the request again: give the one that was wrapped",
            place=place,
        )


def _checked(options: Any) -> dict[str, Any]:
    place = "ModelSummarizer.options"
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise InputError(
            f"are parameters of the call by name, not {type(options).__name__}", place=place
        )
    for name in options:
        if name in _BUILT:
            raise InputError("is a part of the request", place=f"{place}[{name!r}]")
        if name in ("stream", "stream_options", "n"):
            raise InputError(
                "cannot be set: one summary is taken, whole", place=f"{place}[{name!r}]"
            )
    for name in ("max_completion_tokens", "max_tokens"):
        if options.get(name) is not None:
            whole_number(f"{place}[{name!r}]", options[name], least=1)
    return dict(options)


def _any(value: Any) -> Any:
    """A value as it was given, whatever its annotation says."""
    return value
