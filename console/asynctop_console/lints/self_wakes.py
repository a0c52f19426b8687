"""self-wake-spin: tasks that keep themselves awake."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.model import Model
from asynctop_protocol.messages import State

SHORTEST_WINDOW_NS = 400_000_000
"""A rate over less says nothing."""


@dataclass(frozen=True)
class SelfWakeSpin(Lint):
    """A task keeps waking itself, so the loop never rests: it asks again and again instead of waiting.

    The task yields with `asyncio.sleep(0)`, or something like it, and asks again whether there is anything to
    do. It is always ready, so the loop never sleeps: a processor is kept busy for nothing, and everybody
    else's polls come later.

    Wait for what is to happen: an `Event`, a `Condition`, a `Queue`, a future. Where one must ask again and
    again, sleep for some milliseconds in between.
    """

    name: ClassVar[str] = "self-wake-spin"
    severity: ClassVar[Severity] = Severity.WARNING

    least_wakes: Annotated[int, "self wakes since the task began: one now and then is good manners"] = 1_000
    least_per_second: Annotated[
        float, "recent self wakes a second: who yields in a long computation does so more rarely"
    ] = 200.0
    least_share: Annotated[
        float, "self wakes among recent wakes: below it, somebody else drives the task"
    ] = 0.5

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each such task."""
        tasks = model.tasks
        window_ns = model.now_ns - tasks.recent_since_ns
        if window_ns < SHORTEST_WINDOW_NS:
            return
        own = tasks.recent("self_wakes")
        spinning = np.flatnonzero(
            (tasks.state != State.DONE)
            & (tasks.self_wakes >= self.least_wakes)
            & (own >= self.least_per_second * window_ns / 1e9)
            & (own >= self.least_share * tasks.recent("wakes"))
        )
        for row in spinning.tolist():
            kind = int(tasks.kind[row])
            label = model.kinds.label(kind)
            file, line = model.kinds.defined(kind)
            place = (label, file, line) if file else None
            rate = int(own[row] / window_ns * 1e9)
            name = tasks.name(row) or label
            yield self.about_task(
                model,
                int(tasks.id[row]),
                f"Task {name} wakes itself {rate:,} times a second{at(place) or f' in {label}()'}. "
                "Wait for an event instead of asking again.",
                place=place,
            )
