"""Watchers end with their sessions; a pool started once stays; connections open one by one, and work."""

import asyncio


class Session:
    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def watch(self) -> None:
        await self.closed.wait()

    async def __aenter__(self) -> None:
        self.watcher = asyncio.create_task(self.watch())

    async def __aexit__(self, *_: object) -> None:
        self.closed.set()
        await self.watcher


async def handle() -> None:
    async with Session():
        await asyncio.sleep(0.3)


async def pool_worker(jobs: asyncio.Queue[int]) -> None:
    while True:
        await jobs.get()


async def connection() -> None:
    while True:
        await asyncio.sleep(0.05)


async def main() -> None:
    jobs: asyncio.Queue[int] = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        for _ in range(200):
            group.create_task(pool_worker(jobs))
        print("ready")
        for number in range(1_000_000):
            group.create_task(handle())
            jobs.put_nowait(number)
            if number < 300:
                group.create_task(connection())
            await asyncio.sleep(0.01)


asyncio.run(main())
