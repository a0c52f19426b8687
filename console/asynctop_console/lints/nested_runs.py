"""nested-run-in-a-thread: polls that block their loop until another loop has done something."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.model import Model, places
from asynctop_protocol.messages import Cause, Stall


@dataclass(frozen=True)
class NestedRunInAThread(Lint):
    """A coroutine runs another event loop in a thread and blocks its own one until that has finished."""

    name: ClassVar[str] = "nested-run-in-a-thread"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line."""
        for incident in model.incidents:
            if incident.type != self.name:
                continue
            place = places.users_frame(incident.stack)
            who = f"Task {incident.name}" if incident.task else f"Callback {incident.name}"
            thread = f", in thread {incident.text}" if incident.text else ""
            times = f", {incident.count:,} times" if incident.count > 1 else ""
            yield Finding(
                self.name,
                self.severity,
                "task" if incident.task else "loop",
                incident.task or incident.loop,
                incident.name,
                f"{who} blocked its event loop to wait for another one{thread},"
                f"{at(place)}{times}. Await the coroutine here instead of running it there.",
                frozenset({incident.task}) if incident.task else frozenset(),
                place,
            )


def is_nested_run(model: Model, stall: Stall) -> bool:
    """Whether a stall is one of those that this lint has found, so that others need not speak of it."""
    place = places.users_frame(stall.stack)
    return stall.cause in (Cause.BLOCKING, Cause.UNKNOWN) and any(
        incident.type == NestedRunInAThread.name and places.users_frame(incident.stack) == place
        for incident in model.incidents
    )
