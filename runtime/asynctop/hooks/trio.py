"""Hooks for trio: an instrument in each of its runs, which tells a recorder core of the run's tasks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from typing import Any
from weakref import WeakSet

from asynctop.core.contract import Core, Patch
from asynctop.core.sites import add_machinery
from asynctop.core.tracebacks import leave_out
from asynctop.hooks.imports import OnImport
from asynctop.hooks.patches import Patches
from asynctop_protocol import WakerSource

OnFault = Callable[[Exception], None]


class TrioTask:
    """A task of trio's, as `asynctop.core.contract.ScheduledTask` has it."""

    __slots__ = ("__weakref__", "_callbacks", "_cancelled", "_done", "_exception", "_task")

    def __init__(self, task: Any) -> None:
        self._task = task
        self._done = self._cancelled = False
        self._exception: BaseException | None = None
        self._callbacks: list[Callable[[Any], object]] = []

    def end(self, error: BaseException | None) -> None:
        """It has ended; `error` is what it raised."""
        self._done = True
        self._cancelled = _is_cancellation(error)
        self._exception = None if self._cancelled else error

    def tell(self) -> None:
        """Call those that want to know that it has ended."""
        for callback in self._callbacks:
            callback(self)

    def get_coro(self) -> Any:
        """Its outermost coroutine."""
        return self._task.coro

    def get_name(self) -> str:
        """Its name at this moment."""
        return self._task.name  # type: ignore[no-any-return]

    def done(self) -> bool:
        """Whether it has ended."""
        return self._done

    def cancelled(self) -> bool:
        """Whether it has ended by being cancelled."""
        return self._cancelled

    def cancelling(self) -> int:
        """Nothing: trio cancels scopes, and not tasks."""
        return 0

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """Have `callback(self)` called when it has ended."""
        self._callbacks.append(callback)

    def remove_done_callback(self, callback: Callable[[Any], object]) -> int:
        """Have it not called."""
        before = len(self._callbacks)
        self._callbacks = [each for each in self._callbacks if each is not callback]
        return before - len(self._callbacks)


def _is_cancellation(error: BaseException | None) -> bool:
    cancelled = sys.modules["trio"].Cancelled
    if isinstance(error, BaseExceptionGroup):
        return error.split(cancelled)[1] is None
    return isinstance(error, cancelled)


def _guarded(method: Callable[..., None]) -> Callable[..., None]:
    """What fails in an instrument would be logged by trio."""

    @wraps(method)
    def guarded(self: Run, *args: Any) -> None:
        on_fault = self.on_fault
        if on_fault is None:
            return
        try:
            method(self, *args)
        except Exception as error:
            on_fault(error)

    return guarded


class Run:
    """A run of trio: a `trio.abc.Instrument` to trio, a loop to a core."""

    runtime = "trio"

    def __init__(self, core: Core, on_fault: OnFault) -> None:
        self._core = core
        self.on_fault: OnFault | None = on_fault
        """None once the hooks are gone."""
        self._tasks: dict[Any, TrioTask] = {}
        self._token: Any = None
        """While it runs."""
        self._source = WakerSource.UNKNOWN
        """What it is that makes tasks ready while no poll is under way."""

    # -- as an instrument --

    @_guarded
    def before_run(self) -> None:
        """It begins."""
        trio = sys.modules["trio"]
        self._token = trio.lowlevel.current_trio_token()
        self._core.opened(self, self.runtime, trio._core._run.unrolled_run.__code__)

    @_guarded
    def task_spawned(self, task: Any) -> None:
        """The core hears of it when it is scheduled, which is at once."""
        self._tasks[task] = TrioTask(task)

    @_guarded
    def task_scheduled(self, task: Any) -> None:
        """It is ready to run."""
        self._core.scheduled(self, self._tasks[task], self._source)

    @_guarded
    def before_task_step(self, task: Any) -> None:
        """A poll begins."""
        self._core.poll_begins(self._tasks[task])

    @_guarded
    def task_exited(self, task: Any) -> None:
        """It has ended, in the poll that is under way. How, only trio's own frame knows: three calls away."""
        known = sys._getframe(3).f_locals
        runner = known["self"]
        outcome = runner.main_task_outcome if task is runner.main_task else known["outcome"]
        self._tasks[task].end(getattr(outcome, "error", None))

    @_guarded
    def after_task_step(self, task: Any) -> None:
        """The poll ends."""
        told = self._tasks[task]
        self._core.poll_ends(told)
        if told.done():
            del self._tasks[task]
            told.tell()

    @_guarded
    def before_io_wait(self, timeout: float) -> None:
        """Until it has ended, tasks are woken by what it waits for."""
        self._source = WakerSource.IO

    @_guarded
    def after_io_wait(self, timeout: float) -> None:
        """Now by deadlines that are over."""
        self._source = WakerSource.TIMER

    @_guarded
    def after_run(self) -> None:
        """It is over."""
        self._token = None
        self._core.release(self)

    # -- as a loop --

    def is_running(self) -> bool:
        """Whether it can be asked to call something."""
        return self._token is not None

    def call_soon_threadsafe(self, function: Callable[..., object], *args: Any) -> None:
        """Have it call `function`. RuntimeError where it is over."""
        token = self._token
        if token is None:
            raise RuntimeError("expected a run of trio that goes on, found one that is over")
        token.run_sync_soon(function, *args)

    # -- for the hooks --

    def join(self) -> None:
        """Become part of the run that goes on in this thread, with the tasks that it has."""
        trio = sys.modules["trio"]
        trio.lowlevel.add_instrument(self)
        self.before_run()
        for task in _descendants(trio.lowlevel.current_root_task()):
            self._tasks[task] = TrioTask(task)
            self._core.adopt(self._tasks[task], self)

    def leave(self) -> None:
        """Leave the run, and tell no more from now on."""
        self.on_fault = None
        token, self._token = self._token, None
        if token is None:
            return
        for task in list(self._tasks.values()):
            self._core.poll_ends(task)  # the one that is under way
        self._core.release(self)
        lowlevel = sys.modules["trio"].lowlevel
        if lowlevel.in_trio_run() and lowlevel.current_trio_token() is token:
            self._remove()
        else:
            with suppress(RuntimeError):  # it is over
                token.run_sync_soon(self._remove)

    def _remove(self) -> None:
        """In the thread of the run."""
        with suppress(KeyError):
            sys.modules["trio"].lowlevel.remove_instrument(self)


def _descendants(task: Any) -> Iterator[Any]:
    if task is not None:
        yield task
        for nursery in task.child_nurseries:
            for child in nursery.child_tasks:
                yield from _descendants(child)


class TrioHooks:
    """The hooks: every run that begins while they are in place has an instrument of ours."""

    def __init__(self, core: Core, on_fault: OnFault) -> None:
        self._core = core
        self._on_fault = on_fault
        self._patches = Patches()
        self._on_import = OnImport("trio", self._put)
        self._runs: WeakSet[Run] = WeakSet()

    def start(self) -> None:
        """Put them in place, now or once trio is imported. A run that goes on in this thread is joined, one
        of another thread is not."""
        if sys.modules.get("trio") is None:
            self._on_import.start()
        else:
            self._put()

    def stop(self) -> None:
        """Take them out again. A run of another thread lets go of its instrument, which tells nothing more,
        when it comes to it."""
        self._on_import.stop()
        self._patches.undo()
        for run in tuple(self._runs):
            run.leave()
        self._runs.clear()

    def restart(self) -> None:
        """The process has forked: runs of the parent's are not told of any more."""
        for run in tuple(self._runs):
            run.on_fault = None
        self._runs.clear()

    def _put(self) -> None:
        try:
            trio = sys.modules["trio"]
            add_machinery(os.path.dirname(os.path.abspath(trio.__file__ or "")))
            self._patches.apply(self._of_runs(trio._core._run))
            if trio.lowlevel.in_trio_run():
                self._run().join()
        except Exception as error:  # a trio unlike those we know
            self._on_fault(error)

    def _of_runs(self, module: Any) -> Iterator[Patch]:
        stock = module.Instruments

        @wraps(stock, updated=())
        def instruments(incoming: Any) -> Any:
            try:
                return stock([*incoming, self._run()])
            except BaseException as error:
                leave_out(error)
                raise

        yield Patch(module, "Instruments", instruments)

    def _run(self) -> Run:
        run = Run(self._core, self._on_fault)
        self._runs.add(run)
        return run
