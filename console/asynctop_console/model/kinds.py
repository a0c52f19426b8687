"""The kinds of tasks: what they are, where they come from, and exact sums over every task ever spawned.

A kind's row is its number. Row 0 stands for a kind that is not known. Cells are of polls that have ended:
what those that are running have taken is added by `busy_at` and `max_poll_at`.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from asynctop_console.model import limits, places
from asynctop_console.model.columns import Column, Columns, Ints, whole
from asynctop_console.model.tasks import TaskTable
from asynctop_console.model.text import Texts
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Kinds, State, Totals

Ints32 = npt.NDArray[np.int32]

BUCKETS = 128
"""Half octaves up to 2**63 ns, and one for 0 ns."""

UNKNOWN = "(unknown)"
"""Label of a kind that is not known."""


class KindTable(Columns):
    """One row per kind."""

    name = Column(np.int32)
    """Text number; so are the files."""
    defined_file = Column(np.int32)
    defined_line = Column(np.int32)
    spawned_file = Column(np.int32)
    spawned_line = Column(np.int32)
    spawned = Column(np.int64)
    returned = Column(np.int64)
    raised = Column(np.int64)
    cancelled = Column(np.int64)
    destroyed = Column(np.int64)
    unknown = Column(np.int64)
    """Ended unseen."""
    polls = Column(np.int64)
    busy_ns = Column(np.int64)
    scheduled_ns = Column(np.int64)
    max_poll_ns = Column(np.int64)
    histogram = Column(np.int64, width=BUCKETS)
    """Polls by duration, as in `Totals.histograms`."""

    def __init__(self, texts: Texts) -> None:
        super().__init__()
        self._texts = texts
        self.extend(1)

    @property
    def ended(self) -> Ints:
        """How many tasks of each kind have ended."""
        return self.returned + self.raised + self.cancelled + self.destroyed + self.unknown

    @property
    def live(self) -> Ints:
        """How many tasks of each kind live."""
        live: Ints = np.maximum(self.spawned - self.ended, 0)
        return live

    # Times that run on: as of `now`, in nanoseconds, for each kind

    def busy_at(self, now: int, tasks: TaskTable) -> Ints:
        """Time in polls, those running included."""
        busy: Ints = self.busy_ns.copy()
        kinds, lasted = self._running(now, tasks)
        np.add.at(busy, kinds, lasted)
        return busy

    def max_poll_at(self, now: int, tasks: TaskTable) -> Ints:
        """The longest poll, those running included."""
        longest: Ints = self.max_poll_ns.copy()
        kinds, lasted = self._running(now, tasks)
        np.maximum.at(longest, kinds, lasted)
        return longest

    def label(self, kind: int) -> str:
        """Qualified name of the kind's coroutine function."""
        return (self._text(self.name, kind) or UNKNOWN) if kind else UNKNOWN

    def defined(self, kind: int) -> tuple[str, int]:
        """(file, line) of the coroutine function, ("", 0) where not known."""
        return self._text(self.defined_file, kind), self._line(self.defined_line, kind)

    def spawn(self, kind: int) -> tuple[str, int]:
        """(file, line) that spawns tasks of this kind, ("", 0) where the spawn was not seen."""
        return self._text(self.spawned_file, kind), self._line(self.spawned_line, kind)

    def defined_at(self, kind: int) -> str | None:
        """The same as "file:line", None where not known."""
        return places.full(*self.defined(kind))

    def spawned_at(self, kind: int) -> str | None:
        """The same as "file:line", None where the spawn was not seen."""
        return places.full(*self.spawn(kind))

    def quantile_ns(self, kind: int, q: float) -> int | None:
        """The poll time that a share `q` (0..1) of the kind's polls does not exceed; None for no polls.

        It is the geometric middle of its bucket, so at most 19 % off, and never above the longest poll. Polls
        count once they have ended.
        """
        if not 0 <= kind < self.rows:
            return None
        quantile = histogram_quantile_ns(self.histogram[kind], q)
        return None if quantile is None else min(quantile, int(self.max_poll_ns[kind]))

    def announced(self, message: Kinds) -> None:
        """Add kinds, or say anew what they are. ProtocolError beyond the limit."""
        first, end = message.first, message.first + len(message.name)
        if first < 0 or end > limits.KINDS:
            raise ProtocolError(
                f"the runtime numbers its kinds {first} to {end - 1}, expected 0 to {limits.KINDS - 1}"
            )
        if end > self.rows:
            self.extend(end - self.rows)
        for column, cells in (
            (message.name, self.name),
            (message.defined_file, self.defined_file),
            (message.defined_line, self.defined_line),
            (message.spawned_file, self.spawned_file),
            (message.spawned_line, self.spawned_line),
        ):
            cells[first:end] = whole(column, limits.LARGEST_SMALL)

    def summed(self, message: Totals) -> None:
        """Take over the sums of the kinds that are known."""
        kinds = whole(message.kind)
        known = np.flatnonzero(kinds < self.rows)
        kinds = kinds[known]
        for column, cells in (
            (message.spawned, self.spawned),
            (message.returned, self.returned),
            (message.raised, self.raised),
            (message.cancelled, self.cancelled),
            (message.destroyed, self.destroyed),
            (message.unknown, self.unknown),
            (message.polls, self.polls),
            (message.busy_ns, self.busy_ns),
            (message.scheduled_ns, self.scheduled_ns),
            (message.max_poll_ns, self.max_poll_ns),
        ):
            cells[kinds] = whole(column)[known]
        for kind, index in zip(kinds.tolist(), known.tolist(), strict=True):
            counts = whole(message.histograms[index])[:BUCKETS]
            self.histogram[kind, : len(counts)] = counts
            self.histogram[kind, len(counts) :] = 0

    def _running(self, now: int, tasks: TaskTable) -> tuple[Ints32, Ints]:
        """Of each poll that is running the kind, where it is known, and for how long."""
        rows = np.flatnonzero(tasks.in_state(State.POLLING))
        rows = rows[tasks.kind[rows] < self.rows]
        return tasks.kind[rows], tasks.current_poll_ns(now, rows)

    def _text(self, column: Ints32, kind: int) -> str:
        return self._texts[int(column[kind])] if 0 <= kind < self.rows else ""

    def _line(self, column: Ints32, kind: int) -> int:
        return int(column[kind]) if 0 <= kind < self.rows else 0


def histogram_quantile_ns(histogram: Ints, q: float) -> int | None:
    """`KindTable.quantile_ns` of any such histogram, without the cap; None for an empty one."""
    (found,) = quantiles_ns(histogram[None], q).tolist()
    return None if math.isnan(found) else math.floor(found)


def quantiles_ns(histograms: Ints, q: float) -> npt.NDArray[np.float64]:
    """The same of many, a row each; NaN for the empty ones."""
    if not histograms.size:
        return np.full(len(histograms), np.nan)
    # In floating point: sums of a hostile runtime's counts would overflow 64 bits.
    sums = np.cumsum(histograms, axis=1, dtype=np.float64)
    counts = sums[:, -1]
    buckets = (sums < np.maximum(q * counts, 1.0)[:, None]).sum(axis=1)
    # Bucket b spans 2**((b-1)/2) to 2**(b/2): the middle of the exponents is (2b-1)/4.
    middles = 2.0 ** ((2 * np.minimum(buckets, histograms.shape[1] - 1) - 1) / 4)
    return np.where(counts > 0, np.where(buckets > 0, middles, 0.0), np.nan)
