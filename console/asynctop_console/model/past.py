"""What each loop and each kind did over the last hours: rates, shares and times, second by second.

A second's numbers are taken between the ticks nearest to its ends: rates are right over that time. Nothing is
said of a time without ticks.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

import numpy as np

from asynctop_console.model.columns import Ints
from asynctop_console.model.kinds import KindTable, quantiles_ns
from asynctop_console.model.loops import Loop
from asynctop_console.model.series import Floats, Series, largest, mean, median
from asynctop_console.model.tasks import TaskTable
from asynctop_protocol.messages import LoopState

_SECOND = 1_000_000_000
GAP_NS = 5 * _SECOND
"""Longer without a tick is a gap: a console asks for one every two seconds at least."""

_MOST_LOOPS = 64
_MOST_KINDS = 1024
"""Each of them takes 33 kB, in the worst case."""
_MOST_TICKS = 64
"""Ticks of a second that are told apart; a console asks for ten."""


class OfLoop(enum.IntEnum):
    """What is measured of a loop."""

    POLLS = 0
    """A second."""
    BUSY = 1
    """The share of the time in polls and callbacks, 0..1."""
    LAG_P50 = 2
    """Each tick tells the longest wait of a woken task for its poll: the median of these, in ns."""
    LAG_MAX = 3
    """The largest of them."""
    TURNS = 4
    """A second."""
    LIVE = 5
    """Tasks."""
    SPAWNED = 6
    """Tasks a second, of all loops together: the wire does not tell them apart."""
    ENDED = 7


class OfKind(enum.IntEnum):
    """What is measured of a kind."""

    POLLS = 0
    """A second."""
    BUSY = 1
    """The time in polls, a second."""
    POLL_P50 = 2
    """Quantiles of the polls' durations, in ns, at most 19 % off."""
    POLL_P99 = 3
    WAIT = 4
    """The mean time from a wake to the poll, in ns."""
    LIVE = 5
    SPAWNED = 6
    """Tasks a second."""
    ENDED = 7


_SPAWNED, _ENDED, _POLLS, _BUSY, _SCHEDULED = range(5)
"""Columns of the sums over a kind's tasks."""


class _Moment(NamedTuple):
    """What was so at one tick."""

    at_ns: int
    loops: dict[int, Loop]
    sums: Ints
    """A row for each kind."""
    histograms: Ints
    """The kinds' polls by duration."""


class Past:
    """The last hours of all loops, and of the kinds that were active lately."""

    def __init__(self) -> None:
        # The order is that of `OfLoop`, and of `OfKind`.
        joinings = (mean, mean, median, largest, mean, mean, mean, mean)
        self.loops = Series(joinings, _MOST_LOOPS)
        self.kinds = Series(joinings, _MOST_KINDS)
        self.second = 0
        """The last whole second, by the target's clock."""
        self._before: _Moment | None = None
        self._lags: dict[int, list[int]] = {}
        """What the ticks of this second said, by loop."""

    def sample(self, now: int, loops: list[Loop], kinds: KindTable, tasks: TaskTable) -> None:
        """Take in one tick. After one of an earlier time what is known of later times stays."""
        for loop in loops:
            lags = self._lags.setdefault(loop.id, [])
            if len(lags) < _MOST_TICKS:
                lags.append(loop.max_lag_ns)
            else:
                lags[-1] = max(lags[-1], loop.max_lag_ns)
        before = self._before
        if before is not None and before.at_ns // _SECOND == now // _SECOND:
            return
        after = _Moment(
            now, {loop.id: loop for loop in loops}, _sums(now, kinds, tasks), kinds.histogram.copy()
        )
        if before is not None and before.at_ns < now <= before.at_ns + GAP_NS:
            rates = _rates(before, after)
            of_loops, of_kinds = self._loops(before, after, rates, tasks), self._kinds(before, after, rates)
            # What was so between the two ticks is said of each second that began between them, but the last.
            for second in range(before.at_ns // _SECOND, now // _SECOND):
                self.loops.add(second, of_loops)
                self.kinds.add(second, of_kinds)
        self._before, self._lags, self.second = after, {}, now // _SECOND - 1

    def _loops(self, before: _Moment, after: _Moment, rates: Floats, tasks: TaskTable) -> Floats:
        """A row for each of the loops measured."""
        took = after.at_ns - before.at_ns
        open_ = [loop.id for loop in after.loops.values() if loop.state != LoopState.CLOSED]
        self.loops.admit(open_)
        live = _live(after).sum()
        of = tasks.loop[tasks.live()] if len(after.loops) > 1 else None
        spawned, ended = rates[:, _SPAWNED].sum(), rates[:, _ENDED].sum()
        rows = []
        for number in self.loops.subjects.tolist():
            loop = after.loops.get(number)
            if loop is None or loop.state == LoopState.CLOSED:
                rows.append([np.nan] * len(OfLoop))
                continue
            was = before.loops.get(number)
            polls, turns = loop.polls - (was.polls if was else 0), loop.turns - (was.turns if was else 0)
            busy = loop.busy_at(after.at_ns) - (was.busy_at(before.at_ns) if was else 0)
            lags = sorted(self._lags[number])
            rows.append(
                [
                    max(polls, 0) / took * _SECOND,
                    min(max(busy, 0) / took, 1),
                    lags[(len(lags) - 1) // 2],
                    lags[-1],
                    max(turns, 0) / took * _SECOND,
                    live if of is None else float(np.count_nonzero(of == number)),
                    spawned,
                    ended,
                ]
            )
        return np.array(rows, np.float64).reshape(len(rows), len(OfLoop))

    def _kinds(self, before: _Moment, after: _Moment, rates: Floats) -> Floats:
        """A row for each of the kinds measured."""
        live = _live(after)
        active = rates[:, _SPAWNED] + rates[:, _ENDED] + rates[:, _POLLS] > 0
        self.kinds.admit(np.flatnonzero(active).tolist(), np.flatnonzero(live > 0).tolist())
        subjects = self.kinds.subjects
        values = np.full((len(subjects), len(OfKind)), np.nan)
        # After a jump in a recording there are kinds that are not known yet.
        known = subjects < len(live)
        rows = subjects[known]
        polls = rates[rows, _POLLS]
        polled = after.histograms[rows]
        old = rows < len(before.histograms)
        polled[old] -= before.histograms[rows[old]]
        values[known, OfKind.POLLS] = polls
        values[known, OfKind.BUSY] = rates[rows, _BUSY] / _SECOND
        values[known, OfKind.POLL_P50] = quantiles_ns(polled, 0.5)
        values[known, OfKind.POLL_P99] = quantiles_ns(polled, 0.99)
        waited = rates[rows, _SCHEDULED] / np.maximum(polls, 1e-9)
        values[known, OfKind.WAIT] = np.where(polls > 0, waited, np.nan)
        values[known, OfKind.LIVE] = live[rows]
        values[known, OfKind.SPAWNED] = rates[rows, _SPAWNED]
        values[known, OfKind.ENDED] = rates[rows, _ENDED]
        return values


class EarlierPast(Past):
    """What another one knows, for a model of an earlier moment: nothing is added to it."""

    def __init__(self, known: Past, now: int) -> None:
        self.loops, self.kinds = known.loops, known.kinds
        self.second = now // _SECOND - 1

    def sample(self, now: int, *_: object) -> None:
        """See only what time it is."""
        self.second = now // _SECOND - 1


def _live(moment: _Moment) -> Floats:
    """How many tasks of each kind live."""
    live: Floats = np.maximum(moment.sums[:, _SPAWNED] - moment.sums[:, _ENDED], 0).astype(np.float64)
    return live


def _sums(now: int, kinds: KindTable, tasks: TaskTable) -> Ints:
    """A row for each kind; the polls that are running are counted up to `now`."""
    busy_ns = kinds.busy_at(now, tasks)
    return np.stack((kinds.spawned, kinds.ended, kinds.polls, busy_ns, kinds.scheduled_ns), axis=1)


def _rates(before: _Moment, after: _Moment) -> Floats:
    """By how much the sums grew a second."""
    grown = after.sums.astype(np.float64)
    there = min(len(before.sums), len(grown))
    grown[:there] -= before.sums[:there]
    rates: Floats = np.maximum(grown, 0) / (after.at_ns - before.at_ns) * _SECOND
    return rates
