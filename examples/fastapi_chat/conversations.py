"""The conversations: send a message and read the reply as it comes, read the log, see the report.

Nothing of a conversation stays in the process: each request loads it from the store, so that any
process can answer, and memory does not grow with the number of conversations.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from weakref import WeakValueDictionary

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ConfigDict, Field

import contextkit as ck
from contextkit.async_chat import AsyncConversation
from contextkit.replies import AsyncReplyStream, Reply
from examples.fastapi_chat.problems import EXPECTED, problem_of
from examples.fastapi_chat.users import scope_of

router = APIRouter(prefix="/conversations/{conversation}")


class Message(BaseModel):
    """What a user says."""

    model_config = ConfigDict(extra="forbid")

    content: Annotated[str, Field(min_length=1)]


class Queues:
    """One message at a time in each conversation; those behind it wait their turn.

    A queue lives as long as somebody stands in it. Other processes have queues of their own: where
    two processes answer in one conversation, the store refuses the second (StoreConflict).
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._locks: WeakValueDictionary[ck.Scope, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, scope: ck.Scope) -> AsyncIterator[None]:
        """Hold the conversation, once it is free; 409 when that takes too long."""
        lock = self._locks.setdefault(scope, asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience):
                await lock.acquire()
        except TimeoutError:
            raise HTTPException(409, "the reply before this one is not finished yet") from None
        try:
            yield
        finally:
            lock.release()


CallersScope = Annotated[ck.Scope, Depends(scope_of)]


async def reply_to(
    message: Message, scope: CallersScope, request: Request
) -> AsyncIterator[AsyncReplyStream]:
    """The reply, once it has begun: what goes wrong before is an HTTP status.

    FastAPI comes back behind the `yield` when the response is over, whichever way it ended. Where
    the user has gone, nothing of the turn is kept, and the provider is not read any further.
    """
    chat: ck.AsyncChat = request.app.state.chat
    queues: Queues = request.app.state.queues
    async with queues.turn(scope):
        talk = await chat.conversation(scope)
        async with talk.stream(message.content) as stream:
            yield stream


async def talk_of(scope: CallersScope, request: Request) -> AsyncConversation:
    """A conversation that was begun; 404 where the caller has none of that name."""
    chat: ck.AsyncChat = request.app.state.chat
    talk = await chat.conversation(scope)
    if not talk.history.decided():
        raise HTTPException(404, "you have no such conversation")
    return talk


@router.post("/messages", response_class=EventSourceResponse)
async def send(
    stream: Annotated[AsyncReplyStream, Depends(reply_to)],
) -> AsyncIterator[ServerSentEvent]:
    """Send a message. Events: `delta` for each piece of text, then `done`, or else `error`.

    With `done` the turn is in the store, whole; without it, nothing of it is.
    """
    try:
        async for delta in stream:
            yield ServerSentEvent(event="delta", data={"text": delta})
        yield ServerSentEvent(event="done", data=summary(stream.reply))
    except EXPECTED as error:
        status, text = problem_of(error)
        yield ServerSentEvent(event="error", data={"status": status, "detail": text})


def summary(reply: Reply) -> dict[str, Any]:
    """What a turn took: counted beforehand, reported afterwards, and what was cut for it."""
    usage = reply.usage or ck.Usage()
    return {
        "finish_reason": reply.finish_reason,
        "predicted_tokens": reply.context.tokens,
        "prompt_tokens": usage.input_tokens,
        "cached_tokens": usage.cache_read_tokens,
        "completion_tokens": usage.output_tokens,
        "edits": [
            {"kind": edit.kind, "messages": list(edit.covers), "reason": edit.reason}
            for edit in reply.context.edits
        ],
    }


@router.get("")
async def log(talk: Annotated[AsyncConversation, Depends(talk_of)]) -> dict[str, Any]:
    """All that was said, also what the model does not see any more."""
    said = [{"number": number, **message} for number, message in enumerate(talk.history)]
    return {"messages": [message for message in said if message["role"] != "system"]}


@router.get("/report")
async def report(
    talk: Annotated[AsyncConversation, Depends(talk_of)], request: Request
) -> dict[str, Any]:
    """What became of each message in the last request that was answered, and why."""
    chat: ck.AsyncChat = request.app.state.chat
    point = talk.history.decisions()[-1].point
    # What was decided at a point stands, so this is that request again; nobody is asked anything.
    context = await chat.builder.abuild(talk.history.fork(point))
    usage = talk.history.usages.get(point)
    return {**context.report.to_json(), "usage": usage.to_json() if usage else None}
