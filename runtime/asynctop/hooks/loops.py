"""Hooks for event loops: those built on asyncio's `BaseEventLoop`, and uvloop's.

A stock loop looks its handle classes up by name each time it makes one, so patching the names covers loops
that already run. uvloop's handles are its own and cannot be replaced: there the callback is wrapped.
"""

from __future__ import annotations

import sys
import weakref
from asyncio import base_events
from collections.abc import Iterator
from functools import partial, wraps
from types import MethodType
from typing import Any

from asynctop.core.contract import Core, Patch
from asynctop.core.methods import wrapping_method
from asynctop.core.tracebacks import leave_out, leave_out_of_source
from asynctop_protocol import WakerSource


def patches(core: Core) -> Iterator[Patch]:
    """All patches for the loops of this process."""
    yield from core.loop_patches()
    yield from _common(core, base_events.BaseEventLoop)
    if sys.modules.get("uvloop") is not None:
        yield from uvloop_patches(core)


def uvloop_patches(core: Core) -> Iterator[Patch]:
    """Patches for uvloop, which has been imported."""
    loop_class = sys.modules["uvloop"].Loop
    for name, (position, source) in _UVLOOP_METHODS.items():
        # uvloop refuses a coroutine function as a signal's handler, and would not know it once wrapped.
        wrapping = core.wrapping if source is not WakerSource.SIGNAL else partial(wrapping_method, core.wrap)
        yield Patch(loop_class, name, wrapping(getattr(loop_class, name), position, source))
    yield from _common(core, loop_class)


_UVLOOP_METHODS = {
    "call_soon": (1, WakerSource.CALLBACK),
    "call_soon_threadsafe": (1, WakerSource.THREAD),
    "call_later": (2, WakerSource.TIMER),
    "call_at": (2, WakerSource.TIMER),
    "add_reader": (2, WakerSource.IO),
    "add_writer": (2, WakerSource.IO),
    "add_signal_handler": (2, WakerSource.SIGNAL),
}
"""Methods that take a callback: at which position after the loop, and what it means to be run by it."""


def _common(core: Core, loop_class: Any) -> Iterator[Patch]:
    """What goes for every loop class: loops that close, and task factories."""
    close = loop_class.close
    set_task_factory = loop_class.set_task_factory

    @wraps(close)
    def patched_close(self: Any) -> None:
        try:
            close(self)
        except BaseException as error:
            leave_out(error)
            raise
        core.release(self)

    @wraps(set_task_factory)
    def patched_set_task_factory(self: Any, factory: Any) -> None:
        try:
            set_task_factory(self, factory)
        except BaseException as error:
            leave_out(error)
            raise
        watch_factory(core, self)

    yield Patch(loop_class, "close", patched_close)
    yield Patch(loop_class, "set_task_factory", patched_set_task_factory)


_watched: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
"""The loops that were given a `create_task` of ours, and its function."""


def watch_factory(core: Core, loop: Any) -> None:
    """A task factory may be eager and run polls that never meet the loop: see to it that they are counted.

    Only a loop that has a factory pays for this. A `create_task` that the program has put on the loop stays.
    """
    _unwatch(loop)
    if loop.get_task_factory() is None or "create_task" in vars(loop):
        return
    create = type(loop).create_task

    @wraps(create)
    def create_task(self: Any, coro: Any, **kwargs: Any) -> Any:
        try:
            task = core.create_task(self, partial(create, self), coro, kwargs)
            leave_out_of_source(task)
            return task
        except BaseException as error:
            leave_out(error)
            raise
        finally:
            task = coro = None  # a traceback may keep this frame: it must not keep the task

    loop.create_task = MethodType(create_task, loop)
    _watched[loop] = create_task


def _unwatch(loop: Any) -> None:
    ours = _watched.pop(loop, None)
    if ours is not None and getattr(vars(loop).get("create_task"), "__func__", None) is ours:
        del loop.create_task


def unwatch_factories() -> None:
    """Undo every `watch_factory`."""
    for loop in tuple(_watched):
        _unwatch(loop)
