"""Event loops, and the meters: what a glance at the top of the screen should tell about the last minute."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, fields
from typing import NamedTuple

from asynctop_console.clean import clean
from asynctop_console.model import limits
from asynctop_console.model.columns import choice, clipped
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Loops, LoopState

_SECOND = 1_000_000_000
_WINDOW_NS = 60 * _SECOND
LONG_TURN_NS = 20_000_000
"""A turn that takes longer is kept: a screen is not painted more often."""

_MOST_SAMPLES = 1200
"""A minute of twenty ticks a second: no screen is painted more often."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One event loop, as of the last tick. Fields as in `messages.Loops`."""

    id: int
    thread: str
    runtime: str
    state: LoopState
    polls: int
    callbacks: int
    busy_ns: int
    max_lag_ns: int
    max_lag_ever_ns: int
    current_task: int
    current: str
    """What is running: the task's or the callback's name; empty when idle."""
    current_since_ns: int
    turns: int
    max_turn_ns: int
    max_turn_ever_ns: int
    max_turn_since_ns: int
    max_turn_polls: int
    max_turn_poll_ns: int
    max_turn_kind: int
    timers: int
    timers_fired: int
    timer_kind: int
    timer_file: int
    """Text number."""
    timer_line: int

    def busy_at(self, now: int) -> int:
        """Time in polls and callbacks up to `now`, the one running included."""
        running = self.state in (LoopState.RUNNING, LoopState.STALLED) and self.current_since_ns
        return self.busy_ns + (max(now - self.current_since_ns, 0) if running else 0)


_SMALL_NUMBERS = ("max_turn_kind", "timer_kind", "timer_file", "timer_line")
_NUMBERS = tuple(each.name for each in fields(Loop) if each.type == "int" and each.name not in _SMALL_NUMBERS)


def loops_of(message: Loops) -> list[Loop]:
    """The rows of the message. ProtocolError where there are too many."""
    if len(message.id) > limits.LOOPS:
        raise ProtocolError(
            f"the runtime has {len(message.id):,} event loops, the console takes {limits.LOOPS:,}"
        )
    numbers = {
        name: [clipped(number, largest) for number in getattr(message, name) or [0] * len(message.id)]
        for largest, names in ((limits.LARGEST, _NUMBERS), (limits.LARGEST_SMALL, _SMALL_NUMBERS))
        for name in names
    }
    return [
        Loop(
            thread=clean(message.thread[row]),
            runtime=clean(message.runtime[row]),
            state=LoopState(state),
            current=clean(message.current[row]),
            **{name: column[row] for name, column in numbers.items()},
        )
        for row, state in enumerate(choice(message.state, LoopState.CLOSED, LoopState.IDLE).tolist())
    ]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one tick said."""

    at_ns: int
    polls: int
    """`Meters.polls` then."""
    loops: list[Loop]
    busy_ns: dict[int, int]
    """By loop id."""
    max_lag_ns: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A long turn of a loop."""

    loop: int
    since_ns: int
    took_ns: int
    polls: int
    """And callbacks."""
    longest_ns: int
    """Of them."""
    kind: int
    """The one that took most of it; 0 for callbacks."""


class LongTurns:
    """The long turns of the last minute: of each tick and loop the longest."""

    def __init__(self) -> None:
        self._turns: dict[tuple[int, int], Turn] = {}
        self._first_ns: int | None = None

    def sample(self, now: int, loops: list[Loop]) -> None:
        """Take in one tick. The first one tells of what was before the observation."""
        if self._first_ns is None:
            self._first_ns = now
        for loop in loops:
            since, took = loop.max_turn_since_ns, loop.max_turn_ns
            if took < LONG_TURN_NS or since + took <= self._first_ns:
                continue
            self._turns.pop((loop.id, since), None)  # it was going on, and has become longer
            self._turns[loop.id, since] = Turn(
                loop.id, since, took, loop.max_turn_polls, loop.max_turn_poll_ns, loop.max_turn_kind
            )
        while self._turns:
            oldest = next(iter(self._turns))
            if len(self._turns) <= _MOST_SAMPLES and oldest[1] >= now - _WINDOW_NS:
                break
            del self._turns[oldest]

    def of(self, loop: int) -> list[Turn]:
        """Those of one loop."""
        return [turn for turn in self._turns.values() if turn.loop == loop]


class Lag(NamedTuple):
    """How long woken tasks of a loop waited for their polls, at the longest."""

    now_ns: int
    """In the last tick."""
    p99_ns: int
    """In 99 of 100 of the last minute's ticks it was no longer."""
    max_ns: int
    """In the last minute."""


class Meters:
    """Rates and lags from a minute's samples. Rates are over the last second or so, None before that."""

    def __init__(self) -> None:
        self.samples: deque[Sample] = deque(maxlen=_MOST_SAMPLES)
        """The last minute's, oldest first."""
        self._first: Sample | None = None

    def sample(self, now: int, loops: list[Loop]) -> None:
        """Take in one tick."""
        polls = 0
        if self.samples:
            # Loop by loop, tick by tick: some programs make a loop for every call, and few of them are kept.
            before = {loop.id: loop.polls for loop in self.samples[-1].loops}
            polls = self.polls + sum(max(loop.polls - before.get(loop.id, 0), 0) for loop in loops)
        sample = Sample(
            at_ns=now,
            polls=polls,
            loops=loops,
            busy_ns={loop.id: loop.busy_at(now) for loop in loops},
            max_lag_ns=max((loop.max_lag_ns for loop in loops), default=0),
        )
        self.samples.append(sample)
        self._first = self._first or sample
        while self.samples[0].at_ns < now - _WINDOW_NS:
            self.samples.popleft()

    @property
    def polls(self) -> int:
        """Polls since the first tick, all loops together, those that are gone included."""
        return self.samples[-1].polls if self.samples else 0

    @property
    def polls_per_second(self) -> float | None:
        """Polls a second, all loops together."""
        before = self._second_ago()
        if before is None:
            return None
        last = self.samples[-1]
        return (last.polls - before.polls) / (last.at_ns - before.at_ns) * _SECOND

    def busy_ratio(self, loop: int) -> float | None:
        """Which share of the last second the loop spent in polls and callbacks, 0..1."""
        return self._ratio(loop, self._second_ago())

    def observed_busy_ratio(self, loop: int) -> float | None:
        """The same share of all the time observed."""
        return self._ratio(loop, self._first)

    @property
    def busiest_ratio(self) -> float | None:
        """`busy_ratio` of the busiest loop."""
        if not self.samples:
            return None
        ratios = [self.busy_ratio(loop) for loop in self.samples[-1].busy_ns]
        return max((ratio for ratio in ratios if ratio is not None), default=None)

    @property
    def lag_now_ns(self) -> int | None:
        """The longest that a woken task waited for its poll, in the last tick."""
        return self.samples[-1].max_lag_ns if self.samples else None

    @property
    def lag_p99_ns(self) -> int | None:
        """In 99 of 100 of the last minute's ticks, no task waited longer."""
        return _p99([sample.max_lag_ns for sample in self.samples]) if self.samples else None

    @property
    def lag_max_ns(self) -> int | None:
        """The longest that a woken task waited in the last minute."""
        return max((sample.max_lag_ns for sample in self.samples), default=None)

    def lags(self) -> dict[int, Lag]:
        """The lags of each loop, by its id."""
        found: dict[int, list[int]] = {}
        for sample in self.samples:
            for loop in sample.loops:
                found.setdefault(loop.id, []).append(loop.max_lag_ns)
        return {loop: Lag(lags[-1], _p99(lags), max(lags)) for loop, lags in found.items()}

    def _second_ago(self) -> Sample | None:
        """The newest sample at least a second old, else the oldest; None where no time has passed since."""
        if not self.samples:
            return None
        now = self.samples[-1].at_ns
        found = self.samples[0]
        for sample in reversed(self.samples):
            if sample.at_ns <= now - _SECOND:
                found = sample
                break
        return found if found.at_ns < now else None

    def loops_since(self, ns: int) -> tuple[int, list[tuple[Loop, Loop]]]:
        """What the loops did lately: over so many ns, at least `ns` of them, each loop as it was before and
        as it is now. 0 and none where no time as long was observed."""
        now = self.samples[-1].at_ns if self.samples else 0
        for sample in reversed(self.samples):
            if sample.at_ns <= now - ns:
                before = {loop.id: loop for loop in sample.loops}
                pairs = [(before[loop.id], loop) for loop in self.samples[-1].loops if loop.id in before]
                return now - sample.at_ns, pairs
        return 0, []

    def _ratio(self, loop: int, before: Sample | None) -> float | None:
        if before is None or not self.samples:
            return None
        last = self.samples[-1]
        if last.at_ns <= before.at_ns or loop not in last.busy_ns:
            return None
        # A loop that was not there yet had not been busy either.
        busy = last.busy_ns[loop] - before.busy_ns.get(loop, 0)
        return min(max(busy / (last.at_ns - before.at_ns), 0.0), 1.0)


def _p99(numbers: list[int]) -> int:
    """What 99 of 100 of them do not exceed."""
    return sorted(numbers)[math.ceil(0.99 * len(numbers)) - 1]
