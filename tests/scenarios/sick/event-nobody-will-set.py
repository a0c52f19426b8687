"""The loader that should announce that it has finished ended before it did.

subject: task waiter-0
"""

import asyncio


class Service:
    def __init__(self) -> None:
        self.loaded = asyncio.Event()
        self.beats = 0

    async def load(self) -> None:
        await asyncio.sleep(0.01)
        if not self.beats:
            return
        self.loaded.set()

    async def wait(self) -> None:
        await self.loaded.wait()  # here

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.beats += 1


async def main() -> None:
    service = Service()
    waiters = [asyncio.create_task(service.wait(), name=f"waiter-{number}") for number in range(3)]
    loader = asyncio.create_task(service.load(), name="loader")
    heart = asyncio.create_task(service.beat(), name="heart")
    await loader
    print("ready")
    await asyncio.gather(*waiters, heart)


asyncio.run(main())
