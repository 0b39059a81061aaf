"""The application: what it opens when it starts, and closes again when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from openai import AsyncOpenAI

import contextkit as ck
from contextkit.providers.local import LocalServer
from examples.fastapi_chat import conversations
from examples.fastapi_chat.problems import answer_with_problems
from examples.fastapi_chat.settings import Settings
from examples.fastapi_chat.users import Users


def create_app(settings: Settings) -> FastAPI:
    """The application for some settings. Nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            app.state.users = Users(settings.users)
            app.state.queues = conversations.Queues(settings.patience)
            app.state.server = None
            if settings.model is None:
                server = LocalServer(n_ctx=settings.limit + settings.reply, slots=2, ram_cache=256)
                await asyncio.to_thread(server.start)
                stack.callback(server.stop)
                app.state.server = server
                client = server.aclient()
            else:
                client = AsyncOpenAI(api_key=settings.key, base_url=settings.base_url, timeout=60.0)
            await stack.enter_async_context(client)
            app.state.chat = await stack.enter_async_context(_chat(settings, client))
            yield

    app = FastAPI(
        title="contextkit: an example backend", lifespan=lifespan, max_body_size=settings.body
    )
    app.include_router(conversations.router)
    answer_with_problems(app)

    @app.get("/", include_in_schema=False)
    def page() -> FileResponse:
        return FileResponse(Path(__file__).with_name("page.html"))

    @app.get("/health")
    def health(request: Request) -> JSONResponse:
        """Whether messages can be answered, as far as this process knows."""
        server: LocalServer | None = request.app.state.server
        if server is not None and not server.alive:
            return JSONResponse({"status": "the embedded model has ended"}, 503)
        return JSONResponse({"status": "ok", "model": request.app.state.chat.builder.model})

    return app


def _chat(settings: Settings, client: AsyncOpenAI) -> ck.AsyncChat:
    """One for all users: which conversation is meant, its scope says."""
    return ck.AsyncChat(
        client,
        model=settings.model or LocalServer.model,
        store=settings.store,
        system=settings.system,
        limit=settings.limit,
        options={"max_tokens": settings.reply} if settings.model is None else {},
    )
