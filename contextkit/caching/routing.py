"""Routing: the parameters and headers that lead a conversation to the machine with its cache."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from contextkit.messages import canonical_json
from contextkit.profiles import Profile
from contextkit.rendering import Rendering
from contextkit.scope import Scope

_KNOWN_TO_CLIENT = frozenset({"prompt_cache_key", "user", "safety_identifier"})
"""Parameters that the official client takes by name; others go into the body beside them."""


def routing_key(scope: Scope) -> str:
    """The key of a conversation: the same in every process; 32 hex digits that say nothing.

    A hash of the scope: whoever can guess a whole scope can check the guess.
    """
    text = canonical_json(["routing", *scope.key])
    return blake2b(text.encode(), digest_size=16).hexdigest()


def routing_of(profile: Profile, rendering: Rendering, scope: Scope | None) -> dict[str, Any]:
    """Parameters of a request: routing keys, where there is a scope, and headers of the cache.

    A name with a hyphen in `Profile.routing` is a header's; headers go into `extra_headers`.
    """
    headers = dict(rendering.rules.headers) if rendering.rules is not None else {}
    parameters: dict[str, Any] = {}
    body: dict[str, Any] = {}
    if scope is not None:
        key = routing_key(scope)
        for name in profile.routing:
            if "-" in name:
                headers[name] = key
            elif name in _KNOWN_TO_CLIENT:
                parameters[name] = key
            else:
                body[name] = key
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
            named = {str(name).lower() for name in theirs}
            kept = {name: value for name, value in ours.items() if name.lower() not in named}
            merged[key] = {**kept, **theirs}
        elif isinstance(ours, Mapping) and theirs is None:
            merged[key] = dict(ours)
    return merged
