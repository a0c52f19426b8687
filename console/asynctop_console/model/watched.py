"""Watched tasks: each of their last polls with the wake that led to it, and histograms of their times."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from asynctop_console.model import limits
from asynctop_console.model.columns import Ints, choice, clipped, whole
from asynctop_console.model.kinds import BUCKETS, histogram_quantile_ns
from asynctop_console.model.tasks import TaskTable
from asynctop_protocol.messages import Histograms, History, WakerSource


class Waker(NamedTuple):
    """What wakes a task."""

    source: int
    """`WakerSource`."""
    task: int
    """0 where it was no task."""
    name: int
    """Text number."""


class Yielded(NamedTuple):
    """Where a poll ended and its task did not."""

    file: int
    """Text number; 0 where that is not known, or the task ended too."""
    line: int


class Poll(NamedTuple):
    """One poll."""

    woken_ns: int
    waker: Waker
    started_ns: int
    ended_ns: int
    yielded: Yielded = Yielded(0, 0)

    @property
    def waited_ns(self) -> int:
        """From the wake to the poll."""
        return max(self.started_ns - self.woken_ns, 0)

    @property
    def ran_ns(self) -> int:
        """The poll itself."""
        return max(self.ended_ns - self.started_ns, 0)


class Times(NamedTuple):
    """How long something took, over many times."""

    counts: Ints
    """By half octave, as in `Totals.histograms`."""
    max_ns: int

    def quantile_ns(self, q: float) -> int | None:
        """The time that a share `q` (0..1) does not exceed, at most 19 % off; None for an empty histogram."""
        found = histogram_quantile_ns(self.counts, q)
        return None if found is None else min(found, self.max_ns)


NO_TIMES = Times(np.zeros(0, np.int64), 0)


_WOKEN, _STARTED, _ENDED = 0, 4, 5
"""Columns of a watched task's rows; what woke it is between them, and where it yielded behind."""


_MOST = limits.LARGEST // 4
"""Of one bucket: an octave of both histograms adds up within 64 bits."""


class WatchedTask:
    """What is known of one watched task."""

    def __init__(self) -> None:
        self.ran = self.waited = NO_TIMES
        """Its polls, and its waits for them. The first few polls are not among them."""
        self._rows: Ints = np.zeros((0, 8), np.int64)

    @property
    def polls(self) -> int:
        """How many polls are kept."""
        return len(self._rows)

    def last(self, count: int, before: int = 0) -> list[Poll]:
        """The last polls but for so many, newest first."""
        end = max(len(self._rows) - before, 0)
        rows = self._rows[max(end - count, 0) : end][::-1].tolist()
        return [
            Poll(woken, Waker(*waker), start, end, Yielded(file, line))
            for woken, *waker, start, end, file, line in rows
        ]

    def since(self, ns: int) -> int:
        """How many of the polls ended at this time or later."""
        return len(self._rows) - int(np.searchsorted(self._rows[:, _ENDED], ns))

    @property
    def since_ns(self) -> int:
        """When the oldest poll that is kept began; 0 where there is none."""
        return int(self._rows[0, _STARTED]) if len(self._rows) else 0

    def longest(self, now: int, span_ns: int, cells: int) -> tuple[Ints, Ints]:
        """The longest poll, and the longest wait for one, that went on in each of so many equal parts of the
        time up to `now`; 0 where there was none. Parts begin at multiples of their length, so that they move
        as one."""
        step = max(span_ns // cells, 1)
        woken, started, ended = (self._rows[:, column] for column in (_WOKEN, _STARTED, _ENDED))
        first = now // step - cells + 1
        return _longest(started, ended, step, first, cells), _longest(woken, started, step, first, cells)

    def wakers(self) -> list[tuple[Waker, int]]:
        """What woke it for the polls that are kept, and how often; the most frequent first."""
        wakers, counts = np.unique(self._rows[:, _WOKEN + 1 : _STARTED], axis=0, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return [(Waker(*wakers[index].tolist()), int(counts[index])) for index in order.tolist()]

    def add(self, rows: Ints) -> None:
        """More polls: a row each, in the order of `Poll`."""
        self._rows = np.concatenate((self._rows, rows))[-limits.HISTORY :]


def _longest(begins: Ints, ends: Ints, step: int, first: int, cells: int) -> Ints:
    """Of what began and ended then, the longest in each of the parts from the number `first` on."""
    # A time too short to be measured is still one.
    took = np.maximum(ends - begins, 1)
    begin, end = begins // step - first, (begins + took - 1) // step - first
    found = np.zeros(cells, np.int64)
    shown = np.flatnonzero((end >= 0) & (begin < cells))
    begin, end, took = np.maximum(begin[shown], 0), np.minimum(end[shown], cells - 1), took[shown]
    np.maximum.at(found, begin, took)
    for row in np.flatnonzero(begin < end).tolist():
        part = found[begin[row] : end[row] + 1]
        np.maximum(part, took[row], out=part)
    return found


def polls_of(message: History) -> tuple[Ints, Ints]:
    """The tasks' ids, and their polls: a row each, in the order of `Poll`."""
    none = [0] * len(message.task)
    columns = (
        whole(message.woken_ns),
        choice(message.waker_source, WakerSource.SIGNAL, WakerSource.UNKNOWN),
        whole(message.waker_task),
        whole(message.waker_name, limits.LARGEST_SMALL),
        whole(message.started_ns),
        whole(message.ended_ns),
        whole(message.yielded_file if len(message.yielded_file) else none, limits.LARGEST_SMALL),
        whole(message.yielded_line if len(message.yielded_line) else none, limits.LARGEST_SMALL),
    )
    return whole(message.task), np.stack(columns, axis=1)


class WatchedTasks:
    """Those that the console watches, by id."""

    def __init__(self) -> None:
        self._tasks: dict[int, WatchedTask] = {}

    def get(self, task: int) -> WatchedTask | None:
        """What is known of a task; None where it is not watched."""
        return self._tasks.get(task)

    def keep(self, tasks: Iterable[int]) -> None:
        """Forget all but these."""
        kept = set(tasks)
        self._tasks = {task: known for task, known in self._tasks.items() if task in kept}

    def polled(self, message: History) -> None:
        """More polls."""
        tasks, rows = polls_of(message)
        for task in np.unique(tasks).tolist():
            self._of(task).add(rows[tasks == task])

    def counted(self, message: Histograms, tasks: TaskTable) -> None:
        """Histograms anew. `tasks` knows the longest polls."""
        for index, task in enumerate(whole(message.task).tolist()):
            watched, row = self._of(task), tasks.row(task)
            most = int(tasks.max_poll_ns[row]) if row is not None else limits.LARGEST
            longest = clipped(message.max_scheduled_ns[index])
            watched.ran = Times(whole(message.polls[index], _MOST)[:BUCKETS], most)
            watched.waited = Times(whole(message.scheduled[index], _MOST)[:BUCKETS], longest)

    def _of(self, task: int) -> WatchedTask:
        if task not in self._tasks:
            self._tasks[task] = WatchedTask()
            if len(self._tasks) > limits.WATCHED:
                del self._tasks[next(iter(self._tasks))]
        return self._tasks[task]
