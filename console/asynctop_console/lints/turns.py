"""Loops that are late although no poll is long: tick-overload and starvation.

Both are about turns of the loop: between two looks for timers and I/O it runs all that was ready at the
first. They differ in who is ready. Where many tasks are woken together, and each has something to do, one
turn is long: that is tick-overload. Where many tasks are ready always, every turn is long, however little
each does, and whoever is woken by something real waits for all of them each time: that is starvation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import MS, Finding, Lint, Severity
from asynctop_console.model import Frame, Ints, Model, Rows, short
from asynctop_console.model.times import duration
from asynctop_protocol.messages import State

SHORTEST_WINDOW_NS = 1_000_000_000
"""What a task did in less says nothing."""


@dataclass(frozen=True)
class TickOverload(Lint):
    """Very many polls ran in one turn of the loop, none of them long, and timers and I/O waited for all.

    In each turn the loop runs everything that is ready, and only then looks for timers and I/O. Two hundred
    polls of 2 ms freeze it for 400 ms, though none of them is long: a profile shows nothing special.

    Limit how many tasks do such work at a time (a `Semaphore`, a fixed number of workers on a queue), or do
    the work in a thread or process.
    """

    name: ClassVar[str] = "tick-overload"
    severity: ClassVar[Severity] = Severity.WARNING

    least_turn_ms: Annotated[float, "ms: a shorter turn is not noticed by a person"] = 150.0
    least_total_ms: Annotated[float, "ms of such turns in a minute: one alone may happen"] = 300.0
    least_polls: Annotated[int, "in a turn: fewer are to blame each for itself"] = 20
    least_poll_ms: Annotated[float, "ms a poll of the turn takes: shorter ones do nothing to speak of"] = 0.2

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each loop."""
        stall_ns = model.stall_threshold_ns
        for loop in model.loops:
            turns = [
                turn
                for turn in model.turns.of(loop.id)
                if turn.took_ns >= self.least_turn_ms * MS
                and turn.polls >= self.least_polls
                and turn.took_ns >= self.least_poll_ms * MS * turn.polls
                and turn.longest_ns <= min(stall_ns, turn.took_ns // 4)
            ]
            if sum(turn.took_ns for turn in turns) < self.least_total_ms * MS:
                continue
            worst = max(turns, key=lambda turn: turn.took_ns)
            crowd = _crowd(model, loop.id)
            if crowd is not None and crowd.poll_ns < MS:
                continue  # who keeps it so is told by starvation
            place, who = _where(model, worst.kind)
            again = f"; {len(turns)} such turns lately" if len(turns) > 1 else ""
            each = duration(worst.longest_ns)
            yield Finding(
                self.name,
                self.severity,
                "loop",
                loop.id,
                loop.thread,
                f"The event loop of {loop.thread} ran for {duration(worst.took_ns)} without looking for "
                f"timers and I/O: {worst.polls:,} polls in one turn, none longer than {each}, "
                f"most of the time in {who}{again}. "
                "Let fewer tasks run at a time, or do the work in a thread or process.",
                place=place,
            )


@dataclass(frozen=True)
class Starvation(Lint):
    """A task has little to do but waits long for each poll, because very many others are always ready.

    Ready tasks are polled one after the other. If a hundred are always ready, then each waits for a hundred
    polls, and the one that only wants to answer a ping is as late as all the rest.

    Let the crowd wait for something real, run fewer of them at a time, or move them to a thread with a loop
    of its own.
    """

    name: ClassVar[str] = "starvation"
    severity: ClassVar[Severity] = Severity.WARNING

    least_wait_ms: Annotated[float, "ms between wake and poll, on average"] = 100.0
    least_waits: Annotated[int, "so often: once is bad luck"] = 2
    least_ratio: Annotated[float, "waiting for each nanosecond of work"] = 20.0
    most_told: Annotated[int, "kinds of victims: they all have the same cause"] = 3

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each kind that is starved, about its worst task."""
        for loop in model.loops:
            crowd = _crowd(model, loop.id)
            if crowd is None:
                continue
            tasks = model.tasks
            scheduled = tasks.in_state(State.SCHEDULED)
            waits = tasks.recent("polls") + scheduled
            waited = tasks.recent("scheduled_ns") + np.where(
                scheduled, np.maximum(model.now_ns - tasks.since_ns, 0), 0
            )
            busy = tasks.recent("busy_ns")
            starved = np.flatnonzero(
                (tasks.loop == loop.id)
                & ~tasks.in_state(State.DONE)
                & (waits >= self.least_waits)
                & (waited >= self.least_wait_ms * MS * waits)
                & (waited >= self.least_ratio * busy)
            )
            starved = starved[~np.isin(tasks.kind[starved], list(crowd.kinds))]
            order = starved[np.argsort(-waited[starved] / (busy[starved] + 1), kind="stable")]
            _, firsts = np.unique(tasks.kind[order], return_index=True)
            for row in order[np.sort(firsts)][: self.most_told].tolist():
                place, who = _where(model, crowd.kind)
                each, work = int(waited[row] // waits[row]), int(busy[row] // waits[row])
                yield self.about_task(
                    model,
                    int(tasks.id[row]),
                    f"Task {model.task_name(int(tasks.id[row]))} waits {duration(each)} for each poll of "
                    f"{duration(work)}, as {crowd.count:,} tasks are always ready and keep the loop busy, "
                    f"most of all {who}. "
                    "Let them wait for something, or run fewer of them at a time.",
                    place=place,
                )


@dataclass(frozen=True)
class _Crowd:
    """Tasks that are always ready, and keep a loop busy by that."""

    count: int
    kinds: frozenset[int]
    kind: int
    """The one that keeps it busy most."""
    poll_ns: int
    """Their polls on average."""


def _crowd(model: Model, loop: int, least: int = 20) -> _Crowd | None:
    tasks = model.tasks
    window_ns = model.now_ns - tasks.recent_since_ns
    if window_ns < SHORTEST_WINDOW_NS:
        return None
    _, pairs = model.meters.loops_since(window_ns)
    if any(after.id == loop and after.busy_ns - before.busy_ns < window_ns // 2 for before, after in pairs):
        return None  # nor can its tasks have been busier: a million of them need not be looked at
    alive = np.flatnonzero(~tasks.in_state(State.DONE) & (tasks.loop == loop))
    ready = alive[_idle_ns(model, alive) <= window_ns // 10]
    # Who has lived for a moment only was always ready, too.
    ready = ready[model.now_ns - tasks.created_ns[ready] >= window_ns // 2]
    busy, polls = tasks.recent("busy_ns", ready), tasks.recent("polls", ready)
    if len(ready) < least or int(busy.sum()) < window_ns // 2:
        return None
    kinds, inverse = np.unique(tasks.kind[ready], return_inverse=True)
    sums = np.bincount(inverse, busy)
    # A starved task is always ready itself if it yields only: it has no share in the loop's time.
    of_crowd = kinds[sums >= sums.sum() / 20]
    return _Crowd(
        int(np.isin(tasks.kind[ready], of_crowd).sum()),
        frozenset(of_crowd.tolist()),
        int(kinds[sums.argmax()]),
        int(busy.sum() // max(int(polls.sum()), 1)),
    )


def _idle_ns(model: Model, rows: Rows) -> Ints:
    """For how long these tasks were neither polled nor scheduled, lately."""
    tasks, now = model.tasks, model.now_ns
    awake = tasks.recent("busy_ns", rows) + tasks.recent("scheduled_ns", rows)
    awake = awake + np.where(tasks.in_state(State.IDLE, rows), 0, np.maximum(now - tasks.since_ns[rows], 0))
    window: Ints = now - np.maximum(tasks.created_ns[rows], tasks.recent_since_ns)
    return np.maximum(window - awake, 0)


def _where(model: Model, kind: int) -> tuple[Frame | None, str]:
    """Where the kind is defined, and "update() at app.py:7, spawned at app.py:12"."""
    if not kind:
        return None, "callbacks that belong to no task"
    label, (file, line) = model.kinds.label(kind), model.kinds.defined(kind)
    place, spawned = short(file, line, width=60), short(*model.kinds.spawn(kind), width=60)
    said = f"{label}()" + (f" at {place}" if place else "") + (f", spawned at {spawned}" if spawned else "")
    return ((label, file, line) if file else None), said
