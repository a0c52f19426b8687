"""What loops and kinds did: seconds, coarser ones, gaps, and who is forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from asynctop_console.model import Model
from asynctop_console.model.past import GAP_NS, OfKind, OfLoop
from asynctop_console.model.series import TIERS, Series, largest, mean, median
from asynctop_protocol.messages import Loops, LoopState, Message, State, Tick

from .program import MS, SECOND, kinds, loops, polled, spawned, texts, totals


def ticked(model: Model, at: int, *messages: Message) -> None:
    for message in messages:
        model.fold(message)
    model.fold(Tick(at))


def loop_row(model: Model, of: OfLoop, cells: int, seconds: int = 1, loop: int = 1) -> list[float]:
    return [float(n) for n in model.past.loops.window(loop, model.past.second, seconds, cells)[of]]


def kind_row(model: Model, of: OfKind, cells: int) -> list[float]:
    return [float(n) for n in model.past.kinds.window(1, model.past.second, 1, cells)[of]]


def test_a_second_of_a_loop_is_what_lies_between_its_ticks() -> None:
    model = Model()
    for tenth in range(41):
        lag = tenth * MS if tenth != 15 else 300 * MS
        message = loops(polls=tenth * 5, busy=tenth * 20 * MS, lag=lag, turns=tenth * 3)
        ticked(model, 10 * SECOND + tenth * SECOND // 10, message)
    assert model.past.second == 13
    assert loop_row(model, OfLoop.POLLS, 5) == [
        pytest.approx(n, nan_ok=True) for n in (np.nan, 50, 50, 50, 50)
    ]
    assert loop_row(model, OfLoop.BUSY, 1) == [pytest.approx(0.2)]
    assert loop_row(model, OfLoop.TURNS, 1) == [pytest.approx(30)]
    # The ticks of a second are those after its beginning, up to the first of the next.
    assert loop_row(model, OfLoop.LAG_MAX, 3) == [300 * MS, 30 * MS, 40 * MS]
    assert loop_row(model, OfLoop.LAG_P50, 3) == [16 * MS, 25 * MS, 35 * MS]


def test_what_runs_is_busy_and_never_more_than_all_of_the_time() -> None:
    model = Model()
    ticked(model, 10 * SECOND, loops(busy=SECOND))
    running = loops(busy=SECOND, state=LoopState.RUNNING, since=10 * SECOND + SECOND // 2, current="worker")
    ticked(model, 11 * SECOND, running)
    assert loop_row(model, OfLoop.BUSY, 1) == [0.5]
    ticked(model, 12 * SECOND, loops(busy=9 * SECOND))
    assert loop_row(model, OfLoop.BUSY, 2) == [0.5, 1.0]


def test_slow_ticks_tell_of_every_second_they_cover() -> None:
    model = Model()
    for at in (10, 12, 14):
        ticked(model, at * SECOND, loops(polls=at * 100))
    assert loop_row(model, OfLoop.POLLS, 4) == [100, 100, 100, 100]


def test_a_time_without_ticks_is_a_gap() -> None:
    model = Model()
    for at in (10, 11, 12, 12 + GAP_NS // SECOND + 1, 19):
        ticked(model, at * SECOND, loops(polls=at * 7))
    assert model.past.second == 18
    gap = [np.nan] * 6
    assert loop_row(model, OfLoop.POLLS, 9) == pytest.approx([7, 7, *gap, 7], nan_ok=True)


def test_tasks_are_counted_by_loop_where_there_are_several() -> None:
    model = Model()
    two = Loops(
        [1, 2],
        ["a", "b"],
        ["asyncio"] * 2,
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        ["", ""],
        [0, 0],
    )
    ticked(model, 10 * SECOND, texts(), kinds(), two)
    ticked(model, 11 * SECOND, spawned([1, 2, 3], loop=[1, 2, 2]), polled([1, 2, 3]), totals(spawned=3), two)
    assert loop_row(model, OfLoop.LIVE, 1, loop=1) == [1]
    assert loop_row(model, OfLoop.LIVE, 1, loop=2) == [2]
    assert loop_row(model, OfLoop.SPAWNED, 1, loop=2) == [3], "the wire does not tell whose they are"
    closed = Loops(
        [1, 2],
        ["a", "b"],
        ["asyncio"] * 2,
        [0, 3],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
        ["", ""],
        [0, 0],
    )
    ticked(model, 12 * SECOND, closed)
    assert loop_row(model, OfLoop.LIVE, 2, loop=2) == pytest.approx([2, np.nan], nan_ok=True)


def test_a_second_of_a_kind_has_rates_and_quantiles_of_its_own() -> None:
    model = Model()
    before = totals(spawned=4, returned=1, histogram=[0] * 20 + [1000])
    ticked(model, 10 * SECOND, texts(), kinds(), before)
    ticked(model, 11 * SECOND, totals(spawned=9, returned=3, histogram=[0] * 20 + [1000, 0, 0, 0, 98, 2]))
    assert kind_row(model, OfKind.POLLS, 2) == pytest.approx([np.nan, 100], nan_ok=True)
    assert kind_row(model, OfKind.SPAWNED, 1) == [5]
    assert kind_row(model, OfKind.ENDED, 1) == [2]
    assert kind_row(model, OfKind.LIVE, 1) == [6]
    # What was polled before counts no more: buckets 24 and 25.
    assert kind_row(model, OfKind.POLL_P50, 1) == [pytest.approx(2 ** (47 / 4))]
    assert kind_row(model, OfKind.POLL_P99, 1) == [pytest.approx(2 ** (49 / 4))]
    ticked(model, 12 * SECOND)
    assert kind_row(model, OfKind.POLLS, 1) == [0]
    assert np.isnan(kind_row(model, OfKind.POLL_P50, 1)), "of no polls there are no quantiles"


def test_a_poll_that_goes_on_is_time_of_its_kind() -> None:
    model = Model()
    ticked(model, 10 * SECOND, texts(), kinds(), spawned([1]), totals(spawned=1))
    for second in (11, 12, 13):
        ticked(model, second * SECOND, polled([1], state=State.POLLING, since=10 * SECOND + SECOND // 4))
    assert kind_row(model, OfKind.BUSY, 3) == [0.75, 1, 1]


def test_the_past_of_a_recording_stays_when_it_is_wound() -> None:
    model = Model()
    for at in range(10, 30):
        ticked(model, at * SECOND, loops(polls=at * 7))
    again = Model(model.past)
    ticked(again, 15 * SECOND, loops(polls=15 * 7))
    assert loop_row(again, OfLoop.POLLS, 3) == [7, 7, 7]
    ticked(again, 16 * SECOND, loops(polls=16 * 7))
    assert again.past.second == 15
    assert loop_row(again, OfLoop.POLLS, 5) == [7, 7, 7, 7, 7]


def test_joining_leaves_gaps_out() -> None:
    values = np.array([[1.0, np.nan, 5.0, 3.0], [np.nan] * 4])
    for join, joined in ((mean, 3), (median, 3), (largest, 5)):
        assert join(values).tolist() == pytest.approx([joined, np.nan], nan_ok=True)


def test_seconds_become_coarser_and_are_forgotten_at_last() -> None:
    series = Series((mean, largest), 4)
    series.admit([7])
    length = TIERS[-1].seconds * TIERS[-1].kept + 600
    sizes = {sum(ring.nbytes for ring in series._rings)}
    for second in range(length):
        series.add(second, np.array([[second, second % 100]]))
    sizes.add(sum(ring.nbytes for ring in series._rings))
    assert len(sizes) == 1, "it does not grow"
    last = length - 1
    assert series.window(7, last, 1, 3)[0].tolist() == [last - 2, last - 1, last]
    assert series.window(7, last, 10, 2)[0].tolist() == [last - 14.5, last - 4.5]
    means, most = series.window(7, last, 120, 3)
    assert most.tolist() == [99, 99, 99]
    assert means.tolist() == pytest.approx([last - 299.5, last - 179.5, last - 59.5])
    # Of an hour ago nothing finer than two minutes is known.
    hour = last - 3600 - 120
    assert series.window(7, hour, 1, 1)[0] == series.window(7, hour, 120, 1)[0]
    assert np.isnan(series.window(7, 100, 120, 1)[0]), "half a day later it is forgotten"


def test_a_coarse_cell_holds_what_is_known_of_it_so_far() -> None:
    series = Series((mean,), 4)
    series.admit([7])
    for second in (100, 101, 102):
        series.add(second, np.array([[second]]))
    assert series.window(7, 102, 10, 1)[0].tolist() == [101]
    assert series.at(101) == {7: [101]}
    assert series.at(99) == {}


def test_the_least_recently_active_one_makes_room() -> None:
    series = Series((mean,), 3)
    series.admit([1, 2], others=[3, 4])
    assert sorted(series.subjects) == [1, 2, 3]
    series.add(10, np.array([[1.0], [2.0], [3.0]]))
    series.admit([1, 5, 3])
    assert sorted(series.subjects) == [1, 3, 5]
    assert np.isnan(series.window(5, 10, 1, 1)[0]), "nothing is left of the one before it"
    series.admit([1, 3, 5, 8, 9])
    assert sorted(series.subjects) == [1, 3, 5], "of those that are all active, the ones that are there stay"
    assert 1 in series
    assert 8 not in series


def test_hostile_numbers_do_no_harm() -> None:
    model = Model()
    most = 2**63 - 1
    for at in (SECOND, 2 * SECOND, 3 * SECOND, most):
        message = loops(polls=most if at > SECOND else 0, busy=most, lag=most, state=LoopState.RUNNING)
        ticked(
            model, at, texts(), kinds(), totals(spawned=most, returned=5, histogram=[2**55] * 127), message
        )
    assert model.past.loops.window(1, model.past.second, 600, 10).shape == (len(OfLoop), 10)
