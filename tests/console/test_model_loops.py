"""Loops, meters, and the growth of kinds."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from asynctop_console.model import Model, limits
from asynctop_console.model.growth import Growth
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Loops, LoopState, Tick

from .program import MS, SECOND, loops


def ticked(model: Model, at: int, message: Loops) -> None:
    model.fold(message)
    model.fold(Tick(at))


def together(*messages: Loops) -> Loops:
    """The loops of all these messages."""
    columns = ([getattr(message, each.name) for message in messages] for each in fields(Loops))
    return Loops(*([cell for column in columns_ for cell in column] for columns_ in columns))


def test_nothing_is_known_before_the_first_tick() -> None:
    meters = Model().meters
    assert meters.polls_per_second is None
    assert meters.busiest_ratio is None
    assert meters.lag_now_ns is meters.lag_p99_ns is meters.lag_max_ns is None


def test_rates_are_over_the_last_second() -> None:
    model = Model()
    for tenth in range(31):
        polls = 10 * min(tenth, 20) + 100 * max(tenth - 20, 0)
        ticked(model, tenth * SECOND // 10, loops(polls=polls, busy=max(tenth - 20, 0) * 40 * MS))
    assert model.meters.polls_per_second == 1000
    assert model.meters.busy_ratio(1) == model.meters.busiest_ratio == pytest.approx(0.4)
    assert model.meters.observed_busy_ratio(1) == pytest.approx(0.4 / 3)
    assert model.meters.busy_ratio(2) is None


def test_a_closed_loop_is_still_told_by_the_thread_it_ran_in() -> None:
    model = Model()
    ticked(model, 1, loops())
    ticked(model, 2, replace(loops(state=LoopState.CLOSED), thread=[""]))
    (loop,) = model.loops
    assert (loop.thread, loop.state) == ("MainThread", LoopState.CLOSED)


def test_the_polls_of_loops_that_come_and_go_all_count() -> None:
    """A loop for every call: each makes 7 polls, and is gone at the tick after the next."""
    model = Model()
    for tick in range(12):
        calls = [loops(polls=7, state=LoopState.CLOSED, id=number) for number in (tick, tick + 1)]
        ticked(model, tick * SECOND // 10, together(*calls))
    assert model.meters.polls_per_second == 70
    assert model.meters.polls == 77


def test_what_a_loop_did_before_the_first_tick_is_no_rate() -> None:
    model = Model()
    ticked(model, 0, loops(polls=1_000_000))
    ticked(model, SECOND, together(loops(polls=1_000_005), loops(polls=20, id=2)))
    assert model.meters.polls_per_second == 25


def test_a_loop_that_is_gone_takes_nothing_from_the_others() -> None:
    model = Model()
    ticked(model, 0, together(loops(polls=900, id=1), loops(polls=5, id=2)))
    ticked(model, SECOND, loops(polls=45, id=2))
    assert model.meters.polls_per_second == 40


def test_one_tick_makes_no_rate() -> None:
    model = Model()
    ticked(model, SECOND, loops(polls=5, lag=7))
    assert model.meters.polls_per_second is None
    assert model.meters.observed_busy_ratio(1) is None
    assert model.meters.lag_now_ns == 7


def test_what_runs_now_is_busy_time() -> None:
    model = Model()
    ticked(model, SECOND, loops(busy=100 * MS))
    stalled = loops(busy=100 * MS, state=LoopState.STALLED, since=SECOND, current="worker")
    ticked(model, 3 * SECOND, stalled)
    assert model.loops[0].busy_at(model.now_ns) == 2 * SECOND + 100 * MS
    assert model.meters.busy_ratio(1) == 1.0


def test_lags_are_those_of_the_last_minute() -> None:
    model = Model()
    for second in range(200):
        ticked(model, second * SECOND, loops(lag=900 * MS if second in (100, 150) else second))
    assert model.meters.lag_now_ns == 199
    assert model.meters.lag_max_ns == 900 * MS
    assert len(model.meters.samples) == 61
    assert model.meters.lag_p99_ns == 900 * MS
    for second in range(200, 260):
        ticked(model, second * SECOND, loops(lag=second))
    assert model.meters.lag_max_ns == 259


def test_loops_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOOPS", 0)
    with pytest.raises(ProtocolError, match="1 event loops, the console takes 0"):
        Model().fold(loops())


def test_growth_keeps_the_fewest_and_covers_everything_however_long() -> None:
    growth = Growth()
    for tick in range(100_000):
        fell = tick == 40_001
        counts = np.array([0, 10 if fell else 100 + tick])
        growth.sample(tick * SECOND // 10, counts, counts)
    times, counts, _ = growth.of(1)
    assert len(times) <= 128
    assert times[0] == 0
    assert growth.observed_ns > 9_800 * SECOND
    assert counts.min() == 10
    assert counts[0] == 100


def test_a_kind_that_came_later_grew_from_nothing() -> None:
    growth = Growth()
    growth.sample(0, np.array([0]), np.array([0]))
    growth.sample(SECOND, np.array([0, 5]), np.array([0, 7]))
    assert growth.of(1)[1].tolist() == [0, 5]
    assert growth.of(1)[2].tolist() == [0, 7]
    assert growth.of(2)[1].tolist() == [0, 0]
