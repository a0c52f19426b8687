"""A program whose tasks are polled at a steady rate. Run by `recording.py`.

    python benchmarks/polls_program.py TASKS POLLS

POLLS is how many a second, of all tasks together. A hundred times a second each task is woken by a timer,
and then makes way for the others as often as it takes. Says "ready", and never ends.
"""

from __future__ import annotations

import asyncio
import sys

from program import run, say

_ROUNDS = 100


async def worker(began: float, polls: int) -> None:
    """So many polls in each round."""
    loop = asyncio.get_running_loop()
    number = 0
    while True:
        number += 1
        await asyncio.sleep(began + number / _ROUNDS - loop.time())
        for _ in range(polls - 1):
            await asyncio.sleep(0)


async def workers(tasks: int, polls: int) -> None:
    """Never ends."""
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for _ in range(tasks):
            group.create_task(worker(began, polls // tasks // _ROUNDS))
        await say("ready")


if __name__ == "__main__":
    tasks, polls = map(int, sys.argv[1:])
    run(lambda: workers(tasks, polls), "asyncio", "asynctop")
