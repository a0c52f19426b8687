"""task-leak-by-kind: kinds whose tasks become ever more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity
from asynctop_console.model import Frame, Model, short
from asynctop_console.model.columns import Ints
from asynctop_console.model.times import duration
from asynctop_protocol.messages import State

SHORTEST_NS = 10_000_000_000
"""A program that is starting grows too; it has mostly finished within this."""
PARTS = 8
"""The time looked at is cut into so many parts, and the kind must have grown in each: no plateau, no fall."""


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

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each such kind."""
        live = model.kinds.live
        for kind in np.flatnonzero(live >= self.least_growth).tolist():
            if not kind:
                continue  # Tasks of unknown kinds have nothing in common.
            history = _observed(model, kind) or _spawned(model, kind)
            if history is None or history[0] < self.least_growth:
                continue
            grown, length_ns = history
            label = model.kinds.label(kind)
            file, line = model.kinds.spawn(kind)
            place: Frame | None = ("", file, line) if file else None
            yield self.about_kind(
                model,
                kind,
                f"{int(live[kind]):,} tasks of {label}() are alive, {grown:,} more than "
                f"{duration(length_ns)} ago, and their number has only grown"
                f"{f': spawned at {short(file, line, width=60)}' if place else ''}. Await or cancel them.",
                _live_of(model, kind),
                place=place,
            )


def _observed(model: Model, kind: int) -> tuple[int, int] | None:
    """(growth, nanoseconds) if the kind only grew while we watched."""
    times, counts = model.growth.of(kind)
    if model.growth.observed_ns < SHORTEST_NS or np.any(np.diff(counts) < 0):
        return None
    # Measured from the first, so that floating point is exact enough.
    marks = np.linspace(0, times[-1] - times[0], PARTS + 1)
    at_marks = counts[np.searchsorted(times - times[0], marks, side="right") - 1]
    return _only_growth(at_marks, int(times[-1] - times[0]))


def _spawned(model: Model, kind: int) -> tuple[int, int] | None:
    """The same for a kind none of whose tasks has ever ended: their spawn times are its whole history."""
    if model.kinds.ended[kind]:
        return None
    tasks = model.tasks
    created = np.sort(tasks.created_ns[(tasks.kind == kind) & (tasks.state != State.DONE)])
    if not len(created):
        return None
    length_ns = model.now_ns - int(created[0])
    if length_ns < SHORTEST_NS:
        return None
    marks = np.linspace(0, length_ns, PARTS + 1)
    return _only_growth(np.searchsorted(created - created[0], marks, side="right"), length_ns)


def _only_growth(counts: Ints, length_ns: int) -> tuple[int, int] | None:
    grown = int(counts[-1] - counts[0])
    return (grown, length_ns) if bool(np.all(np.diff(counts) > 0)) else None


def _live_of(model: Model, kind: int) -> frozenset[int]:
    tasks = model.tasks
    return frozenset(tasks.id[(tasks.kind == kind) & (tasks.state != State.DONE)].tolist())
