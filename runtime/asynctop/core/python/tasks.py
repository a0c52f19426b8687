"""Tasks as the pure-Python core knows them, and their polls: the half of the hot path that a loop runs. The
other halves are `wakes` and `spawns`.

One `TaskRecord` per task is both the task's statistics and the handle that its loop runs. asyncio makes a
new `Handle` at every wake only to call it once, so handing out the same one again pays for the bookkeeping.
This is sound because a task has at most one step waiting to run, and nobody but the loop ever sees the
handle of a task's step.

No function here may raise on its own account. What they cost is measured by `benchmarks/overhead.py`.
"""

from __future__ import annotations

import weakref
from _thread import get_ident
from time import monotonic_ns
from typing import Any

from asynctop.core.contract import EARNED
from asynctop.core.describe import clipped, exception_text
from asynctop.core.python.details import Details, count_in, details_of
from asynctop.core.python.handles import StandIn, fault, settings
from asynctop.core.python.records import NOTHING, KindStats, LongPollNote, LoopStats
from asynctop.core.stock import StockHandle, report
from asynctop.core.tracebacks import leave_out
from asynctop_protocol import Outcome

# A member of an enumeration costs several attribute look-ups at each use.
RETURNED, RAISED, CANCELLED = Outcome.RETURNED, Outcome.RAISED, Outcome.CANCELLED


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
            settle(record, None, callback, stats, before, started, waited)
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
        since = self.since
        waited = started - since
        if since >= stats.turn_began and before is NOTHING:  # it was woken in the turn before
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
            settle(self, None, callback, stats, before, started, waited)
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


def settle(
    record: TaskRecord, task: Any, callback: Any, stats: LoopStats, before: Any, started: int, waited: int
) -> None:
    """Account for a poll of `record` that ends now. `callback` is the step that was run; an eager one has
    none, and is told by its `task`."""
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
            try:
                details.polls[bucket] += 1
            except IndexError:
                count_in(details.polls, bucket)
            bucket = (waited * waited).bit_length()
            try:
                details.waits[bucket] += 1
            except IndexError:
                count_in(details.waits, bucket)
            if waited > details.max_wait_ns:
                details.max_wait_ns = waited
            if details.history is not None:
                waker = record.waker if record._callback is callback else stats.waker_before
                if task is None:
                    task = callback.__self__
                details.history.add(started - waited, waker, started, ended, task.get_coro())
        elif record.polls == EARNED:
            details_of(record)
        trace = settings.trace
        if trace is not None:
            waker = record.waker if record._callback is callback else stats.waker_before
            trace.add(record.id, started - waited, waker, started, ended)
        if waited > stats.lag_ns:
            stats.lag_ns = waited
        if before is NOTHING:
            stats.left = ended
            stats.turn_polls += 1
            stats.turn_ns = turn_ns = stats.turn_ns + took
            if turn_ns > stats.turn_mark_ns:
                stats.note_turn(kind, took)
        if took > record.max_poll_ns:
            record.max_poll_ns = took
            if took > kind.max_poll_ns:
                kind.max_poll_ns = took
        if record._callback is callback:  # else it has been woken again by now, so it has not ended
            if task is None:
                task = callback.__self__
            if task.done():
                finish(record, task, ended)
            else:
                record._callback = record._args = None
                record.since = ended
        elif record.waker == record.id:
            record.since = ended
        if record.ref is None and not record.ended_ns:
            if task is None:
                task = callback.__self__
            record.ref = weakref.ref(task, record.gone)
            record.name = task.get_name()  # not earlier: some factories name a task after making it
        if took > settings.threshold_ns and took - stats.inside(started) > settings.threshold_ns:
            if task is None:
                task = callback.__self__
            name = clipped(task.get_name())
            stats.note_long_poll(
                LongPollNote(record.id, kind.number, name, started, took, record.polls, task.done())
            )
    except Exception as error:
        fault(error)


def finish(record: TaskRecord, task: Any, ended: int) -> None:
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
