"""The stall watcher: sees a poll that has been running too long while it runs, and says why.

A thread looks at the loops forty times a second with the default threshold. A poll that has been running for
half the threshold has its thread's stack read, so that every stall has at least one sample by the time it
counts as one, unless nobody could run.

The cause comes from two clocks (`_cause`): how much processor time the loop's thread used while the poll
lasted, and by how much the watcher itself came too late, which it does only if somebody held the
interpreter's lock.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable

from asynctop.core.contract import Core, Running
from asynctop.stacks import Frame, thread_stack
from asynctop_protocol import Cause, Stall

RETAINED = 256
"""Ended stalls kept for consoles that connect later."""

SLOWEST_NS = 1_000_000_000
"""A stall that lasts is sampled ever more rarely, but still this often."""

HELD_FACTOR = 10
"""The watcher's delay, in switch intervals of the interpreter, from which on its lock must have been held.

A thread that runs Python code gives the lock up after one switch interval (5 ms) when another waits for it.
"""

BUSY_SHARE = 0.5
"""Share of the time that the thread used the processor, from which on a poll was computing rather than
waiting."""


class _Watched:
    """A poll under observation."""

    def __init__(self, running: Running) -> None:
        self.number = 0
        """Its number among the stalls, once it is one."""
        self.running = running
        self.stacks: Counter[tuple[Frame, ...]] = Counter()
        self.next_sample_ns = 0
        self.pause_ns = 0
        self.first_clocks = self.seen_clocks = self.last_clocks = _clocks(running.thread)
        """As of the first look, of the last look, and of the last sample."""
        self.held = False
        """Whether nobody could run for a while."""

    def note_delay(self, now: int, late: int) -> None:
        """The watcher came `late`: was it this poll that kept everybody from running?"""
        if late < HELD_FACTOR * sys.getswitchinterval() * 1e9 or self.running.since_ns > now - late:
            return
        seen = self.seen_clocks
        clocks = _clocks(self.running.thread)
        if seen is None or clocks is None or clocks[1] - seen[1] >= BUSY_SHARE * late:
            self.held = True


def _clocks(thread: int) -> tuple[int, int] | None:
    """(monotonic time, processor time of `thread`) in ns; None where the platform cannot tell."""
    try:
        clock = time.pthread_getcpuclockid(thread)
        return time.monotonic_ns(), time.clock_gettime_ns(clock)
    except (AttributeError, OSError):
        return None


class StallWatcher:
    """Finds stalls in the loops of a core, on a thread of its own."""

    def __init__(self, core: Core, threshold_ns: int, on_fault: Callable[[BaseException], None]) -> None:
        self._core = core
        self._threshold_ns = threshold_ns
        self._period_ns = threshold_ns // 2
        self._on_fault = on_fault
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        """By loop: the poll it is in, as of the last look."""
        self._log: deque[tuple[int, Stall]] = deque(maxlen=RETAINED)
        """(version, stall) of the stalls that ended, oldest first."""
        self._ongoing: dict[int, tuple[int, Stall]] = {}
        self._version = 0
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="asynctop-stalls", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, and wait until it has."""
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def since(self, version: int) -> tuple[int, list[Stall]]:
        """The version now, and the stalls that began, went on or ended after `version`."""
        with self._lock:
            entries = [*self._log, *self._ongoing.values()]
            return self._version, [stall for at, stall in entries if at > version]

    def _run(self) -> None:
        due = time.monotonic_ns()
        try:
            while not self._stop.wait(max(due + self._period_ns - time.monotonic_ns(), 0) / 1e9):
                now = time.monotonic_ns()
                late = max(now - due - self._period_ns, 0)
                due = now
                self.look(now, late)
        except Exception as error:
            self._on_fault(error)

    def look(self, now: int, late: int) -> None:
        """Look at every loop once, at `now`, `late` ns later than meant to."""
        for ended in self._core.long_polls():
            watched = self._watched.pop(ended.loop, None)
            if watched is None or watched.running.since_ns != ended.since_ns:
                watched = _Watched(ended)
                watched.seen_clocks = None  # it came and went between two looks
            watched.note_delay(now, late)
            self._keep(watched, ended.took_ns, ongoing=False)
        before, self._watched = self._watched, {}
        for running in self._core.running():
            watched = before.get(running.loop)
            if watched is None or watched.running.since_ns != running.since_ns:
                watched = _Watched(running)
            else:
                watched.note_delay(now, late)
                watched.seen_clocks = _clocks(running.thread)
            self._watched[running.loop] = watched
            age = now - running.since_ns
            if age >= self._period_ns and now >= watched.next_sample_ns:
                self._sample(watched, now, age)

    def _sample(self, watched: _Watched, now: int, age: int) -> None:
        running = watched.running
        watched.last_clocks = _clocks(running.thread) or watched.last_clocks
        stack = tuple(thread_stack(running.thread))
        if stack:
            watched.stacks[stack] += 1
        watched.pause_ns = min(watched.pause_ns * 5 // 4 + 1_000_000, SLOWEST_NS)
        watched.next_sample_ns = now + watched.pause_ns
        if age >= self._threshold_ns:
            self._keep(watched, age, ongoing=True)

    def _keep(self, watched: _Watched, took_ns: int, *, ongoing: bool) -> None:
        running = watched.running
        with self._lock:
            if not watched.number:
                self._count += 1
                watched.number = self._count
            self._version += 1
            stack, _ = watched.stacks.most_common(1)[0] if watched.stacks else ((), 0)
            stall = Stall(
                id=watched.number,
                task=running.task,
                kind=running.kind,
                name=running.name,
                loop=running.loop,
                started_ns=running.since_ns,
                duration_ns=took_ns,
                ongoing=ongoing,
                cause=self._cause(watched),
                samples=watched.stacks.total(),
                stack=list(stack),
            )
            if ongoing:
                self._ongoing[running.loop] = (self._version, stall)
            else:
                self._ongoing.pop(running.loop, None)
                self._log.append((self._version, stall))

    def _cause(self, watched: _Watched) -> Cause:
        if watched.held:
            return Cause.GIL
        first, last = watched.first_clocks, watched.last_clocks
        if first is None or last is None or last[0] <= first[0]:
            return Cause.UNKNOWN
        share = (last[1] - first[1]) / (last[0] - first[0])
        return Cause.CPU if share >= BUSY_SHARE else Cause.BLOCKING
