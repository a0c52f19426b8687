"""Numbers over time: second by second for the last minutes, coarser as they grow older, in bounded memory.

Time is cut into buckets; each tier of rings keeps so many of so many seconds. Every second is written to all
tiers at once, so a coarse bucket holds what is known of it so far. What was not measured is NaN: a gap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from asynctop_console.model.columns import Ints

Floats: TypeAlias = npt.NDArray[np.floating]

_FEWEST_SLOTS = 4


class Tier(NamedTuple):
    """Buckets of one length."""

    seconds: int
    kept: int


TIERS = (Tier(1, 300), Tier(10, 360), Tier(120, 360))
"""Five minutes, an hour, half a day. Each length is a multiple of the one before."""


def mean(values: Floats) -> Floats:
    """The mean over the last axis; gaps are left out."""
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    sums: Floats = np.where(known, values, 0).sum(axis=-1)
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)


def median(values: Floats) -> Floats:
    """The value that half of the others over the last axis do not exceed; gaps are left out."""
    counts = (~np.isnan(values)).sum(axis=-1, keepdims=True)
    middle = np.maximum(counts - 1, 0) // 2
    found: Floats = np.take_along_axis(np.sort(values, axis=-1), middle, axis=-1)[..., 0]
    return found


def largest(values: Floats) -> Floats:
    """The largest over the last axis; gaps are left out."""
    found: Floats = np.fmax.reduce(values, axis=-1)
    return found


Joining: TypeAlias = Callable[[Floats], Floats]
"""How several seconds become one number."""


class Series:
    """What was measured each second of some subjects: as many of them as `most`, the others are those that
    have been inactive longest."""

    def __init__(self, joinings: tuple[Joining, ...], most: int) -> None:
        """`joinings` says of each number that is measured how its seconds are joined."""
        self._joinings = joinings
        self._most = most
        self._slots: dict[int, int] = {}
        """By subject, the least recently active first."""
        self._stamps = [np.full(tier.kept, -1, np.int64) for tier in TIERS]
        """Which bucket is where."""
        self._rings = [self._ring(tier, _FEWEST_SLOTS) for tier in TIERS]
        """Slots by numbers by buckets."""

    def __contains__(self, subject: int) -> bool:
        return subject in self._slots

    @property
    def subjects(self) -> Ints:
        """Those that are measured."""
        return np.fromiter(self._slots, np.int64, len(self._slots))

    def admit(self, active: Iterable[int], others: Iterable[int] = ()) -> None:
        """Measure the active ones from now on, in place of those that have been inactive longest, and others
        as long as there is room."""
        new = []
        fresh = 0
        for subject in active:
            slot = self._slots.pop(subject, None)
            if slot is None:
                new.append(subject)
            else:
                self._slots[subject] = slot
                fresh += 1
        for subject in new[: self._most - fresh]:
            slot = len(self._slots)
            if slot == self._most:
                slot = self._slots.pop(next(iter(self._slots)))
            self._claim(subject, slot)
        for subject in others:
            if len(self._slots) == self._most:
                break
            if subject not in self._slots:
                self._claim(subject, len(self._slots))

    def add(self, second: int, values: Floats) -> None:
        """What one second was like: a row for each of `subjects`, in their order."""
        slots = list(self._slots.values())
        for number, tier in enumerate(TIERS):
            ring, stamps = self._rings[number], self._stamps[number]
            bucket = second // tier.seconds
            at = bucket % tier.kept
            if stamps[at] != bucket:
                stamps[at] = bucket
                ring[:, :, at] = np.nan
            if not number:
                ring[slots, :, at] = values
                continue
            parts, known = self._find(number - 1, second // tier.seconds * tier.seconds, tier.seconds)
            finer = self._rings[number - 1][:, :, parts[known]]
            for index, join in enumerate(self._joinings):
                ring[:, index, at] = join(finer[:, index])

    def at(self, second: int) -> dict[int, list[float]]:
        """What one of the last minutes' seconds was like, by subject; NaN, or none, where it is not known."""
        at = second % TIERS[0].kept
        if self._stamps[0][at] != second:
            return {}
        return {subject: self._rings[0][slot, :, at].tolist() for subject, slot in self._slots.items()}

    def window(self, subject: int, until: int, seconds: int, cells: int) -> Floats:
        """A row for each number: what it was in each of so many cells of so many seconds, up to the one of
        the second `until`. Cells begin at multiples of their length. Where only coarser buckets are left,
        cells that lie in the same one are alike."""
        found = np.full((len(self._joinings), cells), np.nan)
        slot = self._slots.get(subject)
        if slot is None:
            return found
        starts = (until // seconds - np.arange(cells)[::-1]) * seconds
        finest = max(number for number, tier in enumerate(TIERS) if tier.seconds <= seconds)
        sought = np.ones(cells, np.bool_)
        for number in range(finest, len(TIERS)):
            parts, known = self._find(number, starts, seconds)
            values = np.where(known, self._rings[number][slot][:, parts], np.nan)
            joined = np.stack([join(row) for join, row in zip(self._joinings, values, strict=True)])
            # A bucket that was written over is sought among the coarser ones; one that never was is a gap.
            lost = (self._stamps[number][parts] > starts[:, None] // TIERS[number].seconds).any(axis=-1)
            found = np.where(sought & ~lost, joined, found)
            sought &= lost
        return found

    def _find(self, number: int, starts: Ints | int, seconds: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Where the buckets of one tier are that make up cells, and which of them are there."""
        step, kept = TIERS[number]
        first = np.asarray(starts)[..., None] // step
        buckets = first + np.arange(max(seconds // step, 1))
        places = buckets % kept
        return places, (self._stamps[number][places] == buckets) & (buckets >= 0)

    def _claim(self, subject: int, slot: int) -> None:
        if slot == len(self._rings[0]):
            self._rings = [
                np.concatenate((ring, self._ring(tier, len(ring))))
                for ring, tier in zip(self._rings, TIERS, strict=True)
            ]
        for ring in self._rings:
            ring[slot] = np.nan
        self._slots[subject] = slot

    def _ring(self, tier: Tier, slots: int) -> Floats:
        return np.full((slots, len(self._joinings), tier.kept), np.nan, np.float32)
