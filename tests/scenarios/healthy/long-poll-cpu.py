"""The same computation with a pause after each small part."""

import asyncio


def crunch(first: int) -> int:
    total = 0
    for number in range(first, first + 10_000):
        total += number % 7
    return total


async def work() -> None:
    while True:
        for first in range(0, 1_000_000, 10_000):
            crunch(first)
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.05)


async def main() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(work(), name="cruncher")
        print("ready")


asyncio.run(main())
