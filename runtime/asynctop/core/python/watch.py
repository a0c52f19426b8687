"""When to look for stalls, and how busy the loops' threads were in between: for the pure-Python core."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable

from asynctop.core.contract import Look


class Watch:
    """A look every period. `threads` tells which threads the loops run in."""

    def __init__(self, period_ns: int, threads: Callable[[], set[int]]) -> None:
        self._period_ns = period_ns
        self._threads = threads
        self._over = threading.Event()
        self._clocks = ThreadClocks()
        self._last_ns = time.monotonic_ns()
        self._read_clocks()

    def wait(self) -> Look | None:
        """Wait for the next look. None once it is over."""
        due = self._last_ns + self._period_ns
        if self._over.wait(max(due - time.monotonic_ns(), 0) / 1e9):
            return None
        now = time.monotonic_ns()
        previous, self._last_ns = self._last_ns, now
        return Look(now, max(now - due, 0), previous, self._read_clocks())

    def end(self) -> None:
        """Let `wait` return. On any thread."""
        self._over.set()

    def _read_clocks(self) -> dict[int, int | None]:
        # The main thread as well: a loop may begin there, and stall at once.
        return self._clocks.read({threading.main_thread().ident or 0, *self._threads()})


class ThreadClocks:
    """For how long threads were on a processor, from look to look."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}
        """By thread identifier, as of the last look."""

    def read(self, threads: set[int]) -> dict[int, int | None]:
        """How many ns each thread was busy since the last call: 0 the first time.

        None where the platform does not tell, or the thread has ended.
        """
        used: dict[int, int | None] = {}
        last, self._last = self._last, {}
        for thread in threads:
            before, now = last.get(thread), self._busy_ns(thread)
            if now is not None:
                self._last[thread] = now
            used[thread] = None if now is None else now - before if before is not None else 0
        return used

    def _busy_ns(self, thread: int) -> int | None:
        # Linux numbers the clocks of threads by their kernel ids, and answers with an error for one that has
        # ended; pthread_getcpuclockid() would read freed memory there. And this keeps the interpreter's lock.
        alive = threading._active.get(thread)  # type: ignore[attr-defined]
        if alive is None or alive.native_id is None or sys.platform != "linux":
            return None
        try:
            return time.clock_gettime_ns((~alive.native_id << 3) | 6)
        except OSError:
            return None
