"""A worker asks the queue again and again instead of waiting for it.

subject: task worker
"""

import asyncio


async def worker(jobs: asyncio.Queue[int]) -> None:  # here
    while True:
        try:
            job = jobs.get_nowait()
        except asyncio.QueueEmpty:
            await asyncio.sleep(0)
            continue
        await asyncio.sleep(0.001 * job)


async def main() -> None:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker(jobs), name="worker")
        print("ready")
        while True:
            await asyncio.sleep(0.2)
            jobs.put_nowait(3)


asyncio.run(main())
