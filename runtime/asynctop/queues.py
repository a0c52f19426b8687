"""For how long threads were ready to run while others had the processors, and whether they wait, as Linux
tells it."""

from __future__ import annotations

import threading
import time
from _thread import get_ident
from typing import NamedTuple

MOST_TURNS = 4
"""Who has had more turns on a processor was not kept off them: it asked for the interpreter's lock again and
again."""


class _Turns(NamedTuple):
    """A thread's time in the processors' queues, and how often it was its turn."""

    waited_ns: int
    turns: int


class Queues:
    """The threads' time in the processors' queues, from look to look of the stall watcher."""

    def __init__(self) -> None:
        self._last: dict[int, _Turns] = {}
        """By thread identifier, as of the last call."""
        self._last_ns = 0

    def waited(self, threads: set[int], since_ns: int) -> dict[int, int]:
        """How many ns each of these threads and the calling one waited since the last call, of those that
        were asked for then, at `since_ns` or later; 0 where the system does not tell.

        A file is opened for each, so this gives up the interpreter's lock, and is for when there is something
        to judge: a program may look at the numbers its own files get.
        """
        last = self._last if self._last_ns >= since_ns else {}
        me = get_ident()
        self._last = {thread: _turns(thread) for thread in {*threads, me}} if threads else {}
        self._last_ns = time.monotonic_ns()
        waited = {}
        for thread, (now_ns, turns) in self._last.items():
            if thread in last:
                before_ns, turns_before = last[thread]
                kept = thread != me or turns - turns_before <= MOST_TURNS
                waited[thread] = now_ns - before_ns if kept else 0
        return waited


def _turns(thread: int) -> _Turns:
    try:
        with open(f"/proc/self/task/{_native(thread)}/schedstat", "rb", buffering=0) as file:
            _, waited_ns, count = file.read(100).split()
            return _Turns(int(waited_ns), int(count))
    except (AttributeError, OSError, ValueError):
        return _Turns(0, 0)


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
