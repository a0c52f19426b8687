"""Hooks for event loops: those built on asyncio's `BaseEventLoop`, and uvloop's.

A stock loop looks its handle classes up by name each time it makes one, so patching the names covers loops
that already run. uvloop's handles are its own and cannot be replaced: there the callback is wrapped.
"""

from __future__ import annotations

import sys
import weakref
from asyncio import base_events
from collections.abc import Iterator
from functools import partial
from typing import Any

from asynctop.core.contract import Core, Patch
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
        yield Patch(loop_class, name, core.wrapping(getattr(loop_class, name), position, source))
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

    def patched_close(self: Any) -> None:
        close(self)
        core.release(self)

    def patched_set_task_factory(self: Any, factory: Any) -> None:
        set_task_factory(self, factory)
        watch_factory(core, self)

    yield Patch(loop_class, "close", patched_close)
    yield Patch(loop_class, "set_task_factory", patched_set_task_factory)


_watched: weakref.WeakSet[Any] = weakref.WeakSet()
"""The loops whose `create_task` is ours."""


def watch_factory(core: Core, loop: Any) -> None:
    """A task factory may be eager and run polls that never meet the loop: see to it that they are counted.

    Only a loop that has a factory pays for this.
    """
    if loop.get_task_factory() is None:
        if loop in _watched:
            _watched.remove(loop)
            del loop.create_task
        return
    create = type(loop).create_task

    def create_task(coro: Any, **kwargs: Any) -> Any:
        return core.create_task(loop, partial(create, loop), coro, kwargs)

    loop.create_task = create_task
    _watched.add(loop)


def unwatch_factories() -> None:
    """Undo every `watch_factory`."""
    for loop in tuple(_watched):
        vars(loop).pop("create_task", None)
    _watched.clear()
