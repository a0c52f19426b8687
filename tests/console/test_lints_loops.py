"""Lints about a loop's turns and timers, kinds that grow, and deep awaits: what each finds, and what not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from asynctop_console.lints import check_all
from asynctop_console.model import Model
from asynctop_protocol.messages import Chain, Chains, State, Tick, WakerSource

from .program import MS, SECOND, ended, kinds, loops, named, polled, spawned, texts, totals


def model_of(tasks: int) -> Model:
    model = Model()
    for message in (texts(), kinds(), spawned(range(1, tasks + 1), kind=[2] + [1] * (tasks - 1))):
        model.fold(message)
    model.fold(named([1], ["heartbeat"]))
    model.fold(loops())
    model.fold(Tick(SECOND))
    return model


def found(model: Model) -> list[str]:
    return [finding.lint for finding in check_all(model)]


def turn(model: Model, at: int, took: int, polls: int = 200, longest: int = 3 * MS, kind: int = 1) -> None:
    model.fold(
        loops(
            max_turn_ns=took,
            max_turn_since_ns=at,
            max_turn_polls=polls,
            max_turn_poll_ns=longest,
            max_turn_kind=kind,
        )
    )
    model.fold(Tick(at + took))


@pytest.mark.parametrize(
    ("took", "polls", "longest", "lints"),
    [
        pytest.param(400 * MS, 200, 3 * MS, ["tick-overload"], id="many polls"),
        pytest.param(400 * MS, 5, 99 * MS, [], id="few polls"),
        pytest.param(400 * MS, 200, 300 * MS, [], id="one of them is long"),
        pytest.param(100 * MS, 50, 3 * MS, [], id="not long"),
        pytest.param(400 * MS, 20_000, 3 * MS, [], id="very short polls"),
    ],
)
def test_a_tick_is_overloaded_by_many_polls(took: int, polls: int, longest: int, lints: list[str]) -> None:
    model = model_of(3)
    turn(model, 2 * SECOND, took, polls, longest)
    turn(model, 3 * SECOND, took, polls, longest)
    assert found(model) == lints


def test_an_overloaded_tick_is_told_with_its_numbers_and_whose_time_it_was() -> None:
    model = model_of(3)
    turn(model, 2 * SECOND, 200 * MS)
    turn(model, 2 * SECOND, 400 * MS)  # the same turn, later
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_id, finding.subject_name) == ("loop", 1, "MainThread")
    assert finding.message == (
        "The event loop of MainThread ran for 400ms without looking for timers and I/O: 200 polls in one "
        "turn, none longer than 3.00ms, most of the time in app.handler() at app/web.py:40, "
        "spawned at app/main.py:12. Let fewer tasks run at a time, or do the work in a thread or process."
    )
    assert finding.place == ("app.handler", "/srv/app/web.py", 40)


def test_what_was_before_the_observation_is_no_finding() -> None:
    model = Model()
    turn(model, SECOND, 900 * MS)
    turn(model, 3 * SECOND, 10 * MS)
    assert found(model) == []


def test_a_minute_later_a_turn_is_forgotten() -> None:
    model = model_of(3)
    turn(model, 2 * SECOND, 400 * MS)
    turn(model, 80 * SECOND, 30 * MS)
    assert found(model) == []


def crowded(model: Model, wait: int, work: int, idle: int, busy: int) -> None:
    """Task 1 has waited so long for each of ten polls; all others were busy, and idle, so long together."""
    crowd = range(2, 102)
    rounds = 2 * SECOND // len(crowd)
    model.fold(
        polled(
            [1, *crowd],
            state=[State.IDLE] + [State.SCHEDULED] * len(crowd),
            since=3 * SECOND,
            polls=[10] + [10] * len(crowd),
            wakes=[10] + [11] * len(crowd),
            busy=[10 * work] + [busy // len(crowd)] * len(crowd),
            scheduled=[10 * wait] + [2 * SECOND - idle - rounds] * len(crowd),
        )
    )
    model.fold(loops(busy=10 * work + busy))
    model.fold(Tick(3 * SECOND))


@pytest.mark.parametrize(
    ("wait", "work", "idle", "busy", "lints"),
    [
        pytest.param(190 * MS, MS, 0, 2 * SECOND, ["starvation"], id="all others are always ready"),
        pytest.param(9 * MS, MS // 10, 0, 2 * SECOND, [], id="waits a little"),
        pytest.param(190 * MS, 100 * MS, 0, 2 * SECOND, [], id="has its share"),
        pytest.param(190 * MS, MS, SECOND, 2 * SECOND, [], id="the others rest"),
        pytest.param(190 * MS, MS, 0, SECOND // 10, [], id="the loop is not busy"),
    ],
)
def test_a_task_is_starved_by_a_crowd(wait: int, work: int, idle: int, busy: int, lints: list[str]) -> None:
    model = model_of(101)
    crowded(model, wait, work, idle, busy)
    assert found(model) == lints


def test_the_starved_task_is_told_with_those_who_starve_it() -> None:
    model = model_of(101)
    crowded(model, 190 * MS, MS, 0, 2 * SECOND)
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_name) == ("task", "heartbeat")
    assert finding.message == (
        "Task heartbeat waits 190ms for each poll of 1.00ms, as 100 tasks are always ready and keep the loop "
        "busy, most of all app.handler() at app/web.py:40, spawned at app/main.py:12. "
        "Let them wait for something, or run fewer of them at a time."
    )


def timers(
    model: Model, made: int, fired: int, polls: int, busy: int, waker: WakerSource = WakerSource.TIMER
) -> None:
    """So much in each of two seconds."""
    for second in (1, 2):
        model.fold(
            loops(
                polls=second * polls,
                busy=second * busy,
                timers=second * made,
                timers_fired=second * fired,
                timer_kind=1,
                timer_file=2,
                timer_line=44,
            )
        )
        model.fold(polled([2, 3], polls=second * polls // 2, wakes=second * polls // 2, waker_source=waker))
        model.fold(Tick((1 + second) * SECOND))


@pytest.mark.parametrize(
    ("made", "fired", "polls", "busy_ms", "waker", "lints"),
    [
        pytest.param(20_000, 20_000, 20_000, 300, WakerSource.TIMER, ["timer-storm"], id="all run"),
        pytest.param(50_000, 0, 1_000, 300, WakerSource.TIMER, ["timer-storm"], id="all cancelled"),
        pytest.param(5_000, 5_000, 5_000, 900, WakerSource.TIMER, [], id="not that many"),
        pytest.param(10_000, 10_000, 10_000, 900, WakerSource.TIMER, [], id="work between them"),
        pytest.param(20_000, 0, 20_000, 900, WakerSource.IO, [], id="a timeout around each request"),
    ],
)
def test_a_storm_of_timers(
    made: int, fired: int, polls: int, busy_ms: int, waker: WakerSource, lints: list[str]
) -> None:
    model = model_of(3)
    timers(model, made, fired, polls, busy_ms * MS, waker)
    assert found(model) == lints


def test_many_sleepers_are_no_storm() -> None:
    model = model_of(10_000)
    timers(model, 9_000, 9_000, 9_000, 200 * MS)
    assert found(model) == []


def test_a_storm_is_told_with_its_line() -> None:
    model = model_of(3)
    timers(model, 50_000, 0, 1_000, 300 * MS)
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_name) == ("kind", "app.handler")
    assert finding.tasks == {2, 3}
    assert finding.message == (
        "50,000 timers a second are set, most of them at app/web.py:44, and hardly any of them runs, "
        "with little work between them. Set one timer for many, or wait for what it is about."
    )
    assert finding.place == ("", "/srv/app/web.py", 44)


def spawning(
    model: Model, ends: Callable[[int], list[int]], polls: int = 1, waker: WakerSource = WakerSource.TASK
) -> None:
    """Ten tasks are spawned each tenth of a second for three seconds, and these have ended by then."""
    model.fold(texts())
    model.fold(kinds())
    gone: set[int] = set()
    for tick in range(31):
        now = (10 + tick) * SECOND // 10
        model.fold(spawned(range(1 + 10 * tick, 11 + 10 * tick), created=now))
        if ending := [task for task in ends(tick) if task not in gone]:
            gone.update(ending)
            model.fold(ended(ending, at=now))
        model.fold(
            polled(
                range(1 + 10 * tick, 11 + 10 * tick), polls=polls, wakes=polls, since=now, waker_source=waker
            )
        )
        model.fold(totals(spawned=10 * (tick + 1), returned=len(gone)))
        model.fold(Tick(now))


@pytest.mark.parametrize(
    ("ends", "lints"),
    [
        pytest.param(lambda tick: [], ["task-leak-by-kind"], id="none ends"),
        pytest.param(lambda tick: list(range(1, 5 * tick)), ["unbounded-spawn"], id="half of them end"),
        pytest.param(
            lambda tick: list(range(1, 5 * tick + 12 * (tick == 15))),
            ["unbounded-spawn"],
            id="half of them end, some at once",
        ),
        pytest.param(lambda tick: list(range(1, 5 * tick + 40 * (tick == 15))), [], id="there is a fall"),
        pytest.param(lambda tick: list(range(1, 10 * tick - 50)), [], id="each lives half a second"),
        pytest.param(lambda tick: list(range(3, 10 * tick, 3)), [], id="a third is quick"),
        pytest.param(lambda tick: list(range(1, 10 * tick + 1)), [], id="all end"),
    ],
)
def test_kinds_that_grow(ends: Callable[[int], list[int]], lints: list[str]) -> None:
    model = Model()
    spawning(model, ends)
    assert found(model) == lints


def test_connections_that_become_more_do_not_leak() -> None:
    model = Model()
    spawning(model, lambda tick: [], polls=2, waker=WakerSource.IO)
    assert found(model) == []


def test_a_backlog_is_told_with_both_rates() -> None:
    model = Model()
    spawning(model, lambda tick: list(range(1, 5 * tick)))
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_name) == ("kind", "app.handler")
    assert finding.message == (
        "100 tasks of app.handler() are spawned a second, but only 49 end: 161 are alive, 151 more than "
        "3.00s ago: spawned at app/main.py:12. "
        "Let whoever spawns them wait: for a semaphore, a bounded queue, or the tasks."
    )


@pytest.mark.parametrize("count", [3, 4])
def test_many_spinning_tasks_are_told_as_their_kind(count: int) -> None:
    model = model_of(count + 1)
    for tick in range(5):
        ids = range(2, count + 2)
        model.fold(polled(ids, polls=1000 * tick, wakes=1000 * tick, self_wakes=1000 * tick))
        model.fold(Tick((2 + tick) * SECOND // 2))
    findings = check_all(model)
    told = [(finding.subject_type, len(finding.tasks)) for finding in findings]
    assert {finding.lint for finding in findings} == {"self-wake-spin"}
    assert told == ([("task", 1)] * 3 if count == 3 else [("kind", 4)])


READ = ("Reader.read", "/srv/app/web.py", 17)
CALLS = [(f"layer_{number}", "/srv/app/web.py", number) for number in range(64)]


@pytest.mark.parametrize(
    ("frames", "depth", "lints"),
    [
        pytest.param([READ] * 63 + CALLS[:1], 400, ["deep-await-recursion"], id="awaits itself"),
        pytest.param([READ, CALLS[0]] * 32, 400, ["deep-await-recursion"], id="by way of another"),
        pytest.param([READ] * 30, 30, [], id="a tree"),
        pytest.param(CALLS, 80, [], id="deep, but no recursion"),
    ],
)
def test_coroutines_that_await_themselves(
    frames: list[tuple[str, str, int]], depth: int, lints: list[str]
) -> None:
    model = model_of(3)
    model.fold(Chains(1, [Chain(1, frames, depth=depth), Chain(2, frames, depth=depth - 1)], True))
    model.fold(Tick(2 * SECOND))
    findings = check_all(model)
    assert [finding.lint for finding in findings] == lints
    for finding in findings:
        assert (finding.subject_name, finding.place) == ("heartbeat", READ)
        assert finding.tasks == {1, 2}
        assert finding.message == (
            "Task heartbeat is 400 frames deep in awaits, awaiting itself again and again in Reader.read() "
            "at app/web.py:17, and 1 more likewise. Make it a loop."
        )
