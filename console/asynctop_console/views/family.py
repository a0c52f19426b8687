"""Tasks below those that spawned them, as whole columns: a million of them take about a second.

A task is spawned after its parent and has the larger number, so that parents stand before their children in
the table, and nobody is their own ancestor; what claims otherwise has no parent here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asynctop_console.model.columns import Ints

Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]

_DEEPEST = 1_000
"""Levels that are laid out, each at the cost of a few calls; what is still deeper begins anew at the left."""


class Family:
    """Who is whose child among tasks with ascending `ids`. Rows are positions in `ids`."""

    def __init__(self, ids: Ints, parents: Ints) -> None:
        """`parents` are the ids of those that spawned them, 0 or an unknown one for nobody."""
        self.ids = ids
        count = len(ids)
        found = np.minimum(np.searchsorted(ids, parents), count - 1)
        known = (found < np.arange(count)) & (ids[found] == parents) if count else np.zeros(0, np.bool_)
        self.parent: Rows = np.where(known, found, -1)
        """The parent's row, -1 for none."""
        self.depth = np.zeros(count, np.intp)
        self.levels: list[Rows] = []
        """The rows of each depth."""
        by_parent = np.argsort(self.parent, kind="stable")
        firsts = np.searchsorted(self.parent[by_parent], np.arange(count + 1) - 1)
        children = np.diff(np.append(firsts, count))[1:]
        level = by_parent[: firsts[1]] if count else by_parent
        while len(level) and len(self.levels) < _DEEPEST:
            self.depth[level] = len(self.levels)
            self.levels.append(level)
            begin, many = firsts[level + 1], children[level]
            within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
            level = by_parent[np.repeat(begin, many) + within]
        if len(level):
            self.parent[self.depth == 0] = -1
            self.levels[0] = np.flatnonzero(self.depth == 0)
        self.children = np.bincount(self.parent[self.parent >= 0], minlength=count)
        """How many there are of each."""

    def row(self, id: int) -> int | None:
        """The row of a task, None where it is not here."""
        row = int(np.searchsorted(self.ids, id))
        return row if row < len(self.ids) and self.ids[row] == id else None

    def order(self, keys: Ints) -> Ints:
        """The place of each row, where siblings stand by ascending key and below each all that it spawned."""
        sizes = np.ones(len(keys), np.int64)
        for rows in reversed(self.levels[1:]):
            np.add.at(sizes, self.parent[rows], sizes[rows])
        siblings = np.lexsort((keys, self.parent))
        before = np.cumsum(sizes[siblings]) - sizes[siblings]
        families = self.parent[siblings]
        eldest = np.searchsorted(families, families)
        offset = np.empty(len(keys), np.int64)
        offset[siblings] = before - before[eldest]
        places = offset
        for rows in self.levels[1:]:
            places[rows] += places[self.parent[rows]] + 1
        return places

    def above(self, mask: Mask) -> Mask:
        """These rows and all their ancestors."""
        mask = mask.copy()
        for rows in reversed(self.levels[1:]):
            mask[self.parent[rows[mask[rows]]]] = True
        return mask

    def below(self, mask: Mask) -> Mask:
        """All descendants of these rows."""
        found = np.zeros(len(mask), np.bool_)
        for rows in self.levels[1:]:
            above = self.parent[rows]
            found[rows] = mask[above] | found[above]
        return found


class Folded:
    """Which tasks' children are folded away."""

    def __init__(self) -> None:
        self.everything = False
        self.but: set[int] = set()
        """Ids of tasks for which that does not hold."""

    def of(self, ids: Ints) -> Mask:
        """Row by row."""
        return np.isin(ids, list(self.but)) ^ self.everything

    def has(self, task: int) -> bool:
        """Whether this one's are."""
        return (task in self.but) != self.everything

    def fold(self, task: int, folded: bool) -> None:
        """Fold a task's children away, or unfold them."""
        self.but = self.but - {task} if folded == self.everything else self.but | {task}

    def turn(self) -> None:
        """Fold everything; where everything was folded, unfold it."""
        self.everything, self.but = not self.everything, set()
