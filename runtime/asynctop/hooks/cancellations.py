"""The hook for cancellations as they land: who requested them, when, and where they are raised.

asyncio makes a `CancelledError` when a cancelled task is about to run, and the task is still suspended then:
its await chain says where it will be raised. Who woke it is who requested that, since `cancel()` wakes a task
by cancelling what it waits for. So the hook is the class's `__init__`, and costs nothing while nobody is
cancelled.
"""

from __future__ import annotations

import asyncio
import enum
import sys
import time
import weakref
from asyncio import CancelledError
from collections.abc import Callable, Iterable, Iterator
from types import BuiltinMethodType, FrameType, FunctionType, MethodType
from typing import Any

from asynctop.attributes import static
from asynctop.awaits.cancellations import is_cancelled
from asynctop.awaits.held import managers
from asynctop.cancellation_log import CancellationLog
from asynctop.core.contract import Core, Patch, Wake
from asynctop.core.sites import OWN_DIRECTORY
from asynctop.core.suspended import Step, steps
from asynctop.core.tracebacks import leave_out
from asynctop.hooks.patches import Patches
from asynctop.hooks.streams import awaiting
from asynctop.stacks import MAX_FRAMES, Frame, frame_of
from asynctop_protocol import Cancellation, WakerSource

DEEPEST = 10
"""Tasks that wait for each other, of which the last one is cancelled in place of the first."""

WIDEST = 20
"""Callbacks of one task that are looked at."""

MOST_LOOKS = 100
"""Searches for the task that cancels, within"""
PERIOD_NS = 100_000_000
"""this time: where very many are cancelled, not all of these are looked for."""

_GATHERS = "gather.<locals>._done_callback"
"""The callback by which `gather()` hears of a task's end."""

_TIMEOUT = "Timeout._on_timeout"
_ON_TIMEOUT = (_TIMEOUT, "CancelScope._timeout")
"""Callbacks by which timeouts, those of asyncio, async_timeout and anyio, cancel their task."""

_EXPIRED = ("EXPIRING", "TIMEOUT")
"""States, in asyncio and in async_timeout, of a timeout that has cancelled its task."""


class CancellationHooks:
    """The hook, and what it has been told."""

    def __init__(self, core: Core, log: CancellationLog, on_fault: Callable[[Exception], None]) -> None:
        self._core = core
        self._log = log
        self._on_fault = on_fault
        self._patches = Patches()
        self._active = False
        self._looks = self._period_ns = 0
        self._timed_out: weakref.WeakKeyDictionary[Any, list[Frame]] = weakref.WeakKeyDictionary()
        """What `wait_for()` of CPython 3.11 has just cancelled, and where that was called."""
        self._landed: weakref.WeakSet[asyncio.Timeout] = weakref.WeakSet()
        """Timeouts that have fired, and whose cancellations have landed."""

    def start(self) -> None:
        """Put it in place."""
        self._active = True
        self._patches.apply(self._of_errors())
        if sys.version_info < (3, 12):
            self._patches.apply(self._of_wait_for())

    def stop(self) -> None:
        """Take it out again."""
        self._active = False
        self._patches.undo()
        self._timed_out.clear()
        self._landed.clear()

    def restart(self) -> None:
        """The process has forked."""
        self._log.restart()
        self._timed_out.clear()
        self._landed.clear()

    def _of_errors(self) -> Iterator[Patch]:
        made = self._made

        def init(self: CancelledError, *args: Any, **kwargs: Any) -> None:
            try:
                super(CancelledError, self).__init__(*args, **kwargs)
            except BaseException as error:
                leave_out(error)
                raise
            made()

        init.__name__, init.__qualname__ = "__init__", "CancelledError.__init__"
        yield Patch(CancelledError, "__init__", init)

    def _of_wait_for(self) -> Iterator[Patch]:
        tasks: Any = asyncio.tasks
        stock, expires = tasks._cancel_and_wait, self._expires

        def _cancel_and_wait(fut: Any, loop: Any) -> Any:
            expires(fut, sys._getframe(1))
            return stock(fut, loop)

        yield Patch(tasks, "_cancel_and_wait", _cancel_and_wait)

    def _expires(self, future: Any, frame: Any) -> None:
        """`wait_for()`, which runs in `frame`, is about to cancel what it waits for."""
        if not self._active:
            return
        try:
            waiter = frame.f_locals.get("waiter")
            if waiter is not None and waiter.cancelled():
                return  # it is itself cancelled
            site = _frames(reversed([*awaiting(frame)]))
            if hasattr(type(future), "get_coro"):
                self._timed_out[future] = site
            else:
                task, now = asyncio.current_task(), time.monotonic_ns()
                number = self._core.identify(task) if task is not None else 0
                wake = Wake(task, number, now, WakerSource.TIMER, 0, "wait_for")
                self._log.note(number, _cancellation(wake, now, [], site, site))
        except Exception as error:
            self._on_fault(error)

    def _made(self) -> None:
        """A `CancelledError` has been made."""
        if not self._active:
            return
        try:
            loop = asyncio._get_running_loop()
            wake = self._core.wake(loop) if loop is not None else None
            if wake is not None and not _runs(wake.task):
                self._lands(wake)
        except Exception as error:
            self._on_fault(error)

    def _lands(self, wake: Wake) -> None:
        """In the poll that is about to begin."""
        reached = _reached(wake.task)
        if not reached:
            return
        now = time.monotonic_ns()
        site = self._timed_out.pop(wake.task, [])
        future = getattr(wake.task, "_fut_waiter", None)
        ready = future is None or not future.cancelled()
        timed = wake.name.endswith(_ON_TIMEOUT)
        fired = self._fired(reached) if ready or timed or wake.task.cancelling() > 1 else []
        if ready:
            # It was about to run, or to begin, when it was cancelled: somebody else had woken it.
            source, name = (WakerSource.TIMER, _TIMEOUT) if fired else (WakerSource.UNKNOWN, "")
            wake = wake._replace(woken_ns=0, source=source, by=0, name=name)
            site = fired or site
        elif timed:
            site = fired or next((found for _, path in reached for _, found in _expired(path)), site)
        by_stack = site if wake.by and site else self._place(wake.by, now)
        for task, path in reached:
            number = wake.number if task is wake.task else self._core.identify(task)
            stack = _frames(step.frame for step in path)
            self._log.note(number, _cancellation(wake, now, by_stack, stack, site))

    def _fired(self, reached: list[tuple[Any, list[Step]]]) -> list[Frame]:
        """Where one of asyncio's timeouts was set that has fired, and whose cancellation lands only now."""
        found: list[Frame] = []
        for _, path in reached:
            for manager, frames in _expired(path):
                if type(manager) is asyncio.Timeout and manager not in self._landed:
                    self._landed.add(manager)
                    found = found or frames
        return found

    def _place(self, number: int, now: int) -> list[Frame]:
        """Where the task that has cancelled another one is suspended by now."""
        if now - self._period_ns >= PERIOD_NS:
            self._looks, self._period_ns = 0, now
        if not number or self._looks >= MOST_LOOKS:
            return []
        self._looks += 1
        task = self._core.task(number)
        return _frames(step.frame for step in steps(task.get_coro())) if task is not None else []


def _cancellation(
    wake: Wake, now: int, by_stack: list[Frame], stack: list[Frame], timeout: list[Frame]
) -> Cancellation:
    """What `wake` is the request of, and lands now."""
    return Cancellation(
        id=0,
        count=0,
        tasks=[],
        requested_ns=wake.woken_ns,
        landed_ns=now,
        source=wake.source,
        by=wake.by,
        name=wake.name,
        by_stack=by_stack,
        stack=stack,
        timeout=timeout,
    )


def _runs(task: Any) -> bool:
    """Whether the task's coroutine runs, and has made the error itself."""
    coroutine = task.get_coro()
    return bool(getattr(coroutine, "cr_running", False) or getattr(coroutine, "gi_running", False))


def _reached(task: Any) -> list[tuple[Any, list[Step]]]:
    """The task, if it was cancelled, and those that wait for it and were so by way of it; with their
    chains."""
    found: list[tuple[Any, list[Step]]] = []
    while task is not None and is_cancelled(task) and len(found) < DEEPEST:
        found.append((task, list(steps(task.get_coro()))))
        task = next((each for each in _waiting_for(task) if is_cancelled(each)), None)
    return found


def _waiting_for(future: Any, deep: int = 0) -> Iterator[Any]:
    """The tasks that await a future, by way of `gather()` too."""
    for callback, *_ in (getattr(future, "_callbacks", None) or ())[:WIDEST]:
        if type(callback) is FunctionType:
            if deep < DEEPEST and callback.__qualname__ == _GATHERS:
                cells = dict(zip(callback.__code__.co_freevars, callback.__closure__ or (), strict=True))
                yield from _waiting_for(cells["outer"].cell_contents, deep + 1)
        elif (
            isinstance(callback, BuiltinMethodType | MethodType)
            and getattr(callback.__self__, "_fut_waiter", None) is future
        ):
            yield callback.__self__


def _expired(path: list[Step]) -> Iterator[tuple[Any, list[Frame]]]:
    """The timeouts that have cancelled it, with the frames down to the one that has set each."""
    for index, step in enumerate(path):
        for manager in managers(step.awaitable):
            state = static(manager, "_state")
            expired = isinstance(state, enum.Enum) and state.name in _EXPIRED
            if expired or static(manager, "_cancel_called") is True:
                yield manager, _frames(each.frame for each in path[: index + 1])


def _frames(frames: Iterable[FrameType]) -> list[Frame]:
    """As they are told, without ours; outermost first."""
    found = [frame_of(each) for each in frames if not each.f_code.co_filename.startswith(OWN_DIRECTORY)]
    return found[-MAX_FRAMES:]
