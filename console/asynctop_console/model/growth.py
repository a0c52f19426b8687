"""How many tasks of each kind lived at each moment of the observation."""

from __future__ import annotations

import numpy as np

from asynctop_console.model.columns import Ints

_STEP_NS = 200_000_000
_MOST_SAMPLES = 128


class Growth:
    """Live counts per kind over the whole observation.

    When the memory is full, every second sample is dropped and the others come half as often from then on.
    What a sample leaves out is not lost: it keeps the fewest that lived since the sample before.
    """

    def __init__(self) -> None:
        self._times: list[int] = []
        self._fewest: list[Ints] = []
        self._spawned: list[Ints] = []
        self._step_ns = _STEP_NS

    def sample(self, now: int, live: Ints, spawned: Ints) -> None:
        """Take in one tick's counts, a number for each kind: the tasks that live, and all ever spawned."""
        if not self._times or now - self._times[-1] >= self._step_ns:
            if len(self._times) == _MOST_SAMPLES:
                self._thin()
            self._times.append(now)
            self._fewest.append(live)
            self._spawned.append(spawned.copy())
        else:
            self._fewest[-1] = _fewer(self._fewest[-1], live)

    def of(self, kind: int) -> tuple[Ints, Ints, Ints]:
        """Three columns for one kind: times, oldest first; the fewest that lived from each to the next; how
        many had been spawned by then."""
        fewest, spawned = (
            np.array([int(counts[kind]) if kind < len(counts) else 0 for counts in samples], np.int64)
            for samples in (self._fewest, self._spawned)
        )
        return np.array(self._times, np.int64), fewest, spawned

    @property
    def observed_ns(self) -> int:
        """From the first sample to the last."""
        return self._times[-1] - self._times[0] if self._times else 0

    def grown(self) -> Ints:
        """By how much each kind grew from the first sample to the last."""
        if not self._fewest:
            return np.zeros(0, np.int64)
        first, last = self._fewest[0], self._fewest[-1].copy()
        last[: len(first)] -= first[: len(last)]
        return last

    def _thin(self) -> None:
        pairs = range(0, len(self._times) - 1, 2)
        self._fewest = [_fewer(self._fewest[index], self._fewest[index + 1]) for index in pairs]
        self._times = self._times[::2]
        self._spawned = self._spawned[::2]
        self._step_ns *= 2


def _fewer(earlier: Ints, later: Ints) -> Ints:
    """The smaller of both, by kind; kinds are only ever added, and had no task before."""
    padded = np.zeros(len(later), np.int64)
    padded[: len(earlier)] = earlier[: len(later)]
    return np.minimum(padded, later)
