"""Kinds whose tasks become ever more: task-leak-by-kind, where they don't end, and unbounded-spawn, where
they end more slowly than they are spawned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity
from asynctop_console.model import Frame, Model, Rows, short
from asynctop_console.model.columns import Ints
from asynctop_console.model.times import duration
from asynctop_protocol.messages import State, WakerSource

SHORTEST_NS = 2_000_000_000
"""Growth over less says nothing."""
LONG_NS = 10_000_000_000
"""A program that is starting grows too; it has mostly finished within this."""
PARTS = 6
"""The time looked at is cut into so many parts, and the kind must have grown in each: no plateau, no fall."""
STEADY = 20
"""A fall by less than this part of the growth is none: whoever spawns them had no processor for a moment."""
MOST_ASKED = 200
"""Tasks of a kind that are asked what they wait for: others wait for the same."""
GROWN_UP_NS = 500_000_000
"""A younger task may still be about to do what it is for."""


class Growing(NamedTuple):
    """A kind that only grew."""

    grown: int
    spawned: int
    """So many in the same time."""
    length_ns: int
    ended_early: int
    """So many ended in the first half of it."""

    @property
    def ended(self) -> int:
        """So many ended in that time."""
        return self.spawned - self.grown


@dataclass(frozen=True)
class TaskLeakByKind(Lint):
    """A kind's live tasks have only become more for as long as can be told: nothing ends or cancels them.

    The tasks of a kind become more and never fewer: each waits for something that does not come, or loops
    without an end, and nobody cancels it. Memory grows with them.

    Cancel what belongs to a connection or a request when that ends: `asyncio.TaskGroup` does. Put timeouts on
    waits for others.
    """

    name: ClassVar[str] = "task-leak-by-kind"
    severity: ClassVar[Severity] = Severity.WARNING

    least_growth: Annotated[int, "tasks more than at first: fewer are no burden yet"] = 50
    least_endless: Annotated[int, "the same of a kind that waits idly, and none of which has ever ended"] = 20

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each such kind."""
        least = min(self.least_growth, self.least_endless)
        for kind in np.flatnonzero(model.kinds.live >= least).tolist():
            growing = _growing(model, kind) if kind else None  # tasks of unknown kinds have nothing in common
            if growing is None or growing.grown < least or _is_backlog(model, kind, growing):
                continue
            if growing.grown < self.least_growth and not _is_endless(model, kind):
                continue
            if growing.length_ns < LONG_NS and (
                growing.ended * 20 > growing.spawned
                or _are_connections(model, kind)
                or not (_are_quiet(model, kind) or _are_orphans(model, kind))
            ):
                continue
            live = int(model.kinds.live[kind])
            place, spawned_at = _spawned_at(model, kind)
            yield self.about_kind(
                model,
                kind,
                f"{live:,} tasks of {model.kinds.label(kind)}() are alive, {growing.grown:,} more than "
                f"{duration(growing.length_ns)} ago, and their number has only grown{spawned_at}. "
                "Await or cancel them.",
                model.tasks.id[_live_of(model, kind)].tolist(),
                place=place,
            )


@dataclass(frozen=True)
class UnboundedSpawn(Lint):
    """Tasks of a kind are spawned faster than they end, and nothing holds whoever spawns them back.

    Tasks are made faster than they can be done, so a backlog of tasks grows, and with it memory and
    everybody's latency. Nobody tells whoever spawns them to wait.

    Let a fixed number of workers read from a `Queue(maxsize=...)`, or take a `Semaphore` before spawning:
    then the source waits when there is too much.
    """

    name: ClassVar[str] = "unbounded-spawn"
    severity: ClassVar[Severity] = Severity.WARNING

    least_growth: Annotated[int, "tasks more than at first: fewer are no burden yet"] = 50

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each such kind."""
        for kind in np.flatnonzero(model.kinds.live >= self.least_growth).tolist():
            growing = _growing(model, kind) if kind else None
            if growing is None or growing.grown < self.least_growth or not _is_backlog(model, kind, growing):
                continue
            seconds = growing.length_ns / 1e9
            place, spawned_at = _spawned_at(model, kind)
            yield self.about_kind(
                model,
                kind,
                f"{int(growing.spawned / seconds):,} tasks of {model.kinds.label(kind)}() are spawned a "
                f"second, but only {int(growing.ended / seconds):,} end: "
                f"{int(model.kinds.live[kind]):,} are alive, "
                f"{growing.grown:,} more than {duration(growing.length_ns)} ago{spawned_at}. "
                "Let whoever spawns them wait: for a semaphore, a bounded queue, or the tasks.",
                model.tasks.id[_live_of(model, kind)].tolist(),
                place=place,
            )


def _growing(model: Model, kind: int) -> Growing | None:
    return _observed(model, kind) or _spawned(model, kind)


def _observed(model: Model, kind: int) -> Growing | None:
    """What we saw, if the kind only grew while we watched."""
    times, live, spawned = model.growth.of(kind)
    fallen = int((np.maximum.accumulate(live) - live).max(initial=0))
    if model.growth.observed_ns < SHORTEST_NS or fallen * STEADY > live[-1] - live[0]:
        return None
    # Measured from the first, so that floating point is exact enough.
    marks = (
        np.searchsorted(times - times[0], np.linspace(0, times[-1] - times[0], PARTS + 1), side="right") - 1
    )
    if not _only_grows(live[marks]):
        return None
    middle = marks[PARTS // 2]
    early = int(spawned[middle] - spawned[0] - (live[middle] - live[0]))
    return Growing(int(live[-1] - live[0]), int(spawned[-1] - spawned[0]), int(times[-1] - times[0]), early)


def _spawned(model: Model, kind: int) -> Growing | None:
    """The same for a kind none of whose tasks has ever ended: their spawn times are its whole history."""
    if model.kinds.ended[kind]:
        return None
    created = np.sort(model.tasks.created_ns[_live_of(model, kind)])
    if not len(created):
        return None
    length_ns = model.now_ns - int(created[0])
    if length_ns < SHORTEST_NS:
        return None
    counts = np.searchsorted(created - created[0], np.linspace(0, length_ns, PARTS + 1), side="right")
    grown = int(counts[-1] - counts[0])
    return Growing(grown, grown, length_ns, 0) if _only_grows(counts) else None


def _only_grows(counts: Ints) -> bool:
    return bool(np.all(np.diff(counts) > 0))


def _is_backlog(model: Model, kind: int, growing: Growing) -> bool:
    """Whether they do end, all the while and one after the other, but too slowly.

    Where some never end, those that do end are younger than the ones that are left.
    """
    if (
        growing.ended * 20 <= growing.spawned
        or growing.grown * 7 < growing.spawned
        or growing.ended_early * 10 < growing.ended
    ):
        return False
    tasks = model.tasks
    oldest = np.quantile(tasks.created_ns[_live_of(model, kind)], 0.1)
    ended = tasks.created_ns[(tasks.kind == kind) & tasks.in_state(State.DONE)]
    return len(ended) > 0 and int(np.count_nonzero(ended > oldest)) * 5 < len(ended)


def _are_quiet(model: Model, kind: int) -> bool:
    """Whether nearly all have done nothing for most of their lives."""
    tasks, now = model.tasks, model.now_ns
    rows = _grown_up(model, kind)
    quiet = tasks.in_state(State.IDLE, rows) & (
        (now - tasks.since_ns[rows]) * 2 >= now - tasks.created_ns[rows]
    )
    return len(rows) > 0 and int(np.count_nonzero(quiet)) * 5 >= len(rows) * 4


def _is_endless(model: Model, kind: int) -> bool:
    """Whether all that were ever spawned wait for something in the program that has not come yet."""
    return not model.kinds.ended[kind] and _are_quiet(model, kind) and not _are_connections(model, kind)


def _are_orphans(model: Model, kind: int) -> bool:
    """Whether nearly all were spawned by tasks that have ended: who shall await or cancel them?"""
    tasks = model.tasks
    rows = _grown_up(model, kind)
    parents = tasks.parent[rows]
    parents_rows = tasks.rows_of(parents)
    gone = (parents > 0) & ((parents_rows < 0) | tasks.in_state(State.DONE, parents_rows))
    return len(rows) > 0 and int(np.count_nonzero(gone)) * 5 >= len(rows) * 4


def _are_connections(model: Model, kind: int) -> bool:
    """Whether most of them wait for a peer: with more of those there must be more tasks."""
    tasks = model.tasks
    rows = _grown_up(model, kind)[:MOST_ASKED]
    outside = (tasks.polls[rows] > 1) & np.isin(
        tasks.waker_source[rows], (WakerSource.UNKNOWN, WakerSource.IO)
    )
    chains = (model.chains.get(task) for task in tasks.id[rows].tolist())
    types = [chain.waiting_on.type if chain and chain.waiting_on else "future" for chain in chains]
    # Of a future nobody knows what it stands for, except that I/O has woken the task before.
    waiting = [
        type_ == "stream" or (type_ == "future" and woken)
        for type_, woken in zip(types, outside.tolist(), strict=True)
    ]
    return waiting.count(True) * 2 > len(waiting)


def _live_of(model: Model, kind: int) -> Rows:
    return np.flatnonzero((model.tasks.kind == kind) & ~model.tasks.in_state(State.DONE))


def _grown_up(model: Model, kind: int) -> Rows:
    rows = _live_of(model, kind)
    return rows[model.now_ns - model.tasks.created_ns[rows] >= GROWN_UP_NS]


def _spawned_at(model: Model, kind: int) -> tuple[Frame | None, str]:
    file, line = model.kinds.spawn(kind)
    place: Frame | None = ("", file, line) if file else None
    return place, f": spawned at {short(file, line, width=60)}" if place else ""
