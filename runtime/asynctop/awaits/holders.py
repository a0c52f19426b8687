"""Whether anybody holds a suspended task: told by how many references there are to it, less those that belong
to its own waiting. A task that nobody holds lives by the grace of what it waits for.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from sys import getrefcount
from typing import Any

from asynctop.awaits.chain import Reading
from asynctop.awaits.held import managers


def references(tasks: list[tuple[int, Any]]) -> list[int]:
    """How many references there are to each of these tasks, besides those of the list.

    To be asked before anything else of ours refers to them."""
    return [getrefcount(task) - _OURS for _, task in tasks]


_OURS = 0
_OURS = references([(0, object())])[0]


def is_held(reading: Reading, count: int) -> bool:
    """Whether more than its own waiting refers to a task, to which there were so many references."""
    task, path, future, _ = reading
    if future is None:
        return True  # it is about to run, or runs
    own = 1  # the future's callback, which is to wake it
    own += _times(task, getattr(future, "_asyncio_awaited_by", None) or ())  # from 3.14 on
    for step in path:
        own += _times(task, gc.get_referents(step.awaitable))
        for manager in managers(step.awaitable):  # timeouts and task groups
            own += _times(task, gc.get_referents(manager))
    return count > own


def _times(task: Any, referents: Iterable[Any]) -> int:
    return sum(each is task for each in referents)
