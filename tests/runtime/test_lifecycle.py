"""A task's record from spawn to end, in exact numbers, on every core and loop."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from asynctop.core import Core
from asynctop_protocol import LoopState, Outcome, State, WakerSource
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def wait(awaitable: Awaitable[Any]) -> None:
    await awaitable


def test_polls_wakes_and_self_wakes_are_exact(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        current = asyncio.current_task()
        assert current is not None
        current.set_name("main")
        await asyncio.create_task(steps(5), name="stepper")

    run(main())
    recorded.update()
    task = recorded.task("stepper")
    assert (task.state, task.outcome, task.polls, task.wakes) == (State.DONE, Outcome.RETURNED, 6, 6)
    # sleep(0) is a wake by the task itself; the first poll of an eager task is its maker's.
    assert task.self_wakes == 5
    assert task.busy_ns >= task.max_poll_ns > 0
    assert recorded.by_id[task.parent].name == "main"
    kind = recorded.kind("steps")
    assert (kind.spawned, kind.returned, kind.polls) == (1, 1, 6)
    assert (kind.busy_ns, kind.scheduled_ns) == (task.busy_ns, task.scheduled_ns)
    assert sum(kind.histograms) == 6


def test_outcomes(run: Run, recorded: Recorded) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("no such thing")

    async def main() -> None:
        forever = asyncio.get_running_loop().create_future()
        tasks = [
            asyncio.create_task(steps(1), name="returns"),
            asyncio.create_task(fails(), name="raises"),
            asyncio.create_task(wait(forever), name="cancelled"),
        ]
        await asyncio.sleep(0)
        tasks[2].cancel()
        await asyncio.wait(tasks)
        assert isinstance(tasks[1].exception(), ValueError)

    run(main())
    recorded.update()
    assert {name: recorded.task(name).outcome for name in ("returns", "raises", "cancelled")} == {
        "returns": Outcome.RETURNED,
        "raises": Outcome.RAISED,
        "cancelled": Outcome.CANCELLED,
    }
    assert recorded.task("raises").exception == "ValueError: no such thing"
    assert recorded.task("returns").exception == ""
    assert [recorded.kind("fails").raised, recorded.kind("wait").cancelled] == [1, 1]


def test_destroyed_while_pending(run: Run, recorded: Recorded, hooked: Core) -> None:
    contexts: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: contexts.append(context["message"]))
        task = asyncio.create_task(wait(loop.create_future()), name="orphan")
        await asyncio.sleep(0)
        recorded.update()
        assert recorded.task("orphan").state == State.IDLE
        del task
        gc.collect()
        await asyncio.sleep(0)

    run(main())
    recorded.update()
    assert contexts == ["Task was destroyed but it is pending!"]
    task = recorded.task("orphan")
    assert (task.state, task.outcome, task.polls) == (State.DONE, Outcome.DESTROYED, 1)
    assert recorded.kind("wait").destroyed == 1


def test_wakers(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        names = ("task", "timer", "io", "callback", "thread", "signal")
        futures = {name: loop.create_future() for name in names}
        tasks = [asyncio.create_task(wait(futures[name]), name=name) for name in names]
        await asyncio.sleep(0)

        def wake(name: str) -> None:
            futures[name].set_result(None)

        async def waker() -> None:
            wake("task")

        def on_readable() -> None:
            os.read(reader, 1)
            wake("io")
            loop.remove_reader(reader)

        def on_signal() -> None:
            wake("signal")
            loop.remove_signal_handler(signal.SIGUSR1)

        await loop.create_task(waker(), name="waker")
        loop.call_later(0.001, wake, "timer")
        loop.call_soon(wake, "callback")
        reader, writer = os.pipe()
        loop.add_reader(reader, on_readable)
        os.write(writer, b"x")
        loop.add_signal_handler(signal.SIGUSR1, on_signal)
        os.kill(os.getpid(), signal.SIGUSR1)
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(wake, "thread"))
        thread.start()
        await asyncio.gather(*tasks)
        thread.join()
        os.close(reader)
        os.close(writer)

    run(main())
    recorded.update()
    found = {
        name: (WakerSource(recorded.task(name).waker_source), recorded.task(name).waker_name.split(".")[-1])
        for name in ("task", "timer", "io", "callback", "thread", "signal")
    }
    assert found == {
        "task": (WakerSource.TASK, ""),
        "timer": (WakerSource.TIMER, "wake"),
        "io": (WakerSource.IO, "on_readable"),
        "callback": (WakerSource.CALLBACK, "wake"),
        "thread": (WakerSource.THREAD, "wake"),
        "signal": (WakerSource.SIGNAL, "on_signal"),
    }
    assert recorded.by_id[recorded.task("task").waker_task].name == "waker"
    assert recorded.task("timer").waker_task == 0


def test_a_task_in_each_state(run: Run, recorded: Recorded) -> None:
    seen: dict[str, State] = {}

    async def main() -> None:
        loop = asyncio.get_running_loop()
        idle = asyncio.create_task(wait(loop.create_future()), name="idle")
        future = loop.create_future()
        scheduled = asyncio.create_task(wait(future), name="scheduled")
        await asyncio.sleep(0)
        future.set_result(None)
        current = asyncio.current_task()
        assert current is not None
        current.set_name("me")
        recorded.update()
        seen.update({name: State(recorded.task(name).state) for name in ("idle", "scheduled")})
        (me,) = [row for row in recorded.by_id.values() if row.state == State.POLLING]
        (row,) = recorded.loops
        assert (row.current_task, row.state) == (me.id, LoopState.RUNNING)
        assert row.thread == threading.current_thread().name
        idle.cancel()
        await asyncio.wait([idle, scheduled])

    run(main())
    assert seen == {"idle": State.IDLE, "scheduled": State.SCHEDULED}
    recorded.update()
    assert [row.state for row in recorded.loops] == [LoopState.CLOSED]


def test_a_name_set_late_is_told(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        future = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(wait(future), name="before")
        await asyncio.sleep(0)
        recorded.update()
        number = recorded.task("before").id
        task.set_name("after")
        future.set_result(None)
        await task
        recorded.update()
        assert recorded.by_id[number].name == "after"

    run(main())


def test_two_cursors_at_different_speeds_agree(run: Run, recorded: Recorded, hooked: Core) -> None:
    slow = Recorded(hooked)

    async def main() -> None:
        slow.update()
        for round_ in range(20):
            await asyncio.gather(*(steps(each) for each in range(10)))
            recorded.update()
            if round_ == 10:
                slow.update(drain=False)

    run(main())
    recorded.update()
    slow.update(drain=False)
    assert {number: row.values for number, row in slow.by_id.items()} == {
        number: row.values for number, row in recorded.by_id.items()
    }
    assert (slow.texts, slow.kinds) == (recorded.texts, recorded.kinds)
    assert recorded.kind("steps").polls == 20 * sum(range(1, 11))


def test_nothing_new_says_only_loops_and_the_time(run: Run, recorded: Recorded) -> None:
    run(steps(1))
    assert recorded.update()[0] == "Reset"
    recorded.update()
    assert recorded.update() == ["Loops", "Tick"]


@pytest.mark.parametrize("drain_every", [1, 7, 10_000])
def test_sums_are_exact_under_churn_whatever_is_retained(
    run: Run, recorded: Recorded, drain_every: int
) -> None:
    async def main() -> None:
        for start in range(0, 6000, 100):
            await asyncio.gather(*(steps(1) for _ in range(100)))
            if start % (drain_every * 100) == 0:
                recorded.update()

    run(main())
    recorded.update()
    kind = recorded.kind("steps")
    assert (kind.spawned, kind.returned, kind.polls, sum(kind.histograms)) == (6000, 6000, 12000, 12000)


def test_a_console_that_comes_late_is_told_of_retained_tasks_only(
    run: Run, recorded: Recorded, hooked: Core
) -> None:
    async def main() -> None:
        for _ in range(30):
            await asyncio.gather(*(steps(1) for _ in range(100)))
            hooked.drain()

    run(main())
    for _ in range(2):  # what is too much is evicted at the start of a drain
        hooked.drain()
    late = Recorded(hooked)
    assert late.update()[0] == "Reset"
    assert len(late.by_id) == 2000
    assert late.kind("steps").spawned == 3000


def test_a_console_that_fell_behind_begins_again(run: Run, recorded: Recorded, hooked: Core) -> None:
    async def main() -> None:
        first = asyncio.create_task(steps(3), name="known alive")
        await asyncio.sleep(0)
        recorded.update()
        assert recorded.task("known alive").state != State.DONE
        await first
        for _ in range(30):
            await asyncio.gather(*(steps(1) for _ in range(100)))
            hooked.drain()

    run(main())
    hooked.drain()
    assert recorded.update()[0] == "Reset"
    assert "known alive" not in [row.name for row in recorded.by_id.values()]


def test_kinds_are_bounded(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        for number in range(4200):
            names: dict[str, Any] = {}
            exec(f"async def made_{number}(): pass", names)
            await asyncio.create_task(names[f"made_{number}"]())
        recorded.update()

    run(main())
    assert len(recorded.kinds) == 4096
    assert sum(row.spawned for row in recorded.totals.values()) == 4201


class Thing:
    """Something to hold on to."""


def test_records_keep_nothing_of_the_program_alive(run: Run, recorded: Recorded) -> None:
    refs: list[weakref.ref[Any]] = []

    async def ends(thing: Thing) -> None:
        await asyncio.sleep(0)
        if len(refs) % 2:
            raise LookupError(thing)

    async def pends(thing: Thing) -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        for function in (ends, ends, pends):
            thing = Thing()
            coroutine = function(thing)
            task = asyncio.create_task(coroutine)
            refs.extend(map(weakref.ref, (thing, coroutine, task)))
            if function is ends:
                await asyncio.wait([task])
            else:
                await asyncio.sleep(0)
            recorded.update()
        del thing, coroutine, task
        await asyncio.sleep(0)

    run(main())
    recorded.update()
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)
    assert len(recorded.by_id) >= 4
