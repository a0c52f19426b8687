"""The worker waits for its jobs; a long computation yields now and then."""

import asyncio
import hashlib


async def worker(jobs: asyncio.Queue[int]) -> None:
    while True:
        job = await jobs.get()
        await asyncio.sleep(0.001 * job)


async def computation() -> None:
    digest = b""
    while True:
        for _ in range(10):
            for _ in range(5000):
                digest = hashlib.sha256(digest).digest()
            await asyncio.sleep(0)
        await asyncio.sleep(0.1)


async def main() -> None:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        group.create_task(worker(jobs), name="worker")
        group.create_task(computation(), name="computation")
        print("ready")
        while True:
            await asyncio.sleep(0.001)
            jobs.put_nowait(3)


asyncio.run(main())
