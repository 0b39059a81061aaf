"""Problems: what goes wrong, as an HTTP status and a sentence of our own.

What a provider says about an error is not passed on: it may quote the key or somebody's message.
"""

from __future__ import annotations

import logging

import httpx2
import openai
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

import contextkit as ck
from contextkit import errors

log = logging.getLogger("uvicorn.error")

# The first that fits. httpx2 is what the openai client stands on; its errors come in mid-stream.
_PROBLEMS: tuple[tuple[type[Exception], int, str], ...] = (
    (ck.BudgetExceeded, 413, "the message is too long for this model"),
    (errors.InputError, 422, "the message holds something that no model takes"),
    (errors.StoreConflict, 409, "another message came first: load the conversation, send again"),
    (errors.StoreError, 503, "conversations cannot be read or written now: send again"),
    (errors.ReplyError, 502, "the model's reply broke off: send again"),
    (ck.ContextKitError, 500, "the request cannot be built"),
    (openai.RateLimitError, 503, "the model has too much to do: send again later"),
    (openai.APITimeoutError, 504, "the model took too long: send again"),
    (openai.OpenAIError, 502, "the model cannot be asked now: send again later"),
    (httpx2.HTTPError, 502, "the model's reply broke off: send again"),
)

EXPECTED = (ck.ContextKitError, openai.OpenAIError, httpx2.HTTPError)
"""The errors that `problem_of` knows."""


def problem_of(error: Exception) -> tuple[int, str]:
    """Status and text of an expected error; logged by its type, without anybody's content."""
    status, text = next(
        (status, text) for kind, status, text in _PROBLEMS if isinstance(error, kind)
    )
    log.warning("%s: %s %s", type(error).__name__, status, text)
    return status, text


def answer_with_problems(app: FastAPI) -> None:
    """Answer with a status where an error comes before the reply has begun."""
    for kind in EXPECTED:
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _answer(_: Request, error: Exception) -> JSONResponse:
    status, text = problem_of(error)
    return JSONResponse({"detail": text}, status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """As FastAPI's own, without the input: it is content, and may be no valid text."""
    found = error.errors() if isinstance(error, RequestValidationError) else []
    return JSONResponse({"detail": [{"loc": e["loc"], "msg": e["msg"]} for e in found]}, 422)
