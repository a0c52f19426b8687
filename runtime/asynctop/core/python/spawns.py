"""Tasks that begin: their records and kinds. They are made where the loop first hears of a task, where a task
factory makes it, or where it was there before the hooks.

As in `tasks`, no function here may raise on its own account.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import weakref
from collections.abc import Callable
from time import monotonic_ns
from typing import Any

from asynctop.core.describe import code_of
from asynctop.core.python.handles import fault, foreign_call, is_foreign
from asynctop.core.python.records import NOTHING, KindInfo, KindStats, LoopStats, loop_stats, registry
from asynctop.core.python.tasks import TaskRecord, finish, records, settle
from asynctop.core.sites import USER, depths, owner, spawn_site
from asynctop.core.tracebacks import leave_out

_new = object.__new__
_getframe = sys._getframe
_find_depth = depths.get
_next_id = itertools.count(1).__next__


def spawn(task: Any, loop: Any) -> TaskRecord:
    """Begin the record of a task whose first step is being scheduled."""
    try:
        stats = loop._asynctop_stats
    except AttributeError:
        stats = loop_stats(loop)
    current = stats.current
    coroutine = task.get_coro()
    if type(current) is not TaskRecord or current.key:
        record = _new_record(stats, _kind_of(stats, coroutine, loop), loop)
        record.parent = record.waker = current.id
    elif current.ref is coroutine:  # being made by create_task, below
        record = current
        if getattr(coroutine, "cr_suspended", False):  # its first poll made it ready for the next
            stats.waker_before, record.waker = record.waker, record.id
            record.self_wakes = 1
    else:
        record = _new_record(stats, _kind_of(stats, coroutine, loop), loop)
        running = getattr(current.ref, "cr_running", False)
        record.parent = record.waker = current.id if running else current.waker
    _register(record, task)
    return record


def _new_record(stats: LoopStats, kind_stats: KindStats, loop: Any) -> TaskRecord:
    """A record without a task. The rest of its fields is set by `_register`, at the first step, or by the
    collector."""
    record: TaskRecord = _new(TaskRecord)
    record._loop = loop
    record._cancelled = False
    record._callback = record._repr = record._source_traceback = record.ref = record.name = None
    record.details = None
    record.id = _next_id()
    record.stats = stats
    record.kind_stats = kind_stats
    record.exception = None
    record.key = record.polls = record.busy_ns = record.scheduled_ns = record.max_poll_ns = 0
    record.self_wakes = record.ended_ns = record.outcome = record.born = 0
    record.created_ns = record.since = monotonic_ns()
    return record


def _register(record: TaskRecord, task: Any) -> None:
    """`record` is `task`'s from now on."""
    record.kind_stats.spawned += 1
    record.key = key = id(task)
    records[key] = record
    record.dirty = True  # the collector finds it among `records`


def _kind_of(stats: LoopStats, coroutine: Any, loop: Any) -> KindStats:
    try:
        code = coroutine.cr_code
    except AttributeError:
        code = code_of(coroutine) or type(coroutine)
    try:
        factory = loop._task_factory
    except AttributeError:
        factory = loop.get_task_factory() if stats.runs is None else None
    code_id = id(code)
    depth = _find_depth(code_id)
    if depth is not None and factory is None:
        # As far up the stack as last time: one frame is looked at, and no name of a file.
        try:
            frame = _getframe(depth)
            kind = stats.kinds.get((code_id, id(frame.f_code), frame.f_lasti))
            if kind is not None and kind.by_user:
                return kind
        except ValueError:
            pass  # the stack is not that deep this time
    found = spawn_site(code_id, factory)
    if found is None:
        return stats.kinds.get((code_id, 0, 0)) or _new_kind(
            stats, (code_id, 0, 0), coroutine, code, (None, 0)
        )
    site = found.f_code
    key = (code_id, id(site), found.f_lasti)
    return stats.kinds.get(key) or _new_kind(stats, key, coroutine, code, (site, found.f_lineno))


def _new_kind(
    stats: LoopStats, key: tuple[int, int, int], coroutine: Any, code: Any, site: tuple[Any, int]
) -> KindStats:
    spawned_in, line = site
    info = KindInfo(
        getattr(coroutine, "__qualname__", None) or type(coroutine).__qualname__,
        getattr(code, "co_filename", ""),
        getattr(code, "co_firstlineno", 0),
        spawned_in.co_filename if spawned_in else "",
        line,
    )
    number = registry.kind(info)
    if number == 0:
        key, code, spawned_in = (0, 0, 0), None, None
    kind = registry.kind_stats(stats, key, number, (code, spawned_in))
    kind.by_user = number != 0 and spawned_in is not None and owner(spawned_in.co_filename) == USER
    return kind


def create_task(loop: Any, create: Callable[..., Any], coroutine: Any, kwargs: dict[str, Any]) -> Any:
    """Call `create(coroutine, **kwargs)` on a loop with a task factory.

    An eager factory runs the first poll inside that call, and where the coroutine ends in it the loop never
    hears of the task. So a record stands ready, without a key yet: `spawn` takes it if the task schedules a
    step the usual way.
    """
    try:
        stats = loop_stats(loop)
        before, since = stats.current, stats.since
        foreign = is_foreign(loop)
        record = _new_record(stats, _kind_of(stats, coroutine, loop), loop)
        record.parent = record.waker = before.id
    except Exception as error:
        fault(error)
        return create(coroutine, **kwargs)
    record.ref = coroutine
    record.name = getattr(coroutine, "__qualname__", "")
    stats.since = started = monotonic_ns()
    stats.current = record
    try:
        task = create(coroutine, **kwargs)
    except BaseException as error:
        leave_out(error)
        raise
    finally:
        stats.current, stats.since = before, since
        if record.ref is coroutine:
            record.ref = None
    if foreign:
        foreign_call(loop, task)
    try:
        seen = record.key != 0
        polled = task.done() or (
            task.get_coro() is coroutine and inspect.getcoroutinestate(coroutine) != inspect.CORO_CREATED
        )
    except AttributeError:  # the factory made something else than a task
        return task
    if polled:
        if not seen:
            _register(record, task)
        settle(record, task, None, stats, before, started, 0)
        stats.since = since
        if before is not NOTHING:
            stats.note_inside(since, record.max_poll_ns)
        if not record.ended_ns:
            record.name = None  # its maker may name it yet
    try:
        return task
    finally:
        del task, coroutine  # as in `TaskRecord._run`


def adopt(task: Any, loop: Any) -> None:
    """Begin the record of a task that was there before the hooks: where it was spawned is not known."""
    if id(task) in records or task.done():
        return
    stats = loop_stats(loop)
    coroutine = task.get_coro()
    code = code_of(coroutine) or type(coroutine)
    key = (id(code), 0, 0)
    kind = stats.kinds.get(key) or _new_kind(stats, key, coroutine, code, (None, 0))
    record = _new_record(stats, kind, loop)
    record.parent = record.waker = 0
    _register(record, task)
    record.name = task.get_name()
    record.ref = weakref.ref(task, record.gone)
    # A step that was scheduled before the hooks runs unseen, and the task may end in it.
    task.add_done_callback(adopted_ended)


def adopted_ended(task: Any) -> None:
    """An adopted task has ended. Where its last poll was seen, this comes too late to matter."""
    record = records.get(id(task))
    if record is not None:
        try:
            finish(record, task, monotonic_ns())
        except Exception as error:
            fault(error)
