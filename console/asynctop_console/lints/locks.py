"""Lints about what tasks hold and wait for: deadlocks, convoys, locks held for too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.model import Frame, Model, Resource, duration, users_frame

_MS = 1_000_000


def idle_ns(model: Model, task: int) -> int:
    """For how long a task had been waiting when its chain was read, 0 where it was not.

    By now it may have gone on and wait for something else: what it waited for and for how long go together.
    """
    return model.waits.idle_ns(task)


def place_of(model: Model, task: int) -> Frame | None:
    """The user's innermost line that a task is suspended at."""
    chain = model.waits.chain(task)
    return users_frame(chain.frames) if chain else None


def name_of(model: Model, task: int) -> str:
    """What a task is called, or its kind."""
    row = model.tasks.row(task)
    if row is None:
        return f"task {task}"
    return model.tasks.name(row) or model.kinds.label(int(model.tasks.kind[row]))


@dataclass(frozen=True)
class DeadlockTwoLocks(Lint):
    """Tasks hold a lock each and wait for that of the next one, in a ring: none of them will ever go on."""

    name: ClassVar[str] = "deadlock-two-locks"
    severity: ClassVar[Severity] = Severity.ERROR

    least_ms: Annotated[int, "ms that all of them have been waiting: a timeout may be about to help"] = 500

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each ring."""
        for ring in _rings(model, self.least_ms):
            if not _by_locks(model, ring):
                continue
            steps = []
            for task in ring:
                wanted = model.waits.awaited_resource(task)
                assert wanted is not None
                steps.append(
                    f"{name_of(model, task)} waits{at(place_of(model, task))} for a lock that "
                    f"{name_of(model, wanted.holders[0])} holds"
                )
            yield self.about_task(
                model,
                ring[0],
                f"Deadlock: {', '.join(steps)}. Take locks in the same order everywhere.",
                place=place_of(model, ring[0]),
                others=ring,
            )


@dataclass(frozen=True)
class DeadlockTaskAwaitsItsOwnWaiter(Lint):
    """Tasks await each other in a ring, so none of them will ever end."""

    name: ClassVar[str] = "deadlock-task-awaits-its-own-waiter"
    severity: ClassVar[Severity] = Severity.ERROR

    least_ms: Annotated[int, "ms that all of them have been waiting: a timeout may be about to help"] = 500

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each ring."""
        for ring in _rings(model, self.least_ms):
            if _by_locks(model, ring):
                continue
            steps = [
                f"{name_of(model, task)} waits{at(place_of(model, task))} for {name_of(model, following)}"
                for task, following in zip(ring, ring[1:] + ring[:1], strict=True)
            ]
            yield self.about_task(
                model,
                ring[0],
                f"Deadlock: {', '.join(steps)}. A task must not wait for one that waits for it.",
                place=place_of(model, ring[0]),
                others=ring,
            )


@dataclass(frozen=True)
class LockHeldLongWhileWaiting(Lint):
    """A task waits for something slow while it holds a lock that others wait for."""

    name: ClassVar[str] = "lock-held-long-while-waiting"
    severity: ClassVar[Severity] = Severity.WARNING

    least_ms: Annotated[int, "ms that the holder has been waiting, and somebody for the lock"] = 300

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each lock."""
        stuck = {task for ring in _rings(model, 0) for task in ring}
        for lock in _contended(model):
            holder = lock.holders[0]
            held_ns = idle_ns(model, holder)
            longest = max(idle_ns(model, task) for task in lock.waiters)
            if holder in stuck or min(held_ns, longest) < self.least_ms * _MS:
                continue
            waiting = model.waits.chain(holder)
            wanted = waiting.waiting_on.description if waiting and waiting.waiting_on else "something"
            place = place_of(model, holder)
            many = len(lock.waiters)
            yield self.about_task(
                model,
                holder,
                f"Task {name_of(model, holder)} holds {lock.description} while it waits for {wanted}"
                f"{at(place)}, for {duration(held_ns)} so far: {many} task{'s' if many > 1 else ''} "
                f"wait{'' if many > 1 else 's'} for the lock, {duration(longest)} at most. "
                "Wait before taking the lock, or after letting go of it.",
                place=place,
                others=lock.waiters,
            )


@dataclass(frozen=True)
class LockConvoy(Lint):
    """So many tasks want the same lock that they mostly queue for it: together they are as slow as one."""

    name: ClassVar[str] = "lock-convoy"
    severity: ClassVar[Severity] = Severity.WARNING

    least_waiters: Annotated[int, "tasks that wait for the lock"] = 8
    least_ms: Annotated[int, "ms that the first in the queue has been waiting"] = 100
    most_held_ms: Annotated[int, "ms the holder has been waiting: beyond, the lock is held long"] = 300

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each lock."""
        for lock in _contended(model):
            holder = lock.holders[0]
            longest = max(idle_ns(model, task) for task in lock.waiters)
            if (
                len(lock.waiters) < self.least_waiters
                or longest < self.least_ms * _MS
                or idle_ns(model, holder) >= self.most_held_ms * _MS
            ):
                continue
            kind = model.tasks.kind[model.tasks.rows_of(np.array(lock.waiters))]
            most = int(np.bincount(kind).argmax())
            place = place_of(model, lock.waiters[0])
            yield self.about_kind(
                model,
                most,
                f"{len(lock.waiters):,} tasks queue for {lock.description}{at(place)}, the first for "
                f"{duration(longest)}: one at a time gets on. Do less under the lock, or use several.",
                [*lock.waiters, holder],
                place=place,
            )


@dataclass(frozen=True)
class SyncLockHeldAcrossAwait(Lint):
    """A task is suspended while it holds a lock of threads: whoever wants that blocks the whole loop."""

    name: ClassVar[str] = "sync-lock-held-across-await"
    severity: ClassVar[Severity] = Severity.ERROR

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each lock and kind of task."""
        seen = set()
        for lock in model.waits.resources.values():
            if lock.type != "thread lock":
                continue
            for task in lock.holders:
                chain, held = model.waits.chain(task), model.waits.holding(task, lock.id)
                assert chain is not None
                assert held is not None
                place = users_frame(chain.frames[: held.frame + 1]) if chain.frames else None
                if place in seen:
                    continue
                seen.add(place)
                yield self.about_task(
                    model,
                    task,
                    f"Task {name_of(model, task)} holds a {lock.description} while it is suspended"
                    f"{at(place)}: whatever else takes it on this loop blocks the loop, perhaps for ever. "
                    "Use asyncio.Lock, or let go of the lock before the await.",
                    place=place,
                )


def _rings(model: Model, least_ms: int) -> list[list[int]]:
    return [
        ring for ring in model.waits.cycles() if all(idle_ns(model, task) >= least_ms * _MS for task in ring)
    ]


def _by_locks(model: Model, ring: list[int]) -> bool:
    """Whether each waits for a resource that the next one holds, rather than for the next one itself."""
    return all(model.waits.holder(task) in ring for task in ring)


def _contended(model: Model) -> Iterator[Resource]:
    """The locks that somebody waits for, and whose holder is known."""
    for resource in model.waits.resources.values():
        if resource.type in ("lock", "condition") and resource.waiters and len(resource.holders) == 1:
            yield resource
