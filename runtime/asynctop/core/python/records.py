"""What the pure-Python core remembers of loops and kinds. (Of tasks: see `tasks`.)

Every field is written by the thread of its loop alone, unless it says otherwise; the publisher's thread only
reads.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from types import CodeType
from typing import Any, NamedTuple, TypeVar

from asynctop.core.contract import RETAINED
from asynctop.core.describe import clipped
from asynctop.core.stock import stock_check_closed
from asynctop_protocol import WakerSource

BUCKETS = 130
"""Half-octave buckets, up to polls of 2**64 ns, five centuries: no poll is without one."""

MAX_KINDS = 4096
"""Kinds kept apart. A program that makes code objects as it runs would otherwise grow without bound."""

MAX_LONG_POLLS = 1024
"""Long polls kept until the stall watcher looks, which it does many times a second."""

MAX_WAKERS = 4096
"""Different callbacks kept apart as wakers; callbacks beyond that are known by their source only."""


_Entry = TypeVar("_Entry")


class Nothing:
    """Stands for what a loop runs while it runs nothing."""

    id = 0
    name = ""


NOTHING = Nothing()


PAUSE_NS = 1_000_000
"""Between two handles: the loop has waited meanwhile."""

LONG_TURN_NS = 10_000_000
"""From here on it is worth knowing whose time a turn is."""

TIMERS_PER_LOOK = 32
"""Who sets timers is looked at so rarely."""


class KindInfo(NamedTuple):
    """A kind as a console knows it: one for all loops."""

    name: str
    defined_file: str
    defined_line: int
    spawned_file: str
    spawned_line: int


class KindStats:
    """Sums over all tasks of one kind on one loop."""

    __slots__ = (
        "busy_ns",
        "by_user",
        "cancelled",
        "destroyed",
        "histogram",
        "keeps",
        "max_poll_ns",
        "number",
        "raised",
        "returned",
        "scheduled_ns",
        "spawned",
        "told_spawned",
        "turn",
        "turn_ns",
        "unknown",
    )

    def __init__(self, number: int, keeps: tuple[object, ...]) -> None:
        self.number = number
        self.keeps = keeps
        """The code objects whose ids are this kind's key: their ids must not be given to others."""
        self.by_user = False
        """Whether its spawn site is the user's own code."""
        self.spawned = self.returned = self.raised = self.cancelled = 0
        self.busy_ns = self.scheduled_ns = self.max_poll_ns = 0
        self.histogram = [0] * BUCKETS
        """Its sum is the number of polls."""
        self.turn = self.turn_ns = 0
        """The last long turn of its loop, and its time in that."""
        self.told_spawned = 0
        """The publisher's."""
        self.destroyed = self.unknown = 0
        """Counted in the archive alone (see `Registry`): a task may be collected on any thread."""

    def add(self, other: KindStats) -> None:
        """Add another part's sums to this one's."""
        # Ends are read before spawns, so that live tasks are never fewer than none.
        self.returned += other.returned
        self.raised += other.raised
        self.cancelled += other.cancelled
        self.destroyed += other.destroyed
        self.unknown += other.unknown
        self.spawned += other.spawned
        self.busy_ns += other.busy_ns
        self.scheduled_ns += other.scheduled_ns
        self.max_poll_ns = max(self.max_poll_ns, other.max_poll_ns)
        self.histogram = [mine + its for mine, its in zip(self.histogram, other.histogram, strict=True)]


class LongPollNote(NamedTuple):
    """A poll or callback past the threshold, as the loop's thread noted it."""

    task: int
    kind: int
    name: str
    started_ns: int
    took_ns: int
    poll: int
    last: bool


class Turn(NamedTuple):
    """What a loop ran without looking for timers and I/O in between."""

    began_ns: int
    polls: int
    """And callbacks."""
    took_ns: int
    """All of them together."""
    longest_ns: int
    """One of them."""
    kind: int
    """The one that took most of it; 0 for callbacks."""


NO_TURN = Turn(0, 0, 0, 0, 0)


class Setter(NamedTuple):
    """Who sets timers."""

    kind: int
    file: str
    line: int


class LoopStats:
    """What is known of one event loop."""

    __slots__ = (
        "_inside_ns",
        "_inside_since",
        "_turn_kind",
        "_turn_longest_ns",
        "_turn_most",
        "callback_ns",
        "callbacks",
        "callbacks_turn",
        "changed",
        "closed",
        "current",
        "inside_ns",
        "kinds",
        "lag_ever_ns",
        "lag_ns",
        "left",
        "long_polls",
        "long_turn",
        "loop",
        "lost_long_polls",
        "number",
        "room",
        "runs",
        "runtime",
        "setter",
        "setter_votes",
        "since",
        "stock_checks",
        "thread",
        "timers",
        "timers_fired",
        "turn_began",
        "turn_ever_ns",
        "turn_mark_ns",
        "turn_ns",
        "turn_polls",
        "turns",
        "waker_before",
        "worst_turn",
    )

    def __init__(self, number: int, loop: Any) -> None:
        self.number = number
        self.loop = weakref.ref(loop)
        self.runtime = "uvloop" if type(loop).__module__.partition(".")[0] == "uvloop" else "asyncio"
        self.stock_checks = getattr(type(loop), "_check_closed", None) is stock_check_closed
        """Whether `_closed` is all that the loop looks at before it takes a callback."""
        self.runs: CodeType | None = None
        """Of a scheduler that is not asyncio's: the code that runs its tasks' steps."""
        self.thread: int | None = None
        """For loops that do not say it themselves: the thread of the last step."""
        self.current: Any = NOTHING
        """The task record or callback handle that runs."""
        self.since = 0
        """When `current` began."""
        self.waker_before = 0
        """What led to the poll under way, where its task has woken itself again in it."""
        self.callbacks = self.callback_ns = 0
        self.lag_ns = 0
        """Longest time that a woken task waited for its poll, or a due timer for its turn, since the
        publisher last looked.

        The publisher sets it back to 0.
        """
        self.lag_ever_ns = 0
        """The publisher's."""
        self.turns = 0
        """The number of the present turn. What is made ready in a turn is run in a later one, by stock loops
        and by uvloop, and that is how the next one is told."""
        self.turn_began = self.turn_polls = self.turn_ns = 0
        self.left = 0
        """When the last handle of all ended."""
        self.turn_mark_ns = 0
        """A turn that takes longer is looked at by `note_turn`."""
        self.long_turn = -1
        """The last one that was."""
        self.worst_turn = NO_TURN
        """The publisher forgets it at each look."""
        self.turn_ever_ns = 0
        """The publisher's."""
        self.callbacks_turn = KindStats(0, ())
        """Of which only the turn counts: what callbacks took of it."""
        self._turn_most = self._turn_longest_ns = self._turn_kind = 0
        self.timers = self.timers_fired = 0
        self.setter = Setter(0, "", 0)
        """The majority of those looked at, if there is one."""
        self.setter_votes = 0
        self.kinds: dict[tuple[int, int, int], KindStats] = {}
        self.changed: list[Any] = []
        """Task records touched since the publisher last took them away, each once: see `TaskRecord.dirty`."""
        self.inside_ns = self._inside_ns = self._inside_since = 0
        """ns that were spent in polls inside others; and in those of the poll that began then."""
        self.room = RETAINED
        """How many more tasks that ended unseen are kept until the publisher comes by again."""
        self.long_polls: deque[LongPollNote] = deque(maxlen=MAX_LONG_POLLS)
        self.lost_long_polls = 0
        self.closed = False

    def thread_id(self) -> int | None:
        """The thread that the loop runs in; None while it does not run."""
        return getattr(self.loop(), "_thread_id", self.thread)

    def gone(self) -> bool:
        """Whether the loop was closed or collected."""
        return self.closed or self.loop() is None

    def thread_name(self) -> str:
        """The name of the loop's thread; empty while it does not run."""
        thread = None if self.gone() else threading._active.get(self.thread_id())  # type: ignore[attr-defined]
        return clipped(thread.name) if thread is not None else ""

    def note_inside(self, since: int, took_ns: int) -> None:
        """An eager task's first poll has run inside the poll or callback that began at `since`."""
        if self._inside_since != since:
            self._inside_since, self._inside_ns = since, 0
        self._inside_ns += took_ns
        self.inside_ns += took_ns

    def inside(self, since: int) -> int:
        """How many ns of the poll or callback that began at `since` were eager tasks' first polls.

        Those are to blame for themselves."""
        return self._inside_ns if self._inside_since == since else 0

    def begin_turn(self, now: int) -> None:
        """The handle that is about to run is a turn's first one."""
        self.turns += 1
        self.turn_began = now
        self.turn_polls = self.turn_ns = 0

    def note_turn(self, kind: KindStats, took_ns: int) -> None:
        """The turn takes long, or longer than others: whose time is it?"""
        if self.long_turn != self.turns:
            self.long_turn = self.turns
            self._turn_most = self._turn_longest_ns = 0
        if kind.turn != self.turns:
            kind.turn, kind.turn_ns = self.turns, 0
        kind.turn_ns += took_ns
        if kind.turn_ns > self._turn_most:
            self._turn_most, self._turn_kind = kind.turn_ns, kind.number
        self._turn_longest_ns = max(self._turn_longest_ns, took_ns)
        if self.turn_ns > self.worst_turn.took_ns:
            self.worst_turn = Turn(
                self.turn_began, self.turn_polls, self.turn_ns, self._turn_longest_ns, self._turn_kind
            )
            self.turn_mark_ns = min(self.turn_ns, LONG_TURN_NS)

    def look_who_sets(self, setter: Setter) -> None:
        """A timer has been set; this is told of a few only."""
        if setter == self.setter:
            self.setter_votes += 1
        elif self.setter_votes:
            self.setter_votes -= 1
        else:
            self.setter, self.setter_votes = setter, 1

    def note_long_poll(self, note: LongPollNote) -> None:
        """A poll or callback was past the threshold."""
        if len(self.long_polls) == MAX_LONG_POLLS:
            self.lost_long_polls += 1
        self.long_polls.append(note)


class Registry:
    """What is shared by all loops and numbered: the loops themselves, kinds, and callbacks that woke a
    task."""

    def __init__(self) -> None:
        # A collection, or a signal's handler, runs the program's code wherever it comes: under this lock too,
        # and what it spawns is counted.
        self.lock = threading.RLock()
        self.open = False
        """Whether loops are marked with their statistics. Handles of ours that run after the hooks are gone
        must leave no mark."""
        self.loops: list[LoopStats] = []
        self.loops_seen = 0
        self.kinds: list[KindInfo] = [KindInfo("", "", 0, "", 0)]
        """By number; number 0 gathers what is beyond MAX_KINDS."""
        self._kind_numbers: dict[KindInfo, int] = {}
        self._parts: dict[int, list[KindStats]] = {}
        """By kind's number: its sums on each loop. The first one is the archive."""
        self.wakers: list[tuple[WakerSource, str]] = [(WakerSource.UNKNOWN, "")]
        """By negative number, so that wakers differ from the ids of tasks."""
        self._waker_numbers: dict[tuple[WakerSource, str], int] = {}

    def add_loop(self, loop: Any) -> LoopStats:
        """Begin to keep statistics for `loop`."""
        with self.lock:
            stats: LoopStats | None = getattr(loop, "_asynctop_stats", None)
            if stats is None:
                self.loops_seen += 1
                stats = LoopStats(self.loops_seen, loop)
                if not self.open:
                    return stats
                self.loops.append(stats)
                loop._asynctop_stats = stats
        return stats

    def kind(self, info: KindInfo) -> int:
        """The number of a kind."""
        with self.lock:
            number = self._kind_numbers.get(info)
            if number is None:
                if len(self.kinds) > MAX_KINDS:
                    return 0
                number = self._kind_numbers[info] = _placed(self.kinds, info)
            return number

    def kind_stats(
        self, stats: LoopStats, key: tuple[int, int, int], number: int, keeps: tuple[object, ...]
    ) -> KindStats:
        """Begin the sums of a kind on a loop."""
        with self.lock:
            part = stats.kinds.get(key)
            if part is None:
                part = stats.kinds[key] = KindStats(number, keeps)
                self._parts_of(number).append(part)
            return part

    def _parts_of(self, number: int) -> list[KindStats]:
        return self._parts.setdefault(number, [KindStats(number, ())])

    def archive(self, number: int) -> KindStats:
        """A kind's sums over loops that are gone, and of what happens on no loop's thread. The
        publisher's."""
        with self.lock:
            return self._parts_of(number)[0]

    def retire(self, stats: LoopStats) -> None:
        """A loop is gone: its sums live on in the archive."""
        with self.lock:
            for part in stats.kinds.values():
                parts = self._parts_of(part.number)
                parts[0].add(part)
                parts.remove(part)
            self.loops.remove(stats)

    def kinds_that_spawned(self) -> list[int]:
        """Numbers of the kinds that spawned since the last call. The publisher's."""
        found = []
        for stats in tuple(self.loops):
            # Not a tuple: up to Python 3.11 that is allocated with the iteration begun, and if a collection
            # comes then, other threads may change the dict.
            for part in list(stats.kinds.values()):
                if part.spawned != part.told_spawned:
                    part.told_spawned = part.spawned
                    found.append(part.number)
        return found

    def sums(self, number: int) -> KindStats:
        """A kind's sums over all loops."""
        with self.lock:
            parts = tuple(self._parts_of(number))
        total = KindStats(number, ())
        for part in parts:
            total.add(part)
        return total

    def waker(self, source: WakerSource, name: str) -> int:
        """The number of a callback that wakes tasks."""
        number = self._waker_numbers.get((source, name))
        if number is None:
            with self.lock:
                if len(self.wakers) > MAX_WAKERS:
                    name = ""
                number = self._waker_numbers.get((source, name))
                if number is None:
                    number = self._waker_numbers[source, name] = -_placed(self.wakers, (source, name))
        return number


def _placed(entries: list[_Entry], entry: _Entry) -> int:
    """Append it. Its place, whatever was appended in between under a collection."""
    place = len(entries)
    entries.append(entry)
    return place if entries[place] is entry else entries.index(entry)


registry = Registry()


def loop_stats(loop: Any) -> LoopStats:
    """The statistics of a loop. They live on the loop object: found faster than in a dict, and gone with the
    loop."""
    try:
        return loop._asynctop_stats  # type: ignore[no-any-return]
    except AttributeError:
        return registry.add_loop(loop)
