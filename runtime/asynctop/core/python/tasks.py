"""The pure-Python core's hot path: what a loop calls at every wake, poll, spawn and end.

One `TaskRecord` per task is both the task's statistics and the handle that its loop runs. asyncio makes a
new `Handle` at every wake only to call it once, so handing out the same one again pays for the bookkeeping.
This is sound because a task has at most one step waiting to run, and nobody but the loop ever sees the
handle of a task's step.

No function here may raise on its own account. What they cost is measured by `benchmarks/overhead.py`.
"""

from __future__ import annotations

import inspect
import itertools
import sys
import weakref
from _thread import get_ident
from asyncio import format_helpers
from collections.abc import Callable
from contextvars import copy_context
from time import monotonic_ns
from types import BuiltinMethodType, MethodType
from typing import Any

from asynctop.core.contract import EARNED
from asynctop.core.describe import clipped, code_of, exception_text
from asynctop.core.methods import wrapping_method
from asynctop.core.python.details import Details, details_of
from asynctop.core.python.handles import (
    Callback,
    Handle,
    Settings,
    StandIn,
    fault,
    foreign_call,
    is_foreign,
    set_timer,
)
from asynctop.core.python.records import (
    NOTHING,
    KindInfo,
    KindStats,
    LongPollNote,
    LoopStats,
    loop_stats,
    registry,
)
from asynctop.core.sites import spawn_site
from asynctop.core.stock import PyTask, StockHandle, first_step, report
from asynctop.core.tracebacks import leave_out
from asynctop_protocol import Outcome, WakerSource

# A member of an enumeration costs several attribute look-ups at each use.
CALLBACK, THREAD = WakerSource.CALLBACK, WakerSource.THREAD
RETURNED, RAISED, CANCELLED = Outcome.RETURNED, Outcome.RAISED, Outcome.CANCELLED
_new = object.__new__
_next_id = itertools.count(1).__next__


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


class DebugHandle(StockHandle):
    """What the loop runs in debug mode, where it looks at a handle after running it."""

    __slots__ = ("record",)

    def __init__(self, record: TaskRecord, callback: Any, args: Any, loop: Any, context: Any) -> None:
        super().__init__(callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[-2:]  # this frame and `call_soon`'s
        self.record = record
        record._source_traceback = self._source_traceback

    _source_traceback: Any

    def _run(self) -> None:
        record = self.record
        self = None  # type: ignore[assignment]  # see `TaskRecord._run`
        try:
            record._run()
        except BaseException as error:
            leave_out(error)
            raise


class Step(StandIn):
    """A task's step on its way through a loop that has handles of its own and has entered its context.

    It keeps the step's callback, and with it the task, until the loop lets go of it, as the callback would.
    """

    __slots__ = ("record",)

    def __init__(self, record: TaskRecord, callback: Any) -> None:
        self.record = record
        self.callback = callback

    def __call__(self, *args: Any) -> None:
        """One poll."""
        record = self.record
        callback = self.callback
        stats = record.stats
        stats.thread = get_ident()
        before = stats.current
        stats.since = started = monotonic_ns()  # before `current`: who reads both must not see an old one
        stats.current = record
        waited = started - record.since
        if before is NOTHING and record.since >= stats.turn_began:
            stats.begin_turn(started)
        try:
            callback(*args)
        except BaseException as error:
            leave_out(error)
            raise
        finally:
            _settle(record, callback.__self__, callback, stats, before, started, waited)
            self = record = callback = args = before = None  # type: ignore[assignment]  # as in `TaskRecord._run`


class TaskRecord(StockHandle):
    """A task's statistics, and the handle of each of its steps.

    While the task waits, `_callback` is None, so the record keeps nothing alive.
    Times are ns. A record is made by `_new_record`, which sets what is needed until the first step.
    """

    __slots__ = (
        "born",
        "busy_ns",
        "created_ns",
        "details",
        "dirty",
        "ended_ns",
        "exception",
        "id",
        "key",
        "kind_stats",
        "max_poll_ns",
        "name",
        "name_version",
        "outcome",
        "parent",
        "polls",
        "ref",
        "scheduled_ns",
        "self_wakes",
        "since",
        "stats",
        "told_name",
        "version",
        "waker",
    )

    _callback: Any
    _args: Any
    _context: Any
    _loop: Any
    _repr: Any
    _source_traceback: Any

    id: int
    key: int
    """id() of the task object, under which `records` has it; 0 while there is no task yet: see
    `create_task`; -1 once the hooks are gone."""
    stats: LoopStats
    kind_stats: KindStats
    name: str | None
    parent: int
    """The first `waker`."""
    waker: int
    """What woke it last: a task's id, or a negative number of `registry.wakers`, or 0."""
    created_ns: int
    since: int
    """When its state changed last: the wake, or the end of the poll."""
    polls: int
    busy_ns: int
    scheduled_ns: int
    max_poll_ns: int
    self_wakes: int
    ended_ns: int
    outcome: int
    exception: str | None
    details: Details | None
    """Histograms and history, once it has earned them or is watched."""
    ref: Any
    """Weak reference that notices the task's death, made when it has outlived its first poll.

    While there is no task yet, its coroutine.
    """
    dirty: bool
    """The collector will find it: in `stats.changed` or, while `born` is 0, at the end of `records`."""
    born: int
    """The collector's versions at which it was first told of, changed last, and was renamed; and the name
    told."""
    version: int
    name_version: int
    told_name: str | None

    def _run(self) -> None:
        callback = self._callback
        args = self._args
        stats = self.stats
        before = stats.current
        stats.since = started = monotonic_ns()  # before `current`: who reads both must not see an old one
        stats.current = self
        waited = started - self.since
        if self.since >= stats.turn_began and before is NOTHING:  # it was woken in the turn before
            stats.turns += 1
            stats.turn_began = started
            stats.turn_polls = stats.turn_ns = 0
        try:
            # A step takes nothing or one future: two plain calls cost less than one with `*args`.
            if args:
                self._context.run(callback, args[0])
            else:
                self._context.run(callback)
        except (SystemExit, KeyboardInterrupt) as error:
            leave_out(error)
            raise
        except BaseException as error:
            leave_out(error)
            report(self, error)
        finally:
            _settle(self, callback.__self__, callback, stats, before, started, waited)
            # A traceback keeps this frame: it must not keep the task, or one that failed would be a cycle.
            self = callback = args = before = None  # type: ignore[assignment]

    def task(self) -> Any:
        """The task, None where it is gone. A reference to it may be its last: to be called on the loop's
        thread."""
        if self.ref is not None:
            return self.ref()
        callback = self._callback
        return callback.__self__ if callback is not None else None

    def let_go(self) -> None:
        """Its loop will not run it again. It lives on as long as the task does."""
        task = self.task()
        if self.ref is None and task is not None:
            self.ref = weakref.ref(task, self.gone)
            self.name = task.get_name()
        self._callback = self._args = None

    def __repr__(self) -> str:
        return super().__repr__() if self._callback is None else repr(self._callback)

    def gone(self, ref: object) -> None:
        """The task was collected before it ended. On whatever thread that happens."""
        if records.pop(self.key, None) is not None:
            self.outcome = Outcome.DESTROYED
            self.ref = self._callback = self._args = self._context = self._loop = None
            self.ended_ns = monotonic_ns()
            if not self.dirty or not self.born:
                self.dirty = True
                self.stats.changed.append(self)
            destroyed.append(self)


records: dict[int, TaskRecord] = {}
"""Records of the live tasks, by the id of the task object, in the order of their spawns."""
_find = records.get
destroyed: list[TaskRecord] = []
"""Records of tasks collected while pending, until the collector has counted them."""


def name_of(record: TaskRecord) -> str:
    """A task's name, even before its first poll is over. On any thread."""
    if record.name is None:
        try:
            # One expression each: the reference to the task is gone before another thread can run.
            if record.ref is not None:
                return clipped(record.ref().get_name())
            return clipped(record._callback.__self__.get_name())
        except AttributeError:
            pass  # it has just been polled, or has ended
    return clipped(record.name or "")


def _settle(
    record: TaskRecord, task: Any, callback: Any, stats: LoopStats, before: Any, started: int, waited: int
) -> None:
    """Account for a poll of `record` that ends now. `callback` is the step that was run, None for an eager
    one."""
    try:
        ended = monotonic_ns()
        stats.current = before
        took = ended - started
        kind = record.kind_stats
        record.polls += 1
        record.busy_ns += took
        record.scheduled_ns += waited
        kind.busy_ns += took
        kind.scheduled_ns += waited
        bucket = (took * took).bit_length()
        kind.histogram[bucket] += 1
        details = record.details
        if details is not None:
            details.polls[bucket] += 1
            details.waits[(waited * waited).bit_length()] += 1
            if waited > details.max_wait_ns:
                details.max_wait_ns = waited
            if details.history is not None:
                waker = record.waker if record._callback is callback else details.waker
                details.history.add(started - waited, waker, started, ended)
        elif record.polls == EARNED:
            details_of(record)
        if waited > stats.lag_ns:
            stats.lag_ns = waited
        if before is NOTHING:
            stats.left = ended
            stats.turn_polls += 1
            stats.turn_ns += took
            if stats.turn_ns > stats.turn_mark_ns:
                stats.note_turn(kind, took)
        if took > record.max_poll_ns:
            record.max_poll_ns = took
            if took > kind.max_poll_ns:
                kind.max_poll_ns = took
        if task.done():
            _finish(record, task, ended)
        else:
            if record._callback is callback:  # else it has been woken again by now
                record._callback = record._args = None
                record.since = ended
            elif record.waker == record.id:
                record.since = ended
            if record.ref is None:
                record.ref = weakref.ref(task, record.gone)
                record.name = task.get_name()  # not earlier: some factories name a task after making it
        if took > Settings.threshold_ns and took - stats.inside(started) > Settings.threshold_ns:
            name = clipped(task.get_name())
            stats.note_long_poll(
                LongPollNote(record.id, kind.number, name, started, took, record.polls, task.done())
            )
    except Exception as error:
        fault(error)


def _finish(record: TaskRecord, task: Any, ended: int) -> None:
    """`task` has ended, at `ended`."""
    try:
        del records[record.key]
    except KeyError:
        pass  # forgotten
    record.ref = record._callback = record._args = record._context = record._loop = None
    kind = record.kind_stats
    stats = record.stats
    exception = task._exception
    if exception is not None:
        kind.raised += 1
        record.outcome = RAISED
    elif task.cancelled():
        kind.cancelled += 1
        record.outcome = CANCELLED
    else:
        kind.returned += 1
        record.outcome = RETURNED
    if not record.born:
        if stats.room <= 0:
            record.ended_ns = ended
            return  # one of very many, and nobody saw it alive: its kind's sums have it, and that is enough
        stats.room -= 1
        record.dirty = False
    record.name = clipped(task.get_name())
    if exception is not None:
        record.exception = exception_text(exception)
    record.ended_ns = ended  # last of all: whoever sees it may read the rest
    if not record.dirty:
        record.dirty = True
        stats.changed.append(record)


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
        handle.turn = loop_stats(loop).turns
        foreign = is_foreign(loop)
        handle.source = THREAD if foreign else CALLBACK
        if loop._debug:
            handle._source_traceback = format_helpers.extract_stack(sys._getframe(1))
    loop._ready.append(handle)
    if foreign and sys._getframe(1).f_code.co_name != "call_soon_threadsafe":
        foreign_call(loop, callback)
    return handle


def woken(loop: Any, callback: Any) -> TaskRecord:
    """The record of the task whose step is `callback`, now scheduled."""
    task = callback.__self__
    record = _find(id(task))
    if record is None:
        record = _spawn(task, loop)
        if type(callback) is BuiltinMethodType and record.stats.current is not record:
            record.polls = 1  # started eagerly by its maker: its first poll is over, and nobody saw it
            record.kind_stats.histogram[0] += 1
        return record
    current = record.stats.current
    if current is record:
        record.self_wakes += 1  # it waits from the end of its poll on: see `_settle`
        if record.details is not None:
            record.details.waker = record.waker
    else:
        record.since = monotonic_ns()
    record.waker = current.id
    if not record.dirty:
        record.dirty = True
        record.name = task.get_name()
        record.stats.changed.append(record)
    return record


def _spawn(task: Any, loop: Any) -> TaskRecord:
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
            record.waker = record.id
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
    frame = spawn_site(code_id, factory)
    if frame is None:
        return stats.kinds.get((code_id, 0, 0)) or _new_kind(
            stats, (code_id, 0, 0), coroutine, code, (None, 0)
        )
    site = frame.f_code
    key = (code_id, id(site), frame.f_lasti)
    try:
        return stats.kinds[key]
    except KeyError:
        return _new_kind(stats, key, coroutine, code, (site, frame.f_lineno))


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
    return registry.kind_stats(stats, key, number, (code, spawned_in))


def create_task(loop: Any, create: Callable[..., Any], coroutine: Any, kwargs: dict[str, Any]) -> Any:
    """Call `create(coroutine, **kwargs)` on a loop with a task factory.

    An eager factory runs the first poll inside that call, and where the coroutine ends in it the loop never
    hears of the task. So a record stands ready, without a key yet: `_spawn` takes it if the task schedules a
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
        _settle(record, task, None, stats, before, started, 0)
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
    record = _find(id(task))
    if record is not None:
        try:
            _finish(record, task, monotonic_ns())
        except Exception as error:
            fault(error)


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
