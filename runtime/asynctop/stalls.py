"""The stall watcher: sees a poll that has been running too long while it runs, and says why.

A thread looks at the loops forty times a second with the default threshold, or whenever the core finds that
there is something to see. A poll that has been running for half the threshold has its thread's stack read,
so that every stall has at least one sample by the time it counts as one, unless nobody could run.

What each look tells about the cause is weighed in `causes`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Collection

from asynctop.causes import Collections, Evidence, Place
from asynctop.core.contract import Core, Look, Running
from asynctop.stacks import Frame, poll_stack
from asynctop.stall_log import StallLog
from asynctop.threads import join
from asynctop_protocol import Stall, Stalls, frames

SLOWEST_NS = 1_000_000_000
"""A stall that lasts is sampled ever more rarely, but still this often."""


class _Watched:
    """A poll under observation."""

    def __init__(self, running: Running) -> None:
        self.number = 0
        """Its number among the stalls, once it is one."""
        self.running = running
        self.evidence = Evidence()
        self.stacks: Counter[tuple[Frame, ...]] = Counter()
        self.next_sample_ns = 0
        self.pause_ns = 0


class StallWatcher:
    """Finds stalls in the loops of a core, on a thread of its own."""

    def __init__(
        self,
        core: Core,
        threshold_ns: int,
        on_news: Callable[[], None],
        on_fault: Callable[[BaseException], None],
        on_sample: Callable[[Running, Collection[int]], None] = lambda running, threads: None,
    ) -> None:
        """`on_sample` is told of each stall whose stack has just been read, and of the loops' threads."""
        self._core = core
        self._on_sample = on_sample
        self._on_news = on_news
        self._threshold_ns = threshold_ns
        self._period_ns = threshold_ns // 2
        self._on_fault = on_fault
        self._lock = threading.Lock()
        self._watched: dict[int, _Watched] = {}
        """By loop: the poll it is in, as of the last look."""
        self._log = StallLog()
        self._ongoing: dict[int, tuple[int, Stall]] = {}
        self._collections = Collections()
        self._version = 0
        self._count = 0
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to watch, or go on after a pause."""
        self._collections.start()
        self._core.begin_watch(self._period_ns)
        thread = threading.Thread(target=self._run, name="asynctop-stalls", daemon=True)
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """End the thread; what was seen is kept."""
        self._collections.stop()
        self._core.end_watch()
        if self._thread is not None:
            join(self._thread)

    def collecting(self) -> bool:
        """Whether garbage is being collected at this moment."""
        return self._collections.running

    def since(self, version: int) -> tuple[int, bytes]:
        """The version now, and the stalls that began, went on or ended after `version`, as frames."""
        with self._lock:
            ended = self._log.since(version)
            ongoing = [frames(Stalls([stall])) for at, stall in self._ongoing.values() if at > version]
            return self._version, b"".join((*ended, *ongoing))

    def due_ns(self) -> None:
        """Nothing ever waits: the bell rings for each stall."""

    def _run(self) -> None:
        try:
            while (look := self._core.watch()) is not None:
                self.look(look)
        except Exception as error:
            self._on_fault(error)

    def look(self, look: Look) -> None:
        """Look at every loop once."""
        now, late, previous, used = look
        ended, running = self._core.long_polls(), self._core.running()
        # At once, while what was found running still does.
        stacks = {each.loop: poll_stack(self._core, each) for each in running if self._is_due(each, now)}
        for each in ended:
            watched = self._watched.pop(each.loop, None)
            if watched is None or watched.running.since_ns != each.since_ns:
                watched = _Watched(each)
            within = min(each.since_ns + each.took_ns, now) - max(each.since_ns, now - late)
            watched.evidence.delay(within, _at_least(used.get(each.thread), each.since_ns - previous))
            self._keep(watched, each.took_ns, ongoing=False)
        before, self._watched = self._watched, {}
        for each in running:
            watched = before.get(each.loop)
            known = watched is not None and watched.running.since_ns == each.since_ns
            if watched is None or not known:
                watched = _Watched(each)
            self._watched[each.loop] = watched
            busy = _at_least(used.get(each.thread), each.since_ns - previous)
            watched.evidence.look(min(late, now - each.since_ns), now - previous, busy, first=not known)
            if each.loop in stacks:
                self._sample(watched, now, *stacks[each.loop])
                if now - each.since_ns >= self._threshold_ns:
                    self._on_sample(each, used.keys())

    def _is_due(self, running: Running, now: int) -> bool:
        """Whether the stack of what runs is to be read at this look."""
        watched = self._watched.get(running.loop)
        if watched is not None and watched.running.since_ns == running.since_ns:
            return now >= watched.next_sample_ns and now - running.since_ns >= self._period_ns
        return now - running.since_ns >= self._period_ns

    def _sample(self, watched: _Watched, now: int, stack: list[Frame], place: Place) -> None:
        if stack:
            watched.stacks[tuple(stack)] += 1
            watched.evidence.sample(place)
        watched.pause_ns = min(watched.pause_ns * 5 // 4 + 1_000_000, SLOWEST_NS)
        watched.next_sample_ns = now + watched.pause_ns
        age = now - watched.running.since_ns
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
                cause=watched.evidence.cause(took_ns, self._collections.within(running.since_ns, took_ns)),
                samples=watched.stacks.total(),
                stack=list(stack),
            )
            if ongoing:
                self._ongoing[running.loop] = (self._version, stall)
            else:
                self._ongoing.pop(running.loop, None)
                self._log.add(self._version, frames(Stalls([stall])))
        self._on_news()


def _at_least(busy_ns: int | None, before_ns: int) -> int | None:
    """How long the thread was on the processor within the poll, where `before_ns` of the time was before
    it."""
    return None if busy_ns is None else busy_ns - max(before_ns, 0)
