"""The task table: one row per task that lives or ended lately, in the order of their ids.

Batches go in as whole columns; only names cost a step of Python each. Cells are as of the last tick: what a
task has spent in the state it is in right now is added by `busy_at`, `scheduled_at` and `idle_ns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from asynctop_console.clean import clean
from asynctop_console.model import limits
from asynctop_console.model.columns import Column, Columns, Ints, Rows, choice, plain, whole
from asynctop_console.model.haystack import Haystack
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Ended, Named, Outcome, Polled, Spawned, State, WakerSource

Selection: TypeAlias = Rows | slice
"""Which rows a computed column is wanted for: a view asks for those on the screen."""

ALL = slice(None)

RECENT_COLUMNS = ("polls", "busy_ns", "scheduled_ns", "wakes", "self_wakes")

_RECENT_STEP_NS = 2_500_000_000
"""The recent past is one to two of these long: about "the last five seconds"."""

_LONGEST_NAME = 200


class TaskTable(Columns):
    """All tasks the console knows. Numbers of kinds and texts refer to the model's other tables."""

    id = Column(np.int64)
    kind = Column(np.int32)
    loop = Column(np.int32)
    parent = Column(np.int64)
    created_ns = Column(np.int64)
    ended_ns = Column(np.int64)
    """0 while it lives."""
    state = Column(np.int8)
    """`State`."""
    outcome = Column(np.int8)
    """`Outcome`, 0 while it lives."""
    since_ns = Column(np.int64)
    """Since when it is in its state."""
    polls = Column(np.int64)
    busy_ns = Column(np.int64)
    """Time in finished polls."""
    scheduled_ns = Column(np.int64)
    max_poll_ns = Column(np.int64)
    wakes = Column(np.int64)
    self_wakes = Column(np.int64)
    waker_source = Column(np.int8)
    """`WakerSource` of the last wake."""
    waker_task = Column(np.int64)
    waker_name = Column(np.int32)
    """Text number."""
    exception = Column(np.int32)
    """Text number."""
    names = Column(np.object_, empty="")

    older_polls = Column(np.int64)
    older_busy_ns = Column(np.int64)
    older_scheduled_ns = Column(np.int64)
    older_wakes = Column(np.int64)
    older_self_wakes = Column(np.int64)
    newer_polls = Column(np.int64)
    newer_busy_ns = Column(np.int64)
    newer_scheduled_ns = Column(np.int64)
    newer_wakes = Column(np.int64)
    newer_self_wakes = Column(np.int64)

    def __init__(self) -> None:
        super().__init__()
        self.generation = 0
        """Counts up whenever rows moved: a row number taken before means nothing after."""
        self.recent_since_ns = 0
        """Where the recent past begins; `recent` counts from there."""
        self._marked_ns = 0
        self._name_chars = 0
        self._haystack: Haystack | None = None
        self._counts: Mapping[State, int] | None = None

    # Looking up

    def row(self, task_id: int) -> int | None:
        """The row of a task, None where it is not known."""
        row = int(np.searchsorted(self.id, task_id))
        return row if row < self.rows and self.id[row] == task_id else None

    def rows_of(self, ids: Ints) -> Rows:
        """The rows of these tasks, -1 for each that is not known."""
        if not self.rows:
            return np.full(len(ids), -1, np.intp)
        # Where no task before it is forgotten, the row follows from the id: ten times as fast as a search.
        rows: Rows = np.maximum(np.minimum(ids - self.id[0], self.rows - 1), 0)
        missed = np.flatnonzero(self.id[rows] != ids)
        if len(missed):
            sought = ids[missed]
            found = np.searchsorted(self.id, sought)
            found[found == self.rows] = 0
            rows[missed] = np.where(self.id[found] == sought, found, -1)
        return rows

    def name(self, row: int) -> str:
        """The name of the task in this row."""
        return str(self.names[row])

    @property
    def haystack(self) -> Haystack:
        """All names, to look for a word in; made anew once rows or names have changed."""
        if self._haystack is None:
            self._haystack = Haystack(self.names)
        return self._haystack

    def counts(self) -> Mapping[State, int]:
        """How many tasks are in each state."""
        if self._counts is None:
            self._counts = {state: int(np.count_nonzero(self.in_state(state))) for state in State}
        return self._counts

    @property
    def alive(self) -> int:
        """How many have not ended."""
        return self.rows - self.counts()[State.DONE]

    def live(self) -> Rows:
        """The rows of the tasks that have not ended."""
        return np.flatnonzero(~self.in_state(State.DONE))

    def in_state(self, state: State, rows: Selection = ALL) -> npt.NDArray[np.bool_]:
        """Row by row, whether it is in this state."""
        found: npt.NDArray[np.bool_] = self.state[rows] == plain(state)
        return found

    # Times that run on: as of `now`, in nanoseconds

    def busy_at(self, now: int, rows: Selection = ALL) -> Ints:
        """Time in polls, the one running included."""
        return self._up_to(now, self.busy_ns[rows].copy(), State.POLLING, rows)

    def scheduled_at(self, now: int, rows: Selection = ALL) -> Ints:
        """Time woken but not polled, the wait going on included."""
        return self._up_to(now, self.scheduled_ns[rows].copy(), State.SCHEDULED, rows)

    def age_ns(self, now: int, rows: Selection = ALL) -> Ints:
        """Time from spawn to end, or to `now`."""
        ended = self.ended_ns[rows]
        return np.maximum(np.where(ended > 0, ended, now) - self.created_ns[rows], 0)

    def idle_ns(self, now: int, rows: Selection = ALL) -> Ints:
        """Time neither busy nor scheduled."""
        spent = self.busy_at(now, rows) + self.scheduled_at(now, rows)
        return np.maximum(self.age_ns(now, rows) - spent, 0)

    def current_poll_ns(self, now: int, rows: Selection = ALL) -> Ints:
        """How long the poll that is running has lasted, 0 where none is."""
        return self._up_to(now, np.zeros_like(self.since_ns[rows]), State.POLLING, rows)

    def max_poll_at(self, now: int, rows: Selection = ALL) -> Ints:
        """The longest poll, the one that is running included."""
        longest: Ints = np.maximum(self.max_poll_ns[rows], self.current_poll_ns(now, rows))
        return longest

    def recent(self, column: str, rows: Selection = ALL) -> Ints:
        """By how much one of RECENT_COLUMNS grew since `recent_since_ns`, which is 2.5 to 5 seconds ago."""
        cells: Ints = self.store[column][: self.rows][rows]
        older: Ints = self.store[f"older_{column}"][: self.rows][rows]
        grown: Ints = np.maximum(cells - older, 0)
        return grown

    def busy_lately(self, now: int, rows: Selection = ALL) -> Ints:
        """Time in polls since `recent_since_ns`, the one running included."""
        return self._lately("busy_ns", State.POLLING, now, rows)

    def scheduled_lately(self, now: int, rows: Selection = ALL) -> Ints:
        """Time woken but not polled since `recent_since_ns`, the wait going on included."""
        return self._lately("scheduled_ns", State.SCHEDULED, now, rows)

    def idle_lately(self, now: int, rows: Selection = ALL) -> Ints:
        """Time neither busy nor scheduled since `recent_since_ns`."""
        ended = self.ended_ns[rows]
        since = np.maximum(self.created_ns[rows], self.recent_since_ns)
        lived = np.where(ended > 0, ended, now) - since
        spent = self.busy_lately(now, rows) + self.scheduled_lately(now, rows)
        idle: Ints = np.maximum(lived - spent, 0)
        return idle

    def _lately(self, column: str, state: State, now: int, rows: Selection) -> Ints:
        """A poll that began before counts whole once it is over, so this is cut to what has passed since."""
        passed = max(now - self.recent_since_ns, 0)
        spent: Ints = np.minimum(self._up_to(now, self.recent(column, rows), state, rows), passed)
        return spent

    def _up_to(self, now: int, spent: Ints, state: State, rows: Selection) -> Ints:
        """Add to these times of theirs what those have spent that are in this state."""
        # Mostly few are in it: the others cost no more than a look at their state.
        there = np.flatnonzero(self.in_state(state, rows))
        spent[there] += np.maximum(now - self.since_ns[rows][there], 0)
        return spent

    # Folding

    def spawned(self, message: Spawned) -> None:
        """Add the tasks not yet known. ProtocolError where there are too many."""
        ids = whole(message.id)
        unknown = np.flatnonzero((self.rows_of(ids) < 0) & (ids > 0))
        ids, firsts = np.unique(ids[unknown], return_index=True)
        if not len(ids):
            return
        if self.rows + len(ids) > limits.TASKS:
            self.evict()
        start = self.rows
        if start + len(ids) > limits.TASKS:
            raise ProtocolError(
                f"the runtime has {start + len(ids):,} tasks, the console takes {limits.TASKS:,}"
            )
        picked = unknown[firsts]
        self._haystack = self._counts = None
        self.extend(len(ids))
        self.id[start:] = ids
        self.kind[start:] = whole(message.kind, limits.LARGEST_SMALL)[picked]
        self.loop[start:] = whole(message.loop, limits.LARGEST_SMALL)[picked]
        self.parent[start:] = whole(message.parent)[picked]
        self.created_ns[start:] = self.since_ns[start:] = whole(message.created_ns)[picked]
        if start and ids[0] < self.id[start - 1]:
            self.reorder(np.argsort(self.id, kind="stable"))
            self.generation += 1

    def named(self, message: Named) -> None:
        """Name the tasks that are known. ProtocolError where the names are too long altogether."""
        rows = self.rows_of(whole(message.id))
        known = np.flatnonzero(rows >= 0)
        names = np.empty(len(known), np.object_)
        names[:] = [clean(message.names[index], _LONGEST_NAME) for index in known.tolist()]
        rows = rows[known]
        self._haystack = None
        renamed = np.unique(rows)
        before = _characters(self.names[renamed])
        self.names[rows] = names
        self._name_chars += _characters(self.names[renamed]) - before
        if self._name_chars > limits.NAME_CHARS:
            raise ProtocolError(
                f"the runtime sent {self._name_chars:,} characters of task names, "
                f"the console takes {limits.NAME_CHARS:,}"
            )

    def polled(self, message: Polled) -> None:
        """Take over what changed in the tasks that are known."""
        rows = self.rows_of(whole(message.id))
        known: Selection = ALL
        if len(rows) and rows.min() < 0:
            known = np.flatnonzero(rows >= 0)
            rows = rows[known]
        state = choice(message.state, State.DONE, State.IDLE)[known]
        state[self.outcome[rows] > 0] = State.DONE
        source = choice(message.waker_source, WakerSource.SIGNAL, WakerSource.UNKNOWN)
        self.put(
            rows,
            state=state,
            since_ns=whole(message.since_ns)[known],
            polls=whole(message.polls)[known],
            busy_ns=whole(message.busy_ns)[known],
            scheduled_ns=whole(message.scheduled_ns)[known],
            max_poll_ns=whole(message.max_poll_ns)[known],
            wakes=whole(message.wakes)[known],
            self_wakes=whole(message.self_wakes)[known],
            waker_source=source[known],
            waker_task=whole(message.waker_task)[known],
            waker_name=whole(message.waker_name, limits.LARGEST_SMALL)[known],
        )
        self._counts = None

    def ended(self, message: Ended) -> None:
        """Mark the tasks that are known as done."""
        rows = self.rows_of(whole(message.id))
        known = np.flatnonzero(rows >= 0)
        rows = rows[known]
        ended_ns = whole(message.ended_ns)[known]
        self.state[rows] = State.DONE
        self.put(
            rows,
            outcome=choice(message.outcome, Outcome.UNKNOWN, Outcome.UNKNOWN)[known],
            ended_ns=ended_ns,
            since_ns=ended_ns,
            exception=whole(message.exception, limits.LARGEST_SMALL)[known],
        )
        self._counts = None

    def evict(self, retained: int = limits.ENDED_RETAINED) -> None:
        """Forget the ended tasks that ended first, down to `retained`.

        Nothing is done until there are a quarter more than that and an eighth of all rows: moving the rows
        that stay costs as much as there are of them, so it must pay.
        """
        excess = self.counts()[State.DONE] - retained
        if excess <= max(retained // 4, self.rows // 8):
            return
        ended = np.flatnonzero(self.in_state(State.DONE))
        oldest = ended[np.argpartition(self.ended_ns[ended], excess - 1)[:excess]]
        self._name_chars -= _characters(self.names[oldest])
        self._haystack = self._counts = None
        self.remove(oldest)
        self.generation += 1

    def mark(self, now: int, anew: bool = False) -> None:
        """Move the recent past along with the clock; `anew` lets it begin at `now`.

        A task spawned since the last mark has nothing older, so all it did is recent.
        """
        if not anew and now - self._marked_ns < _RECENT_STEP_NS:
            return
        for name in RECENT_COLUMNS:
            older, newer = f"older_{name}", f"newer_{name}"
            # What was newer is older from now on: one copy a column instead of two.
            self.store[older], self.store[newer] = self.store[newer], self.store[older]
            for column in (older, newer) if anew else (newer,):
                self.store[column][: self.rows] = self.store[name][: self.rows]
        self.recent_since_ns = now if anew else self._marked_ns
        self._marked_ns = now


def _characters(names: npt.NDArray[np.object_]) -> int:
    return sum(map(len, names.tolist()))
