"""How long cancelled tasks take to end: what one look after another has found of each.

A runtime does not tell when a task's cancellation landed, only how far it has come when somebody looks. That
it went on for a time is known where it was found so again and again, or has not moved since.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from asynctop_console.model import limits
from asynctop_console.model.tasks import TaskTable
from asynctop_protocol.messages import Chain, State

MOST_APART_NS = 1_000_000_000
"""Looks that lie further apart than that say nothing of the time in between."""
LATE_NS = 20_000_000
"""By how much a look may be older than the tick that it came after."""


@dataclass(slots=True)
class Cancelled:
    """A task whose cancellation had landed, and which went on."""

    chain: Chain
    """What it did at the last look."""
    first_ns: int
    """When that was so for the first time, as far as is known: it may have been so for longer."""
    last_ns: int
    read_ns: int
    """When the last look was folded that `settle` has not taken up, else 0."""

    @property
    def handled(self) -> bool:
        """Whether it was in an `except` or `finally` block, still about to do as it was told."""
        return bool(self.chain.handles_cancellation)

    @property
    def lasted_ns(self) -> int:
        """For how long at least."""
        return self.last_ns - self.first_ns


class Cancellations:
    """The cancellations that were seen to have landed."""

    def __init__(self) -> None:
        self._all: deque[Cancelled] = deque()
        self._open: dict[tuple[int, int], Cancelled] = {}
        """The latest of each task and the cancellation that it handles, 0 for none."""

    def __iter__(self) -> Iterator[Cancelled]:
        return iter(self._all)

    def looked(self, chain: Chain, now_ns: int) -> None:
        """A task was looked at, since the tick at `now_ns`."""
        if not chain.cancelling or chain.cancellation_pending:
            return
        key = chain.task, chain.handles_cancellation
        seen = self._open.get(key)
        if seen is None or (not seen.handled and now_ns - seen.last_ns > MOST_APART_NS):
            seen = self._open[key] = Cancelled(chain, now_ns, now_ns, now_ns)
            self._all.append(seen)
            if len(self._all) > limits.CANCELLATIONS:
                oldest = self._all.popleft()
                oldest_key = oldest.chain.task, oldest.chain.handles_cancellation
                if self._open.get(oldest_key) is oldest:
                    del self._open[oldest_key]
        seen.chain, seen.last_ns, seen.read_ns = chain, now_ns, now_ns

    def settle(self, tasks: TaskTable, now_ns: int) -> None:
        """All is known as of this tick. Who has not moved since a time before the look has been there all the
        while."""
        for seen in self._all:
            if not seen.read_ns:
                continue
            row = tasks.row(seen.chain.task)
            if row is not None and tasks.state[row] == State.IDLE:
                since_ns = int(tasks.since_ns[row])
                if since_ns < seen.read_ns - LATE_NS:
                    seen.first_ns = min(seen.first_ns, since_ns)
                    seen.last_ns = now_ns
            seen.read_ns = 0
