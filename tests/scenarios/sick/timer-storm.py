"""Every particle has a timer of its own that runs as often as it can.

subject: kind Particle.move
"""

import asyncio
import random


class Particle:
    def __init__(self) -> None:
        self.x = random.random()

    async def move(self) -> None:
        while True:
            await asyncio.sleep(0.0005)  # here
            self.x += 0.001


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(500):
            group.create_task(Particle().move())
        print("ready")


asyncio.run(main())
