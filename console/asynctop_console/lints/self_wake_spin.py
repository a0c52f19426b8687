"""self-wake-spin: tasks that keep themselves awake."""

from __future__ import annotations

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity
from asynctop_console.model import Model, places
from asynctop_protocol.messages import State

LEAST_WAKES = 1_000
"""Self wakes since the task began: `await asyncio.sleep(0)` now and then is good manners."""
LEAST_PER_SECOND = 200.0
"""Recent self wakes a second: somebody who yields in a long computation does so every 5 ms or less often."""
LEAST_SHARE = 0.5
"""Self wakes among the recent wakes: below it, somebody else drives the task."""
SHORTEST_WINDOW_NS = 400_000_000
"""A rate over less says nothing."""


def check(model: Model) -> list[Finding]:
    """A task keeps waking itself, so the loop never rests: it asks again and again instead of waiting."""
    tasks = model.tasks
    window_ns = model.now_ns - tasks.recent_since_ns
    if window_ns < SHORTEST_WINDOW_NS:
        return []
    own = tasks.recent("self_wakes")
    spinning = np.flatnonzero(
        (tasks.state != State.DONE)
        & (tasks.self_wakes >= LEAST_WAKES)
        & (own >= LEAST_PER_SECOND * window_ns / 1e9)
        & (own >= LEAST_SHARE * tasks.recent("wakes"))
    )
    findings = []
    for row in spinning.tolist():
        kind = int(tasks.kind[row])
        task_id = int(tasks.id[row])
        name = tasks.name(row) or model.kinds.label(kind)
        place = places.short(*model.kinds.defined(kind), width=60)
        rate = int(own[row] / window_ns * 1e9)
        findings.append(
            Finding(
                lint=LINT.name,
                severity=LINT.severity,
                subject_type="task",
                subject_id=task_id,
                subject_name=name,
                message=f"Task {name} wakes itself {rate:,} times a second, in {model.kinds.label(kind)}()"
                f"{f' at {place}' if place else ''}. Wait for an event instead of asking again.",
                tasks=frozenset({task_id}),
            )
        )
    return findings


LINT = Lint("self-wake-spin", Severity.WARNING, str(check.__doc__), check)
