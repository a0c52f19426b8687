"""The long-poll lints: stalls, grouped by the line of the user's code that caused them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.lints.nested_runs import is_nested_run
from asynctop_console.model import Model, places
from asynctop_console.model.times import duration
from asynctop_protocol.messages import Cause, Stall


@dataclass(frozen=True)
class LongPollBlockingCall(Lint):
    """A task waited in a blocking call: the event loop stood still for all other tasks meanwhile."""

    name: ClassVar[str] = "long-poll-blocking-call"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line."""
        for group in _grouped(model, {Cause.BLOCKING}):
            yield _finding(model, self, group, "was blocked", "Use an async call, or asyncio.to_thread().")


@dataclass(frozen=True)
class LongPollCpu(Lint):
    """A task computed for long without a pause: the event loop stood still for all other tasks meanwhile."""

    name: ClassVar[str] = "long-poll-cpu"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line."""
        for group in _grouped(model, {Cause.CPU, Cause.GIL}):
            yield _finding(model, self, group, "was kept busy", "Move the work to a process, or pause in it.")


def _grouped(model: Model, causes: set[Cause]) -> list[list[Stall]]:
    """The stalls with these causes, those of the same line together; those nobody saw a stack of, by kind."""
    groups: dict[object, list[Stall]] = {}
    for stall in model.stalls:
        if stall.cause in causes and not is_nested_run(model, stall):
            frame = places.users_frame(stall.stack)
            line = frame[1:] if frame else (stall.kind, stall.name if not stall.kind else "")
            groups.setdefault(line, []).append(stall)
    return list(groups.values())


def _finding(model: Model, lint: Lint, group: list[Stall], was: str, advice: str) -> Finding:
    worst = max(group, key=lambda stall: stall.duration_ns)
    name = worst.name or model.kinds.label(worst.kind)
    who = f"task {name}" if worst.task else f"callback {name}"
    place = places.users_frame(worst.stack)
    unseen = f" somewhere in {model.kinds.label(worst.kind)}" if worst.kind else " at an unknown line"
    lasts = " and still is" if worst.ongoing else ""
    total = sum(stall.duration_ns for stall in group)
    times = f", {len(group)} times, {duration(total)} in all" if len(group) > 1 else ""
    return Finding(
        lint=lint.name,
        severity=lint.severity,
        subject_type="task" if worst.task else "loop",
        subject_id=worst.task or worst.loop,
        subject_name=name,
        message=f"The event loop {was} for {duration(worst.duration_ns)}{lasts} by {who}"
        f"{at(place) or unseen}{times}. {advice}",
        tasks=frozenset(stall.task for stall in group if stall.task),
        place=place,
    )
