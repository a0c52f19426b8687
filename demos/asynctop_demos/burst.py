"""A burst of 100,000 short tasks every few seconds: the list keeps up and the totals stay exact.

They are spawned 500 at a time so that spawning itself stalls nobody, and most of them are alive at once.
Between two bursts there are two tasks.
"""

import asyncio
import random
from contextlib import suppress
from itertools import count

TASKS, AT_A_TIME = 100_000, 500
PAUSE = 5.0


async def job(seconds: float) -> int:
    """Wait a little and end."""
    await asyncio.sleep(seconds)
    return 1


async def burst(chance: random.Random) -> int:
    """Spawn all jobs, wait for all of them, and count them."""
    jobs: list[asyncio.Task[int]] = []
    async with asyncio.TaskGroup() as group:
        for number in range(TASKS):
            jobs.append(group.create_task(job(chance.uniform(1, 2)), name=f"job-{number}"))
            if number % AT_A_TIME == 0:
                await asyncio.sleep(0)
    return sum(task.result() for task in jobs)


async def heartbeat() -> None:
    """Tick, to show how late the loop is."""
    while True:
        await asyncio.sleep(0.1)


async def main() -> None:
    """One burst after the other."""
    chance = random.Random(7)
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(), name="heartbeat")
        for number in count(1):
            done = await group.create_task(burst(chance), name=f"burst-{number}")
            if number == 1:
                print(f"ready: {done} tasks came and went", flush=True)
            await asyncio.sleep(PAUSE)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
