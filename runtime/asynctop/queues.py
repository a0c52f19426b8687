"""For how long threads were ready to run while others had the processors, and whether they wait, as Linux
tells it."""

from __future__ import annotations

import sys
import threading
import time
from _thread import get_ident
from math import inf
from typing import NamedTuple

MOST_TURNS = 4
"""Who has had more turns on a processor was not kept off them: it asked for the interpreter's lock again and
again."""


class Turns(NamedTuple):
    """A thread's time in the processors' queues, and how often it was its turn."""

    waited_ns: int
    number: int
    """0 where the system does not tell: who looks has had a turn."""

    @property
    def kept_ns(self) -> int:
        """For how long others kept the thread that looks off the processors."""
        return self.waited_ns if self.number <= MOST_TURNS else 0

    @property
    def asked_ns(self) -> float:
        """For how long at most it asked for the interpreter's lock: who does so has a turn each switch
        interval, once it has a processor. A thread that is stopped has none, by a signal or with the whole
        machine, and of that the queues tell nothing."""
        return self.number * sys.getswitchinterval() * 1e9 + self.waited_ns if self.number else inf


class Queues:
    """The threads' time in the processors' queues, from look to look of the stall watcher."""

    def __init__(self) -> None:
        self._last: dict[int, Turns] = {}
        """By thread identifier, as of the last call."""
        self._last_ns = 0

    def turns(self, threads: set[int], since_ns: int) -> dict[int, Turns]:
        """The turns of each of these threads and the calling one since the last call, of those that were
        asked for then, at `since_ns` or later.

        A file is opened for each, so this gives up the interpreter's lock, and is for when there is something
        to judge: a program may look at the numbers its own files get.
        """
        last = self._last if self._last_ns >= since_ns else {}
        me = get_ident()
        self._last = {thread: _turns(thread) for thread in {*threads, me}} if threads else {}
        self._last_ns = time.monotonic_ns()
        return {
            thread: Turns(now.waited_ns - last[thread].waited_ns, now.number - last[thread].number)
            for thread, now in self._last.items()
            if thread in last
        }


def _turns(thread: int) -> Turns:
    try:
        with open(f"/proc/self/task/{_native(thread)}/schedstat", "rb", buffering=0) as file:
            _, waited_ns, count = file.read(100).split()
            return Turns(int(waited_ns), int(count))
    except (AttributeError, OSError, ValueError):
        return Turns(0, 0)


def waits(thread: int) -> bool | None:
    """Whether a thread waits in the system: for a file, a lock, or an end of its sleep. None where the system
    does not tell.

    This gives up the interpreter's lock, so one that waits for that does so no more. See `Queues.waited`.
    """
    try:
        with open(f"/proc/self/task/{_native(thread)}/syscall", "rb", buffering=0) as file:
            return not file.read(100).startswith(b"running")
    except (AttributeError, OSError):
        return None


def _native(thread: int) -> int:
    """The system's number of a thread. AttributeError where it is not known."""
    return threading._active.get(thread).native_id  # type: ignore[attr-defined, no-any-return]
