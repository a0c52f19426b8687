"""The trace: every poll of every task, while a console wants to know.

The loops' threads write into one bytearray, each row in one step under the interpreter's lock; the
publisher's thread makes it, reads it, and removes what is old.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from time import monotonic_ns
from typing import NamedTuple

from asynctop.core.contract import TRACED, TRACED_SAFELY
from asynctop.core.python.handles import settings

_ROW = Struct("=5q")
_pack = _ROW.pack
_MOST_BYTES = 2 * TRACED * _ROW.size
"""What is old is removed several times a second: this is reached where the publisher's thread cannot run."""


class TracedPolls(NamedTuple):
    """Polls that ended one after the other."""

    first: int
    """The number of the first of them."""
    rows: memoryview[int]
    """Of each: task, time of the wake, waker as in `TaskRecord.waker`, beginning, end."""


class Trace:
    """All polls since it began."""

    def __init__(self) -> None:
        self.began_ns = monotonic_ns()
        self.lost = 0
        """Polls for which there was no room."""
        self.tracers = 0
        self.drained = 0
        """The number of the last poll that the last drain knew of."""
        self._removed = 0
        self._rows = bytearray()

    # -- for the loops' threads --

    def add(self, task: int, woken: int, waker: int, started: int, ended: int) -> None:
        """A poll has ended. One is left out that began before the trace."""
        if started < self.began_ns:
            return
        if len(self._rows) < _MOST_BYTES:
            self._rows.extend(_pack(task, woken, waker, started, ended))
        else:
            self.lost += 1

    # -- for the publisher's thread --

    def drain(self) -> None:
        """Take note of what there is: the tasks of these polls are known."""
        rows = len(self._rows) // _ROW.size
        self.drained = self._removed + rows
        if rows > TRACED:
            del self._rows[: (rows - TRACED) * _ROW.size]
            self._removed += rows - TRACED

    def since(self, number: int, most: int) -> TracedPolls:
        """Those after this number up to the last drain, so many at most; the oldest ones first."""
        start = max(number - self._removed, 0)
        end = min(start + most, self.drained - self._removed)
        # A view of the rows themselves would keep the loops' threads from adding to them.
        rows = bytes(self._rows[start * _ROW.size : end * _ROW.size])
        return TracedPolls(self._removed + start + 1, memoryview(rows).cast("q"))


class Tracer:
    """What one console was told of the trace. The publisher's thread alone."""

    def __init__(self, after: int) -> None:
        if settings.trace is None:
            settings.trace = Trace()
        self._trace = trace = settings.trace
        trace.tracers += 1
        trace.drain()
        if after < 0:
            self._told = max(trace.drained - TRACED_SAFELY, 0)
        else:
            self._told = after if 0 < after < trace.drained else trace.drained
        self._lost = -trace.lost

    def end(self) -> None:
        """The console wants no more."""
        self._trace.tracers -= 1
        if not self._trace.tracers and settings.trace is self._trace:
            settings.trace = None

    def polls(self, most: int) -> Iterator[TracedPolls]:
        """Those that the console has not been told of, so many at a time."""
        until = self._trace.drained
        while self._told < until:
            polls = self._trace.since(self._told, most)
            self._lost += polls.first - 1 - self._told
            self._told = polls.first - 1 + len(polls.rows) // 5
            yield polls

    def lost(self) -> int:
        """Polls that it was not told of in time."""
        return self._lost + self._trace.lost
