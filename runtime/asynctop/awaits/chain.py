"""A task's await chain: its suspended frames, from its own coroutine down to what it waits for.

Everything is read, and nothing is run: no property, no method of the program's own objects.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

from asynctop.awaits.cancellations import cancellation_handled, is_pending
from asynctop.awaits.held import Held, has_deadline, held_in
from asynctop.awaits.reach import Waiter
from asynctop.awaits.waits import Wait, wait_of
from asynctop.core.sites import OWN_DIRECTORY
from asynctop.core.suspended import Step, steps
from asynctop.stacks import MAX_FRAMES, frame_of
from asynctop_protocol import Chain, Holding, Waiting

MOST_AWAITED = 1000
"""Awaited tasks that are told: of a larger crowd nobody reads more."""

MOST_HELD = 50
"""Held resources that are told."""


class Reading(NamedTuple):
    """A suspended task, as it was found."""

    task: Any
    path: list[Step]
    future: Any
    """What it is suspended on; None where it is not suspended."""
    wait: Wait | None


def read(task: Any) -> Reading:
    """What a task is suspended in and on. On its loop's thread."""
    path = [
        step for step in steps(task.get_coro()) if not step.frame.f_code.co_filename.startswith(OWN_DIRECTORY)
    ]
    future = getattr(task, "_fut_waiter", None)
    wait = wait_of(future, [step.frame for step in path]) if future is not None else None
    return Reading(task, path, future, wait)


def await_chain(number: int, reading: Reading, identify: Callable[[Any], int]) -> Chain:
    """Down from the task's coroutine to what it waits for. On its loop's thread, at once after `read`.

    `identify` gives the id of a task, 0 for one that is not known.
    """
    task, path, _, wait = reading
    kept = path[-MAX_FRAMES:]
    holds = []
    below: FrameType | None = None
    for index, step in reversed(list(enumerate(kept))):
        holds += [
            Holding(each.type, each.id, each.description, index)
            for each in held_in(step.awaitable, below)
            if not _lets_go(each, kept[index + 1 :])
        ]
        below = step.frame
    return Chain(
        task=number,
        frames=[frame_of(step.frame) for step in kept],
        waiting_on=_waiting(wait, identify) if wait else None,
        depth=len(path),
        awaits=[known for each in wait.tasks[:MOST_AWAITED] if (known := identify(each))] if wait else [],
        any_of=wait.any_of if wait else False,
        holds=holds[:MOST_HELD],
        cancelling=task.cancelling(),
        cancellation_pending=is_pending(task, wait.tasks if wait else ()),
        handles_cancellation=cancellation_handled(step.awaitable for step in kept),
    )


_LASTING = ("event", "queue", "semaphore", "condition", "lock", "barrier")
"""What one may wait for in vain: somebody must use it."""


def waiter(number: int, reading: Reading) -> Waiter | None:
    """The task as one of those that only others can wake; None where it is not, or has set itself a time."""
    task, path, future, wait = reading
    if wait is None or wait.any_of or future.done() or any(has_deadline(step.awaitable) for step in path):
        return None
    if wait.tasks:
        return Waiter(number, task, future, None, wait.tasks)
    if wait.type not in _LASTING or _is_nobodys(wait.subject, path[-1]):
        return None
    return Waiter(number, task, future, wait.subject, [])


def _is_nobodys(resource: Any, step: Step) -> bool:
    """Whether only the coroutine that waits for it refers to a resource: one says `await Event().wait()`
    where one means to wait until one is cancelled."""
    holders = (step.awaitable, step.frame.f_locals)
    held = sum(each is resource for holder in holders for each in gc.get_referents(holder))
    ours = 3  # the wait's, this function's, and that of the call
    return sys.getrefcount(resource) - ours <= held


def _lets_go(held: Held, below: list[Step]) -> bool:
    """Whether it is a condition, which is let go of as long as one waits for it to be notified."""
    return held.type == "condition" and any(
        step.frame.f_code is asyncio.Condition.wait.__code__
        and id(getattr(step.frame.f_locals.get("self"), "_lock", None)) == held.id
        for step in below
    )


def _waiting(wait: Wait, identify: Callable[[Any], int]) -> Waiting:
    number = identify(wait.subject) if wait.type == "task" else id(wait.subject)
    return Waiting(wait.type, number, wait.description, attributes=wait.attributes)
