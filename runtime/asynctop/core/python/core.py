"""The pure-Python core as `asynctop.core.contract` has it."""

from __future__ import annotations

import os
import sys
from asyncio import base_events, events
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from itertools import islice
from types import FrameType
from typing import Any

from asynctop.core.contract import SOUGHT, Look, Outlet, Patch, Running, Wake
from asynctop.core.python import handles, schedulers, spawns, tasks, wakes
from asynctop.core.python.collector import Collector, Cursor
from asynctop.core.python.records import NOTHING, loop_stats, registry
from asynctop.core.python.watch import Watch
from asynctop_protocol import WakerSource

_DIRECTORY = os.path.dirname(os.path.abspath(__file__)) + os.sep
_POLLS = {"_run", "_run_callback", "__call__", "create_task"}
"""Functions here that run a task's step or a callback: what they call is the program's."""


class PythonCore:
    """See `asynctop.core.contract.Core`. Its state is the modules': the hot path must not look for it."""

    name = "python"
    sends = False

    def __init__(self, threshold_ns: int, on_fault: Callable[[Exception], None]) -> None:
        handles.settings.threshold_ns = threshold_ns
        handles.settings.on_fault = on_fault
        registry.open = True
        self._collector = Collector()
        self._watch = Watch(0, self.threads)
        self.drain = self._collector.drain

    def loop_patches(self) -> Iterable[Patch]:
        """Replacements that make loops built on `BaseEventLoop` report task steps, callbacks and timers."""
        loop_class = base_events.BaseEventLoop
        outer = loop_class.call_soon
        code = getattr(outer, "__code__", None)
        if code is not None and code.co_filename == base_events.__file__:  # else somebody has replaced it
            yield Patch(loop_class, "call_soon", wakes.call_soon_for(outer))
        yield Patch(loop_class, "_call_soon", wakes.call_soon)
        yield Patch(events, "Handle", handles.Handle)
        yield Patch(events, "TimerHandle", handles.TimerHandle)
        if sys.version_info >= (3, 14):
            yield Patch(events, "_ThreadSafeHandle", handles.ThreadSafeHandle)

    wrap = staticmethod(wakes.wrap)
    wrapping = staticmethod(wakes.wrapping)
    create_task = staticmethod(spawns.create_task)

    opened = staticmethod(schedulers.opened)
    scheduled = staticmethod(schedulers.scheduled)
    poll_begins = staticmethod(schedulers.poll_begins)
    poll_ends = staticmethod(schedulers.poll_ends)

    def adopt(self, task: Any, loop: Any) -> None:
        """Begin the record of a task that was there before the hooks."""
        try:
            spawns.adopt(task, loop)
        except Exception as error:
            handles.fault(error)

    def release(self, loop: Any) -> None:
        """`loop` has been closed: let go of the steps it will never run."""
        try:
            stats = loop_stats(loop)
            stats.closed = True
            for record in list(tasks.records.values()):
                if record.stats is stats:
                    record.let_go()
        except Exception as error:
            handles.fault(error)

    def report_foreign_calls(self, report: Callable[[Any, Any], None] | None) -> None:
        """From now on call `report(loop, callback)` where a loop was given a callback in another thread than
        its own."""
        handles.settings.on_foreign_call = report

    def restart(self) -> None:
        """The process has forked: forget everything, and begin anew."""
        self.forget()
        self.__init__(handles.settings.threshold_ns, handles.settings.on_fault)  # type: ignore[misc]

    def forget(self) -> None:
        """The hooks are gone: let go of everything."""
        for record in list(tasks.records.values()):
            task = record.task()
            if task is not None:
                task.remove_done_callback(spawns.adopted_ended)
            record.ref = None
            record.key = -1
        tasks.records.clear()
        tasks.destroyed.clear()
        for stats in registry.loops:
            loop = stats.loop()
            if loop is not None:
                del loop._asynctop_stats
        registry.__init__()  # type: ignore[misc]
        handles.settings.trace = None
        self.report_foreign_calls(None)

    def begin_watch(self, period_ns: int) -> None:
        """From now on `watch` waits."""
        self._watch = Watch(period_ns, self.threads)

    def watch(self) -> Look | None:
        """Wait for the next time to look. None once the watch has ended."""
        return self._watch.wait()

    def end_watch(self) -> None:
        """Let `watch` return. On any thread."""
        self._watch.end()

    def running(self) -> list[Running]:
        """What each loop's thread is in at this moment; idle loops are left out."""
        found = []
        for stats in tuple(registry.loops):
            since, current = stats.since, stats.current
            if current is not NOTHING and current is stats.current:
                kind, name, poll = 0, current.name, 0
                if type(current) is tasks.TaskRecord:
                    kind, name = current.kind_stats.number, tasks.name_of(current)
                    poll = current.polls + 1
                thread = stats.thread_id() or 0
                found.append(Running(stats.number, max(current.id, 0), kind, name, since, thread, 0, poll))
        return found

    def long_polls(self) -> list[Running]:
        """Polls and callbacks past the threshold that ended since the last call."""
        found = []
        for stats in tuple(registry.loops):
            while stats.long_polls:
                note = stats.long_polls.popleft()
                thread = stats.thread_id() or 0
                found.append(Running(stats.number, *note[:4], thread, note.took_ns, note.poll, note.last))
        return found

    def long_polls_wait(self) -> bool:
        """Whether `long_polls` has something to tell."""
        return any(stats.long_polls for stats in tuple(registry.loops))

    def threads(self) -> set[int]:
        """Identifiers of the threads that the open loops run in."""
        threads = {stats.thread_id() for stats in tuple(registry.loops) if not stats.closed}
        return {thread for thread in threads if thread is not None}

    def loops(self) -> dict[int, Any]:
        """The open loops, by number."""
        found = ((stats.number, stats.loop()) for stats in tuple(registry.loops) if not stats.closed)
        return {number: loop for number, loop in found if loop is not None}

    def poll_frames(self, running: Running) -> list[FrameType]:
        """The frames of a poll or callback that runs, innermost first; none where it has ended."""
        frames: list[FrameType] = []
        runs = next((stats.runs for stats in tuple(registry.loops) if stats.number == running.loop), None)
        frame = sys._current_frames().get(running.thread)
        while frame is not None:
            code = frame.f_code
            if code is runs or (code.co_name in _POLLS and code.co_filename.startswith(_DIRECTORY)):
                return frames
            frames.append(frame)
            frame = frame.f_back
        return []

    def tasks_of(self, loop: int, wanted: Collection[int] = ()) -> Iterator[tuple[int, Hashable]]:
        """The loop's live tasks that are wanted, or all: their ids, and what `find` knows them by."""
        ids = frozenset(wanted)
        for record in list(tasks.records.values()):
            if record.stats.number == loop and (not ids or record.id in ids):
                yield record.id, record.key

    def find(self, keys: Iterable[tuple[int, Hashable]]) -> list[tuple[int, Any]]:
        """Those that still live, with the task objects. On the thread of their loop only."""
        records = ((number, tasks.records.get(key)) for number, key in keys)  # type: ignore[call-overload]
        pairs = [(each.id, each.task()) for number, each in records if each is not None and each.id == number]
        return [(number, task) for number, task in pairs if task is not None]

    def identify(self, task: Any) -> int:
        """The id of a live task, 0 where it is not known."""
        record = tasks.records.get(id(task))
        return record.id if record is not None else 0

    def wake(self, loop: Any) -> Wake | None:
        """What the loop of this thread is polling, and who woke that; None where it is in no poll."""
        stats = getattr(loop, "_asynctop_stats", None)
        record: Any = stats.current if stats is not None else NOTHING
        task = record.task() if type(record) is tasks.TaskRecord else None
        if task is None:
            return None
        waker = record.waker
        source, name = (WakerSource.TASK, "") if waker > 0 else registry.wakers[-waker]
        return Wake(task, record.id, record.since, source, max(waker, 0), name)

    def task(self, number: int) -> Any:
        """The live task with this id; None where it has ended, or is not among the first `SOUGHT`."""
        for record in islice(list(tasks.records.values()), SOUGHT):
            if record.id == number:
                return record.task()
        return None

    def cursor(self) -> Cursor:
        """A cursor for a new console, at the beginning."""
        return Cursor(self._collector)

    def tell_faults(self, faults: list[str]) -> None:
        """What each tick says of what has failed."""
        self._collector.faults = faults

    def start(self) -> None:
        """Nothing: the publisher sends."""

    stop = start

    def outlet(self, socket: int, bell: int) -> Outlet:
        """Not to be called."""
        raise NotImplementedError
