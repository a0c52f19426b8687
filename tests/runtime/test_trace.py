"""The trace: every poll of every task, with the wake that led to it, while a console wants to know."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest

from asynctop.core import Core
from asynctop.core.contract import TRACED, TRACED_SAFELY
from asynctop.core.python import collector
from asynctop.core.python.collector import ROWS
from asynctop_protocol import WakerSource
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def numbers(recorded: Recorded) -> list[int]:
    return sorted(recorded.traced)


def test_every_poll_of_every_task_is_told(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        recorded.update()
        recorded.trace()
        ready = asyncio.Event()

        async def waits() -> None:
            await ready.wait()
            await steps(2)

        waiting = asyncio.create_task(waits(), name="waits")
        await steps(1)
        asyncio.get_running_loop().call_later(0.001, ready.set)
        await waiting
        for count in (0, 3, 40):
            await asyncio.create_task(steps(count), name=f"{count} steps")

    run(main())
    recorded.update()
    assert recorded.dropped == {}
    assert numbers(recorded) == list(range(1, len(recorded.traced) + 1))
    ended = [recorded.traced[number].ended_ns for number in numbers(recorded)]
    assert ended == sorted(ended)
    main_task = recorded.task("waits").parent
    for row in recorded.by_id.values():
        polls = recorded.history[row.id]
        if row.id != main_task:  # its first poll was under way
            assert len(polls) == row.polls
            assert sum(poll.ended_ns - poll.started_ns for poll in polls) == row.busy_ns
            assert sum(poll.started_ns - poll.woken_ns for poll in polls) == row.scheduled_ns
            assert polls[0].waker_task == row.parent
        assert all(former.ended_ns <= latter.started_ns for former, latter in pairwise(polls))
    waits_id = recorded.task("waits").id
    by = [(WakerSource(poll.waker_source), poll.waker_task) for poll in recorded.history[waits_id]]
    assert by == [
        (WakerSource.TASK, main_task),
        (WakerSource.TIMER, 0),
        (WakerSource.TASK, waits_id),
        (WakerSource.TASK, waits_id),
    ]


def test_a_poll_that_is_going_on_is_left_out(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        recorded.update()
        recorded.trace()
        await steps(2)
        recorded.update()
        (row,) = recorded.by_id.values()
        assert row.polls == 2
        assert len(recorded.history[row.id]) == 1

    run(main())


def test_nothing_is_told_unless_it_is_asked_for(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        await steps(3)
        recorded.trace()
        await steps(3)
        recorded.update()
        told = len(recorded.traced)
        recorded.trace(None)
        await steps(3)
        recorded.update()
        assert len(recorded.traced) == told
        recorded.trace()
        await steps(3)
        recorded.update()
        assert numbers(recorded) == [1, 2], "a new trace begins at 1"

    run(main())


def test_tasks_that_come_and_go_unseen_are_told_too(run: Run, recorded: Recorded) -> None:
    count = 5000

    async def main() -> None:
        recorded.update()
        recorded.trace()
        for _ in range(count):
            await asyncio.create_task(steps(1))

    run(main())
    recorded.update()
    assert len(recorded.history) >= count > len(recorded.by_id)


def test_two_consoles_trace_and_one_leaves(hooked: Core, run: Run) -> None:
    first, second = Recorded(hooked), Recorded(hooked)

    async def main() -> None:
        first.trace()
        await steps(3)
        second.trace()
        await steps(3)
        for console in (first, second):
            console.update()
        assert numbers(second) == numbers(first)[-3:], "they number alike"
        first.trace(None)
        await steps(3)
        for console in (first, second):
            console.update()
        assert numbers(second) == list(range(numbers(second)[0], numbers(first)[-1] + 4))
        second.trace(None)

    run(main())


def test_another_console_goes_on_without_a_gap(hooked: Core, run: Run) -> None:
    first, second = Recorded(hooked), Recorded(hooked)

    async def main() -> None:
        first.trace()
        await steps(5)
        first.update()
        last = numbers(first)[-1]
        await steps(5)
        second.update()
        second.trace(last)
        first.trace(None)
        await steps(5)
        second.update()
        assert numbers(second) == list(range(last + 1, last + 11))
        second.trace(None)

    run(main())


def test_another_console_begins_with_what_is_kept(hooked: Core, run: Run) -> None:
    keeper, console = Recorded(hooked), Recorded(hooked)

    async def main() -> None:
        keeper.trace()
        await steps(50)
        console.update()
        console.trace(-1)
        console.update()
        assert numbers(console) == list(range(1, 50))
        await steps(TRACED)
        console.trace(None)
        console.trace(-1)
        console.update()
        assert numbers(console)[49:] == list(range(50 + TRACED - TRACED_SAFELY, 50 + TRACED))
        assert console.dropped == {}
        for each in (keeper, console):
            each.trace(None)

    run(main())


def test_what_is_not_read_in_time_is_counted(run: Run, recorded: Recorded) -> None:
    more = 1000

    async def main() -> None:
        recorded.update()
        recorded.trace()
        await asyncio.create_task(steps(TRACED + more), name="busy")

    run(main())
    recorded.update()
    polls = sum(row.polls for row in recorded.by_id.values())
    assert len(recorded.traced) == TRACED
    assert recorded.dropped == {"trace": polls - 1 - TRACED}, "one was under way at the beginning"
    last = recorded.traced[numbers(recorded)[-1]]
    assert last.ended_ns == max(row.ended_ns for row in recorded.by_id.values())
    recorded.update()
    assert recorded.dropped == {"trace": polls - 1 - TRACED}, "not twice"


def test_what_takes_too_long_to_tell_of_a_trace_is_left_out_and_counted(
    monkeypatch: pytest.MonkeyPatch, run: Run, core: Core, recorded: Recorded
) -> None:
    monkeypatch.setattr(collector, "TRACING_NS", -1)

    async def main() -> None:
        recorded.update()
        recorded.trace()
        await steps(5 * ROWS)
        assert recorded.update(last=False)[-1] == "Tick"
        polls = 5 * ROWS - 1  # one was under way at the beginning
        told = polls if core.sends else ROWS
        left_out = {"trace": polls - told} if told < polls else {}
        assert numbers(recorded) == list(range(1, told + 1))
        assert recorded.dropped == left_out
        await steps(100)
        recorded.update(last=False)
        assert numbers(recorded)[told:] == list(range(polls + 1, polls + 101))
        assert recorded.dropped == left_out
        recorded.trace(None)

    run(main())


def test_loops_in_several_threads_share_the_trace(hooked: Core, run: Run) -> None:
    recorded = Recorded(hooked)
    recorded.trace()
    threads = [threading.Thread(target=run, args=(steps(3000),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorded.update()
    assert numbers(recorded) == list(range(1, len(recorded.traced) + 1))
    assert {row.id: row.polls for row in recorded.by_id.values()} == {
        task: len(polls) for task, polls in recorded.history.items()
    }
    recorded.trace(None)


def test_a_trace_does_not_outlive_the_core(hooked: Core, run: Run) -> None:
    console = Recorded(hooked)

    async def main() -> None:
        console.trace()
        await steps(2)
        hooked.forget()
        await steps(2)

    run(main())
    console.trace(None)


def test_a_forked_process_begins_without_a_trace(hooked: Core, run: Run) -> None:
    before, after = Recorded(hooked), Recorded(hooked)

    async def main() -> None:
        before.trace()
        await steps(2)
        hooked.restart()
        await steps(2)

    run(main())
    after.trace()
    run(steps(2))
    after.update()
    assert numbers(after) == list(range(1, len(after.traced) + 1))
    before.trace(None)
    run(steps(2))
    told = len(after.traced)
    after.update()
    assert len(after.traced) > told, "the end of the one is not that of the other"
    after.trace(None)
