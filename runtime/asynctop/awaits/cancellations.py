"""How far a task's cancellation has come: on its way, or being handled."""

from __future__ import annotations

import asyncio
import gc
import itertools
import weakref
from collections.abc import Iterable
from typing import Any

_seen: weakref.WeakKeyDictionary[asyncio.CancelledError, int] = weakref.WeakKeyDictionary()
_numbers = itertools.count(1)


def is_cancelled(task: Any) -> bool:
    """Whether its cancellation has been requested and not withdrawn."""
    return bool(task.cancelling())


def is_pending(task: Any, awaited: Iterable[Any]) -> bool:
    """Whether a cancellation of the task has yet to land: in its next poll, or first in one of the tasks that
    it waits for, `awaited`."""
    if not is_cancelled(task):
        return False
    future = getattr(task, "_fut_waiter", None)
    return (
        getattr(task, "_must_cancel", False)
        or (future is not None and future.done())
        or any(is_cancelled(each) for each in awaited)
    )


def cancellation_handled(awaitables: Iterable[Any]) -> int:
    """The number of the cancellation that has led one of these suspended coroutines into an `except` or
    `finally` block, 0 where there is none. A number is given once."""
    for awaitable in awaitables:
        for each in gc.get_referents(awaitable):
            if type(each) is asyncio.CancelledError:
                return _seen.get(each) or _seen.setdefault(each, next(_numbers))
    return 0
