"""Who is calling: a bearer token says it, and nothing else in a request does.

The file holds the SHA-256 of each token, so that reading it gives nobody a token. That is enough
for long random tokens; it would not be for passwords.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path as File
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

import contextkit as ck


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated user."""

    tenant: str
    user: str


class Users:
    """The users of a file: `{"<SHA-256 of a token>": {"tenant": "acme", "user": "ann"}, …}`."""

    def __init__(self, file: File) -> None:
        listed = json.loads(file.read_text("utf-8"))
        self._callers = {digest: Caller(**caller) for digest, caller in listed.items()}

    def of(self, token: str) -> Caller | None:
        """Whose token it is; None where it is nobody's."""
        digest = sha256(token.encode()).hexdigest()
        found = None
        for known, caller in self._callers.items():  # all of them: the time taken tells nothing
            if compare_digest(known, digest):
                found = caller
        return found


def caller_of(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())]
) -> Caller:
    """The user whose token came with the request; 401 without one."""
    users: Users = request.app.state.users
    caller = users.of(bearer.credentials)
    if caller is None:
        raise HTTPException(401, "unknown token", headers={"WWW-Authenticate": "Bearer"})
    return caller


def scope_of(
    caller: Annotated[Caller, Depends(caller_of)],
    conversation: Annotated[str, Path(pattern="^[A-Za-z0-9_-]{1,64}$")],
) -> ck.Scope:
    """Whose conversation it is. The path only names one of the caller's own.

    So another user's identifier leads to no other user's conversation: under this caller there is
    none of that name, or one of the caller's.
    """
    return ck.Scope(caller.tenant, caller.user, conversation)
