"""The stall watcher: sees a poll that has been running too long while it runs, and says why.

A thread looks at the loops forty times a second with the default threshold, or whenever the core finds that
there is something to see. A poll that has been running for half the threshold has its thread's stack read,
so that every stall has at least one sample by the time it counts as one, unless nobody could run.

What each look tells about the cause is weighed in `causes`.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections import Counter
from collections.abc import Callable, Collection
from itertools import takewhile

from asynctop.causes import Collections, Evidence, Place
from asynctop.core.contract import OWN_CALLBACK, Core, Look, Running
from asynctop.queues import Queues, waits
from asynctop.stacks import Sight, poll_stack
from asynctop.stall_log import StallLog
from asynctop.threads import join
from asynctop_protocol import Cause, Part, Stall, Stalls, frames

SLOWEST_NS = 1_000_000_000
"""A stall that lasts is sampled ever more rarely, but still this often."""

MOST_SIGHTS = 64
"""Different stacks kept of one poll, those seen most often: a long computation may show ever new ones."""

MOST_PARTS = 8
"""Different stacks told of one poll: as many as a person compares."""


class _Watched:
    """A poll under observation."""

    def __init__(self, running: Running) -> None:
        self.number = 0
        """Its number among the stalls, once it is one."""
        self.running = running
        self.evidence = Evidence()
        self.sights: Counter[Sight] = Counter()
        self.samples = 0
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
        on_stall: Callable[[Stall], None] = lambda stall: None,
    ) -> None:
        """`on_sample` is told of each stall whose stack has just been read, and of the loops' threads.
        `on_stall` of each stall that begins, goes on or ends, before the news of it are."""
        self._core = core
        self._on_sample = on_sample
        self._on_stall = on_stall
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
        self._queues = Queues()
        self._version = 0
        self._count = 0
        self._looked = threading.Condition()
        """Held while it looks."""
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

    def settle(self, timeout_s: float) -> None:
        """Wait until what ended past the threshold before this call has been looked at, for this time at
        most."""
        if self._thread is None or not self._thread.is_alive():
            return
        with self._looked:
            self._looked.wait_for(lambda: not self._core.long_polls_wait(), timeout_s)

    def _run(self) -> None:
        try:
            while (look := self._core.watch()) is not None:
                with self._looked:
                    self.look(look)
                    self._looked.notify_all()
        except Exception as error:
            self._on_fault(error)

    def look(self, look: Look) -> None:
        """Look at every loop once."""
        now, late, previous, used = look
        ended, running = self._core.long_polls(), self._core.running()
        # At once, while what was found running still does.
        stacks = {each.loop: poll_stack(self._core, each) for each in running if self._is_due(each, now)}
        long = [each.thread for each in running if now - each.since_ns >= self._period_ns]
        turns = self._queues.turns({*long, *(each.thread for each in ended)}, previous)
        mine = turns.get(get_ident())
        late = max(late - mine.kept_ns, 0) if mine is not None else late
        asked = mine.asked_ns if mine is not None else late
        waited = {thread: each.waited_ns for thread, each in turns.items()}
        for each in ended:
            watched = self._watched.pop(each.loop, None)
            if watched is None or watched.running.since_ns != each.since_ns:
                watched = _Watched(each)
            watched.running = each
            within = min(each.since_ns + each.took_ns, now) - max(each.since_ns, now - late)
            busy = _at_least(used.get(each.thread), each.since_ns - previous)
            watched.evidence.delay(within, asked, busy, min(waited.get(each.thread, 0), each.took_ns))
            if mine is not None:
                watched.evidence.came(within)
            ran = each.since_ns + each.took_ns - max(each.since_ns, previous)
            most = _at_most(used.get(each.thread), ran)
            watched.evidence.had(most)
            if each.since_ns <= previous and each.thread in waited:
                watched.evidence.measure(ran, most, waited[each.thread])
            self._keep(watched, each.took_ns, ongoing=False)
        before, self._watched = self._watched, {}
        for each in running:
            watched = before.get(each.loop)
            known = watched is not None and watched.running.since_ns == each.since_ns
            if watched is None or not known:
                watched = _Watched(each)
            self._watched[each.loop] = watched
            busy = _at_least(used.get(each.thread), each.since_ns - previous)
            age = now - each.since_ns
            kept = min(waited.get(each.thread, 0), age)
            watched.evidence.look(min(late, age), asked, busy, kept)
            if mine is not None:
                watched.evidence.came(min(late, age))
            most = _at_most(used.get(each.thread), age)
            watched.evidence.had(most)
            if each.since_ns <= previous and each.thread in waited:
                watched.evidence.measure(now - previous, most, kept)
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

    def _sample(self, watched: _Watched, now: int, sight: Sight | None, place: Place) -> None:
        if sight is not None:
            if sight not in watched.sights and len(watched.sights) >= MOST_SIGHTS:
                del watched.sights[watched.sights.most_common()[-1][0]]
            watched.sights[sight] += 1
            watched.samples += 1
            watched.evidence.sample(place, calls=sight.calls, waits=waits(watched.running.thread))
        watched.pause_ns = min(watched.pause_ns * 5 // 4 + 1_000_000, SLOWEST_NS)
        watched.next_sample_ns = now + watched.pause_ns
        age = now - watched.running.since_ns
        if age >= self._threshold_ns:
            self._keep(watched, age, ongoing=True)

    def _keep(self, watched: _Watched, took_ns: int, *, ongoing: bool) -> None:
        running = watched.running
        if not running.task and running.name.startswith(OWN_CALLBACK):
            return
        with self._lock:
            if not watched.number:
                self._count += 1
                watched.number = self._count
            self._version += 1
            collecting_ns, busy_ns, generation = self._collections.within(running.since_ns, took_ns)
            cause = watched.evidence.cause(took_ns, collecting_ns, busy_ns, self._threshold_ns)
            seen = watched.sights.most_common(MOST_PARTS)
            usual = seen[0][0] if seen else Sight((), "", "", False)
            callee = f"gc.collect({generation})" if cause is Cause.GC else usual.callee
            stall = Stall(
                id=watched.number,
                task=running.task,
                kind=running.kind,
                name=running.name,
                loop=running.loop,
                started_ns=running.since_ns,
                duration_ns=took_ns,
                ongoing=ongoing,
                cause=cause,
                samples=watched.samples,
                stack=list(usual.stack),
                callee=callee,
                coroutine=usual.coroutine,
                poll=running.poll,
                last=running.last,
                parts=[_part(sight, count, usual) for sight, count in seen],
            )
            if ongoing:
                self._ongoing[running.loop] = (self._version, stall)
            else:
                self._ongoing.pop(running.loop, None)
                self._log.add(self._version, frames(Stalls([stall])))
        self._on_stall(stall)
        self._on_news()


def _part(sight: Sight, samples: int, usual: Sight) -> Part:
    """What is told of a stack seen, where the one seen most often is told anyway."""
    pairs = zip(sight.stack, usual.stack, strict=False)
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return Part(samples, sight.callee, shared, list(sight.stack[shared:]))


def _at_least(busy_ns: int | None, before_ns: int) -> int | None:
    """How long the thread was on the processor within the poll, where `before_ns` of the time was before
    it."""
    return None if busy_ns is None else busy_ns - max(before_ns, 0)


def _at_most(busy_ns: int | None, length_ns: int) -> int | None:
    """The same for a poll that had so much of the time."""
    return None if busy_ns is None else min(busy_ns, length_ns)
