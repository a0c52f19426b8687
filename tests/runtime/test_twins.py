"""The cores are twins: the same program, run under each in turn, comes to the same in all that is no time.

The stall threshold is below nothing here: every poll and every callback is told, in order, with its name.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import gc
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from asynctop.core import Core, make_core
from conftest import LOOPS, cores, hooks
from recorded import Recorded

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Program = Callable[[], Coroutine[Any, Any, None]]

BLOCKED_NS = 20_000_000


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def fails(error: BaseException, after: int = 0) -> None:
    await steps(after)
    raise error


async def wait(awaitable: Any) -> Any:
    return await awaitable


# -- programs --


async def gathers() -> None:
    assert await asyncio.gather(steps(0), steps(1), asyncio.sleep(0, "slept"), wait(steps(2)))
    async with asyncio.TaskGroup() as group:
        for count in range(3):
            group.create_task(steps(count), name=f"grouped {count}")


async def raises() -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise AssertionError("its text is the program's own")

    errors = [
        ValueError("a text"),
        ValueError("a text", 2, None),
        KeyError("key"),
        UnspeakableError("quiet"),
        OSError(2, "No such file", "/nowhere"),
        RuntimeError("long" * 100),
        BaseExceptionGroup("group", [ValueError(1)]),
        asyncio.CancelledError("by itself"),
    ]
    tasks = [
        asyncio.create_task(fails(error, after), name=f"{type(error).__name__} after {after}")
        for error in errors
        for after in (0, 2)
    ]
    await asyncio.gather(*tasks, return_exceptions=True)


async def cancels() -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    never_polled = asyncio.create_task(steps(1), name="never polled")
    never_polled.cancel()
    asleep = asyncio.create_task(asyncio.sleep(60), name="asleep")
    refuses = asyncio.create_task(stubborn(), name="refuses")
    late = asyncio.create_task(steps(3), name="cancelled while scheduled")
    await steps(2)
    for task in (asleep, refuses, late):
        task.cancel()
    await asyncio.wait([never_polled, asleep, refuses, late])
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    except TimeoutError:
        pass
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0)
    except TimeoutError:
        pass


async def timers_and_callbacks() -> None:
    loop: Any = asyncio.get_running_loop()

    class Setter:
        def __call__(self, future: asyncio.Future[None]) -> None:
            future.set_result(None)

        def method(self, future: asyncio.Future[None]) -> None:
            future.set_result(None)

    def function(future: asyncio.Future[None]) -> None:
        future.set_result(None)

    for number, callback in enumerate(
        (Setter(), Setter().method, function, functools.partial(functools.partial(function)))
    ):
        for schedule in (loop.call_soon, functools.partial(loop.call_later, 0.0005)):
            future = loop.create_future()
            waiting = loop.create_task(wait(future), name=f"for {number} by {schedule is loop.call_soon}")
            await asyncio.sleep(0)
            schedule(callback, future)
            await waiting
    await asyncio.sleep(0.0005)
    cancelled = loop.call_soon(function, None)
    cancelled.cancel()
    contextvars.copy_context().run(loop.call_soon, loop.create_task, steps(1))
    await steps(3)


async def queues() -> None:
    queue = asyncio.Queue[int](2)

    async def produce() -> None:
        for number in range(10):
            await queue.put(number)

    async def consume() -> None:
        for _ in range(10):
            await queue.get()

    lock, event = asyncio.Lock(), asyncio.Event()

    async def locked() -> None:
        async with lock:
            await event.wait()

    tasks = [asyncio.create_task(work(), name=work.__name__) for work in (produce, consume, locked, locked)]
    await asyncio.wait(tasks[:2])
    event.set()
    await asyncio.wait(tasks)


async def thread_wakes() -> None:
    loop = asyncio.get_running_loop()
    for number in range(3):
        future = loop.create_future()
        waiting = loop.create_task(wait(future), name=f"woken by thread {number}")
        await asyncio.sleep(0)
        thread = threading.Thread(
            target=loop.call_soon_threadsafe, args=(future.set_result, None), name="waker"
        )
        thread.start()
        await waiting
        thread.join()
    own = loop.create_future()
    loop.call_soon_threadsafe(own.set_result, None)
    await own


async def destroyed() -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: None)

    async def cycle() -> None:
        future = loop.create_future()
        await future  # nobody else knows either

    before = gc.isenabled()
    gc.disable()
    for polled in (0, 1, 2):
        loop.create_task(cycle(), name=f"destroyed {polled}")  # noqa: RUF006
        await steps(polled)
    gc.collect()
    await steps(1)
    gc.collect()
    if before:
        gc.enable()


async def names() -> None:
    for name in ("", "x" * 300, "snow \u2603", "half \ud800", "Task-1", "Task-01", "Task-1e3"):
        task = asyncio.create_task(steps(2), name=name)
        await task
    late = asyncio.create_task(steps(4), name="early")
    await steps(2)
    late.set_name("late")
    await late
    number: Any = 5
    asyncio.create_task(steps(1)).set_name(number)
    await steps(3)


async def many_unseen() -> None:
    for _ in range(5):
        await asyncio.gather(*(steps(1) for _ in range(600)))


async def unlike_others() -> None:
    loop = asyncio.get_running_loop()
    py_task: Any = asyncio.tasks._PyTask  # type: ignore[attr-defined]

    class Own(asyncio.Task[Any]):
        pass

    def generator() -> Iterator[None]:
        yield

    class Bare:
        def __await__(self) -> Iterator[None]:
            yield

    for kind in (py_task, Own):
        await kind(steps(2), loop=loop, name="by itself")
        error = kind(fails(ValueError("text"), 1), loop=loop, name="fails")
        await asyncio.wait([error])
        assert error.exception()
        dropped = kind(wait(loop.create_future()), loop=loop, name="cancelled")
        await steps(1)
        dropped.cancel()
        await asyncio.wait([dropped])
    bare: Any = Bare()
    await asyncio.ensure_future(bare)

    def factory(loop: Any, coroutine: Any, **kwargs: Any) -> Any:
        made = Own(coroutine, loop=loop, **kwargs)
        made.set_name("by the factory")
        return made

    before = loop.get_task_factory()
    loop.set_task_factory(factory)
    await loop.create_task(steps(2))
    loop.set_task_factory(before)


PROGRAMS: dict[str, Program] = {
    each.__name__: each
    for each in (
        gathers,
        raises,
        cancels,
        timers_and_callbacks,
        queues,
        thread_wakes,
        destroyed,
        names,
        many_unseen,
        unlike_others,
    )
}


# -- what a core says of a program --


@dataclass
class Account:
    """Everything a console is told, without times, and each poll and callback in order."""

    tasks: list[dict[str, Any]]
    kinds: list[dict[str, Any]]
    loops: list[dict[str, Any]]
    polls: list[Any]


TIMES = {"created_ns", "since_ns", "busy_ns", "scheduled_ns", "max_poll_ns", "ended_ns", "histograms"}
LOOP_TIMES = {
    "callbacks",
    "busy_ns",
    "max_lag_ns",
    "max_lag_ever_ns",
    "current_since_ns",
    "turns",
    "max_turn_ns",
    "max_turn_ever_ns",
    "max_turn_since_ns",
    "max_turn_polls",
    "max_turn_poll_ns",
    "max_turn_kind",
}


def account(core_name: str, program: Program, loop: str, monkeypatch: pytest.MonkeyPatch) -> Account:
    """What the core says of the program."""
    monkeypatch.setenv("ASYNCTOP_CORE", core_name)
    faults: list[Exception] = []
    core = make_core(-1, faults.append)
    recorded = Recorded(core)
    try:
        first = int(asyncio.run(named_by_asyncio())[len("Task-") :])
        with hooks(core), asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(program())
        recorded.update()
        assert faults == []
        return told(core, recorded, first)
    finally:
        core.forget()


async def named_by_asyncio() -> str:
    task = asyncio.current_task()
    assert task is not None
    return task.get_name()


def told(core: Core, recorded: Recorded, first: int) -> Account:
    """The account of what is over. asyncio's names are counted from `first` on."""
    numbers = {0: 0} | {task: number for number, task in enumerate(sorted(recorded.by_id), 1)}

    def steady_name(name: str) -> str:
        start, _, number = name.rpartition("-")
        ours = start == "Task" and number.isdecimal() and int(number) > first
        return f"Task-(first + {int(number) - first})" if ours else name

    def steady(row: dict[str, Any]) -> dict[str, Any]:
        row = {name: value for name, value in row.items() if name not in TIMES}
        for name in row.keys() & {"id", "parent", "waker_task"}:
            row[name] = numbers.get(row[name], "not told")
        if "name" in row:
            row["name"] = steady_name(row["name"])
        return row

    return Account(
        [steady(recorded.by_id[task].values) for task in sorted(recorded.by_id)],
        [recorded.kinds[number] | steady(row.values) for number, row in sorted(recorded.totals.items())],
        [
            {name: each for name, each in row.values.items() if name not in LOOP_TIMES}
            for row in recorded.loops
        ],
        [
            (each.loop, numbers.get(each.task, "not told"), each.kind, steady_name(each.name))
            for each in core.long_polls()
            if not each.name.endswith("_read_from_self")  # when threads are heard is up to the system
        ],
    )


if len(cores()) > 1:

    @pytest.mark.parametrize("loop", LOOPS)
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_the_twins_say_the_same(monkeypatch: pytest.MonkeyPatch, program: str, loop: str) -> None:
        first, *others = [account(name, PROGRAMS[program], loop, monkeypatch) for name in cores()]
        assert first.tasks
        assert first.polls
        for other in others:
            assert other.tasks == first.tasks
            assert other.kinds == first.kinds
            assert other.loops == first.loops
            assert other.polls == first.polls


class WakesBeforehand:
    """To be awaited: wakes the task that awaits it, then blocks, and only then ends its poll."""

    _asyncio_future_blocking = False

    def __await__(self) -> Iterator[Any]:
        self._asyncio_future_blocking = True
        yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def add_done_callback(self, wake: Callable[[Any], object], *, context: Any = None) -> None:
        asyncio.get_running_loop().call_soon(wake, self, context=context)
        until = time.monotonic_ns() + BLOCKED_NS
        while time.monotonic_ns() < until:
            time.sleep(0.001)

    def result(self) -> None:
        pass


def test_a_task_that_wakes_itself_waits_from_the_end_of_its_poll_on(run: Run, recorded: Recorded) -> None:
    async def main() -> int:
        began = time.monotonic_ns()
        task = asyncio.create_task(wait(WakesBeforehand()), name="wakes itself")
        await asyncio.wait([task])
        return time.monotonic_ns() - began

    took = run(main())
    recorded.update()
    task = recorded.task("wakes itself")
    assert (task.polls, task.self_wakes) == (2, 1)
    assert task.busy_ns >= BLOCKED_NS
    # The two are apart: together they fit into its life. (Their clocks may differ by a little.)
    assert task.busy_ns + task.scheduled_ns < took + BLOCKED_NS // 2
