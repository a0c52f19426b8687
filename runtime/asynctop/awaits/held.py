"""What a suspended coroutine holds: the resources of the `with` and `async with` blocks that it is in, and
those that it has taken by hand.

While a block runs, the interpreter keeps the manager's `__exit__` or `__aexit__` on the coroutine's stack,
and what is on that stack is what the garbage collector is told that the coroutine refers to.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import gc
from collections.abc import Iterator
from types import BuiltinMethodType, FrameType, FunctionType, MethodType
from typing import Any, NamedTuple

from asynctop.awaits.by_hand import taken_by_hand

_EXITS = ("__aexit__", "__exit__")
_ENTERS = ("__aenter__", "__enter__")

_FRAMES = ("cr_frame", "gi_frame", "ag_frame")

_TYPES: dict[type[Any], str] = {
    asyncio.Lock: "lock",
    asyncio.Condition: "condition",
    asyncio.Semaphore: "semaphore",
    asyncio.BoundedSemaphore: "semaphore",
    _thread.LockType: "thread lock",
    _thread.RLock: "thread lock",
}
"""What can be held. A `threading.Lock` is a "thread lock"."""

DEEPEST = 8
"""Context managers written as generators within each other."""


class Held(NamedTuple):
    """One resource that is held."""

    type: str
    id: int
    description: str


def held_in(awaitable: Any, below: FrameType | None, deep: int = 0) -> Iterator[Held]:
    """What one suspended coroutine or generator holds; `below` is the frame that it waits in."""
    for manager in managers(awaitable):
        if below is None or below.f_code.co_name not in _ENTERS or below.f_locals.get("self") is not manager:
            yield from _held_by(manager, deep)  # else it is on its way in
    frame = next((frame for name in _FRAMES if (frame := getattr(awaitable, name, None))), None)
    if frame is not None:
        for resource in taken_by_hand(frame):
            if (found := _held(resource)) is not None and _is_taken(resource):
                yield found


def _held_by(manager: Any, deep: int) -> Iterator[Held]:
    """What is held by being in a manager's block."""
    if isinstance(manager, contextlib._GeneratorContextManagerBase):
        if deep < DEEPEST:
            yield from held_in(manager.gen, None, deep + 1)
    elif isinstance(manager, contextlib._BaseExitStack):
        for _, leave in list(manager._exit_callbacks):  # type: ignore[attr-defined]
            if isinstance(leave, MethodType) and deep < DEEPEST:
                yield from _held_by(leave.__self__, deep + 1)
    elif (found := _held(manager)) is not None:
        yield found


def _is_taken(resource: Any) -> bool:
    """Whether anybody has it, as far as can be told."""
    if isinstance(resource, asyncio.Lock | asyncio.Condition | _thread.LockType):
        return resource.locked()
    return True


def managers(awaitable: Any) -> Iterator[Any]:
    """The context managers whose blocks it is inside of, outermost first."""
    alone = False
    for each in gc.get_referents(awaitable):
        if isinstance(each, MethodType | BuiltinMethodType):
            if each.__name__ in _EXITS and each.__self__ is not None:
                yield each.__self__
        elif isinstance(each, FunctionType):  # from 3.14 on, the function lies beside the manager
            alone = each.__name__ in _EXITS
        elif alone:
            alone = False
            yield each


def _held(manager: Any) -> Held | None:
    for kind in type(manager).__mro__:
        if (name := _TYPES.get(kind)) is not None:
            # Who waits to enter a condition's block waits for its lock.
            return Held(name, id(manager._lock if name == "condition" else manager), described(manager))
    # A condition built on a lock of the standard library's `threading`, and subclasses thereof.
    lock = getattr(manager, "_lock", None) if type(manager).__module__ == "threading" else None
    return Held("thread lock", id(lock), described(manager)) if lock is not None else None


_DEADLINES = ("Timeout", "CancelScope")
"""Classes of context managers, asyncio's and others', that end what they are around when it is time."""


def has_deadline(awaitable: Any) -> bool:
    """Whether it is inside of a block that a timer may end."""
    return any(type(manager).__name__ in _DEADLINES for manager in managers(awaitable))


def described(resource: Any) -> str:
    """What a resource is called: "asyncio.Lock"."""
    kind = type(resource)
    module = kind.__module__.partition(".")[0]
    name = "threading." + kind.__name__.title() if module == "_thread" else f"{module}.{kind.__qualname__}"
    return {"threading.Lock": "threading.Lock", "threading.Rlock": "threading.RLock"}.get(name, name)
