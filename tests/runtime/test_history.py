"""Tasks that somebody watches: each of their polls with the wake that led to it, and their histograms."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from asynctop.core import Core
from asynctop.core.contract import EARNED, POLLS_KEPT, RETAINED
from asynctop_protocol import MAX_WATCHED, WakerSource
from recorded import Recorded, Row

Run = Callable[[Coroutine[Any, Any, Any]], Any]

MERGED = 11
"""The lowest bucket that the C core tells apart."""


def begin(recorded: Recorded, name: str) -> int:
    """Watch the task of this name; returns its id."""
    recorded.update()
    task: int = recorded.task(name).id
    recorded.watch(task)
    return task


def wakers(polls: list[Row]) -> list[tuple[WakerSource, int, str]]:
    return [(WakerSource(poll.waker_source), poll.waker_task, poll.waker_name) for poll in polls]


def buckets(counts: list[int]) -> Counter[int]:
    """A histogram by bucket; what the C core does not tell apart is one."""
    found: Counter[int] = Counter()
    for bucket, count in enumerate(counts):
        found[max(bucket, MERGED)] += count
    return +found


def bucket_of(ns: int) -> int:
    return max((ns * ns).bit_length(), MERGED)


def spent(polls: list[Row]) -> tuple[Counter[int], Counter[int]]:
    """Polls by bucket of their duration, and of their wait."""
    return (
        Counter(bucket_of(poll.ended_ns - poll.started_ns) for poll in polls),
        Counter(bucket_of(poll.started_ns - poll.woken_ns) for poll in polls),
    )


def quantile(histogram: Counter[int], q: float) -> int:
    """The bucket that a share q of all does not exceed."""
    left = q * histogram.total()
    for bucket in sorted(histogram):
        left -= histogram[bucket]
        if left <= 0:
            return bucket
    return max(histogram)


def line_of(text: str) -> tuple[str, int]:
    """Where this is in this file, of the lines that end with it."""
    lines = Path(__file__).read_text().splitlines()
    (found,) = [number for number, line in enumerate(lines, 1) if line.endswith(text)]
    return __file__, found


def block(ns: int) -> None:
    until = time.monotonic_ns() + ns
    while time.monotonic_ns() < until:
        pass


async def steps(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_each_poll_and_who_woke_the_task(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(5)]

        async def work() -> None:
            for future in futures:
                await future
            await steps(2)

        def by_callback(future: asyncio.Future[None]) -> None:
            future.set_result(None)

        task = asyncio.create_task(work(), name="watched")
        await steps(2)
        begin(recorded, "watched")
        before = recorded.task("watched").values.copy()
        futures[0].set_result(None)
        await steps(2)
        loop.call_soon(by_callback, futures[1])
        await futures[1]
        loop.call_later(0.001, by_callback, futures[2])
        await futures[2]
        thread = threading.Thread(target=loop.call_soon_threadsafe, args=(by_callback, futures[3]))
        thread.start()
        await futures[3]
        thread.join()
        futures[4].set_result(None)
        await task
        recorded.update()
        row = recorded.task("watched")
        polls = recorded.history[row.id]
        maker, name = row.parent, by_callback.__qualname__
        assert wakers(polls) == [
            (WakerSource.TASK, maker, ""),
            (WakerSource.CALLBACK, 0, name),
            (WakerSource.TIMER, 0, name),
            (WakerSource.THREAD, 0, name),
            (WakerSource.TASK, maker, ""),
            (WakerSource.TASK, row.id, ""),
            (WakerSource.TASK, row.id, ""),
        ]
        assert len(polls) == row.polls - before["polls"]
        assert sum(poll.ended_ns - poll.started_ns for poll in polls) == row.busy_ns - before["busy_ns"]
        assert (
            sum(poll.started_ns - poll.woken_ns for poll in polls)
            == row.scheduled_ns - before["scheduled_ns"]
        )
        assert all(poll.woken_ns <= poll.started_ns <= poll.ended_ns for poll in polls)
        assert all(former.ended_ns <= latter.woken_ns for former, latter in pairwise(polls))
        assert recorded.dropped == {}

    run(main())


def test_where_each_poll_has_yielded(run: Run, recorded: Recorded) -> None:
    places: list[tuple[str, int]] = []

    async def numbers() -> AsyncGenerator[int, None]:
        try:
            await asyncio.sleep(0)  # in a generator
            yield 1
        finally:
            await asyncio.sleep(0)  # closing one

    @asynccontextmanager
    async def managed() -> AsyncIterator[None]:
        await asyncio.sleep(0)  # entering
        yield

    class ByHand:
        def __await__(self) -> Generator[None, None, None]:
            yield  # by hand

    class Wrapped:
        def __await__(self) -> Generator[Any, None, None]:
            return asyncio.sleep(0).__await__()

    async def wraps() -> None:
        await Wrapped()  # by way of another

    class Around:
        def __await__(self) -> Generator[Any, None, None]:
            return wraps().__await__()

    async def inner(queue: asyncio.Queue[int]) -> None:
        await queue.get()  # in the library
        numbered = numbers()
        async for _ in numbered:
            break
        await numbered.aclose()
        async with managed():
            await ByHand()
            await Around()
            await asyncio.gather(  # of two lines
                asyncio.sleep(0)
            )

    async def watched(start: asyncio.Future[None], queue: asyncio.Queue[int]) -> None:
        await start
        await asyncio.sleep(0)  # twice,
        await asyncio.sleep(0)  # or so
        await asyncio.wait_for(inner(queue), None)

    async def main() -> None:
        start = asyncio.get_running_loop().create_future()
        queue: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(watched(start, queue), name="watched")
        await steps(1)
        number = begin(recorded, "watched")
        start.set_result(None)
        await steps(5)
        queue.put_nowait(1)
        await task
        recorded.update()
        places.extend((poll.yielded_file, poll.yielded_line) for poll in recorded.history[number])

    run(main())
    words = "twice, · or so · in the library · in a generator · closing one · entering · by hand"
    words += " · by way of another · of two lines"
    assert places == [*(line_of(f"# {each}") for each in words.split(" · ")), ("", 0)]


def test_without_a_line_of_the_users_it_is_the_innermost(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        queue: asyncio.Queue[int] = asyncio.Queue()
        task = asyncio.create_task(queue.get(), name="watched")
        other = asyncio.create_task(queue.get())
        await steps(1)
        number = begin(recorded, "watched")
        queue._wakeup_next(queue._getters)  # type: ignore[attr-defined]
        await steps(2)
        recorded.update()
        (poll,) = recorded.history[number]
        assert poll.yielded_file == asyncio.queues.__file__
        code = asyncio.Queue.get.__code__
        assert poll.yielded_line in {line for *_, line in code.co_lines()}
        for each in (task, other):
            each.cancel()

    run(main())


def test_only_what_is_watched_is_told(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        for name in ("one", "other"):
            asyncio.create_task(steps(60), name=name)  # noqa: RUF006
        await steps(5)
        assert not {"History", "Histograms"} & set(recorded.update())
        one, other = recorded.task("one").id, recorded.task("other").id
        recorded.watch(one)
        await steps(3)
        assert {"History", "Histograms"} <= set(recorded.update())
        recorded.watch(other, one, 12345)
        await steps(3)
        recorded.update()
        assert [len(recorded.history[task]) for task in (one, other)] == [6, 3]
        recorded.watch(other)
        await steps(3)
        recorded.watch()
        await steps(3)
        recorded.update()
        assert [len(recorded.history[task]) for task in (one, other)] == [6, 3], "what was not read is gone"
        recorded.watch(other)
        await steps(2)
        recorded.update()
        assert [len(recorded.history[task]) for task in (one, other)] == [6, 5]
        assert recorded.dropped == {}

    run(main())


def test_no_more_than_so_many_tasks_are_watched(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(steps(9)) for _ in range(MAX_WATCHED + 4)]
        await steps(3)
        recorded.update()
        here, *others = sorted(recorded.by_id)
        recorded.watch(here, *others)
        await asyncio.wait(tasks)
        recorded.update()
        assert sorted(recorded.history) == others[: MAX_WATCHED - 1], "not the poll this is done in"

    run(main())


def test_two_consoles_watch_the_same_task(hooked: Core, run: Run) -> None:
    first, second = Recorded(hooked), Recorded(hooked)

    async def main() -> None:
        task = asyncio.create_task(steps(30), name="watched")
        await steps(3)
        number = begin(first, "watched")
        await steps(3)
        assert begin(second, "watched") == number
        await steps(3)
        for console in (first, second):
            console.update()
        assert len(first.history[number]) == 6
        first.watch()
        del first._cursor
        await task
        second.update()
        ended = [poll.ended_ns for poll in second.history[number]]
        assert ended == sorted(set(ended))
        assert ended[-1] == second.task("watched").ended_ns

    run(main())


def test_what_is_not_read_in_time_is_counted(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        task = asyncio.create_task(steps(2 * POLLS_KEPT + 100), name="watched")
        await steps(2)
        number = begin(recorded, "watched")
        before = recorded.task("watched").polls
        await steps(POLLS_KEPT)
        recorded.update()
        assert recorded.dropped == {}
        await task
        recorded.update()
        told = len(recorded.history[number])
        assert told == 2 * POLLS_KEPT
        assert recorded.dropped == {"history": recorded.task("watched").polls - before - told}
        assert recorded.history[number][-1].ended_ns == recorded.task("watched").ended_ns
        recorded.watch()
        recorded.update()
        assert recorded.dropped == {}

    run(main())


def test_histograms_are_those_of_the_polls(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        async def work() -> None:
            for number in range(100):  # few, or a busy machine makes times of more lengths than are kept apart
                block(number * 300)
                await asyncio.sleep(0)

        task = asyncio.create_task(work(), name="watched")
        await steps(2)
        number = begin(recorded, "watched")
        await task
        recorded.update()
        polls = recorded.history[number]
        told = recorded.histograms[number]
        assert (buckets(told.polls), buckets(told.scheduled)) == spent(polls)
        assert told.max_scheduled_ns == max(poll.started_ns - poll.woken_ns for poll in polls)

    run(main())


def test_a_task_earns_its_histograms(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        for count in (EARNED - 3, EARNED + 40):
            await asyncio.create_task(steps(count), name=f"{count} steps")
        recorded.update()
        for row in recorded.by_id.values():
            recorded.watch(row.id)
            recorded.update()
            told = recorded.histograms[row.id]
            assert sum(told.polls) == sum(told.scheduled) == max(row.polls - EARNED, 0)

    run(main())


def test_rare_times_of_all_lengths_leave_the_quantiles_right(recorded: Recorded) -> None:
    times = [int(2 ** (half / 2)) for half in range(22, 48)]
    usual = 500

    async def main() -> None:
        async def work() -> None:
            for ns in times:
                await steps(usual)
                block(ns)

        async def wait() -> None:
            for ns in times:
                await steps(usual)
                block(ns)

        tasks = [asyncio.create_task(work(), name="watched"), asyncio.create_task(wait())]
        await steps(1)
        number = begin(recorded, "watched")
        while not tasks[0].done():
            await steps(usual)
            recorded.update()
        recorded.update()
        told = recorded.histograms[number]
        assert recorded.dropped == {}
        for found, real in zip(
            (buckets(told.polls), buckets(told.scheduled)), spent(recorded.history[number]), strict=True
        ):
            assert found.total() == real.total()
            assert max(found) == max(real)
            for q in (0.5, 0.9, 0.99):
                assert quantile(real, q - 0.004) <= quantile(found, q) <= quantile(real, q + 0.004)

    asyncio.run(main())


def test_counters_that_are_no_longer_exact_are_right_on_average(recorded: Recorded) -> None:
    count = 400_000

    async def main() -> None:
        await asyncio.create_task(steps(count), name="busy")

    asyncio.run(main())
    recorded.update()
    number = begin(recorded, "busy")
    recorded.update()
    told = recorded.histograms[number]
    for histogram in (told.polls, told.scheduled):
        assert max(histogram) > count // 8
        assert abs(sum(histogram) / (count + 1 - EARNED) - 1) < 0.1


def test_a_watched_task_that_ends_is_told_to_its_end_and_forgotten(run: Run, recorded: Recorded) -> None:
    async def fails() -> None:
        await steps(20)
        raise ValueError("no")

    async def main() -> None:
        task = asyncio.create_task(fails(), name="fails")
        await steps(18)
        number = begin(recorded, "fails")
        await asyncio.wait([task])
        recorded.update()
        row = recorded.task("fails")
        assert row.exception == "ValueError: no"
        assert recorded.history[number][-1].ended_ns == row.ended_ns
        assert sum(recorded.histograms[number].polls) == row.polls - EARNED
        for _ in range(3):
            await asyncio.gather(*(steps(1) for _ in range(RETAINED)))
            recorded.update()
        assert task.exception() is not None
        again = len(recorded.history[number])
        recorded.watch(number)
        recorded.update()
        assert len(recorded.history[number]) == again

    run(main())


def test_a_task_that_is_destroyed_while_it_is_watched(run: Run, recorded: Recorded) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: None)

        async def forgotten() -> None:
            await loop.create_future()

        loop.create_task(forgotten(), name="forgotten")  # noqa: RUF006
        await steps(2)
        begin(recorded, "forgotten")
        gc.collect()
        recorded.update()
        assert recorded.task("forgotten").outcome
        recorded.watch()

    run(main())


def test_watching_outlives_neither_the_core_nor_the_console(hooked: Core, run: Run) -> None:
    console = Recorded(hooked)

    async def main() -> None:
        task = asyncio.create_task(steps(9), name="watched")
        await steps(2)
        begin(console, "watched")
        hooked.forget()
        await task

    run(main())
    console.watch()
