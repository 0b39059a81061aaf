"""wrap: an official client whose chat completions are built by contextkit.

A wrapped client is a client: a subclass of its class over the same connection pool. Only
`chat.completions.create`, `parse` and what is made of them (`stream`, raw responses) are changed,
and of them only `messages`, the order of `tools`, and what leads a request to its cache: a routing
key, and what a `cache=` asks for. The caller's own values win.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, wraps
from inspect import getmembers_static
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from contextkit.caching.ledger import Ledger
from contextkit.calls import Call, Wrapping
from contextkit.errors import InputError, ScopeError
from contextkit.profiles import Profile
from contextkit.providers.listening import alisten, listen
from contextkit.report import Report
from contextkit.scope import Scope

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    class WrappedOpenAI(OpenAI):
        """What `wrap` makes of an `OpenAI`."""

        @property
        def ledger(self) -> Ledger:
            """What the requests read from the provider's cache and cost."""

        def scoped(self, scope: Scope) -> WrappedOpenAI:
            """The same client for the lists of one scope."""

    class WrappedAsyncOpenAI(AsyncOpenAI):
        """What `wrap` makes of an `AsyncOpenAI`."""

        @property
        def ledger(self) -> Ledger:
            """What the requests read from the provider's cache and cost."""

        def scoped(self, scope: Scope) -> WrappedAsyncOpenAI:
            """The same client for the lists of one scope."""


@overload
def wrap(
    client: OpenAI,
    *,
    profiles: Mapping[str, Profile] = ...,
    on_request: Callable[[Report], None] | None = ...,
    **builder_options: Any,
) -> WrappedOpenAI: ...
@overload
def wrap(
    client: AsyncOpenAI,
    *,
    profiles: Mapping[str, Profile] = ...,
    on_request: Callable[[Report], None] | None = ...,
    **builder_options: Any,
) -> WrappedAsyncOpenAI: ...
def wrap(
    client: Any,
    *,
    profiles: Mapping[str, Profile] = MappingProxyType({}),
    on_request: Callable[[Report], None] | None = None,
    **builder_options: Any,
) -> Any:
    """A client to use in place of an `OpenAI` or `AsyncOpenAI`, with every request built.

    The whole list comes in with each call, as before; what leaves is within the budget, and its
    prefix stays put. `client.scoped(scope)` is the client for the lists of one scope, which
    strategies that look content up need. `client.ledger` has what all its requests, scoped or not,
    read from the provider's cache and cost, where the usage was reported (of streams: where it was
    asked for); it keeps the newest 1,000 rows. The client that is given is not changed. Both use
    one connection pool, which closing either one closes.

    Args:
        client: an `OpenAI` or `AsyncOpenAI`, or a subclass such as `AzureOpenAI`.
        profiles: facts about models by what their names begin with, where the name does not find
            them, such as the name of an Azure deployment: `{"my-gpt4o": profile_for("gpt-4o")}`, or
            `load_profiles(path)`.
        on_request: gets the report of each request before it is sent; it costs the length of the
            history. What it raises stops the request.
        builder_options: limit, budget, compaction and so on, as `ContextBuilder` takes them;
            model, tools and response format come with each call. The longest reply that a call
            allows (`max_tokens`) is kept free in the window, unless the budget has a reserve.

    Raises:
        InputError: when it is no such client, is wrapped or instrumented already, or when an
            option is not known.

    Example:
        >>> import contextkit as ck
        >>> from openai import OpenAI
        >>> client = ck.wrap(OpenAI(api_key="none"), limit=8_000, on_request=print)
        >>> isinstance(client, OpenAI)
        True
    """
    _check_client(client)
    wrapping = Wrapping(builder_options, profiles, on_request)
    return _attached(client, _wrapped_class(client.__class__), _Wrapped(wrapping))


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """What a wrapped client knows besides being a client."""

    wrapping: Wrapping
    scope: Scope | None = None


_OURS = "_contextkit"
"""Under which a wrapped client has what it knows."""


def _check_client(client: Any) -> None:
    from openai import AsyncOpenAI, OpenAI
    from openai.resources.chat import AsyncCompletions, Completions

    if not isinstance(client, OpenAI | AsyncOpenAI):
        raise InputError(
            f"is an OpenAI or AsyncOpenAI, not {type(client).__name__}; with others, "
            "client.chat.completions.create(**builder.build(messages).request())",
            place="client",
        )
    if _OURS in vars(client):
        raise InputError("is wrapped already", place="client")
    completions: Any = AsyncCompletions if isinstance(client, AsyncOpenAI) else Completions
    theirs = client.chat.completions
    if type(theirs) is not completions or vars(theirs).keys() & {"create", "parse"}:
        raise InputError(
            "is instrumented, which a wrapped client would not be: wrap it first, then instrument "
            "what wrap gives",
            place="client",
        )


def _attached(client: Any, to: type, wrapped: _Wrapped) -> Any:
    """A client of class `to` with all that a client has but its resources, which refer to it."""
    resources = _resources(to)
    other: Any = object.__new__(to)
    vars(other).update({name: v for name, v in vars(client).items() if name not in resources})
    vars(other)[_OURS] = wrapped
    return other


@lru_cache(maxsize=64)
def _resources(of: Any) -> frozenset[str]:
    """The names under which a client of a class keeps its resources once they were used."""
    members = getmembers_static(of)
    return frozenset(name for name, value in members if isinstance(value, cached_property))


@lru_cache(maxsize=32)
def _wrapped_class(base: Any) -> Any:
    """A subclass of a client's class, whose chat completions are built."""
    from openai import AsyncOpenAI
    from openai.resources.beta import AsyncBeta, Beta
    from openai.resources.chat import AsyncChat, AsyncCompletions, Chat, Completions

    is_async = issubclass(base, AsyncOpenAI)
    built = _abuilt if is_async else _built
    completions: Any = AsyncCompletions if is_async else Completions
    chat: Any = AsyncChat if is_async else Chat
    beta: Any = AsyncBeta if is_async else Beta

    class WrappedCompletions(completions):  # type: ignore[misc]  # its class is known here only
        create = built(completions, "create")
        parse = built(completions, "parse")

    class WrappedChat(chat):  # type: ignore[misc]  # the same
        @cached_property
        def completions(self) -> Any:
            return WrappedCompletions(self._client)

    class WrappedBeta(beta):  # type: ignore[misc]  # the same
        @cached_property
        def chat(self) -> Any:
            return WrappedChat(self._client)

    class Wrapped(base):  # type: ignore[misc]  # the same
        @cached_property
        def chat(self) -> Any:
            return WrappedChat(self)

        @cached_property
        def beta(self) -> Any:
            return WrappedBeta(self)

        @wraps(base.copy)
        def copy(self, **options: Any) -> Any:
            other = super().copy(**options)
            vars(other)[_OURS] = vars(self)[_OURS]
            return other

        with_options = copy

        @property
        def ledger(self) -> Ledger:
            ledger: Ledger = vars(self)[_OURS].wrapping.ledger
            return ledger

        def scoped(self, scope: Scope) -> Any:
            if not isinstance(scope, Scope):
                raise ScopeError(f"a scope is a Scope, not {type(scope).__name__}")
            return _attached(self, type(self), replace(vars(self)[_OURS], scope=scope))

    Wrapped.__name__ = Wrapped.__qualname__ = f"Wrapped{base.__name__}"
    return Wrapped


def _built(completions: Any, name: str) -> Callable[..., Any]:
    """A method of `Completions` that is called with what was built."""

    @wraps(getattr(completions, name))
    def call(self: Any, *arguments: Any, **given: Any) -> Any:
        method = getattr(completions, name)  # at each call: it may be instrumented by now
        ours = vars(self._client)[_OURS]
        begun = Call.of(ours.wrapping, given, ours.scope)
        if begun is None or arguments:
            return method(self, *arguments, **given)
        built = begun.build()
        answer = method(self, **built.request)
        listen(answer, built.answered if built.wants_reply else None, built.reported)
        return answer

    return call


def _abuilt(completions: Any, name: str) -> Callable[..., Any]:
    """The async twin of `_built`."""

    @wraps(getattr(completions, name))
    async def call(self: Any, *arguments: Any, **given: Any) -> Any:
        method = getattr(completions, name)
        ours = vars(self._client)[_OURS]
        begun = Call.of(ours.wrapping, given, ours.scope)
        if begun is None or arguments:
            return await method(self, *arguments, **given)
        built = await begun.abuild()
        answer = await method(self, **built.request)
        await alisten(answer, built.aanswered if built.wants_reply else None, built.reported)
        return answer

    return call
