"""Why a poll takes long, told from outside: by how busy its thread is, and by how easily others get to run.

Two things are seen at each look of the stall watcher. For how long the loop's thread has been busy since
the last look says whether it computes or waits. How late the watcher itself came, in spite of itself, says
who has the interpreter's lock: a thread that runs Python code gives it up one switch interval (5 ms) after
another asks for it, C code that holds it gives it up when it is done, and a thread that waits, or that runs C
code without the lock, does not have it. Garbage collections say themselves when they run.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections import deque
from typing import TypeAlias

from asynctop_protocol import Cause

HELD_FACTOR = 10
"""Switch intervals of delay from which on somebody must have held the lock without running Python code."""

FREE_FACTOR = 0.5
"""Switch intervals of delay up to which nobody had the lock. What the system takes to wake a thread is far
less."""

BUSY_SHARE = 0.5
"""Busy share of the time from which on a thread computes rather than waits."""


Place: TypeAlias = tuple[int, int]
"""A code object's id and an instruction in it: where a thread is."""


class Evidence:
    """What the looks at one poll have told."""

    def __init__(self) -> None:
        self._looks = 0
        self._free_looks = 0
        self._wall_ns = 0
        self._busy_ns = 0
        self._held = False
        self._places: set[Place] = set()

    def sample(self, place: Place) -> None:
        """The thread's stack was read: where it was."""
        self._places.add(place)

    def look(self, late_ns: int, passed_ns: int, busy_ns: int | None, *, first: bool) -> None:
        """The poll was found running by a look that came late, by `late_ns` since the poll began.

        Since the look before `passed_ns` had passed; in the poll its thread was busy for at least `busy_ns`
        of them, where the platform tells. On the `first` look, some of the time was before the
        poll.
        """
        self._looks += 1
        self._free_looks += late_ns < FREE_FACTOR * sys.getswitchinterval() * 1e9
        self.delay(late_ns, busy_ns)
        if not first and busy_ns is not None:
            self._wall_ns += passed_ns
            self._busy_ns += busy_ns

    def delay(self, late_ns: int, busy_ns: int | None) -> None:
        """For `late_ns` of the time that a look was late the poll went on; by the look it may have ended."""
        if late_ns >= HELD_FACTOR * sys.getswitchinterval() * 1e9:
            self._held = self._held or busy_ns is None or busy_ns >= BUSY_SHARE * late_ns

    def cause(self, collecting: float) -> Cause:
        """The verdict, as of now. `collecting`: which part of the time garbage was collected."""
        if collecting >= BUSY_SHARE:
            return Cause.GC
        if self._held:
            return Cause.GIL
        if not self._looks:
            return Cause.UNKNOWN
        if self._wall_ns and self._busy_ns < BUSY_SHARE * self._wall_ns:
            return Cause.BLOCKING
        # It computes. If it does so in one call, and without the lock, then that is a blocking call to the
        # loop: a query in a database's own code, for example.
        free = 2 * self._free_looks > self._looks and len(self._places) <= 1
        return Cause.BLOCKING if free else Cause.CPU


class Collections:
    """The garbage collections that took long enough to matter."""

    SHORTEST_NS = 1_000_000
    """Shorter ones, and there are thousands, cannot be what a stall is made of."""

    def __init__(self) -> None:
        self._started_ns = 0
        self._recent: deque[tuple[int, int]] = deque(maxlen=256)
        """(start, end), oldest first."""

    def start(self) -> None:
        """Begin to listen."""
        gc.callbacks.append(self._notice)

    def stop(self) -> None:
        """Listen no more."""
        if self._notice in gc.callbacks:
            gc.callbacks.remove(self._notice)

    def share(self, since_ns: int, took_ns: int) -> float:
        """Which part of a span of time was spent collecting."""
        until_ns = since_ns + took_ns
        spans = [*self._recent, (self._started_ns or until_ns, until_ns)]
        return sum(max(min(end, until_ns) - max(start, since_ns), 0) for start, end in spans) / max(
            took_ns, 1
        )

    def _notice(self, phase: str, info: dict[str, int]) -> None:
        now = time.monotonic_ns()
        if phase == "start":
            self._started_ns = now
        elif self._started_ns:
            if now - self._started_ns >= self.SHORTEST_NS:
                self._recent.append((self._started_ns, now))
            self._started_ns = 0


class ThreadClocks:
    """For how long threads ran, or would have if there had been a free processor, from look to look."""

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
        # By the kernel's own id of the thread, which is safe even if it has ended meanwhile: there
        # pthread_getcpuclockid() would read freed memory.
        alive = threading._active.get(thread)  # type: ignore[attr-defined]
        if alive is None or sys.platform != "linux":
            return None
        try:
            with open(f"/proc/self/task/{alive.native_id}/schedstat", "rb") as file:
                running, runnable, _slices = map(int, file.read().split())
        except (OSError, ValueError):  # it has ended, or this kernel does not keep it
            return None
        # A thread that wants to run but has to wait for a processor computes, too.
        return running + runnable
