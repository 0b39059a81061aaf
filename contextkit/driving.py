"""Driving: completes what a generator of steps asks for, in sync and in async code.

The two drivers differ by the thread that something blocking works in, and one `await`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from queue import Empty, Queue
from threading import Thread
from typing import Any, TypeVar

from contextkit.errors import DeadlinePassed, InputError, ScopeError
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
                if isinstance(need, Need) and need.seconds is not None:
                    result = _within(need.seconds, need)
                else:
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
                if isinstance(need, Need) and need.seconds is not None:
                    result = await _within_async(need.seconds, need)
                else:
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


def _within(seconds: float, need: Need) -> Any:
    """What a call gives within its time.

    Raises:
        DeadlinePassed: it takes longer; it goes on in its thread, which nobody waits for.
    """
    came: Queue[_Came] = Queue(maxsize=1)
    _start(need, came.put)
    try:
        return came.get(timeout=seconds).result()
    except Empty:
        raise DeadlinePassed(need.what, seconds) from None


async def _within_async(seconds: float, need: Need) -> Any:
    """The same, awaited where that is to be; the rest of an awaitable is then cancelled."""
    import asyncio

    loop = asyncio.get_running_loop()
    came: asyncio.Future[_Came] = loop.create_future()

    def arrived(outcome: _Came) -> None:
        if came.done():  # nobody waits any more
            _close(outcome.given)
        else:
            came.set_result(outcome)

    def hand_over(outcome: _Came) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(arrived, outcome)

    try:
        async with asyncio.timeout(seconds) as limit:
            # Not in the pool of the loop: who never comes back would keep one of its threads.
            _start(need, hand_over)
            result = (await came).result()
            return await result if inspect.isawaitable(result) else result
    except TimeoutError:
        if not limit.expired():
            raise
        raise DeadlinePassed(need.what, seconds) from None


@dataclass(frozen=True, slots=True)
class _Came:
    """What came of a call."""

    given: Any
    error: Exception | None = None

    def result(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.given


def _start(need: Need, tell: Callable[[_Came], object]) -> None:
    """Call in a thread of its own, which keeps nobody from ending."""

    def called() -> None:
        try:
            outcome = _Came(need.call())
        except Exception as error:  # noqa: BLE001 - raised where somebody waits
            outcome = _Came(None, error)
        except BaseException as error:  # noqa: BLE001 - a panic of Rust code is no Exception
            outcome = _Came(None, RuntimeError(type(error).__name__))
        tell(outcome)

    # In the context of the caller: traces and credentials of a request are kept there.
    run = partial(copy_context().run, called)
    Thread(target=run, name=f"contextkit {need.what}", daemon=True).start()


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
