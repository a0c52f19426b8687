"""The task table: rows, times that run on, eviction, resets."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from asynctop_console.model import Model, TaskTable, limits
from asynctop_protocol import ProtocolError
from asynctop_protocol.messages import Message, Named, Outcome, Reset, State, Tick

from .program import SECOND, ended, named, polled, spawned


def folded(*messages: Message) -> Model:
    model = Model()
    for message in messages:
        model.fold(message)
    return model


def test_rows_are_in_the_order_of_ids_whatever_the_order_of_arrival() -> None:
    tasks = folded(spawned([5, 9]), spawned([7, 2], kind=[3, 4]), named([7], ["seven"])).tasks
    assert tasks.id.tolist() == [2, 5, 7, 9]
    assert tasks.kind.tolist() == [4, 1, 3, 1]
    assert tasks.names.tolist() == ["", "", "seven", ""]
    assert tasks.row(7) == 2
    assert tasks.row(6) is None
    assert tasks.rows_of(np.array([9, 1, 2, 100])).tolist() == [3, -1, 0, -1]


def test_an_empty_table_knows_no_task() -> None:
    tasks = TaskTable()
    assert tasks.row(1) is None
    assert tasks.rows_of(np.array([1, 2])).tolist() == [-1, -1]


def test_a_task_announced_twice_is_one_row() -> None:
    tasks = folded(spawned([1, 1, 2], kind=[5, 6, 7]), spawned([2], kind=8)).tasks
    assert tasks.id.tolist() == [1, 2]
    assert tasks.kind.tolist() == [5, 7]


def test_rows_about_unknown_tasks_are_ignored() -> None:
    model = folded(
        spawned([1, 3]), polled([2, 3, 4], polls=[20, 30, 40]), named([2, 3], ["b", "c"]), ended([2, 3])
    )
    assert model.tasks.polls.tolist() == [0, 30]
    assert model.tasks.names.tolist() == ["", "c"]
    assert model.tasks.state.tolist() == [State.IDLE, State.DONE]


@pytest.mark.parametrize("code", ["b", "h", "i", "q"])
def test_columns_come_in_any_width(code: str) -> None:
    model = folded(spawned([1, 2]))
    message = polled([1, 2])
    narrow = type(message)(*[memoryview(array(code, [1, 2])) for _ in range(12)])
    model.fold(narrow)
    assert model.tasks.busy_ns.tolist() == [1, 2]
    assert model.tasks.waker_name.tolist() == [1, 2]


def test_time_in_the_present_state_counts() -> None:
    tasks = folded(
        spawned([1, 2, 3, 4], created=100),
        polled([1, 2, 3], [State.POLLING, State.SCHEDULED, State.IDLE], since=400, busy=50, scheduled=30),
        ended([4], at=250),
    ).tasks
    now = 1000
    assert tasks.busy_at(now).tolist() == [650, 50, 50, 0]
    assert tasks.scheduled_at(now).tolist() == [30, 630, 30, 0]
    assert tasks.current_poll_ns(now).tolist() == [600, 0, 0, 0]
    assert tasks.idle_ns(now).tolist() == [220, 220, 820, 150]
    assert tasks.age_ns(now, np.array([3, 0])).tolist() == [150, 900]


def test_a_task_that_ended_stays_ended() -> None:
    tasks = folded(
        spawned([1]), ended([1], Outcome.RAISED, at=9, exception=4), polled([1], State.IDLE, polls=3)
    ).tasks
    assert tasks.state.tolist() == [State.DONE]
    assert tasks.outcome.tolist() == [Outcome.RAISED]
    assert tasks.polls.tolist() == [3]


def test_what_a_newer_runtime_means_is_unknown() -> None:
    tasks = folded(spawned([1]), polled([1], state=9, waker_source=77), ended([1], outcome=55)).tasks
    assert tasks.waker_source.tolist() == [0]
    assert tasks.outcome.tolist() == [Outcome.UNKNOWN]


def test_tasks_that_ended_first_are_forgotten_first_and_live_ones_never() -> None:
    table = TaskTable()
    table.spawned(spawned(range(1, 101)))
    table.named(named(range(1, 101), [f"t{number}" for number in range(1, 101)]))
    table.ended(ended(range(11, 91), at=[1000 - number for number in range(11, 91)]))
    generation = table.generation
    table.evict(retained=20)
    # Those with the highest ids ended first here.
    assert table.id.tolist() == [*range(1, 11), *range(11, 31), *range(91, 101)]
    assert table.names.tolist() == [f"t{number}" for number in table.id]
    assert table.generation > generation


def test_eviction_waits_until_it_pays() -> None:
    table = TaskTable()
    table.spawned(spawned(range(1, 101)))
    table.ended(ended(range(1, 33)))
    table.evict(retained=20)  # An eighth of 100 rows more than 20 is 32.
    assert table.rows == 100
    table.ended(ended([33]))
    table.evict(retained=20)
    assert table.counts()[State.DONE] == 20


def test_the_model_evicts_at_its_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskTable.evict, "__defaults__", (8,))
    model = folded(spawned(range(1, 101)), ended(range(1, 100)))
    assert model.tasks.rows == 100
    model.fold(Tick(SECOND))
    assert model.tasks.rows == 9


def test_a_reset_takes_effect_at_its_tick_and_as_a_whole() -> None:
    model = folded(spawned([1, 2]), Tick(1), Reset(), spawned([2, 3]), polled([2], polls=5))
    assert model.tasks.id.tolist() == [1, 2]
    assert model.tasks.polls.tolist() == [0, 0]
    generation = model.tasks.generation
    model.fold(Tick(2))
    assert model.tasks.id.tolist() == [2, 3]
    assert model.tasks.polls.tolist() == [5, 0]
    assert model.tasks.generation > generation


def test_too_many_tasks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "TASKS", 10)
    model = folded(spawned(range(1, 11)))
    with pytest.raises(ProtocolError, match="11 tasks, the console takes 10"):
        model.fold(spawned([11]))


def test_too_long_names_are_refused_but_renaming_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "NAME_CHARS", 30)
    model = folded(spawned([1, 2]))
    for _ in range(10):
        model.fold(named([1, 2, 2], ["a" * 10, "b" * 15, "c" * 15]))
    assert model.tasks.names.tolist() == ["a" * 10, "c" * 15]
    with pytest.raises(ProtocolError, match="31 characters of task names"):
        model.fold(named([1], ["d" * 16]))


def test_names_are_cleaned_at_the_door() -> None:
    model = folded(spawned([1]), Named([1], ["\x1b[31mred"]))
    assert model.tasks.name(0) == r"\x1b[31mred"


def test_the_recent_past_is_one_to_two_steps_of_two_and_a_half_seconds() -> None:
    model = folded(spawned([1]), polled([1], polls=100), Tick(10 * SECOND))
    tasks = model.tasks
    assert tasks.recent("polls").tolist() == [0], "what was before the first tick is not recent"
    windows = []
    for step in range(1, 25):
        model.fold(polled([1], polls=100 + step))
        model.fold(Tick(10 * SECOND + step * SECOND // 2))
        windows.append((model.now_ns - tasks.recent_since_ns) / SECOND)
        assert tasks.recent("polls").tolist() == [round(windows[-1] * 2)]
    assert max(windows) == 4.5
    assert min(windows[9:]) == 2.5


def test_all_that_a_new_task_did_is_recent() -> None:
    model = folded(spawned([1]), Tick(SECOND), spawned([2]), polled([2], polls=7), Tick(2 * SECOND))
    assert model.tasks.recent("polls").tolist() == [0, 7]
