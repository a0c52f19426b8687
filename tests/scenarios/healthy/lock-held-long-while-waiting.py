"""The slow server is asked without the lock; the lock is taken for a moment."""

import asyncio


class Cache:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.value = 0

    async def refresh(self) -> None:
        while True:
            await asyncio.sleep(1)
            async with self.lock:
                await asyncio.sleep(0.005)
                self.value += 1

    async def read(self) -> None:
        while True:
            async with self.lock:
                await asyncio.sleep(0)
            await asyncio.sleep(0.02)


async def keep(lock: asyncio.Lock) -> None:
    async with lock:
        await asyncio.sleep(60)


async def main() -> None:
    cache = Cache()
    async with asyncio.TaskGroup() as group:
        group.create_task(cache.refresh(), name="refresher")
        group.create_task(keep(asyncio.Lock()), name="nobody else wants this one")
        for number in range(3):
            group.create_task(cache.read(), name=f"reader-{number}")
        print("ready")


asyncio.run(main())
