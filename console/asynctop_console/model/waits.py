"""Who waits for whom and for what, as of the last inspection: the await chains, joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from asynctop_console.model.places import Frame, users_frame
from asynctop_protocol.messages import Chain, Holding

_NOT_SHARED = ("task", "future", "timer", "gather", "wait", "shield", "task group")
"""Types of what is waited for by one task alone, and is held by nobody."""

_ONE_HOLDER = ("lock", "condition")
"""Types of which one task at a time holds them, so that whoever waits for one waits for that task."""


@dataclass(slots=True)
class Resource:
    """What tasks wait for and hold."""

    id: int
    type: str
    description: str
    waiters: list[int] = field(default_factory=list)
    """Ids of tasks, in the order of their chains."""
    holders: list[int] = field(default_factory=list)
    attributes: dict[str, int] = field(default_factory=dict)


class Waits:
    """The graph of what the chains say, as it was at one moment. Tasks that have no chain are not in it."""

    def __init__(
        self, chains: Mapping[int, Chain], idle_ns: Mapping[int, int] | None = None, at_ns: int = 0
    ) -> None:
        """`idle_ns`: for how long each task had been waiting at that moment, `at_ns`."""
        self.chains = chains
        """By task id."""
        self._idle_ns = idle_ns or {}
        self.at_ns = at_ns

    def __getstate__(self) -> dict[str, object]:
        """What was worked out is not pickled."""
        return {"chains": self.chains, "_idle_ns": self._idle_ns, "at_ns": self.at_ns}

    @cached_property
    def resources(self) -> dict[int, Resource]:
        """What some task waits for or holds, by the resource's id."""
        found: dict[int, Resource] = {}

        def resource(number: int, type_: str, description: str) -> Resource:
            return found.setdefault(number, Resource(number, type_, description))

        for task, chain in self.chains.items():
            waiting = chain.waiting_on
            if waiting is not None and waiting.type not in _NOT_SHARED:
                awaited = resource(waiting.id, waiting.type, waiting.description.partition(",")[0])
                awaited.waiters.append(task)
                awaited.attributes = waiting.attributes
                if waiting.holder:
                    awaited.holders.append(waiting.holder)
            for held in chain.holds:
                owned = resource(held.id, held.type, held.description)
                owned.holders.append(task)
        for each in found.values():
            each.holders = list(dict.fromkeys(each.holders))
            if each.type in _ONE_HOLDER:
                # Slices of one answer are read one after the other; by the last it may have changed hands.
                del each.holders[:-1]
        return found

    @cached_property
    def awaited_by(self) -> dict[int, list[int]]:
        """Tasks that wait for a task, by that one's id."""
        found: dict[int, list[int]] = {}
        for task, chain in self.chains.items():
            for awaited in chain.awaits:
                found.setdefault(awaited, []).append(task)
        return found

    @cached_property
    def awaiting(self) -> list[int]:
        """Tasks that wait for other tasks."""
        return [task for task, chain in self.chains.items() if len(chain.awaits)]

    @cached_property
    def heads(self) -> list[int]:
        """Of tasks that somebody awaits, but nobody who is not awaited in turn: the oldest of each ring."""
        left = set(self.awaited_by)
        below = [task for task in self.awaiting if task not in left]
        found = []
        for oldest in sorted(self.awaited_by):
            while below and left:
                for task in self.chains[below.pop()].awaits:
                    if task in left:
                        left.discard(task)
                        if task in self.chains:
                            below.append(task)
            if oldest in left:
                left.discard(oldest)
                found.append(oldest)
                if oldest in self.chains:
                    below.append(oldest)
        return found

    def __len__(self) -> int:
        """How many tasks are in it."""
        return len(self.chains)

    def idle_ns(self, task: int) -> int:
        """For how long a task had been waiting when its chain was read, 0 where it was not.

        By now it may have gone on and wait for something else: what it waited for and for how long go
        together."""
        return self._idle_ns.get(task, 0)

    def chain(self, task: int) -> Chain | None:
        """The await chain of a task, None where it is not known."""
        return self.chains.get(task)

    def place(self, task: int) -> Frame | None:
        """The user's innermost line that a task is suspended at, None where it is not known."""
        chain = self.chains.get(task)
        return users_frame(chain.frames) if chain is not None else None

    def holder(self, task: int) -> int:
        """The task that holds what this one waits for; 0 where there is none, or it is not known."""
        resource = self.awaited_resource(task)
        return resource.holders[0] if resource is not None and resource.holders else 0

    def awaited_resource(self, task: int) -> Resource | None:
        """The resource that a task waits for."""
        chain = self.chains.get(task)
        waiting = chain.waiting_on if chain is not None else None
        return self.resources.get(waiting.id) if waiting is not None else None

    def holding(self, task: int, resource: int) -> Holding | None:
        """How a task holds a resource."""
        chain = self.chains.get(task)
        return next((held for held in chain.holds if held.id == resource), None) if chain else None

    def needs(self, task: int) -> Iterator[int]:
        """The tasks without which this one cannot go on: each of them."""
        chain = self.chains.get(task)
        if chain is None:
            return
        if not chain.any_of or len(chain.awaits) == 1:
            yield from chain.awaits
        resource = self.awaited_resource(task)
        if resource is not None and resource.type in _ONE_HOLDER:
            yield from resource.holders[:1]

    def cycles(self) -> list[list[int]]:
        """Rings of tasks of which each needs the next one, and the last one the first. Each ring once,
        beginning with its oldest task; of rings that share a task, one."""
        return self._cycles

    @cached_property
    def _cycles(self) -> list[list[int]]:
        found: list[list[int]] = []
        done: set[int] = set()
        for start in self.chains:
            path: list[int] = []
            at: dict[int, int] = {}
            branches: list[Iterator[int]] = []
            current: int | None = start
            while current is not None or branches:
                if current is not None and current in at:
                    ring = path[at[current] :]
                    oldest = ring.index(min(ring))
                    found.append(ring[oldest:] + ring[:oldest])
                    current = None
                if current is not None and current not in done:
                    at[current] = len(path)
                    path.append(current)
                    branches.append(self.needs(current))
                if not branches:
                    break
                current = next(branches[-1], None)
                if current is None:
                    branches.pop()
                    left = path.pop()
                    del at[left]
                    done.add(left)
        return found


NOBODY = Waits({})
"""Where nothing is known."""
