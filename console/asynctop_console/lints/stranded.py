"""Lints about waiting in vain: what can still run cannot reach what a task waits for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

from asynctop_console.lints.finding import Finding, Lint, Severity, at
from asynctop_console.lints.locks import idle_ns, name_of, place_of
from asynctop_console.model import Model, Resource, duration

_MS = 1_000_000


@dataclass(frozen=True)
class _WaitsInVain(Lint):
    """Tasks wait for something that nothing can bring about any more."""

    severity: ClassVar[Severity] = Severity.ERROR
    types: ClassVar[tuple[str, ...]]
    """Of the resources that it is about."""
    methods: ClassVar[tuple[str, ...]] = ("",)
    """What its waiters are in, as a resource's description ends; "" for anything."""

    least_ms: Annotated[int, "ms that the task has been waiting"] = 300

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
                and idle_ns(model, task) >= self.least_ms * _MS
            ]
            if resource.type in self.types and stranded and not resource.holders:
                first = min(stranded)
                others = len(stranded) - 1
                waited = duration(idle_ns(model, first))
                yield self.about_task(
                    model,
                    first,
                    f"Task {name_of(model, first)} {f'and {others:,} more wait' if others else 'waits'} for "
                    f"{self.what(resource)}{at(place_of(model, first))}, for {waited} so far: "
                    f"{self.why(resource)}",
                    place=place_of(model, first),
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
    """Tasks wait for an event that nothing can set any more: whoever could has ended."""

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
    """Tasks wait for a queue to be emptied that nothing takes from any more: its consumers have ended."""

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
    """Tasks wait for items of a queue that nothing puts into any more: its producers have ended."""

    name: ClassVar[str] = "queue-with-no-producer-left"
    severity: ClassVar[Severity] = Severity.WARNING
    types: ClassVar[tuple[str, ...]] = ("queue",)
    methods: ClassVar[tuple[str, ...]] = ("get()",)

    def why(self, resource: Resource) -> str:
        """An empty queue's case."""
        return "nothing that can still run puts into it. Cancel its consumers when the producers have ended."


@dataclass(frozen=True)
class SemaphoreLeak(_WaitsInVain):
    """Tasks wait for a semaphore's permits, and whoever had them has ended without giving them back."""

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
    """Tasks wait for a lock, and whoever had taken it has ended without letting go of it."""

    name: ClassVar[str] = "lock-never-released"
    types: ClassVar[tuple[str, ...]] = ("lock",)

    def why(self, resource: Resource) -> str:
        """A lock's case."""
        return (
            "nobody who can still run holds it, so nobody will let go of it. "
            "Use `async with`, which lets go of it however the block ends."
        )
