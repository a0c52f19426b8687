"""What few tasks have beyond their sums: histograms of one that is polled often, and the history of one that
is watched.

A loop's thread writes; the publisher's thread attaches histories and reads.
"""

from __future__ import annotations

import threading
from collections import deque
from time import monotonic_ns
from typing import Any, NamedTuple

from asynctop.core.contract import POLLS_KEPT
from asynctop.core.suspended import yielded_at


class WatchedPoll(NamedTuple):
    """One poll, with the wake that led to it."""

    number: int
    """Counts up from 1."""
    woken_ns: int
    waker: int
    """As in `TaskRecord.waker`."""
    started_ns: int
    ended_ns: int
    yielded_file: str
    yielded_line: int
    """See `suspended.yielded_at`."""


class History:
    """The last polls of a watched task. `watchers` is the publisher's."""

    def __init__(self) -> None:
        self.began_ns = monotonic_ns()
        self.watchers = 0
        self.count = 0
        self.polls: deque[WatchedPoll] = deque(maxlen=POLLS_KEPT)

    def add(self, woken: int, waker: int, started: int, ended: int, coroutine: Any) -> None:
        """A poll has ended, and `coroutine` is suspended. One is left out that began before the task was
        watched."""
        if started >= self.began_ns:
            self.count += 1
            yielded = yielded_at(coroutine)
            self.polls.append(WatchedPoll(self.count, woken, waker, started, ended, *yielded))

    def since(self, number: int) -> list[WatchedPoll]:
        """Those after this number that are there still."""
        # A list is made of a deque in one step under the interpreter's lock.
        return [poll for poll in list(self.polls) if poll.number > number]


class Details:
    """See above."""

    __slots__ = ("history", "max_wait_ns", "polls", "waits")

    def __init__(self) -> None:
        # As long as the last bucket hit requires: counted faster than a dict, and hardly larger.
        self.polls: list[int] = []
        """Polls by the bucket of their duration, as in `Totals.histograms`."""
        self.waits: list[int] = []
        """The same by how long they waited."""
        self.max_wait_ns = 0
        self.history: History | None = None


_making = threading.RLock()
"""Not a plain lock: a collection that finalizes the program's objects may come under it."""


def details_of(record: Any) -> Details:
    """A record's details, made where there are none. On either side."""
    with _making:
        if record.details is None:
            record.details = Details()
        details: Details = record.details
        return details


def count_in(histogram: list[int], bucket: int) -> None:
    """Count one that is beyond the histogram's end."""
    histogram += [0] * (bucket - len(histogram))
    histogram.append(1)
