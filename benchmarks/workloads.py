"""The programs whose time `overhead.py` takes.

    python benchmarks/workloads.py WORKLOAD SHARE LOOP SETUP

Does SHARE of the workload and says how many seconds it took.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from random import Random
from time import perf_counter

from program import ready, run, say


async def sleep0(share: float) -> None:
    """One task that yields 300,000 times: the bare cost of a poll."""
    for _ in range(int(300_000 * share)):
        await asyncio.sleep(0)


async def pingpong(share: float) -> None:
    """100 pairs of tasks that wake each other through queues, 300,000 times in all."""

    async def ping(there: asyncio.Queue[int], back: asyncio.Queue[int], times: int) -> None:
        for number in range(times):
            await there.put(number)
            await back.get()

    async def pong(there: asyncio.Queue[int], back: asyncio.Queue[int], times: int) -> None:
        for number in range(times):
            await there.get()
            await back.put(number)

    times = int(1500 * share)
    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            there: asyncio.Queue[int] = asyncio.Queue()
            back: asyncio.Queue[int] = asyncio.Queue()
            group.create_task(ping(there, back, times))
            group.create_task(pong(there, back, times))


async def spawn(share: float) -> None:
    """100,000 tasks that end at their first poll, a hundred at a time: the cost of a task's whole life."""

    async def nothing() -> None: ...

    for _ in range(int(1000 * share)):
        await asyncio.gather(*[nothing() for _ in range(100)])


async def timers(share: float) -> None:
    """10,000 tasks that sleep 20 times for a random time, shorter than what all take to be woken once: the
    loop is never idle."""
    random = Random(1).random

    async def sleeper(times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(0.01 * random())

    await asyncio.gather(*[sleeper(int(20 * share)) for _ in range(10_000)])


WORKLOADS = {workload.__name__: workload for workload in (sleep0, pingpong, spawn, timers)}


async def timed(name: str, share: float) -> None:
    """Seconds that the workload takes, in a task of its own: nothing of ours is between it and the loop."""
    await ready()
    gc.collect()  # each run begins at the same distance from the next full collection
    began = perf_counter()
    await asyncio.create_task(WORKLOADS[name](share))
    await say(perf_counter() - began)


if __name__ == "__main__":
    name, share, loop, setup = sys.argv[1:]
    run(lambda: timed(name, float(share)), loop, setup)
