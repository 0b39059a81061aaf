"""Async objects used as if they were sync: one suite of tests then holds for both."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Iterator
from functools import wraps
from typing import Any, Self

from pydantic import BaseModel


class Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self.loop.shutdown_asyncgens())
        self.run(self.loop.shutdown_default_executor())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


class Blocking:
    """Every coroutine of an object is waited for, and what it gives is wrapped again."""

    def __init__(self, thing: Any, loop: Loop) -> None:
        self._thing = thing
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._thing, name)
        if not callable(value) or isinstance(value, type):
            return self._wrapped(value)

        @wraps(value)
        def call(*arguments: Any, **options: Any) -> Any:
            given = value(*arguments, **options)
            if inspect.isawaitable(given):
                given = self._loop.run(_awaited(given))
            return self._wrapped(given)

        return call

    def __enter__(self) -> Any:
        return self._wrapped(self._loop.run(self._thing.__aenter__()))

    def __exit__(self, *exception: object) -> Any:
        return self._loop.run(self._thing.__aexit__(*exception))

    def __iter__(self) -> Iterator[Any]:
        return self._read(self._thing.__aiter__())

    def _read(self, items: Any) -> Iterator[Any]:
        async def following() -> Any:  # StopIteration cannot leave a coroutine
            return await anext(items, self)

        async def left() -> None:
            await items.aclose()

        try:
            while (item := self._loop.run(following())) is not self:
                yield item
        finally:
            self._loop.run(left())

    def _wrapped(self, value: Any) -> Any:
        is_async = (
            any(hasattr(value, name) for name in ("__aenter__", "__aiter__"))
            or inspect.iscoroutinefunction(getattr(value, "send", None))
            or (
                any(base.__module__.startswith("openai.") for base in type(value).__mro__)
                and not isinstance(value, BaseModel)
            )
        )
        return Blocking(value, self._loop) if is_async else value


async def _awaited(value: Any) -> Any:
    return await value
