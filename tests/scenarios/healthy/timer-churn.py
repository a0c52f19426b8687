"""A reading notes the time only; one timer looks at it when the deadline would have been."""

import asyncio


class Meter:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.last = self.loop.time()
        self.deadline = self.loop.call_later(0.1, self.look)

    def look(self) -> None:
        if self.loop.time() - self.last > 30:
            print("no readings")
        self.deadline = self.loop.call_later(0.1, self.look)

    def reading(self) -> None:
        self.last = self.loop.time()

    async def run(self) -> None:
        while True:
            for _ in range(500):
                self.reading()
            await asyncio.sleep(0.001)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(Meter().run(), name="meter")
        print("ready")


asyncio.run(main())
