"""What a loop is given to run next: the wakes of tasks, among them the one that begins a task, and plain
callbacks.

As in `tasks`, no function here may raise on its own account.
"""

from __future__ import annotations

import functools
import sys
from _thread import get_ident
from asyncio import format_helpers
from asyncio.constants import DEBUG_STACK_DEPTH
from collections.abc import Callable
from contextvars import copy_context
from time import monotonic_ns
from types import BuiltinMethodType, MethodType
from typing import Any

from asynctop.core.methods import wrapping_method
from asynctop.core.python.handles import Callback, Handle, fault, foreign_call, is_foreign, set_timer
from asynctop.core.python.records import loop_stats
from asynctop.core.python.spawns import spawn
from asynctop.core.python.tasks import DebugHandle, Step, TaskRecord, records
from asynctop.core.stock import PyTask, StockHandle, first_step
from asynctop.core.tracebacks import leave_out
from asynctop_protocol import WakerSource

# A member of an enumeration costs several attribute look-ups at each use.
CALLBACK, THREAD = WakerSource.CALLBACK, WakerSource.THREAD
_new = object.__new__
_find = records.get


_CStep = type(first_step()[1])
_PY_STEPS = {PyTask.__dict__.get("_Task__step"), PyTask.__dict__.get("_Task__wakeup")} - {None}


def is_step(callback: Any) -> bool:
    """Whether a loop's callback is a step of a task: its `__self__` is the task then."""
    kind = type(callback)
    return (
        kind is _CStep
        or (kind is BuiltinMethodType and callback.__name__ == "task_wakeup")
        or (kind is MethodType and callback.__func__ in _PY_STEPS)
    )


def call_soon_for(stock: Callable[..., Any]) -> Callable[..., Any]:
    """What to put in place of `BaseEventLoop.call_soon`, which is `stock`: the same with fewer calls."""

    @functools.wraps(stock)
    def call_soon(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        try:
            quick = not self._debug and not self._closed and self._asynctop_stats.stock_checks
        except AttributeError:  # it is new
            quick = False
        if quick:
            return self._call_soon(callback, args, context)
        try:
            handle = stock(self, callback, *args, context=context)
        except BaseException as error:
            leave_out(error)
            raise
        if handle._source_traceback:
            del handle._source_traceback[-1]  # this frame
        return handle

    return call_soon


def call_soon(loop: Any, callback: Any, args: Any, context: Any) -> Any:
    """In place of `BaseEventLoop._call_soon`: through here goes every wake, every spawn and every plain
    callback."""
    # The same test as `is_step`, whose call would cost a tenth of the whole wake.
    kind = type(callback)
    if (
        kind is _CStep
        or (kind is BuiltinMethodType and callback.__name__ == "task_wakeup")
        or (kind is MethodType and callback.__func__ in _PY_STEPS)
    ):
        try:
            handle: Any = woken(loop, callback)
        except Exception as error:
            fault(error)
            handle = StockHandle(callback, args, loop, context)
            loop._ready.append(handle)
            return handle
        handle._context = context
        handle._callback = callback
        handle._args = args
        # A task that wakes itself does so in its own thread.
        foreign = handle.stats.current is not handle and get_ident() != loop._thread_id and is_foreign(loop)
        if loop._debug:
            handle = DebugHandle(handle, callback, args, loop, context)
    else:
        handle = _new(Handle)
        handle._context = copy_context() if context is None else context
        handle._loop = loop
        handle._callback = callback
        handle._args = args
        handle._cancelled = False
        handle._repr = handle._source_traceback = None
        try:
            handle.turn = loop._asynctop_stats.turns
        except AttributeError:
            handle.turn = loop_stats(loop).turns
        foreign = get_ident() != loop._thread_id and is_foreign(loop)
        handle.source = THREAD if foreign else CALLBACK
        if loop._debug:
            # One more than the usual: a frame of ours is among them, and is taken out.
            handle._source_traceback = format_helpers.extract_stack(sys._getframe(1), DEBUG_STACK_DEPTH + 1)
    loop._ready.append(handle)
    if foreign and sys._getframe(1).f_code.co_name != "call_soon_threadsafe":
        foreign_call(loop, callback)
    return handle


def woken(loop: Any, callback: Any) -> TaskRecord:
    """The record of the task whose step is `callback`, now scheduled."""
    task = callback.__self__
    record = _find(id(task))
    if record is None:
        record = spawn(task, loop)
        if type(callback) is BuiltinMethodType and record.stats.current is not record:
            record.polls = 1  # started eagerly by its maker: its first poll is over, and nobody saw it
            record.kind_stats.histogram[0] += 1
        return record
    stats = record.stats
    current = stats.current
    if current is record:
        record.self_wakes += 1  # it waits from the end of its poll on: see `settle`
        stats.waker_before = record.waker
    else:
        record.since = monotonic_ns()
    record.waker = current.id
    if not record.dirty:
        record.dirty = True
        record.name = task.get_name()
        stats.changed.append(record)
    return record


_OWN_THREADS = (CALLBACK, WakerSource.TIMER)
"""What is for the loop's own thread to ask for."""


def wrap(loop: Any, callback: Callable[..., object], source: WakerSource) -> Callable[..., object]:
    """What to give to a loop with handles of its own in place of `callback`."""
    try:
        stats = loop_stats(loop)
        if stats.closed:
            return callback  # the loop is about to refuse it
        # One such method calls another: uvloop's call_at its call_later.
        if type(callback) is Callback:
            return callback
        record = woken(loop, callback) if is_step(callback) else None
        if source in _OWN_THREADS and stats.thread not in (None, get_ident()):
            foreign_call(loop, callback)
        if record is None:
            if source is WakerSource.TIMER:
                set_timer(stats)
            return Callback(callback, source, stats)
    except Exception as error:
        fault(error)
        return callback
    record._callback = callback
    return Step(record, callback)


def wrapping(method: Callable[..., Any], position: int, source: WakerSource) -> Callable[..., Any]:
    """What to put in place of a loop class's `method`, which takes a callback at `position` or by name."""
    return wrapping_method(wrap, method, position, source)
