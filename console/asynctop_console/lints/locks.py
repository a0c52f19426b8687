"""Lints about what tasks hold and wait for: deadlocks, convoys, locks held for too long."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Model, Resource, duration, users_frame


@dataclass(frozen=True)
class _Deadlock(Lint):
    """Tasks wait for each other in a ring."""

    severity: ClassVar[Severity] = Severity.ERROR
    by_locks: ClassVar[bool]
    """Whether each waits for what the next one holds, or for the next one itself."""
    advice: ClassVar[str]

    least_ms: Annotated[float, "ms that all of them have been waiting: a timeout may be about to help"] = (
        500.0
    )

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each ring."""
        for ring in _rings(model, self.least_ms):
            if all(model.waits.holder(task) in ring for task in ring) is not self.by_locks:
                continue
            steps = []
            for task, following in zip(ring, ring[1:] + ring[:1], strict=True):
                other = model.task_name(model.waits.holder(task) if self.by_locks else following)
                wanted = f"a lock that {other} holds" if self.by_locks else other
                steps.append(f"{model.task_name(task)} waits{at(model.waits.place(task))} for {wanted}")
            yield self.about_task(
                model,
                ring[0],
                f"Deadlock: {', '.join(steps)}. {self.advice}",
                place=model.waits.place(ring[0]),
                others=ring,
            )


@dataclass(frozen=True)
class DeadlockTwoLocks(_Deadlock):
    """Tasks hold a lock each and wait for that of the next one, in a ring: none of them will ever go on.

    One task holds A and wants B, another holds B and wants A. Neither lets go before it has both. It needs
    unlucky timing to happen, so it mostly happens under load.

    Take locks in the same order everywhere, for instance sorted by a key of what they guard, or hold one lock
    for both. A timeout around the second `acquire` turns the deadlock into an error, but leaves the cause.
    """

    name: ClassVar[str] = "deadlock-two-locks"
    by_locks: ClassVar[bool] = True
    advice: ClassVar[str] = "Take locks in the same order everywhere."


@dataclass(frozen=True)
class DeadlockTaskAwaitsItsOwnWaiter(_Deadlock):
    """Tasks await each other in a ring, so none of them will ever end.

    Task A awaits B, and B awaits A, perhaps by way of others, of `gather` or of a method such as `stop()`.
    Each waits for the other's end, so none comes.

    Whoever is awaited must not await those above it. To stop everything from within a worker, set an event or
    raise, and let whoever owns the tasks do the rest.
    """

    name: ClassVar[str] = "deadlock-task-awaits-its-own-waiter"
    by_locks: ClassVar[bool] = False
    advice: ClassVar[str] = "A task must not wait for one that waits for it."


@dataclass(frozen=True)
class LockHeldLongWhileWaiting(Lint):
    """A task waits for something slow while it holds a lock that others wait for.

    Inside `async with lock` the holder awaits something slow, such as a server's answer. The lock guards the
    wait too, so everybody else is as slow as that server.

    Do what is slow before taking the lock or after releasing it, and only exchange the result under it. Where
    others must not begin the same work, share its future instead of a lock, and put a timeout on it.
    """

    name: ClassVar[str] = "lock-held-long-while-waiting"
    severity: ClassVar[Severity] = Severity.WARNING
    seen_once: ClassVar[bool] = True

    least_ms: Annotated[float, "ms that the holder has been waiting, and somebody for the lock"] = 300.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each lock."""
        stuck = {task for ring in _rings(model, 0) for task in ring}
        for lock in _contended(model):
            if len(lock.holders) != 1:
                continue
            holder = lock.holders[0]
            held_ns = model.waits.idle_ns(holder)
            longest = max(model.waits.idle_ns(task) for task in lock.waiters)
            if holder in stuck or min(held_ns, longest) < self.least_ms * MS:
                continue
            waiting = model.waits.chain(holder)
            wanted = waiting.waiting_on.description if waiting and waiting.waiting_on else "something"
            place = model.waits.place(holder)
            many = len(lock.waiters)
            yield self.about_task(
                model,
                holder,
                f"Task {model.task_name(holder)} holds {lock.description} while it waits for {wanted}"
                f"{at(place)}, for {duration(held_ns)} so far: {many} task{'s' if many > 1 else ''} "
                f"wait{'' if many > 1 else 's'} for the lock, {duration(longest)} at most. "
                "Wait before taking the lock, or after letting go of it.",
                place=place,
                others=lock.waiters,
            )


@dataclass(frozen=True)
class LockConvoy(Lint):
    """So many tasks want the same lock that they mostly queue for it: together they are as slow as one.

    The lock is never held for long, but so many tasks come for it that the queue never empties: each waits
    for all before it. More tasks make it slower, not faster.

    Do less under the lock, split what it guards so that each part has a lock of its own, or use several of
    the thing (a pool of connections). Where one at a time is the aim, a single task that reads from a queue
    says so more clearly.
    """

    name: ClassVar[str] = "lock-convoy"
    severity: ClassVar[Severity] = Severity.WARNING

    least_waiters: Annotated[int, "tasks that wait for the lock"] = 8
    least_ms: Annotated[float, "ms that the first in the queue has been waiting"] = 100.0
    most_held_ms: Annotated[float, "ms the holder has been waiting: beyond, the lock is held long"] = 300.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each lock."""
        for lock in _contended(model):
            longest = max(model.waits.idle_ns(task) for task in lock.waiters)
            # Nobody holds it in the moment in which it changes hands.
            held_ns = max((model.waits.idle_ns(task) for task in lock.holders), default=0)
            if (
                len(lock.waiters) < self.least_waiters
                or longest < self.least_ms * MS
                or held_ns >= self.most_held_ms * MS
                or any(chain.stranded for task in lock.waiters if (chain := model.waits.chain(task)))
            ):
                continue
            kind = model.tasks.kind[model.tasks.rows_of(np.array(lock.waiters))]
            most = int(np.bincount(kind).argmax())
            place = model.waits.place(lock.waiters[0])
            yield self.about_kind(
                model,
                most,
                f"{len(lock.waiters):,} tasks queue for {lock.description}{at(place)}, the first for "
                f"{duration(longest)}: one at a time gets on. Do less under the lock, or use several.",
                [*lock.waiters, *lock.holders],
                place=place,
            )


@dataclass(frozen=True)
class SyncLockHeldAcrossAwait(Lint):
    """A task is suspended while it holds a lock of threads: whoever wants that blocks the whole loop.

    A `threading.Lock` is taken with `with`, and there is an `await` inside. While the task is suspended it
    keeps the lock. If another task of the same loop wants it, it blocks the whole loop: the holder cannot go
    on and release it, and that is a deadlock.

    Use `asyncio.Lock` between tasks. Where threads are involved, hold the thread lock only for a few
    statements without an `await`.
    """

    name: ClassVar[str] = "sync-lock-held-across-await"
    severity: ClassVar[Severity] = Severity.ERROR
    seen_once: ClassVar[bool] = True

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
                    f"Task {model.task_name(task)} holds a {lock.description} while it is suspended"
                    f"{at(place)}: whatever else takes it on this loop blocks the loop, perhaps for ever. "
                    "Use asyncio.Lock, or let go of the lock before the await.",
                    place=place,
                )


def _rings(model: Model, least_ms: float) -> list[list[int]]:
    """Rings of tasks that have all been waiting for that long."""
    waits = model.waits
    return [ring for ring in waits.cycles() if all(waits.idle_ns(task) >= least_ms * MS for task in ring)]


def _contended(model: Model) -> Iterator[Resource]:
    """The locks that somebody waits for; not conditions that somebody wants to be notified of."""
    for resource in model.waits.resources.values():
        if resource.type in ("lock", "condition") and resource.waiters:
            chain = model.waits.chain(resource.waiters[0])
            if chain and chain.waiting_on and chain.waiting_on.type == "lock":
                yield resource
