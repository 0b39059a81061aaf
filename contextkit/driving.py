"""Driving: completes what a generator of steps asks for, in sync and in async code.

The two drivers differ by the thread that something blocking works in, and one `await`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from contextkit.errors import InputError, ScopeError
from contextkit.phases import Failed
from contextkit.strategies.base import Need

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class StoreCall:
    """A call to the store; what fails there is not passed over."""

    call: Callable[[], Any]


Steps = Generator[Need | StoreCall, Any, Result]
"""Yields what it asks for, and is sent what came or a `Failed`."""


def drive(steps: Steps[Result], use: str = "abuild, not build") -> Result:
    """Complete all steps.

    Args:
        use: what takes something async, in words.

    Raises:
        InputError: when something that was asked for is async.
    """
    try:
        need = next(steps)
        while True:
            if isinstance(need, Need) and need.after is not None:
                need.after.wait()
            try:
                result = need.call()
            except Exception as error:  # noqa: BLE001 - whatever fails outside is reported
                result = Failed(error)
            if inspect.isawaitable(result):
                _close(result)
                steps.close()
                raise InputError(f"is async: use {use}", place=_what(need))
            need = steps.send(result)
    except StopIteration as stop:
        completed: Result = stop.value
        return completed
    finally:
        steps.close()


async def drive_async(steps: Steps[Result]) -> Result:
    """Complete all steps; what blocks works in a thread."""
    try:
        need = next(steps)
        while True:
            if isinstance(need, Need) and need.after is not None:
                await need.after.wait_async()
            try:
                result = await _in_thread(need.call)
                if inspect.isawaitable(result):
                    result = await result
            except Exception as error:  # noqa: BLE001 - whatever fails outside is reported
                result = Failed(error)
            need = steps.send(result)
    except StopIteration as stop:
        completed: Result = stop.value
        return completed
    finally:
        steps.close()  # where it was cancelled: what has to be put right is, at once


async def _in_thread(call: Callable[[], Any]) -> Any:
    """What a call gives that works in a thread; where nobody waits any more, it is closed."""
    import asyncio

    left, given = False, []

    def called() -> Any:
        given.append(call())
        if left:
            _close(given[0])
        return given[0]

    try:
        return await asyncio.to_thread(called)
    except asyncio.CancelledError:
        left = True
        for result in given:  # it had come already
            _close(result)
        raise


def drive_unscoped(steps: Steps[Result]) -> Result:
    """Complete steps for a plain list without a scope, which may ask for nothing from outside.

    Raises:
        ScopeError: when something is asked for.
    """
    try:
        need = next(steps)
    except StopIteration as stop:
        completed: Result = stop.value
        return completed
    steps.close()
    raise ScopeError(
        f"a plain list without a scope cannot have a {_what(need)}: pass "
        "build(messages, scope=Scope(tenant, user, conversation)) or keep a History"
    )


def _what(need: Need | StoreCall) -> str:
    return need.what if isinstance(need, Need) else "store"


def _close(awaitable: Any) -> None:
    close = getattr(awaitable, "close", None)
    if close is not None:
        close()
