"""A program with very many live tasks, some of which change with each tick. Run by `console.py`.

    python benchmarks/crowd_program.py TASKS SHARE

Says "ready" when all tasks wait. Every quarter of a second it wakes the next SHARE of them.
"""

from __future__ import annotations

import asyncio
import sys
from itertools import cycle, islice

from measuring import INTERVAL_NS
from program import run, say


async def waiter_in_the_crowd(queue: asyncio.Queue[int]) -> None:
    """Waits nearly always."""
    while True:
        await queue.get()


async def crowd(tasks: int, share: float) -> None:
    """Never ends."""
    queues: list[asyncio.Queue[int]] = [asyncio.Queue() for _ in range(tasks)]
    async with asyncio.TaskGroup() as group:
        for queue in queues:
            group.create_task(waiter_in_the_crowd(queue))
        await asyncio.sleep(0)
        await say("ready")
        around = cycle(queues)
        while True:
            await asyncio.sleep(INTERVAL_NS / 1e9)
            for number, queue in enumerate(islice(around, int(tasks * share))):
                queue.put_nowait(number)


if __name__ == "__main__":
    tasks, share = sys.argv[1:]
    run(lambda: crowd(int(tasks), float(share)), "asyncio", "asynctop")
