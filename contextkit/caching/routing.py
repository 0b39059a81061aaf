"""Routing: the parameters and headers that lead a conversation to the machine with its cache."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from contextkit.messages import canonical_json, copy_json
from contextkit.profiles import Profile
from contextkit.rendering import Rendering
from contextkit.scope import Scope

_KEY = "prompt_cache_key"
"""The parameter that takes any text as its key. Others that profiles name mean something else: a
slot's number, a salt that keeps conversations apart."""

_KNOWN_TO_CLIENT = frozenset({_KEY, "prompt_cache_options"})
"""Parameters that the official client takes by name; others go into the body beside them."""


def routing_key(scope: Scope) -> str:
    """The key of a conversation: the same in every process; 32 hex digits that say nothing.

    A hash of the scope: whoever can guess a whole scope can check the guess.
    """
    text = canonical_json(["routing", *scope.key])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def routing_of(profile: Profile, rendering: Rendering, scope: Scope | None) -> dict[str, Any]:
    """Parameters of a request: what switches its cache on, and a routing key where a scope is.

    Where a profile has a header for the key, chat completions take it there.
    """
    headers: dict[str, str] = {}
    asked: dict[str, Any] = {}
    if rendering.rules is not None:
        headers.update(rendering.rules.headers)
        asked.update(copy_json(dict(rendering.rules.parameters)))
    if scope is not None and profile.caches:
        headers.update(dict.fromkeys(profile.routing_headers, routing_key(scope)))
        if _KEY in profile.routing and not profile.routing_headers:
            asked[_KEY] = routing_key(scope)
    parameters = {name: value for name, value in asked.items() if name in _KNOWN_TO_CLIENT}
    body = {name: value for name, value in asked.items() if name not in _KNOWN_TO_CLIENT}
    if headers:
        parameters["extra_headers"] = headers
    if body:
        parameters["extra_body"] = body
    return parameters


def with_own(request: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A request with a caller's own parameters, which win; also header by header."""
    merged = {**request, **own}
    for key in ("extra_headers", "extra_body"):
        ours, theirs = request.get(key), own.get(key)
        if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
            named = {str(name).lower() for name in theirs}  # the names of headers
            kept = {name: value for name, value in ours.items() if name.lower() not in named}
            merged[key] = {**kept, **theirs}
        elif isinstance(ours, Mapping) and theirs is None:
            merged[key] = dict(ours)
    return merged
