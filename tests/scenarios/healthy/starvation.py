"""Three thousand bots, each thinking when it is its turn: one at a time, with time for others in between."""

import asyncio
import hashlib


class Bot:
    def __init__(self, number: int) -> None:
        self.state = str(number).encode()
        self.turn = asyncio.Event()

    def think(self) -> None:
        for _ in range(100):
            self.state = hashlib.sha256(self.state).digest()

    async def play(self) -> None:
        while True:
            await self.turn.wait()
            self.turn.clear()
            self.think()
            await asyncio.sleep(0)


async def heartbeat() -> None:
    while True:
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(), name="heartbeat")
        bots = [Bot(number) for number in range(3000)]
        for bot in bots:
            group.create_task(bot.play())
            await asyncio.sleep(0)
        print("ready")
        while True:
            for bot in bots:
                bot.turn.set()
                await asyncio.sleep(0.001)


asyncio.run(main())
