"""The C core as `asynctop.core.contract` has it. What happens at each wake and poll is in the C files."""

from __future__ import annotations

import sys
import threading
import time
from array import array
from asyncio import base_events, events
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Sequence
from struct import iter_unpack
from types import FrameType
from typing import Any
from zlib import crc32

import msgpack  # type: ignore[import-untyped]

from asynctop.core.contract import RETAINED, SOUGHT, Look, Patch, Running, Wake
from asynctop.core.describe import clipped, describe, exception_text
from asynctop.core.native import _native
from asynctop.core.sites import owner
from asynctop.core.stock import LooksLikeStock, PyTask, StockHandle, StockTimerHandle, first_step, report
from asynctop_protocol import WakerSource

_native.learn(*first_step(), PyTask)
Handle, TimerHandle = _native.derive_handles(StockHandle, StockTimerHandle, LooksLikeStock, report)
for handle_class in (Handle, TimerHandle):
    handle_class.__name__ = handle_class.__name__  # without the module's name in errors, as a Python class

if sys.version_info >= (3, 14):
    StockThreadSafeHandle: type[events.Handle] = events._ThreadSafeHandle

    class ThreadSafeHandle(StockThreadSafeHandle, metaclass=LooksLikeStock):  # type: ignore[misc, valid-type]
        """The handle that `call_soon_threadsafe` makes there."""

        __slots__ = ()

        def _run(self) -> None:
            with self._lock:
                if not self._cancelled:
                    _native.run_stock(self, WakerSource.THREAD)

    ThreadSafeHandle.__name__ = StockThreadSafeHandle.__name__  # it is part of a handle's repr


_KNOWN_TURNS = {
    (3, 11): 0xEC06B29D,
    (3, 12): 0x74DBC82F,
    (3, 13): 0x14DCD6C3,
    (3, 14): 0x5102EFB9,
    (3, 15): 0xF5E9149A,
}
"""Checksums of `BaseEventLoop._run_once`, its bytecode, as turns.c knows it: any other one stays in place."""


class _TaskSlots:
    """Slots of `asyncio.Task`, as something to patch: see slots.c."""

    def __init__(self) -> None:
        vars(self)["borrowed"] = False

    def __setattr__(self, name: str, value: bool) -> None:
        super().__setattr__(name, value)
        _native.borrow_slots(value)


_task_slots = _TaskSlots()


class NativeCore:
    """See `asynctop.core.contract.Core`. Its state is the extension's."""

    name = "c"
    sends = True

    def __init__(self, threshold_ns: int, on_fault: Callable[[Exception], None]) -> None:
        self._threshold_ns = threshold_ns
        self._on_fault = on_fault
        self._begin()

    def _begin(self) -> None:
        _native.begin(
            threshold_ns=self._threshold_ns,
            retained=RETAINED,
            on_fault=self._on_fault,
            owner=owner,
            describe=describe,
            exception_text=exception_text,
            thread_name=_thread_name,
        )

    def loop_patches(self) -> Iterable[Patch]:
        """Replacements that make loops built on `BaseEventLoop` report task steps, callbacks and timers."""
        loop_class = base_events.BaseEventLoop
        yield Patch(_task_slots, "borrowed", True)
        call_soon, inner = _native.call_soon_of(loop_class)
        yield Patch(loop_class, "call_soon", call_soon)
        yield Patch(loop_class, "_call_soon", inner)
        turn = getattr(vars(loop_class)["_run_once"], "__code__", None)
        if turn is not None and crc32(turn.co_code) == _KNOWN_TURNS.get(sys.version_info[:2]):
            yield Patch(loop_class, "_run_once", _native.run_once_of(loop_class))
        yield Patch(events, "Handle", Handle)
        yield Patch(events, "TimerHandle", TimerHandle)
        if sys.version_info >= (3, 14):
            yield Patch(events, "_ThreadSafeHandle", ThreadSafeHandle)

    wrap = staticmethod(_native.wrap)
    wrapping = staticmethod(_native.wrapping)
    create_task = staticmethod(_native.create_task)
    release = staticmethod(_native.release)
    opened = staticmethod(_native.opened)
    scheduled = staticmethod(_native.scheduled)
    poll_begins = staticmethod(_native.poll_begins)
    poll_ends = staticmethod(_native.poll_ends)
    report_foreign_calls = staticmethod(_native.report_foreign_calls)
    drain = staticmethod(_native.drain)
    identify = staticmethod(_native.identify)

    def adopt(self, task: Any, loop: Any) -> None:
        """Begin the record of a task that was there before the hooks."""
        try:
            _native.adopt(task, loop)
        except Exception as error:
            self._on_fault(error)

    def restart(self) -> None:
        """The process has forked: forget everything, and begin anew."""
        _native.forget()
        self._begin()

    forget = staticmethod(_native.forget)

    begin_watch = staticmethod(_native.begin_watch)
    end_watch = staticmethod(_native.end_watch)

    def watch(self) -> Look | None:
        """Wait until there is something to see. None once the watch has ended."""
        found = _native.watch()
        if found is None:
            return None
        due, previous, busy = found
        now = time.monotonic_ns()
        return Look(now, max(now - due, 0), previous, busy)

    def running(self) -> list[Running]:
        """What each loop's thread is in at this moment; idle loops are left out."""
        return [_named(*each) for each in _native.running()]

    def long_polls(self) -> list[Running]:
        """Polls and callbacks past the threshold that ended since the last call."""
        return [_named(*each) for each in _native.long_polls()]

    long_polls_wait = staticmethod(_native.long_polls_wait)

    def loops(self) -> dict[int, Any]:
        """The open loops, by number."""
        return dict(_native.loops())

    def poll_frames(self, running: Running) -> list[FrameType]:
        """The frames of a poll or callback that runs, innermost first; none where it has ended."""
        frames: list[FrameType] = []
        depth = _native.poll_depth(running.loop)
        frame = sys._current_frames().get(running.thread)
        while frame is not None and len(frames) < depth:
            frames.append(frame)
            frame = frame.f_back
        return frames

    def tasks_of(self, loop: int, wanted: Collection[int] = ()) -> Iterator[tuple[int, Hashable]]:
        """The loop's live tasks that are wanted, or all: their ids, and what `find` knows them by."""
        return iter_unpack("=2q", _native.tasks_of(loop, array("q", sorted(wanted))))

    def find(self, keys: Iterable[tuple[int, Hashable]]) -> list[tuple[int, Any]]:
        """Those that still live, with the task objects. On the thread of their loop only."""
        found = ((number, _native.find(number, address)) for number, address in keys)
        return [(number, task) for number, task in found if task is not None]

    def wake(self, loop: Any) -> Wake | None:
        """What the loop of this thread is polling, and who woke that; None where it is in no poll."""
        found = _native.wake(loop)
        return Wake(*found) if found is not None else None

    def task(self, number: int) -> Any:
        """The live task with this id; None where it has ended, or is not among the first `SOUGHT`."""
        return _native.task(number, SOUGHT)

    def cursor(self) -> NativeCursor:
        """A cursor for a new console, at the beginning."""
        return NativeCursor()

    def tell_faults(self, faults: list[str]) -> None:
        """What each tick says of what has failed."""
        _native.tell_faults(msgpack.packb(faults, unicode_errors="backslashreplace"))

    start = staticmethod(_native.start_sender)
    stop = staticmethod(_native.stop_sender)
    outlet = staticmethod(_native.Outlet)


class NativeCursor:
    """How far one console has been told."""

    def __init__(self) -> None:
        self._cursor = _native.Cursor()

    def frames(self, *, last: bool = True) -> Iterator[bytes]:
        """See `asynctop.core.contract.Cursor`; each batch tells all there is."""
        self._cursor.begin()
        return iter(self._cursor.next, b"")

    def watch(self, tasks: Sequence[int]) -> None:
        """Tell of the polls of these tasks from now on, and of no other ones."""
        self._cursor.watch(tasks)

    def trace(self, after: int | None) -> None:
        """Tell of every poll from now on; None: no more."""
        if after is None:
            self._cursor.untrace()
        else:
            self._cursor.trace(after)


def _named(loop: int, task: int, kind: int, name: Any, *rest: Any) -> Running:
    return Running(loop, task, kind, clipped(name), *rest)


def _thread_name(identifier: int) -> str:
    """The name of a thread; empty where `threading` does not know it."""
    thread = threading._active.get(identifier)  # type: ignore[attr-defined]
    return thread.name if thread is not None else ""
