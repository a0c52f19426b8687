"""One installation of asynctop in this process: the core, the hooks, the stall watcher and the publisher,
from start to end."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from asynctop.cancellation_log import CancellationLog
from asynctop.core import Core, make_core
from asynctop.core.contract import RETAINED
from asynctop.flight import FlightRecorder
from asynctop.hooks.cancellations import CancellationHooks
from asynctop.hooks.imports import OnImport
from asynctop.hooks.incidents import IncidentHooks
from asynctop.hooks.loops import patches, unwatch_factories, uvloop_patches, watch_factory
from asynctop.hooks.patches import Patches
from asynctop.hooks.streams import StreamHooks
from asynctop.hooks.trio import TrioHooks
from asynctop.incident_log import IncidentLog
from asynctop.insider import Insider
from asynctop.nested_loops import NestedLoops
from asynctop.publisher.server import Publisher
from asynctop.stalls import StallWatcher
from asynctop_protocol import Hello, Role, checked_socket_path, socket_directory, socket_name

FAREWELL_S = 30.0
"""How long a program may wait at its end for who was to see all of it: a console that reads nothing for so
long is stuck."""

MAX_WORDS, MAX_WORD = 64, 400
"""Words of the command line that consoles are told, and characters of each: enough to know the program by."""


class Session:
    """What `install()` makes and `uninstall()` ends. Not to be made twice in a process."""

    def __init__(self, stall_threshold: float, flight: FlightRecorder | None) -> None:
        self._flight = flight
        self._threshold_ns = int(stall_threshold * 1e9)
        self._started_at_ns = time.time_ns()
        self._faults: list[str] = []
        self._failed: set[str] = set()
        self._fault_lock = threading.RLock()
        self._paused = False
        self._attended = False
        """Whether somebody is to see all of the program, its end too."""
        self._patches = Patches()
        self._incident_log = IncidentLog(lambda: self._publisher.wake())
        self._cancellation_log = CancellationLog(lambda: self._publisher.wake())
        self._on_uvloop = OnImport("uvloop", self._patch_uvloop)
        self._core: Core = make_core(self._threshold_ns, lambda error: self._fault("hooks", error))
        self._incidents = IncidentHooks(
            self._core,
            self._incident_log,
            lambda: self._watcher.collecting(),
            self._fault_of_incidents,
        )
        self._trio = TrioHooks(self._core, lambda error: self._fault("trio hooks", error))
        self._of_incidents = (
            self._incidents,
            StreamHooks(self._core, self._incident_log, self._fault_of_incidents),
            CancellationHooks(self._core, self._cancellation_log, self._fault_of_incidents),
        )
        """Those that fail as one."""
        self._serve()

    def _serve(self) -> None:
        path = checked_socket_path(
            os.path.join(socket_directory(os.environ, os.getuid()), socket_name(os.getpid()))
        )
        self._watcher = StallWatcher(
            self._core,
            self._threshold_ns,
            lambda: self._publisher.wake(),
            lambda error: self._fault("stall watcher", error),
            NestedLoops(self._core, self._incident_log, self._fault_of_incidents).look,
            self._flight.stalled if self._flight is not None else lambda stall: None,
        )
        self._publisher = Publisher(
            self._core,
            (self._watcher, self._incident_log, self._cancellation_log),
            self._hello,
            path,
            self._faults,
            lambda error: self._fault("publisher", error),
            self._flight,
        )

    def start(self) -> None:
        """Begin to serve, and put the hooks in. Raises RuntimeError where there can be no more threads."""
        try:
            self._start_threads()
        except RuntimeError:
            self.stop()
            raise
        self._patches.apply(patches(self._core))
        for hooks in (*self._of_incidents, self._trio):
            hooks.start()
        if "uvloop" not in sys.modules:
            self._on_uvloop.start()
        self._adopt()

    @cached_property
    def insider(self) -> Insider:
        """A console in this process."""
        return Insider(self._core, self._watcher)

    def await_console(self, timeout_s: float) -> bool:
        """Wait until a console watches, and at the end until all that do have been told everything. Whether
        one watches, in this time."""
        self._attended = self._publisher.await_console(timeout_s)
        return self._attended

    def _say_farewell(self) -> None:
        # What the program has left behind is freed soon, and then nobody hears any more what that tells.
        gc.collect()
        self._watcher.settle(FAREWELL_S)
        self._publisher.say_farewell(FAREWELL_S)

    def stop(self) -> None:
        """Take everything out again."""
        if self._attended and not self._paused:
            self._say_farewell()
        self._paused = self._attended = False
        self._unhook()
        try:
            self._publisher.stop()
        finally:
            self._watcher.stop()
            self._core.forget()

    def pause(self) -> None:
        """A fork is about to happen. A process with threads is not safe to fork."""
        self._paused = True
        self._watcher.stop()
        self._publisher.pause()

    def resume(self) -> None:
        """In the parent, after the fork. Does nothing where it goes on, or has ended."""
        if not self._paused:
            return
        self._paused = False
        try:
            self._watcher.start()
            self._publisher.start()
        except RuntimeError as error:  # there can be no more threads
            self._fault("publisher", error)

    def restart_after_fork(self) -> None:
        """In the child: it has the hooks, but neither threads nor loops that run. Begin anew, on a socket of
        its own."""
        self._paused = self._attended = False
        self._publisher.abandon()
        self._core.restart()
        for hooks in (*self._of_incidents, self._trio):
            hooks.restart()
        vars(self).pop("insider", None)
        self._faults.clear()
        self._failed.clear()
        self._adopt()
        self._serve()
        self._start_threads()

    def _start_threads(self) -> None:
        if self._flight is not None:
            self._flight.start(self._core)
        self._watcher.start()
        self._publisher.start()

    def _adopt(self) -> None:
        for loop, tasks in _present().items():
            watch_factory(self._core, loop)
            for task in tasks:
                self._core.adopt(task, loop)

    def _patch_uvloop(self) -> None:
        try:
            self._patches.apply(uvloop_patches(self._core))
            self._incidents.start_on_uvloop()
        except Exception as error:  # a uvloop unlike those we know: its import goes on
            self._fault("hooks", error)

    def _unhook(self) -> None:
        self._on_uvloop.stop()
        for hooks in (*self._of_incidents, self._trio):
            hooks.stop()
        self._patches.undo()
        unwatch_factories()

    def _fault_of_incidents(self, error: Exception) -> None:
        self._fault("incident hooks", error)

    def _fault(self, part: str, error: BaseException) -> None:
        """A part of ours has failed: it is switched off, consoles are told, and the program goes on without
        it."""
        line = f"the {part} failed and is switched off: {type(error).__name__}: {error}"[:500]
        with self._fault_lock:
            if part in self._failed:
                return  # steps that were under way end with the same
            self._failed.add(part)
            self._faults.append(line)
        self._publisher.wake()
        if part == "incident hooks":
            for hooks in self._of_incidents:
                hooks.stop()
        elif part == "trio hooks":
            self._trio.stop()
        elif part != "stall watcher":
            self._unhook()

    def _hello(self) -> Hello:
        loops = self._core.loops().values()
        runtimes = {getattr(loop, "runtime", type(loop).__module__.partition(".")[0]) for loop in loops}
        return Hello(
            role=Role.RUNTIME,
            pid=os.getpid(),
            argv=[str(word)[:MAX_WORD] for word in (sys.orig_argv or sys.argv)][:MAX_WORDS],
            python=sys.version.partition(" ")[0],
            runtime=next((each for each in ("uvloop", "trio") if each in runtimes), "asyncio"),
            core=self._core.name,
            started_at_ns=self._started_at_ns,
            monotonic_ns=time.monotonic_ns(),
            wall_ns=time.time_ns(),
            stall_threshold_ns=self._threshold_ns,
            retained=RETAINED,
        )


def _present() -> dict[Any, set[Any]]:
    """The loops there are, with their tasks."""
    # A program's tests may give a task something that only looks like a loop.
    loops = {
        loop for task in _known_tasks() if isinstance(loop := task.get_loop(), asyncio.AbstractEventLoop)
    }
    running = asyncio._get_running_loop()
    if running is not None:
        loops.add(running)
    return {loop: asyncio.all_tasks(loop) for loop in loops if not loop.is_closed()}


def _known_tasks() -> Iterator[Any]:
    """Tasks of all loops and threads. Newer interpreters keep them in lists of their own, which only each
    loop's own can read."""
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
        for _ in range(1000):
            try:
                yield from list(getattr(asyncio.tasks, name, ()))
                break
            except RuntimeError:  # changed by another thread meanwhile
                continue
