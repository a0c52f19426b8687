"""Who awaits whom, as a tree laid flat: a row for each task and resource that is unfolded, top to bottom.

Roots are the tasks that nobody awaits. Below a task stand the tasks it awaits, or the resource it waits for
and below that who holds it. A task that stands above itself is in a ring: it is shown once more and not
unfolded again. Siblings stand by how long they have been waiting, the longest first.

Python takes a step only for each task that is unfolded; the others are rows of whole columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asynctop_console.model import Model, Waits
from asynctop_protocol.messages import State

Ints = NDArray[np.int64]

_TASK_BITS = 40
_TASK_MASK = (1 << _TASK_BITS) - 1
"""A row's id is made of its parent's number and its task's id, of which the lower bits are enough: nobody
spawns a million million tasks."""

MANY = 1_000
"""Up to so many live tasks everything that awaits tasks is unfolded at first."""

_MOST_UNFOLDED = 5_000
_MOST_ROWS = 200_000
"""Beyond these nothing is unfolded: tasks that all await the same ones make a tree out of all proportion."""


@dataclass(slots=True)
class Unfolded:
    """Which tasks are unfolded."""

    everything: bool | None = None
    """Everything, or nothing; None for what awaits tasks where there are few, and for rings."""
    but: dict[int, bool] = field(default_factory=dict)
    """Tasks for which that does not hold: whether they are."""

    def of(self, waits: Waits, live: int) -> set[int]:
        """The tasks to unfold."""
        awaiting = set(waits.awaiting)
        parents = awaiting.union(*(each.waiters for each in waits.resources.values()))
        if self.everything is None:
            found = {task for ring in waits.cycles() for task in ring}
            found |= awaiting if live <= MANY else set()
        else:
            found = parents if self.everything else set()
        found |= {task for task, unfolded in self.but.items() if unfolded}
        return (found & parents) - {task for task, unfolded in self.but.items() if not unfolded}


class Numbering:
    """Small numbers for rows that have rows below: the same one for the same row from tree to tree."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, int], int] = {}
        self._free: list[int] = []
        self._used: dict[tuple[int, int], int] = {}

    def begin(self) -> None:
        """A new tree: numbers that the last one did not use are free."""
        self._free += [number for key, number in self._numbers.items() if key not in self._used]
        self._numbers, self._used = self._used, {}

    def __getitem__(self, key: tuple[int, int]) -> int:
        """The number of the row `key`: its parent's number, and its task (0 for a resource)."""
        number = self._numbers.get(key)
        if number is None:
            number = self._free.pop() if self._free else len(self._numbers) + len(self._free) + 1
            self._numbers[key] = number
        self._used[key] = number
        return number


class _Siblings:
    """Tasks below the same row, of which some are unfolded."""

    def __init__(
        self,
        tasks: Ints,
        unfolded: set[int],
        above: set[int],
        depth: int = 0,
        parent: int = -1,
        number: int = 0,
    ) -> None:
        self.tasks = tasks
        self.depth = depth
        self.parent = parent
        """Position of the row they stand below, and"""
        self.number = number
        """its number."""
        each = tasks.tolist()
        self.again = [index for index, task in enumerate(each) if task in above] if above else []
        self.stops = (index for index, task in enumerate(each) if task in unfolded and task not in above)
        """Indices of those to unfold."""
        self.next = 0
        """Index of the first that has no row yet."""
        self.entered: int | None = None
        """The task that was unfolded last."""


class Forest:
    """The tree of one picture. All columns are by position, from the top."""

    def __init__(self, model: Model, unfolded: Unfolded, numbering: Numbering) -> None:
        self._model = model
        self.waits = waits = model.waits
        self._numbering = numbering
        numbering.begin()
        self.resources: dict[int, int] = {}
        """Which rows are resources: the resource's id, by position."""
        self.again: set[int] = set()
        """Which rows are tasks that stand above themselves."""
        live = model.tasks.id[model.tasks.live()].copy() if waits else np.empty(0, np.int64)
        self.unfolded = unfolded.of(waits, len(live))
        """Tasks that are unfolded."""
        self._parts: list[tuple[_Siblings, int, int, bool]] = []
        """Runs of siblings, from one index up to another, and whether the last of them is the last of all."""
        self._rows = 0
        self._lay(self._longest_first(_roots(waits, live)))
        self._join()

    def parent_of(self, task: int) -> bool:
        """Whether there is something below a task, unfolded or not."""
        chain = self.waits.chain(task)
        return chain is not None and (len(chain.awaits) > 0 or self.waits.awaited_resource(task) is not None)

    def _longest_first(self, tasks: Iterable[int]) -> Ints:
        table = self._model.tasks
        ids = np.unique(np.fromiter(tasks, np.int64))
        if not table.rows:
            return ids
        rows = table.rows_of(ids)
        waiting = (rows >= 0) & table.in_state(State.IDLE, rows)
        since = np.where(waiting, table.since_ns[rows], np.iinfo(np.int64).max)
        return ids[np.argsort(since, kind="stable")]

    def _lay(self, roots: Ints) -> None:
        """Row after row, with a stack of the siblings still to come: a chain may be deeper than Python's."""
        room = _MOST_UNFOLDED
        above: set[int] = set()
        stack = [_Siblings(roots, self.unfolded, above)]
        while stack:
            siblings = stack[-1]
            if siblings.entered is not None:
                above.discard(siblings.entered)
            unfolds = room > 0 and self._rows < _MOST_ROWS
            stop = next(siblings.stops, None) if unfolds else None
            self._add(siblings, stop)
            if stop is None:
                stack.pop()
                continue
            room -= 1
            task, at = int(siblings.tasks[stop]), self._rows - 1
            siblings.entered = task
            above.add(task)
            number = self._numbering[siblings.number, task]
            chain, resource = self.waits.chain(task), self.waits.awaited_resource(task)
            awaited = self._longest_first(chain.awaits if chain is not None else ())
            below = siblings.depth + 1
            if len(awaited):
                stack.append(_Siblings(awaited, self.unfolded, above, below, at, number))
            if resource is not None:
                self.resources[self._rows] = resource.id
                alone = _Siblings(np.zeros(1, np.int64), set(), set(), below, at, number)
                self._add(alone, None, ends=not len(awaited))
                holders = self._longest_first(resource.holders)
                number = self._numbering[number, 0]
                stack.append(_Siblings(holders, self.unfolded, above, below + 1, self._rows - 1, number))

    def _add(self, siblings: _Siblings, stop: int | None, ends: bool = True) -> None:
        """The next siblings: up to `stop`, which is unfolded, else all that are left."""
        start, end = siblings.next, len(siblings.tasks) if stop is None else stop + 1
        self.again.update(self._rows + index - start for index in siblings.again if start <= index < end)
        siblings.next = end
        self._parts.append((siblings, start, end, ends and end == len(siblings.tasks)))
        self._rows += end - start

    def _join(self) -> None:
        parts = self._parts
        sizes = np.array([end - start for _, start, end, _ in parts], np.int64)

        def spread(values: Iterable[int]) -> Ints:
            return np.repeat(np.fromiter(values, np.int64), sizes)

        self.task = np.concatenate([siblings.tasks[start:end] for siblings, start, end, _ in parts])
        """The task, 0 for a resource."""
        self.depth = spread(siblings.depth for siblings, *_ in parts)
        self.parent = spread(siblings.parent for siblings, *_ in parts)
        """Position of the row it stands below, -1 for a root."""
        self.last = np.zeros(len(self.task), np.bool_)
        """Whether it is the last of its siblings."""
        ends = np.array([ends for *_, ends in parts], np.bool_) & (sizes > 0)
        self.last[np.cumsum(sizes)[ends] - 1] = True
        numbers = spread(siblings.number for siblings, *_ in parts)
        ids = (numbers << _TASK_BITS) | (self.task & _TASK_MASK)
        self.position = np.argsort(ids, kind="stable")
        """Positions by ascending id."""
        self.ids = ids[self.position]


def _roots(waits: Waits, live: Ints) -> Ints:
    awaited = waits.awaited_by
    heads = np.array(waits.heads, np.int64)
    return np.concatenate((live[~np.isin(live, np.fromiter(awaited, np.int64, len(awaited)))], heads))
