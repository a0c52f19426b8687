"""A refresh asks a slow server while it holds the lock that every reader needs.

subject: task refresher
"""

import asyncio


class Cache:
    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.value = 0

    async def refresh(self) -> None:
        async with self.lock:
            await self.ask()
            self.value += 1

    async def ask(self) -> None:
        await asyncio.sleep(60)  # here

    async def read(self) -> int:
        async with self.lock:
            return self.value


async def main() -> None:
    cache = Cache()
    async with asyncio.TaskGroup() as group:
        group.create_task(cache.refresh(), name="refresher")
        await asyncio.sleep(0)
        for number in range(3):
            group.create_task(cache.read(), name=f"reader-{number}")
        print("ready")


asyncio.run(main())
