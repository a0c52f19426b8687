"""Lints about waiting in vain: what can still run cannot reach what a task waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import MS, Finding, Lint, Severity, at
from asynctop_console.model import Model, Resource, duration


@dataclass(frozen=True)
class _WaitsInVain(Lint):
    """Tasks wait for something that nothing can bring about any more."""

    severity: ClassVar[Severity] = Severity.ERROR
    types: ClassVar[tuple[str, ...]]
    """Of the resources that it is about."""
    methods: ClassVar[tuple[str, ...]] = ("",)
    """What its waiters are in, as a resource's description ends; "" for anything."""

    least_ms: Annotated[float, "ms that the task has been waiting"] = 300.0

    def check(self, model: Model) -> Iterator[Finding]:
        """One finding for each resource."""
        for resource in model.waits.resources.values():
            stranded = [
                task
                for task in resource.waiters
                if (chain := model.waits.chain(task)) is not None
                and chain.stranded
                and chain.waiting_on is not None
                and chain.waiting_on.description.endswith(self.methods)
                and model.waits.idle_ns(task) >= self.least_ms * MS
            ]
            if resource.type in self.types and stranded and not resource.holders:
                first = min(stranded)
                others = len(stranded) - 1
                waited = duration(model.waits.idle_ns(first))
                yield self.about_task(
                    model,
                    first,
                    f"Task {model.task_name(first)} {f'and {others:,} more wait' if others else 'waits'} for "
                    f"{self.what(resource)}{at(model.waits.place(first))}, for {waited} so far: "
                    f"{self.why(resource)}",
                    place=model.waits.place(first),
                    others=stranded,
                )

    def what(self, resource: Resource) -> str:
        """What they wait for, in the sentence."""
        return resource.description

    def why(self, resource: Resource) -> str:
        """Why that is in vain, and what to do."""
        raise NotImplementedError


@dataclass(frozen=True)
class EventNobodyWillSet(_WaitsInVain):
    """Tasks wait for an event that nothing can set any more: whoever could has ended.

    asynctop has asked the garbage collector who could still reach the event: no running task, no callback, no
    thread and no module does, except those who wait. So `set()` or `notify()` will not be called.

    Mostly whoever should have done so returned early or raised. Set it in `finally`, or let the waiters await
    that task itself, whose failure they would then see. Where waiting for ever is meant, `await
    asyncio.Event().wait()` says so and is not reported.
    """

    name: ClassVar[str] = "event-nobody-will-set"
    types: ClassVar[tuple[str, ...]] = ("event", "condition", "barrier")

    def why(self, resource: Resource) -> str:
        """An event's case."""
        does = "notify" if resource.type == "condition" else "set"
        return (
            f"nothing that can still run refers to it, so nobody will {does} it. "
            f"See to it that whoever should {does} it does so however it ends."
        )


@dataclass(frozen=True)
class QueueWithNoConsumerLeft(_WaitsInVain):
    """Tasks wait for a queue to be emptied that nothing takes from any more: its consumers have ended.

    Producers wait in `put()` for room, or in `join()` for the items to be done, but nothing that can still
    run takes anything from the queue. Mostly its consumer raised, and nobody looked.

    Await the consumers together with the producers, as `asyncio.TaskGroup` does: then the failure of one ends
    the others, and is seen. A consumer that is to survive a bad item must catch what that raises.
    """

    name: ClassVar[str] = "queue-with-no-consumer-left"
    types: ClassVar[tuple[str, ...]] = ("queue",)
    methods: ClassVar[tuple[str, ...]] = ("put()", "join()")

    def what(self, resource: Resource) -> str:
        """With how full it is."""
        size, most = resource.attributes.get("size"), resource.attributes.get("maxsize")
        held = f", which holds {size:,} items" + (f" of at most {most:,}" if most else "") if size else ""
        return f"{resource.description}{held}"

    def why(self, resource: Resource) -> str:
        """A full queue's case."""
        return (
            "nothing that can still run takes from it: its consumers have ended. "
            "Look why they did, and let a producer end with them."
        )


@dataclass(frozen=True)
class QueueWithNoProducerLeft(_WaitsInVain):
    """Tasks wait for items of a queue that nothing puts into any more: its producers have ended.

    Consumers wait in `get()` for items, but nothing that can still run puts any. They will wait until the
    program ends, and keep what they hold.

    Tell consumers when there is no more: put a last item for each, call `queue.shutdown()` (Python 3.13 and
    newer), or cancel them once `queue.join()` has returned.
    """

    name: ClassVar[str] = "queue-with-no-producer-left"
    severity: ClassVar[Severity] = Severity.WARNING
    types: ClassVar[tuple[str, ...]] = ("queue",)
    methods: ClassVar[tuple[str, ...]] = ("get()",)

    def why(self, resource: Resource) -> str:
        """An empty queue's case."""
        return "nothing that can still run puts into it. Cancel its consumers when the producers have ended."


@dataclass(frozen=True)
class SemaphoreLeak(_WaitsInVain):
    """Tasks wait for a semaphore's permits, and whoever had them has ended without giving them back.

    Each `acquire()` took a permit, and somebody ended without `release()`, after an exception or an early
    return. Every such end makes the limit smaller, until it is zero and everybody waits.

    Use `async with semaphore:`, which gives the permit back however the block ends.
    """

    name: ClassVar[str] = "semaphore-leak"
    types: ClassVar[tuple[str, ...]] = ("semaphore",)

    def why(self, resource: Resource) -> str:
        """A semaphore's case."""
        return (
            "its permits are gone, nobody who can still run holds one. "
            "Use `async with`, which gives the permit back however the block ends."
        )


@dataclass(frozen=True)
class LockNeverReleased(_WaitsInVain):
    """Tasks wait for a lock, and whoever had taken it has ended without letting go of it.

    Somebody called `acquire()` and then ended, by an exception or an early return, without `release()`. An
    `asyncio.Lock` does not notice; everybody else waits for ever.

    Use `async with lock:`, which lets go of it however the block ends.
    """

    name: ClassVar[str] = "lock-never-released"
    types: ClassVar[tuple[str, ...]] = ("lock",)

    def why(self, resource: Resource) -> str:
        """A lock's case."""
        return (
            "nobody who can still run holds it, so nobody will let go of it. "
            "Use `async with`, which lets go of it however the block ends."
        )
