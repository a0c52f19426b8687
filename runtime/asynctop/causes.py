"""Why a poll takes long, told from outside: by how busy its thread is, and by how easily others get to run.

Two things are seen at each look of the stall watcher. For how long the loop's thread has been busy since
the last look says whether it computes or waits. How late the watcher itself came, in spite of itself, says
who has the interpreter's lock: a thread that runs Python code gives it up one switch interval (5 ms) after
another asks for it, C code that holds it gives it up when it is done, and a thread that waits, or that runs C
code without the lock, does not have it. On a machine that has too much to do both are late for another
reason: the system says for how long a thread was ready to run while others had the processors. Garbage
collections say themselves when they run.
"""

from __future__ import annotations

import gc
import sys
import time
from _thread import get_ident
from array import array
from math import inf
from typing import TypeAlias

from asynctop_protocol import Cause

HELD_FACTOR = 10
"""Switch intervals of delay from which on somebody must have held the lock without running Python code."""

FREE_FACTOR = 0.5
"""Switch intervals of delay up to which nobody had the lock. What the system takes to wake a thread is far
less."""

BUSY_SHARE = 0.25
"""Share of the time on a processor from which on a thread computes rather than waits.

Far from what either has on an idle machine: on a busy one, a thread that computes may have to share.
"""

HOLDING_SHARE = 0.05
"""Share of the time on a processor from which on a thread held the lock, rather than asking for it again and
again: on a busy machine it may have had few of it."""

WAIT_FACTOR = 2
"""Thresholds beyond which a thread does not wait for the lock only, while others have it."""

MOST = 0.5
"""Share of a poll's time from which on something is its cause."""

COLLECTION_FACTOR = 2
"""Thresholds of processor time from which on a collection is remarkable: any program with a framework has
full ones of half a threshold, and of a whole one on a slow machine, or a busy one, whose caches are cold."""

Place: TypeAlias = tuple[int, int] | str
"""Where a thread is: a code object's id and an instruction in it, or the C module that is called there."""


class Evidence:
    """What the looks at one poll have told."""

    def __init__(self) -> None:
        self._looks = 0
        self._free_looks = 0
        self._timed_looks = 0
        self._wall_ns = 0
        self._busy_ns = 0
        self._held_ns = 0
        self._surely_held_ns: float = 0
        self._held_by_others_ns = 0
        self._kept_ns = 0
        self._computed_ns: float = 0
        self._places: set[Place] = set()
        self._calls = True
        self._found_waiting = self._found_ready = 0

    def sample(self, place: Place, *, calls: bool, waits: bool | None = None) -> None:
        """The thread's stack was read: where it was, whether that is a call, and whether the thread waited in
        the system just then, where the platform tells."""
        self._places.add(place)
        self._calls &= calls
        self._found_waiting += waits is True
        self._found_ready += waits is False

    def had(self, most_ns: int | None) -> None:
        """Since the look before, the poll had a processor for so long at most, where the platform tells."""
        self._computed_ns += most_ns if most_ns is not None else inf

    def look(self, late_ns: int, asked_ns: float, busy_ns: int | None, kept_ns: int) -> None:
        """The poll was found running by a look that came late, by `late_ns` since the poll began, and that
        asked for the interpreter's lock for `asked_ns` at most.

        Since the look before, its thread was busy in the poll for at least `busy_ns`, where the platform
        tells, and others kept it off the processors for `kept_ns`.
        """
        self._looks += 1
        self.delay(late_ns, asked_ns, busy_ns, kept_ns)

    def came(self, late_ns: int) -> None:
        """A look came so late, of which it is known that others did not have the processors."""
        self._timed_looks += 1
        self._free_looks += late_ns < FREE_FACTOR * sys.getswitchinterval() * 1e9

    def measure(self, passed_ns: int, busy_ns: int | None, kept_ns: int) -> None:
        """The poll went on for all of a time, `passed_ns`, of which it is known for how long its thread was
        busy, and for how long others kept it off the processors."""
        if busy_ns is not None:
            self._wall_ns += max(passed_ns - kept_ns, 0)
            self._busy_ns += busy_ns

    def delay(self, late_ns: int, asked_ns: float, busy_ns: int | None, kept_ns: int) -> None:
        """For `late_ns` of the time that a look was late the poll went on; by the look it may have ended."""
        self._kept_ns += kept_ns
        held_ns = late_ns - kept_ns
        if held_ns < HELD_FACTOR * sys.getswitchinterval() * 1e9:
            return
        if busy_ns is None or busy_ns >= HOLDING_SHARE * late_ns:
            self._held_ns += held_ns
            self._surely_held_ns += min(held_ns, asked_ns, inf if busy_ns is None else busy_ns)
        else:
            self._held_by_others_ns += held_ns

    def cause(
        self, took_ns: int, collecting_ns: int, collecting_busy_ns: int = 1, threshold_ns: int = 0
    ) -> Cause:
        """The verdict on a poll that took so long, of which so long garbage was collected, with a processor
        for so much of that.

        Unknown where it would not have taken longer than the threshold, had it had a processor and the lock.
        """
        own_ns = took_ns - self._kept_ns
        if own_ns <= threshold_ns:
            return Cause.UNKNOWN
        if collecting_ns > MOST * took_ns:
            remarkable = collecting_busy_ns > COLLECTION_FACTOR * threshold_ns
            return Cause.GC if remarkable else Cause.UNKNOWN
        if self._held_ns > MOST * own_ns:
            # Or it was stopped for a while, alone or with its machine.
            least_ns = max(MOST * min(own_ns, self._computed_ns), threshold_ns)
            return Cause.GIL if self._surely_held_ns > least_ns else Cause.UNKNOWN
        if not self._looks or self._held_by_others_ns > MOST * own_ns:
            return Cause.UNKNOWN
        seen_ns = self._wall_ns
        computes = self._computed_ns > threshold_ns
        prompt = 2 * self._free_looks > self._timed_looks
        stays = len(self._places) <= 1 and self._calls
        if not computes and self._found_ready > self._found_waiting:
            return Cause.UNKNOWN  # it waits for nothing but a processor, or the lock
        if seen_ns > 0 and self._busy_ns < BUSY_SHARE * seen_ns:
            # Or it waits for a thread that has the lock: that is over sooner, or found at several places.
            blocked = prompt or (stays and own_ns > WAIT_FACTOR * threshold_ns)
            return Cause.BLOCKING if blocked else Cause.UNKNOWN
        if not computes:
            blocked = prompt and seen_ns - self._busy_ns > threshold_ns
            return Cause.BLOCKING if blocked else Cause.UNKNOWN
        # It computes. If it does so in one call, and without the lock, then that is a blocking call to the
        # loop: a query in a database's own code, for example.
        return Cause.BLOCKING if prompt and stays else Cause.CPU


class Collections:
    """The garbage collections that took long enough to matter."""

    SHORTEST_NS = 1_000_000
    """Shorter ones, and there are thousands, cannot be what a stall is made of."""

    KEPT = 256
    """The newest ones: those of the poll that is judged are among them."""

    def __init__(self) -> None:
        self._started_ns = 0
        # Numbers in one block: objects made while a program's memory grows keep it from shrinking again.
        self._starts = array("q", bytes(8 * self.KEPT))
        self._ends = array("q", bytes(8 * self.KEPT))
        self._busy = array("q", bytes(8 * self.KEPT))
        self._generations = array("b", bytes(self.KEPT))
        self._generation = 0
        self._busy_ns = 0
        """The collecting thread's processor time when it began."""
        self._thread = 0
        self._count = 0

    def start(self) -> None:
        """Begin to listen."""
        gc.callbacks.append(self._notice)

    def stop(self) -> None:
        """Listen no more."""
        if self._notice in gc.callbacks:
            gc.callbacks.remove(self._notice)

    @property
    def running(self) -> bool:
        """Whether one runs just now."""
        return self._started_ns != 0

    def within(self, since_ns: int, took_ns: int) -> tuple[int, int, int]:
        """How many ns of a span of time were spent collecting, for how many of them with a processor, and the
        oldest generation that was collected then."""
        until_ns = since_ns + took_ns
        spent, busy, oldest = 0, 0, 0
        if 0 < self._started_ns < until_ns:
            spent, oldest = until_ns - max(self._started_ns, since_ns), self._generation
            busy = min(spent, _processor_ns(self._thread, spent + self._busy_ns) - self._busy_ns)
        # Without pairs: the interpreter keeps freed tuples for later, and each would pin the memory it is in.
        for number in range(self.KEPT):
            start, end = self._starts[number], self._ends[number]
            if end > since_ns and start < until_ns:
                spent += min(end, until_ns) - max(start, since_ns)
                busy += self._busy[number]
                oldest = max(oldest, self._generations[number])
        return spent, busy, oldest

    def _notice(self, phase: str, info: dict[str, int]) -> None:
        now = time.monotonic_ns()
        if phase == "start":
            self._generation = info["generation"]
            self._busy_ns = time.thread_time_ns()
            self._thread = get_ident()
            self._started_ns = now
        elif self._started_ns:
            if now - self._started_ns >= self.SHORTEST_NS:
                self._starts[self._count % self.KEPT] = self._started_ns
                self._ends[self._count % self.KEPT] = now
                self._busy[self._count % self.KEPT] = time.thread_time_ns() - self._busy_ns
                self._generations[self._count % self.KEPT] = self._generation
                self._count += 1
            self._started_ns = 0


def _processor_ns(thread: int, otherwise: int) -> int:
    """The processor time of a thread that runs; something else where the platform does not tell."""
    try:
        return time.clock_gettime_ns(time.pthread_getcpuclockid(thread))
    except (AttributeError, OSError):
        return otherwise
