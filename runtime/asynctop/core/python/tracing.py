"""The trace: every poll of every task, while a console wants to know.

The loops' threads append rows, each in one step under the interpreter's lock; the publisher's thread takes
them away several times a second, and keeps the newest. Rows lie in blocks of many, which are not moved.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from struct import Struct
from time import monotonic_ns
from typing import NamedTuple

from asynctop.core.contract import TRACED, TRACED_SAFELY
from asynctop.core.python.handles import settings

_ROW = Struct("=5q")
_pack = _ROW.pack
_COLUMNS = 5


class TracedPolls(NamedTuple):
    """Polls that ended one after the other."""

    first: int
    """The number of the first of them."""
    rows: memoryview[int]
    """Of each: task, time of the wake, waker as in `TaskRecord.waker`, beginning, end."""

    @property
    def last(self) -> int:
        """The number of the last one."""
        return self.first + len(self.rows) // _COLUMNS - 1

    def since(self, number: int) -> TracedPolls:
        """Those of them after this number."""
        skipped = max(number + 1 - self.first, 0)
        return TracedPolls(self.first + skipped, self.rows[skipped * _COLUMNS :])

    def pieces(self, most: int) -> Iterator[TracedPolls]:
        """So many at a time."""
        for start in range(0, len(self.rows), most * _COLUMNS):
            yield TracedPolls(self.first + start // _COLUMNS, self.rows[start : start + most * _COLUMNS])


class Trace:
    """All polls since it began."""

    def __init__(self) -> None:
        self.began_ns = monotonic_ns()
        self.lost = 0
        """Polls for which there was no room: the publisher's thread could not run."""
        self.tracers = 0
        self.last = 0
        """The number of the last poll that the last drain knew of."""
        self.blocks: deque[TracedPolls] = deque()
        """The newest up to that, oldest first."""
        self._fresh: deque[bytes] = deque()

    # -- for the loops' threads --

    def add(self, task: int, woken: int, waker: int, started: int, ended: int) -> None:
        """A poll has ended. One is left out that began before the trace."""
        if started < self.began_ns:
            return
        if len(self._fresh) < 2 * TRACED:
            self._fresh.append(_pack(task, woken, waker, started, ended))
        else:
            self.lost += 1

    # -- for the publisher's thread --

    def drain(self) -> None:
        """Take what there is: the tasks of these polls are known."""
        fresh = self._fresh
        rows = b"".join([fresh.popleft() for _ in range(len(fresh))])
        if rows:
            block = TracedPolls(self.last + 1, memoryview(rows).cast("q"))
            self.last = block.last
            self.blocks.append(block)
        while self.blocks and self.blocks[0].first <= self.last - TRACED:
            block = self.blocks.popleft().since(self.last - TRACED)
            if block.rows:
                self.blocks.appendleft(block)


class Tracer:
    """What one console was told of the trace. The publisher's thread alone."""

    def __init__(self, after: int) -> None:
        if settings.trace is None:
            settings.trace = Trace()
        self._trace = trace = settings.trace
        trace.tracers += 1
        trace.drain()
        if after < 0:
            self._told = max(trace.last - TRACED_SAFELY, 0)
        else:
            self._told = after if 0 < after < trace.last else trace.last
        self._lost = -trace.lost

    def end(self) -> None:
        """The console wants no more."""
        self._trace.tracers -= 1
        if not self._trace.tracers and settings.trace is self._trace:
            settings.trace = None

    def polls(self) -> list[TracedPolls]:
        """Those up to the last drain that the console has not been told of."""
        found = [block.since(self._told) for block in self._trace.blocks if block.last > self._told]
        if found:
            self._lost += found[0].first - 1 - self._told
            self._told = found[-1].last
        return found

    def leave_out(self, after: int) -> None:
        """Of the polls that were found last, those after this number are not told."""
        self._lost += self._told - after

    def lost(self) -> int:
        """Polls that it was not told of in time."""
        return self._lost + self._trace.lost
