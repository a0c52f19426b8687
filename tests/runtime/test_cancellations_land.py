"""Cancellations as they land: who requested them, when, and where they are raised. Both cores, all loops."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest

from asynctop.cancellation_log import MOST_TASKS, CancellationLog
from asynctop.core import Core
from asynctop.hooks.cancellations import CancellationHooks
from asynctop_protocol import Cancellation, WakerSource

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def log() -> CancellationLog:
    return CancellationLog(lambda: None)


@pytest.fixture
def landed(
    hooked: Core, log: CancellationLog, faults: list[Exception]
) -> Iterator[Callable[[], list[Cancellation]]]:
    """What has landed so far."""
    hooks = CancellationHooks(hooked, log, faults.append)
    hooks.start()
    try:
        yield lambda: [place.record for place in log._places.values()]
    finally:
        hooks.stop()


def functions(stack: list[tuple[str, str, int]]) -> list[str]:
    """The last part of their names, of those of this module."""
    return [function.rpartition(".")[2] for function, file, _ in stack if file == __file__]


async def reads() -> None:
    await asyncio.Event().wait()


async def settled(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_task_that_cancels_another_one_is_known(
    run: Run, hooked: Core, landed: Callable[[], list[Cancellation]]
) -> None:
    async def waits_after(task: asyncio.Task[Any]) -> None:
        await asyncio.sleep(0)
        task.cancel()
        await settled(task)

    async def main() -> tuple[int, int]:
        task = asyncio.create_task(reads())
        other = asyncio.create_task(waits_after(task))
        await asyncio.sleep(0)
        numbers = hooked.identify(task), hooked.identify(other)
        await other
        return numbers

    number, by = run(main())
    (found,) = landed()
    assert (list(found.tasks), found.count, found.source, found.by) == ([number], 1, WakerSource.TASK, by)
    assert functions(found.stack) == ["reads"]
    assert functions(found.by_stack) == ["waits_after", "settled"]
    assert 0 < found.requested_ns < found.landed_ns
    assert found.timeout == []


def test_who_waits_for_the_task_that_is_cancelled_in_its_place_is_told_too(
    run: Run, hooked: Core, landed: Callable[[], list[Cancellation]]
) -> None:
    async def gathers(task: asyncio.Task[Any]) -> None:
        await asyncio.gather(task)

    async def awaits(task: asyncio.Task[Any]) -> None:
        await task

    async def main() -> list[int]:
        inner = asyncio.create_task(reads())
        middle = asyncio.create_task(gathers(inner))
        outer = asyncio.create_task(awaits(middle))
        for _ in range(3):
            await asyncio.sleep(0)
        numbers = [hooked.identify(task) for task in (inner, middle, outer)]
        outer.cancel()
        await settled(inner, middle, outer)
        return numbers

    numbers = run(main())
    found = landed()
    assert [list(each.tasks) for each in found] == [[number] for number in numbers]
    assert {each.source for each in found} == {WakerSource.TASK}
    assert [functions(each.stack) for each in found] == [["reads"], ["gathers"], ["awaits"]]


@pytest.mark.parametrize("way", ["timeout", "wait_for"])
def test_a_timeout_that_fires_says_where_it_was_set_and_what_it_interrupts(
    run: Run, landed: Callable[[], list[Cancellation]], way: str
) -> None:
    async def sets() -> None:
        if way == "wait_for":
            await asyncio.wait_for(reads(), 0.05)  # in which its task begins to read
        async with asyncio.timeout(0.05):  # a timer of the loop's, which a shorter one need not come to be
            await reads()

    async def main() -> None:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.create_task(sets())

    run(main())
    (found,) = landed()
    assert found.count == 3
    assert functions(found.timeout)[-1] == "sets"
    assert functions(found.stack)[-1] == "reads"
    if way == "timeout" or sys.version_info >= (3, 12):
        assert (found.source, found.name) == (WakerSource.TIMER, "Timeout._on_timeout")


async def spins() -> None:
    while True:  # noqa: ASYNC110
        await asyncio.sleep(0)


def test_a_timeout_that_fires_while_its_task_is_about_to_run_is_known_too(
    run: Run, landed: Callable[[], list[Cancellation]]
) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await spins()

    run(main())
    (found,) = landed()
    assert (found.source, found.name, found.requested_ns) == (WakerSource.TIMER, "Timeout._on_timeout", 0)
    assert functions(found.timeout) == ["main"]
    assert functions(found.stack) == ["main", "spins"]


@pytest.mark.parametrize("first", [spins, reads])
def test_a_timeout_is_not_taken_for_who_cancels_after_it(
    run: Run, landed: Callable[[], list[Cancellation]], first: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    async def swallows() -> None:
        async with asyncio.timeout(0.01):
            with suppress(asyncio.CancelledError):
                await first()
            await spins()

    async def main() -> None:
        task = asyncio.create_task(swallows())
        while not landed():  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        await settled(task)

    run(main())
    timeout, other = landed()
    assert functions(timeout.timeout) == ["swallows"]
    assert (other.source, other.timeout) == (WakerSource.UNKNOWN, [])


def test_a_timeout_around_a_task_is_that_of_who_waits_for_it(
    run: Run, landed: Callable[[], list[Cancellation]]
) -> None:
    async def sets() -> None:
        task = asyncio.create_task(reads())
        await asyncio.sleep(0)  # until it reads
        async with asyncio.timeout(0.001):
            await task

    with pytest.raises(TimeoutError):
        run(sets())
    found = landed()
    assert len(found) == 2
    assert all(functions(each.timeout) == ["sets"] for each in found)


def test_who_cancels_a_task_that_is_about_to_run_is_not_known(
    run: Run, landed: Callable[[], list[Cancellation]]
) -> None:
    async def main() -> None:
        task = asyncio.create_task(asyncio.sleep(0))
        task.cancel()
        await settled(task)

    run(main())
    (found,) = landed()
    assert (found.source, found.by, found.requested_ns) == (WakerSource.UNKNOWN, 0, 0)


def test_errors_that_a_program_makes_are_no_cancellations(
    run: Run, landed: Callable[[], list[Cancellation]]
) -> None:
    class TwofoldError(asyncio.CancelledError, OSError):
        pass

    async def main() -> None:
        assert asyncio.CancelledError("text", 2).args == ("text", 2)
        assert TwofoldError(2, "text").errno == 2
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.cancel)
        with pytest.raises(asyncio.CancelledError):
            await future
        with pytest.raises(TypeError, match="keyword"):
            asyncio.CancelledError(text=1)  # type: ignore[call-arg]

    run(main())
    assert landed() == []


def test_the_error_is_the_programs_own_again_afterwards(
    core: Core, log: CancellationLog, faults: list[Exception]
) -> None:
    hooks = CancellationHooks(core, log, faults.append)
    before = asyncio.CancelledError.__init__
    hooks.start()
    assert asyncio.CancelledError.__init__ is not before
    hooks.stop()
    assert asyncio.CancelledError.__init__ is before
    assert "__init__" not in vars(asyncio.CancelledError)


def test_the_log_keeps_the_last_tasks_of_a_place(log: CancellationLog) -> None:
    place = [("f", "f.py", 1)]
    for task in [*range(MOST_TASKS + 5), 7]:
        log.note(task, Cancellation(0, 0, [], 1, 2, WakerSource.TIMER, 0, "x", [], place, []))
    (found,) = [each.record for each in log._places.values()]
    assert found.count == MOST_TASKS + 6
    assert list(found.tasks)[-2:] == [MOST_TASKS + 4, 7]
    assert len(found.tasks) == MOST_TASKS
