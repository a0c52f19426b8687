"""Three thousand bots think a little and yield with sleep(0): each is quick, but they are always all ready.

subject: task heartbeat
"""

import asyncio
import hashlib


class Bot:
    def __init__(self, number: int) -> None:
        self.state = str(number).encode()

    def think(self) -> None:
        for _ in range(100):
            self.state = hashlib.sha256(self.state).digest()

    async def play(self) -> None:  # here
        while True:
            self.think()
            await asyncio.sleep(0)


async def heartbeat() -> None:
    while True:
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(), name="heartbeat")
        for number in range(3000):
            group.create_task(Bot(number).play())
            if number % 100 == 0:
                await asyncio.sleep(0)
        print("ready")


asyncio.run(main())
