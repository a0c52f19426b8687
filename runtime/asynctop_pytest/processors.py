"""Whether the machine had a processor for the tests while a poll took long.

The stall watcher looks at a poll when it has taken long already. On a machine with much to do that is too
late to know what kept it at first, and of the many polls of a test run one may be unlucky. So the clocks of
the tests' thread are noted all the while.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from itertools import pairwise
from typing import NamedTuple
from weakref import ref

from asynctop.forks import when_forked
from asynctop.threads import join

PERIOD_NS = 10_000_000
"""Between two notes: several within a poll that is too long."""

SLACK_NS = 5_000_000
"""How much later a note may come: another thread runs Python code for a switch interval."""

KEPT = 3000
"""Notes that are kept: those of half a minute."""


class Clocks(NamedTuple):
    """The times at a moment."""

    at_ns: int
    busy_ns: int
    """For how long the process has computed, in all its threads: the loop may have run in another one."""
    waited_ns: int
    """For how long the tests' thread was ready to run while others had the processors; and"""
    noter_waited_ns: int
    """the thread that notes: so much later it came, and for no other reason."""


class Notes:
    """The latest clocks, oldest first."""

    def __init__(self) -> None:
        self._clocks: deque[Clocks] = deque(maxlen=KEPT)

    def add(self, clocks: Clocks) -> None:
        """One more."""
        self._clocks.append(clocks)

    def own_ns(self, started_ns: int, took_ns: int, *, computes: bool, for_thread: bool) -> int:
        """How much of a poll's time was its own: in which it computed or waited, but not for a processor.
        Where the notes do not tell, it is rather too little.

        A late note says that the machine stood still, unless the poll computes with the interpreter's lock.
        Where it waits for another thread, others may have had the processors instead of that.
        """
        clocks = list(self._clocks)
        first = max((n for n, each in enumerate(clocks) if each.at_ns <= started_ns), default=0)
        ended = (n for n, each in enumerate(clocks) if each.at_ns >= started_ns + took_ns)
        around = clocks[first : min(ended, default=len(clocks)) + 1]
        if len(around) < 2:
            return took_ns
        own_ns = took_ns - (around[-1].waited_ns - around[0].waited_ns)
        if computes:
            return min(own_ns, around[-1].busy_ns - around[0].busy_ns)
        late = (
            after.at_ns
            - before.at_ns
            - PERIOD_NS
            - (0 if for_thread else after.noter_waited_ns - before.noter_waited_ns)
            for before, after in pairwise(around)
        )
        return own_ns - sum(ns for ns in late if ns > SLACK_NS)


class Noting:
    """Notes the clocks of the thread that makes it, on a thread of its own."""

    def __init__(self) -> None:
        global _noting
        self.notes = Notes()
        self._noted = threading.current_thread()
        self._thread: threading.Thread | None = None
        self._over = threading.Event()
        self.resume()
        if _noting is None:
            os.register_at_fork(before=_before_fork, after_in_parent=_after_fork)
        _noting = ref(self)

    def note(self) -> None:
        """Note the clocks now, too."""
        thread = self._thread
        if thread is not None:
            waited = _waited_ns(self._noted), _waited_ns(thread)
            self.notes.add(Clocks(time.monotonic_ns(), time.process_time_ns(), *waited))

    def resume(self) -> None:
        """Begin, or go on, where the system tells the times."""
        if self._thread is None and os.path.exists(_times_of(self._noted)):
            self._over.clear()
            self._thread = threading.Thread(target=self._run, name="asynctop-processors", daemon=True)
            self._thread.start()

    def stop(self) -> bool:
        """Note no more. Whether it was under way."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._over.set()
            join(thread)
        return thread is not None

    def _run(self) -> None:
        while not self._over.wait(PERIOD_NS / 1e9):
            self.note()


_noting: ref[Noting] | None = None
"""The latest one; the hooks are there once there was one."""
_paused: Noting | None = None
"""Stopped by a fork: a process with threads is not safe to fork, and the interpreter warns."""


def _before_fork() -> None:
    global _paused
    noting = _noting() if _noting is not None else None
    _paused = noting if noting is not None and noting.stop() else None


def _after_fork() -> None:
    if _paused is not None:
        when_forked(_paused.resume, sys._getframe(1))


def _waited_ns(thread: threading.Thread) -> int:
    with open(_times_of(thread), "rb", buffering=0) as file:
        return int(file.read(100).split()[1])


def _times_of(thread: threading.Thread) -> str:
    return f"/proc/self/task/{thread.native_id}/schedstat"
