"""The lints for what the interpreter, the loops and the runtime's hooks noticed as events: see `Incident`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, places, short
from asynctop_protocol.messages import Incident, Outcome


@dataclass(frozen=True)
class CoroutineNeverAwaited(Lint):
    """A coroutine function was called but the coroutine never awaited: nothing of it has run.

    Calling a coroutine function only makes a coroutine object; its body runs when that is awaited or becomes
    a task. Without that nothing happens, and nothing fails.

    Put `await` before the call, or give it to `asyncio.create_task()` and keep the task.
    """

    name: ClassVar[str] = "coroutine-never-awaited"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that calls it."""
        for incident in _incidents(model, self):
            *caller, itself = incident.stack or [(incident.name, "", 0)]
            place = places.users_frame(caller)
            defined = f", defined at {short(*itself[1:], width=60)}," if itself[1] else ""
            yield Finding(
                self.name,
                self.severity,
                "kind",
                _kind_called(model, incident.name),
                incident.name,
                f"Coroutine {incident.name}(){defined} was never awaited"
                f"{f', called{at(place)}' if place else ''}{_times(incident)}. "
                "Put await before the call, or give its coroutine to asyncio.create_task().",
                place=place or (itself if itself[1] else None),
            )


@dataclass(frozen=True)
class TaskExceptionNeverRetrieved(Lint):
    """A task ended with an exception that nobody asked for: what it was to do failed, and nobody knows.

    A task's exception is kept for whoever awaits it. If nobody does, Python only logs it when the task is
    freed, which may be much later or never, and the program goes on without what the task was to do.

    Await tasks, best in an `asyncio.TaskGroup`. For those that run in the background, add a done-callback
    that logs the exception, or catch it within.
    """

    name: ClassVar[str] = "task-exception-never-retrieved"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that raised."""
        for incident in _incidents(model, self):
            task = _ended_task(model, incident, Outcome.RAISED)
            place = places.users_frame(incident.stack)
            who = f"Task {incident.name}" if task else incident.name
            raised = f": raised{at(place)}" if place else ""
            yield _about(
                model,
                self,
                incident,
                task,
                f"{who} ended with {incident.text}, and nobody asked for it{raised}{_times(incident)}. "
                "Await it, or handle the exception.",
                place,
            )


@dataclass(frozen=True)
class PendingTaskDestroyed(Lint):
    """A task vanished before it had ended: nobody held a reference to it, or to what it waited for.

    The event loop holds tasks by weak references. A task that nobody else refers to, and that waits for
    something nobody else refers to either, is taken by the garbage collector in the middle of its work.

    Keep what `create_task()` returns until it is done, in a set or an attribute, or spawn it in an
    `asyncio.TaskGroup`.
    """

    name: ClassVar[str] = "pending-task-destroyed"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that such tasks waited at."""
        for incident in _incidents(model, self):
            task = _ended_task(model, incident, Outcome.DESTROYED)
            row = model.tasks.row(task)
            file, line = model.kinds.spawn(int(model.tasks.kind[row])) if row is not None else ("", 0)
            waited = places.users_frame(incident.stack)
            yield _about(
                model,
                self,
                incident,
                task,
                f"Task {incident.name} was destroyed while it was pending"
                f"{f', spawned at {short(file, line, width=60)}' if file else ''}"
                f"{f', waiting{at(waited)}' if waited else ''}{_times(incident)}: "
                "nobody held a reference to it. Keep what create_task() returns until it is done.",
                ("", file, line) if file else waited,
            )


@dataclass(frozen=True)
class CallFromWrongThread(Lint):
    """A thread gave work to another thread's event loop with a call that only the loop's own may make.

    Loops, tasks and futures are not thread-safe. `call_soon`, `future.set_result` or `create_task` from
    another thread may corrupt the loop's queue, and does not wake a loop that sleeps: the call takes effect
    whenever something else happens.

    Use `loop.call_soon_threadsafe(...)`, or `asyncio.run_coroutine_threadsafe(...)` for a coroutine.
    """

    name: ClassVar[str] = "call-from-wrong-thread"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that calls."""
        for incident in _incidents(model, self):
            place = places.users_frame(incident.stack)
            loop = model.loop(incident.loop)
            owner = loop.thread if loop and loop.thread else "another thread"
            woken = f"task {incident.name}" if incident.task else f"callback {incident.name}"
            yield Finding(
                self.name,
                self.severity,
                "loop",
                incident.loop,
                owner,
                f"Thread {incident.text} has scheduled {woken} on the event loop of {owner}"
                f"{at(place)}{_times(incident)}: the loop may not notice, or break. "
                "Use loop.call_soon_threadsafe(), or asyncio.run_coroutine_threadsafe().",
                frozenset({incident.task}) if incident.task else frozenset(),
                place,
            )


def _incidents(model: Model, lint: Lint) -> Iterator[Incident]:
    return (incident for incident in model.incidents if incident.type == lint.name)


def _times(incident: Incident) -> str:
    return f", {incident.count:,} times" if incident.count > 1 else ""


def _kind_called(model: Model, name: str) -> int:
    """The kind whose coroutine function is called so, 0 where no task was ever made of it."""
    return next((kind for kind in range(1, model.kinds.rows) if model.kinds.label(kind) == name), 0)


def _ended_task(model: Model, incident: Incident, outcome: Outcome) -> int:
    """The task it happened to, 0 for none. Mostly its end was noticed before, and only its name is known, and
    what it raised: a task of its name that ended later, or in another way, has nothing to do with it."""
    if incident.task:
        return incident.task
    tasks = model.tasks
    rows = np.flatnonzero((tasks.outcome == outcome) & (tasks.ended_ns <= incident.at_ns))
    rows = rows[np.argsort(-tasks.ended_ns[rows], kind="stable")]
    return next((int(tasks.id[row]) for row in rows.tolist() if _is_of(model, row, incident)), 0)


def _is_of(model: Model, row: int, incident: Incident) -> bool:
    raised = model.text(int(model.tasks.exception[row]))
    return model.tasks.name(row) == incident.name and raised == incident.text


def _about(
    model: Model, lint: Lint, incident: Incident, task: int, message: str, place: Frame | None
) -> Finding:
    """A finding about this task, or the loop where there is none."""
    if task:
        return lint.about_task(model, task, message, place=place)
    return Finding(
        lint.name, lint.severity, "loop", incident.loop, incident.name, message, frozenset(), place
    )
