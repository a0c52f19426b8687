"""Each reading puts the deadline off: a timer is cancelled and set anew for each of very many.

finds: timer-storm
subject: task meter
"""

import asyncio


class Meter:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadline = self.loop.call_later(30, self.silent)

    def silent(self) -> None:
        print("no readings")

    def reading(self) -> None:
        self.deadline.cancel()
        self.deadline = self.loop.call_later(30, self.silent)  # here

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
