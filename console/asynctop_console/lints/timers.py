"""timer-storm: loops that are busy with timers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import MS, Finding, Lint, Severity
from asynctop_console.model import Frame, Loop, Model, short
from asynctop_protocol.messages import State, WakerSource

WINDOW_NS = 1_500_000_000
"""Rates are over this time, or a little longer."""
OUTSIDE = (WakerSource.UNKNOWN, WakerSource.IO, WakerSource.THREAD, WakerSource.SIGNAL)


@dataclass(frozen=True)
class TimerStorm(Lint):
    """A loop sets, cancels or runs timers all the time, for next to no work between them.

    Setting and cancelling a timer costs little, but tens of thousands a second keep the loop busy with its
    own bookkeeping. Typical: a very short `sleep` in many tasks, or a timeout set anew for every byte.

    Wait for the event instead of asking often, and let one timer serve many: note a deadline, and check all
    deadlines in one task.
    """

    name: ClassVar[str] = "timer-storm"
    severity: ClassVar[Severity] = Severity.WARNING

    least_per_second: Annotated[float, "timers set: they take a twentieth of a loop by then"] = 20_000.0
    least_when_busy: Annotated[float, "timers set a second, where the loop is busy with them"] = 10_000.0
    least_per_task: Annotated[float, "timers run a second for each live task: nobody need look so often"] = (
        200.0
    )
    least_busy_ratio: Annotated[float, "of the loop's time, in polls and callbacks"] = 0.4
    most_busy_ms: Annotated[float, "ms in polls and callbacks for each timer: more is work"] = 0.05
    least_per_step: Annotated[float, "timers set in each poll or callback, where few of them run"] = 3.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each loop."""
        window_ns, pairs = model.meters.loops_since(WINDOW_NS)
        for before, loop in pairs:
            seconds = window_ns / 1e9
            made, fired = loop.timers - before.timers, loop.timers_fired - before.timers_fired
            if not self._is_storm(model, before, loop, seconds):
                continue
            file, line = model.text(loop.timer_file), loop.timer_line
            if not file:
                file, line = model.kinds.spawn(loop.timer_kind)  # a sleep() that is a task by itself
            place: Frame | None = ("", file, line) if file else None
            where = f" at {short(file, line, width=60)}" if place else ""
            runs = f"{int(fired / seconds):,} run" if fired * 10 > made else "hardly any of them runs"
            message = (
                f"{int(made / seconds):,} timers a second are set, most of them{where}, and {runs}, "
                "with little work between them. Set one timer for many, or wait for what it is about."
            )
            yield self._about(model, loop, message, place)

    def _is_storm(self, model: Model, before: Loop, loop: Loop, seconds: float) -> bool:
        made, fired = loop.timers - before.timers, loop.timers_fired - before.timers_fired
        steps = loop.polls - before.polls + loop.callbacks - before.callbacks
        busy_ns = loop.busy_ns - before.busy_ns
        many = made >= self.least_per_second * seconds
        if many and made >= self.least_per_step * steps and fired * 2 < made:
            return True
        if busy_ns > self.most_busy_ms * MS * made:
            return False
        if many and fired >= self.least_per_task * seconds * max(_live(model, loop.id), 1):
            return True
        busy = busy_ns >= self.least_busy_ratio * seconds * 1e9 and made >= self.least_when_busy * seconds
        return busy and not _from_outside(model, loop.id)

    def _about(self, model: Model, loop: Loop, message: str, place: Frame | None) -> Finding:
        tasks = model.tasks
        rows = np.flatnonzero((tasks.kind == loop.timer_kind) & ~tasks.in_state(State.DONE))
        if not loop.timer_kind:
            return Finding(
                self.name, self.severity, "loop", loop.id, loop.thread, message, frozenset(), place
            )
        if len(rows) == 1:
            return self.about_task(model, int(tasks.id[rows[0]]), message, place=place)
        return self.about_kind(model, loop.timer_kind, message, tasks.id[rows].tolist(), place=place)


def _live(model: Model, loop: int) -> int:
    return int(np.count_nonzero(~model.tasks.in_state(State.DONE) & (model.tasks.loop == loop)))


def _from_outside(model: Model, loop: int) -> bool:
    """Whether most of what the loop's tasks do lately was asked for by others: then the timers guard it."""
    tasks = model.tasks
    polls = np.where(tasks.loop == loop, tasks.recent("polls"), 0)
    outside = np.isin(tasks.waker_source, OUTSIDE) & ~tasks.in_state(State.DONE)
    return int(polls[outside].sum()) * 2 >= int(polls.sum())
