"""The lints for cancelled tasks: those that go on, and those that take long to clean up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, places, users_frame
from asynctop_console.model.cancellations import Cancelled
from asynctop_console.model.landings import by_group, reason
from asynctop_console.model.times import duration
from asynctop_protocol.messages import State


@dataclass(frozen=True)
class CancellationSwallowed(Lint):
    """A task was cancelled, but caught the CancelledError and goes on as if nothing had happened.

    `cancel()` raises `CancelledError` at the task's `await`. A bare `except:`, or one of `BaseException`,
    catches it, and a loop around it goes on. Whoever cancelled the task waits for ever, timeouts do not end
    it, and the program does not stop.

    Catch `Exception`, or raise `CancelledError` again after cleaning up.
    """

    name: ClassVar[str] = "cancellation-swallowed"
    severity: ClassVar[Severity] = Severity.ERROR

    least_ms: Annotated[
        float, "ms for which it goes on: some keep the error, clean up, and raise it after that"
    ] = 300.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that such tasks go on at."""
        for group in _grouped(model, self.least_ms, handled=False):
            yield _finding(
                model,
                self,
                group,
                "but caught the CancelledError and goes on",
                "but caught the CancelledError and went on",
                "Catch Exception instead of BaseException, or raise CancelledError again.",
            )


@dataclass(frozen=True)
class CancellationSlow(Lint):
    """A cancelled task is still busy with its cleanup: whoever waits for its end waits for that too.

    After `cancel()` a task may clean up, in `finally` or `except CancelledError`, and await things there.
    Whoever cancelled it mostly awaits its end, so a slow cleanup makes shutdowns and timeouts late.

    Put a timeout on the cleanup (`async with asyncio.timeout(...)`), or leave what takes long to a task of
    its own.
    """

    name: ClassVar[str] = "cancellation-slow"
    severity: ClassVar[Severity] = Severity.WARNING

    least_ms: Annotated[float, "ms of cleanup: less is what closing a connection takes"] = 1_000.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that such tasks clean up at."""
        for group in _grouped(model, self.least_ms, handled=True):
            yield _finding(
                model,
                self,
                group,
                "and is busy with its cleanup",
                "and was busy with its cleanup",
                "Give the cleanup a timeout, or leave what takes long to another task.",
            )


def _grouped(model: Model, least_ms: float, *, handled: bool) -> list[list[Cancelled]]:
    """Those that went on for that long, those at the same line together."""
    groups: dict[object, list[Cancelled]] = {}
    for each in model.cancellations:
        landing = model.landings.of(each.chain.task)
        if landing is not None and not handled and by_group(landing):
            continue  # it is the group that caught it, and up to 3.12 does not take it back
        if each.handled is handled and each.lasted_ns >= least_ms * MS:
            groups.setdefault(users_frame(each.chain.frames) or each.chain.task, []).append(each)
    return list(groups.values())


def _finding(model: Model, lint: Lint, group: list[Cancelled], does: str, did: str, advice: str) -> Finding:
    longest = max(group, key=lambda each: each.lasted_ns)
    task = longest.chain.task
    place = users_frame(longest.chain.frames)
    row = model.tasks.row(task)
    alive = row is not None and model.tasks.state[row] != State.DONE
    name = (model.tasks.name(row) if row is not None else "") or f"{task}"
    tasks = frozenset(each.chain.task for each in group)
    others = f", and {len(tasks) - 1:,} more like it" if len(tasks) > 1 else ""
    return Finding(
        lint.name,
        lint.severity,
        "task",
        task,
        name,
        f"Task {name} was cancelled{_by(model, task)}, {does if alive else did}{at(place)}"
        f"{_within(longest.chain.frames, place)}, "
        f"for {duration(longest.lasted_ns)} {'now' if alive else 'then'}{others}. {advice}",
        tasks,
        place,
    )


def _within(frames: list[Frame], place: Frame | None) -> str:
    """ ", within work() at app/web.py:15": where the task is in its own coroutine."""
    outermost = next((frame for frame in frames if places.is_users(frame)), None)
    if outermost is None or place is None or outermost == place:
        return ""
    return f", within{at(outermost).removeprefix(' in')}"


def _by(model: Model, task: int) -> str:
    """Who or what requested the task's last cancellation, as far as that is known."""
    landing = model.landings.of(task)
    if landing is None:
        return ""
    row = model.tasks.row(landing.by)
    by = reason(landing, (model.tasks.name(row) if row is not None else "") or str(landing.by or ""))
    return f" {by}" if by else ""


@dataclass(frozen=True)
class StateLostOnCancel(Lint):
    """A coroutine was cancelled in the middle of a message, so what it had read of that is lost: the stream
    was read again as if a message began there.

    A reader was cancelled, mostly by a timeout, after it had read the beginning of a message. What it had
    read was in its local variables and is gone, so the next read takes the middle of that message for a new
    one.

    Close the connection after such a cancellation. Or let one task do nothing but read whole messages into a
    queue, and put the timeout on `queue.get()`; or keep what was read in an attribute and go on from there.
    """

    name: ClassVar[str] = "state-lost-on-cancel"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each line that was cancelled."""
        for incident in model.incidents:
            if incident.type != self.name:
                continue
            task = _owner(model, incident.task)
            place = users_frame(incident.stack)
            row = model.tasks.row(task)
            name = (model.tasks.name(row) if row is not None else "") or incident.name
            times = f", {incident.count:,} times" if incident.count > 1 else ""
            yield Finding(
                self.name,
                self.severity,
                "task",
                task,
                name,
                f"Task {name} was cancelled{at(place)} in the middle of a message{times}: what it had read "
                f"of it ({incident.text}) is lost, and the stream was read again as if one began there. "
                "Close the connection then, or keep what was read outside of what is cancelled.",
                frozenset({task}),
                place,
            )


def _owner(model: Model, task: int) -> int:
    """The task for which one that has ended did its work, as those of `asyncio.wait_for` may do: the next
    live one among those that spawned it. Itself where there is none."""
    at = task
    while (row := model.tasks.row(at)) is not None:
        if model.tasks.state[row] != State.DONE:
            return at
        at = int(model.tasks.parent[row])
    return task
