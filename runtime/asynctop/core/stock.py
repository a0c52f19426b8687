"""asyncio's own parts, as they stood before any hook: handles, and what a loop is given to run a step."""

from __future__ import annotations

import asyncio
import sys
from asyncio import base_events, events
from typing import Any

StockHandle = events.Handle
StockTimerHandle = events.TimerHandle
PyTask: Any = getattr(asyncio.tasks, "_PyTask", asyncio.Task)
"""The task class written in Python."""

stock_check_closed: Any = base_events.BaseEventLoop._check_closed  # type: ignore[attr-defined]


def first_step() -> tuple[Any, Any]:
    """A C `asyncio.Task`, and the callable with which it schedules its first step. Its type has no public
    name."""
    found: list[Any] = []

    class Loop:
        def get_debug(self) -> bool:
            return False

        def call_soon(self, callback: object, *args: object, context: object = None) -> None:
            found.append(callback)

    async def nothing() -> None: ...

    coroutine = nothing()
    loop: Any = Loop()
    # Named, or the program's first task would be "Task-2".
    task: Any = asyncio.Task(coroutine, loop=loop, name="asynctop")
    task._log_destroy_pending = False
    coroutine.close()
    return task, found.pop()  # else they would keep each other alive, and be found among the tasks


class LooksLikeStock(type):
    """Handles made before our classes took the stock classes' names are still instances of those names."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


def report(handle: Any, error: BaseException) -> None:
    """Tell the loop's exception handler of an error in a callback, in the stock `Handle._run`'s own words."""
    loop = handle._loop
    callback = asyncio.format_helpers._format_callback_source(  # type: ignore[attr-defined]
        handle._callback, handle._args, **({"debug": loop.get_debug()} if sys.version_info >= (3, 13) else {})
    )
    context = {"message": f"Exception in callback {callback}", "exception": error, "handle": handle}
    if handle._source_traceback:
        context["source_traceback"] = handle._source_traceback
    loop.call_exception_handler(context)
