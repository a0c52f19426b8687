"""From the records to messages: what changed since a console's cursor. Runs on the publisher's thread alone.

Each `drain` is a version. A record carries the version at which it was last seen to change, and
`by_version` holds the records in that order, so a batch is the tail of it after the console's cursor.

- A record that is woken or has ended stands in its loop's `changed`. The drain clears `dirty` first and
  reads afterwards, so whatever changes later puts the record there again. A new one is found at the end of
  `records`: one that came and went between two drains costs nothing here, and only so many of those are kept.
- A record that is scheduled or being polled when it is read stays *restless*: it is read again at each drain
  until it is idle, so that polls need not mark their record a second time.
- An ended record is kept for consoles that connect later; `RETAINED` of them at most.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import chain, islice, takewhile
from time import monotonic_ns

from asynctop.core.contract import RETAINED
from asynctop.core.python.handles import settings
from asynctop.core.python.records import NO_TURN, NOTHING, LoopStats, registry
from asynctop.core.python.tasks import TaskRecord, destroyed, name_of, records
from asynctop.core.python.tracing import TracedPolls, Tracer
from asynctop.core.python.watching import Watching
from asynctop_protocol import (
    Ended,
    History,
    Kinds,
    Loops,
    LoopState,
    Message,
    Named,
    Outcome,
    Polled,
    Reset,
    Spawned,
    State,
    Texts,
    Tick,
    Totals,
    WakerSource,
    frames,
)

ROWS = 2048
"""Rows in one message: about two milliseconds with the interpreter's lock held."""

TRACING_NS = 1_000_000_000
"""So long a batch tells of a trace, or as long as of all else; the rest is left out. A loop that is never
idle lets this thread in so rarely that a whole trace took many seconds, and there would be no tick."""

CLOSED_LOOPS = 8
"""Closed loops that are still listed, the newest ones."""

MAX_TEXTS = 50_000
"""Different texts per process. Function names and files are few; a program that makes them up must not grow
us."""


class TextTable:
    """Numbers for texts, in the order of their first use. Number 0 is no text, the last one stands for all
    beyond the bound."""

    def __init__(self) -> None:
        self.texts: list[str] = [""]
        self._numbers = {"": 0}

    def number(self, text: str) -> int:
        """The number of `text`."""
        number = self._numbers.get(text)
        if number is None:
            if len(self.texts) >= MAX_TEXTS:
                text = "(one of too many texts)"
                if text in self._numbers:
                    return self._numbers[text]
            number = self._numbers[text] = len(self.texts)
            self.texts.append(text)
        return number


class Collector:
    """The publisher's view of the records."""

    def __init__(self) -> None:
        self.version = 0
        self.texts = TextTable()
        self.by_version: dict[int, TaskRecord] = {}
        """Every task a console may be told of, by id, in the order of `TaskRecord.version`."""
        self.evicted_version = 0
        """The newest version of an evicted task that consoles may have known alive."""
        self.totals_version: dict[int, int] = {}
        """By kind's number, the version at which its sums were last seen to change."""
        self.faults: list[str] = []
        """What each tick says of what has failed."""
        self._restless: list[TaskRecord] = []
        self._retained: deque[TaskRecord] = deque()

    def drain(self) -> None:
        """Take note of what changed since the last drain."""
        if settings.trace is not None:
            settings.trace.drain()  # before the rest: whose polls these are is found below
        self._evict()
        self.version += 1
        restless, self._restless = self._restless, []
        for record in restless:
            if not record.dirty:
                self._note(record)
        for record in _unborn():
            record.dirty = False
            self._note(record)
        for stats in tuple(registry.loops):
            self._drain_loop(stats)
        for number in registry.kinds_that_spawned():
            self.totals_version[number] = self.version
        gone = [stats for stats in registry.loops if stats.gone() and not stats.changed]
        for stats in gone[:-CLOSED_LOOPS]:
            registry.retire(stats)
        count = len(destroyed)
        for record in destroyed[:count]:
            registry.archive(record.kind_stats.number).destroyed += 1
        del destroyed[:count]

    def _drain_loop(self, stats: LoopStats) -> None:
        # Appending, slicing and deleting a slice are each one step under the interpreter's lock: nothing is
        # lost.
        count = len(stats.changed)
        changed = stats.changed[:count]
        del stats.changed[:count]
        for record in changed:
            record.dirty = False
            self._note(record)
        stats.room = RETAINED
        stats.lag_ever_ns = max(stats.lag_ever_ns, stats.lag_ns)
        stats.turn_ever_ns = max(stats.turn_ever_ns, stats.worst_turn.took_ns)

    def _note(self, record: TaskRecord) -> None:
        if not record.born:
            record.born = record.name_version = self.version
            record.told_name = None
        if record.name is None:
            record.name = name_of(record) or None
        name = name_of(record)
        if record.told_name != name:
            record.told_name = name
            record.name_version = self.version
        record.version = self.version
        self.by_version.pop(record.id, None)
        self.by_version[record.id] = record
        self.totals_version[record.kind_stats.number] = self.version
        if record.ended_ns:
            self._retained.append(record)
        elif record._callback is not None or record.stats.current is record:
            self._restless.append(record)

    def _evict(self) -> None:
        # At the start of a drain: a console that keeps up has seen the last one whole.
        while len(self._retained) > RETAINED:
            record = self._retained.popleft()
            if self.by_version.pop(record.id, None) is not None and record.born < record.version:
                self.evicted_version = max(self.evicted_version, record.version)


class Cursor:
    """How far one console has been told."""

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._version = 0
        self._texts = 1
        self._kinds = 1
        self._watching = Watching()
        self._tracer: Tracer | None = None

    def frames(self, *, last: bool = True) -> Iterator[bytes]:
        """See `asynctop.core.contract.Cursor`."""
        return map(frames, self._messages(last))

    def watch(self, tasks: Sequence[int]) -> None:
        """Tell of the polls of these tasks from now on, and of no other ones."""
        self._watching.watch(tasks, self._collector.by_version)

    def trace(self, after: int | None) -> None:
        """Tell of every poll of every task from now on, of those after this number; None: no more."""
        if after is not None:
            self._tracer = self._tracer or Tracer(after)
        elif self._tracer is not None:
            self._tracer.end()
            self._tracer = None

    def _messages(self, last: bool) -> Iterator[Message]:
        began_ns = monotonic_ns()
        collector, tracer = self._collector, self._tracer
        after, self._version = self._version, collector.version
        traced = tracer.polls() if tracer is not None else ()
        everything = after == 0 or after < collector.evicted_version
        if everything:
            yield Reset()
            after = 0
        yield from self._kind_infos()
        fresh = takewhile(lambda record: record.version > after, reversed(collector.by_version.values()))
        records = list(fresh)
        records.reverse()
        for start in range(0, len(records), ROWS):
            yield from self._tasks(records[start : start + ROWS], after)
        polls = self._watching.polls()
        for start in range(0, len(polls), ROWS):
            some = [(task, *poll[1:]) for task, poll in polls[start : start + ROWS]]
            *columns, files, lines = map(list, zip(*some, strict=True))
            yield from self._history(0, *columns, yielded_files=files, yielded_lines=lines)
        if tracer is not None:
            now = monotonic_ns()
            until = None if last else now + max(TRACING_NS, now - began_ns)
            yield from self._traced(tracer, traced, until)
        yield from self._watching.histograms()
        yield from self._totals(after)
        loops = _loops(self._collector.texts.number)
        yield from self._new_texts()
        yield loops
        traces_lost = tracer.lost() if tracer is not None else 0
        dropped = _dropped(history=self._watching.lost(), trace=traces_lost)
        yield Tick(monotonic_ns(), dropped, list(collector.faults))

    def _traced(self, tracer: Tracer, traced: Sequence[TracedPolls], until: int | None) -> Iterator[Message]:
        for piece in chain.from_iterable(block.pieces(ROWS) for block in traced):
            first, rows = piece
            yield from self._history(first, *(rows[column::5].tolist() for column in range(5)))
            if until is not None and monotonic_ns() > until:
                tracer.leave_out(after=piece.last)
                return

    def _new_texts(self) -> Iterator[Message]:
        """Texts are numbered as rows are built, so this goes out before the message that was built."""
        texts = self._collector.texts.texts
        if self._texts < len(texts):
            first, self._texts = self._texts, len(texts)
            yield Texts(first, texts[first:])

    def _kind_infos(self) -> Iterator[Message]:
        number = self._collector.texts.number
        first, infos = self._kinds, registry.kinds[self._kinds :]
        if not infos:
            return
        self._kinds += len(infos)
        message = Kinds(
            first,
            name=[number(info.name) for info in infos],
            defined_file=[number(info.defined_file) for info in infos],
            defined_line=[info.defined_line for info in infos],
            spawned_file=[number(info.spawned_file) for info in infos],
            spawned_line=[info.spawned_line for info in infos],
        )
        yield from self._new_texts()
        yield message

    def _tasks(self, records: list[TaskRecord], after: int) -> Iterator[Message]:
        born = sorted((record for record in records if record.born > after), key=lambda record: record.id)
        if born:
            yield Spawned(
                id=[record.id for record in born],
                kind=[record.kind_stats.number for record in born],
                loop=[record.stats.number for record in born],
                parent=[max(record.parent, 0) for record in born],
                created_ns=[record.created_ns for record in born],
            )
        named = [record for record in records if record.name_version > after]
        if named:
            yield Named([record.id for record in named], [record.told_name or "" for record in named])
        states = [_state(record) for record in records]
        wakers = [record.waker for record in records]
        callbacks = [_callback(waker) for waker in wakers]
        number = self._collector.texts.number
        polls = [record.polls for record in records]
        polled = Polled(
            id=[record.id for record in records],
            state=[state for state, _ in states],
            since_ns=[since for _, since in states],
            polls=polls,
            busy_ns=[record.busy_ns for record in records],
            scheduled_ns=[record.scheduled_ns for record in records],
            max_poll_ns=[record.max_poll_ns for record in records],
            # A wake leads to one poll: those that were not polled yet are the one that is under way.
            wakes=[done + (state in _AWAKE) for done, (state, _) in zip(polls, states, strict=True)],
            self_wakes=[record.self_wakes for record in records],
            waker_source=[source for source, _ in callbacks],
            waker_task=[max(waker, 0) for waker in wakers],
            waker_name=[number(name) for _, name in callbacks],
        )
        ended = [record for record in records if record.ended_ns]
        end = Ended(
            id=[record.id for record in ended],
            outcome=[record.outcome or Outcome.UNKNOWN for record in ended],
            ended_ns=[record.ended_ns for record in ended],
            exception=[number(record.exception or "") for record in ended],
        )
        yield from self._new_texts()
        yield polled
        if ended:
            yield end

    def _history(
        self,
        first: int,
        tasks: list[int],
        woken: list[int],
        wakers: list[int],
        started: list[int],
        ended: list[int],
        *,
        yielded_files: Sequence[str] = (),
        yielded_lines: Sequence[int] = (),
    ) -> Iterator[Message]:
        """`first` is 0 where it is no trace's. A trace does not have where they have yielded."""
        callbacks = [_callback(waker) for waker in wakers]
        number = self._collector.texts.number
        message = History(
            task=tasks,
            woken_ns=woken,
            waker_source=[source for source, _ in callbacks],
            waker_task=[max(waker, 0) for waker in wakers],
            waker_name=[number(name) for _, name in callbacks],
            started_ns=started,
            ended_ns=ended,
            first=first,
            yielded_file=[number(file) for file in yielded_files],
            yielded_line=yielded_lines,
        )
        yield from self._new_texts()
        yield message

    def _totals(self, after: int) -> Iterator[Message]:
        numbers = [kind for kind, version in tuple(self._collector.totals_version.items()) if version > after]
        for start in range(0, len(numbers), ROWS):
            some = numbers[start : start + ROWS]
            sums = [registry.sums(kind) for kind in some]
            yield Totals(
                kind=some,
                # Ends are read before spawns, so that live tasks are never fewer than none.
                returned=[each.returned for each in sums],
                raised=[each.raised for each in sums],
                cancelled=[each.cancelled for each in sums],
                destroyed=[each.destroyed for each in sums],
                unknown=[each.unknown for each in sums],
                spawned=[each.spawned for each in sums],
                polls=[sum(each.histogram) for each in sums],
                busy_ns=[each.busy_ns for each in sums],
                scheduled_ns=[each.scheduled_ns for each in sums],
                max_poll_ns=[each.max_poll_ns for each in sums],
                histograms=[each.histogram[: _length(each.histogram)] for each in sums],
            )


def _unborn() -> list[TaskRecord]:
    """Records that no drain has seen yet: all at the end of `records`, which other threads change."""
    count = 64
    while True:
        try:
            latest = list(islice(reversed(records.values()), count))
        except RuntimeError:  # it was changed between making the iterator and running it
            continue
        if len(latest) < count or latest[-1].born:
            fresh = list(takewhile(lambda record: not record.born, latest))
            fresh.reverse()
            return fresh
        count *= 8


_AWAKE = (State.SCHEDULED, State.POLLING)
_BY_TASK = (WakerSource.TASK, "")


def _callback(waker: int) -> tuple[WakerSource, str]:
    """What woke a task, where it was no task: its source and its name."""
    return registry.wakers[-waker] if waker <= 0 else _BY_TASK


def _state(record: TaskRecord) -> tuple[State, int]:
    """A task's state and since when."""
    if record.ended_ns:
        return State.DONE, record.ended_ns
    stats = record.stats
    if stats.current is record:
        return State.POLLING, stats.since
    return (State.IDLE if record._callback is None else State.SCHEDULED), record.since


def _length(histogram: list[int]) -> int:
    """Without the empty buckets at the end."""
    length = len(histogram)
    while length and not histogram[length - 1]:
        length -= 1
    return length


def _dropped(**lost: int) -> dict[str, int]:
    """What was lost, by name; without the names of which nothing was lost."""
    lost["stalls"] = sum(stats.lost_long_polls for stats in registry.loops)
    return {name: count for name, count in lost.items() if count}


def _loops(text_number: Callable[[str], int]) -> Loops:
    rows = []
    now = monotonic_ns()
    for stats in tuple(registry.loops):
        current, since = stats.current, stats.since
        kinds = list(stats.kinds.values())
        if stats.gone():
            state = LoopState.CLOSED
        elif current is NOTHING:
            state = LoopState.IDLE
        else:
            state = LoopState.STALLED if now - since > settings.threshold_ns else LoopState.RUNNING
        lag, stats.lag_ns = stats.lag_ns, 0
        turn, stats.worst_turn = stats.worst_turn, NO_TURN
        stats.turn_mark_ns = 0
        setter = stats.setter
        thread = stats.thread_name()
        rows.append(
            (
                stats.number,
                thread,
                stats.runtime,
                state,
                sum(sum(kind.histogram) for kind in kinds),
                stats.callbacks,
                stats.callback_ns + sum(kind.busy_ns for kind in kinds) - stats.inside_ns,
                lag,
                stats.lag_ever_ns,
                max(current.id, 0),
                name_of(current) if type(current) is TaskRecord else current.name,
                since if current is not NOTHING else 0,
                stats.turns,
                turn.took_ns,
                stats.turn_ever_ns,
                turn.began_ns,
                turn.polls,
                turn.longest_ns,
                turn.kind,
                stats.timers,
                stats.timers_fired,
                setter.kind,
                text_number(setter.file),
                setter.line,
            )
        )
    columns = [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(24)]
    return Loops(*columns)
