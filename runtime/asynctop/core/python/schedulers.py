"""Tasks of schedulers that are not asyncio's: what a hook tells of them, in the words of `tasks`."""

from __future__ import annotations

import weakref
from _thread import get_ident
from time import monotonic_ns
from types import CodeType
from typing import Any

from asynctop.core.contract import ScheduledTask
from asynctop.core.python.handles import fault
from asynctop.core.python.records import NOTHING, loop_stats, registry
from asynctop.core.python.tasks import records, settle
from asynctop.core.python.wakes import woken
from asynctop.core.sites import STEPPERS
from asynctop_protocol import WakerSource


def opened(loop: Any, runtime: str, runs: CodeType) -> None:
    """A scheduler begins to run."""
    stats = loop_stats(loop)
    stats.runtime = runtime
    stats.runs = runs
    STEPPERS.add(runs.co_name)


def scheduled(loop: Any, task: ScheduledTask, source: WakerSource) -> None:
    """A task was made ready to run."""
    try:
        # In place of a step: its `__self__` is the task, and it is another one at each wake.
        step: Any = task.get_name
        record = woken(loop, step)
        record._callback = step
        if record.ref is None:
            record.ref = weakref.ref(task, record.gone)
            record.name = task.get_name()
        stats = record.stats
        if stats.current is NOTHING and source is not WakerSource.UNKNOWN:
            record.waker = registry.waker(source, "")
            if not record.dirty:
                record.dirty = True
                stats.changed.append(record)
    except Exception as error:
        fault(error)


def poll_begins(task: ScheduledTask) -> None:
    """Its next step is about to run."""
    record = records.get(id(task))
    if record is None:
        return
    stats = record.stats
    stats.thread = get_ident()
    stats.since = started = monotonic_ns()  # before `current`: who reads both must not see an old one
    stats.current = record
    record._callback = None  # if it is woken before the end of this poll, that will show
    if record.since >= stats.turn_began:
        stats.begin_turn(started)


def poll_ends(task: ScheduledTask) -> None:
    """That step has run. One whose beginning was not told is none."""
    record = records.get(id(task))
    if record is None or record.stats.current is not record:
        return
    started = record.stats.since
    settle(record, task, None, record.stats, NOTHING, started, started - record.since)
