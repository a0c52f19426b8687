"""Callbacks that are not a task's step: loop handles, timers, I/O, and what wraps a callback for a foreign
loop.

They are timed, and while one runs it is the loop's `current`, so that the tasks it wakes know what woke them.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from asyncio import events
from collections.abc import Callable
from contextvars import copy_context
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from asynctop.core.describe import describe
from asynctop.core.python.records import (
    NOTHING,
    PAUSE_NS,
    TIMERS_PER_LOOK,
    LongPollNote,
    LoopStats,
    Setter,
    loop_stats,
    registry,
)
from asynctop.core.sites import spawn_site
from asynctop.core.stock import LooksLikeStock, StockHandle, StockTimerHandle, report
from asynctop.core.tracebacks import leave_out
from asynctop_protocol import WakerSource

if TYPE_CHECKING:
    from asynctop.core.python.tracing import Trace

_SOURCE_BY_MAKER = {
    "_add_reader": WakerSource.IO,
    "_add_writer": WakerSource.IO,
    "add_signal_handler": WakerSource.SIGNAL,
}
"""The loop's method that makes a handle itself, rather than through `call_soon`, tells what the handle is
for."""


# A member of an enumeration costs several attribute look-ups at each use.
_TIMER = WakerSource.TIMER

_LATEST_NS = 1e15
"""Eleven days: a timer later than that was meant for no time at all, such as minus infinity."""


class Settings:
    """What the hot path reads besides its arguments. Set by the core when it begins."""

    # Read faster than a class's attributes.
    __slots__ = ("on_fault", "on_foreign_call", "threshold_ns", "trace")

    threshold_ns: int
    on_fault: Callable[[Exception], None]
    """Told of what fails in our own code: it must not reach the program."""
    on_foreign_call: Callable[[Any, Any], None] | None
    """Told where another thread than the loop's own gives it a callback."""
    trace: Trace | None
    """What is told of every poll, while a console wants to know."""

    def __init__(self) -> None:
        self.threshold_ns = 50_000_000
        self.on_foreign_call = None
        self.trace = None


settings = Settings()


def fault(error: Exception) -> None:
    """Something of ours has failed, and the program goes on."""
    try:
        settings.on_fault(error)
    except Exception:
        pass  # there is nobody left to tell


def is_foreign(loop: Any) -> bool:
    """Whether this thread is another one than that which a stock loop runs in."""
    thread = getattr(loop, "_thread_id", None)
    return thread is not None and thread != get_ident()


def foreign_call(loop: Any, callback: Any) -> None:
    """A loop was given `callback` by a thread that is not its own."""
    report = settings.on_foreign_call
    if report is not None:
        report(loop, callback)


# What the loop's `current` tells of itself, here for callbacks; a task's record has the same two.
_name = property(lambda self: describe(self._callback), doc="The callback's name for a person.")


def _run_callback(self: Any) -> None:
    """In place of `Handle._run`."""
    callback = self._callback
    try:
        stats = self._loop._asynctop_stats
    except AttributeError:
        stats = loop_stats(self._loop)
    before = stats.current
    stats.since = started = monotonic_ns()
    stats.current = self
    if before is NOTHING:
        if self.turn == stats.turns or started - stats.left > PAUSE_NS:
            stats.begin_turn(started)
        self.turn = stats.turns
    try:
        self._context.run(callback, *self._args)
    except (SystemExit, KeyboardInterrupt) as error:
        leave_out(error)
        raise
    except BaseException as error:
        leave_out(error)
        report(self, error)
    finally:
        settle_callback(stats, before, callback, started)
        # A traceback may keep this frame: it must not keep what the callback was called with.
        self = callback = before = None


def settle_callback(stats: LoopStats, before: Any, callback: Any, started: int) -> None:
    """Account for a callback that ends now."""
    try:
        stats.current = before
        ended = monotonic_ns()
        took = ended - started
        stats.callbacks += 1
        stats.callback_ns += took
        if before is NOTHING:
            stats.left = ended
            stats.turn_polls += 1
            stats.turn_ns = turn_ns = stats.turn_ns + took
            if turn_ns > stats.turn_mark_ns:
                stats.note_turn(stats.callbacks_turn, took)
        if took > settings.threshold_ns and took - stats.inside(started) > settings.threshold_ns:
            stats.note_long_poll(LongPollNote(0, 0, describe(callback), started, took, 0, False))
    except Exception as error:
        fault(error)


class Handle(StockHandle, metaclass=LooksLikeStock):
    """A plain callback's handle."""

    __slots__ = ("source", "turn")

    turn: int
    """That of the loop in which this was made, or run last: this will run in a later one."""

    _callback: Any
    _source_traceback: Any
    name = _name
    _run = _run_callback

    def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
        super().__init__(callback, args, loop, context)
        if self._source_traceback:
            del self._source_traceback[-1]
        maker = sys._getframe(1).f_code.co_name
        self.source = _SOURCE_BY_MAKER.get(maker, WakerSource.CALLBACK)
        self.turn = -1

    @property
    def id(self) -> int:
        """The number under which tasks remember this as what woke them: negative."""
        return registry.waker(self.source, describe(self._callback))


if sys.version_info >= (3, 14):
    StockThreadSafeHandle: type[events.Handle] = events._ThreadSafeHandle

    class ThreadSafeHandle(StockThreadSafeHandle, metaclass=LooksLikeStock):  # type: ignore[misc, valid-type]
        """The handle that `call_soon_threadsafe` makes there."""

        __slots__ = ("turn",)

        def __init__(self, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
            super().__init__(callback, args, loop, context)
            if self._source_traceback:
                del self._source_traceback[-1]
            self.turn = -1

        name = _name

        @property
        def id(self) -> int:
            """The number under which tasks remember this as what woke them: negative."""
            return registry.waker(WakerSource.THREAD, describe(self._callback))

        def _run(self) -> None:
            with self._lock:
                if not self._cancelled:
                    _run_callback(self)

    ThreadSafeHandle.__name__ = StockThreadSafeHandle.__name__  # it is part of a handle's repr


class TimerHandle(StockTimerHandle, metaclass=LooksLikeStock):
    """A timer's handle."""

    __slots__ = ("turn",)

    _callback: Any
    _args: Any
    _cancelled: bool
    _context: Any
    _loop: Any
    _repr: Any
    _scheduled: bool
    _source_traceback: Any
    _when: float
    name = _name

    def __init__(self, when: Any, callback: Any, args: Any, loop: Any, context: Any = None) -> None:
        self.turn = -1
        if loop.get_debug():
            super().__init__(when, callback, args, loop, context)
            if self._source_traceback:
                del self._source_traceback[-1]
        else:
            # As there, without a call for each class.
            self._context = copy_context() if context is None else context
            self._loop = loop
            self._callback = callback
            self._args = args
            self._cancelled = self._scheduled = False
            self._repr = self._source_traceback = None
            self._when = when
        try:
            stats = loop_stats(loop)
            self.turn = stats.turns
            set_timer(stats)
            if is_foreign(loop):
                foreign_call(loop, callback)
        except Exception as error:
            fault(error)

    def _run(self) -> None:
        # A timer that fires late is what a blocked loop looks like to everybody who sleeps.
        loop = self._loop
        late = loop.time() - self._when
        stats = loop_stats(loop)
        stats.timers_fired += 1
        if stats.lag_ns < late * 1e9 < _LATEST_NS:
            stats.lag_ns = int(late * 1e9)
        try:
            _run_callback(self)
        except BaseException as error:
            leave_out(error)
            raise
        finally:
            self = None  # type: ignore[assignment]  # as in `_run_callback`

    @property
    def id(self) -> int:
        """The number under which tasks remember this as what woke them: negative."""
        return registry.waker(WakerSource.TIMER, describe(self._callback))


def set_timer(stats: LoopStats) -> None:
    """A timer has been set: count it, and look now and then who does so."""
    stats.timers += 1
    if stats.timers % TIMERS_PER_LOOK == 0:
        kind = getattr(stats.current, "kind_stats", None)
        number = kind.number if kind is not None else 0
        site = spawn_site(0, None)
        place = (site.f_code.co_filename, site.f_lineno) if site is not None else ("", 0)
        stats.look_who_sets(Setter(number, *place))


class StandIn:
    """Given to a loop that has handles of its own, in place of a callback: looks like it to who asks."""

    __slots__ = ("callback",)

    callback: Any

    def __repr__(self) -> str:
        return repr(self.callback)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.callback, name)


class Callback(StandIn):
    """A callback on its way through a loop that has handles of its own."""

    __slots__ = ("source", "stats", "turn")

    def __init__(self, callback: Callable[..., object], source: WakerSource, stats: LoopStats) -> None:
        self.callback = callback
        self.source = source
        self.stats = stats
        self.turn = stats.turns

    def __call__(self, *args: Any) -> object:
        """Run it, timed."""
        stats = self.stats
        stats.thread = get_ident()
        before = stats.current
        stats.since = started = monotonic_ns()
        stats.current = self
        if before is NOTHING:
            if self.turn == stats.turns or started - stats.left > PAUSE_NS:
                stats.begin_turn(started)
            self.turn = stats.turns
        if self.source is _TIMER:
            stats.timers_fired += 1
        try:
            return self.callback(*args)
        except BaseException as error:
            leave_out(error)
            raise
        finally:
            settle_callback(stats, before, self.callback, started)
            self = args = before = None  # type: ignore[assignment]  # as in `_run_callback`

    @property
    def name(self) -> str:
        """The callback's name for a person."""
        return describe(self.callback)

    @property
    def id(self) -> int:
        """The number under which tasks remember this as what woke them: negative."""
        return registry.waker(self.source, describe(self.callback))
