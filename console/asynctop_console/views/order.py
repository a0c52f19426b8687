"""The order of a table's rows at one moment, without ever sorting all of them.

A screen shows some fifty rows of perhaps a million. A sample tells about which keys they have, a selection
(`numpy.partition`) among the rows with such keys finds the ends of a stretch around them, and only what lies
between those is sorted: linear in the number of rows, wherever the stretch is. Nothing is done anew while one
moves within it.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]

_SAMPLE = 1 << 14
_SLACK = 256
"""Places in the sample by which it may err: four standard deviations of the median of so many."""


class Order:
    """Rows by ascending key; equal keys by ascending id. A copy: what happens to the model later leaves it
    alone."""

    def __init__(self, ids: Ids, keys: NDArray[np.int64], margin: int = 2_000) -> None:
        """`ids` ascend and are not repeated; `keys` belong to them one by one. Both are kept, not copied.
        So many rows are sorted on either side of those asked for: some dozens of pages.
        """
        self._margin = margin
        self._ids = ids
        self._keys = keys
        self._stretch = ids[:0]
        """What has been sorted last, and"""
        self._begin = 0
        """the position of its first row."""

    def __len__(self) -> int:
        return len(self._ids)

    def window(self, start: int, stop: int) -> Ids:
        """The ids at positions `start` up to `stop` (which are cut to what there is)."""
        start, stop = max(start, 0), min(stop, len(self))
        if start >= stop:
            return self._ids[:0]
        if start < self._begin or stop > self._begin + len(self._stretch):
            self._begin = max(start - self._margin, 0)
            self._stretch = self._sorted(self._begin, min(stop + self._margin, len(self)))
        return self._stretch[start - self._begin : stop - self._begin]

    @cached_property
    def first(self) -> int | None:
        """The id of the row on top."""
        return int(self._ids[self._keys.argmin()]) if len(self) else None

    def _sorted(self, start: int, stop: int) -> Ids:
        before, among = self._around(start, stop)
        ids, keys, start, stop = self._ids[among], self._keys[among], start - before, stop - before
        part = np.partition(keys, (start, stop - 1))
        low, high = part[start], part[stop - 1]
        below = int(np.count_nonzero(keys < low))
        if low == high:
            return ids[np.flatnonzero(keys == low)[start - below : stop - below]]
        at_low = np.flatnonzero(keys == low)[start - below :]
        between = np.flatnonzero((keys > low) & (keys < high))
        between = between[np.argsort(keys[between], kind="stable")]
        at_high = np.flatnonzero(keys == high)[: stop - start - len(at_low) - len(between)]
        return ids[np.concatenate((at_low, between, at_high))]

    def _around(self, start: int, stop: int) -> tuple[int, NDArray[np.intp] | slice]:
        """Rows among which are those of these positions, and how many stand before all of them.

        An eighth of the time that a selection among all takes. All of them where it would not be much less.
        """
        keys = self._keys
        step = len(keys) // _SAMPLE
        if step > 1:
            sample = np.sort(keys[::step])
            first, last = start // step - _SLACK, stop // step + _SLACK
            low = sample[first] if first > 0 else keys.min()
            high = sample[last] if last < len(sample) else keys.max()
            before = int(np.count_nonzero(keys < low))
            among = (keys >= low) & (keys <= high)
            count = int(np.count_nonzero(among))
            if before <= start and stop <= before + count and count < len(keys) // 2:
                return before, np.flatnonzero(among)
        return 0, slice(None)

    def position(self, id: int) -> int | None:
        """Where the row with this id stands, None where it is not among them."""
        index = int(np.searchsorted(self._ids, id))
        if index == len(self._ids) or self._ids[index] != id:
            return None
        key = self._keys[index]
        return int(np.count_nonzero(self._keys < key) + np.count_nonzero(self._keys[:index] == key))

    def neighbour(self, id: int, wanted: Ids, step: int) -> int | None:
        """The id of the nearest of the `wanted` ids after (`step` 1) or before (-1) the row `id`.

        Goes round at the end, and begins at the first where `id` is not here. None where none of the
        wanted is here.
        """
        keys = self._keys
        among = np.flatnonzero(np.isin(self._ids, wanted))
        if not len(among):
            return None
        here = int(np.searchsorted(self._ids, id))
        if here < len(self._ids) and self._ids[here] == id:
            beyond = keys[among] > keys[here] if step > 0 else keys[among] < keys[here]
            ahead = among[beyond | ((keys[among] == keys[here]) & ((among - here) * step > 0))]
            among = ahead if len(ahead) else among
        nearest = keys[among].min() if step > 0 else keys[among].max()
        ties = among[keys[among] == nearest]
        return int(self._ids[ties[0] if step > 0 else ties[-1]])


_BAND = 1 << 61
_LARGEST = 1 << 60
"""36 years in nanoseconds: four bands of keys up to this fit into 64 bits."""


def ordering(
    keys: NDArray[np.int64], descending: bool, bands: NDArray[np.int8] | None = None
) -> NDArray[np.int64]:
    """Keys for `Order`: turned round where `descending`, and lower bands (-1 to 2) before higher ones."""
    keys = np.clip(keys, -_LARGEST, _LARGEST)
    if descending:
        np.negative(keys, out=keys)
    if bands is not None:
        # Most are in band 0, whose keys stay as they are.
        banded = np.flatnonzero(bands != 0)
        keys[banded] += bands[banded] * np.int64(_BAND)
    return keys
