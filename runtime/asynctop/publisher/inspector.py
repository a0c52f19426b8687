"""Reading what tasks are suspended on, on the threads of their loops, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

from asynctop.awaits import Reach, Waiter, await_chain, is_cancelled, is_held, read, references, waiter
from asynctop.core.contract import OWN_CALLBACK, Core
from asynctop_protocol import Chain, Chains, Inspect

SLICE = 40
"""Tasks read in one turn of a loop: about a quarter of a millisecond."""
GLANCE = 400
"""Tasks that are only asked whether they have been cancelled: the same."""

TURNS = 4
"""Slices in one message: to encode more would keep the interpreter's lock for too long, to encode fewer is to
wait for each other more often."""

SEARCH_NS = 300_000
"""How long to search for stranded tasks in one turn of a loop."""

MOST_TASKS = 20_000
"""Among more tasks nobody looks for stranded ones: they would all have to be kept meanwhile."""

Deliver = Callable[["Inspection", Chains], None]


class Inspection:
    """The answer to one question, in the making: the next slice is read when the one before has been sent."""

    def __init__(self, core: Core, question: Inspect, deliver: Deliver) -> None:
        self._core = core
        self._request = question.request
        self._cancelled = question.cancelled
        self._slice = GLANCE if question.cancelled else SLICE
        self._deliver = deliver
        wanted = frozenset(question.tasks)
        self._left: list[tuple[Any, Iterator[tuple[int, Hashable]]]] = [
            (loop, core.tasks_of(number, wanted)) for number, loop in core.loops().items()
        ]
        """Loops, and the tasks that are still to be read there."""
        self._search = _Search(core) if question.stranded else None

    def proceed(self) -> None:
        """Have the next slice read by its loop, or say that this was all."""
        while self._left:
            loop, tasks = self._left[-1]
            some = list(islice(tasks, self._slice * TURNS))
            if some and _call(loop, self._read, loop, some, []):
                return
            self._left.pop()
        if self._search is not None:
            # On any loop: it is the interpreter's lock that keeps what is looked at as it is.
            if any(_call(loop, self._look) for loop in self._core.loops().values()):
                return
            self._search = None
        self._deliver(self, Chains(self._request, [], done=True))

    def _read(self, loop: Any, tasks: list[tuple[int, Hashable]], chains: list[Chain]) -> None:
        """On the loop's thread, a slice in each turn."""
        try:
            found = self._core.find(tasks[: self._slice])
            if self._cancelled:
                found = [each for each in found if is_cancelled(each[1])]
            for (number, task), count in zip(found, references(found), strict=True):
                reading = read(task)
                chain = await_chain(number, reading, self._core.identify)
                chain = replace(chain, held=is_held(reading, count))
                chains.append(chain)
                if self._search is not None:
                    self._search.add(chain, task, waiter(number, reading))
            if self._search is not None and self._search.is_too_large:
                self._search = None
        except Exception:
            pass  # whatever a foreign awaitable did to us must not reach the program's loop
        left = tasks[self._slice :]
        if not left or not _call(loop, self._read, loop, left, chains):
            self._deliver(self, Chains(self._request, chains, done=False))

    def _look(self) -> None:
        """On a loop's thread."""
        chains: list[Chain] = []
        try:
            assert self._search is not None
            if self._search.proceed():
                chains = self._search.stranded()
                self._search = None
        except Exception:
            self._search = None
        self._deliver(self, Chains(self._request, chains, done=False))


# It is a callback of the program's loop, and no concern of the program's.
for _method in (Inspection._read, Inspection._look):
    _method.__qualname__ = f"{OWN_CALLBACK}reading await chains"


class _Search:
    """The search for stranded tasks: done twice, for what it looks at goes on changing between two slices."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._chains: dict[int, Chain] = {}
        self._tasks: list[Any] = []
        self._waiters: list[Waiter] = []
        self._reaches: list[Reach] = []

    def add(self, chain: Chain, task: Any, waiter: Waiter | None) -> None:
        """A task that was read."""
        self._tasks.append(task)
        if waiter is not None:
            self._waiters.append(waiter)
            self._chains[waiter.number] = chain

    @property
    def is_too_large(self) -> bool:
        """Whether there are more tasks than anybody looks through."""
        return len(self._tasks) > MOST_TASKS

    def proceed(self) -> bool:
        """Look at some objects more. Whether that were all."""
        if not any(waiter.resource is not None for waiter in self._waiters):
            return True
        if not self._reaches or not self._reaches[-1].undecided:
            if len(self._reaches) == 2 or (self._reaches and not self._reaches[0].stranded()):
                return True
            ours = (self, vars(self), self._chains, self._tasks, self._waiters, self._reaches)
            loops = list(self._core.loops().values())
            self._reaches.append(Reach(self._waiters, self._tasks, loops, ours))
        self._reaches[-1].proceed(SEARCH_NS)
        return False

    def stranded(self) -> list[Chain]:
        """The chains of the tasks that nobody can wake any more."""
        found = [{waiter.number for waiter in reach.stranded()} for reach in self._reaches]
        both = set.intersection(*found) if found else set()
        return [replace(self._chains[number], stranded=True) for number in sorted(both)]


def _call(loop: Any, function: Callable[..., None], *args: Any) -> bool:
    """Have a loop call a function; False where it does not run."""
    try:
        if loop.is_running():
            loop.call_soon_threadsafe(function, *args)
            return True
    except RuntimeError:
        pass  # closed meanwhile
    return False
