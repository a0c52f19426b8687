"""Lints: what each finds, and that it finds nothing in a healthy program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest

from asynctop_console.lints import LINTS, Finding, Lint, Rule, Severity, check_all, lasting, lints_by_task
from asynctop_console.model import Model
from asynctop_protocol.messages import Cause, Chains, Stalls, Tick

from .program import MS, SECOND, chain, ended, kinds, named, polled, spawned, stall, texts, totals


def model_with_tasks(count: int) -> Model:
    model = Model()
    ids = range(1, count + 1)
    for message in (texts(), kinds(), spawned(ids), named(ids, [f"worker-{number}" for number in ids])):
        model.fold(message)
    return model


def found(model: Model) -> list[str]:
    return [finding.lint for finding in check_all(model)]


def test_stalls_of_one_line_are_one_finding() -> None:
    model = model_with_tasks(3)
    stalls = [stall(1, task=1), stall(2, task=2, duration=900 * MS, ongoing=True), stall(3, task=3, line=70)]
    model.fold(Stalls(stalls))
    model.fold(Tick(SECOND))
    first, second = check_all(model)
    assert (first.lint, first.severity) == ("long-poll-blocking-call", Severity.ERROR)
    assert (first.subject_type, first.subject_id, first.subject_name) == ("task", 2, "worker")
    assert first.message == (
        "The event loop was blocked in api.get() for 900ms and still is by task worker "
        "in load() at app/web.py:44, 2 times, 1.40s in all. Use an async call, or asyncio.to_thread()."
    )
    assert first.tasks == {1, 2}
    assert "in load() at app/web.py:70. Use" in second.message
    assert lints_by_task(check_all(model)) == {task: ["long-poll-blocking-call"] for task in (1, 2, 3)}


@pytest.mark.parametrize(
    ("cause", "lint"),
    [
        (Cause.BLOCKING, ["long-poll-blocking-call"]),
        (Cause.CPU, ["long-poll-cpu"]),
        (Cause.GIL, ["long-poll-gil-held-in-c"]),
        (Cause.GC, ["gc-pause"]),
        (Cause.UNKNOWN, []),
    ],
)
def test_the_cause_decides_which_lint_it_is(cause: Cause, lint: list[str]) -> None:
    model = model_with_tasks(1)
    model.fold(Stalls([stall(cause=cause)]))
    model.fold(Tick(SECOND))
    assert found(model) == lint


def test_a_callbacks_stall_without_a_stack_concerns_the_loop() -> None:
    model = Model()
    seen = stall(task=0)
    model.fold(Stalls([type(seen)(1, 0, 0, "on_data", 3, 5, 6 * MS, False, Cause.BLOCKING, 0, [])]))
    model.fold(Tick(SECOND))
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_id, finding.tasks) == ("loop", 3, frozenset())
    assert "for 6.00ms by callback on_data at an unknown line." in finding.message


def spin(model: Model, seconds: int, per_second: int, own: int) -> None:
    """Task 1 wakes so often, `own` of them by itself."""
    for tick in range(1, seconds * 2 + 1):
        model.fold(
            polled(
                [1], polls=tick * per_second // 2, wakes=tick * per_second // 2, self_wakes=tick * own // 2
            )
        )
        model.fold(Tick(tick * SECOND // 2))


@pytest.mark.parametrize(
    ("per_second", "own", "lints"),
    [
        (20_000, 20_000, ["self-wake-spin"]),
        (20_000, 19_000, ["self-wake-spin"]),
        (20_000, 11_000, []),
        (150, 150, []),
    ],
)
def test_a_task_spins_that_keeps_waking_itself(per_second: int, own: int, lints: list[str]) -> None:
    model = model_with_tasks(2)
    spin(model, 10, per_second, own)
    assert found(model) == lints


def test_a_spinning_task_is_named_with_its_rate_and_place() -> None:
    model = model_with_tasks(2)
    spin(model, 2, 20_000, 20_000)
    (finding,) = check_all(model)
    assert finding.message == (
        "Task worker-1 wakes itself 20,000 times a second in app.handler() at app/web.py:40. "
        "Wait for an event instead of asking again."
    )
    assert finding.tasks == {1}


def test_a_spinning_task_is_named_with_the_line_that_it_yields_at_where_somebody_has_looked() -> None:
    model = model_with_tasks(2)
    model.fold(Chains(1, [chain(1, line=41)], True))
    spin(model, 2, 20_000, 20_000)
    (finding,) = check_all(model)
    assert (
        "in app.handler() at app/web.py:40, and yields in handler() at app/web.py:41. Wait" in finding.message
    )


def test_who_computes_and_yields_does_not_spin() -> None:
    model = model_with_tasks(2)
    for tick in range(1, 21):
        polls = tick * 500  # of 0.2 ms each
        model.fold(polled([1], polls=polls, wakes=polls, self_wakes=polls, busy=polls * MS // 5))
        model.fold(Tick(tick * SECOND // 2))
    assert found(model) == []


def test_who_has_stopped_spinning_is_forgiven() -> None:
    model = model_with_tasks(1)
    spin(model, 2, 20_000, 20_000)
    for second in range(3, 12):
        model.fold(Tick(second * SECOND))
    assert found(model) == []


def live_tasks(model: Model, seconds: int, live: Callable[[int], int], *, per_tick: int = 2) -> None:
    """So many tasks live at each half second of the observation; some always come and go."""
    for tick in range(seconds * per_tick + 1):
        model.fold(totals(spawned=live(tick) + 10 * tick, returned=10 * tick))
        model.fold(Tick((100 + tick) * SECOND // per_tick))


@pytest.mark.parametrize(
    ("live", "lints"),
    [
        pytest.param(lambda tick: 100 + 5 * tick, ["task-leak-by-kind"], id="grows"),
        pytest.param(lambda tick: 100 + 5 * min(tick, 28), [], id="levels off"),
        pytest.param(lambda tick: 100 + 5 * tick - (60 if tick == 20 else 0), [], id="falls once"),
        pytest.param(lambda tick: 100 + 5 * (tick % 20), [], id="comes and goes"),
        pytest.param(lambda tick: 100 + tick, [], id="grows little"),
        pytest.param(lambda tick: 5000, [], id="stays"),
    ],
)
def test_a_kind_leaks_that_only_grows(live: Callable[[int], int], lints: list[str]) -> None:
    model = model_with_tasks(2)
    live_tasks(model, 20, live)
    assert found(model) == lints


def test_a_program_that_starts_does_not_leak() -> None:
    model = model_with_tasks(2)
    live_tasks(model, 9, lambda tick: 100 * tick)
    assert found(model) == []


def test_a_leak_says_which_kind_how_much_and_where() -> None:
    model = model_with_tasks(2)
    live_tasks(model, 20, lambda tick: 100 + 50 * tick)
    (finding,) = check_all(model)
    assert (finding.subject_type, finding.subject_id, finding.subject_name) == ("kind", 1, "app.handler")
    assert finding.message == (
        "2,100 tasks of app.handler() are alive, 2,000 more than 20.0s ago, and their number has only grown: "
        "spawned at app/main.py:12. Await or cancel them."
    )
    assert finding.tasks == {1, 2}


@pytest.mark.parametrize(
    ("created", "any_ended", "lints"),
    [
        pytest.param(
            [n * SECOND // 10 for n in range(200)], False, ["task-leak-by-kind"], id="one after the other"
        ),
        pytest.param([n * SECOND // 10 for n in range(200)], True, [], id="some ended, so nobody knows"),
        pytest.param([n * SECOND // 100 for n in range(200)], False, [], id="all at first"),
        pytest.param([n * SECOND // 40 for n in range(200)], False, [], id="none lately"),
    ],
)
def test_a_kind_that_never_ended_is_told_by_its_spawns(
    created: list[int], any_ended: bool, lints: list[str]
) -> None:
    model = Model()
    model.fold(kinds())
    model.fold(spawned(range(1, 201), created=created))
    model.fold(totals(spawned=201, returned=int(any_ended)))
    model.fold(Tick(20 * SECOND))
    assert found(model) == lints


@pytest.mark.parametrize(
    ("many", "busy_until", "lints"),
    [(24, 0, ["task-leak-by-kind"]), (19, 0, []), (24, 24, [])],
    ids=["idle", "too few", "busy until now"],
)
def test_fewer_are_enough_where_all_wait_idly(many: int, busy_until: int, lints: list[str]) -> None:
    model = Model()
    created = [n * SECOND // 10 for n in range(many)]
    model.fold(kinds())
    model.fold(spawned(range(1, many + 1), created=created))
    since = [max(at, busy_until * SECOND // 10) for at in created]
    model.fold(polled(range(1, many + 1), polls=1, since=since))
    model.fold(totals(spawned=many))
    model.fold(Tick(many * SECOND // 10))
    assert found(model) == lints


@dataclass(frozen=True)
class AtFirst(Lint):
    """Something is wrong at first."""

    name: ClassVar[str] = "at-first"
    severity: ClassVar[Severity] = Severity.WARNING
    seen_once: ClassVar[bool] = True

    def check(self, model: Model) -> Iterator[Finding]:
        if model.now_ns < 2 * SECOND:
            yield self.about_task(model, 1, f"wrong at {model.now_ns}")


def test_what_one_look_proves_is_told_though_it_is_over() -> None:
    model = model_with_tasks(1)
    rules = lasting([Rule(AtFirst())])
    for now in (0, SECOND, 2 * SECOND):
        model.fold(Tick(now))
        findings = check_all(model, rules)
    assert [finding.message for finding in findings] == [f"wrong at {SECOND}"]
    assert check_all(model, (Rule(AtFirst()),)) == []


def test_a_healthy_program_trips_nothing() -> None:
    model = model_with_tasks(100)
    for tick in range(100):
        ids = range(1, 101)
        model.fold(polled(ids, polls=20 * tick, wakes=20 * tick, self_wakes=tick, busy=MS * tick))
        model.fold(spawned([101 + tick], created=tick * SECOND))
        model.fold(ended([101 + tick], at=tick * SECOND + 1))
        model.fold(totals(spawned=101 + tick, returned=1 + tick))
        model.fold(Tick(tick * SECOND))
        assert check_all(model) == []


def test_every_lint_has_a_name_and_a_sentence() -> None:
    names = [lint.name for lint in LINTS]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", name) for name in names)
    assert all(lint.summary.endswith(".") for lint in LINTS)
    assert all("\n" not in lint.summary for lint in LINTS)
